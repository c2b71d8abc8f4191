"""Snapshots at most ten times a second, and problems that are counted and taken off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from gui.runner.progress import (
    FEED_POINTS,
    MAX_PROBLEMS,
    RING_SECONDS,
    NewPoints,
    PointKeeper,
    Problem,
    ProblemList,
    ProgressFeed,
    RunProgress,
    SamplePoint,
)


class Later:
    """A loop's ``call_later`` by hand."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append((seconds, call))

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for _, call in calls:
            call()


def test_many_changes_are_one_snapshot() -> None:
    later, built = Later(), list[int]()

    def build() -> RunProgress:
        built.append(1)
        return RunProgress(t=float(len(built)), read=len(built))

    feed = ProgressFeed(build, later, lambda: 0.0)
    seen: list[int] = []
    unsubscribe = feed.subscribe(lambda progress: seen.append(progress.read))
    for _ in range(100):
        feed.touch()
    assert [seconds for seconds, _ in later.calls] == [0.1]
    later.run()
    assert (seen, built) == ([1], [1])
    feed.touch()
    later.run()
    feed.publish()
    assert seen == [1, 2, 3]
    assert feed.latest.read == 3
    unsubscribe()
    unsubscribe()
    feed.publish()
    assert seen == [1, 2, 3]


def problem(text: str, where: str = "here", t: float = 0.0) -> Problem:
    return Problem(t, "warning", where, text)


def test_the_same_again_is_counted_and_moves_to_the_end() -> None:
    problems = ProblemList()
    for t, text in enumerate(["a", "b", "a"]):
        problems.add(problem(text, t=t))
    assert [(p.text, p.count, p.t) for p in problems.all()] == [("b", 1, 1), ("a", 2, 2)]


def test_what_is_over_is_taken_off() -> None:
    problems = ProblemList()
    problems.add(problem("a", "bus"))
    problems.add(problem("b", "bus"))
    problems.add(problem("c", "hub"))
    problems.over("bus")
    problems.over("nowhere")
    assert [p.text for p in problems.all()] == ["c"]


def test_the_oldest_go_when_there_are_too_many() -> None:
    problems = ProblemList()
    for number in range(MAX_PROBLEMS + 10):
        problems.add(problem(str(number)))
    assert len(problems.all()) == MAX_PROBLEMS
    assert problems.all()[0].text == "10"


# ---------------------------------------------------------------- points for a window elsewhere


def points(first: int, last: int, rate: float | None = 1.0) -> tuple[SamplePoint, ...]:
    return tuple(SamplePoint(float(t), (rate,)) for t in range(first, last + 1))


def running(*samples: SamplePoint, started: float = 90.0) -> RunProgress:
    return RunProgress(t=200.0, run=1, started=started, samples=samples)


class Wire:
    """What one window has, after the snapshots that it was sent."""

    def __init__(self) -> None:
        self.new, self.keeper = NewPoints(), PointKeeper()
        self.sent: list[list[float]] = []

    def send(self, progress: RunProgress) -> tuple[SamplePoint, ...]:
        part, more = self.new(progress)
        self.sent.append([point.t for point in part.samples])
        self.more = more
        return self.keeper.whole(msgspec.json.decode(msgspec.json.encode(part), type=RunProgress)).samples


def test_a_window_elsewhere_gets_each_point_once() -> None:
    wire, all_points = Wire(), points(100, 109)
    assert wire.send(running(*all_points[:5])) == all_points[:5]
    assert wire.send(running(*all_points[:5])) == all_points[:5]
    assert wire.send(running(*all_points)) == all_points
    assert wire.sent == [[100, 101, 102, 103, 104], [], [105, 106, 107, 108, 109]]


def test_a_second_that_is_mended_later_reaches_it() -> None:
    wire, all_points = Wire(), points(100, 160, None)
    wire.send(running(*all_points))
    while wire.more:
        wire.send(running(*all_points))
    mended = (all_points[0], SamplePoint(101.0, (7.0,)), *all_points[2:])
    assert wire.send(running(*mended)) == mended
    assert wire.sent[-1] == [101]


def test_curves_of_earlier_repeats_and_tests_stay() -> None:
    wire, first = Wire(), points(100, 104)
    wire.send(replace(running(*first), test=1, repeat=1))
    second = (*first, *points(110, 112, 2.0))
    assert wire.send(replace(running(*second), test=1, repeat=2)) == second
    third = (*second, SamplePoint(120.0, (None, 3.0)))
    assert wire.send(replace(running(*third), test=2, repeat=1, series=("a", "b"))) == third


def test_a_window_that_comes_late_gets_the_newest_first_and_all_in_the_end() -> None:
    wire, all_points = Wire(), points(1, 2 * FEED_POINTS + 1)
    assert wire.send(running(*all_points)) == all_points[-FEED_POINTS:]
    assert wire.more
    wire.send(running(*all_points))
    assert wire.send(running(*all_points)) == all_points
    assert not wire.more


def test_another_run_begins_anew_and_an_hour_is_kept() -> None:
    wire, hour = Wire(), points(1, RING_SECONDS)
    wire.send(running(*hour))
    while wire.more:
        wire.send(running(*hour))
    later = (*hour[1:], *points(RING_SECONDS + 1, RING_SECONDS + 1))
    assert wire.send(running(*later)) == later
    assert wire.sent[-1] == [RING_SECONDS + 1]
    assert wire.send(running(*points(5, 6), started=5000.0)) == points(5, 6)


def test_a_second_in_which_two_repeats_meet_is_one_point() -> None:
    wire = Wire()
    both = (SamplePoint(100.0, (1.0,)), SamplePoint(100.0, (2.0,)))
    assert wire.send(running(*both)) == both[1:]
    assert wire.send(running(*both)) == both[1:]
    assert wire.sent == [[100.0], []]
