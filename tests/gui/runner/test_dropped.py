"""What was dropped from a queue before it was loaded is counted exactly: by itself, and with real parts on each bus."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from collector.checkpoint import Chunk
from collector.sinks.bus import BusSink
from gui.runner.dropped import MAX_STREAMS, Dropped, keep_dropped, read_dropped
from gui.store import Store
from shoveler.bus import BusOptions, Incoming, open_publisher, open_topology, parse_bus_address


class Sent:
    """The messages of collectors, as a consumer gets them."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, str], int] = {}
        self.number = 0

    def chunk(self, records: int, *, batch: bool, collector: str = "c", stream: str = "records") -> list[Incoming]:
        key = (collector, stream)
        at = self.at.get(key, 0)
        self.at[key] = at + records
        headers: dict[str, Any] = {"collector": collector, "stream": stream}
        if batch:
            return [self._message(b"\n".join([b"{}"] * records), headers | {"at": at}, "application/x-ndjson")]
        return [self._message(b"{}", headers | ({"at": at} if number == 0 else {})) for number in range(records)]

    def _message(self, body: bytes, headers: dict[str, Any], kind: str = "application/json") -> Incoming:
        self.number += 1
        return Incoming(body, self.number, "id", "file.cms", headers, kind)


def test_a_hole_is_as_many_records_as_are_missing() -> None:
    sent, dropped = Sent(), Dropped()
    assert dropped.take(sent.chunk(5, batch=True), 1.0) == 0
    sent.chunk(7, batch=True)
    assert dropped.take(sent.chunk(2, batch=True), 2.0) == 7
    sent.chunk(1, batch=True)
    assert dropped.take(sent.chunk(2, batch=True), 3.0) == 1
    assert (dropped.records, dropped.since) == (8, 2.0)


def test_the_beginning_of_a_chunk_that_is_sent_one_by_one() -> None:
    sent, dropped = Sent(), Dropped()
    dropped.take(sent.chunk(3, batch=False), 1.0)
    assert dropped.take(sent.chunk(5, batch=False)[2:], 1.0) == 0, "nothing says yet how many were before"
    assert dropped.take(sent.chunk(1, batch=False), 1.0) == 2


def test_what_was_there_before_the_first_look_is_not_counted() -> None:
    sent, dropped = Sent(), Dropped()
    first = sent.chunk(5, batch=False)
    assert dropped.take(first[3:], 1.0) == 0
    assert dropped.take(sent.chunk(5, batch=False), 1.0) == 0
    assert dropped.next == {"c records": 10}


def test_messages_that_come_again_are_no_hole() -> None:
    sent, dropped = Sent(), Dropped()
    one, two, three = (sent.chunk(3, batch=True) for _ in range(3))
    for messages in (one, two, one, two, three, three):
        assert dropped.take(messages, 1.0) == 0


def test_other_collectors_say_nothing_of_it() -> None:
    foreign = Incoming(b"{}", 1, "id", "", {}, "application/json")
    old = Incoming(b"{}", 1, "id", "", {"collector": "c"}, "application/json")
    assert Dropped().take([foreign, old], 1.0) == 0


def test_a_bounded_number_of_streams_is_remembered() -> None:
    sent, dropped = Sent(), Dropped()
    for number in range(MAX_STREAMS + 10):
        dropped.take(sent.chunk(1, batch=True, collector=f"c{number}"), 1.0)
    assert len(dropped.next) == MAX_STREAMS
    assert "c0 records" not in dropped.next


@pytest.mark.parametrize("seed", range(20))
def test_any_heads_that_are_dropped_are_counted(seed: int) -> None:
    """Collectors and streams between one another, in either framing; now and then the oldest that wait are dropped."""
    chance, sent, dropped = random.Random(seed), Sent(), Dropped()
    for collector in "ab":
        for stream in ("records", "cache"):
            dropped.take(sent.chunk(1, batch=True, collector=collector, stream=stream), 0.0)
    lost, waiting = 0, []
    for _ in range(200):
        batch = chance.random() < 0.5
        waiting += sent.chunk(chance.randint(1, 9), batch=batch, collector=chance.choice("ab"),
                              stream=chance.choice(("records", "cache")))  # fmt: skip
        if chance.random() < 0.1:
            gone = chance.randint(0, len(waiting))
            lost += sum(message.body.count(b"{}") for message in waiting[:gone])
            del waiting[:gone]
        if chance.random() < 0.3:
            dropped.take(waiting, 1.0)
            waiting = []
    dropped.take(waiting, 1.0)
    for collector in "ab":
        for stream in ("records", "cache"):
            dropped.take(sent.chunk(1, batch=True, collector=collector, stream=stream), 2.0)
    assert dropped.records == lost


