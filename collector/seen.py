"""Which input messages were already taken: exact runs of sequence numbers per SPOOL, pure and bounded.

A shoveler names each datagram ``SPOOL:SEQ``. A message may come again (a connection broke before our acknowledgement,
a shoveler restarted before it noted the broker's confirm), and it may come *late*: one that an earlier publisher had to
send again arrives after younger ones. So membership is exact, never "older than the newest".

Terms: a *run* is ``lo…hi`` inclusive, all of it seen. Neighbouring runs merge, so a queue that carries a whole spool is
one run for ever. A shard carries a sparse part of it, one run per datagram or so; therefore the memory is bounded:

- at most `max_runs` runs per SPOOL; beyond that the *oldest* are forgotten. What is forgotten would be taken again if
  it came again, which is the harmless direction (the correlator has its own duplicate rule). A shoveler publishes its
  spool in order and repeats only what was unconfirmed, so a repeat is never far behind the newest number.
- a SPOOL that nobody used for `max_age` seconds is forgotten, and beyond `max_spools` the one unused for longest.

`changes()` gives what to write to the checkpoint since the last call, `restore()` takes it back at start.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from shoveler.service import Progress

MAX_RUNS = 65_536
MAX_SPOOLS = 4_096
MAX_AGE = 30 * 86_400.0
_TOUCH_EVERY = 3_600.0
"""How stale the stored time of last use may be: it decides about months, so it need not be written every cycle."""
_LOOK_EVERY = 60.0
"""Seconds between two looks for spools past their age."""
MAX_TOLD = 1_000
"""Holes of one spool, and spools, in a status message."""


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
    """Spools of which every row goes."""
    used: list[tuple[str, float]]
    """(spool, time of last use)."""

    def __bool__(self) -> bool:
        return any(self)


class _Spool:
    """The runs of one spool, ascending, as two arrays of 64-bit numbers (16 bytes a run)."""

    __slots__ = ("dirty", "floor", "gone", "hi", "lo", "stored_use", "used")

    def __init__(self, used: float) -> None:
        self.lo = array("q")
        self.hi = array("q")
        self.dirty: set[int] = set()
        self.gone: set[int] = set()
        self.used = used
        self.stored_use = float("-inf")
        self.floor = 0
        """What was seen below this is forgotten."""


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
        self.runs_forgotten = 0
        """Runs given up for the size bound since the start, for the metrics."""

    @property
    def runs(self) -> int:
        """Runs held in all."""
        return sum(len(spool.lo) for spool in self._spools.values())

    @property
    def spools(self) -> int:
        """Spools known."""
        return len(self._spools)

    def add(self, spool: str, seq: int, now: float) -> bool:
        """Note one message. True when it is new, False when it was seen. `seq` must fit 64 bits, signed."""
        runs = self._spools.get(spool)
        if runs is None:
            runs = self._spools[spool] = _Spool(now)
        runs.used = now
        lo, hi = runs.lo, runs.hi
        if not lo:
            self._insert(runs, 0, seq)
            return True
        last = hi[-1]
        if seq == last + 1:  # the common case by far: the next one of the spool
            hi[-1] = seq
            runs.dirty.add(lo[-1])
            return True
        if seq > last:
            self._insert(runs, len(lo), seq)
            return True
        return self._add_inside(runs, seq)

    def _add_inside(self, runs: _Spool, seq: int) -> bool:
        """A number at or below the newest: seen, or a hole that it fills, widening or joining its neighbours."""
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

    def changes(self, now: float) -> SeenChanges:
        """What changed since the last call. Also the moment when the bounds are applied (`now`: Unix seconds)."""
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
        below = list(self._below.items())
        forgotten = list(self._forgotten)
        self._below.clear()
        self._forgotten.clear()
        return SeenChanges(puts, deletes, below, forgotten, used)

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
        self.runs_forgotten += len(self._spools.pop(name).lo)
        self._below.pop(name, None)
        self._forgotten.add(name)

    def progress(self, limit: int = MAX_TOLD) -> dict[str, Progress]:
        """How far each spool was seen, with its newest holes; the spools used last, oldest use first."""
        newest = heapq.nlargest(limit, self._spools.items(), key=lambda item: item[1].used)
        return {name: _progress(runs, limit) for name, runs in reversed(newest) if runs.lo}

    def restore(self, runs: Iterable[Run], used: Iterable[tuple[str, float]]) -> None:
        """Take back what `changes()` once gave. Runs of a spool in ascending order of `lo`."""
        for name, when in used:
            spool = self._spools[name] = _Spool(when)
            spool.stored_use = when
        for name, lo, hi in runs:
            entry = self._spools.get(name)
            if entry is None:
                entry = self._spools[name] = _Spool(0.0)
            entry.lo.append(lo)
            entry.hi.append(hi)


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
