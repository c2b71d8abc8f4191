"""The figures of a run that came in a bundle, worked out again; and where they are not those that it came with.

Requests and records are facts: what clients reported, and what a collector wrote. Figures and verdicts follow from
them, so nobody has to believe those of a bundle. Only two things are its maker's word for good: what was late (a bundle
does not say when records came), and why a record is missing (part of the evidence stays where the run was made).
"""

from __future__ import annotations

from collections.abc import Sequence

from gui.reconcile import score
from gui.store import RepeatEntry, ScoringEntry, Store, VerdictRow

_FIGURES = {
    "total": "requests",
    "recorded": "recorded",
    "matched": "matched",
    "late": "late",
    "wrong_bytes": "with wrong bytes",
    "missing": "missing",
    "duplicate": "duplicate",
    "client_failed": "failed at the client",
    "not_waited": "not waited for",
    "unreported": "not reported",
    "unrequested": "unrequested",
    "recovered": "recovered",
    "bytes_asked": "bytes asked",
    "bytes_got": "bytes got",
    "bytes_recorded": "bytes recorded",
}
_TIMES = {"first_open": "the first open", "last_close": "the last close"}


def rescored(store: Store, run_id: int, repeats: Sequence[int], now: float) -> list[str]:
    """Score those of these repeats that were scored where they were made; what differs, a sentence for each repeat.

    What was worked out here is the newest scoring from then on, and counts; state and message of the run follow it."""
    differs = []
    for repeat in (repeat for repeat in store.repeats(run_id) if repeat.id in set(repeats)):
        before = store.scorings(repeat.id)
        if not before:
            continue
        told = store.verdicts(before[-1].id)
        own = score(store, repeat.id, "recheck", now)
        sentence = _difference(repeat, before[-1], own, told, store.verdicts(own.id))
        if sentence:
            differs.append(sentence)
    return differs


def _difference(
    repeat: RepeatEntry,
    said: ScoringEntry,
    own: ScoringEntry,
    told: dict[int, VerdictRow],
    judged: dict[int, VerdictRow],
) -> str:
    """What came out another way, in words; empty when nothing did."""
    words = [
        f"{getattr(own, name):,} {word}, not {getattr(said, name):,}"
        for name, word in _FIGURES.items()
        if getattr(own, name) != getattr(said, name)
    ]
    words += [f"another time of {word}" for name, word in _TIMES.items() if getattr(own, name) != getattr(said, name)]
    others = sum(_said(told.get(key)) != _said(judged.get(key)) for key in told.keys() | judged.keys())
    if others:
        words.append(f"{others:,} request{'s' if others > 1 else ''} with another verdict")
    return f"test {repeat.test_number}, repeat {repeat.number} has {'; '.join(words)}" if words else ""


def _said(verdict: VerdictRow | None) -> tuple[object, ...] | None:
    """What of a verdict follows from requests and records; None: matched by one access."""
    if verdict is None:
        return None
    return (verdict.verdict, verdict.recorded, verdict.accesses, verdict.read, verdict.readv, verdict.write)
