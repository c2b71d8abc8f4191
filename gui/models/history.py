"""What shovelers, broker, collectors and database did over time, in bounded memory. No toolkit.

Counters in status messages are cumulative; a rate is the difference of two messages of one process over the time
between them. What was not reported is None and leaves a hole in a line: it is never drawn as 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

FINE_SECONDS = 5.0
FINE_POINTS = 720
"""An hour of status messages."""
COARSE_SECONDS = 60.0
COARSE_POINTS = 1440
"""A day of minutes."""

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """The values at one time (Unix seconds), in the order of `Series.names`."""

    t: float
    values: Values


class Series:
    """Some values over time: as they came for an hour, then the highest of each minute for a day."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self._fine: deque[Point] = deque(maxlen=FINE_POINTS)
        self._coarse: deque[Point] = deque(maxlen=COARSE_POINTS)

    def put(self, t: float, *values: float | None) -> None:
        """Add the values of a moment; an earlier one than the last is left out."""
        assert len(values) == len(self.names)
        if self._fine and t <= self._fine[-1].t:
            return
        self._fine.append(Point(t, values))
        minute = t // COARSE_SECONDS * COARSE_SECONDS
        if self._coarse and self._coarse[-1].t == minute:
            values = tuple(map(_highest, self._coarse.pop().values, values))
        self._coarse.append(Point(minute, values))

    def since(self, begin: float) -> list[Point]:
        """The points from `begin` on, the oldest first: each as it came, if they go back that far, else minutes."""
        fine = self._fine
        enough = len(fine) < FINE_POINTS or fine[0].t <= begin
        return [point for point in (fine if enough else self._coarse) if point.t >= begin]

    def column(self, name: str, begin: float) -> tuple[float | None, ...]:
        """One of the values over time."""
        place = self.names.index(name)
        return tuple(point.values[place] for point in self.since(begin))

    @property
    def last(self) -> Point | None:
        """The newest point."""
        return self._fine[-1] if self._fine else None


def _highest(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


@dataclass(frozen=True, slots=True)
class Counters:
    """Cumulative counters of one life of a program, as reported at `t`."""

    t: float
    started: float
    counts: tuple[int, ...]


def rates(before: Counters | None, now: Counters) -> tuple[float | None, ...]:
    """Per second, between two reports; None for each if there is none before, or one of another life."""
    if before is None or before.started != now.started or now.t <= before.t:
        return (None,) * len(now.counts)
    return tuple(
        (new - old) / (now.t - before.t) if new >= old else None
        for old, new in zip(before.counts, now.counts, strict=True)
    )


def total(values: Sequence[float | None]) -> float | None:
    """The sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
