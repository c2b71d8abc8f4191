"""Sequence numbers: which datagrams of one class are missing, late or duplicate.

Servers number their datagrams per class, with a counter of 8 bits (text g-streams: 0 to 999).
A `Tracker` follows one counter. A number may arrive late within half of the counter's range; only when it has not come
within the reorder window (or in time) is it declared missing, as a `Gap`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

NEW, LATE, DUPLICATE = range(3)
"""Verdicts of `Tracker.observe`."""

REORDER = 32
"""After this many more datagrams a number is missing and no longer only late. (Networks and relays reorder by a
few.)"""

MAX_PAST = 8
"""Senders from which a counter has moved that are remembered: what they sent may still come."""

OF_RECORDS = frozenset({"F", "M", "FM"})
"""Classes of datagrams that file records are made from; FM: both are numbered by one counter (Pelican's own
origins)."""


class Gap(NamedTuple):
    """`missing` numbers in a row after number `after` never came (-1: from the first on).

    `begin` and `end` are the *window* of what is missing, in the server's own time, whole Unix seconds, both included:
    from the end of the datagram before to the beginning of the one after (`end` 0: no later time is known yet). `t_min`
    and `t_max` are the arrivals of the two, on the receiver's clock; `t_min` 0: there was none before. `sure` False:
    the counter seems to go on at another address there, and that may be another counter: perhaps nothing is missing.
    """

    after: int
    missing: int
    begin: int
    end: int
    t_min: float
    t_max: float
    sure: bool = True


def latest(class_: str, gap: Gap) -> float:
    """A time by which all of a gap had been sent. Datagrams without their own window (class M) are sent at once, so the
    arrival of the next is a better bound than the next time that the server reported, if its clock is not far ahead.
    """
    if class_ != "M":
        return gap.end or max(gap.begin, gap.t_max)
    return max(gap.begin, min(gap.end, gap.t_max) if gap.end else gap.t_max)


class Hole:
    """A run of numbers that have not come yet: `count` of them from `first` (a full count, not modulo).

    The times are those of a `Gap`; `since` is when it showed, `at` how many datagrams had come in order then. `move`:
    the counter seems to have moved then, from one sender to another.
    """

    __slots__ = ("at", "begin", "count", "end", "first", "move", "since", "t_max", "t_min")

    def __init__(
        self,
        first: int,
        count: int,
        begin: int,
        end: int,
        t_min: float,
        t_max: float,
        since: float,
        at: int,
        move: tuple[str, str] | None = None,
    ) -> None:
        self.first = first
        self.count = count
        self.begin = begin
        self.end = end
        self.t_min = t_min
        self.t_max = t_max
        self.since = since
        self.at = at
        self.move = move

    def part(self, first: int, count: int, begin: int, end: int) -> Hole:
        """A part of it, with its own window."""
        return Hole(first, count, begin, end, self.t_min, self.t_max, self.since, self.at, self.move)

    def values(self) -> list[Any]:
        """Arguments of `Hole`."""
        known = [self.first, self.count, self.begin, self.end, self.t_min, self.t_max, self.since, self.at]
        return known if self.move is None else [*known, self.move]


class Tracker:
    """Follows one sequence counter of `modulus` values.

    `newest` counts on beyond the modulus; `came` counts datagrams that came in order or ahead, `arrived` is when the
    last of them did; `seen` is a bit mask of what has come, bit k standing for ``newest - k``; `sums` maps a number to
    the checksum of its datagram, to distinguish a duplicate from a wrapped counter. `past`: senders from which it seems
    to have moved, `mixed` how many had come when another sender's last joined it (-1: never).
    """

    __slots__ = (
        "_all",
        "arrived",
        "came",
        "history",
        "holes",
        "mark",
        "mixed",
        "modulus",
        "newest",
        "past",
        "seen",
        "since",
        "start",
        "sums",
    )

    def __init__(self, modulus: int = 256) -> None:
        self.modulus = modulus
        self.history = modulus // 2
        self._all = (1 << self.history + 1) - 1
        self.newest: int | None = None
        self.came = 0
        self.start = 0
        self.since = 0.0
        self.arrived = 0.0
        self.mark = 0
        self.seen = 0
        self.sums: dict[int, int] = {}
        self.holes: list[Hole] = []
        self.past: tuple[str, ...] = ()
        self.mixed = -1

    def begin(self, number: int, since: float, mark: int, first: int | None) -> None:
        """The first datagram of this counter is about to be observed; `first` is the number that the counter began with
        if we have listened from its start, None if we started later. `mark` is a time before its beginning.
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

    def observe(self, number: int, checksum: int, begin: int, mark: int, now: float, arrived: float) -> int:
        """Take note of a datagram: NEW (in order, or ahead), LATE (fills a hole) or DUPLICATE (do nothing with it).

        Whatever is missing before it is not newer than its `begin` (0: unknown), and not older than the `mark` of the
        previous one: both are the server's own time. `now` is the present, by which patience is measured, `arrived`
        when the datagram was received.
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
                self._fill(newest - behind, begin, mark)
                return LATE
            if self.sums.get(number) == checksum:
                return DUPLICATE
            ahead = self.modulus - behind  # same number, other bytes: the counter has wrapped
            self._skip(newest + 1, ahead - 1, begin, now, arrived)
        else:
            self._skip(newest + 1, ahead - 1, begin, now, arrived)
        if mark > self.mark:
            self.mark = mark
        self.came += 1
        self.arrived = arrived
        self.newest = newest + ahead
        self.seen = (self.seen << ahead | 1) & self._all
        self.sums[number] = checksum
        return NEW

    def awaits(self, number: int) -> bool:
        """Whether a number is missing and may still come."""
        return any((number - hole.first) % self.modulus < hole.count for hole in self.holes)

    def has(self, number: int, checksum: int) -> bool:
        """Whether exactly this datagram has come."""
        return self.saw(number) and self.sums.get(number) == checksum

    def saw(self, number: int) -> bool:
        """Whether a datagram with this number has come lately."""
        return bool(self.seen >> (self.reached - number) % self.modulus & 1)

    def joined(self, sender: str) -> None:
        """What comes now is from another sender than before, which was `sender` ("": nobody knows)."""
        self.past = (*(known for known in self.past if known != sender), sender)[-MAX_PAST:]
        self.mixed = self.came

    @property
    def is_mixed(self) -> bool:
        """Whether what came by two senders was joined so recently that both may still be among what is seen."""
        return self.mixed >= 0 and self.came - self.mixed <= self.history

    def contradicts(self, number: int, checksum: int) -> bool:
        """Whether two counters seem to have been taken for this one: senders were joined, and a recent number comes
        with other bytes. (Otherwise the counter has wrapped.)
        """
        return self.is_mixed and self.saw(number) and self.sums.get(number, checksum) != checksum

    @property
    def reached(self) -> int:
        """The newest number, counted on beyond the modulus."""
        assert self.newest is not None, "begin() comes first"
        return self.newest

    def _skip(self, first: int, count: int, begin: int, now: float, arrived: float) -> None:
        end = max(begin, self.mark) if begin else 0  # clocks of servers may be set back
        self.holes.append(Hole(first, count, self.mark, end, self.arrived, arrived, now, self.came))

    def _fill(self, number: int, begin: int, mark: int) -> None:
        """A number has come late: remove it from its hole, if that was not already declared a gap. It then ends the
        part missing before it, and begins the part missing after it.
        """
        for index, hole in enumerate(self.holes):
            if hole.first <= number < hole.first + hole.count:
                before, after = number - hole.first, hole.first + hole.count - 1 - number
                inside = begin and hole.begin <= begin <= mark <= hole.end
                parts = []
                if before:
                    parts.append(hole.part(hole.first, before, hole.begin, begin if inside else hole.end))
                if after:
                    parts.append(hole.part(number + 1, after, mark if inside else hole.begin, hole.end))
                self.holes[index : index + 1] = parts
                return

    def settle(
        self,
        now: float,
        patience: float,
        *,
        reorder: int = REORDER,
        sure: Callable[[Hole], bool] = lambda hole: hole.move is None,
    ) -> list[Gap]:
        """Declare missing what has been awaited for more than `reorder` datagrams or `patience` seconds. `sure`:
        whether something is missing in that hole."""
        if not self.holes:
            return []
        kept: list[Hole] = []
        found: list[Gap] = []
        for hole in self.holes:
            # whether a counter has really moved shows only after a while
            if (self.came - hole.at >= reorder and hole.move is None) or now - hole.since >= patience:
                found.append(self._gap(hole, sure=sure(hole)))
            else:
                kept.append(hole)
        self.holes = kept
        return found

    def _gap(self, hole: Hole, *, sure: bool) -> Gap:
        after = (hole.first - 1) % self.modulus if hole.first > self.start else -1
        return Gap(after, hole.count, hole.begin, hole.end, hole.t_min, hole.t_max, sure)

    def pending(self, since: float) -> list[Gap]:
        """What has been missing since then and is not yet declared: it may still come."""
        return [self._gap(hole, sure=hole.move is None) for hole in self.holes if hole.since <= since]

    def young(self, now: float, patience: float) -> bool:
        """Whether something sent before everything that we have seen may still be in flight."""
        return self.newest is None or (self.came < REORDER and now - self.since < patience)

    def bound_holes(self, end: int) -> None:
        """Whatever is missing was sent by `end`, for holes of which no such time is known."""
        for hole in self.holes:
            if not hole.end:
                hole.end = max(end, hole.begin)

    def dump(self) -> list[Any]:
        """All state as a list of plain values."""
        holes = [hole.values() for hole in self.holes]
        recent: dict[int, int] = {}
        if self.newest is not None:
            # OPTIMISATION. Was a loop over each number, half of a server's part of a checkpoint: 58 µs, now 34.
            newest, history = self.newest % self.modulus, self.history
            numbers = [*range(newest, max(newest - history, 0) - 1, -1)]
            numbers += range(self.modulus - 1, self.modulus - 1 - max(history - newest, 0), -1)
            known = list(map(self.sums.get, numbers))
            recent = {n: s for n, s in zip(numbers, known, strict=True) if s is not None}
        seen = self.seen.to_bytes(self.modulus // 8 + 1, "big")
        return [
            self.modulus,
            self.newest,
            self.came,
            self.start,
            self.since,
            self.arrived,
            self.mark,
            seen,
            recent,
            holes,
            [self.mixed, *self.past] if self.past else None,
        ]

    @classmethod
    def load(cls, values: Iterable[Any]) -> Tracker:
        """The tracker that `dump` was called on."""
        modulus, newest, came, start, since, arrived, mark, seen, recent, holes, senders = values
        self = cls(modulus)
        self.newest, self.came, self.start = newest, came, start
        self.since, self.arrived, self.mark = since, arrived, mark
        self.seen = int.from_bytes(seen, "big")
        self.sums = dict(recent)
        self.holes = [Hole(*hole) for hole in holes]
        if senders is not None:
            self.mixed, *past = senders
            self.past = tuple(past)
        return self
