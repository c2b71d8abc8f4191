"""Whether the intervals are right: pairs of runs with the same true loss, and runs that got worse.

For each way of losing datagrams (see `datagrams.py`), size of a test and true loss, so many pairs of runs are drawn.
*False alarms*: pairs that a comparison calls different, which they are not. *Covered*: single runs whose 95 % interval
holds the true loss. *Found*: pairs called worse, where the true loss rose from 0.1 % to 1 %. The last line is the
result as one JSON object; the exit code is 0 only when no cell has more than 6 % false alarms or less than 93 %
covered. Two minutes with the usual 1,000 pairs.

    python tests/soak/campaign_intervals.py [--pairs N] [--seed S] [--only WORD]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from datagrams import BEYOND, LOSSES, Size, possible, runs

from gui.reconcile.interval import difference, interval

SIZES = (Size(2, 100, 3), Size(8, 100, 1), Size(8, 100, 3), Size(50, 20, 3), Size(32, 100, 3), Size(50, 100, 3))
RATES = (0.001, 0.003, 0.01, 0.05)
WORSE = (
    Size(8, 100, 3),
    Size(16, 100, 3),
    Size(32, 100, 3),
    Size(50, 100, 3),
    Size(50, 200, 3, 50),
    Size(50, 400, 3, 80),
)
FROM, TO = 0.001, 0.01
MOST_ALARMS, LEAST_COVERED = 6.0, 93.0


def calibrate(loss: str, size: Size, rate: float, pairs: int, seed: int) -> tuple[float, float]:
    """Per cent of false alarms, and per cent of single runs whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    alarms = covered = 0
    for a, b in zip(runs(rng, loss, size, rate, pairs), runs(rng, loss, size, rate, pairs), strict=True):
        alarms += difference(a, b).real
        for share in (a, b):
            bounds = interval(share)
            assert bounds is not None
            covered += bounds[0] <= 100 * (1 - rate) <= bounds[1]
    return 100 * alarms / pairs, 50 * covered / pairs


def found(loss: str, size: Size, pairs: int, seed: int) -> float:
    """Per cent of pairs that are called worse when the loss rose tenfold."""
    before, after = (np.random.default_rng([seed, number]) for number in (1, 2))
    both = zip(runs(before, loss, size, FROM, pairs), runs(after, loss, size, TO, pairs), strict=True)
    return 100 * sum(difference(a, b).high < 0 for a, b in both) / pairs


def main() -> int:
    parser = argparse.ArgumentParser(description="How often the intervals are right.")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="WORD", help="only kinds of loss whose name contains this word")
    options = parser.parse_args()
    cells: list[dict[str, Any]] = []
    bad: list[str] = []
    for loss in (name for name in LOSSES if options.only in name):
        for size in SIZES:
            line = f"{loss:38} {size!s:18}"
            for rate in RATES:
                if not possible(loss, size, rate):
                    line += f"{'–':>16}"
                    continue
                alarms, covered = calibrate(loss, size, rate, options.pairs, options.seed)
                line += f"{alarms:8.1f} {covered:6.1f} "
                cells.append({"loss": loss, "size": str(size), "rate": rate, "alarms": alarms, "covered": covered})
                if alarms > MOST_ALARMS or (covered < LEAST_COVERED and loss not in BEYOND):
                    bad.append(f"{loss}, {size}, {rate:.1%}: {alarms:.1f} % false alarms, {covered:.1f} % covered")
            print(line, flush=True)
    power: list[dict[str, Any]] = []
    for loss in (name for name in ("each datagram by itself", "bursts of one server") if options.only in name):
        shares = [found(loss, size, options.pairs, options.seed) for size in WORSE]
        power += [{"loss": loss, "size": str(size), "found": share} for size, share in zip(WORSE, shares, strict=True)]
        told = ", ".join(f"{size} {share:.0f} %" for size, share in zip(WORSE, shares, strict=True))
        print(f"{loss}, {FROM:.1%} → {TO:.1%}: {told}", flush=True)
    for line in bad:
        print(f"  ! {line}", flush=True)
    print(json.dumps({"pairs": options.pairs, "seed": options.seed, "bad": bad, "cells": cells, "power": power}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
