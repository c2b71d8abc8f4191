"""`make soak`: runs the long campaigns of this folder, one after another; resumable.

A campaign is a script ``campaign_*.py`` or ``fuzz_*.py`` whose last line of output is one JSON object with its result,
and whose exit code says whether it passed. Each result is written to ``docs/measurements/soak-NAME.json`` with the
command and the commit as soon as it is there, so an interrupted `make soak` goes on with those that have not passed.

    python tests/soak/run.py [--only WORD] [--again] [--minutes M]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "docs" / "measurements"


def commit() -> str:
    """The commit that is measured; marked when the tree has changes."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def passed_before(target: Path, version: str) -> bool:
    """Whether this campaign has passed on this very commit."""
    try:
        result = json.loads(target.read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return result.get("commit") == version and result.get("passed") is True and not version.endswith("-dirty")


def run(script: Path, minutes: float | None) -> tuple[dict[str, Any], int]:
    """Run one campaign; its output is shown as it comes, its last JSON line is the result."""
    command = [sys.executable, str(script)]
    environment = os.environ | ({"TALLY_SOAK_MINUTES": str(minutes)} if minutes else {})
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(found, dict):
            result = found
    return result, process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the long campaigns.")
    parser.add_argument("--only", metavar="WORD", help="only campaigns whose name contains this word")
    parser.add_argument("--again", action="store_true", help="include campaigns that have passed on this commit")
    parser.add_argument("--minutes", type=float, help="length of each timed campaign (default: its own)")
    options = parser.parse_args()
    scripts = sorted([*HERE.glob("campaign_*.py"), *HERE.glob("fuzz_*.py")])
    chosen = [script for script in scripts if not options.only or options.only in script.stem]
    if not chosen:
        print(
            f"no campaign has {options.only!r} in its name; there are: " + ", ".join(s.stem for s in scripts),
            file=sys.stderr,
        )
        return 2
    version = commit()
    RESULTS.mkdir(parents=True, exist_ok=True)
    failed = []
    for script in chosen:
        target = RESULTS / f"soak-{script.stem}.json"
        if not options.again and passed_before(target, version):
            print(f"== {script.stem}: already passed on {version}")
            continue
        print(f"== {script.stem}", flush=True)
        began = time.time()
        result, code = run(script, options.minutes)
        report = {
            "campaign": script.stem,
            "command": f"python tests/soak/{script.name}"
            + (f" (TALLY_SOAK_MINUTES={options.minutes:g})" if options.minutes else ""),
            "commit": version,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(time.time() - began, 1),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "passed": code == 0 and bool(result),
            "exit_code": code,
            "result": result,
        }
        target.write_text(json.dumps(report, indent=1) + "\n")
        if not report["passed"]:
            failed.append(script.stem)
    for name in failed:
        print(f"failed: {name}; see docs/measurements/soak-{name}.json", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
