"""The desktop program: its first paint, the window, and its end.

The frame and the first page are painted before anything heavy is imported (the database, the bus, numpy and the plots
take most of a second); then `gui.app.window` puts pages and a workspace into that frame. Qt's loop and asyncio's are
one (qasync): never `exec` a dialog and never `processEvents` in a task. Both run the loop inside itself, and asyncio
then never wakes some tasks.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import qasync
from PySide6.QtCore import QCoreApplication, QSettings, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QWidget

from gui.pages.welcome.page import WelcomePage
from gui.widgets.frame import Frame
from gui.widgets.icons import application_icon
from gui.widgets.locale import use_kept_writing
from gui.widgets.theme import application_font, theme
from gui.widgets.zoom import zoom

if TYPE_CHECKING:
    from gui.app.window import Window
    from gui.campaign.plan import Plan
    from gui.runner.demo import DemoOptions
    from gui.runner.hubs import HubKey
    from gui.runner.options import WorkspaceOptions

log = logging.getLogger("tally.window")

BETWEEN_TURNS = 0.005
"""Seconds to sleep between two turns of a loop whose display is gone."""


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page: its folder in `gui.pages` (also the name of its icon), its title, and where its button is."""

    name: str
    title: str
    place: Literal["rail", "foot", "menu", "inner"] = "rail"
    """In the rail, at its foot, or only in the menu View. An inner page is reached from another one, `under`."""
    under: str = ""
    """The page of the rail that is marked while this one is shown."""


PAGES = (
    PageEntry("fleet", "Fleet"),
    PageEntry("plans", "Plans"),
    PageEntry("live", "Live"),
    PageEntry("runs", "Runs"),
    PageEntry("agent", "Agent", "inner", "fleet"),
    PageEntry("result", "Result", "inner", "runs"),
    PageEntry("evidence", "Evidence", "inner", "runs"),
    PageEntry("compare", "Compare", "inner", "runs"),
    PageEntry("pipeline", "Pipeline"),
    PageEntry("settings", "Settings", "foot"),
    PageEntry("preflight", "Preflight", "inner", "plans"),
    PageEntry("inspector", "Datagram inspector", "menu", "pipeline"),
)
"""The pages in the order of the rail, which is that of their keys (Ctrl+1 …); menu and inner pages come last."""


def page_names() -> tuple[str, ...]:
    """The names of the pages, in the order of the rail."""
    return tuple(page.name for page in PAGES)


def make_application() -> QApplication:
    """The Qt application with our names, font and theme."""
    application = QApplication.instance()
    if application is None:
        QCoreApplication.setOrganizationName("xrootd-tally")
        QCoreApplication.setApplicationName("tally")
        application = zoom().begin(lambda: QApplication(sys.argv[:1]))
    assert isinstance(application, QApplication)
    application.setOrganizationName("xrootd-tally")
    application.setApplicationName("tally")
    application.setDesktopFileName("org.xrootd.tally")
    use_kept_writing()
    application.setStyle("Fusion")
    application.setFont(application_font())
    application.setWindowIcon(application_icon())
    application.setQuitOnLastWindowClosed(False)
    mode = str(QSettings().value("theme", "system"))
    theme().set_mode(mode if mode in ("light", "dark") else "system")  # type: ignore[arg-type]
    theme().follow_system()
    return application


def make_frame() -> tuple[Frame, WelcomePage]:
    """The window at its first paint: its frame with the page Welcome; the other pages are still empty."""
    frame, welcome = Frame(), WelcomePage()
    frame.add_page("welcome", welcome)
    number = 0
    for page in PAGES:
        number += page.place in ("rail", "foot")
        key = f"Ctrl+{number}" if number <= 9 and page.place in ("rail", "foot") else ""
        frame.add_page(page.name, QWidget(), title=page.title, key=key, place=page.place, under=page.under)
    frame.restore()
    frame.go("welcome")
    return frame, welcome


