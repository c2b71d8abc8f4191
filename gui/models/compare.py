"""What the page Compare draws: intervals of success, percentiles, a test over all runs of its plan; and which run
another one is compared with. No toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Literal

from gui.models.runs import RunView
from gui.reconcile import Speed
from gui.report import Change, Comparison, RunReport, TestPair, Trend, TrendPoint, build, compare
from gui.store import Store

Metric = Literal["success", "achieved", "p50", "p95", "p99"]
METRICS: tuple[Metric, ...] = ("success", "achieved", "p50", "p95", "p99")
CURVE_POINTS = 120
"""Points of a curve of percentiles: more than a plot of this size has pixels for."""
FIRST, LAST = 20.0, 99.99
"""The percentiles that are drawn."""


def read_comparison(store: Store, a: int, b: int) -> Comparison:
    """Compare run b with run a. Blocking. Raises StoreError."""
    one, other = (build(store, run, max_odd=0, timing=False, speed=True, samples=False) for run in (a, b))
    return compare(one, other)


def counterpart(runs: Sequence[RunView], run: int) -> int | None:
    """What a run is compared with unless somebody says otherwise: the baseline of its plan, else the run of this plan
    before it, else the baseline of the workspace, else the run of this plan after it. None when there is none."""
    mine = next((view for view in runs if view.run.id == run), None)
    if mine is None:
        return None
    others = [view.run for view in runs if view.run.id != run and view.run.ended is not None]
    alike = [other for other in others if other.name == mine.run.name]
    earlier = [other for other in alike if other.id < run]
    for some in ([o for o in alike if o.baseline], earlier, [o for o in others if o.baseline], alike[::-1]):
        if some:
            return some[0].id
    return None


# ---------------------------------------------------------------- success, by test


@dataclass(frozen=True, slots=True)
class Interval:
    """Success with the bounds of its 95 % interval, in per cent; `lost`: how many records."""

    value: float
    low: float
    high: float
    lost: int


@dataclass(frozen=True, slots=True)
class TestSuccess:
    """The success of a test in both runs; None where one has no such test, or counted nothing."""

    number: int
    name: str
    ask: str
    a: Interval | None
    b: Interval | None

    __test__ = False


def successes(comparison: Comparison) -> tuple[TestSuccess, ...]:
    """One for each test of either run."""
    return tuple(
        TestSuccess(number, pair.name, _size(pair), _interval(pair, "a"), _interval(pair, "b"))
        for number, pair in enumerate(comparison.tests, 1)
    )


def _size(pair: TestPair) -> str:
    test = pair.a or pair.b
    assert test is not None
    return f"{test.entry.spec.servers}×{test.entry.spec.files_per_server}"


def _interval(pair: TestPair, side: Literal["a", "b"]) -> Interval | None:
    test = pair.a if side == "a" else pair.b
    if test is None or not test.now.counted or test.now.interval is None:
        return None
    low, high = test.now.interval
    return Interval(100 * test.now.good / test.now.counted, low, high, test.now.counted - test.now.good)


# ---------------------------------------------------------------- percentiles


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds by percentile; `marks`: those of the figures in the table."""

    points: tuple[tuple[float, float], ...] = ()
    marks: tuple[tuple[float, float], ...] = ()


def place_of(percent: float) -> float:
    """Where a percentile is on the axis: each further step is a tenth of the requests."""
    return -log10(1 - min(percent, LAST) / 100)


def curve_of(speed: Speed | None) -> Curve:
    """The curve of a test, up to the percentile that is still told by several requests."""
    if speed is None or not speed.times:
        return Curve()
    begin, end = place_of(FIRST), place_of(LAST)
    points: list[tuple[float, float]] = []
    for step in range(CURVE_POINTS + 1):
        percent = 100 * (1 - 10 ** -(begin + (end - begin) * step / CURVE_POINTS))
        if (100 - percent) * len(speed.times) < 100 and points:
            break
        points.append((percent, speed.percentile(percent) or 0.0))
    marks = [(part, speed.percentile(part) or 0.0) for part in (95.0, 99.9) if part <= points[-1][0] + 1e-9]
    return Curve(tuple(points), tuple(marks))


def curves_of(comparison: Comparison, test: int) -> tuple[Curve, Curve]:
    """The curves of a test of a comparison in both runs."""
    pair = comparison.tests[test - 1]
    return curve_of(pair.a.speed if pair.a else None), curve_of(pair.b.speed if pair.b else None)


# ---------------------------------------------------------------- over time


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of a test in one run. `value`: per cent, requests per second or seconds; None: not measured.
    `below`: success below the threshold. `ended`: what the run ended as."""

    run: int
    t: float | None
    value: float | None
    low: float | None
    high: float | None
    below: bool
    baseline: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class Course:
    """A figure of one test over all runs of a plan, oldest first."""

    metric: Metric
    title: str
    points: tuple[Point, ...]
    threshold: float | None
    baseline: int
    chosen: bool
    """Whether a person has made it the baseline."""


def names_of(trend: Trend) -> tuple[str, ...]:
    """The tests of a trend, in the order of its newest run, then those that only earlier ones had."""
    newest = [point.name for point in trend.points if point.report.run.id == trend.runs[-1]]
    return tuple(dict.fromkeys([*newest, *(point.name for point in trend.points)]))


def course_of(trend: Trend, name: str, metric: Metric) -> Course:
    """A figure of the test of this name, with a place for each run: those that have no such test have no value."""
    mine: dict[int, TrendPoint] = {}
    for point in trend.points:
        if point.name == name:
            mine.setdefault(point.report.run.id, point)
    reports = {point.report.run.id: point.report for point in trend.points}
    threshold = max(mine.items())[1].test.entry.spec.pass_at if mine and metric == "success" else None
    points = tuple(_point(run, reports.get(run), mine.get(run), metric, trend.baseline) for run in trend.runs)
    return Course(metric, name, points, threshold, trend.baseline, trend.chosen)


def _point(run: int, report: RunReport | None, point: TrendPoint | None, metric: Metric, baseline: int) -> Point:
    outcome = report.run.state if report is not None else ""
    started = report.run.started if report is not None else None
    value = low = high = None
    below = False
    if point is not None:
        now = point.test.now
        if metric == "success" and now.counted:
            value = 100 * now.good / now.counted
            low, high = now.interval or (None, None)
            below = value < point.test.entry.spec.pass_at or now.conclusion == "fail"
        elif metric == "achieved":
            value = now.achieved
        elif metric != "success":
            latency = point.test.latency
            value = None if latency is None else {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}[metric]
    return Point(run, started, value, low, high, below, run == baseline, outcome)


def opens_on(comparison: Comparison) -> int:
    """The test that the plots show first: one that is worse or better, else one that differs, else the last."""
    for wanted in ("worse", "better"):
        found = [number for number, pair in enumerate(comparison.tests, 1) if pair.meaning == wanted]
        if found:
            return found[-1]
    differing = [change.test for change in comparison.changes if change.real]
    return differing[-1] if differing else max(1, len(comparison.tests))


def shown_changes(comparison: Comparison, *, everything: bool) -> tuple[Change, ...]:
    """The figures that differ, or all of them."""
    return tuple(change for change in comparison.changes if everything or change.differs)
