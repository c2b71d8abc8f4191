"""Runs: the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gui.models.runs import RunView, read_runs
from gui.pages.desk import Desk
from gui.report import seal_sentence
from gui.runner.bundles import take_in_bundle
from gui.runner.errors import EXPECTED
from gui.runner.workspace import Workspace


class RunsView(Protocol):
    """The page."""

    def set_runs(self, views: Sequence[RunView]) -> None: ...
    def busy(self, text: str) -> None: ...
    def say(self, text: str, colour: str, run: int | None = None) -> None: ...


class RunsPresenter:
    """`seen` is told the runs of a workspace each time they were read. `keys`: the directory of the hub's keys."""

    def __init__(
        self, desk: Desk, page: RunsView, seen: Callable[[Workspace, Sequence[RunView]], None], keys: Path
    ) -> None:
        self._desk = desk
        self._page = page
        self._seen = seen
        self._keys = keys
        self.views: Sequence[RunView] = ()

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.views = ()
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
                self.views = views
                self._page.set_runs(views)
                self._seen(workspace, views)

    async def take_in(self, path: Path) -> None:
        """Import the run of a bundle, and say who made it and whether it was altered."""
        workspace = self._desk.workspace
        if workspace is None:
            self._page.say("No workspace is open: a bundle is taken into one.", "warn")
            return
        self._page.busy(f"Checking {path.name}…")
        try:
            imported = await workspace.blocking(take_in_bundle, workspace.store, path, self._keys)
        except OSError as error:
            self._page.say(f"{path.name} cannot be read: {error.strerror or type(error).__name__}.", "bad")
            return
        except EXPECTED as error:
            self._page.say(str(error), "bad")
            return
        if self._desk.workspace is not workspace:
            return
        words = [f"Run {imported.run} was taken in from {path.name}.", seal_sentence(imported.seal)]
        if imported.seal.differs:
            words.append(f"Scored again here, its figures differ: {imported.seal.differs[0]}.")
        self._page.say(" ".join(words), "ok" if imported.sound else "bad", imported.run)
        await self.refresh()
