"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_CHANCE = random.Random()  # its own: what an embedding program has seeded stays as it is


def delays(
    first: float = 0.5,
    limit: float = 30.0,
    *,
    factor: float = 2.0,
    jitter: float = 0.3,
    uniform: Callable[[float, float], float] = _CHANCE.uniform,
) -> Iterator[float]:
    """Seconds to wait before each next attempt: grows by `factor` up to `limit`, each shortened by up to `jitter`.

    Jitter only shortens, so `limit` is a real limit; it spreads the reconnects of many daemons after one broker
    restart. Never ends. Use a new generator after a success.
    """
    if not (first > 0 and limit >= first and factor >= 1 and 0 <= jitter < 1):
        raise ValueError("delays need 0 < first <= limit, factor >= 1 and 0 <= jitter < 1")
    delay = first
    while True:
        yield delay * uniform(1 - jitter, 1)
        delay = min(delay * factor, limit)
