"""The collector process from a file to a file, as when a capture or an archive is read again.

The load is that of `bench_collector_core`, told by fifty servers in turns; that all records are there is checked. The
clock of a run is the wall's and has all of it: starting Python, reading, joining, writing, `fsync`, ending. Beside it
stands the bare loop of the same round by processor time, over the same f-stream datagrams (see there), and the
processor time of the run: on a machine where others work it tells more.

    python tests/bench/bench_collector_files.py [--records N] [--rounds N]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_collector_core as load

SERVERS = 50
CASES = {
    "file to file": ((), 0.30),
    "file to file, with a state": (("--state", "state"), 0.30),
    "file to file, two workers": (("--workers", "2"), 0.50),
    "file to file, two workers, with a state": (("--workers", "2", "--state", "state2"), 0.50),
}


def write_capture(path: Path, records: int) -> int:
    """A capture of all servers; how many records it gives."""
    maps, files = load.maps(), load.fstream(records // SERVERS, mixed=False)
    number = struct.pack(">Q", load.SID)
    at = 0
    with path.open("w") as out:
        for data in (*maps, *files):
            for server in range(SERVERS):
                own = data.replace(number, struct.pack(">Q", load.SID + server))
                own = own.replace(b":%d@" % load.SID, b":%d@" % (load.SID + server))
                line = {
                    "t": load.STOD + 60 + at / 10_000,
                    "remote": f"192.0.2.{server + 1}:40000",
                    "data": base64.b64encode(own).decode(),
                }
                out.write(json.dumps(line) + "\n")
                at += 1
    return records // SERVERS * SERVERS


def run(directory: Path, more: tuple[str, ...]) -> tuple[float, float]:
    """Seconds, and processor seconds of all its processes. `directory` has the capture."""
    records = directory / "records.jsonl"
    for leftover in (records, directory / "state", directory / "state2"):
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    arguments = ["--from", "file:packets.jsonl", "--to", f"file:{records}", *more]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    before, begun = os.times(), time.monotonic()
    command = [sys.executable, "-m", "collector.cli", "--log-level", "warning", *arguments]
    subprocess.run(command, cwd=directory, env=environment, check=True)
    seconds, after = time.monotonic() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu


def lines(path: Path) -> int:
    """How many."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def main() -> int:
    """One line of JSON per figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    datagrams = load.fstream(60_000, mixed=False)
    written: list[bytes] = []
    load.core(datagrams, keep=written)
    bare = load.Bare(written)
    del written
    rates: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory(prefix="bench-files-") as place:
        directory = Path(place)
        records = write_capture(directory / "packets.jsonl", options.records)
        for _ in range(options.rounds):
            for name, (more, _) in CASES.items():
                begun = time.process_time()
                beside = bare.run(datagrams) / (time.process_time() - begun)
                seconds, cpu = run(directory, more)
                found = lines(directory / "records.jsonl")
                assert found == records, f"{name}: {found} of {records} records"
                rates[name].append((records / seconds, beside, records / cpu))
    for name, (_, limit) in CASES.items():
        rate, beside, by_cpu = (statistics.median(values) for values in zip(*rates[name], strict=True))
        ratio = statistics.median(one / other for one, other, _ in rates[name])
        for what, value, unit, against in (
            (name, round(rate), "records/s", f"bare loop in the same rounds: {beside:,.0f}"),
            (f"{name} / bare loop", round(ratio, 2), "", f"at least {limit}"),
            (f"{name}, by processor time", round(by_cpu), "records/s", ""),
        ):
            print(json.dumps({"name": f"collector: {what}", "value": value, "unit": unit, "limit_or_peer": against}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
