"""The checkpoint: everything a collector must remember across a kill, in one SQLite file per shard, under a lock.

One transaction per cycle holds all three: the changed state of the correlator, the records that the input
caused (the *outbox*), and the ids that were seen. So at any moment the file says either "this input was never taken" or
"it was taken, this is the state after it, and these records are still to be published". The rest of the guarantee is in
`collector.cycle`: publish, wait for the confirms, then clear the outbox and acknowledge the input.

A *chunk* is a row of the outbox: records of one stream and one routing key, in order. It is the content of one batch
message; with single framing it is split again.

Errors: the operator must resolve `CheckpointBusyError` and `CheckpointUnusableError` at start. `CheckpointFullError`
comes from the disk and may pass: nothing was written, and the same transaction can be tried again later.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from collector.seen import Run, SeenChanges, SeenSet
from shoveler.locks import FileLock

SCHEMA = 3
"""Version of the file's layout. A newer file is refused, an older one converted step by step (`_STEPS`)."""

_PAGE_SIZE = 16_384
"""Measured with 15 MB of outbox a cycle: 230 MB/s against 144 MB/s for 4 KiB pages; 32 KiB gains 10 % more there but
doubles what a small change of state costs."""
_WAL_PAGES = 2_048
"""Pages (32 MiB) in the log before SQLite copies them back: an outbox that was cleared meanwhile is never copied."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (spool TEXT, lo INTEGER, hi INTEGER NOT NULL, PRIMARY KEY (spool, lo)) WITHOUT ROWID;
CREATE TABLE spool (name TEXT PRIMARY KEY, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL, routing_key TEXT NOT NULL, ids TEXT NOT NULL, body BLOB NOT NULL
);
"""


_STEPS = {
    1: """
CREATE TABLE sums (spool TEXT, block INTEGER, sums BLOB NOT NULL, PRIMARY KEY (spool, block)) WITHOUT ROWID;
ALTER TABLE spool ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
""",
    2: """
CREATE TABLE sent (stream TEXT PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE outbox ADD COLUMN at INTEGER NOT NULL DEFAULT -1;
""",
}
"""Layout n → the statements that convert it to n + 1. A new file goes through all steps too."""


class CheckpointError(Exception):
    """Base of the family. The text is one sentence for an operator."""


class CheckpointBusyError(CheckpointError):
    """Another process holds the lock."""


class CheckpointUnusableError(CheckpointError):
    """The file cannot be used: damaged, newer than this program, not writable, or made for another number of shards."""


class CheckpointFullError(CheckpointError):
    """The disk could not store the transaction (full, or an I/O error). Nothing of it was written; try again later."""


class Chunk(NamedTuple):
    """A row of the outbox. `body` is newline-separated JSON, one line per id in `ids`."""

    number: int
    stream: str
    """Which output exchange it goes to, by its name in the configuration (``records``, ``cache``, …)."""
    routing_key: str
    ids: Sequence[str]
    body: bytes
    at: int = -1
    """How many records of its stream there were before it, ever: a consumer counts by it what was dropped on the way.
    -1: unknown (an outbox that an older version left)."""


class Transaction(NamedTuple):
    """All that one cycle changes. Immutable, so that exactly the same can be tried again."""

    puts: Sequence[tuple[bytes, bytes]] = ()
    deletes: Sequence[bytes] = ()
    seen: SeenChanges | None = None
    chunks: Sequence[Chunk] = ()
    cleared: int = 0
    """Outbox rows up to this number are published and confirmed."""
    position: str | None = None
    """The position of a file source, in its own format; None: unchanged."""
    mark: str | None = None
    """The state of a file that records are written to directly, in its own format; None: unchanged."""

    def __bool__(self) -> bool:
        return any(self[:5]) or self.position is not None or self.mark is not None


class Store(Protocol):
    """What a cycle needs of a checkpoint. Belongs to one thread."""

    id: str
    """Random, made with the file: the ID of this collector in status messages and message ids."""
    name: str
    """Its name in messages to users."""
    next_chunk: int
    """The number of the next outbox row; never reused."""
    sent: dict[str, int]
    """Records so far, by stream."""
    position: str | None
    mark: str | None
    directory: Path | None
    """Where its files are; None: it has none, and what is committed is lost when it is closed."""

    def state(self) -> Iterable[tuple[bytes, bytes]]: ...
    def outbox(self) -> list[Chunk]: ...
    def restore_seen(self, seen: SeenSet) -> None: ...
    def commit(self, transaction: Transaction) -> None:
        """Write all of it or nothing. Raises CheckpointFullError or CheckpointUnusableError."""

    def close(self) -> None: ...


