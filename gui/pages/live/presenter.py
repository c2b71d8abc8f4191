"""Live: the progress of the run; before it the stages of a demonstration; while nothing runs, what ran last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gui.campaign.plan import Plan
from gui.campaign.planfile import PlanError, parse_plan
from gui.models.series import PlotTable
from gui.models.states import outcome_state
from gui.pages.desk import Desk
from gui.runner.progress import RunProgress
from gui.store import NoSuchRowError, RunEntry


@dataclass(frozen=True, slots=True)
class LastRun:
    """What ran last: its number, and what is said of it."""

    run: int
    sentence: str


class LiveView(Protocol):
    """The page."""

    def show_progress(self, progress: RunProgress) -> None: ...
    def show_stage(self, text: str) -> None: ...
    def show_nothing(self) -> None: ...
    def show_last(self, last: LastRun | None) -> None: ...
    def show_saved(self, path: Path, error: str = "") -> None: ...


class LivePresenter:
    """See the module. `run_plan` starts a plan."""

    def __init__(self, desk: Desk, page: LiveView, run_plan: Callable[[Plan, str], object]) -> None:
        self._desk = desk
        self._page = page
        self._run_plan = run_plan

    def progressed(self, progress: RunProgress) -> None:
        """Show this moment of the run."""
        self._page.show_progress(progress)

    def stage(self, text: str) -> None:
        """Show what a demonstration is doing; an empty text ends that."""
        self._page.show_stage(text)

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._page.show_nothing()
        self._page.show_last(None)

    def read_last(self) -> None:
        """Read what ran last, in the background."""
        self._desk.background(self.show_last(), "read the last run")

    async def show_last(self) -> None:
        """Say what ran last in this workspace."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        runs = await workspace.blocking(workspace.store.runs, 1)
        if self._desk.workspace is workspace:
            self._page.show_last(last_run(runs[0]) if runs else None)

    def show_result(self, run: int, test: int) -> None:
        """Show the result of a run, or of one of its tests."""
        if test:
            self._desk.go("result", run=run, test=test)
        else:
            self._desk.go("result", run=run)

    async def write_table(self, path: Path, table: PlotTable) -> None:
        """Write what is plotted to a file."""
        try:
            await asyncio.to_thread(table.write, path)
        except OSError as error:
            self._page.show_saved(path, error.strerror or str(error))
        else:
            self._page.show_saved(path)

    async def run_again(self, run: int) -> None:
        """Run the plan of this run once more."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            entry = await workspace.blocking(workspace.store.run, run)
            plan = parse_plan(entry.plan_text)
        except NoSuchRowError:
            self._desk.complain("run", f"Run {run} is no longer in this workspace.")
        except PlanError as error:
            self._desk.complain("run", f"The plan of run {run} cannot be run: {error}")
        else:
            if self._desk.workspace is workspace:
                self._run_plan(plan, entry.plan_text)


def last_run(entry: RunEntry) -> LastRun:
    """``run 35, pass: osdf-2021``."""
    word = outcome_state(entry.state)[1]
    return LastRun(entry.id, f"run {entry.id}, {word}" + (f": {entry.name}" if entry.name else ""))
