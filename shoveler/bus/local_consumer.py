"""Consuming from the local bus: all message files of an exchange merged, each in its own order, behind one cursor."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import deque
from functools import lru_cache
from pathlib import Path

from shoveler.bus.address import BusAddress
from shoveler.bus.local_files import (
    BusLock,
    being_read,
    connect,
    cursor_file,
    exchange_directory,
    inode,
    sentences,
)
from shoveler.bus.messages import BusInUseError, BusMissingError, BusUnavailableError, HeaderValue, Incoming
from shoveler.bus.options import BusOptions
from shoveler.bus.topic import matches

_ENOUGH = 4 << 20  # bytes in hand at which `take` returns
_LOOK_FOR_FILES = 0.25  # seconds between looks for new writers
_TOUCH = 30.0  # seconds between signs that the queue has a reader
_PAUSES = (0.001, 0.02)  # seconds between polls: the first, and the longest after doubling


class LocalConsumer:
    """A `Consumer` that owns ``QUEUE.cursor``. A second one is refused, or (not `exclusive`) waits for its turn."""

    def __init__(
        self,
        address: BusAddress,
        *,
        exchange: str,
        queue: str,
        exclusive: bool,
        options: BusOptions,
        lock: BusLock | None = None,
    ) -> None:
        """`lock`: the queue's lock, if the caller has already acquired it."""
        assert address.directory is not None
        self._queue = queue
        self._directory = exchange_directory(address.directory, exchange)
        self._path = cursor_file(self._directory, queue)
        self._prefetch = options.prefetch
        self._delivered = 0
        self._taken: deque[tuple[int, _MessageFile, int]] = deque()  # delivery, file, row; not acknowledged yet
        self._files: dict[str, _MessageFile] = {}
        self._turn = 0
        self._looked_at = 0.0
        self._touched_at = 0.0
        self._db: sqlite3.Connection | None = None
        self._bindings: tuple[str, ...] = ()
        self._inode = inode(self._path)
        if self._inode is None:
            raise BusMissingError(
                f"the local bus has no queue {queue!r} in {self._directory}; declare it, or check the name"
            )
        self._lock = lock or BusLock(self._path.with_suffix(".cursor.lock"))
        if exclusive and not self._lock.acquire():
            raise BusInUseError(
                f"the queue {queue!r} is already consumed by another program ({self._lock.holder()}); stop that one, "
                "or give this one a queue of its own"
            )

    def take(self, limit: int, timeout: float) -> list[Incoming]:
        deadline = time.monotonic() + timeout
        pause, longest = _PAUSES
        while True:
            self._check()
            if self._lock.acquire():
                self._touch()
                messages = self._read(min(limit, self._prefetch - len(self._taken)))
                if messages:
                    return messages
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(pause, left))
            pause = min(pause * 2, longest)

    def acknowledge(self, delivery: int) -> None:
        if delivery > self._delivered:
            raise ValueError(f"delivery {delivery} was not taken yet; the last one taken is {self._delivered}")
        self._check()
        passed: dict[_MessageFile, int] = {}
        while self._taken and self._taken[0][0] <= delivery:
            _, file, seq = self._taken.popleft()
            passed[file] = seq
        self._store(passed)

    def keep_alive(self) -> None:
        self._check()

    def token_changed(self) -> bool:
        return False

    def _touch(self) -> None:
        now = time.monotonic()
        if now - self._touched_at >= _TOUCH:
            self._touched_at = now
            being_read(self._path)

    def close(self) -> None:
        if self._touched_at:
            being_read(self._path)
        try:
            for file in self._files.values():
                file.db.close()
            if self._db is not None:
                self._db.close()
        except sqlite3.Error:
            pass  # positions are stored with each acknowledgement, and close never raises
        self._lock.release()

    # -- how ---------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if inode(self._path) != self._inode:
            raise BusUnavailableError(f"the queue {self._queue!r} was deleted while it was read")

    def _cursor(self) -> sqlite3.Connection:
        """Opened once we have the lock, because until then another consumer moves it."""
        if self._db is None:
            self._db = connect(self._path, synchronous="NORMAL")
            with sentences(self._path):
                self._bindings = tuple(row[0] for row in self._db.execute("SELECT pattern FROM binding"))
        return self._db

    def _read(self, limit: int) -> list[Incoming]:
        cursor = self._cursor()
        now = time.monotonic()
        if not self._files or now - self._looked_at >= _LOOK_FOR_FILES:
            self._looked_at = now
            self._look_for_files(cursor)
        messages: list[Incoming] = []
        size = 0
        files = list(self._files.values())
        self._turn += 1  # start with another file each time, so that a busy writer does not starve the others
        for index in range(len(files)):
            file = files[(self._turn + index) % len(files)]
            if len(messages) >= limit or size >= _ENOUGH:
                break
            size += self._read_file(file, limit - len(messages), _ENOUGH - size, messages)
        return messages

    def _read_file(self, file: _MessageFile, limit: int, enough: int, messages: list[Incoming]) -> int:
        rows = file.read(limit, enough)
        size = 0
        skipped = False
        for seq, identifier, routing_key, content_type, headers, body in rows:
            if any(matches(binding, routing_key) for binding in self._bindings):
                self._delivered += 1
                self._taken.append((self._delivered, file, seq))
                messages.append(
                    Incoming(body, self._delivered, identifier, routing_key, _headers(headers), content_type)
                )
                size += len(body)
            else:
                skipped = True
        if skipped and not any(taken[1] is file for taken in self._taken):
            self._store({file: rows[-1][0]})  # otherwise rows that are not for us would be kept for ever
        return size

    def _store(self, passed: dict[_MessageFile, int]) -> None:
        if not passed:
            return
        cursor = self._cursor()
        with sentences(self._path):
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(
                "INSERT INTO position VALUES (?, ?, ?) "
                "ON CONFLICT (file) DO UPDATE SET identity = excluded.identity, seq = excluded.seq",
                [(file.path.name, file.identity, seq) for file, seq in passed.items()],
            )
            cursor.execute("COMMIT")

    def _look_for_files(self, cursor: sqlite3.Connection) -> None:
        with sentences(self._directory):
            found = {path.name: path for path in sorted(self._directory.glob("*.db"))}
        for name, file in list(self._files.items()):
            if name not in found or inode(file.path) != file.inode:
                file.db.close()
                del self._files[name]
        for name, path in found.items():
            if name not in self._files:
                self._files[name] = _MessageFile(path, cursor)


