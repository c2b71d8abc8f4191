"""Snapshots at most ten times a second."""

from __future__ import annotations

from collections.abc import Callable

from gui.runner.progress import ProgressFeed, RunProgress


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
