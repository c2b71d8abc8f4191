"""Decides when waiting for monitoring is over. Pure: what is known goes in, what to do next comes out.

By *watermark*, if shovelers and collectors report their positions: when servers no longer hold anything back, note the
last number that each shoveler has taken (the *mark*); when collectors have seen everything up to there, and what they
published until then is loaded, nothing more can arrive. Other traffic on the same bus does not matter: it comes after
the mark. (An earlier version waited for empty spools and queues, which never happen on a busy federation.)

By *quiet*, if they do not (a foreign shoveler): every request has its record, or none of our records arrived for a
while. Otherwise the plan's limit ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gui.campaign.ranges import Range, merged, seen_ranges, size, without

MINIMUM_QUIET = 3.0
ASK_AGAIN = 0.5
"""Seconds between two requests for positions."""
GAPS_TOLD = 3.0
"""Seconds after which a status tells of a gap that has not filled since all was loaded."""
HOLES_STAY = 1.5
"""Seconds after which a datagram that collectors are beyond but have not seen counts as lost: another collector may be
handling it, but not for longer."""
LATE_FLUSH = 5.0
"""Seconds by which a busy server may send later than its intervals say (observed: 3 s instead of 2). Before a record
counts as missing, what has been taken by then is waited for too; and again, as long as that brings records."""
HELD_LIMIT = 20.0
"""Maximum seconds that a collector keeps a close back whose open or user may only be late (its ``state.grace``)."""
ALIVE = 20.0
"""Seconds of silence after which a daemon (which reports every 5 s) counts as gone."""


def quiet_time(fstat: float, flush: float) -> float:
    """Seconds without a new record that count as quiet, from a server's ``fstat`` interval and buffer flush time."""
    return max(2 * (fstat + flush), MINIMUM_QUIET)


@dataclass(frozen=True, slots=True)
class Taker:
    """A shoveler as last reported: by generation, the first number and the last one taken."""

    id: str
    heard: float
    positions: Mapping[str, Range]


@dataclass(frozen=True, slots=True)
class Reader:
    """A collector as last reported: by generation, how far it is and what it has not seen below that."""

    id: str
    heard: float
    positions: Mapping[str, tuple[int, Sequence[Range]]]
    held: int = 0
    """Closes that wait for something late before they become records."""


@dataclass(frozen=True, slots=True)
class SettleView:
    """What is known at `now` while a repeat settles. Takers and readers are those that report positions."""

    now: float
    looked: float
    """When the database was last read: `unrecorded` and `unequal` are from then."""
    unrecorded: int
    """Requests that did not fail and have no final record yet, including unreported ones."""
    unequal: int = 0
    """Requests with a final record whose sums do not (yet) equal what was requested."""
    last_record: float | None = None
    """When the last record was loaded; None if none was."""
    takers: Sequence[Taker] = ()
    readers: Sequence[Reader] = ()
    strangers: bool = False
    """Whether datagrams of some servers arrive by a path that reports no positions."""
    queued: int | None = None
    """Messages in the collectors' queue, if known."""
    drained: bool = False
    """Whether what was in our own queue when `Settling.want` was ``drain`` is loaded."""


