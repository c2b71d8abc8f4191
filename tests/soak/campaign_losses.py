"""Why a record is missing: every kind of loss on 50 servers of one address, and what `tally results` says of each miss.

The truth is the injector's own log (see tests/faults/losses). Each round is one kind of loss on a fresh lab; its row is
written to a state file, so a campaign that was interrupted goes on where it was (on the same commit). The last line is
the result as one JSON object. The exit code is 0 only when every answer that is called certain is right, at least 98 %
of all are, and each round has lost what it was to lose.

    python tests/soak/campaign_losses.py [--only WORD] [--list] [--afresh] [--servers M] [--state FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
from losses.play import play
from losses.rig import RigError
from losses.rounds import rounds
from losses.truth import COLUMNS
from progress import Progress, commit

LEAST_RIGHT = 0.98
_SERVERS = 50


def summary(results: dict[str, dict[str, Any]], servers: int, minutes: float) -> dict[str, Any]:
    """The result: the sums of the table, then each row."""
    sums = {column: sum(result[column] for result in results.values()) for column in ("misses", *COLUMNS)}
    right = sums["certain right"] + sums["probably right"]
    return {
        "servers": servers,
        "minutes": round(minutes, 1),
        **sums,
        "right": right / sums["misses"] if sums["misses"] else 0.0,
        "faults": [f"{name}: {fault}" for name, result in results.items() for fault in result["faults"]],
        "rounds": results,
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table for people."""
    head = ("kind of loss", "requests", "misses", *COLUMNS, "datagram right", "datagram wrong")
    lines = [[name, *(str(result[column]) for column in head[1:])] for name, result in results.items()]
    widths = [max(len(row[place]) for row in (list(head), *lines)) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not place else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in (list(head), *lines)
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="The campaign of losses with known causes.")
    parser.add_argument("--only", metavar="WORD", help="only rounds whose name contains this word")
    parser.add_argument("--list", action="store_true", help="list the rounds and exit")
    parser.add_argument("--afresh", action="store_true", help="start over instead of resuming an interrupted campaign")
    parser.add_argument("--servers", type=int, default=_SERVERS, metavar="M", help=f"XRootD servers ({_SERVERS})")
    default = Path(tempfile.gettempdir()) / f"tally-soak-{os.getuid()}" / "campaign_losses.json"
    parser.add_argument("--state", type=Path, default=default, help=f"file for the progress [{default}]")
    options = parser.parse_args()
    planned = [one for one in rounds() if not options.only or options.only in one.name]
    if options.list:
        print("\n".join(one.name for one in planned))
        return 0
    if not planned:
        print(f"no round has {options.only!r} in its name; --list names them", file=sys.stderr)
        return 2
    progress = Progress(options.state, {"commit": commit(), "servers": options.servers}, afresh=options.afresh)
    results: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    for one in planned:
        try:
            results[one.name] = progress.done.get(one.name) or play(one, options.servers)
        except RigError as error:
            print(f"{one.name}: {error}", file=sys.stderr)
            return 1
        progress.note(one.name, results[one.name])
        counts = {column: results[one.name][column] for column in ("requests", "misses", *COLUMNS)}
        print(f"{one.name}: {', '.join(f'{name} {count}' for name, count in counts.items())}", flush=True)
        for fault in results[one.name]["faults"]:
            print(f"  ! {fault}", flush=True)
    print(table(results))
    result = summary(results, options.servers, (time.monotonic() - began) / 60)
    progress.forget()
    print(json.dumps(result))
    return 0 if not result["faults"] and result["right"] >= LEAST_RIGHT else 1


if __name__ == "__main__":
    sys.exit(main())
