"""Figures of the shoveler: spool with the broker away, replay, live single and batch, its share of a core when quiet.

Real parts: the daemon as installed, UDP over loopback, a private RabbitMQ node. One JSON line per figure::

    python tests/bench/bench_shoveler.py [spool] [replay] [live] [quiet] [--seconds N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from agent.lab.broker import PrivateBroker
from shoveler.bus import open_topology, parse_address
from shoveler.spool import SpoolReader

DATAGRAM = 900
SENDERS = 50
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
start = time.perf_counter()
sent = late = 0
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
print(json.dumps({"sent": sent, "seconds": time.perf_counter() - start, "cpu": time.process_time()}))
"""


@dataclass
class Load:
    """What a load did."""

    sent: int
    seconds: float
    cpu: float


def load(port: int, rate: int, seconds: float, size: int = DATAGRAM, senders: int = SENDERS) -> Load:
    """Send datagrams at a steady rate, from `senders` different IP addresses."""
    arguments = [str(value) for value in (port, rate, round(seconds), size, senders)]
    out = subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, capture_output=True, text=True).stdout
    return Load(**json.loads(out))


# ---------------------------------------------------------------- the daemon


class Shoveler:
    """The daemon as a child, with its spool in a directory of its own."""

    def __init__(self, directory: Path, bus: str, framing: str = "single") -> None:
        self.spool = directory / "spool"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
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

    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def cpu(self) -> float:
        return sum(p.cpu_times().user + p.cpu_times().system for p in self.processes())

    def memory(self) -> tuple[float, float]:
        """(resident, proportional) MiB of all its processes; pages that they share count once in the second."""
        infos = [p.memory_full_info() for p in self.processes()]
        return sum(i.rss for i in infos) / 2**20, sum(i.pss for i in infos) / 2**20

    def until(self, condition: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(self.totals()):
                return True
            time.sleep(0.1)
        return False

    def close(self) -> None:
        self.reader.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


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
    topology = open_topology(parse_address(url))
    topology.declare_exchange("bench")
    topology.declare_queue("bench", exchange="bench")
    topology.close()


def empty(url: str) -> None:
    topology = open_topology(parse_address(url))
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


def replay(seconds: float) -> None:
    number = int(60_000 * min(seconds, 20))
    with workplace() as directory, broker(directory) as url:
        for framing, limit in (("batch", ">= 80000"), ("single", "no limit")):
            queue(url)
            empty(url)
            shoveler = Shoveler(directory / framing, NOWHERE)
            load(shoveler.port, 40_000, number / 40_000)
            shoveler.until(lambda t: False, 1.0)
            shoveler.close()
            taken = SpoolReader(directory / framing / "spool").totals()[0].received
            start = time.monotonic()
            shoveler = Shoveler(directory / framing, url, framing)
            first = time.monotonic()
            whole = shoveler.until(lambda t, taken=taken: t.confirmed >= taken, 120)
            took = time.monotonic() - first
            confirmed, cpu = shoveler.totals().confirmed, shoveler.cpu()
            shoveler.close()
            figure(
                f"shoveler_replay_{framing}", confirmed / took, "datagrams/s", limit, datagrams=taken,
                all_confirmed=whole, shoveler_cores=round(cpu / took, 2), start_up_seconds=round(first - start, 2),
            )  # fmt: skip


def live(seconds: float) -> None:
    with workplace() as directory, broker(directory) as url:
        for framing, rate, limit in (("batch", 25_000, ">= 25000, 0 drops"), ("single", 12_000, ">= 12000, 0 drops")):
            queue(url)
            empty(url)
            shoveler = Shoveler(directory / framing, url, framing)
            time.sleep(1.0)
            done = load(shoveler.port, rate, seconds)
            at_end = shoveler.totals()
            whole = shoveler.until(lambda t, done=done: t.confirmed >= done.sent, 20)
            cpu = shoveler.cpu()
            time.sleep(1.5)
            totals = shoveler.totals()
            shoveler.close()
            figure(
                f"shoveler_live_{framing}", at_end.confirmed / done.seconds, "datagrams/s", limit,
                sent=done.sent, received=totals.received, confirmed=totals.confirmed, kernel_drops=totals.kernel_drops,
                behind_at_end=done.sent - at_end.confirmed, all_confirmed=whole,
                shoveler_cores=round(cpu / done.seconds, 2),
            )  # fmt: skip


def quiet(seconds: float) -> None:
    with workplace() as directory, broker(directory) as url:
        for framing, limit in (("single", "<= 10 % of a core, <= 80 MB"), ("batch", "<= 5 % of a core, <= 80 MB")):
            queue(url)
            empty(url)
            shoveler = Shoveler(directory / framing, url, framing)
            load(shoveler.port, 1000, 2.0)
            before = shoveler.cpu()
            done = load(shoveler.port, 1000, seconds)
            cpu = shoveler.cpu() - before
            resident, proportional = shoveler.memory()
            totals = shoveler.totals()
            shoveler.close()
            figure(
                f"shoveler_cpu_at_1000_per_second_{framing}", 100 * cpu / done.seconds, "% of a core", limit,
                resident_mib=round(resident, 1), proportional_mib=round(proportional, 1),
                kernel_drops=totals.kernel_drops,
            )  # fmt: skip


FIGURES = {"spool": spool_rate, "replay": replay, "live": live, "quiet": quiet}


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 when everything ran (the figures judge themselves elsewhere)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="which (all)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each load")
    arguments = parser.parse_args(argv)
    for name in arguments.figures or FIGURES:
        FIGURES[name](arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
