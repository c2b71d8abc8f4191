"""The whole window at work: is its loop ever held up while 50 servers run, and while a million records are loaded?

    python tests/bench/bench_window_run.py [--servers 50] [--seconds 600] [--records 1000000]

A window on an Xvfb of its own does its demonstration for that long: real XRootD servers, two clients, collector and bus
on this machine. Live is shown, and every minute each other page for two seconds; then it is closed while the run is on.
A second window loads a file of records of others while Pipeline is shown. A turn is the time between two beats of a
timer of 1 ms: in wall time, which has what other programs took, and in processor time of the loop's thread, which has
not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import qasync
from bench_reconcile import foreign_bodies
from bench_window import Turns, report, screen
from PySide6.QtWidgets import QApplication

from gui.app import PAGES, make_application, make_window
from gui.app.window import Window
from gui.runner.demo import DemoOptions

LIMIT = 50.0
RATE = 2
"""Requests to each server in a round; one begins every second."""
LOOK = 2.0
"""Seconds that each other page is shown."""


def say(turns: Turns, what: str) -> None:
    for kind, found in (("wall", turns.wall), ("processor", turns.cpu)):
        ordered = sorted(found)
        report(f"{what}: longest turn, {kind} time", ordered[-1], "ms", f"{LIMIT:g}")
        report(f"{what}: 999 of 1,000 turns, {kind} time", ordered[len(ordered) * 999 // 1000], "ms", f"{LIMIT:g}")
        report(f"{what}: turns over {LIMIT:g} ms, {kind} time", sum(turn > LIMIT for turn in found), "", "0")
    report(f"{what}: turns", len(turns.wall), "", "")
    report(f"{what}: memory of the window", psutil.Process().memory_info().rss / 2**20, "MiB", "")
    load = os.getloadavg()[0]
    report(f"{what}: load average at its end, {os.cpu_count()} cores", load, "", "")


async def until(condition: Callable[[], object], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the window has no event for it
            await asyncio.sleep(0.2)


async def run(data: Path, servers: int, seconds: int) -> None:
    """50 servers at work; the window is closed while they are."""
    options = DemoOptions(database=data / "run.db", servers=servers, files=RATE * (seconds + 120), rate=RATE)
    window = make_window(data / "run", options)
    turns = await _shown(window)
    report("window, nothing open: memory", psutil.Process().memory_info().rss / 2**20, "MiB", "")
    window.try_here()
    progress: Callable[[], Any] = lambda: window.workspace.progress.latest if window.workspace else None  # noqa: E731
    await until(lambda: getattr(progress(), "recorded", 0) > 0, 300)
    turns.begin()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        window.frame.go("live")
        await asyncio.sleep(min(60.0, max(0.0, end - time.monotonic())))
        for page in PAGES if time.monotonic() < end else ():
            window.frame.go(page.name)
            await asyncio.sleep(LOOK)
    what = f"window, {servers} servers, {seconds} s"
    say(turns, what)
    latest = progress()
    report(f"{what}: requests made", latest.requested, "", "")
    report(f"{what}: of them recorded", latest.recorded, "", "")
    began = time.monotonic()
    window.frame.close_at_once()
    await window.done.wait()
    report(f"{what}: closed with the run on", time.monotonic() - began, "s", "3")


async def load(data: Path, records: int) -> None:
    """A file of records is loaded."""
    file = data / "records.jsonl"
    with file.open("wb") as out:
        for batch in foreign_bodies(records):
            out.writelines(body + b"\n" for body in batch)
    window = make_window(data / "load")
    turns = await _shown(window)
    window.open_workspace(str(data / "load.db"))
    await until(lambda: window.workspace is not None, 60)
    window.frame.go("pipeline")
    presenter: Any = window.parts["pipeline"].presenter  # type: ignore[attr-defined]
    await asyncio.sleep(2)
    turns.begin()
    began = time.monotonic()
    presenter.load(file)
    await until(lambda: presenter._loading is None, 1200)
    what = f"window, {records:,} records loaded"
    report(f"{what}: rate", records / (time.monotonic() - began), "1/s", "")
    say(turns, what)
    window.frame.close_at_once()
    await window.done.wait()


async def _shown(window: Window) -> Turns:
    window.frame.resize(1440, 900)
    window.frame.show()
    gc.freeze()  # as the program does once all of it is loaded
    turns = Turns()
    turns.begin()
    await asyncio.sleep(2)
    return turns


def on_its_loop(work: Coroutine[Any, Any, None], application: QApplication) -> None:
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(work)
    asyncio.set_event_loop(None)


def main() -> None:
    parser = argparse.ArgumentParser(description="Is the window's loop ever held up while it works?")
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--records", type=int, default=1_000_000)
    own = parser.parse_args()
    server = screen()
    data = Path(tempfile.mkdtemp(prefix="tally-bench-window-run-"))
    os.environ["XDG_CONFIG_HOME"] = str(data / "config")
    for name in ("run", "load"):
        (data / name).mkdir()
        (data / name / "settings.toml").write_text('[hub]\nhost = "127.0.0.1"\nport = 0\n')
    try:
        application = make_application()
        if own.seconds:
            on_its_loop(run(data, own.servers, own.seconds), application)
        if own.records:
            on_its_loop(load(data, own.records), application)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
