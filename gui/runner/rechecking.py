"""Scoring a run again, and what that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gui.reconcile import score
from gui.runner.ownership import UNDER_WAY, holder
from gui.store import ScoringEntry, Store

COUNTED = ("matched", "late", "missing", "wrong_bytes", "duplicate", "client_failed", "not_waited", "unrequested")


class UnderWayError(Exception):
    """Another program carries the run out; the text says which."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """A repeat that was scored again."""

    test: int
    repeat: int
    before: ScoringEntry
    now: ScoringEntry


def recheck(store: Store, run_id: int, now: float, told: Callable[[int, int], object] | None = None) -> list[Rescored]:
    """Score all repeats of a run again that were scored before; earlier figures are kept.

    `told` is called with how many are done and how many there are, in this thread. Raises UnderWayError, StoreError."""
    refuse_under_way(store, run_id, now, "scored again")
    repeats = [repeat for repeat in store.repeats(run_id) if store.scorings(repeat.id)]
    found = []
    for number, repeat in enumerate(repeats):
        if told is not None:
            told(number, len(repeats))
        before = store.scorings(repeat.id)[-1]
        found.append(Rescored(repeat.test_number, repeat.number, before, score(store, repeat.id, "recheck", now)))
    return found


def refuse_under_way(store: Store, run_id: int, now: float, what: str) -> None:
    """Raise UnderWayError for a run that another program is carrying out."""
    run = store.run(run_id)
    owner = holder(store, now) if run.state in UNDER_WAY else ""
    if owner:
        raise UnderWayError(f"Run {run_id} is under way. {owner} is carrying it out, so it cannot be {what} now.")


def changes(rescored: Sequence[Rescored]) -> str:
    """What scoring again changed, as a sentence."""
    if not rescored:
        return "It was never scored; there is nothing to compare with."
    told = []
    for name in COUNTED:
        before, now = (sum(getattr(entry, name) for entry in each) for each in
                       ([r.before for r in rescored], [r.now for r in rescored]))  # fmt: skip
        if before != now:
            told.append(f"{name.replace('_', ' ')} {before:,} → {now:,}")
    count = f"{len(rescored):,} repeat{'s' if len(rescored) != 1 else ''}"
    if not told:
        return f"Scored again, {count}: nothing changed."
    return f"Scored again, {count}: {', '.join(told)}."
