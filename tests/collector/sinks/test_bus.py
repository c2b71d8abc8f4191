"""The bus as a sink: framings, outcomes of every kind, lost connections."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from collector.checkpoint import Chunk
from collector.sinks import STREAMS
from collector.sinks.bus import BusSink
from shoveler.bus import BusRefusedError, BusUnavailableError, Outcome, Outgoing


class Exchange:
    """A broker's exchange with publishers that can be cut; outcomes come when the test says so."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.waiting: list[Outcome] = []
        self.fail: Exception | None = None
        self.opened = 0
        self.closed = 0
        self.room = 10_000
        self.blocked: str | None = None
        self.token = False
        self.automatic = True
        self.status: Any = "confirmed"

    def connect(self) -> Exchange:
        if self.fail is not None:
            raise self.fail
        self.opened += 1
        return self

    @property
    def pending(self) -> int:
        return 0

    def token_changed(self) -> bool:
        return self.token

    def send(self, messages: Sequence[Outgoing]) -> None:
        if self.fail is not None:
            raise self.fail
        assert len(messages) <= self.room
        self.sent += messages
        if self.automatic:
            self.waiting += [Outcome(message.id, self.status) for message in messages]

    def outcomes(self, timeout: float) -> list[Outcome]:
        if self.fail is not None and not self.waiting:
            raise self.fail
        some, self.waiting = self.waiting, []
        return some

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.sent]


class Broker:
    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}

    def __getitem__(self, stream: str) -> Exchange:
        return self.exchanges.setdefault(stream, Exchange())

    def connect(self, stream: str) -> Any:
        return self[stream].connect()


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(broker: Broker, time: Time) -> Callable[..., BusSink]:
    def build(*, batch: bool = False, **more: Any) -> BusSink:
        return BusSink(broker.connect, STREAMS, collector_id="col", batch=batch, monotonic=time, **more)

    return build


def chunk(number: int, *ids: str, stream: str = "records", key: str = "file.cms") -> Chunk:
    return Chunk(number, stream, key, ids, b"\n".join(b'{"%b"}' % i.encode() for i in ids))


def test_single_framing_sends_each_record_under_its_id(broker: Broker, make: Any) -> None:
    sink = make()
    sink.send(chunk(1, "a.f", "b.f"))
    assert sink.poll(0.0) == 1
    assert [(m.id, m.routing_key, m.body, m.content_type) for m in broker["records"].sent] == [
        ("a.f", "file.cms", b'{"a.f"}', "application/json"),
        ("b.f", "file.cms", b'{"b.f"}', "application/json"),
    ]


def test_batch_framing_sends_the_chunk_as_it_is(broker: Broker, make: Any) -> None:
    sink = make(batch=True)
    sink.send(chunk(7, "a.f", "b.f"))
    assert sink.poll(0.0) == 7
    (message,) = broker["records"].sent
    assert (message.id, message.body, message.content_type) == ("col:7", b'{"a.f"}\n{"b.f"}', "application/x-ndjson")


@pytest.mark.parametrize("batch", [False, True])
def test_the_first_message_of_a_chunk_says_how_many_records_there_were_before(
    broker: Broker, make: Any, batch: bool
) -> None:
    sink = make(batch=batch)
    sink.send(chunk(7, "a.f", "b.f")._replace(at=40))
    sink.send(chunk(8, "c.f"))  # from an outbox that an older version left
    sink.poll(0.0)
    plain = {"collector": "col", "stream": "records"}
    first = [plain | {"at": 40}] if batch else [plain | {"at": 40}, plain]
    assert [message.headers for message in broker["records"].sent] == [*first, plain]


def test_a_chunk_is_safe_when_all_of_it_and_all_before_it_is(broker: Broker, make: Any) -> None:
    sink = make()
    records, cache = broker["records"], broker["cache"]
    records.automatic = False
    sink.send(chunk(1, "a", "b"))
    sink.send(chunk(2, "c", stream="cache", key="cache.none"))
    assert (sink.poll(0.0), cache.ids) == (0, ["c"])
    records.waiting = [Outcome("b", "confirmed")]
    assert sink.poll(0.0) == 0
    records.waiting = [Outcome("a", "confirmed")]
    assert sink.poll(0.0) == 2
    assert sink.backlog == 0


def test_publishers_are_opened_when_their_first_record_comes(broker: Broker, make: Any) -> None:
    sink = make()
    sink.send(chunk(1, "a"))
    sink.poll(0.0)
    assert set(broker.exchanges) == {"records"}


def test_no_more_is_sent_than_there_is_room_for(broker: Broker, make: Any) -> None:
    sink = make()
    exchange = broker["records"]
    exchange.automatic, exchange.room = False, 2
    sink.send(chunk(1, "a", "b", "c"))
    exchange.send = lambda messages, send=exchange.send: (send(messages), setattr(exchange, "room", 0))[0]  # type: ignore[method-assign, misc]
    sink.poll(0.0)
    assert exchange.ids == ["a", "b"]