class NoCheckpoint:
    """Keeps nothing after it is closed: for a replay of a file, which always starts from the beginning."""

    directory: Path | None = None

    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.name = "no state"
        self.next_chunk = 1
        self.sent: dict[str, int] = {}
        self.position: str | None = None
        self.mark: str | None = None
        self._rows: dict[bytes, bytes] = {}

    def state(self) -> Iterable[tuple[bytes, bytes]]:
        """What was committed."""
        return self._rows.items()

    def outbox(self) -> list[Chunk]:
        """Nothing."""
        return []

    def restore_seen(self, seen: SeenSet) -> None:
        """Nothing to restore."""

    def commit(self, transaction: Transaction) -> None:
        """Nothing is written to disk; it is kept in memory."""
        self._rows.update(transaction.puts)
        for key in transaction.deletes:
            self._rows.pop(key, None)
        if transaction.chunks:
            self.next_chunk = transaction.chunks[-1].number + 1
        self.sent |= sent_after(transaction.chunks)

    def close(self) -> None:
        """Nothing to close."""


def sent_after(chunks: Iterable[Chunk]) -> dict[str, int]:
    """Records so far by stream, after these chunks."""
    return {chunk.stream: chunk.at + len(chunk.ids) for chunk in chunks if chunk.at >= 0}


