"""Is the Live page true at full load? 50 servers, 16 slots, whole files as fast as one client reads them.

After the run it compares what the page was given with what the clients' journals say: is there a value for each server
in each second in which the client worked, do the values add up to the bytes read, and are all these seconds in the
database, too.

    python tests/bench/bench_live.py [--servers 50] [--slots 16] [--files 800]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from gui.campaign.plan import Who
from gui.campaign.planfile import format_plan
from gui.runner.demo import Demo, DemoOptions
from gui.runner.progress import RunProgress


def report(name: str, value: float, unit: str, limit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "limit_or_peer": limit}), flush=True)


async def measure(servers: int, slots: int, files: int, database: Path) -> tuple[RunProgress, float]:
    """The last snapshot of a run, and the longest time in which its loop stood still."""
    options = DemoOptions(database=database, servers=servers, files=files, rate=files, clients=1)
    stall = [0.0]

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            stall[0] = max(stall[0], time.monotonic() - before - 0.005)

    async with Demo.open(options, lambda _stage: None) as demo:
        plan = replace(demo.plan, tests=(replace(demo.plan.tests[0], who=Who(slots=slots)),))
        watching = asyncio.get_running_loop().create_task(watch(), name="watch")
        await demo.workspace.run(plan, text=format_plan(plan))
        watching.cancel()
        return demo.workspace.progress.latest, stall[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Is the Live page true at full load?")
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--files", type=int, default=800, help="requests to each server, all in one round")
    own = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tally-bench-live-") as place:
        database = Path(place) / "live.db"
        progress, stall = asyncio.run(measure(own.servers, own.slots, own.files, database))
        connection = sqlite3.connect(database)
        read, first, last, done = connection.execute(
            "SELECT SUM(read_got + readv_got), MIN(t_open), MAX(t_close), COUNT(*) FROM request WHERE state >= 2"
        ).fetchone()
        stored = connection.execute(
            "SELECT COUNT(*) FROM sample WHERE bytes_read IS NOT NULL AND second BETWEEN ? AND ?",
            (int(first), int(last)),
        ).fetchone()[0]
        counted = connection.execute(
            "SELECT COUNT(DISTINCT second) FROM sample WHERE recorded IS NOT NULL AND second BETWEEN ? AND ?",
            (int(first), int(last)),
        ).fetchone()[0]
        end = connection.execute("SELECT SUM(top) FROM (SELECT MAX(bytes_read) AS top FROM sample GROUP BY server_id)")
        cumulative = end.fetchone()[0]
        connection.close()
    seconds = int(last) - int(first) + 1
    points = [point for point in progress.samples if int(first) <= point.t <= int(last)]
    values = [rate for point in progress.samples for rate in point.rates if rate is not None]
    what = f"live, {own.servers} servers × {own.slots} slots"
    report(f"{what}: requests per second while it read", done / (last - first), "1/s", "")
    report(f"{what}: seconds of reading", seconds, "s", "")
    report(
        f"{what}: values, of servers × seconds",
        sum(rate is not None for point in points for rate in point.rates) / (seconds * own.servers),
        "",
        "1",
    )
    report(f"{what}: the same in the database", stored / (seconds * own.servers), "", "1")
    report(f"{what}: seconds in which the database was counted", counted / seconds, "", "")
    report(f"{what}: area of the plot / bytes read", sum(values) / read, "", "1")
    report(f"{what}: last sum in the database / bytes read", cumulative / read, "", "1")
    report(f"{what}: longest stall of the hub's loop", 1000 * stall, "ms", "")


if __name__ == "__main__":
    main()
