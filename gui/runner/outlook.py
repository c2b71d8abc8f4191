"""The progress of a whole run and its remaining time: all its tests and repeats, done and to come. Pure.

The estimate is based on this run so far: how long repeats of the same test took; or, for a test that has not been run
yet, the requests per second outside the pauses between rounds, and how much longer than that repeats took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gui.runner.progress import Step, StepState


@dataclass(slots=True)
class Work:
    """The work of each repeat of a test. `pauses` are the seconds of all waits between rounds."""

    name: str
    requests: int
    pauses: float
    repeats: int
    states: list[StepState] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds of each finished repeat, from its start to its scoring."""


class Outlook:
    """`tests` in the order of the plan; they are numbered from 1, as their repeats are."""

    def __init__(self, tests: Sequence[Work]) -> None:
        self._tests = list(tests)
        for test in self._tests:
            test.states = ["waiting"] * test.repeats
        self._requests = 0
        self._busy = 0.0
        self._besides: list[float] = []
        self._handed = 0

    def begin(self, test: int, repeat: int) -> None:
        """A repeat begins."""
        self._tests[test - 1].states[repeat - 1] = "running"

    def finish(self, test: int, repeat: int, state: StepState, *, took: float, worked: float, handed: int) -> None:
        """A repeat was scored: it `took` this many seconds in all, and `worked` for some of them (including pauses
        between rounds); `handed` requests were handed out."""
        own = self._tests[test - 1]
        own.states[repeat - 1] = state
        own.took.append(took)
        self._requests += handed
        self._busy += max(0.0, worked - own.pauses)
        self._besides.append(max(0.0, took - worked))
        self._handed += handed

    def give_up(self) -> None:
        """The repeat under way will not be scored."""
        for test in self._tests:
            test.states = ["ended" if state == "running" else state for state in test.states]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The progress of each test."""
        return tuple(Step(test.name, test.requests, tuple(test.states)) for test in self._tests)

    @property
    def total(self) -> int:
        """Requests of the whole run."""
        return sum(test.requests * test.repeats for test in self._tests)

    @property
    def handed(self) -> int:
        """Requests of all repeats that are over."""
        return self._handed

    def left(self, *, elapsed: float, work_left: float | None, done: int, worked: float) -> float | None:
        """Seconds until the last repeat is scored; None while unknown.

        For the repeat under way: `elapsed` since its start, `work_left` (seconds) as far as known, requests `done` in
        the time that it `worked`."""
        seconds = 0.0
        for test in self._tests:
            running, waiting = test.states.count("running"), test.states.count("waiting")
            if not running and not waiting:
                continue
            whole = self._duration(test, done, worked)
            if running:
                besides = sum(self._besides) / len(self._besides) if self._besides else 0.0
                if test.took:
                    seconds += max(work_left or 0.0, sum(test.took) / len(test.took) - elapsed)
                elif work_left is not None:
                    seconds += work_left + besides
                else:
                    return None
            if waiting:
                if whole is None:
                    return None
                seconds += waiting * whole
        return seconds

    def _duration(self, test: Work, done: int, worked: float) -> float | None:
        """Seconds of one repeat of this test."""
        if test.took:
            return sum(test.took) / len(test.took)
        requests, busy = self._requests + done, self._busy + worked
        if not requests or busy <= 0:
            return None
        besides = sum(self._besides) / len(self._besides) if self._besides else 0.0
        return test.pauses + test.requests * busy / requests + besides
