"""The files of the local bus, one directory per exchange, and who may use them.

- ``WRITER.db``: messages, written by one publisher (lock ``WRITER.lock``), read by every consumer.
- ``QUEUE.cursor``: bindings, and how far each message file is acknowledged; written by one consumer (lock
  ``QUEUE.cursor.lock``), read by publishers, which delete what every cursor has passed.

Both are SQLite files in WAL mode, so nobody ever waits for a reader and a kill -9 loses nothing that was committed.
They are complete when they appear: they are created under another name, then linked. A message file has a random
identity, because its row numbers start again when somebody deletes it, and a cursor must not skip rows of the new one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from shoveler.bus.messages import BusRefusedError, BusUnavailableError
from shoveler.locks import FileLock

_FORMAT = 1  # SQLite's user_version of both kinds of file
_BUSY_TIMEOUT = 5.0  # seconds; nobody holds a lock for more than a commit

_SCHEMAS = {
    "db": """
        CREATE TABLE identity (id TEXT NOT NULL) STRICT;
        CREATE TABLE message (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL, routing_key TEXT NOT NULL, content_type TEXT NOT NULL, headers TEXT NOT NULL,
            body BLOB NOT NULL  -- last, so that counting by routing key does not read it
        ) STRICT;
    """,
    "cursor": """
        CREATE TABLE binding (pattern TEXT PRIMARY KEY) STRICT;
        CREATE TABLE position (file TEXT PRIMARY KEY, identity TEXT NOT NULL, seq INTEGER NOT NULL) STRICT;
    """,
}
Kind = Literal["db", "cursor"]
ALIVE = "@alive"
"""Suffix of the name of a queue that exists only while its reader holds its lock (``local_subscription``)."""


def exchange_directory(root: Path, exchange: str) -> Path:
    """The directory of an exchange: the two exchanges of the data flow have names that people recognise."""
    if exchange.endswith("shoveled-xrd"):
        return root / "packets"
    if exchange.endswith("xrd-records"):
        return root / "records"
    return root / _file_name(exchange)


def message_file(directory: Path, writer: str) -> Path:
    return directory / f"{_file_name(writer)}.db"


def cursor_file(directory: Path, queue: str) -> Path:
    return directory / f"{_file_name(queue)}.cursor"


def queue_of(cursor: Path) -> str:
    return unquote(cursor.stem)


def create(path: Path, kind: Kind) -> None:
    """Create the file if there is none. If two programs do so at the same moment, one of the two files stays."""
    if path.exists():
        return
    new = path.with_name(f".new-{secrets.token_hex(8)}")
    with sentences(path):
        try:
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN; {_SCHEMAS[kind]} PRAGMA user_version = {_FORMAT}; COMMIT;")
                if kind == "db":
                    connection.execute("INSERT INTO identity VALUES (?)", (secrets.token_hex(8),))
            os.link(new, path)  # unlike a rename, this never replaces
        except FileExistsError:
            pass  # another program was faster, and its file is as good
        finally:
            new.unlink(missing_ok=True)


def connect(path: Path, *, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Open an existing file. Raises BusRefusedError when it is not a file of the bus, else BusUnavailableError."""
    with sentences(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_TIMEOUT,
            check_same_thread=False,  # it belongs to one thread, but not always to the one that opened it
        )
        try:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _FORMAT:
                raise BusRefusedError(
                    f"{path} has format {version}, and this version of Tally reads only format {_FORMAT}"
                )
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turns what SQLite and the system say about a file into a sentence of the bus."""
    try:
        yield
    except sqlite3.OperationalError as error:  # locked, full, cannot open: temporary
        raise BusUnavailableError(f"the local bus cannot use {path}: {error}") from None
    except sqlite3.Error as error:
        raise BusRefusedError(f"{path} is not a file of the local bus, or is damaged: {error}; move it away") from None
    except PermissionError as error:
        raise BusRefusedError(f"the local bus has no permission to use {path}: {error.strerror}") from None
    except OSError as error:
        raise BusUnavailableError(f"the local bus cannot use {path}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a queue: seconds without a reader after which it is removed (None: never), and whether it is *lossy*: it never
    keeps the bus full, but loses its oldest messages then."""

    expires: float | None = None
    lossy: bool = False


def set_limits(cursor: sqlite3.Connection, limits: Limits) -> None:
    """Keep them in a cursor file. The table is not in those that older versions made, which have no limits."""
    cursor.execute("CREATE TABLE IF NOT EXISTS limits (expires REAL, lossy INTEGER NOT NULL) STRICT")
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute("DELETE FROM limits")
    cursor.execute("INSERT INTO limits VALUES (?, ?)", (limits.expires, limits.lossy))
    cursor.execute("COMMIT")


def limits_of(cursor: sqlite3.Connection) -> Limits:
    """What is kept there."""
    if not cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'limits'").fetchone():
        return Limits()
    row = cursor.execute("SELECT expires, lossy FROM limits").fetchone()
    return Limits(row[0], lossy=bool(row[1])) if row else Limits()


class BusLock(FileLock):
    """A lock whose errors are sentences of the bus."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode=0o644)

    def acquire(self, *, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> bool:
        with sentences(self.path):
            return super().acquire(wait=wait, sleep=sleep)


def remove_cursor(path: Path) -> None:
    """Remove a queue with all its files. Never raises: the next publisher tries again to remove what is left."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        try:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError:
            return


def forgotten(path: Path) -> bool:
    """Whether a killed reader left this cursor behind; if so, it is removed."""
    if not path.stem.endswith(ALIVE):
        return False
    lock = BusLock(path.with_suffix(".cursor.lock"))
    try:
        if not lock.acquire():
            return False
        remove_cursor(path)
    finally:
        lock.release()
    return True


def expired(path: Path, limits: Limits, now: float) -> bool:
    """Whether a queue has had no reader for longer than it may; if so, it is removed. `now`: Unix seconds."""
    if limits.expires is None or now - last_read(path) <= limits.expires:
        return False
    lock = BusLock(path.with_suffix(".cursor.lock"))
    try:
        if not lock.acquire():
            return False
        remove_cursor(path)
    finally:
        lock.release()
    return True


def last_read(path: Path) -> float:
    """When a queue had a reader last (Unix seconds), or was made."""
    with sentences(path):
        return path.stat().st_mtime


def being_read(path: Path) -> None:
    """A queue has a reader: called now and then, and at its end."""
    with suppress(OSError):
        os.utime(path)


def inode(path: Path) -> int | None:
    """Distinguishes a file from a later one of the same name; None when it is gone."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _file_name(name: str) -> str:
    """A valid file name, whatever characters the name of the queue, exchange or writer has."""
    if not name:
        raise BusRefusedError("the local bus needs names of at least one character")
    quoted = quote(name, safe=" +,:@=()[]{}")
    quoted = "%2E" + quoted[1:] if quoted.startswith(".") else quoted
    if len(quoted.encode()) > 200:
        raise BusRefusedError(f"the name {name[:40]!r}… is too long for a file of the local bus")
    return quoted
