"""Snapshots at most ten times a second, and problems that are counted and taken off."""

from __future__ import annotations

from collections.abc import Callable

from gui.runner.progress import (
    MAX_PROBLEMS,
    Problem,
    ProblemList,
    ProgressFeed,
    RunProgress,
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
