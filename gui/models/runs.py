"""What the Runs page shows, read from the store at once (in a thread) and then immutable. No toolkit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import msgspec

from gui.campaign.presets import Published, find_preset
from gui.reconcile import (
    ForeignFault,
    TestFigures,
    figures,
    foreign_faults,
    injected_losses,
    newest,
    places,
    standing,
    still_on,
)
from gui.report.numbers import success
from gui.store import NoteRow, RunEntry, ScoringEntry, Store, TestEntry

log = logging.getLogger("tally.models")

UNREADABLE = (ArithmeticError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What reading raises for invalid rows: figures that contradict each other, values of the wrong type."""


@dataclass(frozen=True, slots=True)
class TestRow:
    """One row of the result table: the test, its figures, and the published result for it, if there is one."""

    number: int
    entry: TestEntry
    figures: TestFigures
    scorings: tuple[ScoringEntry, ...]
    published: Published | None

    __test__ = False


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its tests."""

    run: RunEntry
    tests: tuple[TestRow, ...]
    notes: tuple[NoteRow, ...]
    conclusion: str
    without_injected: bool = False
    """Whether what the plan injected itself is left out of all figures."""

    @property
    def sentence(self) -> str:
        """``7 of 8 tests reached 100 %``, or the message of the run."""
        reached = sum(test.figures.conclusion == "pass" for test in self.tests)
        marks = {test.entry.spec.pass_at for test in self.tests}
        mark = f"{marks.pop():g} %" if len(marks) == 1 else "their mark"
        if not self.tests:
            return self.run.message
        return f"{reached} of {len(self.tests)} test{'s' if len(self.tests) > 1 else ''} reached {mark}"

    @property
    def outcome(self) -> str:
        """The outcome of the run, as in `gui.models.states.OUTCOMES`: its state, which follows from its figures."""
        return "running" if self.run.state == "preparing" else self.run.state

    @property
    def success(self) -> str:
        """The share of requests that were recorded as they were made, over all tests."""
        return success(sum(t.figures.good for t in self.tests), sum(t.figures.counted for t in self.tests))

    @property
    def foreign(self) -> tuple[ForeignFault, ...]:
        """The faults that were still on in the lab when the run began, and are not its own."""
        return foreign_faults(self.run.environment)

    @property
    def still_on(self) -> str:
        """The same in a few words: ``a fault of run 4 was still on (udp-loss)``; empty: nothing was."""
        return still_on(self.run.environment)

    @property
    def injected(self) -> int:
        """Missing requests that the plan injected itself, counted or left out."""
        return sum(test.figures.injected for test in self.tests)

    @property
    def success_both(self) -> tuple[str, str]:
        """The success with and without what the plan injected itself."""
        good = sum(test.figures.good for test in self.tests)
        every = sum(test.figures.counted + test.figures.left_out for test in self.tests)
        return success(good, every), success(good, every - self.injected)


def read_run(store: Store, run_id: int, *, without_injected: bool = False) -> RunView:
    """The current state of a run. `without_injected`: what its plan injected itself does not count. Blocking. Raises
    StoreError."""
    run = store.run(run_id)
    latest = newest(store.scorings_of_run(run_id))
    where = places(store, latest, without_injected=without_injected)
    planned = injected_losses(store, latest)
    test_of = {repeat.id: repeat.test_number for repeat in store.repeats(run_id)}
    preset = find_preset(run.name)
    published = {row.test: row for row in preset.published} if preset else {}
    rows = []
    for entry in store.tests(run_id):
        scorings = tuple(s for s in latest if test_of.get(s.repeat_id) == entry.number)
        own = figures(entry.spec, scorings, where, injected=planned, without_injected=without_injected)
        rows.append(TestRow(entry.number, entry, own, scorings, published.get(entry.spec.name)))
    now = standing(run, [row.figures for row in rows])
    return RunView(now.run, tuple(rows), tuple(store.notes(run_id)), now.conclusion, without_injected)


def read_runs(store: Store) -> list[RunView]:
    """All runs, latest first; a run that cannot be read has a row that says so. Blocking. Raises StoreError."""
    return [_readable(store, run) for run in store.runs()]


def _readable(store: Store, run: RunEntry) -> RunView:
    try:
        return read_run(store, run.id)
    except UNREADABLE as error:
        log.info("! run %d cannot be read: %r", run.id, error)
        why = f"This run cannot be read ({error}); `tally runs delete {run.id}` removes it."
        return RunView(replace(run, state="error", message=why), (), (), "none")
