"""The collector process through RabbitMQ, checkpoints on: records a second, for each framing.

A queue is filled first; then the collector is started and works until all records are in the output queue. The clock
runs from the first record there to the last, so the start of Python is not in it; broker, collector and this script
share the machine. Afterwards everything is read back and compared with the truth.

The Go collector, which knows single messages only, takes turns with ours where it can be had (see peers.py). It is not
held to the truth: how many of its records are right is part of the figure.

    python tests/bench/bench_collector.py [--records N] [--only WORD]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import peers
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
import collector_rig

from agent.lab.broker import PrivateBroker
from shoveler.bus import open_topology

CASES = [
    # name, batch in, framing out, share of the records, limit
    ("collector through RabbitMQ, batch in, batch out", True, "batch", 1.0, 50_000),
    ("collector through RabbitMQ, batch in, single out", True, "single", 0.25, 10_000),
    ("collector through RabbitMQ, single in, batch out", False, "batch", 0.5, None),
]
BESIDE = "collector through RabbitMQ, single in, single out"
SERVERS, ROUNDS = 50, 3


class PeerRig(collector_rig.Rig):
    """The same queues with the Go collector between them."""

    def start(self, *arguments: str) -> None:
        self.process = peers.start_collector(self.directory / "peer", self.url, queue=self.queue, exchange=self.records)


def measure(rig: collector_rig.Rig, batch: bool, records: int) -> dict[str, Any]:
    """Fill, run, wait, check. Rates are of the records in the output queue, which ours has confirmed."""
    try:
        servers, sent = collector_rig.traffic.day(SERVERS, records // SERVERS)
        rig.give(sent, batch=batch)
        total = sum(len(server.accesses) for server in servers)
        rig.start()
        process = psutil.Process(rig.process.pid)
        topology = open_topology(rig.address)
        begun = ended = cpu_begun = cpu = 0.0
        depth = peak = 0
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 3.0:
            now_depth = topology.depth(rig.out, exchange=rig.records)
            now = time.monotonic()
            peak = max(peak, process.memory_info().rss)
            if now_depth != depth:
                if not depth:
                    begun, cpu_begun = now, sum(process.cpu_times()[:2])
                depth, ended, cpu = now_depth, now, sum(process.cpu_times()[:2])
                quiet_since = now
            elif not depth:
                quiet_since = now if now - quiet_since < 60 else quiet_since
            time.sleep(0.02)
        topology.close()
        single = isinstance(rig, PeerRig)  # a record a message: then the depth says how many there are
        found = rig.harvest(lambda got: len(got) >= (depth if single else total), 60)
        code = rig.stop()
        seconds = max(ended - begun, 0.02)  # no finer than we look
        figures = {
            "records": total,
            "datagrams": len(sent),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu - cpu_begun, 2),
            "peak_mb": round(peak / 2**20),
        }
        if single:
            return {"rate": round(len(found) / seconds), **figures, **peers.verdict(found, servers)}
        assert code == 0
        verdict = collector_rig.verdict(found, servers)
        wrong = {
            name: verdict[name] for name in ("missing", "double", "wrong", "incomplete", "differing") if verdict[name]
        }
        assert not wrong, (wrong, rig.log.read_text()[-2000:])
        return {"rate": round(total / seconds), **figures, "repeats": verdict["repeats"]}
    finally:
        rig.end()


def main() -> int:
    """One line of JSON per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-collector-") as place,
        PrivateBroker(Path(place) / "broker") as broker,
    ):
        for number, (name, batch, framing, share, limit) in enumerate(CASES):
            if options.only not in name:
                continue
            directory = Path(place) / f"case{number}"
            directory.mkdir()
            rig = collector_rig.Rig(broker.url, directory, "bench", framing=framing)
            found = measure(rig, batch, int(options.records * share))
            figure = {"name": name, "value": found.pop("rate"), "unit": "records/s", "limit_or_peer": limit, **found}
            print(json.dumps(figure), flush=True)
            shutil.rmtree(directory)
        if options.only in BESIDE:
            beside(broker, Path(place), options.records // 8)
    return 0


def beside(broker: PrivateBroker, place: Path, records: int) -> None:
    """Single messages in and out: ours, and the Go collector in turns with it; the median of each."""
    ours, theirs = [], []
    for number in range(ROUNDS):
        for kind, found in ((collector_rig.Rig, ours), (PeerRig, theirs)):
            if kind is PeerRig and peers.find("collector") is None:
                continue
            directory = place / f"{kind.__name__}{number}"
            directory.mkdir()
            found.append(measure(kind(broker.url, directory, "bench", framing="single"), False, records))
            shutil.rmtree(directory)
    limit = ""
    if theirs:
        right = {name: sum(one[name] for one in theirs) for name in ("records", "right", "wrong", "missing", "double")}
        limit = (
            f"Go collector here: {statistics.median(one['rate'] for one in theirs):,}, neither confirmed nor "
            "persistent, no checkpoint; right {right:,} of {records:,}, wrong {wrong:,}, missing {missing:,}, "
            "double {double:,}".format(**right)
        )
    rate = statistics.median(one["rate"] for one in ours)
    figure = {"name": BESIDE, "value": rate, "unit": "records/s", "limit_or_peer": limit, "ours": ours, "peer": theirs}
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    sys.exit(main())
