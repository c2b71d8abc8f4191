"""The workspaces that were open before, as they are kept between two starts. No toolkit.

Imported before the first paint: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

log = logging.getLogger("tally.window")

MOST = 8


@dataclass(frozen=True, slots=True)
class Recent:
    """A workspace that was open before. `where` is its file or a database URL without password."""

    name: str
    where: str
    opened: float
    runs: int | None = None
    success: str = ""
    outcome: str = ""


def read_recent(stored: str) -> list[Recent]:
    """What `write_recent` has written; nothing if another version wrote it."""
    try:
        return [Recent(**entry) for entry in json.loads(stored)] if stored else []
    except (ValueError, TypeError):
        log.info("! the list of recent workspaces was written by another version; starting a new one")
        return []


def write_recent(entries: Sequence[Recent]) -> str:
    """The list as text."""
    return json.dumps([dataclasses.asdict(entry) for entry in entries])


def opened_now(entries: Sequence[Recent], name: str, where: str, now: float) -> list[Recent]:
    """The list after this workspace was opened: it comes first, with what is known of it."""
    before = next((entry for entry in entries if entry.where == where), Recent(name, where, now))
    others = [entry for entry in entries if entry.where != where]
    return [dataclasses.replace(before, opened=now), *others][:MOST]


def with_runs(entries: Sequence[Recent], where: str, runs: int, success: str, outcome: str) -> list[Recent]:
    """The list after the runs of this workspace were read: how many there are, and how the last one ended."""
    return [
        dataclasses.replace(entry, runs=runs, success=success, outcome=outcome) if entry.where == where else entry
        for entry in entries
    ]
