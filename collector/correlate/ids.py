"""Dense ids: which dictids of a process were never reported, while greater ones were.

A server assigns the ids of logins, infos, tokens, flows, paths and opens from one counter: 1, 2, 3 … without holes
(format reference, section 15). So a hole is the content of a datagram that never came, if nothing else explains it: the
datagram may only be late, or an open may still be in the server's buffer; and an event that the server sends to
another destination leaves a hole that is not a loss. What was lost also shows in the sequence numbers, and those
decide: a hole that no gap can explain is *odd*, and near odd holes nothing is reported as missing without other
evidence.

A hole goes through a *round*: it begins when the hole appears, and ends when anything late has had time to arrive. It
must also be below the newest open reported, or an f-stream datagram must have come since (which has all opens from
before). Then the hole gets its state:

``wait``     nothing explains it yet: of the maps (sent at once) none has come since, so the last of them may be lost
``odd``      nothing explains it
``either``   an f-stream datagram was lost, and perhaps the last map as well: an open, or something else
``open``     only f-stream datagrams were lost: an open
``unknown``  maps were lost: any of them, or an open

More is known of an id that others refer to: a close or progress refers to an open, and the user of a record is a ``u``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

MAX_HOLES = 500
"""Holes remembered; beyond it the lowest are forgotten, and nothing is reported below them any more."""
MAX_NAMED = 500
JUMP = 1 << 20
"""An id this far from all others is noise or, when another comes near it, the beginning of a new count."""
FEW = 2
"""Up to this many ids that were not reported may be lost ones, even if they are more than one in twenty."""
SPARSE = 10_000
"""For this many ids after an odd hole nothing is reported by sequence numbers alone."""
TURN = 256
"""Datagrams until a sequence number is reused."""
MAX_WAITS = 3
"""This many unexplained holes are not an accident, even if no map has come since."""

YOUNG, WAIT, ODD, EITHER, OPEN, UNKNOWN = "young", "wait", "odd", "either", "open", "unknown"
_CLAIMED = {EITHER: UNKNOWN, OPEN: OPEN, UNKNOWN: UNKNOWN, "u": "u"}

Hole = tuple[int, int, str]
"""First and last id, and its state."""


class Seen(NamedTuple):
    """What had come from a process by some moment, and what was lost."""

    now: float
    last: float
    """Arrival of the newest datagram…"""
    filed: float
    """…and of the newest of the f-stream."""
    heard: int
    """Datagrams…"""
    files: int
    """…and those of the f-stream, in order."""
    lost_files: int
    """Datagrams that never came, of the f-stream…"""
    lost_maps: int
    """…and of the maps."""


class Ids:
    """The ids of one counter. `append` takes the id of an open; it may be bound and called in a hot loop, as it only
    lists the id. `kind`: the kind of all ids of the counter, if it counts only one kind of thing.
    """

    __slots__ = (
        *("_new", "_new_maps", "append", "asked", "before", "begun", "first", "holes", "kind", "maps", "named"),
        *("opens", "previous", "sparse", "stray", "top", "upto"),
    )

    def __init__(self, kind: str | None = None) -> None:
        self._new: list[int] = []
        self._new_maps: list[int] = []
        self.append = self._new.append
        self.kind = kind
        self.first = 0
        """Nothing is reported below it; 0: not known yet, because the process started before us."""
        self.top = 0
        """The greatest id reported."""
        self.maps = 0
        """The greatest reported by a map…"""
        self.opens = 0
        """…and by an open."""
        self.holes: list[Hole] = []
        """Between `first` and `top`, in order."""
        self.named: dict[int, str] = {}
        """The kind that an unreported id must have, from what refers to it."""
        self.begun: Seen | None = None
        """The current round, as it was when it began…"""
        self.upto = 0
        """…and the greatest id then."""
        self.before = self.previous = Seen(0.0, 0.0, 0.0, 0, 0, 0, 0)
        """When the last round began, and the one before: what was lost since can explain a hole."""
        self.asked = (0, 0)
        """What was lost when the first hole began to ``wait``, or to be ``either``."""
        self.sparse = 0
        """Up to this id nothing is reported by sequence numbers alone."""
        self.stray = 0

    def begin(self) -> None:
        """We have listened since before the first id."""
        if not self.first:
            self.first = 1

    def map(self, dictid: int) -> None:
        """A map reported an id."""
        self._new_maps.append(dictid)

    def name(self, dictid: int, kind: str) -> None:
        """Something refers to an unreported id as a thing of this kind."""
        self.named.pop(dictid, None)
        self.named[dictid] = kind
        if len(self.named) > MAX_NAMED:
            del self.named[next(iter(self.named))]

    # -------------------------------------------------------------- ids reported

    def fold(self) -> None:
        """Process the listed ids."""
        opens, maps = self._new, self._new_maps
        if not opens and not maps:
            return
        if not maps and opens == list(range(opens[0], opens[-1] + 1) if opens[-1] - opens[0] < len(opens) else ()):
            self._told(opens[0], opens[-1])  # OPTIMISATION: a third of the time of what follows
        else:
            for low, high in _runs(sorted({*opens, *maps})):
                self._told(low, high)
        self.opens = max(self.opens, self._greatest(opens))
        self.maps = max(self.maps, self._greatest(maps))
        opens.clear()
        maps.clear()

    def _greatest(self, told: list[int]) -> int:
        """Without noise, which must not affect `top`."""
        greatest = max(told, default=0)
        return greatest if greatest <= self.top else max((i for i in told if i <= self.top), default=0)

    def _told(self, low: int, high: int) -> None:
        if not self.top and not self.first:
            self.top = low - 1
        if low - self.top > JUMP or self.top - high > JUMP:
            self._astray(low, high)
            return
        if low > self.top + 1:
            self.holes.append((self.top + 1, low - 1, YOUNG))
            if len(self.holes) > MAX_HOLES:
                self.first = max(self.first, self.holes[0][1] + 1)
                del self.holes[0]
        else:
            self._fill(low, min(high, self.top))
        self.top = max(self.top, high)

    def _fill(self, low: int, high: int) -> None:
        holes = self.holes
        begin = bisect_left(holes, low, key=lambda hole: hole[1])
        end = bisect_right(holes, high, begin, key=lambda hole: hole[0])
        if begin == end:
            return
        parts = []
        if holes[begin][0] < low:
            parts.append((holes[begin][0], low - 1, holes[begin][2]))
        if holes[end - 1][1] > high:
            parts.append((high + 1, *holes[end - 1][1:]))
        holes[begin:end] = parts

    def _astray(self, low: int, high: int) -> None:
        """Far from all others."""
        if not self.stray or abs(low - self.stray) > JUMP:
            self.stray = high
            return
        self.first = self.stray = self.maps = self.opens = self.sparse = 0
        self.top = high
        self.holes.clear()
        self.begun = None

    @property
    def opened(self) -> int:
        """The greatest reported by an open."""
        self.fold()
        return self.opens

    def lacks(self, low: int, high: int) -> bool:
        """Whether an id between two others was not reported, while nearly all are."""
        self.fold()
        begin = bisect_right(self.holes, low, key=lambda hole: hole[1])
        if begin == len(self.holes) or self.holes[begin][0] >= high or self.sparse:
            return False
        unreported = sum(last - first + 1 for first, last, _ in self.holes)
        return unreported <= max(FEW, (self.top - (self.first or self.holes[0][0])) // 20)

    # -------------------------------------------------------------- ids not reported

    def look(self, seen: Seen, grace: float, reorder: int, *, opens_told: bool) -> None:
        """Set the states of holes, when no sequence number is awaited any more. `opens_told`: no open can still be in a
        buffer of the server, whatever comes of the f-stream.
        """
        self.fold()
        self._ask(seen)
        if self.begun is None:
            if self.maps if not self.first else any(hole[2] == YOUNG for hole in self.holes):
                self.begun, self.upto = seen, self.top
            elif seen.now - self.before.now > 2 * grace:
                self.previous, self.before = self.before, seen
        begun = self.begun
        if begun is None or (seen.now - begun.now < grace and seen.heard - begun.heard < reorder):
            return
        # one that comes immediately may have been sent before
        passed = opens_told or seen.files >= begun.files + 2 or seen.filed >= begun.last + 1.0
        limit = self.upto if passed else min(self.upto, self.opens)
        if self.first:
            self._judge(seen, limit)
            passed = passed or not any(state == YOUNG and low <= self.upto for low, _, state in self.holes)
        elif passed:  # whatever is missing up to here may have been reported before we started
            self.first = self.upto + 1
            self.holes = [hole for hole in self.holes if hole[0] > self.upto]
        if passed:
            self.previous, self.before = self.before, begun
            self.begun = None

    def _judge(self, seen: Seen, limit: int) -> None:
        """The states of the holes of the round that is over, up to an id."""
        if not any(state == YOUNG and high <= limit for _, high, state in self.holes):
            return
        files, maps = seen.lost_files > self.previous.lost_files, seen.lost_maps > self.previous.lost_maps
        undecided = [hole for hole in self.holes if hole[2] in (WAIT, EITHER)]
        if not undecided:
            self.asked = (seen.lost_files, seen.lost_maps)
        waits = sum(1 for hole in undecided if hole[2] == WAIT)
        turn = not (files or maps) and self._whole_turn(limit)
        judged = []
        for low, high, state in self.holes:
            if state == YOUNG and high <= limit:
                passed = high < self.maps
                if turn:
                    state = self.kind or UNKNOWN
                elif not (files or maps):
                    waits += not passed
                    state = ODD if passed or not self.maps or self.kind else WAIT
                elif self.kind:
                    state = self.kind
                elif maps:
                    state = UNKNOWN
                else:
                    state = OPEN if passed else EITHER
            judged.append((low, high, state))
        if waits >= MAX_WAITS:
            judged = [(low, high, ODD if state == WAIT else state) for low, high, state in judged]
        self.holes = judged
        self._doubt()

    def _whole_turn(self, limit: int) -> bool:
        """So much is missing that sequence numbers have wrapped unseen, where nothing was odd before."""
        young = [(low, high) for low, high, state in self.holes if state == YOUNG and high <= limit]
        missing = sum(high - low + 1 for low, high in young)
        return missing >= TURN and not self.sparse and young[0][0] - self.first >= TURN

    def _ask(self, seen: Seen) -> None:
        """Decide what could not be decided before a map came."""
        if not any(state in (WAIT, EITHER) and high < self.maps for _, high, state in self.holes):
            return
        maps = seen.lost_maps > self.asked[1]
        decided = {WAIT: UNKNOWN if maps else ODD, EITHER: UNKNOWN if maps else OPEN}
        self.holes = [
            (low, high, decided.get(state, state) if high < self.maps else state) for low, high, state in self.holes
        ]
        self._doubt()

    def _doubt(self) -> None:
        """Report nothing near odd holes."""
        odd = [high for _, high, state in self.holes if state == ODD]
        if odd:
            self.sparse = max(self.sparse, odd[-1] + SPARSE)
        if self.sparse:
            self.holes = [
                (low, high, ODD if state in _CLAIMED and low <= self.sparse else state)
                for low, high, state in self.holes
            ]

    def missing(self, kinds: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Ranges of ids that were never reported, by kind; `kinds` are those that the process reports."""
        self.fold()
        named = sorted(dictid for dictid, kind in self.named.items() if kind in kinds)
        found: dict[str, list[tuple[int, int]]] = {}
        for low, high, state in self.holes:
            if state == YOUNG:
                continue
            claimed = _CLAIMED.get(state)
            for dictid in named[bisect_left(named, low) : bisect_right(named, high)]:
                if claimed and low < dictid:
                    found.setdefault(claimed, []).append((low, dictid - 1))
                _join(found.setdefault(self.named[dictid], []), dictid)
                low = dictid + 1
            if claimed and low <= high:
                found.setdefault(claimed, []).append((low, high))
        return found

    def forget(self) -> None:
        """Report nothing of what is missing up to now."""
        self.fold()
        if self.first:
            self.first = max(self.first, self.top + 1)
        self.holes = []
        self.named.clear()

    # -------------------------------------------------------------- state

    def told(self) -> Iterator[tuple[int, int]]:
        """Ranges of the ids that were reported, from `first` on."""
        self.fold()
        low = max(self.first, 1)
        for begin, end, _ in self.holes:
            if low < begin:
                yield low, begin - 1
            low = end + 1
        if low <= self.top:
            yield low, self.top

    def merge(self, other: Ids) -> None:
        """Merge the ids of another."""
        self.fold()
        for low, high in other.told():
            self._told(low, high)
        self.maps, self.opens = max(self.maps, other.maps), max(self.opens, other.opens)
        self.named |= other.named

    def dump(self) -> list[Any]:
        """All state as a list of plain values."""
        self.fold()
        if self.named:
            self.named = {dictid: kind for dictid, kind in self.named.items() if self._lacks(dictid)}
        return [
            self.kind, self.first, self.top, self.maps, self.opens, self.holes, list(self.named.items()), self.begun,
            self.upto, self.before, self.previous, self.asked, self.sparse, self.stray,
        ]  # fmt: skip

    def _lacks(self, dictid: int) -> bool:
        place = bisect_left(self.holes, dictid, key=lambda hole: hole[1])
        return dictid > self.top or (place < len(self.holes) and self.holes[place][0] <= dictid)

    @classmethod
    def load(cls, values: Iterable[Any]) -> Ids:
        """The ids that `dump` was called on."""
        kind, first, top, maps, opens, holes, named, begun, upto, before, previous, asked, sparse, stray = values
        self = cls(kind)
        self.first, self.top, self.maps, self.opens, self.upto = first, top, maps, opens, upto
        self.holes = [(low, high, state) for low, high, state in holes]
        self.named = dict(named)
        self.begun = Seen(*begun) if begun is not None else None
        self.before, self.previous = Seen(*before), Seen(*previous)
        self.asked, self.sparse, self.stray = (asked[0], asked[1]), sparse, stray
        return self


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers in a sorted list without doubles."""
    if numbers[-1] - numbers[0] + 1 == len(numbers):  # the usual case
        yield numbers[0], numbers[-1]
        return
    low = high = numbers[0]
    for number in numbers[1:]:
        if number != high + 1:
            yield low, high
            low = number
        high = number
    yield low, high


def _join(ranges: list[tuple[int, int]], number: int) -> None:
    """Add the next number to ranges."""
    if ranges and ranges[-1][1] == number - 1:
        ranges[-1] = ranges[-1][0], number
    else:
        ranges.append((number, number))
