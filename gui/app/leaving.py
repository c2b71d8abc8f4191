"""What becomes of the run when its window, or its workspace, is closed: asked once, in one dialog.

- *Stop*: what was asked is scored and kept. Takes two seconds at most; what is left to do then, the next start does.
- *Go on without the window*: a `tally run` process takes the run over, in the middle of a round
  (`gui.runner.handover`).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox

from gui.app.background import Background
from gui.app.home import Home
from gui.models.plain import straight
from gui.runner.progress import RunProgress
from gui.runner.successor import SuccessorError
from gui.runner.workspace import Workspace
from gui.widgets.frame import Frame

log = logging.getLogger("tally.window")


class Leaving:
    """See the module. `complain` shows an error, `stop` ends the run within a moment."""

    def __init__(
        self,
        frame: Frame,
        home: Home,
        background: Background,
        complain: Callable[[str, str, str], object],
        stop: Callable[[], object],
    ) -> None:
        self._frame = frame
        self._home = home
        self._background = background
        self._complain = complain
        self._stop = stop
        self._box: QMessageBox | None = None
        self.handing_over = False

    def may_close(self) -> bool:
        """Whether the window may be closed now; if a run is under way, the user is asked, and then it is closed."""
        if self._home.closing or _logging_out():
            return True
        return not self._ask("quit", self._frame.close_at_once)

    def unless_running(self, what: str, call: Callable[[], object]) -> None:
        """Call `call`, for which the workspace is closed; if a run is under way, ask what becomes of it first."""
        if not self._ask(what, call):
            call()

    def _ask(self, what: str, call: Callable[[], object]) -> bool:
        """Whether there is something to ask; `call` is called when it is decided."""
        workspace = self._home.workspace
        if workspace is None or workspace.remote or not (workspace.running or self.handing_over):
            return False  # a remote hub goes on with its run
        if self._box is not None:  # asked already
            self._box.raise_()
            self._box.activateWindow()
            return True
        if self.handing_over:
            return True
        file = self._home.data / "logs" / f"{_name(workspace.progress.latest.run)}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        box = self._box = QMessageBox(self._frame)
        box.setWindowTitle("A run is under way")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(straight(_sentence(workspace)))
        box.setInformativeText(straight(_choices(what, workspace, file)))
        stop = box.addButton(f"Stop and {what}", QMessageBox.ButtonRole.DestructiveRole)
        go_on = box.addButton("Go on without the window", QMessageBox.ButtonRole.AcceptRole)
        cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(cancel)
        box.setEscapeButton(cancel)

        def decided(_code: int) -> None:
            self._box = None
            if box.clickedButton() is stop:
                self._background.start(self._stop_and(call), "stop the run")
            elif box.clickedButton() is go_on:
                self.handing_over = True
                self._background.start(self._hand_over(workspace, file, call), "hand the run over")

        box.finished.connect(decided)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()  # never exec: it would run the loop inside itself
        return True

    async def _stop_and(self, call: Callable[[], object]) -> None:
        self._stop()
        await self._home.stop_run()
        call()

    async def _hand_over(self, workspace: Workspace, file: Path, call: Callable[[], object]) -> None:
        run = workspace.progress.latest.run
        try:
            pid = await self._home.hand_over(workspace, file)
        except SuccessorError as error:
            log.warning("! the run was not handed over: %s", error)
            self._complain("run", str(error), "The requests made so far are kept, and scored at the next start.")
            return
        finally:
            self.handing_over = False
        if pid:
            what = f"Run {run}" if run is not None else "The run"
            with contextlib.suppress(OSError):  # nobody reads it
                print(
                    f"{what} goes on without the window, in process {pid}; its log is {file}.\n"
                    "`tally results` shows what it has, and so does the window when it is opened again.",
                    file=sys.stderr,
                    flush=True,
                )
        call()


def _logging_out() -> bool:
    application = QGuiApplication.instance()
    return isinstance(application, QGuiApplication) and application.isSavingSession()


def _name(run: int | None) -> str:
    return "run" if run is None else f"run-{run}"


def _sentence(workspace: Workspace) -> str:
    p: RunProgress = workspace.progress.latest
    what = f"Run {p.run}" if p.run is not None else "A run"
    done = f": {p.run_requested:,} of {p.run_total:,} requests have been asked" if p.run_total else ""
    return f"{what} in {workspace.label} is under way{done}."


def _choices(what: str, workspace: Workspace, file: Path) -> str:
    return (
        f"Stop and {what}: what was asked so far is scored and kept.\n\n"
        "Go on without the window: tally run takes it over as a process of its own, with the same hub and database, "
        "in the middle of the round. Clients stay, nothing is asked twice.\n"
        f"Its log: {file}\n"
        f"To look: tally results --db {workspace.store.database.shown}, or open the window again."
    )
