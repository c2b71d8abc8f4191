"""Quit and Close with a run on: asked once; stopped, or gone on with by `tally run`; with real servers and clients."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from gui.app import make_window
from gui.app.window import Window
from gui.hub import HubOptions
from gui.runner.demo import DemoOptions, take_down
from gui.runner.options import WorkspaceOptions
from tests.gui.parts import page
from tests.promises import within


def only_box(window: Window) -> QMessageBox:
    (box,) = window.frame.findChildren(QMessageBox)
    return box


def answer(window: Window, words: str) -> None:
    box = only_box(window)
    button = next(b for b in box.buttons() if b.text().replace("&", "") == words)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def busy() -> Any:
    latest = SimpleNamespace(run=12, run_requested=7, run_total=9_000)
    return SimpleNamespace(
        running=True,
        remote="",
        label="scale",
        progress=SimpleNamespace(latest=latest),
        store=SimpleNamespace(database=SimpleNamespace(shown="scale.db")),
        runs=SimpleNamespace(session=None),
    )


def test_leaving_while_a_run_is_under_way_asks_once(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window = make_window(tmp_path / "data")
        window.frame.show()
        called: list[str] = []
        window.home.workspace = busy()
        window.beat.stop()
        for words, wanted in (("Cancel", []), ("Stop and open other.db", ["moved"])):
            window.leaving.unless_running("open other.db", lambda: called.append("moved"))
            window.frame.close()  # asked already
            box = only_box(window)
            assert box.text() == "Run 12 in scale is under way: 7 of 9,000 requests have been asked."
            assert "tally results --db scale.db" in box.informativeText()
            assert str(tmp_path / "data" / "logs" / "run-12-") in box.informativeText()
            answer(window, words)
            await asyncio.sleep(0.05)
            assert called == wanted
            assert window.frame.isVisible()
            await asyncio.sleep(0.05)
        window.home.workspace = None
        window.frame.close()
        await window.done.wait()

    drive(story())


def test_escape_keeps_the_window_and_the_run(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = make_window(tmp_path / "data")
        window.frame.show()
        window.home.workspace = busy()
        window.beat.stop()
        window.frame.close()
        QTest.keyClick(only_box(window), Qt.Key.Key_Escape)
        await asyncio.sleep(0.05)
        assert window.frame.isVisible()
        assert not window.closing
        window.home.workspace = None
        window.frame.close()
        await window.done.wait()

    drive(story())


async def begun(window: Window, until: Any, database: Path, requests: int) -> None:
    window.frame.show()
    QTest.mouseClick(window.welcome.try_tile, Qt.MouseButton.LeftButton)
    await until(lambda: window.workspace is not None and window.workspace.progress.latest.requested >= requests, 120)


@pytest.mark.xrootd
def test_stop_and_quit_ends_within_three_seconds_and_keeps_what_was_asked(
    qapp, drive, until, own_places, tmp_path
) -> None:
    database = tmp_path / "data" / "demo.db"
    options = DemoOptions(database=database, servers=2, files=400, rate=10, bus=str(tmp_path / "bus"))
    took: list[float] = []

    async def story() -> None:
        window = make_window(tmp_path / "data", options)
        await begun(window, until, database, 40)
        demo = window.home.demo
        demo.let_go()  # the time that the lab takes to come down is not the window's: it is taken down below
        window.frame.close()
        answer_at = time.monotonic()
        answer(window, "Stop and quit")
        await window.done.wait()
        took.append(time.monotonic() - answer_at)
        await take_down(demo.lab.parent)

    drive(story())
    ((state, message),) = rows(database, "select state, message from run")
    assert (state, message.endswith("of 1 repeats.")) == ("aborted", True), message
    assert rows(database, "select count(*) from scoring") == [(1,)]
    assert took[0] <= within(3.0)


@pytest.mark.xrootd
def test_it_goes_on_without_the_window_and_nothing_is_asked_twice(
    qapp, drive, until, own_places, tmp_path, capfd
) -> None:
    database = tmp_path / "data" / "demo.db"
    options = DemoOptions(database=database, servers=2, files=200, rate=10, bus=str(tmp_path / "bus"))
    asked: list[int] = []
    took: list[float] = []
    seen: list[str] = []

    async def story() -> None:
        window = make_window(tmp_path / "data", options)
        await begun(window, until, database, 60)
        window.frame.close()
        answer_at = time.monotonic()
        answer(window, "Go on without the window")
        await asyncio.wait_for(window.done.wait(), 60)
        took.append(time.monotonic() - answer_at)
        asked.append(rows(database, "select count(*) from request")[0][0])

        # The window is opened again: it shows the run of the other program, and has the workspace when that has ended.
        again = make_window(tmp_path / "data")
        again.frame.show()
        hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
        assert await again.open(WorkspaceOptions(database=database, hub=hub))
        seen.append(again.workspace.other)
        again.frame.go("live")
        await until(lambda: again.workspace is not None and again.workspace.progress.latest.outcome == "running")
        await until(lambda: page(again, "live").title.text() == "Run 1")
        assert "carried out by another Tally (process" in page(again, "live").remark.text()
        assert not again.frame.stop_button.isEnabled()
        await until(lambda: again.workspace is not None and not again.workspace.other, 120)
        again.frame.close()
        await again.done.wait()

    drive(story())
    assert seen[0].startswith("Another Tally (process ")
    said = capfd.readouterr().err
    found = re.search(r"Run (\d+) goes on without the window, in process (\d+); its log is (\S+)\.", said)
    assert found, said
    process, log = psutil.Process(int(found[2])), Path(found[3])
    assert "tally results" in said
    assert asked[0] < 400
    process.wait(120) if not _gone(process) else None
    text = log.read_text()
    assert rows(database, "select id, state from run") == [(int(found[1]), "passed")], text
    assert rows(database, "select count(*), count(distinct path || tag_id) from request") == [(400, 400)]
    assert rows(database, "select matched, missing, client_failed, duplicate from scoring order by id")[-1] == (
        400,
        0,
        0,
        0,
    )
    assert "goes on with the run of the window" in text
    assert "100.00" in text
    assert "Traceback" not in text
    left = [p for p in psutil.process_iter(["cmdline"]) if str(own_places) in " ".join(p.info["cmdline"] or [])]
    assert left == []
    assert [path.name for path in own_places.iterdir()] == [], "the other program takes the demonstration down"
    print(f"handed over in {took[0]:.1f} s")


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.xrootd
def test_kill_of_the_window_ends_its_clients(start, own_places, tmp_path) -> None:
    database = tmp_path / "demo.db"
    program = start("demo", "--servers", "2", "--files", "400", "--rate", "10", "--bus", str(tmp_path / "bus"),
                    "--db", str(database))  # fmt: skip
    program.wait_for(lambda: database.exists() and _requests(database) > 20, 120)
    clients = [p for p in psutil.Process(program.process.pid).children() if "client" in p.cmdline()]
    assert len(clients) == 2
    program.process.kill()
    program.process.wait()
    deadline = time.monotonic() + 10
    while not all(_gone(client) for client in clients):
        assert time.monotonic() < deadline, "its clients are still there"
        time.sleep(0.05)  # other processes tell nobody
    for lab in own_places.glob("tally-demo-*/lab"):
        from agent.cli import main

        assert main(["lab", "down", "--dir", str(lab)]) == 0


def _requests(database: Path) -> int:
    try:
        return int(rows(database, "select count(*) from request")[0][0])
    except sqlite3.OperationalError:
        return 0  # not made yet
