"""One server of many hangs: what do the others lose?

50 servers, one of which stands still (SIGSTOP) for a minute in the middle of a run. The requests of the others are
counted in bins of five seconds; their rate while it stands still is compared with that of the time before. Then the
same without a hang, as the measure of what the machine itself does.

    python tests/bench/bench_hung.py [--servers 50] [--wait 1s] [--per-round 2] [--barrier] [--table]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gui.campaign.plan import Who
from gui.campaign.planfile import format_plan
from gui.runner.demo import Demo, DemoOptions
from shoveler.values.quantities import parse_duration

BIN = 5.0
HUNG = "s07"
BEFORE, HANG, AFTER = 20.0, 60.0, 15.0


@dataclass(frozen=True)
class Measured:
    """A run: its other servers' requests as (server, when made), when the hang began, when it was named, and how."""

    made: list[tuple[str, float]]
    began: float
    named: float | None
    said: list[str]
    message: str

    def counts(self, since: float, until: float) -> dict[str, int]:
        """Requests of each of the others between two times, in seconds after the hang began."""
        counts = dict.fromkeys((server for server, _ in self.made), 0)
        for server, t in self.made:
            counts[server] += since <= t - self.began < until
        return counts

    def rate(self, since: float, until: float) -> float:
        """Requests per second of all others together."""
        return sum(self.counts(since, until).values()) / (until - since)


def report(name: str, value: float, unit: str, limit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "limit_or_peer": limit}), flush=True)


async def measure(options: argparse.Namespace, database: Path, *, hang: bool) -> Measured:
    """One run on a lab of its own."""
    wait = parse_duration(options.wait)
    rounds = int((BEFORE + HANG + AFTER) / max(wait, 0.05)) if not options.files else options.files // options.per_round
    demo_options = DemoOptions(
        database=database, servers=options.servers, files=rounds * options.per_round, rate=options.per_round, clients=2
    )
    began, named = [time.time()], [0.0]
    async with Demo.open(demo_options, lambda _stage: None) as demo:
        test = replace(
            demo.plan.tests[0],
            who=Who(slots=16),
            wait=wait,
            barrier=options.barrier,
            timeout=parse_duration(options.timeout),
        )
        plan = replace(demo.plan, tests=(test,), settle=20.0)
        lab = demo.workspace.lab
        assert lab is not None
        pid = next(server.pid for server in lab.servers if server.name == HUNG)

        def watch(progress: object) -> None:
            if not named[0] and any(HUNG in p.where for p in progress.problems):  # type: ignore[attr-defined]
                named[0] = time.time()

        async def stand_still() -> None:
            while not demo.workspace.progress.latest.requested:  # noqa: ASYNC110 - the run has no event for it
                await asyncio.sleep(0.1)
            await asyncio.sleep(BEFORE)
            began[0] = time.time()
            if hang:
                os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(HANG)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(AFTER)
            demo.workspace.stop()

        hanging = asyncio.get_running_loop().create_task(stand_still(), name="hang")
        try:
            result = await demo.workspace.run(plan, text=format_plan(plan), on_progress=watch)
        finally:
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
    with closing(sqlite3.connect(database)) as connection:
        made = connection.execute(
            "SELECT s.name, r.t_close FROM request r JOIN server s ON s.id = r.server_id WHERE r.ok AND s.name <> ?",
            (HUNG,),
        ).fetchall()
        said = [text for (text,) in connection.execute("SELECT text FROM marker WHERE kind IN ('hold', 'held')")]
    return Measured(made, began[0], named[0] - began[0] if named[0] else None, said, result.message)


def tell(what: str, measured: Measured, others: int, *, hang: bool) -> None:
    """The figures of a run."""
    before, meanwhile = measured.rate(-15.0, 0.0), measured.rate(0.0, HANG)
    report(f"{what}: requests of the other {others} per second, 15 s before", before, "1/s", "")
    report(f"{what}: the same in the minute", meanwhile, "1/s", "")
    report(f"{what}: the minute, of the time before", 100 * meanwhile / before, "%", "95 to 105" if hang else "")
    worst = min(measured.counts(0.0, HANG).values()) / HANG
    usual = before / others
    report(f"{what}: the slowest of them in the minute, of the mean before", 100 * worst / usual, "%", "")
    if hang:
        assert measured.named is not None, "it was never named"
        report(f"{what}: seconds until the server was named", measured.named, "s", "a few")
        for text in measured.said:
            print(f"  {text}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="One server of many hangs: what do the others lose?")
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--wait", default="1s", help="pause of each server between its rounds")
    parser.add_argument("--per-round", type=int, default=2)
    parser.add_argument("--files", type=int, default=0, help="requests to each server (default: enough for the time)")
    parser.add_argument("--timeout", default="120s", help="the plan's limit of a call")
    parser.add_argument("--barrier", action="store_true", help="all servers begin each round together")
    parser.add_argument("--table", action="store_true", help="also print the bins of five seconds as a table")
    parser.add_argument("--only-hang", action="store_true", help="without the run in which nothing hangs")
    own = parser.parse_args()
    rows: list[tuple[str, Measured]] = []
    for hang in (True,) if own.only_hang else (False, True):
        with tempfile.TemporaryDirectory(prefix="tally-bench-hung-") as place:
            measured = asyncio.run(measure(own, Path(place) / "hung.db", hang=hang))
        what = f"{own.servers} servers, {'one hangs' if hang else 'none hangs'}{', barrier' if own.barrier else ''}"
        tell(what, measured, own.servers - 1, hang=hang)
        rows.append(("one hangs" if hang else "none hangs", measured))
    if len(rows) == 2:
        without, hung = (measured.rate(0.0, HANG) for _, measured in rows)
        report("the minute with the hang, of that without", 100 * hung / without, "%", "95 to 105")
    if own.table:
        times = [n * BIN for n in range(int(-BEFORE / BIN) + 1, int((HANG + AFTER) / BIN))]
        print("| from, s | " + " | ".join(f"{t:g}" for t in times) + " |")
        print("|---" * (len(times) + 1) + "|")
        for name, measured in rows:
            print(f"| {name} | " + " | ".join(f"{measured.rate(t, t + BIN):.1f}" for t in times) + " |")


if __name__ == "__main__":
    main()