def test_after_a_lost_connection_everything_without_an_outcome_is_sent_again_in_order(
    broker: Broker, make: Any, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P12: after one retry the failure is swallowed, and 'message sent' is counted."""
    sink = make()
    exchange = broker["records"]
    exchange.automatic = False
    sink.send(chunk(1, "a", "b"))
    sink.poll(0.0)
    exchange.waiting = [Outcome("a", "confirmed")]
    with caplog.at_level(logging.INFO):
        exchange.fail = BusUnavailableError("broker:5672 cannot be reached")
        for _ in range(50):
            sink.send(chunk(2 + _, f"later{_}")) if _ < 2 else None
            assert sink.poll(0.0) == 0
            time.now += 0.1
        assert sink.trouble == "exchange xrd-records: broker:5672 cannot be reached"
        exchange.fail, exchange.automatic = None, True
        time.now += 60
        assert sink.poll(0.0) == 3
    assert exchange.ids == ["a", "b", "b", "later0", "later1"]
    assert sink.trouble == ""
    assert [record.message for record in caplog.records] == [
        "exchange xrd-records: broker:5672 cannot be reached; trying again",
        "exchange xrd-records: publishing again",
    ]


@pytest.mark.parametrize("status", ["refused", "returned"])
def test_what_the_bus_does_not_take_is_kept_and_sent_again(broker: Broker, make: Any, time: Time, status: str) -> None:
    sink = make()
    exchange = broker["records"]
    exchange.status = status
    sink.send(chunk(1, "a"))
    assert sink.poll(0.0) == 0
    assert "exchange xrd-records" in sink.trouble
    sink.poll(0.0)
    assert exchange.ids == ["a"]  # not at once again
    time.now += 2
    exchange.status = "confirmed"
    assert sink.poll(0.0) == 1
    assert exchange.ids == ["a", "a"]
    assert sink.trouble == ""


def test_records_that_need_not_arrive_are_dropped_and_counted_when_nobody_is_bound(
    broker: Broker, make: Any, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    sink = make(batch=True)
    broker["cache"].status = "returned"
    sink.send(chunk(1, "a", "b", stream="cache", key="cache.none"))
    sink.poll(0.0)
    sink.send(chunk(2, "c", stream="cache", key="cache.none"))
    assert sink.poll(0.0) == 2
    assert sink.dropped() == {"unroutable": 3}
    assert broker["cache"].ids == ["col:1"]  # the next is not sent at all: it would only come back
    time.now += 3
    broker["cache"].status = "confirmed"
    sink.send(chunk(3, "d", stream="cache", key="cache.none"))
    assert sink.poll(0.0) == 3
    assert broker["cache"].ids == ["col:1", "col:3"]
    assert len(caplog.records) == 1
    assert "no queue is bound to exchange xrd-cache-events for cache records" in caplog.text


def test_an_exchange_that_the_bus_refuses_holds_up_file_records_only(broker: Broker, make: Any, time: Time) -> None:
    sink = make()
    broker["wlcg"].fail = BusRefusedError("access to exchange 'xrd-wlcg-events' refused; give this user the permission")
    sink.send(chunk(1, "a", stream="wlcg", key="wlcg.cms"))
    sink.send(chunk(2, "a"))
    assert sink.poll(0.0) == 2
    assert sink.dropped() == {"refused": 1}
    assert "give this user the permission" in sink.trouble  # not silently
    sink.send(chunk(3, "b", stream="wlcg", key="wlcg.cms"))
    assert sink.poll(0.0) == 3
    broker["wlcg"].fail = None
    time.now += 60
    sink.send(chunk(4, "c", stream="wlcg", key="wlcg.cms"))
    assert sink.poll(0.0) == 4
    assert (broker["wlcg"].ids, sink.trouble) == (["c"], "")
    broker["records"].fail = BusRefusedError("no")
    sink.send(chunk(5, "d"))
    sink.send(chunk(6, "e", key="summary.none"))
    assert sink.poll(0.0) == 4
    time.now += 60
    broker["records"].fail = None
    assert sink.poll(0.0) == 6
    assert broker["records"].ids == ["a", "d", "e"]


def test_which_kinds_must_arrive_is_a_setting(broker: Broker, make: Any) -> None:
    sink = make(must_arrive=frozenset())
    broker["records"].status = "returned"
    sink.send(chunk(1, "a"))
    assert sink.poll(0.0) == 1


def test_one_id_twice_goes_out_one_after_the_other(broker: Broker, make: Any) -> None:
    sink = make()
    exchange = broker["records"]
    exchange.automatic = False
    sink.send(chunk(1, "a"))
    sink.send(chunk(2, "a"))
    assert sink.poll(0.0) == 0
    assert exchange.ids == ["a"]
    exchange.waiting = [Outcome("a", "confirmed")]
    assert sink.poll(0.0) == 1
    exchange.waiting = [Outcome("a", "confirmed")]
    assert sink.poll(0.0) == 2


def test_a_blocked_broker_is_named(broker: Broker, make: Any) -> None:
    sink = make()
    sink.send(chunk(1, "a"))
    sink.poll(0.0)
    broker["records"].blocked = "low on memory"
    assert sink.trouble == "exchange xrd-records: the broker takes no messages at present (low on memory)"


def test_a_newer_token_means_a_new_publisher_once_nothing_is_on_its_way(broker: Broker, make: Any) -> None:
    sink = make()
    exchange = broker["records"]
    exchange.automatic = False
    sink.send(chunk(1, "a"))
    sink.poll(0.0)
    exchange.token = True
    sink.send(chunk(2, "b"))
    sink.poll(0.0)
    assert (exchange.ids, exchange.closed) == (["a"], 0)
    exchange.waiting = [Outcome("a", "confirmed")]
    sink.poll(0.0)
    assert exchange.closed == 1
    exchange.token, exchange.automatic = False, True
    assert sink.poll(0.0) == 2
    assert exchange.opened == 2


def test_closing_closes_every_publisher(broker: Broker, make: Any) -> None:
    sink = make()
    sink.send(chunk(1, "a"))
    sink.send(chunk(2, "b", stream="tpc", key="tpc.none"))
    sink.poll(0.0)
    sink.close()
    assert (broker["records"].closed, broker["tpc"].closed) == (1, 1)
