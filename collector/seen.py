"""Remembers which input messages were already taken: exact runs of sequence numbers per SPOOL, pure and bounded.

A shoveler names each datagram ``SPOOL:SEQ``. A message may come again (a connection broke before our acknowledgement,
a shoveler restarted before it noted the broker's confirm), and it may come *late*: a message that an earlier publisher
had to send again arrives after newer ones. So membership is exact, never "older than the newest".

SPOOL is the part before the number: ours name a *generation*, one start of a shoveler's receiver.

Terms: a *run* is ``lo…hi`` inclusive, all of it seen. Neighbouring runs merge, so a queue with a whole spool is always
one run. A shard has a sparse part of it, about one run per datagram; therefore the memory is bounded:

- at most `max_runs` runs per SPOOL; beyond that the *oldest* are forgotten. A forgotten message would be taken again if
  it came again, which is the harmless error (the correlator has its own duplicate rule). A shoveler publishes its
  spool in order and repeats only what was unconfirmed, so a repeat is never far behind the newest number.
- of the newest 64 blocks of 1,024 numbers of each SPOOL a checksum of the content is kept (a block costs 4 KiB, all of
  them 64 MiB at most; beyond that the SPOOL unused for longest has none). A number that comes again with other content
  is not a repeat: the id was used twice. Older ones, and those of the last 5 s before a kill, are assumed to be
  repeats.
- a SPOOL not used for `max_age` seconds is forgotten, and beyond `max_spools` the one unused for longest.

`changes()` gives what to write to the checkpoint since the last call, `restore()` takes it back at start.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shoveler.service import Progress

MAX_RUNS = 65_536
MAX_SPOOLS = 4_096
MAX_AGE = 30 * 86_400.0
_TOUCH_EVERY = 3_600.0
"""How stale the stored time of last use may be: the limit is months, so it need not be written every cycle."""
_LOOK_EVERY = 60.0
"""Seconds between two checks for spools past their age."""
_BLOCK_BITS = 10
_BLOCK = 1 << _BLOCK_BITS
_LAST = _BLOCK - 1
MAX_BLOCKS_OF_A_SPOOL = 64
MAX_BLOCKS = 16_384
_SUMS_EVERY = 5.0
"""Seconds between two times that checksums are written: they are a second line of defence, and a block is 4 KiB."""

KNOWN, NEW, REUSED = 0, 1, 2
"""Results of `SeenSet.add`: seen before (the only one that is false), never seen, seen with other content."""
MAX_TOLD = 1_000
"""Maximum number of holes of one spool, and of spools, in a status message."""


class Run(NamedTuple):
    """One stored row: every number from `lo` to `hi` of `spool` was seen."""

    spool: str
    lo: int
    hi: int


class SeenChanges(NamedTuple):
    """What a checkpoint must write. Apply `forgotten`, `deletes`, `below`, then `puts` and `used`."""

    puts: list[Run]
    deletes: list[tuple[str, int]]
    """Runs that merged into another one: (spool, lo)."""
    below: list[tuple[str, int]]
    """(spool, lo): runs of that spool that begin below `lo` are forgotten."""
    forgotten: list[str]
    """Spools whose rows are all deleted."""
    used: list[tuple[str, float]]
    """(spool, time of last use)."""
    sums: Sequence[tuple[str, int, bytes]] = ()
    """(spool, number of the block, its checksums)."""
    sums_gone: Sequence[tuple[str, int]] = ()
    """(spool, number of a block) whose checksums are forgotten."""

    def __bool__(self) -> bool:
        return any(self)


class _Spool:
    """The runs of one spool, ascending, as two arrays of 64-bit numbers (16 bytes a run)."""

    __slots__ = (
        "dirty", "floor", "gone", "hi", "lo", "newest", "newest_at", "stored_use", "sums", "sums_dirty", "sums_gone",
        "used",
    )  # fmt: skip

    def __init__(self, used: float) -> None:
        self.lo = array("q")
        self.hi = array("q")
        self.dirty: set[int] = set()
        self.gone: set[int] = set()
        self.used = used
        self.stored_use = float("-inf")
        self.floor = 0
        """What was seen below this is forgotten."""
        self.sums: dict[int, array[int]] = {}
        self.newest_at = -1
        self.newest = array("I")
        """The block used last, and its number."""
        self.sums_dirty: set[int] = set()
        self.sums_gone: set[int] = set()


class SeenSet:
    """Exact membership of ``(spool, seq)`` within the bounds of the module docstring. Belongs to one thread."""

    def __init__(self, *, max_runs: int = MAX_RUNS, max_spools: int = MAX_SPOOLS, max_age: float = MAX_AGE) -> None:
        self._max_runs = max_runs
        self._max_spools = max_spools
        self._max_age = max_age
        self._spools: dict[str, _Spool] = {}
        self._below: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._next_look = float("-inf")
        self._next_sums = float("-inf")
        self._blocks = 0
        self.runs_forgotten = 0
        """Runs forgotten for the size bound since the start, for the metrics."""

    @property
    def runs(self) -> int:
        """Runs held in all."""
        return sum(len(spool.lo) for spool in self._spools.values())

    @property
    def spools(self) -> int:
        """Spools known."""
        return len(self._spools)

    def add(self, spool: str, seq: int, now: float, content: int = 0) -> int:
        """Note one message: `KNOWN`, `NEW` or `REUSED`. `seq` must fit 64 bits, signed. `content`: a 32-bit checksum of
        it, 0 for none."""
        runs = self._spools.get(spool)
        if runs is None:
            runs = self._spools[spool] = _Spool(now)
        runs.used = now
        lo, hi = runs.lo, runs.hi
        if not lo:
            self._insert(runs, 0, seq)
        elif seq == hi[-1] + 1:  # by far the most common case: the next one of the spool
            hi[-1] = seq
            runs.dirty.add(lo[-1])
        elif seq > hi[-1]:
            self._insert(runs, len(lo), seq)
        elif not self._add_inside(runs, seq):
            return self._compare(runs, seq, content)
        if content:
            at = seq >> _BLOCK_BITS
            if at != runs.newest_at:
                self._turn_to(runs, at)
            if runs.newest:
                runs.newest[seq & _LAST] = content
                runs.sums_dirty.add(at)
        return NEW

    def _compare(self, runs: _Spool, seq: int, content: int) -> int:
        """Whether a number already seen comes with the same content, as far as that is known."""
        block = runs.sums.get(seq >> _BLOCK_BITS)
        if not content or not block or block[seq & _LAST] in (0, content):
            return KNOWN
        block[seq & _LAST] = content
        runs.sums_dirty.add(seq >> _BLOCK_BITS)
        return REUSED

    def _turn_to(self, runs: _Spool, at: int) -> None:
        """Make `newest` the block with this number, or an empty one if it is older than the blocks kept."""
        block = runs.sums.get(at)
        if block is None:
            if len(runs.sums) >= MAX_BLOCKS_OF_A_SPOOL:
                oldest = min(runs.sums)
                if at < oldest:
                    runs.newest_at, runs.newest = at, array("I")
                    return
                self._drop_sums(runs, oldest)
            elif self._blocks >= MAX_BLOCKS:
                unused = min((other for other in self._spools.values() if other.sums), key=lambda other: other.used)
                for other in list(unused.sums):
                    self._drop_sums(unused, other)
            block = runs.sums[at] = array("I", bytes(4 * _BLOCK))
            runs.sums_gone.discard(at)
            self._blocks += 1
        runs.newest_at, runs.newest = at, block

    def _drop_sums(self, runs: _Spool, at: int) -> None:
        del runs.sums[at]
        runs.sums_dirty.discard(at)
        runs.sums_gone.add(at)
        self._blocks -= 1
        if runs.newest_at == at:
            runs.newest_at = -1

    def _add_inside(self, runs: _Spool, seq: int) -> bool:
        """A number at or below the newest: seen (False), or a hole that it fills, widening or joining neighbours."""
        lo, hi = runs.lo, runs.hi
        at = bisect_right(lo, seq)  # runs[at - 1] is the last that begins at or before seq
        if at and seq <= hi[at - 1]:
            return False
        touches_left = at > 0 and hi[at - 1] == seq - 1
        touches_right = at < len(lo) and lo[at] == seq + 1
        if touches_left and touches_right:
            self._drop_row(runs, lo[at])
            hi[at - 1] = hi[at]
            del lo[at], hi[at]
            runs.dirty.add(lo[at - 1])
        elif touches_left:
            hi[at - 1] = seq
            runs.dirty.add(lo[at - 1])
        elif touches_right:
            self._drop_row(runs, lo[at])
            lo[at] = seq
            self._put_row(runs, seq)
        else:
            self._insert(runs, at, seq)
        return True

    def _insert(self, runs: _Spool, at: int, seq: int) -> None:
        runs.lo.insert(at, seq)
        runs.hi.insert(at, seq)
        self._put_row(runs, seq)

    @staticmethod
    def _put_row(runs: _Spool, lo: int) -> None:
        runs.dirty.add(lo)
        runs.gone.discard(lo)

    @staticmethod
    def _drop_row(runs: _Spool, lo: int) -> None:
        runs.dirty.discard(lo)
        runs.gone.add(lo)

    def changes(self, now: float, *, last: bool = False) -> SeenChanges:
        """What changed since the last call. The bounds are also applied here (`now`: Unix seconds). Checksums are
        included from time to time, and in the last call."""
        self._forget_unused(now)
        puts: list[Run] = []
        deletes: list[tuple[str, int]] = []
        used: list[tuple[str, float]] = []
        for name, runs in self._spools.items():
            if runs.dirty:
                if len(runs.lo) > self._max_runs:
                    self._forget_oldest_runs(name, runs)
                lo, hi = runs.lo, runs.hi
                if len(runs.dirty) == 1 and lo[-1] in runs.dirty:
                    puts.append(Run(name, lo[-1], hi[-1]))
                else:
                    puts.extend(Run(name, start, hi[bisect_right(lo, start) - 1]) for start in sorted(runs.dirty))
                runs.dirty.clear()
                if runs.used - runs.stored_use > _TOUCH_EVERY:
                    runs.stored_use = runs.used
                    used.append((name, runs.used))
            if runs.gone:
                deletes.extend((name, start) for start in runs.gone)
                runs.gone.clear()
        sums, sums_gone = self._sums_changes(now, last=last)
        below = list(self._below.items())
        forgotten = list(self._forgotten)
        self._below.clear()
        self._forgotten.clear()
        return SeenChanges(puts, deletes, below, forgotten, used, sums, sums_gone)

    def _sums_changes(
        self, now: float, *, last: bool
    ) -> tuple[tuple[tuple[str, int, bytes], ...], tuple[tuple[str, int], ...]]:
        if now < self._next_sums and not last:
            return (), ()
        self._next_sums = now + _SUMS_EVERY
        changed = [(name, runs) for name, runs in self._spools.items() if runs.sums_dirty or runs.sums_gone]
        sums = tuple((name, at, runs.sums[at].tobytes()) for name, runs in changed for at in sorted(runs.sums_dirty))
        gone = tuple((name, at) for name, runs in changed for at in sorted(runs.sums_gone))
        for _, runs in changed:
            runs.sums_dirty.clear()
            runs.sums_gone.clear()
        return sums, gone

    def _forget_unused(self, now: float) -> None:
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY
            for name in [name for name, runs in self._spools.items() if now - runs.used > self._max_age]:
                self._forget(name)
        if len(self._spools) > self._max_spools:
            # A tenth at once, so that a flood of invented spools is not sorted again in every cycle.
            surplus = len(self._spools) - self._max_spools + self._max_spools // 10
            for name, _ in heapq.nsmallest(surplus, self._spools.items(), key=lambda item: item[1].used):
                self._forget(name)

    def _forget_oldest_runs(self, name: str, runs: _Spool) -> None:
        surplus = len(runs.lo) - self._max_runs + self._max_runs // 10  # a tenth at once: not in every cycle
        floor = runs.lo[surplus]
        del runs.lo[:surplus], runs.hi[:surplus]
        runs.dirty = {start for start in runs.dirty if start >= floor}
        self._below[name] = runs.floor = floor
        self.runs_forgotten += surplus

    def _forget(self, name: str) -> None:
        gone = self._spools.pop(name)
        self.runs_forgotten += len(gone.lo)
        self._blocks -= len(gone.sums)
        self._below.pop(name, None)
        self._forgotten.add(name)

    def progress(self, limit: int = MAX_TOLD) -> dict[str, Progress]:
        """How far each spool was seen, with its newest holes; the spools used last, oldest use first."""
        newest = heapq.nlargest(limit, self._spools.items(), key=lambda item: item[1].used)
        return {name: _progress(runs, limit) for name, runs in reversed(newest) if runs.lo}

    def restore(
        self,
        runs: Iterable[Run],
        used: Iterable[tuple[str, float]],
        floors: Iterable[tuple[str, int]] = (),
        sums: Iterable[tuple[str, int, bytes]] = (),
    ) -> None:
        """Restore what `changes()` once returned; `floors` is the last of what it returned as `below`. Runs of a spool
        in ascending order of `lo`."""
        for name, when in used:
            spool = self._spools[name] = _Spool(when)
            spool.stored_use = when
        for name, lo, hi in runs:
            entry = self._spools.get(name)
            if entry is None:
                entry = self._spools[name] = _Spool(0.0)
            entry.lo.append(lo)
            entry.hi.append(hi)
        for name, floor in floors:
            if (entry := self._spools.get(name)) is not None:
                entry.floor = floor
        for name, at, block in sums:
            if (entry := self._spools.get(name)) is not None:
                entry.sums[at] = array("I", block)
                self._blocks += 1


def _progress(runs: _Spool, limit: int) -> Progress:
    lo, hi = runs.lo, runs.hi
    start = max(0, len(lo) - limit)
    holes = [(hi[at - 1] + 1, lo[at] - 1) for at in range(start + 1, len(lo))]
    if start:
        return Progress(seen_upto=hi[-1], holes=holes, since=lo[start])
    first = max(1, runs.floor)
    if lo[0] > first:
        holes.insert(0, (first, lo[0] - 1))
    return Progress(seen_upto=hi[-1], holes=holes, since=runs.floor)
