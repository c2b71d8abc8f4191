"""Sequence numbers: which datagrams of one class are missing, late or double.

Servers number their datagrams per class, with a counter of 8 bits (text g-streams: 0 to 999).
A `Tracker` follows one counter. A number may arrive late within half of the counter's range; only when it has not come
within the reorder window (or in time) is it declared missing, as a `Gap`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

NEW, LATE, DUPLICATE = range(3)
"""Verdicts of `Tracker.observe`."""

REORDER = 32
"""After so many more datagrams a number is missing and no longer only late. (Networks and relays reorder by a few.)"""


class Gap(NamedTuple):
    """`missing` numbers in a row after number `after` never came (-1: from the very first on).

    They were sent between `t_min` and `t_max`, Unix seconds, as well as this can be told.
    """

    after: int
    missing: int
    t_min: float
    t_max: float


class Hole:
    """A run of numbers that have not come yet: `count` of them from `first` (a full count, not modulo).

    `since` is when that showed, `at` how many datagrams had come in order then.
    """

    __slots__ = ("at", "count", "first", "since", "t_max", "t_min")

    def __init__(self, first: int, count: int, t_min: float, t_max: float, since: float, at: int) -> None:
        self.first = first
        self.count = count
        self.t_min = t_min
        self.t_max = t_max
        self.since = since
        self.at = at


class Tracker:
    """Follows one sequence counter of `modulus` values.

    `newest` counts on beyond the modulus; `came` counts datagrams that came in order or ahead; `seen` is a bit mask of
    what has come, bit k standing for ``newest - k``; `sums` maps a number to the checksum of its datagram, to tell a
    duplicate from a counter that came round.
    """

    __slots__ = ("_all", "came", "history", "holes", "mark", "modulus", "newest", "seen", "since", "start", "sums")

    def __init__(self, modulus: int = 256) -> None:
        self.modulus = modulus
        self.history = modulus // 2
        self._all = (1 << self.history + 1) - 1
        self.newest: int | None = None
        self.came = 0
        self.start = 0
        self.since = 0.0
        self.mark = 0.0
        self.seen = 0
        self.sums: dict[int, int] = {}
        self.holes: list[Hole] = []

    def begin(self, number: int, since: float, mark: float, first: int | None) -> None:
        """The first datagram of this counter is about to be observed; `first` is what the counter began with when we
        have listened from its beginning, None when we came later. `mark` is a time before its beginning.
        """
        self.since = since
        self.mark = mark
        if first is None or (number - first) % self.modulus >= self.history:
            self.newest = self.start = number - 1
            self.seen = 0
            return
        self.newest = first - 1
        self.start = first
        self.seen = self._all

    def observe(self, number: int, checksum: int, t_max: float, mark: float, now: float) -> int:
        """Take note of a datagram: NEW (in order, or ahead), LATE (fills a hole) or DUPLICATE (do nothing with it).

        `now` is the arrival time. Whatever is missing before it was sent before `t_max`, and not before the `mark` of
        the one that came before: a time before which nothing can be that is sent after it.
        """
        newest = self.newest
        assert newest is not None, "begin() comes first"
        ahead = (number - newest) % self.modulus
        if ahead == 1:
            pass
        elif ahead == 0 or ahead >= self.history:
            behind = -ahead % self.modulus
            bit = 1 << behind
            if not self.seen & bit:
                self.seen |= bit
                self.sums[number] = checksum
                self._fill(newest - behind)
                return LATE
            if self.sums.get(number) == checksum:
                return DUPLICATE
            ahead = self.modulus - behind  # same number, other bytes: the counter has come round
            self.holes.append(Hole(newest + 1, ahead - 1, self.mark, max(t_max, self.mark), now, self.came))
        else:
            self.holes.append(Hole(newest + 1, ahead - 1, self.mark, max(t_max, self.mark), now, self.came))
        if mark > self.mark:
            self.mark = mark
        self.came += 1
        self.newest = newest + ahead
        self.seen = (self.seen << ahead | 1) & self._all
        self.sums[number] = checksum
        return NEW

    def _fill(self, number: int) -> None:
        """A number has come after all: take it out of its hole, if it has not been declared a gap already."""
        for index, hole in enumerate(self.holes):
            if hole.first <= number < hole.first + hole.count:
                before, after = number - hole.first, hole.first + hole.count - 1 - number
                parts = [
                    Hole(first, count, hole.t_min, hole.t_max, hole.since, hole.at)
                    for first, count in ((hole.first, before), (number + 1, after))
                    if count
                ]
                self.holes[index : index + 1] = parts
                return

    def settle(self, now: float, patience: float, *, reorder: int = REORDER) -> list[Gap]:
        """Declare missing what more than `reorder` datagrams or `patience` seconds were waited for."""
        if not self.holes:
            return []
        kept: list[Hole] = []
        found: list[Gap] = []
        for hole in self.holes:
            if self.came - hole.at >= reorder or now - hole.since >= patience:
                after = (hole.first - 1) % self.modulus if hole.first > self.start else -1
                found.append(Gap(after, hole.count, hole.t_min, hole.t_max))
            else:
                kept.append(hole)
        self.holes = kept
        return found

    def young(self, now: float, patience: float) -> bool:
        """Whether something sent before all that we have seen may still be on its way."""
        return self.newest is None or (self.came < REORDER and now - self.since < patience)

    def bound_holes(self, t_max: float) -> None:
        """Whatever is missing was sent by `t_max`: a better upper bound than the arrival time."""
        for hole in self.holes:
            if t_max < hole.t_max:
                hole.t_max = max(t_max, hole.t_min)

    def dump(self) -> list[Any]:
        """All state as a list of plain values."""
        holes = [[h.first, h.count, h.t_min, h.t_max, h.since, h.at] for h in self.holes]
        recent = {}
        if self.newest is not None:
            for behind in range(self.history + 1):
                number = (self.newest - behind) % self.modulus
                if number in self.sums:
                    recent[number] = self.sums[number]
        seen = self.seen.to_bytes(self.modulus // 8 + 1, "big")
        return [self.modulus, self.newest, self.came, self.start, self.since, self.mark, seen, recent, holes]

    @classmethod
    def load(cls, values: Iterable[Any]) -> Tracker:
        """The tracker that `dump` was called on."""
        modulus, newest, came, start, since, mark, seen, recent, holes = values
        self = cls(modulus)
        self.newest, self.came, self.start = newest, came, start
        self.since, self.mark = since, mark
        self.seen = int.from_bytes(seen, "big")
        self.sums = dict(recent)
        self.holes = [Hole(*hole) for hole in holes]
        return self
