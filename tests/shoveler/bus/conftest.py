"""Both kinds of bus behind one fixture, so that the contract tests are the same functions for each."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent.lab.broker import PrivateBroker
from shoveler.bus import (
    BusAddress,
    BusOptions,
    Consumer,
    Incoming,
    Outcome,
    Outgoing,
    Publisher,
    Topology,
    open_consumer,
    open_publisher,
    open_topology,
    parse_bus_address,
)

PATIENCE = 30.0  # seconds until a test gives up; nothing waits for as long when things work
PEER = Path(__file__).with_name("peer.py")


@dataclass
class Bus:
    """One exchange with one queue bound to all of it, on a bus under test. What was opened is closed in the end."""

    kind: str
    url: str
    exchange: str
    queue: str
    broker: PrivateBroker | None = None
    opened: list[Publisher | Consumer | Topology] = field(default_factory=list)
    peers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> BusAddress:
        return parse_bus_address(self.url)

    def publisher(self, writer: str = "writer", **options: Any) -> Publisher:
        publisher = open_publisher(self.address, exchange=self.exchange, writer=writer, options=BusOptions(**options))
        self.opened.append(publisher)
        return publisher

    def consumer(self, queue: str | None = None, *, exclusive: bool = True, **options: Any) -> Consumer:
        consumer = open_consumer(
            self.address,
            exchange=self.exchange,
            queue=queue or self.queue,
            reader="reader",
            exclusive=exclusive,
            options=BusOptions(**options),
        )
        self.opened.append(consumer)
        return consumer

    def topology(self) -> Topology:
        topology = open_topology(self.address)
        self.opened.append(topology)
        return topology

    def peer(self, role: str, *arguments: str) -> subprocess.Popen[str]:
        """Another process on this bus, to be killed; see peer.py."""
        command = [sys.executable, str(PEER), role, self.url, self.exchange, self.queue, *arguments]
        peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.peers.append(peer)
        return peer

    def settle(self, publisher: Publisher) -> list[Outcome]:
        """All outcomes that are due."""
        deadline = time.monotonic() + PATIENCE
        outcomes: list[Outcome] = []
        while publisher.pending:
            outcomes += publisher.outcomes(1.0)
            assert time.monotonic() < deadline, f"still pending: {publisher.pending}"
        return outcomes

    def publish(self, publisher: Publisher, batch: list[Outgoing]) -> list[str]:
        """Send and wait; the status of each, in order of the messages."""
        publisher.send(batch)
        statuses = {outcome.id: outcome.status for outcome in self.settle(publisher)}
        return [statuses[one.id] for one in batch]

    def take_all(self, consumer: Consumer, count: int) -> list[Incoming]:
        """Exactly `count` messages, however they arrive."""
        deadline = time.monotonic() + PATIENCE
        taken: list[Incoming] = []
        while len(taken) < count:
            assert time.monotonic() < deadline, f"only {len(taken)} of {count} arrived"
            taken += consumer.take(count - len(taken), 1.0)
        return taken

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "the condition was never met"
            time.sleep(0.01)

    def declared(self) -> Iterator[Bus]:
        topology = self.topology()
        topology.declare_exchange(self.exchange)
        topology.declare_queue(self.queue, exchange=self.exchange)
        yield self
        for peer in self.peers:
            peer.kill()
            peer.communicate()
        for opened in self.opened:
            opened.close()


@pytest.fixture(params=[pytest.param("amqp", marks=pytest.mark.broker), "local"])
def bus(request: pytest.FixtureRequest) -> Bus:
    """Each test that asks for this runs on both kinds."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def amqp(broker: PrivateBroker) -> Iterator[Bus]:
    name = uuid4().hex[:12]
    yield from Bus("amqp", broker.url, f"e-{name}", f"q-{name}", broker).declared()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bus]:
    yield from Bus("local", str(tmp_path / "bus"), "e", "q").declared()
