"""The bus as a source: envelopes opened, connections lost and found, acknowledgements that outlive none of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from collector.sources import Datagram, split_id
from collector.sources.bus import BusSource
from shoveler import envelope
from shoveler.bus import BusInUseError, BusRefusedError, BusUnavailableError, Incoming


class Queue:
    """A broker's queue with consumers that can be cut."""

    def __init__(self) -> None:
        self.messages: list[Incoming] = []
        self.opened: list[int] = []
        self.fail: Exception | None = None
        self.acknowledged: list[int] = []
        self.limits: list[int] = []
        self.kept_alive = 0
        self.token = False

    def connect(self, prefetch: int) -> Any:
        if self.fail is not None:
            raise self.fail
        self.opened.append(prefetch)
        return self

    def take(self, limit: int, timeout: float) -> list[Incoming]:
        self.limits.append(limit)
        if self.fail is not None:
            raise self.fail
        some, self.messages = self.messages[:limit], self.messages[limit:]
        return some

    def acknowledge(self, delivery: int) -> None:
        if self.fail is not None:
            raise self.fail
        self.acknowledged.append(delivery)

    def keep_alive(self) -> None:
        if self.fail is not None:
            raise self.fail
        self.kept_alive += 1

    def token_changed(self) -> bool:
        return self.token

    def close(self) -> None:
        pass

    def give(self, *bodies: bytes, **fields: Any) -> None:
        for body in bodies:
            self.messages.append(Incoming(body, len(self.messages) + 1, **fields))


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(queue: Queue, time: Time) -> Callable[..., BusSource]:
    return lambda **more: BusSource(queue.connect, "queue q", clock=time, monotonic=time, sleep=time.sleep, **more)


def single(text: bytes, remote: str = "192.0.2.1:1") -> bytes:
    return envelope.encode_single(remote, text, "1.0")


def test_single_envelopes_have_the_ids_of_their_messages(queue: Queue, make: Any) -> None:
    queue.give(single(b"a"), id="spool:5", headers={"shoveler": "spool", "shard": 3})
    queue.give(single(b"b"), id=None, headers={"shoveler": "other"}, content_type="")
    queue.give(single(b"c"), id="550e8400-e29b-41d4-a716-446655440000", content_type="text/plain")
    assert list(make().take(1.0).datagrams) == [
        Datagram(b"a", "192.0.2.1:1", 100.0, "spool", 5, "spool"),
        Datagram(b"b", "192.0.2.1:1", 100.0, None, 0, "other"),
        Datagram(b"c", "192.0.2.1:1", 100.0, None, 0, None),
    ]


def test_a_batch_has_an_id_on_each_line(queue: Queue, make: Any) -> None:
    rows = [("s:1", "192.0.2.1:1", b"a"), ("s:2", "[2001:db8::1]:2", b"b")]
    queue.give(envelope.encode_batch(rows, "1.0"), id="s:1", content_type=envelope.BATCH)
    taken = make().take(1.0)
    assert [(d.data, d.remote, d.spool, d.seq) for d in taken.datagrams] == [
        (b"a", "192.0.2.1:1", "s", 1),
        (b"b", "[2001:db8::1]:2", "s", 2),
    ]


def test_acknowledging_covers_the_whole_take(queue: Queue, make: Any) -> None:
    source = make()
    queue.give(single(b"a"), single(b"b"))
    token = source.take(1.0).token
    source.acknowledge(token)
    source.acknowledge(token)
    assert queue.acknowledged == [2]


