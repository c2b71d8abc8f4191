"""Preflight: the checklist of the plan that Run starts, line by line; again for one line; and the run after it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from gui.campaign.plan import Plan
from gui.campaign.planfile import format_plan
from gui.models.checklist import Line, PlanTotals, totals
from gui.models.plans import ChosenPlan
from gui.pages.desk import Desk
from gui.runner.checklist import Check, Fix, Item, checklist_text, in_order, verdict
from gui.runner.lab import LabMissingError, lab_files
from gui.runner.lasting import end_fault
from gui.runner.preflight import Preflight
from gui.runner.resolve import present_clients
from gui.runner.workspace import Workspace

log = logging.getLogger("tally.window")


class Checklist(Protocol):
    """What looks: `gui.runner.preflight.Preflight`."""

    items: tuple[Item, ...]

    def look(self, names: Sequence[str] | None = None) -> AsyncIterator[Item | Check]: ...


class PreflightView(Protocol):
    """The page."""

    def show_plan(self, name: str, remark: str, totals: PlanTotals | None) -> None: ...
    def show_lines(self, lines: Sequence[Line]) -> None: ...
    def show_nothing(self, why: str, action: str) -> None: ...
    def set_busy(self, *, busy: bool) -> None: ...
    def set_run(self, words: str, *, can: bool, why: str) -> None: ...


class Starter(Protocol):
    """Who begins a run."""

    def run_plan(self, plan: Plan, text: str = "", directory: Path | None = None, checks: Sequence[Check] = ()) -> None:
        """Run a plan; `checks` were made before it."""


class PreflightPresenter:
    """`copy` puts a text on the clipboard."""

    def __init__(
        self,
        desk: Desk,
        page: PreflightView,
        starter: Starter,
        copy: Callable[[str], object],
        make: Callable[..., Checklist] = Preflight,
    ) -> None:
        self._desk = desk
        self._page = page
        self._starter = starter
        self._copy = copy
        self._make = make
        self._chosen: ChosenPlan | None = None
        """As it was chosen under Plans when it was taken from there."""
        self._plan: Plan | None = None
        """The plan that is checked: that one, or one that a fix has changed for this run."""
        self._workspace: Workspace | None = None
        self._list: Checklist | None = None
        self._lines: list[Line] = []
        self._task: asyncio.Task[Any] | None = None
        self._running = False

    # ---- what the window tells

    def shown(self) -> None:
        """The page comes to the front: check the chosen plan, unless that was done already."""
        workspace, chosen = self._desk.workspace, self._desk.chosen
        if workspace is None:
            self._forget()
            why = self._desk.absent or "No workspace is open: there are no servers and clients to look at."
            self._page.show_nothing(why, "plans" if self._desk.absent else "welcome")
        elif chosen is None:
            self._forget()
            self._page.show_nothing("The text that is open under Plans is not a plan: mend it first.", "plans")
        elif (workspace, chosen.plan, chosen.directory) != (
            self._workspace,
            self._chosen.plan if self._chosen else None,
            self._chosen.directory if self._chosen else None,
        ):
            self.take(chosen)

    def take(self, chosen: ChosenPlan) -> None:
        """Check this plan from the beginning."""
        self._chosen, self._workspace = chosen, self._desk.workspace
        self._use(chosen.plan)

    def detach(self) -> None:
        """The workspace is closed: what was found there is over."""
        self._forget()
        if self._desk.current_page() == "preflight":
            self.shown()

    def set_running(self, *, running: bool) -> None:
        """Whether a run is under way; then none can be started."""
        self._running = running
        self._show()

    # ---- what a click does

    @property
    def busy(self) -> bool:
        """Whether lines are being looked at."""
        return self._task is not None and not self._task.done()

    @property
    def lines(self) -> Sequence[Line]:
        """The lines of the checklist, as they are now."""
        return self._lines

    def begin(self, names: Sequence[str] | None = None) -> None:
        """Look at all lines, or at these and what they need."""
        if self._list is None or self.busy:
            return
        wanted = {item.name for item in (self._list.items if names is None else in_order(names, self._list.items))}
        self._lines = [replace(line, state="waiting") if line.item.name in wanted else line for line in self._lines]
        self._task = self._desk.background(self._look(self._list, names), "preflight")
        self._show()

    def stop(self) -> None:
        """Stop looking; what was found stays, the rest is not checked."""
        if self._task is not None:
            self._task.cancel()

    def fix(self, fix: Fix) -> None:
        """Do what a button of a line offers."""
        match fix.kind:
            case "copy":
                self._copy(fix.value)
            case "go":
                self._desk.go(fix.value, **fix.place)
            case "plan" if fix.plan is not None and not self.busy:
                self._use(fix.plan)
            case "end":
                self._desk.background(self._end_fault(fix.value), "end a fault")
            case _:
                pass

    async def _end_fault(self, do: str) -> None:
        """End a fault of the lab, and look at its line again."""
        workspace = self._workspace
        if workspace is None or workspace.lab is None:
            return
        try:
            await end_fault(workspace.lab, do)
        except LabMissingError as error:
            self._desk.complain("lab", str(error))
        if self._workspace is workspace:
            self.begin(["lab"])

    def run(self) -> None:
        """Run the plan that was checked; what was found is kept with the run."""
        if self._plan is None or self._chosen is None or self._running or self.busy:
            return
        text = self._chosen.text if self._plan == self._chosen.plan else format_plan(self._plan)
        self._starter.run_plan(self._plan, text, self._chosen.directory, self.checks())

    def copy_text(self) -> None:
        """Put the checklist on the clipboard."""
        self._copy(f"{checklist_text(self.checks())}\n\n{verdict(self.checks())}\n")

    def copy_command(self) -> None:
        """Put the command that does the same on the clipboard."""
        if self._chosen is not None:
            self._copy(self._chosen.command)

    def checks(self) -> tuple[Check, ...]:
        """What was found, in the order of the lines; a line that was not looked at is not in it."""
        return tuple(
            line.check for line in self._lines if line.check is not None and line.state not in ("waiting", "checking")
        )

    # ---- inside

    def _use(self, plan: Plan) -> None:
        """Check this plan."""
        workspace, chosen = self._workspace, self._chosen
        if workspace is None or chosen is None:
            return
        self.stop()
        self._task = None
        self._plan = plan
        self._list = self._make(workspace, plan, directory=chosen.directory)
        self._lines = [Line(item) for item in self._list.items]
        self.begin()

    def _forget(self) -> None:
        self.stop()
        self._task = None
        self._chosen = self._plan = self._workspace = self._list = None
        self._lines = []

    async def _look(self, checklist: Checklist, names: Sequence[str] | None) -> None:
        try:
            async for found in checklist.look(names):
                if self._list is not checklist:
                    return
                self._put(found)
                self._show()
                await asyncio.sleep(0)  # what is found without waiting would all be shown in one turn of the loop
        finally:
            if self._list is checklist:
                self._lines = [_given_up(line) for line in self._lines]
                self._task = None
                self._show()

    def _put(self, found: Item | Check) -> None:
        for place, line in enumerate(self._lines):
            if line.item.name == found.name:
                if isinstance(found, Check):
                    self._lines[place] = Line(line.item, found.state, found)
                else:
                    self._lines[place] = replace(line, state="checking")

    def _show(self) -> None:
        plan, chosen, workspace = self._plan, self._chosen, self._workspace
        if plan is None or chosen is None or workspace is None:
            return
        changed = "" if plan == chosen.plan else "changed for this run"
        files = lab_files(workspace.lab) if workspace.lab else ()
        clients = len(present_clients(workspace.hub))
        self._page.show_plan(plan.name, changed, totals(plan, workspace.servers(), files, clients))
        self._page.show_lines(self._lines)
        self._page.set_busy(busy=self.busy)
        why = "A run is under way." if self._running else "The checks are not over yet." if self.busy else ""
        self._page.set_run(plan.name, can=not why, why=why)


def _given_up(line: Line) -> Line:
    """A line that nobody looks at any more: it is not checked, whatever was found before."""
    if line.state not in ("waiting", "checking"):
        return line
    stopped = Check(line.item.name, line.item.title, "skipped", "Stopped before it was looked at.")
    return Line(line.item, "skipped", stopped)