def make_window(data: Path, demo: DemoOptions | None = None) -> Window:
    """The complete window; `demo` is what "Try it on this machine" starts."""
    from gui.app.window import Window

    return Window(*make_frame(), pages=page_names(), data=data, demo=demo)


def run_window(
    *,
    data: Path,
    database: str | None = None,
    workspace: WorkspaceOptions | None = None,
    plan: Plan | None = None,
    plan_text: str = "",
    plan_directory: Path | None = None,
    local_clients: int | None = None,
    demo: DemoOptions | None = None,
    opened: Path | None = None,
    hub: HubKey | None = None,
    insecure: bool = False,
) -> int:
    """Open the window and return when it is closed: empty, with a workspace, running a plan, with a demonstration, or
    on a remote `hub` (`insecure`: without TLS, on this machine). `opened`: a plan or bundle to show, in the default
    workspace unless another is named.

    SIGINT, SIGTERM and the end of its terminal close it as the user would; so does the loss of its display, with exit
    code 1."""
    application = make_application()
    frame, welcome = make_frame()

    async def main() -> None:
        asked = asyncio.Event()
        frame.closing.connect(asked.set)
        loop = asyncio.get_running_loop()
        for number in _ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup: the window stays open
                with contextlib.suppress(NotImplementedError):  # a loop without signal handlers (Windows)
                    loop.add_signal_handler(number, frame.close_at_once)
        seen = asyncio.Event()
        frame.first_painted.connect(seen.set)
        frame.closing.connect(seen.set)  # a closed window, or one without a display, is never painted
        frame.show()
        await seen.wait()
        log.debug("= painted for the first time, or closed")
        if asked.is_set():  # closed before there was anything to stop
            return
        from gui.app.mishaps import reported
        from gui.app.window import Window

        window = Window(frame, welcome, pages=page_names(), data=data, demo=demo)
        stack.enter_context(reported(window.problem))
        gc.freeze()  # Everything loaded by now stays; a full collection would scan all of it and stall for 75 ms.
        named = database or (str(window.home.default) if opened is not None else None)
        options = workspace or (window.options_for(named) if named else None)
        if demo is not None:
            window.try_here()
        elif hub is not None:
            await window.home.open_hub(hub, insecure=insecure)
        elif options is not None and await window.open(options, local_clients=local_clients):
            if plan is not None:
                window.run_plan(plan, plan_text, plan_directory)
            if opened is not None:
                window.opening.open_named(opened)
        await window.done.wait()

    with contextlib.ExitStack() as stack:
        return _run_to_the_end(application, main(), frame.closing.emit)


_ENDINGS = (
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGINT, signal.SIGTERM)
)


async def _end_tasks() -> None:
    """Cancel tasks that still run (as when the window's own task failed) and wait for them, so that no lab stays up."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    for outcome in await asyncio.gather(*rest, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("! a task failed while the window was closing", exc_info=outcome)


def _run_to_the_end(application: QApplication, work: Coroutine[Any, Any, None], close: Callable[[], object]) -> int:
    """Run `work` on Qt's loop; returns 0, or 1 when the display was lost.

    Qt ends its loop when the connection to its display breaks (the user logs out, ssh -X is cut). What was started must
    still be stopped: the loop is entered again until everything is done, and `close` is called once. Each time Qt
    handles some of the waiting events before it notices the broken connection again."""
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
                # Not run_until_complete: it ends with a turn in which no loop is running, and waiting tasks would fail.
                loop.run_forever()
                if not task.done():
                    if not lost:
                        lost = True
                        log.error("! the display is gone; stopping everything that runs")
                        qInstallMessageHandler(lambda *_: None)  # Qt would report it at every turn
                        loop.call_soon(close)
                    time.sleep(BETWEEN_TURNS)
        finally:
            task.remove_done_callback(
                stop
            )  # if something was raised above, the end of this task must not stop the next one
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
