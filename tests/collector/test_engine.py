"""Engines end to end: envelopes on a bus in, records on a bus out, over both buses and both framings."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import engine as engine_module
from collector.checkpoint import CheckpointBusyError
from collector.config import SCHEMA, plan
from collector.engine import open_engine, open_store, parts
from shoveler import envelope
from shoveler.bus import Consumer, Outgoing, open_consumer, open_publisher, open_topology, parse_bus_address
from tests.waiting import until

NUMBER = itertools.count(1)
REMOTE = "192.0.2.7:1094"


class Bench:
    """A bus with a collector on it that can be started, stopped and killed in its thread."""

    def __init__(self, url: str, state: Path) -> None:
        number = next(NUMBER)
        self.url = url
        self.packets, self.records, self.status = f"t{number}-packets", f"t{number}-records", f"t{number}-status"
        self.queue = f"t{number}-q"
        local = "://" not in url
        self.settings = SCHEMA.load(None, {}).replace(
            **{
                "from": url if local else f"{url}?queue={self.queue}",
                "to": [url],
                "state__dir": str(state),
                "exchanges__packets": self.packets,
                "exchanges__records": self.records,
                "exchanges__cache": f"{self.records}-cache",
                "exchanges__status": self.status,
            }
        )
        self.address = parse_bus_address(url)
        self.stopping = threading.Event()
        self.result: list[bool] = []
        self.sent = 0
        topology = open_topology(self.address)
        topology.declare_exchange(self.packets)
        topology.declare_exchange(self.records)
        self.out_queue = "records" if local else f"{self.records}-q"
        topology.declare_queue(self.out_queue, exchange=self.records)
        # As if the collector had run before: what is published while it is not there waits for it.
        topology.declare_queue("tally-collector" if local else self.queue, exchange=self.packets)
        topology.close()

    def run(self) -> None:
        what = plan(self.settings)
        (part,) = parts(what)
        store = open_store(what, part, self.stopping)
        assert store is not None
        self.engine = open_engine(what, part, store)
        self.thread = threading.Thread(target=lambda: self.result.append(self.engine.run(self.stopping)))
        self.thread.start()

    def stop(self) -> bool:
        self.stopping.set()
        self.thread.join(15)
        self.stopping = threading.Event()
        return self.result.pop()

    def give(self, *lines: str, batch: bool = False) -> None:
        rows = [(f"spool:{self.sent + n}", REMOTE, line.encode()) for n, line in enumerate(lines, 1)]
        self.sent += len(lines)
        if batch:
            messages = [Outgoing(envelope.encode_batch(rows, "1"), rows[0][0], content_type=envelope.BATCH)]
        else:
            messages = [Outgoing(envelope.encode_single(r, d, "1"), i) for i, r, d in rows]
        self.publish(messages)

    def publish(self, messages: list[Outgoing]) -> None:
        publisher = open_publisher(self.address, exchange=self.packets, writer="shoveler")
        publisher.send(messages)
        left = len(messages)
        deadline = time.monotonic() + 60
        while left and time.monotonic() < deadline:
            outcomes = publisher.outcomes(1.0)
            assert all(outcome.status == "confirmed" for outcome in outcomes)
            left -= len(outcomes)
        publisher.close()
        assert not left

    def consumer(self) -> Consumer:
        return open_consumer(self.address, exchange=self.records, queue=self.out_queue, reader="test")

    def received(self, number: int) -> list[dict[str, Any]]:
        """Records until there are `number`, as decoded lines of either framing."""
        consumer = self.consumer()
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 60
        while len(found) < number and time.monotonic() < deadline:
            messages = consumer.take(100, 0.5)
            for message in messages:
                found += [json.loads(line) for line in message.body.split(b"\n")]
            if messages:
                consumer.acknowledge(messages[-1].delivery)
        consumer.close()
        return found


@pytest.fixture(params=["local", pytest.param("amqp", marks=pytest.mark.broker)])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, doubles: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    url = str(tmp_path / "bus") if request.param == "local" else request.getfixturevalue("broker").url
    monkeypatch.setattr(engine_module, "Correlator", doubles.correlator)
    made = Bench(url, tmp_path / "state")
    yield made
    made.stopping.set()
    if getattr(made, "thread", None) is not None:
        made.thread.join(15)


def ids(records: list[dict[str, Any]]) -> list[str]:
    return sorted(record["record_id"] for record in records)


@pytest.mark.parametrize("batch_in", [False, True])
@pytest.mark.parametrize("framing", ["single", "batch"])
def test_in_equals_out(bench: Bench, batch_in: bool, framing: str) -> None:
    bench.settings = bench.settings.replace(framing=framing)
    bench.run()
    bench.give("open a", "open b", "close a", "close b", batch=batch_in)
    found = bench.received(2)
    assert ids(found) == ["a.f", "b.f"]
    assert {record["note"] for record in found} == {"complete"}
    assert bench.stop()


def test_restarted_it_goes_on_where_it_was(bench: Bench) -> None:
    bench.give("open a")
    bench.run()
    until(lambda: bench.engine.snapshot.values.get("datagrams", 0) == 1)
    assert bench.stop()
    bench.give("close a")
    bench.run()
    assert [(record["record_id"], record["note"]) for record in bench.received(1)] == [("a.f", "complete")]
    assert bench.stop()


def test_messages_of_other_shovelers_without_ids_or_content_type(bench: Bench) -> None:
    bench.run()
    body = envelope.encode_single(REMOTE, b"close a", "2.0")
    bench.publish([Outgoing(body, "", "", {}, "")])
    assert ids(bench.received(1)) == ["a.f"]
    assert bench.stop()


def test_what_is_no_envelope_is_counted_and_disturbs_nothing(bench: Bench) -> None:
    bench.run()
    bench.publish([Outgoing(body, f"x:{n}") for n, body in enumerate([b"", b"{}", b"\xff\xfe", b"[1]", b"null"])])
    bench.publish([Outgoing(b'{"remote":"192.0.2.7:1094","data":"abc"}', "y:1")])
    bench.publish([Outgoing(b'{"remote":"no body","data":"eA=="}', "y:2")])
    bad = b'nonsense\n{"id":"s:9","remote":"192.0.2.7:1094","version":"","data":"Y2xvc2UgYQ=="}'
    bench.publish([Outgoing(bad, "z:1", content_type=envelope.BATCH)])
    assert ids(bench.received(1)) == ["a.f"]  # the good line of a batch with a bad one
    until(lambda: sum(bench.engine.snapshot.labelled.get("rejected", {}).values()) == 8)
    assert bench.engine.snapshot.labelled["rejected"] == {"envelope": 6, "base64": 1, "remote": 1}
    assert bench.stop()


def test_a_second_collector_on_the_same_state_is_refused(bench: Bench) -> None:
    bench.run()
    what = plan(bench.settings)
    with pytest.raises(CheckpointBusyError, match="stop that collector"):
        open_store(what, parts(what)[0], threading.Event())
    assert bench.stop()


def test_a_standby_takes_over(bench: Bench) -> None:
    bench.run()
    what = plan(bench.settings.replace(standby=True))
    waiting: list[Any] = []
    thread = threading.Thread(target=lambda: waiting.append(open_store(what, parts(what)[0], threading.Event())))
    thread.start()
    assert bench.stop()
    thread.join(10)
    assert waiting[0].id
    waiting[0].close()


def test_status_messages_say_what_was_seen_of_each_sender(bench: Bench) -> None:
    queue = f"{bench.status}-q"
    topology = open_topology(bench.address)
    topology.declare_exchange(bench.status)
    topology.declare_queue(queue, exchange=bench.status)
    topology.close()
    bench.give("open a", "close a")
    bench.run()
    until(lambda: bench.engine.snapshot.values.get("datagrams", 0) == 2)
    assert bench.stop()
    consumer = open_consumer(bench.address, exchange=bench.status, queue=queue, reader="test")
    messages = []
    deadline = time.monotonic() + 60
    while not messages and time.monotonic() < deadline:
        messages = consumer.take(100, 0.5)
    consumer.close()
    last = json.loads(messages[-1].body)
    assert messages[-1].routing_key == f"collector.{last['id']}"
    assert last["senders"][REMOTE]["seen"] == 2