class Checkpoint:
    """A `Store` in a file. Open one with `open_checkpoint`."""

    def __init__(self, path: Path, lock: FileLock, *, synchronous: Literal["full", "normal"]) -> None:
        self.name = f"state {path}"
        self.directory: Path | None = path.parent
        self._path = path
        self._lock = lock
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            try:
                self._prepare(synchronous)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _prepare(self, synchronous: str) -> None:
        db = self._db
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise CheckpointUnusableError(
                f"state {self._path} was written by a newer tally-collector (layout {version}, this one knows "
                f"{SCHEMA}); upgrade, or move the file away to begin with an empty state"
            )
        db.execute(f"PRAGMA page_size={_PAGE_SIZE}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        # Debian builds SQLite with secure_delete: deleted rows are overwritten with zeros, which are also written. An
        # outbox is written and deleted all day: 3.5 ms of CPU for each of its megabytes with it, 1.4 ms without.
        db.execute("PRAGMA secure_delete=OFF")
        if version < SCHEMA:
            db.execute("BEGIN IMMEDIATE")
            if version == 0:
                self._execute(_TABLES)
                db.execute("INSERT INTO meta VALUES ('id', ?)", (secrets.token_hex(8),))
                db.execute("INSERT INTO meta VALUES ('created', ?)", (f"{time.time():.0f}",))
            for step in range(version or 1, SCHEMA):
                self._execute(_STEPS[step])
            db.execute(f"PRAGMA user_version={SCHEMA}")
            db.execute("COMMIT")
        meta = dict(db.execute("SELECT name, value FROM meta"))
        self.id: str = meta["id"]
        self.position: str | None = meta.get("position")
        self.mark: str | None = meta.get("mark")
        highest = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        self.next_chunk = highest[0] + 1 if highest else 1
        self.sent: dict[str, int] = dict(db.execute("SELECT stream, records FROM sent"))

    def _execute(self, statements: str) -> None:
        """Several statements within the transaction (which `executescript` would end)."""
        for statement in statements.split(";"):
            if statement.strip():
                self._db.execute(statement)

    def _unusable(self, error: sqlite3.Error) -> CheckpointUnusableError:
        return CheckpointUnusableError(
            f"state {self._path} cannot be used ({error}); check the directory and its owner, or move the file away "
            "to begin with an empty state"
        )

    def state(self) -> Iterable[tuple[bytes, bytes]]:
        """The rows for `Correlator.restore`. Raises CheckpointUnusableError, as all that read do."""
        return self._rows("SELECT key, value FROM state")

    def _rows(self, query: str) -> Iterator[Any]:
        try:
            yield from self._db.execute(query)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def outbox(self) -> list[Chunk]:
        """Records not yet known to be published, oldest first."""
        rows = self._rows("SELECT number, stream, routing_key, ids, body, at FROM outbox ORDER BY number")
        return [Chunk(number, stream, key, ids.split("\n"), body, at) for number, stream, key, ids, body, at in rows]

    def restore_seen(self, seen: SeenSet) -> None:
        """Fill an empty seen-set."""
        runs = self._rows("SELECT spool, lo, hi FROM seen ORDER BY spool, lo")
        used = self._rows("SELECT name, used FROM spool")
        floors = self._rows("SELECT name, floor FROM spool WHERE floor > 0")
        sums = self._rows("SELECT spool, block, sums FROM sums")
        seen.restore((Run(*row) for row in runs), used, floors, sums)

    def commit(self, transaction: Transaction) -> None:
        """Write all of it or nothing. Raises CheckpointFullError (try the same again) or CheckpointUnusableError."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._write(transaction)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if _is_for_now(error):
                raise CheckpointFullError(f"state {self._path} cannot be written for now: {error}") from error
            raise self._unusable(error) from error
        if transaction.chunks:
            self.next_chunk = transaction.chunks[-1].number + 1
        self.sent |= sent_after(transaction.chunks)

    def _write(self, transaction: Transaction) -> None:
        db = self._db
        if transaction.cleared:
            db.execute("DELETE FROM outbox WHERE number <= ?", (transaction.cleared,))
        if transaction.deletes:
            db.executemany("DELETE FROM state WHERE key = ?", [(key,) for key in transaction.deletes])
        if transaction.puts:
            db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", transaction.puts)
        if transaction.seen:
            self._write_seen(transaction.seen)
        if transaction.chunks:
            db.executemany(
                "INSERT INTO outbox (number, stream, routing_key, ids, body, at) VALUES (?, ?, ?, ?, ?, ?)",
                [(c.number, c.stream, c.routing_key, "\n".join(c.ids), c.body, c.at) for c in transaction.chunks],
            )
            db.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?)", sent_after(transaction.chunks).items())
        if transaction.position is not None:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('position', ?)", (transaction.position,))
        if transaction.mark is not None:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('mark', ?)", (transaction.mark,))

    def _write_seen(self, seen: SeenChanges) -> None:
        db = self._db
        for name in seen.forgotten:
            db.execute("DELETE FROM seen WHERE spool = ?", (name,))
            db.execute("DELETE FROM spool WHERE name = ?", (name,))
            db.execute("DELETE FROM sums WHERE spool = ?", (name,))
        db.executemany("DELETE FROM seen WHERE spool = ? AND lo = ?", seen.deletes)
        db.executemany("DELETE FROM seen WHERE spool = ? AND lo < ?", seen.below)
        db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", seen.puts)
        used = "INSERT INTO spool (name, used) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET used = excluded.used"
        db.executemany(used, seen.used)
        db.executemany("UPDATE spool SET floor = ? WHERE name = ?", [(floor, name) for name, floor in seen.below])
        db.executemany("DELETE FROM sums WHERE spool = ? AND block = ?", seen.sums_gone)
        db.executemany("INSERT OR REPLACE INTO sums VALUES (?, ?, ?)", seen.sums)

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()
        self._lock.release()


def _is_for_now(error: sqlite3.Error) -> bool:
    """Worth retrying: full disk, I/O error, or another program's long read of the file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM}


def shard_name(shard: int, shards: int) -> str:
    """The name of a shard's file, without suffix."""
    return f"shard-{shard}-of-{shards}"


def lock_file(database: Path) -> Path:
    """The file that is locked while a collector uses this checkpoint."""
    return database.with_name(database.name + ".lock")


def open_checkpoint(directory: Path, name: str, *, synchronous: Literal["full", "normal"] = "full") -> Checkpoint:
    """Open or make ``DIRECTORY/NAME.db`` under its lock. Raises CheckpointBusyError or CheckpointUnusableError."""
    path = directory / f"{name}.db"
    lock = FileLock(lock_file(path))
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lock.acquire():
            raise CheckpointBusyError(
                f"state {path} is in use by {lock.holder()}; stop that collector, "
                "give this one its own --state, or start it with --standby to take over when the other ends"
            )
    except OSError as error:
        raise CheckpointUnusableError(
            f"state directory {directory} cannot be used ({error.strerror}); create it, owned by the user that runs "
            "tally-collector, or choose another with --state"
        ) from error
    try:
        # SQLite would make it readable by everybody; its other files get the mode of this one
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        lock.release()
        raise CheckpointUnusableError(
            f"state {path} cannot be used ({error.strerror}); check the directory and its owner, or move the file away "
            "to begin with an empty state"
        ) from error
    try:
        return Checkpoint(path, lock, synchronous=synchronous)
    except BaseException:
        lock.release()
        raise


def check_shards(directory: Path, shards: int) -> None:
    """Refuse a directory whose files were made for another number of shards: servers would change files while in
    use."""
    for path in sorted(directory.glob("shard-*-of-*.db")):
        made_for = path.stem.rpartition("-")[2]
        if made_for != str(shards):
            raise CheckpointUnusableError(
                f"state directory {directory} was made for {made_for} shards, not {shards} ({path.name}); the "
                "number of shards is fixed, see docs/collector.md for how to change it"
            )
