"""kill -9 of `tally hub` in the middle of runs: twenty times, at random moments, with real servers and agents.

Each round is a federation of its own with a real hub, two client agents and a remote operator whose run is under way.
The hub is killed five times, now and then while it is just starting, and started again on its database. At the end
every request of the plan was made once and is matched, nothing is missing or double, and the operator got its result.

    chrt -i 0 python tests/soak/campaign_hub.py [--only WORD] [--afresh] [--state FILE] [--seed N]

A round that is done is kept in the state file, so a campaign that was interrupted goes on (on the same commit). The
last line is the result as one JSON object; the exit code is 0 only when all books balance.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from progress import Progress, commit

from tests.integration.test_restart import AGENT, TALLY, Site
from tests.waiting import until

ROUNDS, KILLS = 4, 5
SERVERS, FILES, PER_ROUND = 2, 300, 4
TOTAL = SERVERS * FILES
PLAN = f"""
name = "killed hub"
settle = "120s"
[[test]]
servers = {SERVERS}
files_per_server = {FILES}
per_round = {PER_ROUND}
wait = "300ms"
"""


def play(seed: int) -> dict[str, Any]:
    """One run with its kills."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tally-soak-hub-") as directory, ExitStack() as processes:
        place = Path(directory)
        lab, words = [*AGENT, "lab"], ["--dir", str(place / "lab")]
        up = [*lab, "up", "--servers", str(SERVERS), "--bus", str(place / "bus"), *words]
        subprocess.run(up, check=True, capture_output=True)
        processes.callback(subprocess.run, [*lab, "down", *words], check=False, capture_output=True)
        return killed(Site(place, processes), chance, seed)


def killed(site: Site, chance: random.Random, seed: int) -> dict[str, Any]:
    hub = site.hub(1)
    for name in ("c1", "c2"):
        site.agent(name)
    operator = operate(site)
    kills: list[str] = []
    for number in range(2, KILLS + 2):
        more = site.count("SELECT count(*) FROM request WHERE ok") + chance.randrange(5, TOTAL // (KILLS + 3))
        if chance.random() < 0.7:  # else it may be killed while it is still taking the run up again
            until(lambda least=more: site.count("SELECT count(*) FROM request WHERE ok") >= least)  # type: ignore[misc]
        else:
            time.sleep(chance.uniform(0.1, 1.5))
        kills.append(f"at request {site.count('SELECT count(*) FROM request')}")
        hub.send_signal(signal.SIGKILL)
        hub.wait()
        hub = site.hub(number)
    code = operator.wait(600)
    counts = {
        "total": site.count("SELECT count(*) FROM request"),
        "made": site.count("SELECT count(*) FROM request WHERE ok"),
        "different": site.count("SELECT count(DISTINCT tag_id || ' ' || path) FROM request"),
        "records": site.count("SELECT count(*) FROM record WHERE record_key % 2 <> 0"),
        "runs": site.count("SELECT count(*) FROM run"),
    }
    faults = [f"{value} {name}, not {TOTAL}" for name, value in counts.items() if name != "runs" and value != TOTAL]
    if counts["runs"] != 1:
        faults.append(f"{counts['runs']} runs, not 1")
    if code:
        faults.append(f"the operator ended with {code}: {site.said('operator.log')[-500:]}")
    if "100.00 %" not in site.said("operator.log"):
        faults.append("not all are matched")
    return {"seed": seed, "kills": kills, **counts, "faults": faults}


def operate(site: Site) -> subprocess.Popen[str]:
    """A remote operator who starts the run."""
    secret = {name: value for name, value in site.environment.items() if name != "TALLY_KEY"}
    made = subprocess.run(
        [*TALLY, "key", "create", "--scope", "operator", "--kid", "anna", "--sub", "anna", "--db", str(site.database)],
        env=secret, capture_output=True, text=True, check=True,
    )  # fmt: skip
    key = site.place / "anna.key"
    key.write_text(made.stdout.strip().splitlines()[-1].split()[-1])
    (site.place / "plan.toml").write_text(PLAN)
    words = ["--hub", f"ws://{site.address}", "--insecure", "--kid", "anna", "--name", "anna", "--key-file", str(key)]
    shared = site.environment.pop("TALLY_KEY")
    operator = site.start(*TALLY, "run", str(site.place / "plan.toml"), *words, log="operator.log")
    site.environment["TALLY_KEY"] = shared
    until(lambda: site.count("SELECT count(*) FROM request WHERE ok"))
    return operator


def main() -> int:
    parser = argparse.ArgumentParser(description="kill -9 of the hub in the middle of runs.")
    parser.add_argument("--only", metavar="WORD", help="only rounds whose name contains this word")
    parser.add_argument("--afresh", action="store_true", help="start over instead of resuming an interrupted campaign")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next one has the next")
    default = Path(tempfile.gettempdir()) / f"tally-soak-{os.getuid()}" / "campaign_hub.json"
    parser.add_argument("--state", type=Path, default=default, help=f"file for the progress [{default}]")
    options = parser.parse_args()
    planned = [(f"hub-{number}", 1000 * options.seed + number) for number in range(1, ROUNDS + 1)]
    planned = [one for one in planned if not options.only or options.only in one[0]]
    progress = Progress(options.state, {"commit": commit(), "seed": options.seed}, afresh=options.afresh)
    results: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    for name, seed in planned:
        results[name] = one = progress.done.get(name) or play(seed)
        progress.note(name, one)
        print(f"{name}, seed {seed}: {len(one['kills'])} kills; {one['made']} of {TOTAL} made", flush=True)
        for fault in one["faults"]:
            print(f"  ! {fault}", flush=True)
    faults = [f"{name}: {fault}" for name, one in results.items() for fault in one["faults"]]
    totals = {what: sum(one[what] for one in results.values()) for what in ("total", "made", "different", "records")}
    kills = sum(len(one["kills"]) for one in results.values())
    seeds = [one["seed"] for one in results.values()]
    minutes = round((time.monotonic() - began) / 60, 1)
    progress.forget()
    print(json.dumps({"kills": kills, **totals, "seeds": seeds, "faults": faults, "minutes": minutes}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
