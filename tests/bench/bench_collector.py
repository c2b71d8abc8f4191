"""The collector process through RabbitMQ, checkpoints on: records a second, for each framing.

A queue is filled first; then the collector is started and works until all records are in the output queue. The clock
runs from the first record there to the last, so the start of Python is not in it; broker, collector and this script
share the machine. Afterwards everything is read back and compared with the truth.

    python tests/bench/bench_collector.py [--records N] [--only WORD]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
SERVERS = 50


def measure(broker: PrivateBroker, directory: Path, batch: bool, framing: str, records: int) -> dict[str, Any]:
    """Fill, run, wait, check. Rates are of confirmed records."""
    rig = collector_rig.Rig(broker.url, directory, "bench", framing=framing)
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
        found = rig.harvest(lambda got: len(got) >= total, 60)
        assert rig.stop() == 0
        verdict = collector_rig.verdict(found, servers)
        wrong = {
            name: verdict[name] for name in ("missing", "double", "wrong", "incomplete", "differing") if verdict[name]
        }
        assert not wrong, (wrong, rig.log.read_text()[-2000:])
        seconds = ended - begun
        return {
            "rate": round(total / seconds),
            "records": total,
            "datagrams": len(sent),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu - cpu_begun, 2),
            "peak_mb": round(peak / 2**20),
            "repeats": verdict["repeats"],
        }
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
            found = measure(broker, directory, batch, framing, int(options.records * share))
            figure = {"name": name, "value": found.pop("rate"), "unit": "records/s", "limit_or_peer": limit, **found}
            print(json.dumps(figure), flush=True)
            shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
