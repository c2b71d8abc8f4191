"""Runs: the list, one run, one test, the evidence of a request; scoring again, and reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gui import report
from gui.models.runs import RunView, TestDetail, TestRow, read_run, read_runs, read_test
from gui.pages.desk import Desk
from gui.reconcile import Ladder, ladder_of, score
from gui.runner.workspace import Workspace
from gui.store import Store

REPORTS = "HTML (*.html);;PDF (*.pdf);;CSV (*.csv);;JSON (*.json);;Text (*.txt);;Markdown (*.md);;JUnit (*.xml)"


class RunsView(Protocol):
    """The page."""

    def set_runs(self, views: Sequence[RunView]) -> None: ...
    def show_run(self, view: RunView) -> None: ...
    def show_test(self, detail: TestDetail) -> None: ...
    def show_evidence(self, request_id: int, ladder: Ladder | None) -> None: ...
    def show_list(self) -> None: ...


class RunsPresenter:
    """`seen` is told the runs of a workspace each time they were read."""

    def __init__(self, desk: Desk, page: RunsView, seen: Callable[[Workspace, Sequence[RunView]], None]) -> None:
        self._desk = desk
        self._page = page
        self._seen = seen

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._page.show_list()
        self._page.set_runs(())

    def read(self) -> None:
        """Read the list again, in the background."""
        self._desk.background(self.refresh(), "read runs")

    async def refresh(self) -> None:
        """Read the list again."""
        workspace = self._desk.workspace
        if workspace is not None:
            views = await workspace.blocking(read_runs, workspace.store)
            if self._desk.workspace is workspace:
                self._page.set_runs(views)
                self._seen(workspace, views)

    async def show_run(self, run: int) -> None:
        """Open a run."""
        workspace = self._desk.workspace
        if workspace is not None:
            view = await workspace.blocking(read_run, workspace.store, run)
            if self._desk.workspace is workspace:
                self._page.show_run(view)

    async def show_test(self, test: TestRow) -> None:
        """Open a test of the run that is open."""
        workspace = self._desk.workspace
        if workspace is not None:
            detail = await workspace.blocking(read_test, workspace.store, test)
            if self._desk.workspace is workspace:
                self._page.show_test(detail)

    async def show_evidence(self, request: int) -> None:
        """Open what explains the verdict of a request."""
        workspace = self._desk.workspace
        if workspace is not None:
            ladder = await workspace.blocking(ladder_of, workspace.store, request)
            if self._desk.workspace is workspace:
                self._page.show_evidence(request, ladder)

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
