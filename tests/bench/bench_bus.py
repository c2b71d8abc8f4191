"""How fast the bus is: RabbitMQ (a private node on this machine) beside plain pika in the same run, and the local bus.

Single messages carry one envelope of a 900-byte datagram (about 1,270 bytes), batches carry 100 of them. All are
persistent, mandatory and confirmed. Each figure is the median of three; peers take turns with us.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection

from agent.lab.broker import PrivateBroker
from shoveler.bus import (
    BusAddress,
    BusOptions,
    Outgoing,
    Publisher,
    open_consumer,
    open_publisher,
    open_topology,
    parse_bus_address,
)
from shoveler.envelope import BATCH, encode_batch, encode_single

EXCHANGE, QUEUE = "bench", "bench"
SINGLES, BATCHES, PER_BATCH, ROUNDS = 30_000, 600, 100, 3
SINGLE_WINDOW, BATCH_WINDOW, CHUNK = 4096, 64, 256
REMOTE, HEADERS = "192.0.2.7:1094", {"shoveler": "k3x9q2ab", "shard": 77}
DATAGRAM = os.urandom(900)


def singles() -> list[Outgoing]:
    body = encode_single(REMOTE, DATAGRAM, "0.1.0")
    return [Outgoing(body, f"k3x9q2ab:{number}", "", HEADERS) for number in range(SINGLES)]  # type: ignore[arg-type]


def batches() -> list[Outgoing]:
    body = encode_batch([(f"k3x9q2ab:{n}", REMOTE, DATAGRAM) for n in range(PER_BATCH)], "0.1.0")
    return [Outgoing(body, f"k3x9q2ab:{number}", "", HEADERS, BATCH) for number in range(BATCHES)]  # type: ignore[arg-type]


class PlainPika:
    """The peer: pika as its documentation uses it, an asynchronous connection with pipelined confirms."""

    def __init__(self, url: str, window: int) -> None:
        self._window = window
        self._open: dict[int, str] = {}
        self._tag = 0
        ready: list[object] = []
        self._connection: Any = SelectConnection(pika.URLParameters(url), on_open_callback=ready.append)
        self._connection.ioloop.activate_poller()
        self._turn_until(lambda: bool(ready))
        self._channel = self._connection.channel(on_open_callback=ready.append)
        self._turn_until(lambda: len(ready) == 2)
        self._channel.confirm_delivery(self._on_confirm, callback=ready.append)
        self._turn_until(lambda: len(ready) == 3)

    def publish(self, messages: list[Outgoing]) -> None:
        for message in messages:
            if len(self._open) >= self._window:
                self._turn_until(lambda: len(self._open) < self._window)
            self._tag += 1
            self._open[self._tag] = message.id
            properties = pika.BasicProperties(
                content_type=message.content_type,
                headers=dict(message.headers),
                delivery_mode=2,
                message_id=message.id,
            )
            self._channel.basic_publish(EXCHANGE, message.routing_key, message.body, properties, mandatory=True)
            if self._tag % CHUNK == 0:
                self._turn()
        self._turn_until(lambda: not self._open)

    def close(self) -> None:
        self._connection.close()
        self._turn_until(lambda: self._connection.is_closed)
        self._connection.ioloop.close()

    def _on_confirm(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        known = takewhile(lambda k: k <= tag, list(self._open)) if frame.method.multiple else [tag]
        for one in known:
            del self._open[one]

    def _turn_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._turn()

    def _turn(self) -> None:
        self._connection.ioloop.poll()
        self._connection.ioloop.process_timeouts()


def publish(publisher: Publisher, messages: list[Outgoing]) -> None:
    confirmed = 0
    for start in range(0, len(messages), CHUNK):
        publisher.send(messages[start : start + CHUNK])
        confirmed += sum(outcome.status == "confirmed" for outcome in publisher.outcomes(0.0))
    while publisher.pending:
        confirmed += sum(outcome.status == "confirmed" for outcome in publisher.outcomes(5.0))
    assert confirmed == len(messages), f"only {confirmed} of {len(messages)} were confirmed"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of our own CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def report(name: str, value: float, unit: str, limit_or_peer: str) -> None:
    rounded = round(value, 1) if value < 1000 else round(value)
    print(json.dumps({"name": name, "value": rounded, "unit": unit, "limit_or_peer": limit_or_peer}), flush=True)


class Figures:
    """Times of one kind of work, over the rounds."""

    def __init__(self) -> None:
        self._times: list[tuple[float, float]] = []

    def add(self, times: tuple[float, float]) -> None:
        self._times.append(times)

    def rate(self, count: int) -> float:
        return count / statistics.median(clock for clock, _ in self._times)

    def microseconds(self, count: int) -> float:
        return statistics.median(cpu for _, cpu in self._times) / count * 1e6


def fresh_queue(address: BusAddress) -> None:
    with closing(open_topology(address)) as topology:
        topology.declare_exchange(EXCHANGE)
        topology.delete_queue(QUEUE, exchange=EXCHANGE)
        topology.declare_queue(QUEUE, exchange=EXCHANGE)


def consume(address: BusAddress, count: int) -> None:
    options = BusOptions(prefetch=SINGLE_WINDOW)
    with closing(open_consumer(address, exchange=EXCHANGE, queue=QUEUE, reader="bench", options=options)) as consumer:
        taken = 0
        while taken < count:
            messages = consumer.take(1000, 5.0)
            assert messages, f"only {taken} of {count} arrived"
            taken += len(messages)
            consumer.acknowledge(messages[-1].delivery)


def bench(
    kind: str, address: BusAddress, url: str | None, messages: list[Outgoing], window: int, datagrams: int
) -> None:
    """Publish and consume; `datagrams` per message. `url`: also by plain pika."""
    ours, plain, taking = Figures(), Figures(), Figures()
    for _ in range(ROUNDS):
        if url is not None:
            fresh_queue(address)
            with closing(PlainPika(url, window)) as peer:
                plain.add(timed(lambda: peer.publish(messages)))
        fresh_queue(address)
        options = BusOptions(window=window, max_bytes=8 << 30)
        with closing(open_publisher(address, exchange=EXCHANGE, writer="bench", options=options)) as publisher:
            ours.add(timed(lambda: publish(publisher, messages)))
            taking.add(timed(lambda: consume(address, len(messages))))
    count = len(messages) * datagrams
    unit = "datagrams/s" if datagrams > 1 else "messages/s"
    limit = ""
    if url is not None:
        goal = "≥ 80,000" if datagrams > 1 else "≥ 12,000"
        limit = f"{goal}; plain pika here: {plain.rate(count):,.0f}"
    report(f"{kind}: published and confirmed", ours.rate(count), unit, limit)
    peer_cpu = f"plain pika here: {plain.microseconds(len(messages)):.1f}" if url is not None else ""
    report(f"{kind}: CPU of the publisher", ours.microseconds(len(messages)), "µs/message", peer_cpu)
    report(f"{kind}: taken and acknowledged", taking.rate(count), unit, "")
    report(f"{kind}: CPU of the consumer", taking.microseconds(len(messages)), "µs/message", "")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as scratch:
        broker = PrivateBroker(Path(scratch) / "rabbitmq", die_with_parent=True)
        broker.start()
        try:
            amqp = parse_bus_address(broker.url)
            bench("RabbitMQ, single", amqp, broker.url, singles(), SINGLE_WINDOW, 1)
            bench("RabbitMQ, batch", amqp, broker.url, batches(), BATCH_WINDOW, PER_BATCH)
        finally:
            broker.kill()
        local = parse_bus_address(str(Path(scratch) / "bus"))
        bench("local bus, single", local, None, singles(), SINGLE_WINDOW, 1)
        bench("local bus, batch", local, None, batches(), BATCH_WINDOW, PER_BATCH)


if __name__ == "__main__":
    main()
