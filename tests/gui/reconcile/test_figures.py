from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import conclusion_of_run, figures
from gui.store import ScoringEntry, TestSpec

SPEC = TestSpec(50, 800, 100, repeats=3)
ONCE = TestSpec(50, 800, 100)


def scoring(total: int = 40_000, *, matched: int | None = None, late: int = 0, failed: int = 0, **other: float):
    good = total - failed if matched is None else matched
    values = {
        "kind": "settle", "repeat_id": 1, "t": 0.0, "record_mark": 0, "total": total, "recorded": good + late,
        "matched": good, "late": late, "wrong_bytes": 0, "missing": total - failed - good - late, "duplicate": 0,
        "client_failed": failed, "unreported": 0, "unrequested": 0, "recovered": 0, "bytes_asked": 0, "bytes_got": 0,
        "bytes_recorded": 0,
    }  # fmt: skip
    return ScoringEntry(**(values | other))  # type: ignore[arg-type]


def test_the_seeds_last_row_averages_three_repeats() -> None:
    row = figures(SPEC, [scoring(matched=n) for n in (39_990, 39_991, 39_992)])
    assert (row.recorded_avg, row.recorded_min, row.recorded_max) == (39_991.0, 39_990, 39_992)
    assert (row.total, row.good, row.missing) == (120_000, 119_973, 27)
    assert row.success == pytest.approx(99.9775)
    assert row.worst == pytest.approx(99.975)
    assert row.interval == pytest.approx((99.848, 99.999), abs=0.001), "where losses lay is not known: one a repeat"
    assert row.conclusion == "fail"


def test_thirds_come_out_as_published() -> None:
    row = figures(TestSpec(32, 100, 20, repeats=3), [scoring(3200, matched=n) for n in (3197, 3197, 3196)])
    assert f"{row.recorded_avg:.2f}" == "3196.67"


def test_late_records_count_as_good() -> None:
    row = figures(ONCE, [scoring(matched=39_990, late=10)])
    assert (row.success, row.conclusion) == (100.0, "pass")


def test_a_repeat_that_lost_only_what_its_plan_injected_passes_without_that() -> None:
    planned, own = scoring(1000, matched=979, id=1), scoring(1000, matched=999, id=2)
    spec = TestSpec(50, 20, 10, repeats=2)
    row = figures(spec, [planned, own], injected={1: 21}, without_injected=True)
    assert (row.missing, row.counted, row.injected, row.left_out) == (1, 1979, 21, 21)
    assert (row.worst, row.conclusion) == (99.9, "fail"), "the other repeat lost one by itself"
    alone = figures(TestSpec(50, 20, 10), [planned], injected={1: 21}, without_injected=True)
    assert (alone.success, alone.interval is not None, alone.conclusion) == (100.0, True, "pass")
    assert figures(TestSpec(50, 20, 10), [planned], injected={1: 21}).conclusion == "fail"


def test_client_failures_leave_the_count_and_up_to_1_per_cent_may_fail() -> None:
    row = figures(ONCE, [scoring(failed=400)])
    assert (row.success, row.counted, row.conclusion) == (100.0, 39_600, "pass")
    assert figures(ONCE, [scoring(failed=401)]).conclusion == "inconclusive"
    assert figures(SPEC, [scoring(failed=40_000)]).success is None


def test_the_worst_repeat_decides() -> None:
    spec = TestSpec(50, 800, 100, pass_at=99.9)
    fine, bad = scoring(matched=40_000), scoring(matched=39_959)
    assert figures(spec, [fine, scoring(matched=39_960)]).conclusion == "pass"
    assert figures(spec, [fine] * 20 + [bad]).conclusion == "fail"


def test_a_test_that_was_cut_short_has_not_passed() -> None:
    whole, part = scoring(), scoring(12_000)
    assert figures(ONCE, [part]).conclusion == "none"  # all that was asked is there, and most was not asked
    assert figures(SPEC, [whole, whole]).conclusion == "none"
    assert figures(SPEC, [whole, whole, part]).conclusion == "none"
    # Nobody waited for the records of the last part: what is missing there is held against nobody.
    assert figures(SPEC, [whole, scoring(12_000, matched=11_000)]).conclusion == "none"
    # A whole repeat that is below the mark has failed the test already.
    assert figures(SPEC, [scoring(matched=39_990), part]).conclusion == "fail"


def test_offered_and_achieved_rates_are_two_things() -> None:
    row = figures(TestSpec(8, 100, 20), [scoring(800, first_open=10.0, last_close=20.0)])
    assert (row.offered, row.achieved) == (200.0, 80.0), "five rounds have four waits"
    assert figures(TestSpec(8, 100, 20, wait=0), [scoring(800)]).offered is None
    assert figures(TestSpec(8, 100, 100), [scoring(800)]).offered is None, "one round is as fast as it goes"


@given(st.integers(1, 50), st.integers(1, 200), st.integers(1, 200), st.floats(0.01, 10), st.integers(0, 100))
def test_nobody_is_faster_than_what_is_offered(servers: int, files: int, n: int, wait: float, cut: int) -> None:
    """However quick the servers are, and wherever a repeat was cut short."""
    spec = TestSpec(servers, files, n, wait=wait)
    asked = max(1, spec.total - cut * servers)
    rounds = -(-asked // (servers * n))
    took = (rounds - 1) * wait + 0.001
    row = figures(spec, [scoring(asked, first_open=10.0, last_close=10.0 + took)])
    assert row.offered is None or row.achieved is None or row.achieved <= row.offered
    assert (row.offered is None) == (rounds == 1)
    assert figures(SPEC, [scoring(first_open=5.0, last_close=5.0)]).achieved is None


def test_a_test_without_repeats_has_no_figures() -> None:
    row = figures(SPEC, [])
    assert (row.recorded_avg, row.success, row.interval, row.conclusion) == (None, None, None, "none")


@pytest.mark.parametrize(
    ("tests", "run"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "fail", "inconclusive"], "fail"),
        (["pass", "inconclusive"], "inconclusive"),
        (["pass", "none"], "none"),
        (["fail", "none"], "fail"),
        ([], "none"),
    ],
)
def test_a_run_passes_when_all_its_tests_do(tests: list, run: str) -> None:
    assert conclusion_of_run(tests) == run
