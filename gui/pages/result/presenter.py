"""Result: one run, one test; scoring again, and reports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from gui import report
from gui.models.requests import TestDetail, read_test
from gui.models.runs import RunView, TestRow, read_run
from gui.pages.desk import Desk
from gui.reconcile import score
from gui.store import Store

REPORTS = "HTML (*.html);;PDF (*.pdf);;CSV (*.csv);;JSON (*.json);;Text (*.txt);;Markdown (*.md);;JUnit (*.xml)"


class ResultView(Protocol):
    """The page."""

    def show_run(self, view: RunView, test: int | None = None) -> None: ...
    def show_test(self, detail: TestDetail) -> None: ...
    def clear(self) -> None: ...


class ResultPresenter:
    """What is shown of a run."""

    def __init__(self, desk: Desk, page: ResultView) -> None:
        self._desk = desk
        self._page = page
        self.run: int | None = None
        """The run that is open."""

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.run = None
        self._page.clear()

    def read(self) -> None:
        """Read the open run again, in the background."""
        if self.run is not None:
            self._desk.background(self.show_run(self.run), "read a run")

    async def show_run(self, run: int, test: int | None = None) -> None:
        """Open a run."""
        workspace = self._desk.workspace
        if workspace is not None:
            self.run = run
            view = await workspace.blocking(read_run, workspace.store, run)
            if self._desk.workspace is workspace and self.run == run:
                self._page.show_run(view, test)

    async def show_test(self, test: TestRow) -> None:
        """Open a test of the run that is open."""
        workspace = self._desk.workspace
        if workspace is not None:
            detail = await workspace.blocking(read_test, workspace.store, test)
            if self._desk.workspace is workspace:
                self._page.show_test(detail)

    async def recheck(self, run: int) -> None:
        """Score a run again, and open it."""
        workspace = self._desk.workspace
        if workspace is not None:
            for repeat in await workspace.blocking(workspace.store.repeats, run):
                await workspace.blocking(score, workspace.store, repeat.id, "recheck", time.time())
            await self.show_run(run)

    async def write_report(self, run: int, path: Path) -> None:
        """Write the report of a run to a file."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            await workspace.blocking(write_report, workspace.store, run, path)
        except OSError as error:
            why = error.strerror or type(error).__name__
            self._desk.complain("report", f"The report cannot be written to {path}: {why}.", "Choose another place.")
        except ValueError as error:
            self._desk.complain("report", f"The report cannot be written to {path}: {error}")


def write_report(store: Store, run: int, path: Path) -> None:
    """Write the report of a run in the format of the file name's suffix. Blocking. Raises OSError and ValueError."""
    wanted = report.format_of(path.name)
    path.write_bytes(report.render(report.build(store, run, **report.wants((wanted,))), wanted))
