"""Samples on a beat of one second."""

from __future__ import annotations

import numpy as np

from gui.models.series import by_second, round_top


def test_a_short_gap_is_held_and_a_long_one_is_unknown() -> None:
    grid = by_second(np.array([0.2, 1.4, 3.0, 9.0]), np.array([[1.0, 2.0, 3.0, 4.0]]), hold=2)
    assert np.array_equal(grid[0], [1, 2, 2, 3, 3, 3, np.nan, np.nan, np.nan, 4], equal_nan=True)


def test_before_the_first_sample_nothing_is_known() -> None:
    assert np.isnan(by_second(np.array([2.0]), np.array([[5.0]]))[0, :2]).all()
    assert by_second(np.empty(0), np.empty((3, 0))).shape == (3, 0)


def test_what_was_not_measured_stays_so() -> None:
    assert np.isnan(by_second(np.array([0.0, 1.0]), np.array([[1.0, np.nan]]))[0, 1])


def test_the_scale_doubles_and_never_shrinks() -> None:
    assert round_top(0) == 1
    assert round_top(12.1) == 16
    assert round_top(3, 16) == 16
