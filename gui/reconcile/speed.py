"""How long the requests of a test took, as one sorted list: its percentiles, and whether those of two tests differ by
more than chance.

A time is that of a whole request at its client, from before its open to after its close; only requests without error
have one. `gui.reconcile.timing` has the same times over the seconds of a test.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from sqlalchemy import select

from gui.reconcile.interval import LEAST_CHANCE
from gui.reconcile.timing import Latency
from gui.store import RequestState, Store, schema

DRAWS = 2000
"""Samples of the bootstrap: enough to tell 0.05 from 0.04."""
LEAST = 20
"""Requests below which nothing is said of a difference: their percentiles are single requests."""


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
    with store.database.read() as connection:
        return Speed(array("d", sorted(max(0.0, seconds) for seconds in connection.scalars(took))))


def chance_of_percentile(a: Speed, b: Speed, part: float) -> float | None:
    """How likely chance alone makes this percentile differ as much as it does: a bootstrap over the requests of both.
    None where too few requests are beyond it.

    The percentile of a sample that is drawn again from the n times is one of them, whose rank is distributed as n times
    a beta variable; so no sample needs to be drawn."""
    if min(len(a.times) * min(part, 100 - part), len(b.times) * min(part, 100 - part)) < 100 or (
        min(len(a.times), len(b.times)) < LEAST
    ):
        return None
    source = Random(1)  # the same runs give the same answer
    higher = sum(_again(b, part, source) > _again(a, part, source) for _ in range(DRAWS))
    lower = DRAWS - higher
    if a.percentile(part) == b.percentile(part):
        return 1.0
    return max(LEAST_CHANCE, min(1.0, 2 * (min(higher, lower) + 1) / (DRAWS + 1)))


def _again(speed: Speed, part: float, source: Random) -> float:
    count = len(speed.times)
    rank = ceil(part * count / 100)
    place = source.betavariate(rank, count - rank + 1) * count
    return speed.times[min(count - 1, int(place))]
