"""How long a lab takes to come up and to go down, as a person sees it: from the command to its end.

Each figure is the median of three, with 200 files, as `tally-agent lab up` does it by default.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAB = [sys.executable, "-m", "agent.cli", "lab"]
ROUNDS = 3
LIMITS = {4: {"up": None, "down": 10}, 50: {"up": 30, "down": 10}}


def seconds(*words: str) -> float:
    began = time.monotonic()
    subprocess.run([*LAB, *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def measure(servers: int, bus: str) -> None:
    times: dict[str, list[float]] = {"up": [], "down": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="tally-bench-") as place:
            where = ["--dir", str(Path(place) / "lab")]
            local = ["--bus", str(Path(place) / "bus")] if bus == "local" else []
            times["up"].append(seconds("up", *where, "--servers", str(servers), *local))
            times["down"].append(seconds("down", *where))
    for way, measured in times.items():
        figure = {
            "name": f"lab {way}, {servers} servers, {bus} bus",
            "value": round(statistics.median(measured), 2),
            "unit": "s",
            "limit_or_peer": LIMITS[servers][way],  # type: ignore[index]
        }
        print(json.dumps(figure), flush=True)


def main() -> int:
    if shutil.which("xrootd") is None:
        print("the lab needs the Debian package xrootd-server", file=sys.stderr)
        return 1
    for servers in LIMITS:
        for bus in ("local", "private"):
            measure(servers, bus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
