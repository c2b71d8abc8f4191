"""``tally-collector status``: shows the status of a collector, from its files alone, whether it runs or not. Changes
nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from collector.checkpoint import lock_file
from collector.config import default_state
from collector.inspection import InspectError, checkpoint
from collector.quarantine import quarantine_files
from shoveler.locks import holder_of


class Standing(msgspec.Struct, kw_only=True):
    """One checkpoint."""

    name: str
    running: bool
    id: str = ""
    servers: int = 0
    sessions: int = 0
    open_files: int = 0
    held: int = 0
    outbox_chunks: int = 0
    outbox_bytes: int = 0
    set_aside: dict[str, int] = {}
    """What is in the quarantine, by kind."""
    last_error: str = ""
    """Of the newest entry."""
    quarantine: str = ""
    """The file to look at."""
    problem: str = ""
    """One sentence when it cannot be read."""

    @property
    def well(self) -> bool:
        """Nothing needs attention."""
        return not (self.set_aside or self.problem)


def look(database: Path) -> Standing:
    """The status of a checkpoint's collector."""
    found = Standing(name=database.stem, running=_is_locked(database))
    for path in quarantine_files(database.parent, database.stem):
        for line in path.read_bytes().splitlines():
            try:
                entry: dict[str, Any] = json.loads(line)
                what, found.last_error = str(entry["what"]), f"{entry['error']} at {entry['place']}"
            except (ValueError, KeyError, TypeError):
                continue  # a line being written
            found.set_aside[what] = found.set_aside.get(what, 0) + 1
            found.quarantine = str(path)
    try:
        known = checkpoint(database)
    except InspectError as error:
        found.problem = str(error)
        return found
    counters = known["state"]["counters"]
    found.id = str(known["id"])
    found.servers, found.sessions = counters["state_servers"], counters["state_sessions"]
    found.open_files, found.held = counters["state_files"], counters["state_held"]
    found.outbox_chunks, found.outbox_bytes = known["outbox"]["chunks"], known["outbox"]["bytes"]
    return found


def _is_locked(database: Path) -> bool:
    try:
        return holder_of(lock_file(database)) is not None
    except OSError:
        return False


def as_text(found: Standing) -> str:
    """As text for the terminal."""
    lines = [f"{found.name}: {'running' if found.running else 'not running'}"]
    if found.problem:
        lines.append(f"  {found.problem}")
    else:
        lines.append(
            f"  remembers {found.servers} servers, {found.sessions} sessions, {found.open_files} open files; "
            f"{found.held} records waiting for something late"
        )
        lines.append(f"  outbox: {found.outbox_chunks} chunks, {found.outbox_bytes} bytes not yet cleared")
    if found.set_aside:
        kinds = ", ".join(f"{count} {what}" for what, count in sorted(found.set_aside.items()))
        lines.append(f"  set aside: {kinds}; the last for {found.last_error}")
        lines.append(
            f"  inspect it with `tally-collector inspect {found.quarantine}`, report it, and remove the file "
            f"after reading it again with a fixed version"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The options of ``tally-collector status``."""
    made = argparse.ArgumentParser(
        "tally-collector status",
        description="Shows the status of a collector, from its files alone, whether it runs or not. Changes nothing.",
    )
    made.add_argument("--state", metavar="DIR", help="directory of the checkpoints, as for the collector")
    made.add_argument("--json", action="store_true", help="one JSON object per checkpoint")
    return made


def main(argv: list[str], environ: Mapping[str, str] | None = None) -> int:
    """The exit code: 0 no problem, 1 something needs attention, 2 there is no checkpoint."""
    options = parser().parse_args(argv)
    env = os.environ if environ is None else environ
    given = options.state or env.get("TALLY_COLLECTOR_STATE_DIR")
    directory = Path(given) if given else default_state(env)
    databases = sorted(directory.glob("*.db")) if directory.is_dir() else []
    if not databases:
        print(f"{directory} has no checkpoint; give its directory with --state DIR", file=sys.stderr)
        return 2
    standings = [look(database) for database in databases]
    for standing in standings:
        print(msgspec.json.encode(standing).decode() if options.json else as_text(standing))
    return 0 if all(standing.well for standing in standings) else 1
