"""`make bench`: runs every benchmark of this folder and writes one table of figures.

A benchmark is a script ``bench_*.py`` that prints one JSON object per figure: ``name``, ``value``, ``unit``, and
``limit_or_peer`` (what it was measured against in the same run). The table goes to standard output and, with the
command and the commit, to ``docs/measurements/bench-DATE.json``.

    python tests/bench/run.py [--only WORD] [--no-write]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def figures(script: Path) -> tuple[list[dict[str, object]], int]:
    """The figures that a script printed, and its exit code; its other output goes to standard error as it comes."""
    process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: list[dict[str, object]] = []
    assert process.stdout is not None
    for line in process.stdout:
        try:
            figure = json.loads(line)
        except json.JSONDecodeError:
            figure = None
        if not isinstance(figure, dict) or "name" not in figure:
            print(line, end="", file=sys.stderr)
            continue
        figure["script"] = script.name
        found.append(figure)
        print(
            f"{figure['name']!s:<56} {figure['value']!s:>14} {figure.get('unit', '')!s:<12} "
            f"{figure.get('limit_or_peer', '')}",
            flush=True,
        )
    return found, process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the benchmarks and write one table of figures.")
    parser.add_argument("--only", metavar="WORD", help="only scripts whose name contains this word")
    parser.add_argument("--no-write", action="store_true", help="print only; leave docs/measurements alone")
    options = parser.parse_args()
    scripts = [s for s in sorted(HERE.glob("bench_*.py")) if not options.only or options.only in s.name]
    if not scripts:
        print(
            f"no benchmark has {options.only!r} in its name; there are: "
            + ", ".join(s.name for s in sorted(HERE.glob("bench_*.py"))),
            file=sys.stderr,
        )
        return 2
    everything: list[dict[str, object]] = []
    failed = []
    for script in scripts:
        print(f"== {script.name}", flush=True)
        found, code = figures(script)
        everything += found
        if code or not found:
            failed.append(f"{script.name} (exit code {code}, {len(found)} figures)")
    if not options.no_write:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()
        now = datetime.datetime.now(datetime.UTC)
        target = ROOT / "docs" / "measurements" / f"bench-{now:%Y%m%d-%H%M%S}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "command": "make bench" + (f" (only {options.only})" if options.only else ""),
            "commit": commit,
            "date": now.isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "figures": everything,
        }
        target.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written to {target.relative_to(ROOT)}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
