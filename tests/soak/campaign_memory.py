"""Half an hour at 5,000 datagrams per second through shoveler, RabbitMQ and collector: no process's memory grows.

The resident memory of each of our processes is sampled once a second. The first fifth is warm-up; then the median of
the second fifth is compared with that of the last one, and growth of more than 10 % fails. So do books that do not
balance: sent = taken = confirmed = consumed, and one record for every file that was closed. The broker is sampled, too,
and shown; it is not ours to judge. The last line is the result as one JSON object.

    python tests/soak/campaign_memory.py [--rate N] [--framing single|batch]

TALLY_SOAK_MINUTES shortens it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
from campaign.rig import Broker, Pipeline

_MINUTES = 30.0
_RATE = 5000.0
_GROWTH = 0.10
_PARTS = 5
_RESTING = 300.0
_EVERY = 1.0
_MIB = 2**20


class Memory:
    """Samples of resident memory, for each process of a pipeline by its role."""

    def __init__(self, pipeline: Pipeline) -> None:
        assert pipeline.shoveler.process is not None
        assert pipeline.collector.process is not None
        (receiver,) = pipeline.shoveler.children()
        pid = pipeline.broker.node.pid
        assert pid is not None
        self._ours = {
            "shoveler": psutil.Process(pipeline.shoveler.process.pid),
            "shoveler receiver": receiver,
            "collector": psutil.Process(pipeline.collector.process.pid),
        }
        self._broker = psutil.Process(pid)
        self.samples: dict[str, list[int]] = {name: [] for name in (*self._ours, "broker")}

    def sample(self) -> None:
        """One more of each. Raises psutil.NoSuchProcess when one is gone, which it must not be."""
        for name, process in self._ours.items():
            self.samples[name].append(process.memory_info().rss)
        self.samples["broker"].append(self._broker.memory_info().rss)

    def verdict(self) -> dict[str, dict[str, float]]:
        """For each process, in MiB: after warm-up, at the end, the highest; and the growth."""
        return {name: _growth(samples) for name, samples in self.samples.items()}

    @property
    def faults(self) -> list[str]:
        """What grew too much, in sentences."""
        return [
            f"{name} grew by {100 * figures['growth']:.1f} %, from {figures['early']} to {figures['late']} MiB"
            for name, figures in self.verdict().items()
            if name in self._ours and figures["growth"] > _GROWTH
        ]


def _growth(samples: list[int]) -> dict[str, float]:
    part = len(samples) // _PARTS
    early, late = median(samples[part : 2 * part]), median(samples[-part:])
    return {
        "early": round(early / _MIB, 1),
        "late": round(late / _MIB, 1),
        "highest": round(max(samples) / _MIB, 1),
        "growth": round(late / early - 1, 4),
    }


def work(pipeline: Pipeline, seconds: float) -> Memory:
    """Let it run for so long, sampling."""
    memory = Memory(pipeline)
    begun = time.monotonic()
    told = begun
    while time.monotonic() - begun < seconds:
        pipeline.run(_EVERY)
        memory.sample()
        if time.monotonic() - told >= 60:
            told = time.monotonic()
            latest = {name: f"{samples[-1] / _MIB:.0f} MiB" for name, samples in memory.samples.items()}
            print(f"{(told - begun) / 60:.0f} min: {pipeline.load.sent} sent; {latest}", flush=True)
    return memory


def close(pipeline: Pipeline) -> tuple[dict[str, int], list[str]]:
    """Bring it to rest: (counts, what does not balance)."""
    pipeline.settle(_RESTING)
    pipeline.stop()
    totals = pipeline.totals()
    assert totals is not None
    consumed = sum(high - low + 1 for low, high in pipeline.consumed())
    sites, sink = pipeline.load.sites, pipeline.sink
    counts = {
        "sent": pipeline.load.sent,
        "taken": totals.received,
        "confirmed": totals.confirmed,
        "consumed": consumed,
        "kernel_drops": totals.kernel_drops,
        "accesses": sum(site.finished for site in sites),
        "records": sum(sum(flags) for flags in sink.flags.values()),
        "repeats": sink.repeats,
        "read": sink.read,
    }
    faults = list(pipeline.trouble)
    if not counts["sent"] == counts["taken"] == counts["confirmed"] == counts["consumed"]:
        faults.append("sent = taken = confirmed = consumed does not hold")
    if counts["records"] != counts["accesses"]:
        faults.append(f"{counts['accesses']} files were closed, and {counts['records']} have a record")
    if sink.repeats:
        faults.append(f"{sink.repeats} records came twice, and nothing was killed")
    if counts["read"] != sum(site.read for site in sites):
        faults.append("the bytes in the records are not the bytes that were read")
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory under steady load.")
    parser.add_argument("--rate", type=float, default=_RATE, help="datagrams per second")
    parser.add_argument("--framing", choices=("single", "batch"), default="batch", help="of datagrams and records")
    options = parser.parse_args()
    minutes = float(os.environ.get("TALLY_SOAK_MINUTES", _MINUTES))
    with tempfile.TemporaryDirectory(prefix="tally-memory-", ignore_cleanup_errors=True) as directory:
        broker = Broker(Path(directory) / "node")
        pipeline = Pipeline(
            Path(directory), broker, "memory", seed=1, rate=options.rate, framing=options.framing,
            records_framing=options.framing, tap=False, keep=False,
        )  # fmt: skip
        try:
            pipeline.start()
            memory = work(pipeline, minutes * 60)
            counts, faults = close(pipeline)
        finally:
            pipeline.end()
            broker.close()
    faults += memory.faults
    result: dict[str, Any] = {
        "flat": not faults,
        "minutes": minutes,
        "framing": options.framing,
        "rate": round(pipeline.load.achieved),
        **counts,
        "memory_mib": memory.verdict(),
        "faults": faults,
    }
    print(json.dumps(result))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
