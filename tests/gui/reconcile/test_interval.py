from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import wilson


@pytest.mark.parametrize(
    ("good", "total", "low", "high"),
    [
        # Computed independently with 30 digits (mpmath's formula by hand), rounded to three decimals.
        (119_973, 120_000, 99.967, 99.985),
        (600, 600, 99.364, 100.0),
        (0, 10, 0.0, 27.753),
        (5, 10, 23.659, 76.341),
    ],
)
def test_known_intervals(good: int, total: int, low: float, high: float) -> None:
    bounds = wilson(good, total)
    assert bounds is not None
    assert bounds == pytest.approx((low, high), abs=0.0006)


def test_nothing_counted_has_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 10**7), st.floats(0, 1))
def test_the_interval_holds_the_share_and_stays_within_0_and_100(total: int, part: float) -> None:
    good = round(total * part)
    bounds = wilson(good, total)
    assert bounds is not None
    low, high = bounds
    assert 0 <= low <= 100 * good / total + 1e-9
    assert 100 * good / total - 1e-9 <= high <= 100
    assert (high == 100) == (good == total)
    assert (low == 0) == (good == 0)
