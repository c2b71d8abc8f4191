"""A collector process on a bus, traffic of known truth, and what came out of it. For fault tests and campaigns."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from shoveler import envelope
from shoveler.bus import (
    BusAddress,
    BusError,
    BusRefusedError,
    Outgoing,
    declare_shards,
    open_consumer,
    open_publisher,
    open_topology,
    parse_bus_address,
)

BATCH_LINES = 64


def _load_traffic() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "bench" / "traffic.py"
    spec = importlib.util.spec_from_file_location("traffic", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["traffic"] = module
    spec.loader.exec_module(module)
    return module


traffic = _load_traffic()


class Rig:
    """One bus, one collector that can be started, killed and stopped, and the queues around it."""

    def __init__(
        self, url: str, directory: Path, name: str, *, framing: str = "batch", shards: int = 0, **environment: str
    ) -> None:
        """`shards`: so many of them instead of one queue."""
        self.local = "://" not in url
        self.url = url
        self.address: BusAddress = parse_bus_address(url)
        self.directory = directory
        self.packets, self.records, self.status = f"{name}-packets", f"{name}-records", f"{name}-status"
        self.shards = shards
        self.prefix = f"{name}.shard."
        self.queue = "tally-collector" if self.local else f"{name}-packets-q"
        self.out = f"{name}-records-q"
        self.spool = f"{name}spool"
        self._sent = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "collector.log"
        self.environment = os.environ | {
            "TALLY_COLLECTOR_FROM": url if self.local or shards else f"{url}?queue={self.queue}",
            "TALLY_COLLECTOR_TO": url,
            "TALLY_COLLECTOR_STATE_DIR": str(directory / "state"),
            "TALLY_COLLECTOR_FRAMING": framing,
            "TALLY_COLLECTOR_EXCHANGES_PACKETS": self.packets,
            "TALLY_COLLECTOR_EXCHANGES_RECORDS": self.records,
            "TALLY_COLLECTOR_EXCHANGES_STATUS": self.status,
            "TALLY_COLLECTOR_WLCG_ENABLED": "false",
            "TALLY_COLLECTOR_SHARDS_PREFIX": self.prefix,
            "TALLY_COLLECTOR_SHARDS_COUNT": str(shards or 8),
            **environment,
        }
        self.declare()

    def declare(self) -> None:
        """The queues that the test reads and that hold what the collector has not taken yet."""
        topology = open_topology(self.address)
        topology.declare_exchange(self.packets)
        topology.declare_exchange(self.records)
        if self.shards:
            declare_shards(self.address, exchange=self.packets, prefix=self.prefix, count=self.shards)
        else:
            topology.declare_queue(self.queue, exchange=self.packets)
        topology.declare_queue(self.out, exchange=self.records)
        topology.close()

    @property
    def queues(self) -> list[str]:
        """What the collector consumes."""
        return [f"{self.prefix}{number}" for number in range(self.shards)] if self.shards else [self.queue]

    # -- the process

    def start(self, *arguments: str) -> None:
        """Start the collector."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "collector.cli", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = 200.0) -> int:
        """SIGTERM, once the program listens to it (what comes earlier ends any Python program); the exit code."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and not self._listens() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def _listens(self) -> bool:
        caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    def end(self) -> None:
        """Whatever state it is in: gone, and nothing of ours left on the broker."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if not self.local:
            try:
                topology = open_topology(self.address)
                for queue in (*self.queues, self.out):
                    topology.delete_queue(queue, exchange=self.packets)
                for exchange in (self.packets, self.records, self.status, f"{self.prefix}s", f"{self.prefix}s.rest"):
                    topology.delete_exchange(exchange)
                topology.close()
            except BusError:
                pass  # the broker is gone, and its queues with it

    # -- what goes in

    def give(self, sent: Iterable[tuple[str, bytes]], *, batch: bool = True, repeat: float = 0.0) -> None:
        """Publish datagrams as a shoveler would; a share of them a second time, as after a shoveler's crash."""
        rows = []
        for remote, data in sent:
            self._sent += 1
            rows.append((f"{self.spool}:{self._sent}", remote, data))
        messages = list(_messages(rows, batch=batch))
        messages += [message for message in messages if random.random() < repeat]
        self.publish(messages)

    def publish(self, messages: list[Outgoing]) -> None:
        """Publish and wait for the confirms."""
        publisher = open_publisher(self.address, exchange=self.packets, writer=self.spool)
        try:
            publisher.send(messages)
            left = len(messages)
            deadline = time.monotonic() + 60
            while left and time.monotonic() < deadline:
                outcomes = publisher.outcomes(1.0)
                bad = [outcome for outcome in outcomes if outcome.status != "confirmed"]
                assert not bad, bad[0]
                left -= len(outcomes)
        finally:
            publisher.close()
        assert not left

    # -- what comes out

    def depth(self) -> int:
        """Messages that the collector has not acknowledged or not taken."""
        topology = open_topology(self.address)
        try:
            return sum(topology.depth(queue, exchange=self.packets) for queue in self.queues)
        finally:
            topology.close()

    def harvest(self, enough: Callable[[list[dict[str, Any]]], bool], seconds: float) -> list[dict[str, Any]]:
        """Take records until there are enough, or the time is up."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        consumer = None
        while time.monotonic() < deadline and not enough(found):
            try:
                if consumer is None:
                    consumer = open_consumer(self.address, exchange=self.records, queue=self.out, reader="test")
                messages = consumer.take(1000, 0.2)
                for message in messages:
                    found += [json.loads(line) for line in message.body.split(b"\n")]
                if messages:
                    consumer.acknowledge(messages[-1].delivery)
            except BusRefusedError:
                raise
            except BusError:
                consumer = None
                time.sleep(0.2)
        if consumer is not None:
            consumer.close()
        return found


def _messages(rows: list[tuple[str, str, bytes]], *, batch: bool) -> Iterable[Outgoing]:
    if not batch:
        for identifier, remote, data in rows:
            headers = {"shard": envelope.shard_of(remote)}
            yield Outgoing(envelope.encode_single(remote, data, "1"), identifier, headers=headers)
        return
    by_shard: dict[int, list[tuple[str, str, bytes]]] = {}
    for row in rows:
        by_shard.setdefault(envelope.shard_of(row[1]), []).append(row)
    for shard, mine in by_shard.items():
        for start in range(0, len(mine), BATCH_LINES):
            lines = mine[start : start + BATCH_LINES]
            yield Outgoing(
                envelope.encode_batch(lines, "1"), lines[0][0], headers={"shard": shard}, content_type=envelope.BATCH
            )


def final_ids(records: list[dict[str, Any]]) -> set[str]:
    """Ids of the final file records."""
    return {record["record_id"] for record in records if record["kind"] == "file" and record["final"]}


def verdict(records: list[dict[str, Any]], servers: Iterable[Any]) -> dict[str, int]:
    """Records against the truth, keyed on record_id. Perfect: all zero but `records` and `repeats`."""
    by_id: dict[str, dict[str, Any]] = {}
    repeats = differing = 0
    for record in records:
        known = by_id.setdefault(record["record_id"], record)
        if known is not record:
            repeats += 1
            differing += known != record
    final = [record for record in by_id.values() if record["kind"] == "file" and record["final"]]
    got = Counter((record["server_id"], record["file_id"]) for record in final)
    truth = {(access.server_id, access.file_id): access for server in servers for access in server.accesses}
    wrong = incomplete = 0
    for record in final:
        access = truth.get((record["server_id"], record["file_id"]))
        wrong += access is None or record.get("filename") != access.path or record["read"] != access.read
        incomplete += bool(record.get("incomplete"))
    return {
        "records": len(final),
        "missing": len(truth.keys() - got.keys()),
        "double": sum(count - 1 for count in got.values()),
        "wrong": wrong,
        "incomplete": incomplete,
        "differing": differing,
        "repeats": repeats,
    }
