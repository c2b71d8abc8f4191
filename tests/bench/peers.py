"""The peers beside whom our figures are taken: the OSG shoveler and collector (Go), and the Python collector.

None of them is part of this repository. ``TALLY_BENCH_PEERS`` names a directory with any of

    shoveler, collector       the Go programs
    collector-core            a program around the Go collector's parser, correlator and record encoder: its argument is
                              a file of packets, {"remote", "data": BASE64} a line; it prints {"records", "cpu_seconds"}
    python-collector, python  a checkout of the Python collector, and an interpreter that has what it imports

What is not there is not measured, and one line on standard error says so. They run with their own defaults; set is only
what they need to know (addresses, exchanges, a directory), no port for metrics, and room for the load where they have a
setting for it.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil


@functools.cache
def _directory() -> Path | None:
    given = os.environ.get("TALLY_BENCH_PEERS")
    if not given:
        print("peers are not measured: set TALLY_BENCH_PEERS to their directory", file=sys.stderr)
    return Path(given).resolve() if given else None


@functools.cache
def find(name: str) -> Path | None:
    """The peer's program or checkout; None when it is missing, which is reported once."""
    directory = _directory()
    if directory is None:
        return None
    found = directory / name
    if not found.exists():
        print(f"a peer is not measured: there is no {name} in {directory}", file=sys.stderr)
        return None
    return found


# ---------------------------------------------------------------- the Go programs


def _start(name: str, directory: Path, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    program = find(name)
    assert program is not None, f"ask find({name!r}) first"
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "config.json"
    configuration.write_text(json.dumps(settings))
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, "-c", configuration], cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    deadline = time.monotonic() + 20
    while not _connected(process):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the peer {name} did not start; it said: {(directory / 'log').read_text()[-500:]}")
        time.sleep(0.05)
    time.sleep(0.5)  # its channel: a message that comes before costs it a pause of up to 5 s
    return process


def _connected(process: subprocess.Popen[bytes]) -> bool:
    connections = psutil.Process(process.pid).net_connections("tcp4")
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


def start_shoveler(directory: Path, url: str, *, port: int, exchange: str) -> subprocess.Popen[bytes]:
    """The Go shoveler, listening and connected. It waits for no confirm, and its messages are not persistent."""
    return _start(
        "shoveler",
        directory,
        {
            "listen": {"ip": "127.0.0.1", "port": port},
            "amqp": {"url": url, "exchange": exchange},
            "queue_directory": str(directory / "queue"),
            "metrics": {"enable": False},
        },
    )


def start_collector(directory: Path, url: str, *, queue: str, exchange: str) -> subprocess.Popen[bytes]:
    """The Go collector, connected. State in memory; it acknowledges before it publishes, and awaits no confirm."""
    return _start(
        "collector",
        directory,
        {
            "input": {"type": "rabbitmq", "broker_url": url, "queue": queue},
            "output": {"type": "mq"},
            "amqp": {"url": url, "exchange": exchange},
            "queue_directory": str(directory / "queue"),
            "metrics": {"enable": False},
        },
    )


def kernel_drops(port: int) -> int:
    """What the kernel threw away at the UDP socket bound to `port`."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if line.split()[1].endswith(f":{port:04X}"))


def verdict(records: Iterable[dict[str, Any]], servers: Iterable[Any]) -> dict[str, int]:
    """The Go collector's file records against the truth; paths are unique in this traffic, so they are the key."""
    truth = {access.path: access.read for server in servers for access in server.accesses}
    got: Counter[str] = Counter()
    right = wrong = 0
    for record in records:
        path = record["filename"]
        got[path] += 1
        right += got[path] == 1 and truth.get(path) == record["read"] and record["user"] != ""
        wrong += truth.get(path) != record["read"] or record["user"] == ""
    return {
        "right": right,
        "wrong": wrong,
        "missing": len(truth.keys() - got.keys()),
        "double": sum(number - 1 for number in got.values()),
    }


# ---------------------------------------------------------------- the cores, without bus and sockets


def write_packets(path: Path, packets: Iterable[bytes], remote: str) -> None:
    """A file of packets for `go_core` and `python_core`.

    Both peers convert what belongs to CMS into a second form. Ours does so behind the core, so paths and VO are changed
    (to others of the same length) and every core is asked for the plain record only.
    """
    with path.open("w") as out:
        for packet in packets:
            data = packet.replace(b"/store/", b"/stage/").replace(b"&o=cms&", b"&o=osg&")
            out.write(json.dumps({"remote": remote, "data": base64.b64encode(data).decode()}) + "\n")


def go_core(packets: Path) -> dict[str, Any]:
    """Records and CPU seconds of the Go collector's core on one core."""
    return _core([str(find("collector-core")), str(packets)])


_PYTHON_CORE = """
import base64, configparser, gc, json, logging, sys, time
sys.path.insert(0, sys.argv[1])
from DetailedCollector import DetailedCollector
import ttldict

class Metrics:  # a queue to another process, which is not the core
    def put(self, message): pass

class Channel:
    records = 0
    def basic_publish(self, exchange, routing_key, body, properties): Channel.records += 1

lines = [json.loads(line) for line in open(sys.argv[2])]
packets = [(base64.b64decode(l["data"]), *l["remote"].rsplit(":", 1)) for l in lines]
names = "exchange wlcg_exchange tcp_exchange exchange_cache wlcg_exchange_cache exchange_tpc wlcg_exchange_tpc".split()
config = configparser.ConfigParser()
config["AMQP"] = {name: name for name in names}
collector = DetailedCollector(config, ("127.0.0.1", 0))
collector.logger = logging.getLogger("peer")
collector.logger.setLevel(logging.ERROR)
collector.metrics_q, collector.channel = Metrics(), Channel()
for _, address, _ in packets:  # it would ask the DNS for each record
    collector._dns_cache[address] = [address, [address]]
begin = time.process_time()
for packet in packets:
    collector.process(*packet)
print(json.dumps({"records": Channel.records, "cpu_seconds": time.process_time() - begin}))
"""


def python_core(packets: Path) -> dict[str, Any]:
    """Records and CPU seconds of the Python collector's packet handler, called in a loop."""
    return _core([str(find("python")), "-c", _PYTHON_CORE, f"{find('python-collector')}/Collectors", str(packets)])


def _core(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        command, env=os.environ | {"GOMAXPROCS": "1"}, check=True, stdout=subprocess.PIPE, text=True, timeout=170
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
