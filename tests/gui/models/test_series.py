"""The time axis of a run as arrays: a column a second, and nothing where nothing was measured."""

from __future__ import annotations

import numpy as np

from gui.models.series import Curves, round_top
from gui.runner.progress import SamplePoint


def point(t: float, *rates: float | None, missing: tuple[int, ...] = (), read: int | None = None) -> SamplePoint:
    return SamplePoint(t, rates, missing, requested=read, read=read, recorded=read)


def same(one: np.ndarray, other: object) -> bool:
    return np.array_equal(one, np.array(other, dtype=float), equal_nan=True)


def test_a_second_without_a_sample_has_no_value() -> None:
    curves = Curves()
    curves.update((point(100, 1.0, read=1), point(101, None, missing=(0,)), point(104, 4.0, read=4)), 1)
    assert curves.first == 100
    assert same(curves.rates, [[1, None, None, None, 4]])
    assert curves.missing.tolist() == [[False, True, False, False, False]]
    assert same(curves.counts[1], [1, None, None, None, 4])


def test_what_becomes_known_late_takes_its_place() -> None:
    curves = Curves()
    first, second = point(100, 1.0), point(101, None, missing=(0,))
    curves.update((first, second), 1)
    curves.update((first, point(101, 2.0), point(102, 3.0)), 1)
    assert same(curves.rates, [[1, 2, 3]])
    assert not curves.missing.any()


def test_servers_of_later_tests_are_added_below() -> None:
    curves = Curves()
    old = point(100, 1.0)
    curves.update((old,), 1)
    curves.update((old, point(103, 2.0, 5.0, missing=())), 2)
    assert same(curves.rates, [[1, None, None, 2], [None, None, None, 5]])


def test_the_oldest_seconds_go_and_another_run_begins_anew() -> None:
    curves = Curves()
    curves.update(tuple(point(100 + n, float(n)) for n in range(5)), 1)
    curves.update(tuple(point(102 + n, float(n)) for n in range(5)), 1)
    assert (curves.first, curves.rates.shape) == (102, (1, 5))
    curves.update((), 1)
    assert curves.rates.shape[1] == 0


def test_only_new_points_are_read() -> None:
    curves = Curves()
    points = tuple(point(100 + n, 1.0) for n in range(3))
    curves.update(points, 1)
    curves.rates[0, 1] = 99  # would be written over, were the same point read again
    curves.update((*points, point(103, 1.0)), 1)
    assert same(curves.rates, [[1, 99, 1, 1]])


def test_the_scale_doubles_and_never_shrinks() -> None:
    assert round_top(0) == 1
    assert round_top(12.1) == 16
    assert round_top(3, 16) == 16
