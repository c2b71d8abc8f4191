"""The sequence tracker against a plain model that sees the true numbers."""

from __future__ import annotations

import random
from itertools import accumulate, groupby

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collector.correlate.sequence import DUPLICATE, LATE, NEW, REORDER, Gap, Tracker


def feed(tracker: Tracker, numbers: list[int], *, first: int | None = None) -> tuple[list[int], list[Gap]]:
    """Verdicts on datagrams with these true numbers, all bytes different; and the gaps declared by the end."""
    verdicts, gaps = [], []
    for number in numbers:
        if tracker.newest is None:
            tracker.begin(number % tracker.modulus, 0.0, 0, first)
        verdicts.append(tracker.observe(number % tracker.modulus, number, 0, 0, 0.0, 0.0))
        gaps += tracker.settle(0.0, 1.0)
    return verdicts, gaps + tracker.settle(1.0, 1.0)


def runs(missing: set[int], modulus: int = 256) -> list[tuple[int, int]]:
    """(number before, how many) of each run of numbers."""
    found = []
    for _, group in groupby(enumerate(sorted(missing)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        found.append(((members[0] - 1) % modulus, len(members)))
    return found


def test_in_order_over_many_turns() -> None:
    verdicts, gaps = feed(Tracker(), list(range(2000)))
    assert set(verdicts) == {NEW}
    assert gaps == []


def test_counts_right_over_the_turn() -> None:
    """P2: from 249 to 4 ten numbers are missing, not nine."""
    _, gaps = feed(Tracker(), [249, 260])
    assert gaps == [Gap(249, 10, 0, 0, 0.0, 0.0)]


@pytest.mark.parametrize(
    ("numbers", "late"),
    [
        ([0, 1, 3, 2, 4], 1),
        ([0, 8, 1, 2, 3, 4, 5, 6, 7, 9], 7),
        ([255, 257, 256, 258], 1),
        ([7, 0, 1, 2, 3, 4, 5, 6, 8], 7),
    ],
)
def test_a_late_one_is_not_missing_and_does_not_rewind(numbers: list[int], late: int) -> None:
    """P2: nothing is missing when everything has come in the end."""
    verdicts, gaps = feed(Tracker(), numbers, first=0 if numbers[0] in (0, 7) else None)
    assert verdicts.count(LATE) == late
    assert gaps == []


def test_the_same_bytes_again_are_a_duplicate() -> None:
    verdicts, gaps = feed(Tracker(), [5, 6, 6, 5, 7, 5])
    assert verdicts == [NEW, NEW, DUPLICATE, DUPLICATE, NEW, DUPLICATE]
    assert gaps == []


def test_the_same_number_with_other_bytes_has_come_round() -> None:
    tracker = Tracker()
    assert feed(tracker, [5, 6, 7])[0] == [NEW] * 3
    verdicts, gaps = feed(tracker, [6 + 256])
    assert verdicts == [NEW]
    assert gaps == [Gap(7, 254, 0, 0, 0.0, 0.0)]


def test_from_the_start_the_first_numbers_may_be_missing() -> None:
    _, gaps = feed(Tracker(), [2, 3], first=0)
    assert gaps == [Gap(-1, 2, 0, 0, 0.0, 0.0)]
    _, gaps = feed(Tracker(), [2, 3], first=None)
    assert gaps == []


def test_a_hole_is_open_until_it_is_far_behind() -> None:
    tracker = Tracker()
    tracker.begin(0, 0.0, 0, 0)
    for number in (0, 2):
        tracker.observe(number, number, 0, 0, 0.0, 0.0)
    assert tracker.settle(0.5, 1.0) == []
    assert len(tracker.holes) == 1
    for number in range(3, 2 + REORDER):
        tracker.observe(number, number, 0, 0, 0.0, 0.0)
    assert tracker.settle(0.5, 1.0) == [Gap(0, 1, 0, 0, 0.0, 0.0)]
    assert tracker.holes == []


def test_a_gap_says_when_it_was() -> None:
    tracker = Tracker()
    tracker.begin(0, 0.0, 90, 0)
    tracker.observe(0, 1, 100, 100, 0.0, 1000.0)
    tracker.observe(1, 2, 110, 112, 0.0, 1010.0)
    tracker.observe(4, 3, 130, 131, 0.0, 1030.0)
    assert tracker.settle(9.0, 1.0) == [Gap(1, 2, 112, 130, 1010.0, 1030.0)]


def test_what_comes_late_narrows_the_windows_beside_it() -> None:
    tracker = Tracker()
    tracker.begin(0, 0.0, 90, 0)
    tracker.observe(0, 1, 100, 100, 0.0, 1000.0)
    tracker.observe(4, 2, 130, 131, 0.0, 1030.0)
    assert tracker.observe(2, 3, 110, 112, 0.0, 1031.0) == LATE
    assert tracker.settle(9.0, 1.0) == [Gap(0, 1, 100, 110, 1000.0, 1030.0), Gap(2, 1, 112, 130, 1000.0, 1030.0)]


def test_a_clock_set_back_gives_no_window_that_ends_before_it_begins() -> None:
    tracker = Tracker()
    tracker.begin(0, 0.0, 90, 0)
    tracker.observe(0, 1, 100, 105, 0.0, 1000.0)
    tracker.observe(4, 2, 50, 55, 0.0, 1030.0)
    tracker.observe(2, 3, 40, 45, 0.0, 1031.0)
    assert {(gap.begin, gap.end) for gap in tracker.settle(9.0, 1.0)} == {(105, 105)}


def test_what_tells_no_time_of_its_own_is_bounded_by_the_next_time_told() -> None:
    tracker = Tracker()
    tracker.begin(0, 0.0, 100, 0)
    tracker.observe(2, 1, 0, 100, 0.0, 5000.0)
    assert tracker.holes[0].end == 0
    tracker.bound_holes(120)
    tracker.bound_holes(130)
    assert tracker.settle(9.0, 1.0) == [Gap(-1, 2, 100, 120, 0.0, 5000.0)]


@pytest.mark.parametrize(("ahead", "lost"), [(127, 126), (128, 0), (129, 0)])
def test_half_the_range_ahead_is_behind(ahead: int, lost: int) -> None:
    """Format reference, section 3: forward is less than 128; a number from 128 on is one that comes late."""
    tracker = Tracker()
    assert feed(tracker, [199])[1] == []
    verdicts, gaps = feed(tracker, [199 + ahead])
    assert sum(gap.missing for gap in gaps) == lost
    assert verdicts == [NEW if lost else LATE]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[int], set[int], int, int]:
    """A stream as it arrives, what of it is missing, its modulus, and its first number."""
    modulus = draw(st.sampled_from([256, 1000]))
    start = draw(st.integers(0, modulus - 1))
    count = draw(st.integers(2, 600))
    rng = random.Random(draw(st.integers(0, 2**32)))
    numbers = list(range(start, start + count))
    lost: set[int] = set()
    while rng.random() < 0.6 and len(lost) < count // 2:
        begin = rng.choice(numbers)
        more = lost | set(range(begin, begin + rng.choice([1, 1, 2, 5, 60])))
        if all(length <= 90 for _, length in runs(more)):  # beyond half a turn nobody can tell loss from lateness
            lost = more
    kept = [n for n in numbers if n not in lost] or numbers[:1]
    places = [(place + rng.uniform(0, 16), n) for place, n in enumerate(kept)]
    places += [(place + rng.uniform(0, 16), n) for place, n in enumerate(kept) if rng.random() < 0.1]
    arrived = [n for _, n in sorted(places)]
    missing = {n for n in numbers if n not in kept and min(kept) < n < max(kept)}
    return arrived, missing, modulus, start


@given(streams())
@settings(max_examples=300, deadline=None)
def test_against_a_plain_model(stream: tuple[list[int], set[int], int, int]) -> None:
    """Loss in bursts, reordering within 16 and duplicates, over several turns: every verdict and every gap is right."""
    arrived, missing, modulus, _ = stream
    newest = list(accumulate(arrived, max))
    assume(all(most - number < modulus // 2 for most, number in zip(newest, arrived, strict=True)))
    verdicts, gaps = feed(Tracker(modulus), arrived)
    seen: set[int] = set()
    for number, verdict in zip(arrived, verdicts, strict=True):
        expected = DUPLICATE if number in seen else LATE if seen and number < max(seen) else NEW
        assert verdict == expected
        seen.add(number)
    # what is missing before the first that came cannot be told from having begun later
    begin = arrived[0]
    known = {n for n in missing if n > begin}
    assert sorted((gap.after, gap.missing) for gap in gaps) == sorted(runs(known, modulus))


@given(streams(), st.integers(0, 600))
@settings(max_examples=100, deadline=None)
def test_state_can_be_put_away(stream: tuple[list[int], set[int], int, int], cut: int) -> None:
    arrived, _, modulus, _ = stream
    one = Tracker(modulus)
    verdicts, gaps = feed(one, arrived)
    first, second = Tracker(modulus), Tracker(modulus)
    found: list[int] = []
    for number in arrived[:cut]:
        if first.newest is None:
            first.begin(number % modulus, 0.0, 0, None)
        found.append(first.observe(number % modulus, number, 0, 0, 0.0, 0.0))
        del gaps[: len(first.settle(0.0, 1.0))]
    second = Tracker.load(first.dump())
    assert second.dump() == first.dump()
    if first.newest is not None:  # what a duplicate can still be told by, and no more
        young = {(first.newest - behind) % modulus for behind in range(first.history + 1)}
        assert second.sums == {number: of for number, of in first.sums.items() if number in young}
    rest, after = feed(second, arrived[cut:])
    assert found + rest == verdicts
    assert after == gaps
