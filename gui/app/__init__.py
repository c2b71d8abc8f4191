"""The desktop program: its first paint, the window, and its end.

The frame and the first page are painted before anything heavy is imported (the database, the bus, numpy and the plots
take most of a second); then `gui.app.window` puts pages and a workspace into that frame. Qt's loop and asyncio's are
one (qasync): never `exec` a dialog and never `processEvents` in a task. Both turn the loop inside itself, and asyncio
then leaves tasks asleep for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qasync
from PySide6.QtCore import QSettings, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QWidget

from gui.pages.welcome import WelcomePage
from gui.widgets.frame import Frame
from gui.widgets.theme import application_font, theme

if TYPE_CHECKING:
    from gui.app.window import Window
    from gui.campaign.plan import Plan
    from gui.runner.demo import DemoOptions
    from gui.runner.workspace import WorkspaceOptions

log = logging.getLogger("tally.window")

BETWEEN_TURNS = 0.005
"""Seconds of rest between two turns of a loop whose screen is gone."""

PAGES = (
    ("fleet", "Fleet", "Ctrl+1"),
    ("plans", "Plans", "Ctrl+2"),
    ("live", "Live", "Ctrl+3"),
    ("runs", "Runs", "Ctrl+4"),
)
"""Pages of the rail: name (its icon's, too), title, key."""


def make_application() -> QApplication:
    """The Qt application with our names, font and theme."""
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setOrganizationName("xrootd-tally")
    application.setApplicationName("tally")
    application.setStyle("Fusion")
    application.setFont(application_font())
    application.setQuitOnLastWindowClosed(False)
    mode = str(QSettings().value("theme", "system"))
    theme().set_mode(mode if mode in ("light", "dark") else "system")  # type: ignore[arg-type]
    theme().follow_system()
    return application


def make_frame() -> tuple[Frame, WelcomePage]:
    """The window as it is painted first: its frame with the page Welcome, the others still empty."""
    frame, welcome = Frame(), WelcomePage()
    frame.add_page("welcome", welcome)
    for name, title, key in PAGES:
        frame.add_page(name, QWidget(), symbol=name, title=title, key=key)
    frame.restore()
    frame.go("welcome")
    return frame, welcome


def make_window(data: Path, demo: DemoOptions | None = None) -> Window:
    """The whole window at once; `demo` is what "Try it on this machine" does."""
    from gui.app.window import Window

    return Window(*make_frame(), data=data, demo=demo)


def run_window(
    *,
    data: Path,
    database: str | None = None,
    workspace: WorkspaceOptions | None = None,
    plan: Plan | None = None,
    plan_text: str = "",
    plan_directory: Path | None = None,
    local_clients: int = 0,
    demo: DemoOptions | None = None,
) -> int:
    """Open the window and stay until it is closed: empty, with a workspace, running a plan, or with a demonstration.

    SIGINT, SIGTERM and the end of its terminal close it as a person would; so does the end of its screen, with exit
    code 1."""
    application = make_application()
    frame, welcome = make_frame()

    async def main() -> None:
        asked = asyncio.Event()
        frame.closing.connect(asked.set)
        loop = asyncio.get_running_loop()
        for number in _ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it to go on
                with contextlib.suppress(NotImplementedError):  # a loop that hears no signals (Windows)
                    loop.add_signal_handler(number, frame.close)
        seen = asyncio.Event()
        frame.first_painted.connect(seen.set)
        frame.closing.connect(seen.set)  # a window that is closed, or whose screen is gone, will never be painted
        frame.show()
        await seen.wait()
        log.debug("= painted for the first time, or closed")
        if asked.is_set():  # closed before there was anything to end
            return
        from gui.app.window import Window

        window = Window(frame, welcome, data=data, demo=demo)
        gc.freeze()  # What is loaded by now stays: a full collection would go through all of it, a stall of 75 ms.
        options = workspace or (window.options_for(database) if database else None)
        if demo is not None:
            window.try_here()
        elif options is not None and await window.open(options, local_clients=local_clients) and plan is not None:
            window.run_plan(plan, plan_text, plan_directory)
        await window.done.wait()

    return _run_to_the_end(application, main(), frame.closing.emit)


_ENDINGS = (
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGINT, signal.SIGTERM)
)


async def _end_tasks() -> None:
    """What still runs, as when the window's own task failed, is cancelled and waited for: a lab must not stay up."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    for outcome in await asyncio.gather(*rest, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("! a task failed while the window ended", exc_info=outcome)


def _run_to_the_end(application: QApplication, work: Coroutine[Any, Any, None], close: Callable[[], object]) -> int:
    """Run `work` on Qt's loop; 0, or 1 when the screen went away.

    Qt ends its loop when the connection to its screen breaks (a session that is logged out, ssh -X that is cut). What
    was started must still be ended: the loop is entered again and again, and `close` asked for once, until all is done.
    Each time Qt takes part of the waiting events and then finds out again."""
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    lost = False

    def complete(part: Coroutine[Any, Any, Any], name: str) -> None:
        nonlocal lost

        def stop(_: asyncio.Task[Any]) -> None:
            loop.stop()

        task = loop.create_task(part, name=name)
        task.add_done_callback(stop)
        try:
            while not task.done():
                # Not run_until_complete: that ends with a turn in which no loop is running, and what waits then fails.
                loop.run_forever()
                if not task.done():
                    if not lost:
                        lost = True
                        log.error("! the screen is gone; what is running is being ended")
                        qInstallMessageHandler(lambda *_: None)  # Qt would say so at every turn
                        loop.call_soon(close)
                    time.sleep(BETWEEN_TURNS)
        finally:
            task.remove_done_callback(stop)  # its end, when something was raised here before, is not that of the next
        task.result()

    try:
        with loop:
            try:
                complete(work, "window")
            finally:
                complete(_end_tasks(), "end of tasks")
                complete(loop.shutdown_asyncgens(), "end of generators")
                complete(loop.shutdown_default_executor(), "end of threads")
    finally:
        asyncio.set_event_loop(None)
    return int(lost)
