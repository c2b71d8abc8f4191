"""Figures of the shoveler: spool with the broker away, replay, live single and batch, its share of a core when quiet.

Real parts: the daemon as installed, UDP over loopback, a private RabbitMQ node. Peers take turns with us where they can
be had: plain pika, and the OSG shoveler (see peers.py). One JSON line per figure::

    python tests/bench/bench_shoveler.py [spool] [delay] [replay] [live] [beside] [quiet] [--seconds N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_bus
import peers
import psutil

from agent.lab.broker import PrivateBroker
from shoveler.bus import open_topology, parse_bus_address
from shoveler.spool.reader import SpoolReader

DATAGRAM = 900
SENDERS = 50
ROUNDS = 3
STAMP = struct.Struct(">d")
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


def figure(name: str, value: float, unit: str, limit: str, **more: Any) -> None:
    """One line of JSON."""
    print(
        json.dumps({"name": name, "value": round(value, 2), "unit": unit, "limit_or_peer": limit, **more}), flush=True
    )


# ---------------------------------------------------------------- load, in a process of its own

LOAD = """
import json, socket, sys, time
port, rate, seconds, size, senders = map(int, sys.argv[1:])
datagram = b"f\\0" + size.to_bytes(2, "big") + b"\\0\\0\\0\\1" + b"x" * (size - 8)
sends = []
for n in range(senders):  # as many hosts: every address of 127/8 is ours
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"127.0.{n // 250}.{n % 250 + 1}", 0))
    s.connect(("127.0.0.1", port))
    sends.append(s.send)
began, start = time.time(), time.perf_counter()
sent = 0
while True:
    now = time.perf_counter() - start
    if now >= seconds:
        break
    due = int(now * rate) - sent
    if due <= 0:
        time.sleep(0.0005)
        continue
    for n in range(sent, sent + due):
        sends[n % senders](datagram)
    sent += due
