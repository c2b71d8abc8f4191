"""Which requests of the latest run were lost at which stage of the pipeline; read at once (in a thread). No toolkit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gui.models.pipeline import StageName
from gui.models.requests import LOST_AT
from gui.models.rows import filter_word
from gui.reconcile import newest
from gui.reconcile.facts import LostAt
from gui.store import Store

AT_STAGE: Mapping[StageName, tuple[LostAt, ...]] = {
    "servers": ("server", "wire", "fragmentation"),
    "shovelers": ("kernel", "spool"),
    "broker": ("queue",),
    "collectors": ("collector",),
    "database": ("load",),
}
"""The answers of the loss ladder that belong to a box: it lost the record, or the way that begins there did."""


@dataclass(frozen=True, slots=True)
class LostThere:
    """How many requests of a run were lost at some places; `here` of them in `test`, the one that lost most there."""

    run: int
    test: int
    here: int
    count: int
    filter: str
    """What shows them in the table of requests."""

    @property
    def words(self) -> str:
        """What a button leads to, in a sentence."""
        if not self.count:
            return f"Run {self.run} lost no request here."
        elsewhere = f"; its other tests lost {self.count - self.here:,} more" if self.count != self.here else ""
        return f"Shows those of run {self.run}, test {self.test}{elsewhere}."


@dataclass(frozen=True, slots=True)
class LostRequests:
    """The losses of one run: how many of each test were lost at each place of the loss ladder."""

    run: int
    counts: Mapping[tuple[int, str], int]

    def at(self, places: Collection[str]) -> LostThere:
        """Those that were lost at one of these places."""
        tests = Counter[int]()
        for (test, place), count in self.counts.items():
            if place in places:
                tests[test] += count
        test, here = max(tests.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
        return LostThere(self.run, test, here, tests.total(), filter_word(LOST_AT, ",".join(places), exact=True))


def read_lost(store: Store) -> LostRequests | None:
    """What the latest run lost whose requests have verdicts; None: there is no such run. Blocking. Raises
    StoreError."""
    for run in store.runs():
        latest = newest(store.scorings_of_run(run.id))
        if latest:
            test_of = {repeat.id: repeat.test_number for repeat in store.repeats(run.id)}
            counts: Counter[tuple[int, str]] = Counter()
            for scoring in latest:
                for place, count in store.lost_places(scoring.id).items():
                    counts[(test_of[scoring.repeat_id], place)] += count
            return LostRequests(run.id, counts)
    return None
