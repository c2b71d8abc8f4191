from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gui.campaign.ranges import merged, seen_ranges, size, without

ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


def numbers(some: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in some for number in range(first, last + 1)}


def test_ranges_that_touch_become_one() -> None:
    assert merged([(5, 6), (1, 2), (3, 4), (9, 8)]) == [(1, 6)]


def test_what_is_seen_has_holes() -> None:
    assert seen_ranges(9, [(2, 3), (7, 7)]) == [(0, 1), (4, 6), (8, 9)]


@given(ranges, ranges)
def test_they_behave_as_the_sets_that_they_stand_for(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    assert numbers(merged(a)) == numbers(a)
    left = without(merged(a), merged(b))
    assert numbers(left) == numbers(a) - numbers(b)
    assert left == merged(left)
    assert size(left) == len(numbers(left))
