"""Evidence: the course of one request, and of those before and after it in the list that it was opened from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gui.campaign.plan import Plan
from gui.campaign.planfile import PlanError, format_plan, parse_plan
from gui.models.course import CourseView, view_of
from gui.models.faults import plan_without
from gui.models.rows import filter_word
from gui.pages.desk import Desk
from gui.reconcile import Courses
from gui.runner.workspace import Workspace
from gui.store import NoSuchRowError

NO_DATAGRAMS = (
    "No datagrams of this run are kept: they leave the shoveler's spool once the broker has them. To keep them, record "
    "a capture beside the shoveler, and open that in the inspector."
)


class EvidenceView(Protocol):
    """The page."""

    def show_course(self, view: CourseView, place: tuple[int, int], named: str, datagrams: str) -> None: ...
    def clear(self) -> None: ...


class EvidencePresenter:
    """What is shown of a request. `among`: the requests that one can step through, in their order. `run_plan` starts a
    plan."""

    def __init__(self, desk: Desk, page: EvidenceView, run_plan: Callable[[Plan, str], object]) -> None:
        self._desk = desk
        self._page = page
        self._run_plan = run_plan
        self.run: int | None = None
        self.request: int | None = None
        self.among: Sequence[int] = ()
        self.filter = ""
        self._courses: tuple[int, Courses] | None = None
        self._view: CourseView | None = None

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.run = self.request = self._courses = self._view = None
        self.among, self.filter = (), ""
        self._page.clear()

    def changed(self) -> None:
        """What was reported may have changed, as when a run has ended: read it again."""
        self._courses = None

    async def show(self, run: int, request: int, among: Sequence[int] | None = None, text: str | None = None) -> None:
        """Open a request. `among` and `text`: the list that it was opened from, and that list's filter."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        if among is not None or run != self.run:
            self.among, self.filter = among or (), text or ""
        self.run, self.request = run, request
        if self._stale(workspace, run):
            await workspace.have(run)
            if self._desk.workspace is not workspace:
                return
        try:
            courses = await self._read(workspace, run)
            view = await workspace.blocking(lambda: view_of(courses.of(request)))
        except NoSuchRowError as error:
            self._desk.complain("evidence", str(error), "It may have been deleted; open it from its run.")
            return
        if self._desk.workspace is workspace and (self.run, self.request) == (run, request):
            self._view = view
            self._page.show_course(view, self._place(), self._named(), self.why_no_datagrams())

    async def step(self, by: int) -> None:
        """Open the request before or after this one."""
        number = self._place()[0] + by
        if self.run is not None and 1 <= number <= len(self.among):
            await self.show(self.run, self.among[number - 1])

    def to_list(self) -> None:
        """Go back to the requests."""
        if self.run is None:
            self._desk.go("runs")
        else:
            self._desk.go("result", run=self.run, tab="requests")

    def to_together(self, group: str) -> None:
        """Show the requests that were lost with the same datagram."""
        if self.run is not None and group:
            self._desk.go("result", run=self.run, tab="requests", filter=filter_word("lost_with", group, exact=True))

    # ---- what to do about a loss that the plan injected

    def leave_out(self) -> None:
        """Show the result of the run without what its plan injected."""
        if self.run is not None:
            self._desk.go("result", run=self.run, tab="requests", leave_out=True)

    async def open_fault(self) -> None:
        """Show the fault in its plan."""
        view, plan = self._view, await self._plan()
        if view is not None and plan is not None and view.met:
            self._desk.go("plans", text=plan[1], fault=view.met[0])

    async def run_without(self) -> None:
        """Run the plan of this run without the faults that this request was lost by."""
        view, plan = self._view, await self._plan()
        workspace = self._desk.workspace
        if view is None or plan is None or workspace is None or not view.met:
            return
        if workspace.running:
            self._desk.complain(
                "run", "A run is under way.", "Wait for its end, or stop it; then run without the fault."
            )
            return
        without = plan_without(plan[0], view.met)
        self._run_plan(without, format_plan(without))

    async def _plan(self) -> tuple[Plan, str] | None:
        """The plan of the run that is open, and its text; what is wrong with it is said."""
        workspace, run = self._desk.workspace, self.run
        if workspace is None or run is None:
            return None
        try:
            text = (await workspace.blocking(workspace.store.run, run)).plan_text
            return parse_plan(text), text
        except (NoSuchRowError, PlanError) as error:
            self._desk.complain("evidence", f"The plan of run {run} cannot be read: {error}")
            return None

    def open_datagrams(self) -> None:
        """Open what is kept of the datagrams, at this server."""
        spool = self._spool()
        if spool is not None and self._view is not None:
            self._desk.go("inspector", file=spool, filter=filter_word("server", self._view.server))

    def why_no_datagrams(self) -> str:
        """Why the datagrams cannot be opened; empty if they can."""
        return "" if self._spool() is not None else NO_DATAGRAMS

    def _stale(self, workspace: Workspace, run: int) -> bool:
        """Whether what was read is of another run, or may have changed."""
        return self._courses is None or self._courses[0] != run or workspace.running

    async def _read(self, workspace: Workspace, run: int) -> Courses:
        if self._courses is None or self._stale(workspace, run):
            self._courses = (run, await workspace.blocking(Courses, workspace.store, run))
        return self._courses[1]

    def _place(self) -> tuple[int, int]:
        """The number of this request in the list, from 1, and how many it has; (0, 0) without a list."""
        if self.request is None or self.request not in self.among:
            return 0, 0
        return self.among.index(self.request) + 1, len(self.among)

    def _named(self) -> str:
        return f"Requests, {self.filter}" if self.filter else "Requests"

    def _spool(self) -> Path | None:
        """The spool of the lab that is open, if something is in it."""
        workspace = self._desk.workspace
        if workspace is None or workspace.lab is None or workspace.options.lab is None:
            return None
        spools = [path for path in (workspace.options.lab / "spool").glob("*") if path.is_dir()]
        return spools[0] if len(spools) == 1 else None
