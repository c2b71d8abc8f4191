"""How many datagrams went each way at a time: what decides between ways in which one of them may have gone. Pure.

Where no gap holds a datagram, several things may explain why its record is missing: a loss that was counted then, one
that the plan inflicted, a queue in which everything of that time still waits. Each has a *weight*: how many datagrams
sent in that time went that way, as far as is known. A way with a few explains little beside one with hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable

from gui.reconcile.facts import Fault, Loss, Path, Span, Waiting

TWICE = 2.0
"""A way must have taken this many times as many as any other to be named; otherwise the answer is open."""


def overlap(one: Span, other: Span) -> float:
    """Seconds that they have in common."""
    return max(0.0, min(one.end, other.end) - max(one.begin, other.begin))


def _within(span: Span, sent: Span) -> float:
    """The part of `span` that is in `sent`: 0 to 1."""
    length = span.end - span.begin
    return overlap(span, sent) / length if length > 0 else float(sent.holds(span.begin))


def waiting(wait: Waiting, path: Path, sent: Span) -> float:
    """Of what is still in transit: as many as came then."""
    return wait.count * _within(Span(wait.since, max(wait.since, path.told.end)), sent)


def lost(loss: Loss, path: Path, sent: Span, mine: int | None) -> float:
    """Of a loss that was counted. `mine`: how many of the path's datagrams were of this sender, for losses that are
    counted by sender: what they are among all."""
    share = path.taken / mine if loss.sender and mine and path.taken > mine else 1.0
    return (loss.count or 0) * _within(loss.span, sent) * share


def planned(faults: Iterable[Fault], path: Path, sent: Span) -> float:
    """Of losses that a plan inflicted: for each datagram that came through, the share of those that did not."""
    weight = 0.0
    for fault in faults:
        part = min(fault.percent, 99.0) / 100 if fault.percent else 0.5
        weight += part / (1 - part) * path.rate * overlap(fault.span, sent)
    return weight
