"""The file of a spool: its tables, how older formats become this one, and how rows are read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shoveler.intervals import Row
from shoveler.spool.accounts import Seen, sender_of
from shoveler.spool.errors import SpoolError
from shoveler.spool.values import Generation

APPLICATION_ID = 0x54415350  # "TASP"
SCHEMA = 2
PAGE = 8192  # 4096 costs 40 % more at full speed; 65536 gains 10 % but writes 8 times as much at a low rate

TABLES = f"""
CREATE TABLE spool (
    id TEXT NOT NULL, created REAL NOT NULL,
    received INTEGER NOT NULL, bytes INTEGER NOT NULL, confirmed INTEGER NOT NULL, returned INTEGER NOT NULL,
    rejected INTEGER NOT NULL, oversize INTEGER NOT NULL, kernel_drops INTEGER NOT NULL, size INTEGER NOT NULL
) STRICT;
CREATE TABLE blocks (
    last INTEGER PRIMARY KEY AUTOINCREMENT, count INTEGER NOT NULL, arrived REAL NOT NULL, size INTEGER NOT NULL,
    senders BLOB NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE senders (
    remote TEXT PRIMARY KEY, received INTEGER NOT NULL, bytes INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    returned INTEGER NOT NULL, oversize INTEGER NOT NULL, kernel_drops INTEGER NOT NULL,
    by_code TEXT NOT NULL, rejected TEXT NOT NULL, seen REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sockets (name TEXT PRIMARY KEY, drops INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE input (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""
STEPS = {
    # Before, all ids contained the id of the spool, and what was already sent must keep its id when it is sent again.
    1: """
CREATE TABLE generations (first INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
INSERT INTO generations SELECT 1, id FROM spool WHERE received > 0;
CREATE TABLE intervals (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL,
    t_from REAL NOT NULL, t_to REAL NOT NULL, count INTEGER NOT NULL
) STRICT;
ALTER TABLE spool ADD COLUMN looked REAL NOT NULL DEFAULT 0;
ALTER TABLE spool ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spool ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
UPDATE spool SET last = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'blocks'), 0),
    epoch = (random() & 0x3fffffffffffffff) | 1;
ALTER TABLE senders DROP COLUMN kernel_drops;
PRAGMA user_version = 2;
""",
}
"""Format n → the step to n + 1. A new file goes through all steps, too."""


def check_format(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a spool, 0 when the file is empty. Raises SpoolError when it is something else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return 0
    if application != APPLICATION_ID:
        raise SpoolError(f"{path} is not a spool but another program's database")
    if version > SCHEMA:
        raise SpoolError(f"the spool {path} was written by a newer tally-shoveler (format {version}): update this one")
    return int(version)


def read_generations(db: sqlite3.Connection) -> list[Generation]:
    """Oldest first."""
    return [Generation(word, first) for word, first in db.execute("SELECT word, first FROM generations ORDER BY first")]


def read_intervals(db: sqlite3.Connection, kind: str) -> list[Row]:
    """Of one kind, oldest first."""
    rows = db.execute("SELECT * FROM intervals WHERE kind = ? ORDER BY number", (kind,))
    return [Row(*row) for row in rows]


def read_senders(db: sqlite3.Connection) -> dict[str, Seen]:
    """By sender."""
    rows = db.execute(
        "SELECT remote, received, bytes, confirmed, returned, oversize, by_code, rejected, seen FROM senders"
    )
    return {row[0]: sender_of(row) for row in rows}


def database(directory: Path) -> Path:
    """The file in a spool directory."""
    return directory / "spool.db"
