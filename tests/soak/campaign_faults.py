"""The fault campaign in full: a hundred kill -9, and every other fault, each under at least 2,000 datagrams a second.

Real shoveler, RabbitMQ and collector; see tests/faults/campaign for how it works and what the counts mean. Each round
is one fault on a fresh pipeline. When a round's books are closed its counts are written to a state file, so a campaign
that was interrupted goes on where it was (on the same commit). The last line is the result as one JSON object; the exit
code is 0 only when the books of every round balance.

    python tests/soak/campaign_faults.py [--only WORD] [--list] [--afresh] [--state FILE]

TALLY_SOAK_MINUTES shortens it (in full it takes about 25 minutes).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
from campaign import faults
from campaign.rig import Broker, Pipeline
from progress import Progress, commit

_FULL_MINUTES = 25.0
_KILLS_OF_EACH = 34  # of shoveler, collector and broker: 102 in all
_KILLS_OF_EACH_IN_A_ROUND = 4
_LEAST_RATE = 2000
_RATE = 2100
_RESTING = 240.0  # seconds that a pipeline may take to come to rest
_DISK_MEGABYTES = 64
_VARIANTS: list[dict[str, Any]] = [
    {"framing": "single", "records_framing": "batch"},
    {"framing": "batch", "records_framing": "batch", "shards": 8},
    {"framing": "single", "records_framing": "single", "shards": 4},
    {"framing": "batch", "records_framing": "single", "shards": 8, "workers": 2},
]
"""How a site may have set things up; rounds of kills take them in turn."""


@dataclass
class Round:
    """One fault on one pipeline."""

    name: str
    fault: Callable[..., None]
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    disk: str = ""
    """Whose disk is small: ``spool`` or ``state``."""


def rounds(share: float) -> list[Round]:
    """All of them; `share` of the full length."""
    kills_left = max(2, round(_KILLS_OF_EACH * share))
    planned: list[Round] = []
    while kills_left > 0:
        number = len(planned) + 1
        each = min(_KILLS_OF_EACH_IN_A_ROUND, kills_left)
        kills_left -= each
        options = _VARIANTS[(number - 1) % len(_VARIANTS)]
        planned.append(Round(f"kills-{number}", partial(faults.kills, each=each), 100 + number, options))
    batch = {"framing": "batch"}
    away = max(4.0, 60.0 * share)
    longest = max(4.0, 25.0 * share)
    few = 2 if share < 0.5 else 4
    return [
        *planned,
        Round("broker-stopped", partial(faults.broker_stopped, seconds=away), 201, batch),
        Round("broker-stopped-single", partial(faults.broker_stopped, seconds=away), 202),
        Round("black-hole", partial(faults.black_hole, holes=6, longest=longest), 301, {"proxied": True}),
        Round("black-hole-batch", partial(faults.black_hole, holes=6, longest=longest), 302, batch | {"proxied": True}),
        Round("queue-deleted", partial(faults.queue_deleted, times=few), 401, batch | {"tap": False}),
        Round("queue-deleted-single", partial(faults.queue_deleted, times=few), 402, {"tap": False}),
        Round("token-every-5s", partial(faults.tokens_rotated, times=3 * few), 501, batch | {"token": True}),
        Round("token-every-5s-single", partial(faults.tokens_rotated, times=3 * few), 502, {"token": True}),
        Round("spool-disk-full", faults.spool_disk_full, 601, {"reserve": "16MiB"}, disk="spool"),
        Round(
            "spool-disk-full-to-refusal",
            partial(faults.spool_disk_full, until_rejecting=True),
            602,
            batch | {"reserve": "16MiB", "path_padding": 900},
            disk="spool",
        ),
        # For longer than two heartbeats: whoever waits for a disk or the broker must still answer the broker.
        Round(
            "state-disk-full", partial(faults.state_disk_full, full=longest), 603, batch | {"heartbeat": "5s"}, "state"
        ),
        Round("broker-disk-alarm", partial(faults.broker_disk_alarm, seconds=longest), 604, {"heartbeat": "5s"}),
    ]


def play(this: Round, broker: Broker) -> dict[str, Any]:
    """One round: its counts, and what does not balance under ``faults``."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tally-campaign-", ignore_cleanup_errors=True) as directory:
        if not this.disk:
            result = _play(this, broker, Path(directory), this.options, this.fault)
        else:
            with faults.small_disk(Path(directory) / "disk", _DISK_MEGABYTES) as disk:
                options = this.options | {this.disk: disk / this.disk}
                result = _play(this, broker, Path(directory), options, partial(this.fault, disk=disk))
    return result | {"seconds": round(time.monotonic() - began, 1)}