def test_a_lost_connection_voids_its_tokens_and_is_tried_again_later(
    queue: Queue, make: Any, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    source = make()
    queue.give(single(b"a"))
    token = source.take(1.0).token
    with caplog.at_level(logging.INFO):
        queue.fail = BusUnavailableError("broker:5672 cannot be reached")
        started = time.now
        for _ in range(200):
            assert not source.take(0.25)
        assert source.trouble == "queue q: broker:5672 cannot be reached"
        assert time.now - started > 10  # it waits between attempts instead of spinning
        queue.fail = None
        time.now += 60
        source.acknowledge(token)
        assert queue.acknowledged == []
        queue.give(single(b"a"))
        assert source.take(1.0)
        assert source.trouble == ""
        source.acknowledge(token)  # delivery numbers begin anew: this one is another message's now
        assert queue.acknowledged == []
    warnings = [record.message for record in caplog.records]
    assert warnings == ["queue q: broker:5672 cannot be reached; trying again", "queue q: taking again"]


def test_that_another_has_the_queue_from_the_start_is_told(queue: Queue, make: Any, time: Time) -> None:
    source = make()
    queue.fail = BusInUseError("the queue 'q' is already consumed by another program")
    source.take(0.1)
    assert str(source.taken_by_another) == "the queue 'q' is already consumed by another program"
    queue.fail = None
    time.now += 60
    source.take(0.1)
    assert source.taken_by_another is None
    queue.fail = BusRefusedError("the queue is gone")
    source.take(0.1)
    assert source.taken_by_another is None  # it worked before: worth waiting for


def test_a_broker_that_refuses_is_waited_for_at_the_start_too(queue: Queue, make: Any, time: Time) -> None:
    """A password that is not right yet, a user that is made later: waiting, as while running."""
    source = make()
    queue.fail = BusRefusedError("broker:5672 refuses the user 'tally': wrong user, password or token")
    source.take(0.1)
    assert source.taken_by_another is None
    assert "refuses the user" in source.trouble
    queue.fail = None
    time.now += 60
    queue.give(single(b"a"))
    assert len(source.take(1.0).datagrams) == 1
    assert source.trouble == ""


def test_keeping_alive_takes_nothing_and_notices_a_loss(queue: Queue, make: Any) -> None:
    """P18: back-pressure that sleeps where heartbeats should be answered."""
    source = make()
    source.take(0.0)
    queue.give(single(b"a"))
    source.keep_alive()
    assert (queue.kept_alive, len(queue.messages)) == (1, 1)
    queue.fail = BusUnavailableError("gone")
    source.keep_alive()
    assert source.trouble == "queue q: gone"


def test_small_messages_get_a_larger_prefetch_once_all_is_acknowledged(queue: Queue, make: Any) -> None:
    source = make()
    queue.give(*(single(b"x" * 300) for _ in range(200)))
    token = source.take(1.0).token
    assert queue.opened == [256]
    assert not source.take(1.0)  # a better consumer is wanted: first what was taken must be acknowledged
    source.acknowledge(token)
    assert not source.take(1.0)
    assert source.take(1.0)
    assert queue.opened == [256, 8192]


def test_large_messages_are_taken_few_at_once_and_never_many_ahead(queue: Queue, make: Any, time: Time) -> None:
    source = make()
    queue.give(*(single(b"x" * 300) for _ in range(200)))
    source.acknowledge(source.take(1.0).token)
    source.take(0.1)
    assert source.take(1.0)
    assert queue.opened == [256, 8192]
    rows = [(f"s:{n}", "192.0.2.1:1", b"x" * 900) for n in range(256)]
    body = envelope.encode_batch(rows, "1.0")
    queue.messages.clear()
    for _ in range(300):
        queue.give(body, content_type=envelope.BATCH)
    token = source.take(1.0).token
    assert not source.take(1.0)  # 8,192 of these would be 2.5 GB: a consumer with less is wanted
    source.acknowledge(token)
    source.take(1.0)
    source.take(1.0)
    assert queue.opened[-1] * len(body) <= 32 * 2**20
    assert queue.limits[-1] * len(body) <= 8 * 2**20
    queue.messages.clear()
    queue.give(*(single(b"x" * 300) for _ in range(200)))
    source.take(1.0)
    assert source.take(1.0)  # not raised again so soon
    time.now += 601
    queue.give(*(single(b"x" * 300) for _ in range(200)))
    source.take(1.0)
    assert not source.take(1.0)


def test_a_fixed_prefetch_stays(queue: Queue, make: Any) -> None:
    source = make(prefetch=17)
    queue.give(*(single(b"x") for _ in range(200)))
    source.take(1.0)
    assert source.take(1.0)
    assert queue.opened == [17]


def test_a_newer_token_means_a_new_connection(queue: Queue, make: Any) -> None:
    """G2, G21: the reader's token is read once and never again."""
    source = make(prefetch=10)
    queue.give(single(b"a"))
    token = source.take(1.0).token
    queue.token = True
    assert not source.take(1.0)
    assert queue.opened == [10]
    source.acknowledge(token)
    source.take(1.0)
    queue.token = False
    source.take(1.0)
    assert queue.opened == [10, 10]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("spool:7", ("spool", 7)),
        ("a:b:9", ("a:b", 9)),
        (None, (None, 0)),
        ("", (None, 0)),
        (":1", (None, 0)),
        ("spool:", (None, 0)),
        ("spool:-1", (None, 0)),
        ("spool:x", (None, 0)),
        ("spool:²", (None, 0)),
        ("spool:9223372036854775808", (None, 0)),
        ("spool:9223372036854775807", ("spool", 9223372036854775807)),
        ("x" * 101 + ":1", (None, 0)),
    ],
)
def test_ids(text: str | None, parts: tuple[str | None, int]) -> None:
    assert split_id(text) == parts
