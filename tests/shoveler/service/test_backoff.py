from itertools import islice

import pytest

from shoveler.service import delays


def no_jitter(_low: float, high: float) -> float:
    return high


def test_delays_grow_to_the_limit_and_stay_there():
    assert list(islice(delays(0.5, 4, uniform=no_jitter), 6)) == [0.5, 1, 2, 4, 4, 4]


def test_jitter_only_shortens():
    shortest = list(islice(delays(1, 8, jitter=0.3, uniform=lambda low, _high: low), 5))
    assert shortest == [pytest.approx(value) for value in (0.7, 1.4, 2.8, 5.6, 5.6)]
    assert all(0.7 <= delay <= 1 for delay in islice(delays(1, 1), 100))


@pytest.mark.parametrize("arguments", [(0, 1), (2, 1)])
def test_senseless_arguments_are_a_bug(arguments):
    with pytest.raises(ValueError, match="delays need"):
        next(delays(*arguments))
