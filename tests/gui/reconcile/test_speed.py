"""Times of requests: percentiles are those of real requests, and a difference is one only beyond what a second sample
of the same would show."""

from __future__ import annotations

from array import array
from random import Random
from typing import Any

import pytest

from gui.reconcile import Speed, chance, chance_of_means, chance_of_percentile, difference, read_speed, share_of
from gui.reconcile.interval import LEAST_CHANCE, Pattern, Share


def sample(seed: int, count: int = 2000, factor: float = 1.0) -> Speed:
    source = Random(seed)
    return Speed(array("d", sorted(factor * source.lognormvariate(0, 0.5) for _ in range(count))))


def test_a_percentile_is_the_time_of_a_real_request() -> None:
    speed = Speed(array("d", [1.0, 2.0, 3.0, 4.0]))
    assert [speed.percentile(part) for part in (0, 25, 50, 50.1, 99.9, 100)] == [1, 1, 2, 3, 4, 4]
    assert Speed().percentile(50) is None
    assert (speed.latency.count, speed.latency.p50, speed.latency.max) == (4, 2.0, 4.0)


def test_the_times_of_what_a_client_did_without_error_are_read(world: Any) -> None:
    world.begin()
    good, failed = world.ask(3), world.ask(2, agent="shared/c2")
    world.read(*good)
    world.read(*failed, ok=False, error="no")
    assert list(read_speed(world.store, [world.repeat]).times) == [1.0] * 3


def test_two_samples_of_the_same_differ_by_chance_and_a_tenth_does_not() -> None:
    likely = chance_of_percentile(sample(1), sample(2), 95)
    assert likely is not None
    assert likely > 0.05
    longer = chance_of_percentile(sample(1), sample(2, factor=1.3), 95)
    assert longer == pytest.approx(0.001, abs=0.004)
    assert chance_of_percentile(sample(1), sample(1), 95) == 1.0


def test_what_is_called_chance_happens_as_often_as_it_says() -> None:
    found = [chance_of_percentile(sample(seed, 400), sample(seed + 5000, 400), 50) for seed in range(100)]
    below = sum(likely is not None and likely <= 0.05 for likely in found)
    assert below <= 12, "about 1 of 20; more than 12 of 100 come once in 500 cases"


def test_nothing_is_said_of_a_percentile_beyond_which_there_is_no_request() -> None:
    assert chance_of_percentile(sample(1, 500), sample(2, 500), 99.9) is None
    assert chance_of_percentile(sample(1, 9), sample(2, 900), 50) is None


def test_means_differ_where_they_are_further_apart_than_they_vary() -> None:
    # Student's own sleep data, by Welch's test: p = 0.0794.
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    assert chance_of_means(one, other) == pytest.approx(0.0794, abs=0.0001)
    assert chance_of_means([1.0], [2.0, 2.1]) is None
    assert chance_of_means([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert chance_of_means([1.0, 1.0], [2.0, 2.0]) == LEAST_CHANCE


@pytest.mark.parametrize("lost", [1, 2, 5, 9, 12, 40])
def test_chance_is_small_exactly_where_the_interval_excludes_nought(lost: int) -> None:
    fine = share_of([Pattern(800, 8, [20] * 5)] * 3)
    bad = share_of([Pattern(800, 8, [20] * 5, {(n % 8, n % 5): 10 for n in range(part, lost, 3)}) for part in range(3)])
    assert (chance(fine, bad) <= 0.05) is difference(fine, bad).real
    assert chance(fine, bad) == pytest.approx(chance(bad, fine))


def test_chance_of_independent_losses_is_near_that_of_fishers_test() -> None:
    # 0 of 1,000 and 8 of 1,000: Fisher's exact test gives 0.0077.
    assert chance(Share(1000, 0, 0, 1), Share(1000, 8, 0, 1), 1.0) == pytest.approx(0.0077, abs=0.004)
    assert chance(Share(1000, 3, 0, 1), Share(1000, 3, 0, 1), 1.0) == 1.0
