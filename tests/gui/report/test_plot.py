from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import Moment, score
from gui.report import build
from gui.report.plot import MAX_POINTS, Label, Stroke, axis, converging, intervals, latencies, thin, throughput
from gui.report.svg import draw
from gui.store import MarkerRow, SampleRow, TestSpec


@given(st.floats(0.001, 1e12))
def test_an_axis_is_round_and_reaches_the_top_in_few_steps(top: float) -> None:
    ticks = axis(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * 0.999
    assert 2 <= len(ticks) <= 7


def test_thinning_keeps_both_ends() -> None:
    samples = [SampleRow(t, 0, t, t, t) for t in range(5000)]
    kept = thin(samples)
    assert len(kept) == MAX_POINTS
    assert (kept[0].t, kept[-1].t) == (0, 4999)
    assert thin(samples[:3]) == samples[:3]


@pytest.fixture
def report(world: Any) -> Any:
    world.begin(TestSpec(2, 2, 2, name="2×2"), TestSpec(1, 400, 400, name="big"))
    a = world.ask(2, server="root://s01:1") + world.ask(2, server="root://s02:1")
    world.read(*a)
    world.record(*a)
    score(world.store, world.repeat, "settle", world.tick())
    one, two = (server.id for server in world.store.servers())
    world.store.add_samples(
        world.repeat,
        [SampleRow(100, one, 1, 0, 0), SampleRow(100, two, 1, 1, 0), SampleRow(101, one, 2, 2, 1),
         SampleRow(102, two, 2, 2, 2), SampleRow(103, one, 2, 2, 2)],
    )  # fmt: skip
    for t in range(20):
        world.store.add_marker(world.run, MarkerRow(100.0 + t / 10, "fault", f"fault {t}"))
    world.store.add_marker(world.run, MarkerRow(50.0, "fault", "before"))
    world.next_repeat(2, 1)
    b = world.ask(400)
    world.read(*b)
    world.record(*b)
    score(world.store, world.repeat, "settle", world.tick())
    return build(world.store, world.run)


def test_the_curves_are_summed_over_servers_also_when_one_is_silent(report: Any) -> None:
    samples = report.tests[0].repeats[0].samples
    assert [(s.t, s.requested, s.read, s.recorded) for s in samples] == [
        (100, 2, 1, 0),
        (101, 3, 3, 1),
        (102, 4, 4, 3),
        (103, 4, 4, 4),
    ]


def test_the_converging_plot_stays_within_its_frame(report: Any) -> None:
    picture = converging("Test 1", report.tests[0].repeats[0], report.markers)
    assert picture is not None
    for item in picture.items:
        points = item.points if hasattr(item, "points") else [(item.x, item.y)]
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in points)
    labels = [item.text for item in picture.items if isinstance(item, Label)]
    assert "+8 events" in labels
    assert "before" not in labels
    assert {"requested", "read", "recorded"} <= {i.role for i in picture.items if isinstance(i, Stroke)}


def test_a_repeat_without_samples_has_no_plot(report: Any) -> None:
    assert converging("x", report.tests[1].repeats[0], ()) is None


@pytest.mark.parametrize(("low", "shown"), [(99.2, "99"), (98.0, "95"), (60.0, "50"), (2.5, "0")])
def test_the_scale_of_intervals_begins_where_all_are_within(report: Any, low: float, shown: str) -> None:
    tests = tuple(replace(test, now=replace(test.now, interval=(low, 100.0))) for test in report.tests)
    picture = intervals(replace(report, tests=tests))
    assert picture is not None
    assert f"Success with 95 % interval, {shown} to 100 %" in [i.text for i in picture.items if isinstance(i, Label)]
    lines = [item for item in picture.items if isinstance(item, Stroke) and item.role == "ok"]
    assert len(lines) == 6
    assert all(150 <= x <= 720 for line in lines for x, _ in line.points)
    drawn = draw(picture)
    assert drawn.startswith("<svg")
    assert "2×2" in drawn


def moment(t: float, p50: float | None, *, came: int | None = None, seconds: int = 1) -> Moment:
    many = 0 if p50 is None else 10
    return Moment(t, seconds, many, 0, came, p50, p50 and 2 * p50, p50 and 3 * p50, p50 and 4 * p50)


def test_latencies_are_steps_with_a_gap_where_nothing_ended() -> None:
    moments = [moment(100, 0.010), moment(101, 0.020), moment(102, None, came=5), moment(103, 0.030)]
    picture = latencies("Test 1", moments, [MarkerRow(101.5, "fault", "broker-down"), MarkerRow(90, "fault", "before")])
    assert picture is not None
    medians = [item for item in picture.items if isinstance(item, Stroke) and item.role == "read" and item.width < 2]
    assert [len(item.points) for item in medians] == [4, 2]
    labels = [item.text for item in picture.items if isinstance(item, Label)]
    assert "broker-down" in labels
    assert "before" not in labels
    assert {"0 s", "100 ms"} <= set(labels)
    assert "the largest 99th percentile is 90.0 ms" in picture.text


def test_throughput_is_of_bytes_where_they_were_measured_and_else_of_requests() -> None:
    measured = throughput("x", [moment(100, 0.1, came=3 << 20), moment(101, 0.1), moment(102, 0.1, came=1 << 20)], ())
    counted = throughput("x", [moment(100, 0.1, seconds=2), moment(102, 0.1, seconds=2)], ())
    assert measured is not None
    assert counted is not None
    assert "at most 3.0 MiB/s were read" in measured.text
    assert "at most 5.0/s ended" in counted.text
    axis_of = [item.text for item in measured.items if isinstance(item, Label) and item.anchor == "end"]
    assert axis_of == ["0 B/s", "1.0 MiB/s", "2.0 MiB/s", "3.0 MiB/s"]


def test_one_moment_is_no_curve() -> None:
    assert latencies("x", [moment(100, 0.1)], ()) is None
    assert throughput("x", [moment(100, 0.1)], ()) is None
