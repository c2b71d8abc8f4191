"""The demonstration from a click, with real XRootD servers: 100.00 %, once more on the same lab, and nothing left."""

from __future__ import annotations

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from gui.app import make_window
from gui.runner.demo import DemoOptions
from tests.gui.parts import page

pytestmark = pytest.mark.xrootd


def test_a_click_shows_a_hundred_per_cent_and_the_end_leaves_nothing(qapp, drive, until, own_places, tmp_path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    bus = tmp_path / "bus"
    options = DemoOptions(database=tmp_path / "data" / "demo.db", servers=2, files=10, rate=10, bus=str(bus))

    async def story() -> None:
        window = make_window(tmp_path / "data", options)
        window.frame.show()
        await until(lambda: window.frame.isVisible())
        QTest.mouseClick(window.welcome.try_tile, Qt.MouseButton.LeftButton)
        await until(lambda: window.frame.current_page() == "result" or problems(window))
        assert not problems(window)
        await until(lambda: page(window, "result").servers.model.rows.all)
        assert page(window, "result").tests.model.rows.visible[0].figures.matched == 20
        assert "100.00 %" in shown(page(window, "result").tests)
        assert page(window, "result").counts["matched"].figure.text() == "20"
        assert page(window, "result").counts["missing"].figure.text() == "0"
        assert [server.matched for server in page(window, "result").servers.model.rows.all] == [10, 10]

        # The federation stays up: the plan that is open runs on it, and "Try it" again is another run, no new lab.
        lab = window.workspace.options.lab
        await until(lambda: window.frame.run_button.isEnabled())
        window.try_here()
        await until(lambda: len(page(window, "runs").runs.model.rows.all) == 2 and not window.running.under_way)
        assert window.workspace.options.lab == lab
        assert [view.success for view in page(window, "runs").runs.model.rows.all] == ["100.00 %", "100.00 %"]
        assert not problems(window)

        # The fleet knows everybody.
        window.frame.go("fleet")
        await until(lambda: len(page(window, "fleet").servers.model.rows.all) == 2)
        names = [client.name for client in page(window, "fleet").clients.model.rows.all]
        assert [name[:3] for name in names] == ["c1-", "c2-"]

        window.frame.close()
        await window.done.wait()

    drive(story())
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before and "Xvfb" not in p.name()]
    assert left == []
    assert [path.name for path in own_places.iterdir()] == []


def problems(window) -> list[str]:
    return [f"{p.where}: {p.text}" for p in window.problems.table.model.rows.all if p.severity == "error"]


def shown(table) -> list[str]:
    rows = table.model.rows
    return [column.shows(row) for row in rows.visible for column in rows.columns]


def test_without_xrootd_one_sentence_says_what_to_install(
    qapp, drive, until, own_places, tmp_path, monkeypatch
) -> None:
    empty = tmp_path / "no-programs"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    options = DemoOptions(database=tmp_path / "data" / "demo.db", servers=1, files=1, bus=str(tmp_path / "bus"))

    async def story() -> None:
        window = make_window(tmp_path / "data", options)
        window.frame.show()
        window.try_here()
        await until(lambda: problems(window))
        (text,) = problems(window)
        assert "xrootd-server" in text
        assert "Traceback" not in text
        assert window.problems.isVisible()
        assert window.frame.workspace_button.text() == "No workspace"
        nothing = [b for b in page(window, "live").findChildren(QPushButton) if b.isVisible() and "Try it" in b.text()]
        assert nothing, "the page offers the way back"
        window.frame.close()
        await window.done.wait()

    drive(story())
    assert [path.name for path in own_places.iterdir()] == []