def test_it_is_kept_in_the_workspace(tmp_path: Path) -> None:
    sent, dropped = Sent(), Dropped()
    dropped.take(sent.chunk(3, batch=True), 1.0)
    with Store(str(tmp_path / "w.db")) as store:
        assert read_dropped(store) == Dropped()
        keep_dropped(store, dropped)
        assert read_dropped(store) == dropped


# ---------------------------------------------------------------- with real parts


SMALL = BusOptions(max_bytes=2_000_000)
"""A bus in a directory is full with as much."""
RECORD = {"kind": "file", "schema": 1, "final": True, "server_id": "1", "stod": 1_700_000_000, "file_id": 1,
          "server_hostname": "s", "session_tag": "none", "filename": "/" + "x" * 900, "read": 1, "readv": 0, "write": 0,
          "start_time": 1_700_000_000, "end_time": 1_700_000_001}  # fmt: skip


class Collector:
    """The sink of a collector on a bus. `publish` returns when the bus has confirmed all."""

    def __init__(self, url: str, exchange: str, *, batch: bool) -> None:
        address = parse_bus_address(url)
        self.sink = BusSink(
            lambda _: open_publisher(address, exchange=exchange, writer="collector", options=SMALL),
            {"records": exchange},
            collector_id="c1",
            batch=batch,
        )
        self.at = self.number = 0

    def close(self) -> None:
        self.sink.close()

    def publish(self, records: int) -> None:
        for _ in range(records // 10):
            self.number += 1
            ids = [f"{self.number:08x}{n:024x}.f" for n in range(10)]
            bodies = [msgspec.json.encode(RECORD | {"record_id": one, "access_id": one[:-2]}) for one in ids]
            self.sink.send(Chunk(self.number, "records", "file.cms", ids, b"\n".join(bodies), self.at))
            self.at += 10
        deadline = time.monotonic() + 60
        while self.sink.poll(0.1) < self.number:
            assert time.monotonic() < deadline


@pytest.fixture(params=[pytest.param("amqp", marks=pytest.mark.broker), "local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A bus, and the name of an exchange there."""
    exchange = f"xrd-records-{uuid4().hex[:8]}"
    url = request.getfixturevalue("broker").url if request.param == "amqp" else str(tmp_path / "dir")
    with closing(open_topology(parse_bus_address(url))) as topology:
        topology.declare_exchange(exchange)
    yield url, exchange
    with closing(open_topology(parse_bus_address(url))) as topology:
        topology.delete_exchange(exchange)


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
async def test_what_a_full_queue_has_dropped_is_said_when_the_workspace_is_open_again(
    stage: Any, place: tuple[str, str], batch: bool
) -> None:
    url, exchange = place
    with closing(Collector(url, exchange, batch=batch)) as collector:
        await _drop_and_load(stage, collector, url, exchange)


async def _drop_and_load(stage: Any, collector: Collector, url: str, exchange: str) -> None:
    options = {"bus": url, "records_exchange": exchange, "queue_max": 300_000}

    async def seen(records: int) -> None:
        await stage.until(lambda: stage.workspace.loaded + stage.workspace.dropped >= records)

    async with stage.open(**options) as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        await workspace.blocking(collector.publish, 100)
        await seen(100)
        assert workspace.dropped == 0
        queue = workspace.bus.queue
    await asyncio.to_thread(collector.publish, 5000)
    async with stage.open(**options) as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        await workspace.blocking(collector.publish, 10)  # where nothing of an old queue is left, this tells
        await seen(5010)
        assert workspace.loaded + workspace.dropped == 5010, "each record was loaded or is counted"
        assert workspace.dropped > 1000
        (told,) = (problem for problem in workspace.problems.all() if problem.where == "queue")
        assert told.text.startswith(f"{workspace.dropped:,} records were dropped")
        assert read_dropped(workspace.store).records == workspace.dropped
        with closing(open_topology(parse_bus_address(url))) as topology:
            topology.delete_queue(queue, exchange=exchange)
