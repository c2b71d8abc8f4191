"""All runs of a plan: which they are, and their trend, read from the store."""

from __future__ import annotations

from collections.abc import MutableMapping

from gui.report.compare import Trend, trend
from gui.report.content import RunReport, build_brief
from gui.store import RunEntry, Store

ALL = 1_000_000


def runs_of(store: Store, plan: str) -> list[RunEntry]:
    """The runs of a plan that have ended, the newest first. Blocking."""
    return [entry for entry in store.runs(ALL) if entry.name == plan and entry.ended is not None]


def read_trend(
    store: Store, plan: str, last: int | None = None, known: MutableMapping[int, RunReport] | None = None
) -> Trend | None:
    """The trend of a plan: of all its runs that have ended, or of the newest `last` and the baseline; None if it has
    none. Blocking. `known`: what was read before, by run; it is read again only where it was scored since."""
    mine = runs_of(store, plan)
    if not mine:
        return None
    chosen = next((entry.id for entry in mine if entry.baseline), None)
    wanted = {entry.id for entry in mine[:last]} | ({chosen} if chosen is not None else set())
    kept = {} if known is None else known
    for run in sorted(wanted):
        if run not in kept or _scored(kept[run]) != max((s.id for s in store.scorings_of_run(run)), default=0):
            kept[run] = build_brief(store, run)
    return trend([kept[run] for run in sorted(wanted)], chosen)


def _scored(report: RunReport) -> int:
    """The newest scoring that a report knows."""
    return max((s.id for test in report.tests for one in test.repeats for s in one.scorings), default=0)
