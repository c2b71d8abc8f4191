"""The runs of a workspace as lines of the page, read from the store. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gui.reconcile import break_down, newest, run_figures, standing
from gui.report import numbers
from gui.store import RunEntry, Store

MAX_RUNS = 500
UNREADABLE = (ArithmeticError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What reading raises for rows that contradict each other."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run. `outcome`: its state by its newest figures; the counts are None when its figures cannot be read."""

    run: int
    plan: str
    outcome: str
    started: float
    ended: float | None
    sentence: str = ""
    requests: int | None = None
    good: int | None = None
    counted: int | None = None
    missing: int | None = None
    cause: str = ""
    """Why most of what is missing is missing, for a run that failed."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.outcome not in ("running", "preparing")

    @property
    def success(self) -> str:
        """The share of requests that were recorded as they were made."""
        return numbers.success(self.good or 0, self.counted or 0)


@dataclass(frozen=True, slots=True)
class History:
    """The newest runs, newest first, and how many there are in all."""

    lines: tuple[RunLine, ...] = ()
    total: int = 0

    @property
    def last_failure(self) -> RunLine | None:
        """The newest run that failed, unless the same plan has passed since."""
        passed: set[str] = set()
        for line in self.lines:
            if line.outcome == "failed":
                return line if line.plan not in passed else None
            if line.outcome == "passed":
                passed.add(line.plan)
        return None


class HistoryReader:
    """Reads a run again only when it has changed: its row, or its scorings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, tuple[object, RunLine]] = {}

    def read(self) -> History:
        """The newest runs now. Raises StoreError."""
        entries = self._store.runs()
        shown = entries[:MAX_RUNS]
        self._known = {run.id: self._line(run) for run in shown}
        return History(tuple(self._known[run.id][1] for run in shown), len(entries))

    def _line(self, run: RunEntry) -> tuple[object, RunLine]:
        scorings = self._store.scorings_of_run(run.id)
        state = (run, tuple((one.id, one.good, one.counted) for one in scorings))
        known = self._known.get(run.id)
        if known is not None and known[0] == state:
            return known
        started = run.started or run.created
        try:
            tests = run_figures(self._store, run.id)
            now = standing(run, tests)
            line = RunLine(
                run=run.id,
                plan=run.name,
                outcome=now.run.state,
                started=started,
                ended=run.ended,
                sentence=now.run.message,
                requests=sum(test.total for test in tests),
                good=sum(test.good for test in tests),
                counted=sum(test.counted for test in tests),
                missing=sum(test.missing for test in tests),
                cause=self._cause([one.id for one in newest(scorings)]) if now.run.state == "failed" else "",
            )
        except UNREADABLE as error:
            line = RunLine(run.id, run.name, "error", started, run.ended, f"This run cannot be read: {error}.")
        return state, line

    def _cause(self, scorings: Sequence[int]) -> str:
        """The most frequent cause among its missing records, as the report words it."""
        causes = break_down(self._store, scorings).causes
        return f"{numbers.count(causes[0].count)} missing: {causes[0].answer}" if causes else ""
