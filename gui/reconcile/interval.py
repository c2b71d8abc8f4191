"""How sure a success percentage is: the 95 % Wilson score interval."""

from __future__ import annotations

from math import sqrt

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson(good: int, total: int, z: float = Z95) -> tuple[float, float] | None:
    """Lower and upper bound, in per cent, of the true share when `good` of `total` succeeded; None when total is 0."""
    if total <= 0:
        return None
    share = good / total
    spread = z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + spread)
    # At the ends the formula gives 0 and 1 up to rounding; say so exactly.
    low = 0.0 if good == 0 else max(0.0, centre - half)
    high = 1.0 if good == total else min(1.0, centre + half)
    return 100 * low, 100 * high
