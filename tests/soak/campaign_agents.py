"""kill -9 of agents in the middle of runs: twenty of a client agent with its workers, twenty of a server agent.

Each round is a run on a federation of its own: real XRootD servers, shoveler, bus, collector, hub, two clients and
one server agent beside all servers. Files are read slowly, so that requests are under way whenever a client is killed.
A killed agent is started again after a moment, with its journal. At the end the books of the run must balance: every
request of the plan was made once or is reported as interrupted, nothing is missing, wrong, double or not asked for; the
run went on to its last round; the server agent reports of all servers again.

    chrt -i 0 python tests/soak/campaign_agents.py [--only WORD] [--afresh] [--state FILE] [--seed N]

A round that is done is kept in the state file, so a campaign that was interrupted goes on (on the same commit). The
last line is the result as one JSON object; the exit code is 0 only when all books balance. About ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from progress import Progress, commit

from agent.messages import Workload
from gui.campaign.plan import Who
from gui.campaign.planfile import format_plan
from gui.runner.demo import Demo, DemoOptions

ROUNDS, KILLS = 4, 5
"""Of each kind: twenty kills."""
SERVERS, CLIENTS = 4, 2
FILES, PER_ROUND = 150, 10
SETTLE = 120.0
BACK = 120.0
COUNTS = ("total", "matched", "client_failed", "missing", "wrong_bytes", "duplicate", "unrequested", "unreported")

Kind = Literal["client", "server"]


async def play(kind: Kind, seed: int) -> dict[str, Any]:
    """One run with its kills; the counts of its books, and what is wrong with them."""
    chance = random.Random(seed)
    kills: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tally-soak-agents-") as place:
        options = DemoOptions(
            database=Path(place) / "run.db", servers=SERVERS, files=FILES, rate=PER_ROUND, clients=CLIENTS,
            bus=str(Path(place) / "bus"),
        )  # fmt: skip
        async with Demo.open(options, lambda _stage: None) as demo:
            slow = Workload(kind="long", reads=3, pause=0.1, bytes=4096)
            test = replace(demo.plan.tests[0], workload=slow, wait=0.2, who=Who(slots=4))
            plan = replace(demo.plan, tests=(test,), settle=SETTLE)
            killing = asyncio.get_running_loop().create_task(kill(demo, kind, chance, kills), name="kills")
            try:
                result = await demo.workspace.run(plan, text=format_plan(plan))
                mended = await back(demo)
            finally:
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
            figures = asdict(result.tests[0]) if result.tests else {}
    counts = {name: figures.get(name) for name in COUNTS}
    return {
        "seed": seed, "kills": kills, "outcome": result.outcome, "message": result.message, **counts,
        "faults": wrong(kind, kills, counts, result.outcome) + mended,
    }  # fmt: skip


async def kill(demo: Demo, kind: Kind, chance: random.Random, kills: list[str]) -> None:
    """Kill agents of this kind at random moments, the first ones of the run until there were enough."""
    clients = demo.workspace.local_clients
    assert clients is not None
    while not demo.workspace.progress.latest.requested:  # noqa: ASYNC110 - the run has no event for it
        await asyncio.sleep(0.05)
    for _ in range(KILLS):
        if chance.random() < 0.6:  # else it may hit an agent that is just starting again
            await advanced(demo)
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        name = chance.choice(clients.names) if kind == "client" else clients.server_agent
        if demo.workspace.progress.latest.phase not in ("round", "pause"):
            return  # the run is over too soon: the books say so
        kills.append(f"{name} at request {demo.workspace.progress.latest.requested}")
        await clients.kill(name, chance.uniform(0.1, 1.5))


async def advanced(demo: Demo) -> None:
    """Wait until more is handed out: all clients work again."""
    had, ends = demo.workspace.progress.latest.requested, time.monotonic() + BACK
    while demo.workspace.progress.latest.requested == had and time.monotonic() < ends:  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0.05)


async def back(demo: Demo) -> list[str]:
    """What is wrong with the agents after the run: all must be there, and the servers' reported of."""
    clients = demo.workspace.local_clients
    assert clients is not None
    wanted = {*clients.names, clients.server_agent}
    ends = time.monotonic() + BACK
    while True:
        views = [view for view in demo.workspace.hub.roster.agents if view.live]
        missing = sorted(wanted - {view.name for view in views})
        reported = sum(len(view.reports) for view in views)
        if not missing and reported == SERVERS:
            return []
        if time.monotonic() > ends:
            return [f"not back: {', '.join(missing) or 'none'}; {reported} of {SERVERS} servers are reported of"]
        await asyncio.sleep(0.2)


def wrong(kind: Kind, kills: list[str], counts: dict[str, Any], outcome: str) -> list[str]:
    """What is wrong with the books of a run."""
    found = []
    if len(kills) < KILLS:
        found.append(f"only {len(kills)} kills before the run was over")
    if counts["total"] != SERVERS * FILES:
        found.append(f"{counts['total']} requests, not {SERVERS * FILES}")
        return found
    found += [f"{counts[name]} {name}" for name in COUNTS[3:] if counts[name]]
    if counts["matched"] + counts["client_failed"] != counts["total"]:
        found.append("matched and interrupted requests are not all")
    if kind == "server" and (counts["client_failed"] or outcome != "passed"):
        found.append(f"a server agent that dies must not touch the run, which is {outcome}")
    if outcome not in ("passed", "inconclusive"):
        found.append(f"the run is {outcome}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="kill -9 of agents in the middle of runs.")
    parser.add_argument("--only", metavar="WORD", help="only rounds whose name contains this word")
    parser.add_argument("--afresh", action="store_true", help="start over instead of resuming an interrupted campaign")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next one has the next")
    default = Path(tempfile.gettempdir()) / f"tally-soak-{os.getuid()}" / "campaign_agents.json"
    parser.add_argument("--state", type=Path, default=default, help=f"file for the progress [{default}]")
    options = parser.parse_args()
    kinds: tuple[Kind, ...] = ("client", "server")
    planned = [(f"{kind}-{number}", kind, number) for kind in kinds for number in range(1, ROUNDS + 1)]
    planned = [one for one in planned if not options.only or options.only in one[0]]
    progress = Progress(options.state, {"commit": commit(), "seed": options.seed}, afresh=options.afresh)
    results: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    for name, kind, number in planned:
        seed = 1000 * options.seed + 10 * number + (kind == "server")
        results[name] = progress.done.get(name) or asyncio.run(play(kind, seed))
        progress.note(name, results[name])
        one = results[name]
        counts = ", ".join(f"{what} {one[what]}" for what in COUNTS)
        print(f"{name}, seed {seed}: {len(one['kills'])} kills, {one['outcome']}; {counts}", flush=True)
        for fault in one["faults"]:
            print(f"  ! {fault}", flush=True)
    faults = [f"{name}: {fault}" for name, one in results.items() for fault in one["faults"]]
    totals = {what: sum(one[what] or 0 for one in results.values()) for what in COUNTS}
    kills = {kind: sum(len(one["kills"]) for name, one in results.items() if kind in name) for kind in kinds}
    progress.forget()
    print(
        json.dumps(
            {
                "kills": kills,
                **totals,
                "seeds": [one["seed"] for one in results.values()],
                "faults": faults,
                "minutes": round((time.monotonic() - began) / 60, 1),
            }
        )
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