print(json.dumps({"sent": sent, "seconds": time.perf_counter() - start, "cpu": time.process_time(), "began": began}))
"""


@dataclass
class Load:
    """What a load did."""

    sent: int
    seconds: float
    cpu: float
    began: float


def start_load(port: int, rate: int, seconds: float) -> subprocess.Popen[str]:
    """Send datagrams at a steady rate, from many IP addresses."""
    arguments = [str(value) for value in (port, rate, round(seconds), DATAGRAM, SENDERS)]
    return subprocess.Popen([sys.executable, "-c", LOAD, *arguments], stdout=subprocess.PIPE, text=True)


def ended(load: subprocess.Popen[str]) -> Load:
    """Wait for the end of a load."""
    said, _ = load.communicate()
    return Load(**json.loads(said))


def load(port: int, rate: int, seconds: float) -> Load:
    return ended(start_load(port, rate, seconds))


@dataclass
class Progress:
    """How a count grew: where it was when it was first seen to grow, and where and when it stopped."""

    first: int
    first_time: float
    last: int
    last_time: float

    @property
    def rate(self) -> float:
        """Between the two."""
        return (self.last - self.first) / max(self.last_time - self.first_time, 1e-9)


def follow(count: Callable[[], int], expected: Callable[[], int | None], patience: float = 10.0) -> Progress:
    """Look until `count` is what is expected (None: not known yet), or has stood still for `patience` seconds."""
    begin = count()
    seen = Progress(begin, time.time(), begin, time.time())
    while True:
        time.sleep(0.05)
        number, now, wanted = count(), time.time(), expected()
        if number != seen.last:
            if seen.last == begin:
                seen.first, seen.first_time = number, now
            seen.last, seen.last_time = number, now
        if wanted is not None and (number >= wanted or now - seen.last_time > patience):
            return seen


def follow_load(load: subprocess.Popen[str], count: Callable[[], int]) -> tuple[Load, Progress]:
    """Look at `count` while a load runs and until all that it sent is there, or no more comes."""
    done: list[Load] = []

    def sent() -> int | None:
        if not done and load.poll() is not None:
            done.append(ended(load))
        return done[0].sent if done else None

    progress = follow(count, sent)
    return done[0], progress


# ---------------------------------------------------------------- the daemons


class Daemon:
    """A shoveler as a child, with a directory of its own."""

    process: subprocess.Popen[bytes]
    port: int

    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def cpu(self) -> float:
        return sum(p.cpu_times().user + p.cpu_times().system for p in self.processes())

    def memory(self) -> tuple[float, float]:
        """(resident, proportional) MiB of all its processes; pages that they share count once in the second."""
        infos = [p.memory_full_info() for p in self.processes()]
        return sum(i.rss for i in infos) / 2**20, sum(i.pss for i in infos) / 2**20

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


class Peer(Daemon):
    """The Go shoveler."""

    def __init__(self, directory: Path, url: str) -> None:
        self.port = free_port()
        self.process = peers.start_shoveler(directory, url.partition("?")[0], port=self.port, exchange="bench")


class Shoveler(Daemon):
    """Ours, as installed."""

    def __init__(self, directory: Path, bus: str, framing: str = "single") -> None:
        self.spool = directory / "spool"
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "shoveler.cli", "--listen", f"127.0.0.1:{self.port}", "--bus", bus,
                "--spool", str(self.spool), "--framing", framing, "--log-level", "warning",
            ],
            env={name: value for name, value in os.environ.items() if not name.startswith("TALLY_")},
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(Exception):
                self.reader = SpoolReader(self.spool)
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the shoveler did not start")
            time.sleep(0.05)

    def totals(self) -> Any:
        return self.reader.totals()[0]

    def until(self, condition: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(self.totals()):
                return True
            time.sleep(0.1)
        return False

    def close(self) -> None:
        self.reader.close()
        super().close()


OURS: dict[str, Callable[[Path, str], Shoveler | Peer]] = {
    "single": Shoveler,
    "batch": lambda directory, url: Shoveler(directory, url, "batch"),
}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tally-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def broker(directory: Path) -> Iterator[str]:
    """A node with an exchange and a queue that takes everything; the URL."""
    node = PrivateBroker(directory / "node", die_with_parent=True)
    node.start()
    try:
        yield node.url + "?exchange=bench"
    finally:
        node.kill()


def queue(url: str) -> None:
    topology = open_topology(parse_bus_address(url))
    topology.declare_exchange("bench")
    topology.declare_queue("bench", exchange="bench")
    topology.close()


def empty(url: str) -> None:
    topology = open_topology(parse_bus_address(url))
    topology.delete_queue("bench", exchange="bench")
    topology.close()
    queue(url)


# ---------------------------------------------------------------- the figures


def spool_rate(seconds: float, rate: int = 60_000) -> None:
    with workplace() as directory:
        shoveler = Shoveler(directory, NOWHERE)
        done = load(shoveler.port, rate, seconds)
        shoveler.until(lambda t: t.received + t.kernel_drops >= done.sent, 20)
        totals, cpu = shoveler.totals(), shoveler.cpu()
        time.sleep(1.5)  # the kernel's counter is read once a second
        drops = shoveler.totals().kernel_drops
        audit = shoveler.reader.audit()
        shoveler.close()
        figure(
            "shoveler_spool_rate", totals.received / done.seconds, "datagrams/s", f">= {rate} with 0 kernel drops",
            sent=done.sent, received=totals.received, kernel_drops=drops, exact=audit.exact,
            shoveler_cores=round(cpu / done.seconds, 2), load_cores=round(done.cpu / done.seconds, 2),
        )  # fmt: skip


@contextlib.contextmanager
def stopped(shoveler: Shoveler) -> Iterator[None]:
    """The main process does nothing at all: no worse can happen to it that it survives."""
    os.kill(shoveler.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(shoveler.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def busy(_shoveler: Shoveler) -> Iterator[None]:
    """Each core has something else to do."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def delay(seconds: float, rate: int = 2000) -> None:
    """How long datagrams lie in the kernel before they are read, whatever else goes on."""
    burdens = {"alone": contextlib.nullcontext, "main_process_stopped": stopped, "all_cores_busy": busy}
    with workplace() as directory:
        for name, burden in burdens.items():
            shoveler = Shoveler(directory / name, NOWHERE)
            time.sleep(1.0)
            with burden(shoveler), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # type: ignore[operator]
                sock.connect(("127.0.0.1", shoveler.port))
                sent, begun = 0, time.perf_counter()
                while (now := time.perf_counter() - begun) < seconds:
                    for _ in range(int(now * rate) - sent):
                        sock.send(b"f\0" + DATAGRAM.to_bytes(2, "big") + b"1234" + STAMP.pack(time.time()).ljust(892))
                        sent += 1
                    time.sleep(0.0005)
                whole = shoveler.until(lambda totals, sent=sent: totals.received == sent, 20)
            waits = []
            after = 0
            while blocks := shoveler.reader.blocks(after, 1 << 20):
                after = blocks[-1].last
                waits += [1000 * (block.arrived - STAMP.unpack_from(block.datagrams[0], 8)[0]) for block in blocks]
            time.sleep(1.5)  # the kernel's counter is read once a second
            drops = shoveler.totals().kernel_drops
            shoveler.close()
            waits.sort()
            figure(
                f"shoveler_delay_before_read_{name}", waits[len(waits) * 99 // 100], "ms, p99", "0 kernel drops",
                median=round(waits[len(waits) // 2], 2), longest=round(waits[-1], 2), samples=len(waits), sent=sent,
                all_received=whole, kernel_drops=drops,
            )  # fmt: skip


def replay(seconds: float) -> None:
    with workplace() as directory, broker(directory) as url:
        batch = [replay_once(directory / f"batch{n}", url, "batch", 40_000, seconds) for n in range(ROUNDS)]
        figure("shoveler_replay_batch", limit=">= 80000", unit="datagrams/s", **middle(batch))
        ours, plain = [], []
        messages = bench_bus.singles()
        for number in range(ROUNDS):
            ours.append(replay_once(directory / f"single{number}", url, "single", 40_000, min(seconds, 2.0)))
            empty(url)
            with closing(bench_bus.PlainPika(url.partition("?")[0], bench_bus.SINGLE_WINDOW)) as peer:
                taken, _ = bench_bus.timed(lambda peer=peer: peer.publish(messages))
            plain.append(len(messages) / taken)
        limit = f"plain pika, pipelined and confirmed, here: {statistics.median(plain):,.0f}"
        figure("shoveler_replay_single", limit=limit, unit="datagrams/s", **middle(ours))


def replay_once(directory: Path, url: str, framing: str, rate: int, seconds: float) -> dict[str, Any]:
    """Fill a spool while there is no broker, then publish it. The rate is from the first confirms to the last."""
    empty(url)
    shoveler = Shoveler(directory, NOWHERE)
    done = load(shoveler.port, rate, seconds)
    shoveler.until(lambda t: t.received + t.kernel_drops >= done.sent, 10)
    taken = shoveler.totals().received
    shoveler.close()
    shoveler = Shoveler(directory, url, framing)
    progress = follow(lambda: int(shoveler.totals().confirmed), lambda: taken, 30)
    shoveler.close()
    return {"value": progress.rate, "datagrams": taken, "all_confirmed": progress.last == taken}


def live(seconds: float) -> None:
    """A little more than the limit is offered, so that more than the limit can be seen."""
    with workplace() as directory, broker(directory) as url:
        for framing, rate, limit in (("batch", 26_000, ">= 25000, 0 drops"), ("single", 12_500, ">= 12000, 0 drops")):
            empty(url)
            shoveler = Shoveler(directory / framing, url, framing)
            time.sleep(1.0)
            cpu = shoveler.cpu()
            done, confirmed = follow_load(
                start_load(shoveler.port, rate, seconds),
                lambda shoveler=shoveler: shoveler.totals().confirmed,  # type: ignore[misc]
            )
            cpu = shoveler.cpu() - cpu
            time.sleep(1.5)  # the kernel's counter is read once a second
            totals = shoveler.totals()
            shoveler.close()
            took = confirmed.last_time - done.began
            figure(
                f"shoveler_live_{framing}", confirmed.last / took, "datagrams/s", limit, offered=rate,
                seconds=round(took, 1), sent=done.sent, received=totals.received, confirmed=totals.confirmed,
                kernel_drops=totals.kernel_drops, shoveler_cores=round(cpu / took, 2),
            )  # fmt: skip


OVERLOAD = 30_000


def beside(seconds: float) -> None:
    """Ours and the Go shoveler in turns, offered more than ours can confirm one by one: what comes into the queue."""
    if peers.find("shoveler") is None:
        return
    kinds: dict[str, Callable[[Path, str], Shoveler | Peer]] = {"peer": Peer, **OURS}
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with workplace() as directory, broker(directory) as url:
        for number in range(ROUNDS):
            for kind, start in kinds.items():
                empty(url)
                found[kind].append(overloaded(start(directory / f"{kind}{number}", url), kind, url, seconds))
    peer = middle(found["peer"])
    limit = (
        f"OSG shoveler (Go) here: {peer['value']:,.0f}, neither confirmed nor persistent; "
        f"lost {peer['lost_in_all']:,} of {peer['sent_in_all']:,}"
    )
    for kind in OURS:
        figure(
            f"shoveler_arrived_of_{OVERLOAD}_{kind}", unit="datagrams/s", limit=limit, **middle(found[kind]), peer=peer
        )


def overloaded(shoveler: Shoveler | Peer, kind: str, url: str, seconds: float) -> dict[str, Any]:
    """Offer too much for a while; the rate at which datagrams come into the queue, up to the last one."""
    time.sleep(1.0)
    topology = open_topology(parse_bus_address(url))

    def arrived() -> int:  # a batch is one message; then the confirmed datagrams are counted
        if kind == "batch" and isinstance(shoveler, Shoveler):
            return int(shoveler.totals().confirmed)
        return topology.depth("bench", exchange="bench")

    cpu = shoveler.cpu()
    done, progress = follow_load(start_load(shoveler.port, OVERLOAD, seconds), arrived)
    cpu = shoveler.cpu() - cpu
    drops = peers.kernel_drops(shoveler.port)
    topology.close()
    shoveler.close()
    took = progress.last_time - done.began
    return {
        "value": progress.last / took, "sent": done.sent, "lost": done.sent - progress.last, "kernel_drops": drops,
        "seconds": round(took, 1), "cores": round(cpu / took, 2),
    }  # fmt: skip


def quiet(seconds: float) -> None:
    kinds = dict(OURS)
    if peers.find("shoveler"):
        kinds["peer"] = Peer
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    with workplace() as directory, broker(directory) as url:
        for number in range(ROUNDS):
            for kind, start in kinds.items():
                empty(url)
                found[kind].append(at_1000(start(directory / f"{kind}{number}", url), seconds))
    limit = "; <= 80 MB"
    if "peer" in found:
        peer = middle(found["peer"])
        limit += f"; OSG shoveler (Go) here: {peer['value']:.1f} %, {peer['resident_mib']} MiB"
    for kind, share in (("single", 10), ("batch", 5)):
        name = f"shoveler_cpu_at_1000_per_second_{kind}"
        figure(name, unit="% of a core", limit=f"<= {share} %{limit}", **middle(found[kind]))


def at_1000(shoveler: Shoveler | Peer, seconds: float) -> dict[str, Any]:
    """Share of a core, and memory, at 1,000 datagrams a second."""
    load(shoveler.port, 1000, 2.0)
    before = shoveler.cpu()
    done = load(shoveler.port, 1000, seconds)
    cpu = shoveler.cpu() - before
    resident, proportional = shoveler.memory()
    shoveler.close()
    share = 100 * cpu / done.seconds
    return {"value": share, "resident_mib": round(resident, 1), "proportional_mib": round(proportional, 1)}


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round with the median value; what was sent and lost, of all rounds."""
    found = sorted(rounds, key=lambda one: one["value"])[len(rounds) // 2]
    if "lost" in found:
        found |= {f"{name}_in_all": sum(one[name] for one in rounds) for name in ("sent", "lost")}
    return found | {"value": round(found["value"], 2), "rounds": [round(one["value"], 1) for one in rounds]}


FIGURES: dict[str, tuple[Callable[[float], None], float]] = {
    "spool": (spool_rate, 30.0),
    "delay": (delay, 10.0),
    "replay": (replay, 10.0),
    "live": (live, 60.0),
    "beside": (beside, 10.0),
    "quiet": (quiet, 12.0),
}
"""With the length of each load."""


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 when everything ran (the figures judge themselves elsewhere)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="which (all)")
    parser.add_argument("--seconds", type=float, default=60.0, help="maximum length of a load")
    arguments = parser.parse_args(argv)
    for name in arguments.figures or FIGURES:
        measure, seconds = FIGURES[name]
        measure(min(seconds, arguments.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
