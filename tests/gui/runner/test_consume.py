"""The thread on a queue: what it takes, when it acknowledges, and how it comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gui.runner.consume import BusThread, ConsumerState, Drain, Watched
from shoveler.bus import BusOptions, Incoming, Outgoing, open_publisher, parse_bus_address
from tests.waiting import until


class Bench:
    """A queue on the local bus and the thread on it."""

    def __init__(self, directory: Path) -> None:
        self.address = parse_bus_address(str(directory / "bus"))
        self.publisher = open_publisher(self.address, exchange="e", writer="w")
        self.taken: list[bytes] = []
        self.states: list[ConsumerState] = []
        self.broken: Exception | None = None
        self.threads: list[BusThread] = []

    def start(self, **options: Any) -> BusThread:
        thread = BusThread(
            "reader",
            self.address,
            exchange="e",
            queue="q",
            handle=self.handle,
            changed=self.states.append,
            options=BusOptions(),
            **options,
        )
        self.threads.append(thread)
        thread.start()
        return thread

    def handle(self, messages: Sequence[Incoming]) -> None:
        if self.broken:
            raise self.broken
        self.taken += [message.body for message in messages]

    def send(self, *bodies: bytes) -> None:
        self.publisher.send([Outgoing(body, f"{time.monotonic_ns()}") for body in bodies])
        self.publisher.outcomes(5)

    @property
    def state(self) -> ConsumerState:
        return self.states[-1] if self.states else ConsumerState()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("gui.runner.consume.delays", lambda *_: iter([0.01] * 10_000))
    monkeypatch.setattr("gui.runner.consume.DEPTH_SECONDS", 0.02)
    made = Bench(tmp_path)
    try:
        yield made
    finally:
        for thread in made.threads:
            assert thread.stop()
        made.publisher.close()


def test_messages_are_handled_in_order_and_only_once(bench: Bench) -> None:
    thread = bench.start()
    until(lambda: bench.state.connected)
    bench.send(b"1", b"2", b"3")
    until(lambda: len(bench.taken) == 3)
    assert thread.stop()
    bench.send(b"4")
    bench.start()
    until(lambda: len(bench.taken) == 4)
    assert bench.taken == [b"1", b"2", b"3", b"4"]


def test_what_the_handler_raises_keeps_the_messages(bench: Bench) -> None:
    bench.start()
    until(lambda: bench.state.connected)
    bench.broken = OSError("The disk is full.")
    bench.send(b"1")
    until(lambda: bench.state.trouble)
    assert bench.state.trouble == "The disk is full. Messages stay on the bus until this is resolved."
    assert not bench.state.connected
    bench.broken = None
    until(lambda: bench.taken)
    assert bench.taken == [b"1"]
    until(lambda: bench.state.connected and not bench.state.trouble)


def test_depths_of_watched_queues(bench: Bench) -> None:
    held = threading.Event()
    bench.handle = lambda messages: held.wait(10)  # type: ignore[method-assign, assignment]
    bench.start(watch=[Watched("nobody", "none")])
    until(lambda: bench.state.depths)
    assert bench.state.depths[0] == 0
    bench.send(*[b"x"] * 5)
    time.sleep(0)
    held.set()
    until(lambda: bench.state.depths[0] == 0)


def test_a_drain_is_done_when_all_that_was_there_before_has_been_handled(bench: Bench) -> None:
    held = threading.Event()
    done: list[bool] = []
    drains: list[Drain] = []

    def handle(messages: Sequence[Incoming]) -> None:
        held.wait(10)
        done.extend(drain.done.is_set() for drain in drains)
        bench.taken.extend(message.body for message in messages)

    bench.handle = handle  # type: ignore[method-assign]
    thread = bench.start()
    until(lambda: bench.state.connected)
    bench.send(*[b"before"] * 300)
    drains.append(thread.drain())
    held.set()
    until(drains[0].done.is_set)
    assert bench.taken == [b"before"] * 300
    assert not any(done)
    after = thread.drain()
    until(after.done.is_set)  # nothing is in the queue


def test_a_queue_of_its_own_is_removed_at_the_end(bench: Bench) -> None:
    thread = bench.start(forget_queue=True)
    until(lambda: bench.state.connected)
    assert thread.stop()
    bench.send(b"unheard")
    bench.states.clear()
    bench.start()
    until(lambda: bench.state.connected)
    bench.send(b"heard")
    until(lambda: bench.taken)
    assert bench.taken == [b"heard"]


def test_a_broker_that_is_away_is_trouble_and_no_end(tmp_path: Path) -> None:
    states: list[ConsumerState] = []
    thread = BusThread(
        "reader",
        parse_bus_address("amqp://guest:guest@127.0.0.1:9/"),
        exchange="e",
        queue="q",
        handle=lambda messages: None,
        changed=states.append,
        options=BusOptions(connect_timeout=1.0),
    )
    thread.start()
    until(lambda: states)
    assert not states[0].connected
    assert "guest:guest" not in states[0].trouble
    assert not states[0].refused
    assert thread.stop()


@pytest.mark.broker
def test_over_amqp(broker: Any) -> None:
    address = parse_bus_address(broker.url)
    publisher = open_publisher(address, exchange="tally-test-consume", writer="w")
    taken: list[bytes] = []
    states: list[ConsumerState] = []
    thread = BusThread(
        "reader",
        address,
        exchange="tally-test-consume",
        queue="tally.test-consume",
        handle=lambda messages: taken.extend(message.body for message in messages),
        changed=states.append,
        options=BusOptions(),
        watch=[Watched("tally.no-such-queue", "tally-test-consume")],
        forget_queue=True,
    )
    thread.start()
    until(lambda: states and states[-1].connected)
    assert states[-1].depths == (0, None)
    publisher.send([Outgoing(b"1", "1", "file.vo"), Outgoing(b"2", "2", "file.vo")])
    until(lambda: len(taken) == 2)
    second: list[ConsumerState] = []
    other = BusThread(
        "second reader",
        address,
        exchange="tally-test-consume",
        queue="tally.test-consume",
        handle=lambda messages: None,
        changed=second.append,
        options=BusOptions(),
    )
    other.start()
    until(lambda: second)
    assert second[-1].refused, "a queue has one reader, and the second hears so"
    assert other.stop()
    assert thread.stop()
    publisher.close()
