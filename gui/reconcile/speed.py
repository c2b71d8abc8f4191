"""How long the requests of a test took, as one sorted list: its percentiles, and whether those of two tests differ by
more than chance.

A time is that of a whole request at its client, from before its open to after its close; only requests without error
have one. `gui.reconcile.timing` has the same times over the seconds of a test.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt
from statistics import NormalDist

from sqlalchemy import select

from gui.reconcile.interval import LEAST_CHANCE
from gui.reconcile.timing import Latency
from gui.store import RequestState, Store, schema

LEVELS = 200
"""Of the bootstrap: enough to tell probabilities down to 0.0001 apart."""
PART = 5_000
"""Rows that are taken from the database at once."""
BEYOND = 5
"""Requests that must be beyond a percentile for anything to be said of its difference."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The times of the requests of a test in seconds, sorted."""

    times: Sequence[float] = ()

    def percentile(self, part: float) -> float | None:
        """By nearest rank: the time of a real request. `part` 0…100; None when there was none."""
        if not self.times:
            return None
        return self.times[max(0, min(len(self.times), ceil(part * len(self.times) / 100 - 1e-9)) - 1)]

    @property
    def latency(self) -> Latency:
        """As in reports."""
        return Latency(
            len(self.times),
            self.percentile(50),
            self.percentile(95),
            self.percentile(99),
            self.times[-1] if self.times else None,
        )


def read_speed(store: Store, repeat_ids: Sequence[int]) -> Speed:
    """The times of the requests of these repeats. Blocking."""
    request = schema.request
    took = (
        select(request.c.t_close - request.c.t_open)
        .where(
            request.c.repeat_id.in_(list(repeat_ids)),
            request.c.ok == 1,
            request.c.state == int(RequestState.DONE),
            request.c.t_close > 0,
            request.c.t_open > 0,
        )
        .order_by(None)
    )
    import numpy as np  # here: the command line needs no numpy for anything else

    seconds = array("d")
    with store.database.read() as connection:
        # In parts: row by row takes three times as long, and all at once does not let another thread run meanwhile.
        for part in connection.execute(took).partitions(PART):
            seconds.extend(row[0] for row in part)
    ordered = np.sort(np.maximum(np.frombuffer(seconds), 0.0)) if seconds else np.empty(0)
    return Speed(array("d", ordered.tobytes()))


def chance_of_percentile(a: Speed, b: Speed, part: float) -> float | None:
    """How likely chance alone makes this percentile differ as much as it does: a bootstrap over the requests of both.
    None where too few requests are beyond it.

    The percentile of a sample that is drawn again from n times is one of them; its rank is nearly normal around
    n·part with the variance of a binomial number. So no sample needs to be drawn: `LEVELS` ranks of equal probability
    stand for all."""
    if any(len(speed.times) * min(part, 100 - part) < 100 * BEYOND for speed in (a, b)):
        return None
    if a.percentile(part) == b.percentile(part):
        return 1.0
    one, other = _again(a, part), _again(b, part)
    lower = sum(bisect_left(one, value) + bisect_right(one, value) for value in other) / 2 / LEVELS**2
    return max(LEAST_CHANCE, min(1.0, 2 * min(lower, 1 - lower)))


def _again(speed: Speed, part: float) -> list[float]:
    """What the percentile of samples drawn again would be, at equally probable levels."""
    count, share = len(speed.times), part / 100
    middle, width = count * share, sqrt(count * share * (1 - share))
    return [speed.times[max(0, min(count - 1, ceil(middle + z * width) - 1))] for z in _levels()]


@cache
def _levels() -> tuple[float, ...]:
    normal = NormalDist()
    return tuple(normal.inv_cdf((level + 0.5) / LEVELS) for level in range(LEVELS))
