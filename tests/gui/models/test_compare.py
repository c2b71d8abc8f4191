"""What the page Compare draws of a comparison and of a trend."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gui.models.compare import (
    FIRST,
    course_of,
    curve_of,
    curves_of,
    names_of,
    opens_on,
    place_of,
    read_comparison,
    shown_changes,
    successes,
)
from gui.reconcile import Speed
from gui.report import Comparison, Trend, build, build_brief, compare, read_trend
from gui.store import Store, TestSpec
from tests.gui.campaign_store import Campaign

SPECS = (TestSpec(2, 20, 10, repeats=1, seed=42, name="2×20"), TestSpec(4, 50, 10, repeats=2, seed=42, name="4×50"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Five runs of a plan; the fourth lost all that one server was asked, the fifth was slower; the second is the
    baseline."""
    with Store(tmp_path_factory.mktemp("compare") / "w.db") as store:
        campaign = Campaign(store, SPECS)
        for number in range(5):
            lost = {(2, 1): 50, (2, 2): 50} if number == 3 else {}
            campaign.run(lost=lost, slower=1.5 if number == 4 else 1.0)
        store.set_baseline(2)
        yield store


@pytest.fixture(scope="module")
def worse(store: Store) -> Comparison:
    return read_comparison(store, 2, 4)


@pytest.fixture(scope="module")
def trend(store: Store) -> Trend:
    found = read_trend(store, "osdf-2021")
    assert found is not None
    return found


def test_what_is_read_for_the_page_says_the_same_as_the_whole_report(store: Store, worse: Comparison) -> None:
    whole = compare(*(build(store, run, timing=False, speed=True) for run in (2, 4)))
    assert whole.changes == worse.changes
    assert whole.finding == worse.finding


def test_success_has_a_place_for_each_test(worse: Comparison) -> None:
    small, large = successes(worse)
    assert (small.number, small.name, small.ask) == (1, "2×20", "2×20")
    assert large.a is not None
    assert large.b is not None
    assert (large.a.value, large.a.lost) == (100.0, 0)
    assert (large.b.value, large.b.lost) == (75.0, 100)
    assert large.b.low < 75 < large.b.high


def test_the_plots_open_on_the_test_that_became_worse(worse: Comparison, store: Store) -> None:
    assert opens_on(worse) == 2
    assert opens_on(read_comparison(store, 1, 2)) == 2, "nothing differs: the last"


def test_only_what_differs_is_shown_unless_all_is_wanted(worse: Comparison) -> None:
    shown = {(change.test, change.name) for change in shown_changes(worse, everything=False)}
    assert {(2, "Success"), (2, "Missing"), (2, "Settled in")} <= shown
    assert (1, "Success") not in shown
    assert len(shown_changes(worse, everything=True)) == 22


def test_a_curve_ends_where_a_percentile_is_that_of_a_single_request() -> None:
    hundred = curve_of(Speed(array("d", [n / 100 for n in range(1, 101)])))
    assert hundred.points[0] == (pytest.approx(FIRST), pytest.approx(0.2))
    assert 98 < hundred.points[-1][0] <= 99
    assert hundred.marks == ((95.0, 0.95),)
    assert curve_of(Speed()).points == curve_of(None).points == ()
    assert place_of(99.9) - place_of(99) == pytest.approx(1)


def test_curves_are_those_of_the_test(worse: Comparison) -> None:
    a, b = curves_of(worse, 2)
    assert a.points[-1][0] == b.points[-1][0] > 99
    assert all(one[1] <= two[1] for one, two in zip(b.points, b.points[1:], strict=False))


def test_a_course_has_a_place_for_each_run(trend: Trend) -> None:
    course = course_of(trend, "4×50", "success")
    assert [(p.run, p.value, p.below, p.baseline) for p in course.points] == [
        (1, 100.0, False, False),
        (2, 100.0, False, True),
        (3, 100.0, False, False),
        (4, 75.0, True, False),
        (5, 100.0, False, False),
    ]
    assert (course.threshold, course.chosen) == (100.0, True)
    times = course_of(trend, "4×50", "p95")
    assert times.threshold is None
    assert times.points[4].value == pytest.approx(1.5 * (times.points[0].value or 0), rel=0.2)
    assert all(point.value for point in course_of(trend, "4×50", "achieved").points)
    assert [p.value for p in course_of(trend, "no such test", "success").points] == [None] * 5
    assert names_of(trend) == ("2×20", "4×50")


def test_a_trend_is_read_again_only_where_it_was_scored_since(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[int, object] = {}
    first = read_trend(store, "osdf-2021", None, known)  # type: ignore[arg-type]
    assert sorted(known) == [1, 2, 3, 4, 5]
    read: list[int] = []
    monkeypatch.setattr("gui.report.history.build_brief", lambda s, run: (read.append(run), build_brief(s, run))[1])
    (old,) = store.scorings(store.repeats(3)[0].id)
    store.add_scoring(replace(old, kind="recheck", id=0), [])
    again = read_trend(store, "osdf-2021", None, known)  # type: ignore[arg-type]
    assert read == [3]
    assert first is not None
    assert again is not None
    assert [p.test.now.good for p in first.points] == [p.test.now.good for p in again.points]


def test_a_plan_that_was_never_run_has_no_trend(store: Store) -> None:
    assert read_trend(store, "no such plan") is None
    newest = read_trend(store, "osdf-2021", 1)
    assert newest is not None
    assert newest.runs == (2, 5), "and the baseline"