class _MessageFile:
    """One writer's messages, read from the cursor's position on."""

    def __init__(self, path: Path, cursor: sqlite3.Connection) -> None:
        self.path = path
        self.inode = inode(path)
        self.db = connect(path, synchronous="NORMAL")
        with sentences(path):
            self.db.execute("PRAGMA query_only = ON")
            self.identity = str(self.db.execute("SELECT id FROM identity").fetchone()[0])
            row = cursor.execute(
                "SELECT seq FROM position WHERE file = ? AND identity = ?", (path.name, self.identity)
            ).fetchone()
        self._seq = int(row[0]) if row else 0
        self._empty_at: int | None = None

    def read(self, limit: int, enough: int) -> list[tuple[int, str, str, str, str, bytes]]:
        """Up to `limit` (1 or more) rows; stops at `enough` bytes. Takes microseconds when there are none."""
        with sentences(self.path):
            version = self.db.execute("PRAGMA data_version").fetchone()[0]  # changes with each commit of the writer
            if version == self._empty_at:
                return []
            self._empty_at = None
            rows = []
            size = 0
            statement = self.db.execute(
                "SELECT seq, id, routing_key, content_type, headers, body FROM message "
                "WHERE seq > ? ORDER BY seq LIMIT ?",
                (self._seq, limit),
            )
            for row in statement:
                rows.append(row)
                size += len(row[5])
                if size >= enough:
                    break
            statement.close()  # ends the read transaction, which would keep the writer's log from being reused
        if rows:
            self._seq = rows[-1][0]
        else:
            self._empty_at = version
        return rows


@lru_cache(maxsize=4096)
def _headers_of(text: str) -> tuple[tuple[str, HeaderValue], ...]:
    return tuple(json.loads(text).items())


def _headers(text: str) -> dict[str, HeaderValue]:
    """A dict of its own for each message: the parsed form is shared."""
    return dict(_headers_of(text))