@dataclass(frozen=True, slots=True)
class Settling:
    """Keep waiting; `reason` says for what, `again` is the latest time to look again. `want`: ``ask`` all daemons for
    their status; ``drain``: find out when everything that is in our own queue now is loaded."""

    reason: str
    again: float
    want: Literal["", "ask", "drain"] = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Waiting is over. `complete`: nothing more can arrive, or it has been quiet; otherwise the limit was reached."""

    complete: bool
    seconds: float
    reason: str


class Settle:
    """The settling of one repeat. `began`: when the last request was done. `limit`: the plan's ``settle``.

    `hold`: seconds that servers keep a close back. `base`: by shoveler, the last number that it had taken before
    the first request; older datagrams are not ours."""

    def __init__(self, *, began: float, limit: float, hold: float, quiet: float, base: Mapping[str, int]) -> None:
        self._began = began
        self._limit = limit
        self._hold = hold
        self._quiet = quiet
        self._base = base
        self._asked: float | None = None
        self._last_asked = 0.0
        self._mark: dict[str, list[Range]] | None = None
        self._missing: dict[str, list[Range]] | None = None
        self._missing_since = 0.0
        self._held_until: float | None = None
        self._seen = False
        self._left: int | None = None
        self._drained_at: float | None = None
        self._draining = False

    def hurry(self) -> None:
        """Do not wait any longer."""
        self._limit = 0.0

    def look(self, view: SettleView) -> Settling | Settled:
        """Whether to keep waiting, and what to do meanwhile."""
        deadline = self._began + self._limit
        step = self._by_watermark(view) if view.takers and view.readers else self._by_quiet(view)
        if isinstance(step, Settled):
            return step
        if view.now >= deadline:
            return self._settled(view, f"the limit of {self._limit:g} s was reached: {step.reason}", complete=False)
        return replace(step, again=min(step.again, deadline))

    def _settled(self, view: SettleView, reason: str, *, complete: bool = True) -> Settled:
        return Settled(complete, max(0.0, view.now - self._began), reason)

    def _by_quiet(self, view: SettleView) -> Settling | Settled:
        if not view.unrecorded:
            return self._settled(view, "every request has its record")
        end = max(self._began, view.last_record or self._began) + self._quiet
        if view.now < end:
            return Settling(_without_record(view.unrecorded), end)
        return self._settled(view, f"{_without_record(view.unrecorded)}, and none came for {self._quiet:g} s")

    def _by_watermark(self, view: SettleView) -> Settling | Settled:
        if self._mark is None:
            waiting = self._take_mark(view)
            if waiting is not None:
                return waiting
        if not self._seen:
            waiting = self._wait_for_readers(view)
            if waiting is not None:
                return waiting
        return self._wait_for_load(view)

    def _take_mark(self, view: SettleView) -> Settling | None:
        """If every request has a complete record, only a duplicate could still arrive: no need to wait for servers."""
        equal = not view.unrecorded and not view.unequal
        held_until = self._began + self._hold
        if not equal and view.now < held_until:
            reason = _without_record(view.unrecorded) if view.unrecorded else _unequal(view.unequal)
            return Settling(reason, held_until)
        if self._asked is None:
            self._asked = view.now
            return self._ask("asking the shovelers how far they are", view.now)
        # A silent shoveler may hold some of our datagrams, but not when every request has its record.
        awaited = [
            taker.id
            for taker in view.takers
            if taker.heard < self._asked and not (equal and view.now - taker.heard >= ALIVE)
        ]
        if awaited:
            return self._ask_again(f"waiting for shoveler {', '.join(awaited)} to say how far it is", view.now)
        self._mark = self._wanted(view.takers)
        return None

    def _wanted(self, takers: Sequence[Taker]) -> dict[str, list[Range]]:
        found: dict[str, list[Range]] = {}
        for taker in takers:
            after = self._base.get(taker.id, 0)
            for generation, (first, last) in taker.positions.items():
                if last > after:
                    found[generation] = [(max(first, after + 1), last)]
        return found

    def _wait_for_readers(self, view: SettleView) -> Settling | None:
        assert self._mark is not None
        missing = unseen(self._mark, view.readers)
        if missing:
            if missing != self._missing:
                self._missing, self._missing_since = missing, view.now
            if not self._lost(missing, view):
                count = sum(size(ranges) for ranges in missing.values())
                what = f"{count:,} datagram{'s' if count > 1 else ''} not seen by a collector yet"
                return self._ask_again(what, view.now)
        held = sum(reader.held for reader in view.readers)
        if view.unrecorded and held:
            # Only what is held now can be ours; it is released or dropped within the collector's grace time.
            if self._held_until is None:
                self._held_until = view.now + HELD_LIMIT
            if view.now < self._held_until:
                return self._ask_again(f"{held:,} accesses wait in a collector for what may be late", view.now)
        self._seen = True
        return None

    def _lost(self, missing: Mapping[str, list[Range]], view: SettleView) -> bool:
        """Whether what is missing will not be seen any more: all readers are beyond it, or its queue is empty, and this
        has been so for a while in which all of them have reported."""
        since = self._missing_since + HOLES_STAY
        alive = [reader for reader in view.readers if view.now - reader.heard < ALIVE]
        if not alive or any(reader.heard < since for reader in alive):
            return False
        if view.queued == 0:
            return True
        through = {
            generation: max((reader.positions[generation][0] for reader in alive if generation in reader.positions),
                            default=-1)
            for generation in missing
        }  # fmt: skip
        return all(ranges[-1][1] <= through[generation] for generation, ranges in missing.items())

    def _gaps_are_told(self, view: SettleView) -> bool:
        """Whether all collectors have reported since a gap that showed when all was loaded is one to tell: without it
        a request that was lost with it looks as if the server had sent nothing."""
        assert self._drained_at is not None
        alive = [reader for reader in view.readers if view.now - reader.heard < ALIVE]
        return all(reader.heard >= self._drained_at + GAPS_TOLD for reader in alive)

    def _wait_for_load(self, view: SettleView) -> Settling | Settled:
        if not self._draining:
            self._draining = True
            return Settling("loading what the collectors have published", view.now + ASK_AGAIN, "drain")
        if not view.drained:
            return Settling("loading what the collectors have published", view.now + ASK_AGAIN)
        if self._drained_at is None:
            self._drained_at = view.now
        if view.looked < self._drained_at:
            return Settling("counting what was loaded", view.now + ASK_AGAIN)
        reason = "all that the servers sent is loaded"
        if view.unrecorded and view.strangers:
            return self._by_quiet(view)
        if view.unrecorded and (self._left is None or view.unrecorded < self._left):
            self._mark_again(view.unrecorded)
            return Settling(_without_record(view.unrecorded), max(view.now, self._began + self._hold))
        if view.unrecorded and not self._gaps_are_told(view):
            words = "waiting to hear which datagrams never came"
            return self._ask_again(f"{_without_record(view.unrecorded)}; {words}", view.now)
        if view.unrecorded:
            reason = f"{_without_record(view.unrecorded)}, and {reason}: nothing more can come"
        return self._settled(view, reason)

    def _mark_again(self, left: int) -> None:
        """Repeat everything with a later mark, until a mark brings none of our records."""
        self._left = left
        self._hold += LATE_FLUSH
        self._asked = self._mark = self._missing = self._drained_at = None
        self._seen = self._draining = False

    def _ask(self, reason: str, now: float) -> Settling:
        self._last_asked = now
        return Settling(reason, now + ASK_AGAIN, "ask")

    def _ask_again(self, reason: str, now: float) -> Settling:
        if now - self._last_asked >= ASK_AGAIN:
            return self._ask(reason, now)
        return Settling(reason, self._last_asked + ASK_AGAIN)


def unseen(wanted: Mapping[str, Sequence[Range]], readers: Sequence[Reader]) -> dict[str, list[Range]]:
    """By generation, the part of `wanted` that no reader has seen: each sees its own share of the datagrams."""
    missing = {}
    for generation, ranges in wanted.items():
        seen = [
            pair
            for reader in readers
            if generation in reader.positions
            for pair in seen_ranges(*reader.positions[generation])
        ]
        if left := without(merged(ranges), merged(seen)):
            missing[generation] = left
    return missing


def _without_record(count: int) -> str:
    return f"{count:,} request{'s' if count > 1 else ''} without a record"


def _unequal(count: int) -> str:
    return f"{count:,} request{'s' if count > 1 else ''} with fewer or more bytes than asked"
