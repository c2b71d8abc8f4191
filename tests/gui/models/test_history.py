"""Values over time, in bounded memory; rates from counters."""

from __future__ import annotations

import itertools

from gui.models.history import COARSE_POINTS, FINE_POINTS, Counters, Point, Series, rates, total


def test_an_hour_as_it_came_and_a_day_of_the_highest_of_each_minute() -> None:
    series = Series("a", "b")
    for number in range(30_000):
        series.put(number * 5.0, float(number % 24), None)
    end = 30_000 * 5.0
    assert len(series.since(end - 3600)) <= FINE_POINTS
    assert series.since(end - 600)[-1] == Point(149_995.0, (23.0, None))
    day = series.since(0)
    assert len(day) == COARSE_POINTS
    assert {point.values for point in day[:-1]} == {(11.0, None), (23.0, None)}
    assert all(later.t - earlier.t == 60 for earlier, later in itertools.pairwise(day))


def test_a_point_that_comes_late_is_left_out() -> None:
    series = Series("a")
    series.put(10.0, 1.0)
    series.put(9.0, 7.0)
    assert series.last == Point(10.0, (1.0,))
    assert series.column("a", 0.0) == (1.0,)


def test_a_rate_needs_two_reports_of_one_life() -> None:
    first = Counters(10.0, 1.0, (100, 5))
    assert rates(None, first) == (None, None)
    assert rates(first, Counters(15.0, 1.0, (150, 5))) == (10.0, 0.0)
    assert rates(first, Counters(15.0, 12.0, (3, 0))) == (None, None)
    assert rates(first, Counters(15.0, 1.0, (90, 6))) == (None, 0.2)


def test_nothing_known_is_no_sum() -> None:
    assert total([None, None]) is None
    assert total([None, 0.0]) == 0.0
    assert total([]) is None
