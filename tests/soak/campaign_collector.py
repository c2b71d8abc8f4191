"""Kill the collector, and now and then the broker, for as long as there is time; count what is missing or double.

Rounds of fresh traffic through changing set-ups: local bus and RabbitMQ, both framings, one queue and shards with
workers. In every round the collector is killed (or stopped) again and again at random moments while traffic flows, some
messages are published twice, and the broker may be restarted or killed. Afterwards every record must be there once.

    python tests/soak/campaign_collector.py          TALLY_SOAK_MINUTES=30 TALLY_SOAK_SEED=1
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
import collector_rig

from agent.lab.broker import PrivateBroker
from shoveler.bus import BusError

FAULTS = ("missing", "double", "wrong", "incomplete", "differing")


@dataclass
class Tally:
    """What happened in all rounds."""

    rounds: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    stops: int = 0
    broker_restarts: int = 0
    broker_kills: int = 0
    records: int = 0
    repeats: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def give_slowly(rig: Any, sent: list[tuple[str, bytes]], batch: bool, failed: list[BaseException]) -> None:
    """Publish in slices, each again until the broker took all of it (which repeats some, as a shoveler would)."""
    try:
        size = max(1, len(sent) // 20)
        for start in range(0, len(sent), size):
            first = rig._sent
            for _ in range(200):
                rig._sent = first
                try:
                    rig.give(sent[start : start + size], batch=batch, repeat=0.05)
                    break
                except (BusError, AssertionError):
                    time.sleep(0.3)
            else:
                raise RuntimeError("the broker took nothing for a minute")
            time.sleep(random.random() * 0.3)
    except BaseException as error:
        failed.append(error)


def play(broker: PrivateBroker, place: Path, number: int, tally: Tally) -> dict[str, Any]:
    """One round; what was wrong in it."""
    local = random.random() < 0.3
    framing = random.choice(["single", "batch"])
    shards = 0 if local or random.random() < 0.6 else 3
    batch = random.random() < 0.5
    name = f"{'local' if local else 'rabbitmq'} {framing}" + (" shards" if shards else "")
    directory = place / f"round{number}"
    directory.mkdir()
    environment = {"TALLY_COLLECTOR_WORKERS": "2"} if shards else {}
    rig = collector_rig.Rig(
        str(directory / "bus") if local else broker.url,
        directory,
        f"soak{number}",
        framing=framing,
        shards=shards,
        **environment,
    )
    try:
        servers, sent = collector_rig.traffic.day(random.randint(2, 12), random.randint(50, 1500))
        failed: list[BaseException] = []
        giver = threading.Thread(target=give_slowly, args=(rig, sent, batch, failed))
        giver.start()
        while giver.is_alive():
            rig.start()
            time.sleep(0.2 + random.random() * 2.0)
            torment(rig, broker, local, tally)
        giver.join()
        if failed:
            raise failed[0]
        rig.start()
        wanted = sum(len(server.accesses) for server in servers)
        records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 120)
        records += rig.harvest(lambda _: False, 1.0)
        code = rig.stop()
        if code == -signal.SIGTERM:
            code = 0  # told to stop before Python had loaded the program: it never began
        found: dict[str, Any] = collector_rig.verdict(records, servers)
        found |= {"round": number, "setup": name, "exit_code": code, "left": rig.depth()}
        tally.rounds[name] += 1
        tally.records += found["records"]
        tally.repeats += found["repeats"]
        tally.faults.update({fault: found[fault] for fault in FAULTS if found[fault]})
        if code:
            tally.faults["exit_code"] += 1
        if found["left"]:
            tally.faults["left_in_queue"] += found["left"]
        if any(found[fault] for fault in FAULTS) or code or found["left"]:
            found["log"] = rig.log.read_text()[-4000:]
        return found
    finally:
        rig.end()
        shutil.rmtree(directory, ignore_errors=True)


def torment(rig: Any, broker: PrivateBroker, local: bool, tally: Tally) -> None:
    """End the collector in one way or another; sometimes the broker, too."""
    dice = random.random()
    if not local and dice < 0.05:
        broker.restart()
        tally.broker_restarts += 1
    elif not local and dice < 0.08:
        broker.kill()
        broker.start()
        tally.broker_kills += 1
    if dice < 0.8:
        rig.kill()
        tally.kills += 1
    else:
        rig.stop()
        tally.stops += 1


def main() -> int:
    """Rounds until the time is up; the result as the last line."""
    minutes = float(os.environ.get("TALLY_SOAK_MINUTES", "30"))
    seed = int(os.environ.get("TALLY_SOAK_SEED", str(int(time.time()))))
    random.seed(seed)
    tally = Tally()
    until = time.monotonic() + minutes * 60
    bad: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="soak-collector-") as place,
        PrivateBroker(Path(place) / "broker") as broker,
    ):
        number = 0
        while time.monotonic() < until:
            number += 1
            found = play(broker, Path(place), number, tally)
            wrong = "log" in found
            print(f"round {number}: {found['setup']}, {found['records']} records, {'WRONG' if wrong else 'all there'}",
                  flush=True)  # fmt: skip
            if wrong:
                bad.append(found)
                print(found["log"], flush=True)
    result = {
        "campaign": "collector",
        "passed": not bad and number > 0,
        "minutes": minutes,
        "seed": seed,
        "rounds": dict(tally.rounds),
        "kills": tally.kills,
        "stops": tally.stops,
        "broker_restarts": tally.broker_restarts,
        "broker_kills": tally.broker_kills,
        "records": tally.records,
        "repeats": tally.repeats,
        "faults": dict(tally.faults),
        "bad_rounds": [{name: value for name, value in found.items() if name != "log"} for found in bad],
    }
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
