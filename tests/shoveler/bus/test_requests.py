"""Hearing requests: many at once are one, trouble is met again later, and there are at most five answers a second."""

from __future__ import annotations

import logging

import pytest

from shoveler.bus import BusRefusedError, BusUnavailableError, Incoming, Requests


class Line:
    """A consumer whose messages, token and troubles are dialled in."""

    def __init__(self) -> None:
        self.waiting = 0
        self.delivered = 0
        self.acknowledged = 0
        self.opened = self.closed = 0
        self.new_token = False
        self.trouble: Exception | None = None
        self.now = 1000.0

    def connect(self) -> Line:
        if self.trouble is not None:
            raise self.trouble
        self.opened += 1
        return self

    def take(self, limit: int, timeout: float) -> list[Incoming]:
        assert timeout == 0.0
        if self.trouble is not None:
            raise self.trouble
        taken, self.waiting = min(limit, self.waiting), 0
        self.delivered += taken
        return [Incoming(b"", self.delivered - taken + 1 + n) for n in range(taken)]

    def acknowledge(self, delivery: int) -> None:
        self.acknowledged = delivery

    def token_changed(self) -> bool:
        return self.new_token

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def requests(line: Line) -> Requests:
    return Requests(line.connect, "the status", clock=lambda: line.now)  # type: ignore[arg-type]


def answers(line: Line, requests: Requests, seconds: float) -> int:
    """How many there are in so many seconds, looking a hundred times a second."""
    count = 0
    for _ in range(round(seconds * 100)):
        line.now += 0.01
        count += requests.due()
    return count


def test_nobody_asks(line: Line, requests: Requests) -> None:
    assert answers(line, requests, 2.0) == 0
    assert line.opened == 1


def test_many_requests_at_once_are_one(line: Line, requests: Requests) -> None:
    line.waiting = 700
    assert answers(line, requests, 2.0) == 1
    assert line.acknowledged == 700


def test_at_most_five_answers_a_second_and_the_last_request_is_answered(line: Line, requests: Requests) -> None:
    count = 0
    for _ in range(500):
        line.waiting += 1
        count += answers(line, requests, 0.01)
    assert 20 <= count <= 25
    assert answers(line, requests, 1.0) >= 1, "those after the last answer"
    assert answers(line, requests, 1.0) == 0


def test_it_does_not_connect_to_a_bus_that_is_away(line: Line, requests: Requests) -> None:
    assert not requests.due(connected=False)
    assert line.opened == 0


@pytest.mark.parametrize(("trouble", "pause", "level"), [
    (BusUnavailableError("gone"), 10.0, logging.DEBUG),
    (BusRefusedError("give this user the permission"), 300.0, logging.INFO),
])  # fmt: skip
def test_trouble_is_met_again_after_a_pause(
    line: Line, requests: Requests, caplog: pytest.LogCaptureFixture, trouble: Exception, pause: float, level: int
) -> None:
    caplog.set_level(logging.DEBUG)
    line.trouble = trouble
    assert answers(line, requests, 5.0) == 0
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (level, f"= cannot be asked for the status: {trouble}")
    ]
    line.trouble, line.waiting = None, 1
    line.now += pause
    assert answers(line, requests, 1.0) == 1


def test_a_new_token_is_taken_up(line: Line, requests: Requests) -> None:
    line.new_token = True
    answers(line, requests, 0.2)
    line.new_token = False
    answers(line, requests, 0.2)
    assert line.opened > line.closed > 0
