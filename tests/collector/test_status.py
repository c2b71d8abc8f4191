"""Status messages: every five seconds and at the end, worth sending and not worth keeping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from collector.cycle import Counts, Mark
from collector.status import StatusReporter
from shoveler.bus import BusUnavailableError, Outcome, Outgoing
from shoveler.service import CollectorStatus, Progress, decode_status

ONE = "192.0.2.1:1094"


class Bus:
    def __init__(self) -> None:
        self.fail: Exception | None = None
        self.sent: list[Outgoing] = []
        self.opened = 0
        self.pending = 0
        self.room = 10
        self.outcome: Any = "returned"  # nobody listens: that is fine

    def connect(self) -> Any:
        if self.fail is not None:
            raise self.fail
        self.opened += 1
        return self

    def send(self, messages: Sequence[Outgoing]) -> None:
        if self.fail is not None:
            raise self.fail
        self.sent += messages

    def outcomes(self, timeout: float) -> list[Outcome]:
        if self.fail is not None:
            raise self.fail
        return [Outcome(message.id, self.outcome) for message in self.sent[-1:]]

    def token_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def statuses(self) -> list[CollectorStatus]:
        found = [decode_status(message.routing_key, message.body) for message in self.sent]
        assert all(isinstance(status, CollectorStatus) for status in found)
        return found  # type: ignore[return-value]


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def senders() -> dict[str, dict[str, Any]]:
    return {ONE: {"seen": 5, "duplicate": 1, "decoded": 4, "rejected": {"short": 1}, "records": 3,
                  "provisional": 1, "incomplete": {"no_open": 1}, "held": 7}}  # fmt: skip


GAP = {"class": "F", "stod": 9, "after": 3, "missing": 2, "begin": 7, "end": 8, "t_min": 1.0, "t_max": 2.0}
PROCESS = {
    "sender": ONE, "sid": "77", "stod": 9, "host": "se01", "port": 1094, "instance": "disk1", "last": 3.0, "ended": 0.0,
    "gaps": [GAP],
}  # fmt: skip


@pytest.fixture
def reporter(bus: Bus, time: Time, senders: dict[str, dict[str, Any]]) -> StatusReporter:
    return StatusReporter(
        bus.connect, "col", lambda: senders, lambda: {ONE: 2, "192.0.2.2:1": 1}, lambda: [PROCESS],
        host="h", clock=time, monotonic=time,
    )  # fmt: skip


def test_a_message_says_everything(reporter: StatusReporter, bus: Bus) -> None:
    reporter.tick()
    (status,) = bus.statuses()
    assert bus.sent[0].routing_key == "collector.col"
    assert (status.id, status.host, status.started, status.t) == ("col", "h", 1000.0, 1000.0)
    one = status.senders[ONE]
    assert (one.seen, one.duplicate, one.decoded, one.records, one.provisional) == (5, 3, 4, 3, 1)
    assert (one.rejected, one.incomplete) == ({"short": 1}, {"no_open": 1})
    assert status.senders["192.0.2.2:1"].duplicate == 1
    assert [msgspec.to_builtins(process) for process in status.processes] == [PROCESS]


def test_every_five_seconds_and_at_the_end(reporter: StatusReporter, bus: Bus, time: Time) -> None:
    for _ in range(100):
        reporter.tick()
        time.now += 0.25
    assert [status.t for status in bus.statuses()] == [1000.0, 1005.0, 1010.0, 1015.0, 1020.0]
    reporter.finish()
    assert len(bus.sent) == 6
    assert len({message.id for message in bus.sent}) == 6


def test_a_bus_that_is_away_is_tried_again_later_and_harms_nobody(
    reporter: StatusReporter, bus: Bus, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    bus.fail = BusUnavailableError("gone")
    for _ in range(40):
        reporter.tick()
        time.now += 1
    reporter.finish()
    assert (bus.sent, bus.opened) == ([], 0)
    bus.fail = None
    time.now += 60
    reporter.tick()
    assert len(bus.sent) == 1
    bus.fail = BusUnavailableError("gone again")
    time.now += 5
    reporter.tick()
    bus.fail = None
    time.now += 60
    reporter.tick()
    assert (len(bus.sent), bus.opened) == (2, 2)
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_without_a_bus_there_is_nothing_to_do(time: Time) -> None:
    reporter = StatusReporter(None, "col", dict, dict, list, host="h", clock=time, monotonic=time)
    reporter.tick()
    reporter.finish()
    reporter.close()


def test_warnings_about_servers_are_in_the_message() -> None:
    reporter = StatusReporter(
        None, "id", lambda: {ONE: {"seen": 1, "warnings": ["no_closes"], "held": 0}}, dict, list, host="h"
    )
    assert reporter.message().senders[ONE].warnings == ["no_closes"]


class Work:
    """A cycle that is told how far it has come, and which of its marks are confirmed."""

    def __init__(self) -> None:
        self.takes = self.done = 0
        self.counts = Counts()

    def mark(self) -> Mark:
        return Mark(self.takes, 0, {"gen": Progress(seen_upto=self.takes)})

    def is_behind(self, mark: Mark) -> bool:
        return self.done >= mark.takes


class Asked:
    """Requests that come when the test says so."""

    def __init__(self) -> None:
        self.asked = self.closed = False

    def due(self, *, connected: bool = True) -> bool:
        asked, self.asked = self.asked, False
        return asked

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def working(bus: Bus, time: Time, senders: dict[str, dict[str, Any]], work: Work, asked: Asked) -> StatusReporter:
    return StatusReporter(
        bus.connect, "col", lambda: senders, dict, list, host="h", work=work, requests=asked,  # type: ignore[arg-type]
        clock=time, monotonic=time,
    )  # fmt: skip


def seen(bus: Bus) -> list[tuple[float, int]]:
    """(when, how far it says that it has seen) of each message."""
    return [(status.t, status.positions["gen"].seen_upto if status.positions else 0) for status in bus.statuses()]


def passes(reporter: StatusReporter, time: Time, seconds: float) -> None:
    for _ in range(round(seconds * 4)):
        reporter.tick()
        time.now += 0.25


def test_what_is_on_its_way_is_not_seen_yet(working: StatusReporter, bus: Bus, time: Time, work: Work) -> None:
    passes(working, time, 5.0)
    work.takes = 7
    passes(working, time, 0.5)
    assert seen(bus) == [(1000.0, 0)], "the message is due, and waits for the bus to confirm what the seven caused"
    work.done, work.takes = 7, 9
    passes(working, time, 0.5)
    assert seen(bus)[1:] == [(1005.5, 7)], "and says what was seen when it was due, not the two that came since"


def test_a_message_does_not_wait_for_a_bus_that_takes_nothing(
    working: StatusReporter, bus: Bus, time: Time, work: Work, senders: dict[str, dict[str, Any]]
) -> None:
    passes(working, time, 5.0)
    work.takes = 7
    senders[ONE]["held"] = 0
    passes(working, time, 5.0)
    assert seen(bus) == [(1000.0, 0), (1006.0, 0)]
    assert [status.held for status in bus.statuses()] == [7, 7], "what was held is not out before it is confirmed"
    work.done = 7
    passes(working, time, 5.0)
    assert (seen(bus)[-1], bus.statuses()[-1].held) == ((1010.0, 7), 0)


def test_who_asks_is_answered_at_once(working: StatusReporter, bus: Bus, time: Time, work: Work, asked: Asked) -> None:
    passes(working, time, 2.0)
    work.takes = work.done = 3
    asked.asked = True
    passes(working, time, 1.0)
    assert seen(bus) == [(1000.0, 0), (1002.0, 3)]
    passes(working, time, 4.5)
    assert [t for t, _ in seen(bus)[2:]] == [1007.0], "the interval begins again with each message"
    working.close()
    assert asked.closed
