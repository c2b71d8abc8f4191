"""Compare: which two runs are compared, and what is read of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from gui.models.compare import counterpart, read_comparison
from gui.models.runs import RunView, read_runs
from gui.pages.desk import Desk
from gui.report import Comparison, RunReport, Trend, read_trend, render_compared
from gui.runner.workspace import Workspace
from gui.store import StoreError

Side = Literal["a", "b"]
REPORTS = "HTML (*.html);;CSV (*.csv);;JSON (*.json);;Text (*.txt)"
FORMATS = {".html": "html", ".htm": "html", ".csv": "csv", ".json": "json", ".txt": "table"}

ONE_RUN = "Nothing to compare with yet", "Run the plan again, or set a baseline."
NO_RUN = "No run to compare yet", "A run is compared with another one of the same plan."


class CompareView(Protocol):
    """The page."""

    def show_runs(self, views: Sequence[RunView]) -> None: ...
    def show_pair(self, a: RunView | None, b: RunView | None) -> None: ...
    def show_comparison(self, comparison: Comparison) -> None: ...
    def show_trend(self, trend: Trend | None) -> None: ...
    def show_nothing(self, title: str, reason: str, *, done: bool = True) -> None: ...
    def say(self, text: str) -> None: ...


class ComparePresenter:
    """`a` is the run that the other one, `b`, is compared with."""

    def __init__(self, desk: Desk, page: CompareView) -> None:
        self._desk = desk
        self._page = page
        self.a: int | None = None
        self.b: int | None = None
        self._runs: Sequence[RunView] = ()
        self._comparison: Comparison | None = None
        self._known: dict[int, RunReport] = {}
        self._of: Workspace | None = None
        self._asked = 0
        """The newest reading: what an older one brings is not shown any more."""

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._forget()
        self._page.show_runs(())
        self._page.show_pair(None, None)
        self._page.show_nothing(*NO_RUN)

    def open(self, a: int | None = None, b: int | None = None) -> None:
        """Compare these two. One alone is compared with what suits it (`counterpart`); none: the latest run."""
        if a is not None and b is not None:
            self.a, self.b = a, b
        elif a is not None or b is not None:
            self.a, self.b = None, a if b is None else b
        self.read()

    def read(self) -> None:
        """Read both runs again, in the background."""
        self._desk.background(self.refresh(), "compare runs")

    def choose(self, side: Side, run: int) -> None:
        """Another run takes the place of `a` or `b`; if it is the other one of the two, they change places."""
        other: Side = "b" if side == "a" else "a"
        if getattr(self, other) == run:
            setattr(self, other, getattr(self, side))
        setattr(self, side, run)
        self.read()

    def swap(self) -> None:
        """The two change places."""
        if self.a is not None and self.b is not None:
            self.a, self.b = self.b, self.a
            self.read()

    async def refresh(self) -> None:
        """Read both runs, then the trend of their plan."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        if workspace is not self._of:
            wanted = self.a, self.b
            self._forget()
            self._of, (self.a, self.b) = workspace, wanted
        self._asked += 1
        mine = self._asked
        self._runs = await workspace.blocking(read_runs, workspace.store)
        if not self._still(workspace, mine):
            return
        self._page.show_runs(self._runs)
        self._settle()
        self._page.show_pair(self._view(self.a), self._view(self.b))
        if self.b is None:
            self._page.show_nothing(*NO_RUN)
            return
        if self.a is None:
            self._page.show_nothing(*ONE_RUN)
            return
        if self._comparison is None:
            self._page.show_nothing(f"Reading runs {self.a} and {self.b}…", "", done=False)
        for run in (self.a, self.b):
            await workspace.have(run)
        if not self._still(workspace, mine) or self.a is None or self.b is None:
            return
        try:
            comparison = await workspace.blocking(read_comparison, workspace.store, self.a, self.b)
        except StoreError as error:
            if self._still(workspace, mine):
                self._page.show_nothing("These runs cannot be read", str(error))
            return
        if not self._still(workspace, mine):
            return
        self._comparison = comparison
        self._page.show_comparison(comparison)
        trend = await workspace.blocking(read_trend, workspace.store, comparison.b.run.name, None, self._known)
        if self._still(workspace, mine):
            self._page.show_trend(trend)

    async def set_baseline(self, run: int) -> None:
        """Make this run the one that others are compared with."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        await workspace.blocking(workspace.store.set_baseline, run)
        if self._desk.workspace is workspace:
            self._page.say(f"Run {run} is now the baseline.")
            await self.refresh()

    async def write(self, path: Path) -> None:
        """Write the comparison to a file, in the format of its name."""
        workspace, comparison = self._desk.workspace, self._comparison
        if workspace is None or comparison is None:
            return
        wanted = FORMATS.get(path.suffix.lower())
        if wanted is None:
            path, wanted = path.with_name(f"{path.name}.html"), "html"
        try:
            await workspace.blocking(path.write_bytes, await workspace.blocking(render_compared, comparison, wanted))
        except OSError as error:
            why = error.strerror or type(error).__name__
            self._desk.complain(
                "comparison", f"The comparison cannot be written to {path}: {why}.", "Choose another place."
            )
        else:
            self._page.say(f"Written: {path}")

    def show_evidence(self, test: int) -> None:
        """Show the missing requests of a test of run b."""
        if self._comparison is not None and (mine := self._comparison.tests[test - 1].b) is not None:
            place: dict[str, object] = {"test": mine.entry.number, "tab": "requests", "filter": "verdict:missing"}
            self._desk.go("result", run=self._comparison.b.run.id, **place)

    # ---- inside

    def _still(self, workspace: Workspace, asked: int) -> bool:
        return self._desk.workspace is workspace and asked == self._asked

    def _forget(self) -> None:
        self.a = self.b = self._comparison = self._of = None
        self._runs = ()
        self._known = {}
        self._asked += 1

    def _settle(self) -> None:
        """Drop runs that are gone, and choose those that nobody chose."""
        ids = {view.run.id for view in self._runs}
        self.a = self.a if self.a in ids else None
        self.b = self.b if self.b in ids else None
        ended = [view.run for view in self._runs if view.run.ended is not None]
        if self.b is None:
            self.b = next((run.id for run in ended if run.id != self.a), None)
        mine = self._view(self.b)
        if self.a is None and mine is not None and mine.run.baseline:  # others are compared with it
            other = next((run.id for run in ended if run.id != self.b and run.name == mine.run.name), None)
            if other is not None:
                self.a, self.b = self.b, other
        if self.a is None and self.b is not None:
            self.a = counterpart(self._runs, self.b)

    def _view(self, run: int | None) -> RunView | None:
        return next((view for view in self._runs if view.run.id == run), None)
