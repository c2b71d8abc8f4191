"""The whole window on a real X server: in this process on one loop with asyncio, or as a program of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import until as wait_until

ENDING = 1.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No signal is heard inside Qt's loop: a test that hangs there is ended from another thread, or never."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(600, method="thread"))


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files, data and runtime directories of what is started here; returns the one of temporary files."""
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o711)
    os.chmod(temporary, 0o777)  # noqa: PTH101 - the lab's servers run as another user when we are root
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return temporary


@pytest.fixture
def window_manager(x_display: str, tmp_path: Path) -> Iterator[None]:
    """Openbox on the tests' X server: windows have frames, and the one that is clicked on gets the focus."""
    program = shutil.which("openbox")
    if program is None:
        pytest.fail("openbox is missing; install it with: apt-get install openbox")
    ready = tmp_path / "openbox-is-up"
    command = [program, "--sm-disable", "--startup", f"touch {ready}"]
    with (tmp_path / "openbox.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, "DISPLAY": x_display}, stdout=log, stderr=log)
    try:
        wait_until(ready.exists)
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def drive(qapp) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on Qt's loop, as the program does."""
    import qasync
    from PySide6.QtCore import QTimer

    qapp.setQuitOnLastWindowClosed(False)  # as the program does: the end is the loop's, not the last window's

    def run(work: Coroutine[Any, Any, None]) -> None:
        loop = qasync.QEventLoop(qapp)
        asyncio.set_event_loop(loop)
        try:
            with loop:
                loop.run_until_complete(asyncio.wait_for(work, 500))
        except BaseException:
            for widget in qapp.topLevelWidgets():  # what a failed test left must not beat on without a loop
                for timer in widget.findChildren(QTimer):
                    timer.stop()
            raise
        finally:
            asyncio.set_event_loop(None)

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Coroutine[Any, Any, None]]:
    """Wait until something is so; the window has no event for most of it."""

    async def wait(condition: Callable[[], object], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.05)

    return wait


class Program:
    """`tally …` with a window, as a process; remembers every process that belongs to it."""

    def __init__(self, arguments: list[str], log: Path, temporary: Path) -> None:
        self._log = log
        self._temporary = temporary
        self._seen: dict[int, float] = {}
        with log.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, "-m", "gui.cli", *arguments], stdout=file, stderr=file)

    def look(self) -> None:
        """Take down which processes there are: our children, and those of the lab's state."""
        try:
            found = [p.pid for p in psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            found = []
        for state in self._temporary.glob("tally-demo-*/lab/state.json"):
            try:
                content = json.loads(state.read_text())
            except (OSError, ValueError):
                continue  # being written or taken away at this moment
            found += [entry["pid"] for entry in content.get("processes", []) if entry.get("pid")]
        for pid in found:
            try:
                self._seen.setdefault(pid, psutil.Process(pid).create_time())
            except psutil.NoSuchProcess:
                continue

    def wait_for(self, condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            self.look()
            time.sleep(0.05)  # looks at other processes, which tell nobody

    def end(self, seconds: float = 60) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still there after {seconds:g} s: {self.said()}"
            self.look()
            time.sleep(0.05)  # looks at another process, which tells nobody
        return self.process.returncode

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def left(self) -> list[str]:
        """Processes that were ours and are still there; one that was killed needs a moment to be gone."""
        deadline = time.monotonic() + ENDING
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive

    def _alive(self) -> list[str]:
        alive = []
        for pid, born in self._seen.items():
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - born) < 0.1 and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(" ".join(process.cmdline()))
            except psutil.NoSuchProcess:
                continue
        return alive

    @property
    def seen(self) -> int:
        return len(self._seen)


@pytest.fixture
def start(x_display: str, own_places: Path, tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Program]]:
    """Start `tally` with these arguments under the tests' X server."""
    monkeypatch.setenv("DISPLAY", x_display)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    started: list[Program] = []

    def run(*arguments: str) -> Program:
        started.append(Program(list(arguments), tmp_path / "said.log", own_places))
        return started[-1]

    yield run
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait(10)
