from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import Pattern, Share, difference, interval, share_of
from gui.reconcile.interval import BURST, DATAGRAM, Place, unit


def repeat(servers: int, files: int, lost: dict[Place, int] | None = None) -> Pattern:
    """A repeat with rounds of 20 requests of each server."""
    return Pattern(servers * files, servers, [min(20, files - begun) for begun in range(0, files, 20)], lost or {})


FINE = repeat(8, 100)


@pytest.mark.parametrize(
    ("total", "lost", "low", "high"),
    [
        # Clopper and Pearson's bounds of independent losses, from published tables; one request of each server, so that
        # no clusters are assumed, but the one loss that is counted in.
        (100, 0, 96.378, 100.0),
        (10, 0, 69.150, 100.0),
        (100, 50, 39.832, 60.168),
        (10, 10, 0.0, 30.850),
    ],
)
def test_single_losses_have_the_exact_interval(total: int, lost: int, low: float, high: float) -> None:
    alone = Share(total, lost, lost * (1 - lost / total), 1)
    assert interval(alone) == pytest.approx((low, high), abs=0.0006)


def test_nothing_counted_has_no_interval() -> None:
    assert interval(share_of([])) is None
    assert interval(share_of([Pattern(0, 8, [20])])) is None


def test_where_nothing_was_lost_a_burst_is_the_unit() -> None:
    bounds = interval(share_of([FINE] * 3))
    assert bounds == pytest.approx((92.603, 100.0), abs=0.001), "48 units, of which none was lost"


def test_a_server_that_was_asked_for_little_loses_little_at_once() -> None:
    assert unit([share_of([repeat(8, 10)])], BURST) == 5
    assert unit([share_of([repeat(8, 1)])], BURST) == 1


def test_single_losses_all_over_are_single_ones() -> None:
    patterns = [repeat(80, 100, {(server, server % 5): 1 for server in range(start, 80, 3)}) for start in range(3)]
    assert unit([share_of(patterns)], DATAGRAM) == pytest.approx(2.2, abs=0.1), "1, and what is assumed"


def test_ten_in_one_datagram_are_one_loss() -> None:
    share = share_of([FINE, repeat(8, 100, {(3, 1): 10}), repeat(8, 100, {(5, 0): 10})])
    assert unit([share], DATAGRAM) == pytest.approx(10, abs=1)


def test_in_a_single_round_the_losses_of_a_server_are_datagrams() -> None:
    bad = repeat(50, 20, {(7, 0): 10})
    assert unit([share_of([bad] * 3)], DATAGRAM) == pytest.approx(6.3, abs=0.1), "each the half of its 20 requests"


def test_a_burst_over_all_servers_is_one_loss() -> None:
    burst = repeat(8, 100, {(server, 2): 10 for server in range(8)})
    assert unit([share_of([FINE, burst, FINE])], DATAGRAM) > 60


def test_a_server_that_loses_all_of_a_repeat_is_one_loss_and_in_every_repeat_is_no_chance() -> None:
    dead = repeat(8, 100, {(3, number): 20 for number in range(5)})
    once, always, good = share_of([FINE, dead, FINE]), share_of([dead] * 3), share_of([FINE] * 3)
    assert unit([once], DATAGRAM) == pytest.approx(94, abs=1)
    assert unit([always], DATAGRAM) == 1
    assert not difference(good, once).real
    assert difference(good, always).real


def test_all_lost_is_no_chance_whatever_was_lost_together() -> None:
    for files in (4, 20, 100):
        rounds = [(number, min(20, files - 20 * number)) for number in range(-(-files // 20))]
        gone = repeat(8, files, {(server, number): count for server in range(8) for number, count in rounds})
        assert difference(share_of([repeat(8, files)]), share_of([gone])).real, files


def test_one_loss_of_five_is_not_more_than_chance() -> None:
    good, bad = share_of([FINE] * 2), share_of([FINE, repeat(8, 100, {(3, 1): 5})])
    assert not difference(good, bad).real, "5 of 1,600, all in one datagram"


def test_six_datagrams_more_are() -> None:
    good = share_of([FINE] * 3)

    def lose(datagrams: int) -> Share:
        return share_of([repeat(8, 100, {(n, n % 5): 10 for n in range(part, datagrams, 3)}) for part in range(3)])

    assert not difference(good, lose(5)).real
    worse = difference(good, lose(7))
    assert worse.change == pytest.approx(-100 * 70 / 2400)
    assert worse.low < worse.change < worse.high < 0


shares = st.builds(
    lambda files, servers, runs: share_of(
        [
            repeat(servers, files, {(s, r): min(n, 20, files - 20 * r) for (s, r), n in lost.items()
                                    if s < servers and 20 * r < files})
            for lost in runs
        ]
    ),
    st.integers(1, 200),
    st.integers(1, 20),
    st.lists(
        st.dictionaries(st.tuples(st.integers(0, 19), st.integers(0, 9)), st.integers(1, 20), max_size=30),
        min_size=1,
        max_size=4,
    ),
)  # fmt: skip


@given(shares)
def test_the_interval_holds_the_share_and_stays_within_0_and_100(share: Share) -> None:
    bounds = interval(share)
    assert bounds is not None
    low, high = bounds
    success = 100 * (1 - share.lost / share.total)
    assert 0 <= low <= success + 1e-6
    assert success - 1e-6 <= high <= 100
    assert (high == 100) == (share.lost == 0)


@given(shares, shares)
def test_a_difference_is_told_from_both_sides_alike_and_a_run_never_differs_from_itself(a: Share, b: Share) -> None:
    one, other = difference(a, b), difference(b, a)
    assert (one.change, one.low, one.high) == pytest.approx((-other.change, -other.high, -other.low), abs=1e-9)
    assert one.low <= one.change <= one.high
    same = difference(a, a)
    assert (same.change, same.real) == (0.0, False)
