"""Runs: the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gui.models.runs import RunView, read_runs
from gui.pages.desk import Desk
from gui.runner.workspace import Workspace


class RunsView(Protocol):
    """The page."""

    def set_runs(self, views: Sequence[RunView]) -> None: ...


class RunsPresenter:
    """`seen` is told the runs of a workspace each time they were read."""

    def __init__(self, desk: Desk, page: RunsView, seen: Callable[[Workspace, Sequence[RunView]], None]) -> None:
        self._desk = desk
        self._page = page
        self._seen = seen

    def detach(self) -> None:
        """Show that no workspace is open."""
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
