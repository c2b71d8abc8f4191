"""The window's tests run on a real X server: an Xvfb of their own, whatever screen the machine has."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def screen() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An Xvfb: ``:N`` and its process."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.fail("Xvfb is missing; install it with: apt-get install xvfb")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
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
