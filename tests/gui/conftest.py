"""The window's tests run on a real X server: an Xvfb of their own, whatever screen the machine has."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@contextlib.contextmanager
def screen(width: int = 1600, height: int = 1000) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An Xvfb of that size: ``:N`` and its process."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.fail("Xvfb is missing; install it with: apt-get install xvfb")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], 20)
        assert ready, "Xvfb did not start within 20 s"
        yield ":" + os.read(reader, 32).decode().strip(), process
    finally:
        os.close(reader)
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def x_display() -> Iterator[str]:
    """``:N`` of an Xvfb that lives as long as the tests."""
    with screen() as (display, _):
        yield display


@pytest.fixture
def small_screen(request: pytest.FixtureRequest) -> Iterator[str]:
    """``:N`` of an Xvfb of the size that the test is given as parameter."""
    with screen(*request.param) as (display, _):
        yield display


@pytest.fixture
def own_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An Xvfb that a test may end; programs that are started from now on are shown there."""
    with screen() as (display, process):
        monkeypatch.setenv("DISPLAY", display)
        yield process


@pytest.fixture(scope="session")
def qapp_args(x_display: str) -> list[str]:
    """pytest-qt makes its application with these; the display must be known before it does."""
    os.environ["DISPLAY"] = x_display
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    os.environ.pop("WAYLAND_DISPLAY", None)
    return ["tally-tests"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning of Qt's own fails the test that caused it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and {"qapp", "qtbot"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))


@pytest.fixture(autouse=True)
def own_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Each test of the window begins with no remembered widths or geometry, in the light theme. Others have none."""
    if not {"qapp", "qtbot"} & set(request.fixturenames):
        yield
        return
    qapp = request.getfixturevalue("qapp")
    from PySide6.QtCore import QSettings

    from gui.widgets.theme import application_font, theme

    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path))
    qapp.setOrganizationName("tally-tests")
    qapp.setApplicationName("tally-tests")
    if not qapp.property("looks"):  # each costs a new look at every widget that is still there
        qapp.setProperty("looks", True)
        qapp.setStyle("Fusion")
        qapp.setFont(application_font())
    theme().set_mode("light")
    yield
    QSettings().clear()
    from PySide6.QtCore import QCoreApplication, QEvent
    from PySide6.QtWidgets import QApplication

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = QApplication.activeModalWidget()
    if left is not None:  # it would take mouse and keys from every test that follows
        left.close()
        pytest.fail(f"the test leaves a dialog open: {type(left).__name__} “{left.windowTitle()}”")


# ---- a desk without a window: presenters are tested without Qt and without a screen


class FakeDesk:
    """Keeps what presenters ask of it. `workspace` and `page` are what the test says."""

    def __init__(self) -> None:
        self.workspace: Any = None
        self.chosen: Any = None
        self.closing = False
        self.absent = ""
        self.page = "welcome"
        self.place: dict[str, object] = {}
        self.said: list[tuple[str, str, str]] = []
        self._tasks: list[asyncio.Task[Any]] = []

    def background(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def settle(self) -> list[str]:
        """Wait for all that was started; the names of it."""
        await asyncio.gather(*self._tasks)
        names = [task.get_name() for task in self._tasks]
        self._tasks.clear()
        return names

    def complain(self, where: str, text: str, remedy: str = "") -> None:
        self.said.append((where, text, remedy))

    def current_page(self) -> str:
        return self.page

    def go(self, page: str, **place: object) -> None:
        self.page = page
        self.place = place


class Recorder:
    """A page: every call is kept as (name, arguments)."""

    def __init__(self, **attributes: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **named: Any) -> None:
            self.calls.append((name, *arguments, *named.values()))

        return call


class FakeWorkspace(SimpleNamespace):
    """As much of a workspace as presenters use; what blocks is called at once."""

    remote = ""
    bus_shown = ""
    database_shown = "/w.db", "SQLite"

    async def blocking(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    async def have(self, run: int) -> None:
        """Everything is there."""

    def why_not(self, need: str) -> str:
        return ""


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def page() -> Recorder:
    return Recorder()


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def make_workspace() -> type[FakeWorkspace]:
    return FakeWorkspace