def _play(
    this: Round, broker: Broker, directory: Path, options: dict[str, Any], fault: Callable[..., None]
) -> dict[str, Any]:
    if not broker.up:
        broker.start()
    pipeline = Pipeline(directory, broker, this.name, seed=this.seed, rate=_RATE, **options)
    try:
        if pipeline.token_file is not None:
            faults.new_token(pipeline)
        pipeline.start()
        fault(pipeline, random.Random(this.seed))
        books = pipeline.finish(_RESTING)
    finally:
        pipeline.end()
    rate = pipeline.load.achieved
    if rate < _LEAST_RATE:
        books.faults.append(f"the load was only {rate:.0f} datagrams a second")
    if books.faults:
        print(pipeline.shoveler.said()[-4000:], pipeline.collector.said()[-4000:], sep="\n--\n", file=sys.stderr)
    done = Counter(event.what for event in pipeline.events)
    return {"rate": round(rate)} | books.counts() | {"done": dict(done), "faults": books.faults}


def summary(results: dict[str, dict[str, Any]], skipped: list[str], minutes: float) -> dict[str, Any]:
    """The result: sums over all rounds, then each round."""
    sums: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for result in results.values():
        sums.update({name: value for name, value in result.items() if isinstance(value, int) and name != "rate"})
        done.update(result["done"])
    of = {who: sum(n for what, n in done.items() if what.startswith(f"kill -9 of the {who}")) for who in _KILLED}
    of["collector"] += done["kill -9 of a collector's worker"]
    return {
        "balanced": all(not result["faults"] for result in results.values()),
        "minutes": round(minutes, 1),
        "kills": of | {"in all": sum(of.values())},
        "least_rate": min((result["rate"] for result in results.values()), default=0),
        **sums,
        "done": dict(done),
        "skipped": skipped,
        "rounds": results,
    }


_KILLED = ("shoveler", "collector", "broker")


def main() -> int:
    parser = argparse.ArgumentParser(description="The fault campaign of shoveler, RabbitMQ and collector.")
    parser.add_argument("--only", metavar="WORD", help="only rounds whose name contains this word")
    parser.add_argument("--list", action="store_true", help="list the rounds and exit")
    parser.add_argument("--afresh", action="store_true", help="start over instead of resuming an interrupted campaign")
    default = Path(tempfile.gettempdir()) / f"tally-soak-{os.getuid()}" / "campaign_faults.json"
    parser.add_argument("--state", type=Path, default=default, help=f"file for the progress [{default}]")
    options = parser.parse_args()
    share = min(1.0, float(os.environ.get("TALLY_SOAK_MINUTES", _FULL_MINUTES)) / _FULL_MINUTES)
    planned = [one for one in rounds(share) if not options.only or options.only in one.name]
    if options.list:
        print("\n".join(one.name for one in planned))
        return 0
    if not planned:
        print(f"no round has {options.only!r} in its name; --list names them", file=sys.stderr)
        return 2
    progress = Progress(options.state, {"commit": commit(), "share": share}, afresh=options.afresh)
    results: dict[str, dict[str, Any]] = {}
    skipped: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tally-campaign-", ignore_cleanup_errors=True) as directory:
        broker = Broker(Path(directory) / "node")
        try:
            for one in planned:
                if one.disk and not faults.can_mount():
                    skipped.append(f"{one.name}: mounting a small disk needs root")
                    continue
                results[one.name] = progress.done.get(one.name) or play(one, broker)
                progress.note(one.name, results[one.name])
                _show(one.name, results[one.name])
        finally:
            broker.close()
    result = summary(results, skipped, (time.monotonic() - began) / 60)
    progress.forget()
    print(json.dumps(result))
    return 0 if result["balanced"] else 1


def _show(name: str, result: dict[str, Any]) -> None:
    counts = ("rate", "sent", "taken", "confirmed", "consumed", "lost", "destroyed", "records", "missing", "duplicates")
    print(f"{name}: {' '.join(f'{count} {result[count]}' for count in counts)}; {result['seconds']} s", flush=True)
    for fault in result["faults"]:
        print(f"  ! {fault}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
