"""Publishing on the local bus: appended to the writer's own file; confirmed means committed to disk."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Literal

from shoveler.bus.address import BusAddress
from shoveler.bus.local_cursors import Cursors
from shoveler.bus.local_files import BusLock, connect, create, exchange_directory, inode, message_file, sentences
from shoveler.bus.messages import (
    BusError,
    BusInUseError,
    BusMissingError,
    BusUnavailableError,
    HeaderValue,
    Outcome,
    Outgoing,
)
from shoveler.bus.options import BusOptions

_log = logging.getLogger(__name__)

_COMMIT_BYTES = 4 << 20
_CHECK_EVERY = 256  # messages between looks at the size of the file
_TRIM_INTERVAL = 0.25  # seconds
_TRIM_ROWS = 20_000  # at once: limits the time that trimming takes from publishing
_KEPT_HEADERS = 4096
_Row = tuple[str, str, str, str, bytes]  # id, routing key, content type, headers, body


class LocalPublisher:
    """A `Publisher` that owns ``WRITER.db``. `outcomes` commits what was sent since the last commit, all at once."""

    def __init__(self, address: BusAddress, *, exchange: str, writer: str, options: BusOptions) -> None:
        assert address.directory is not None
        directory = exchange_directory(address.directory, exchange)
        self._exchange = exchange
        self._file = message_file(directory, writer)
        self._window = options.window
        self._max_bytes = options.max_bytes
        self._uncommitted: list[str] = []
        self._uncommitted_bytes = 0
        self._outcomes: list[Outcome] = []
        self._headers: dict[tuple[tuple[str, HeaderValue], ...], str] = {}
        self._trimmed_at = time.monotonic()
        self._failure: BusError | None = None
        self._looked = False
        with sentences(directory):
            directory.mkdir(parents=True, exist_ok=True)
        self._lock = BusLock(self._file.with_suffix(".lock"))
        if not self._lock.acquire():
            raise BusInUseError(
                f"{self._file} is already written by {self._lock.holder()}; stop that one, "
                "or give this one its own name"
            )
        try:
            create(self._file, "db")
            self._db = connect(self._file, synchronous="FULL")
        except BaseException:
            self._lock.release()
            raise
        self._inode = inode(self._file)
        identity = self._db.execute("SELECT id FROM identity").fetchone()[0]
        self._page_size = int(self._db.execute("PRAGMA page_size").fetchone()[0])
        self._cursors = Cursors(self._file, identity)
        try:
            self._go_on_behind_readers()
        except BaseException:
            self.close()
            raise

    @property
    def pending(self) -> int:
        return len(self._uncommitted) + len(self._outcomes)

    @property
    def room(self) -> int:
        return max(0, self._window - len(self._uncommitted))

    @property
    def blocked(self) -> str | None:
        return None

    def token_changed(self) -> bool:
        return False

    def send(self, messages: Sequence[Outgoing]) -> None:
        self._check()
        self._looked = False
        for start in range(0, len(messages), _CHECK_EVERY):
            part = messages[start : start + _CHECK_EVERY]
            full = self._full()
            if full is None:
                self._append(part)
            else:
                self._commit()  # so that outcomes keep the order of the messages
                self._outcomes += [Outcome(message.id, "refused", full) for message in part]
            if self._uncommitted_bytes >= _COMMIT_BYTES or len(self._uncommitted) >= self._window:
                self._commit()

    def outcomes(self, timeout: float) -> list[Outcome]:
        """As the contract says, but without waiting: what was sent is committed or refused right here."""
        if not self._outcomes or self._failure is None:
            self._check()
            self._commit()
            self._trim()
        if not self._outcomes and timeout > 0:
            time.sleep(timeout)  # nothing is pending, and a caller's loop relies on this call to pause it
        arrived, self._outcomes = self._outcomes, []
        return arrived

    def close(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")  # these have no outcome, so their owner sends them again
            self._db.close()
        except sqlite3.Error:
            pass  # the file is intact whatever happens here, and close never raises
        self._lock.release()

    # -- how ---------------------------------------------------------------------------------------------------------

    def _go_on_behind_readers(self) -> None:
        """Number new messages above what readers have read of this file: a file restored from a copy is behind them,
        and they would mistake new messages for ones that they have read."""
        foremost = self._cursors.foremost()
        with sentences(self._file):
            last = (
                self._db.execute("SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'message')").fetchone()[0] or 0
            )
            if foremost <= last:
                return
            _log.warning("= %s has gone back in time; continuing after what its readers have read", self._file)
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'message'")
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('message', ?)", (foremost,))
            self._db.execute("COMMIT")

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if inode(self._file) != self._inode:
            self._fail(
                BusMissingError(f"{self._file} was deleted or replaced; the exchange {self._exchange!r} is gone")
            )

    def _fail(self, failure: BusError) -> None:
        self._failure = failure
        raise failure

    def _append(self, messages: Sequence[Outgoing]) -> None:
        rows: list[_Row] = []
        for message in messages:
            if not self._wanted(message.routing_key):
                if rows:
                    self._insert(rows)
                    rows = []
                self._commit()
                reason = f"no queue is bound to {self._exchange!r} for this message"
                self._outcomes.append(Outcome(message.id, "returned", reason))
                continue
            rows.append(
                (
                    message.id,
                    message.routing_key,
                    message.content_type,
                    self._headers_text(message.headers),
                    message.body,
                )
            )
        if rows:
            self._insert(rows)

    def _wanted(self, routing_key: str) -> bool:
        """Whether a reader is bound to it; before a call of `send` answers no, it checks once for new readers."""
        if self._cursors.wanted(routing_key):
            return True
        if self._looked:
            return False
        self._looked = True
        self._cursors.refresh()
        return self._cursors.wanted(routing_key)

    def _insert(self, rows: list[_Row]) -> None:
        self._uncommitted += [row[0] for row in rows]
        self._uncommitted_bytes += sum(len(row[4]) for row in rows)
        try:
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO message (id, routing_key, content_type, headers, body) VALUES (?, ?, ?, ?, ?)", rows
            )
        except sqlite3.Error as error:
            self._refuse(error)

    def _commit(self) -> None:
        if not self._uncommitted:
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._refuse(error)
        else:
            self._settle("confirmed", "")

    def _refuse(self, error: sqlite3.Error) -> None:
        """Nothing of the transaction is kept. A full disk is a refusal; anything else ends this publisher."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            self._settle("refused", f"the disk of {self._file} is full")
        else:
            self._fail(BusUnavailableError(f"{self._file} cannot be written: {error}"))

    def _settle(self, status: Literal["confirmed", "refused"], reason: str) -> None:
        self._outcomes += [Outcome(identifier, status, reason) for identifier in self._uncommitted]
        self._uncommitted = []
        self._uncommitted_bytes = 0

    def _full(self) -> str | None:
        """The sentence for a file at its limit, if it is; what all readers have acknowledged is deleted first."""
        if self._used() < self._max_bytes:
            return None
        self._commit()
        while self._used() >= self._max_bytes and (self._delete_passed() or self._delete_passed(full=True)):
            pass
        if self._used() < self._max_bytes:
            return None
        slowest = self._cursors.slowest(full=True)
        reader = f"; its slowest reader is {slowest.queue!r}" if slowest is not None else ""
        return f"{self._file} is full ({self._max_bytes:,} bytes){reader}"

    def _used(self) -> int:
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * self._page_size

    def _trim(self) -> None:
        now = time.monotonic()
        if now - self._trimmed_at >= _TRIM_INTERVAL:
            self._trimmed_at = now
            self._delete_passed()

    def _delete_passed(self, *, full: bool = False) -> bool:
        """Delete rows that every reader has acknowledged; returns whether there were any. Not inside a transaction.
        `full`: rows as well that only lossy readers have not."""
        slowest = self._cursors.slowest(full=full)
        lossy = full and self._cursors.lossy
        if slowest is None and not lossy:
            return False
        with sentences(self._file):
            first = self._db.execute("SELECT min(seq) FROM message").fetchone()[0]
            if first is None or (slowest is not None and first > slowest.seq):
                return False
            last = first + _TRIM_ROWS - 1
            if lossy:  # one by one where they are large: no more than is needed
                last = first + max(0, min(_TRIM_ROWS, self._rows() // 16) - 1)
            self._db.execute(
                "DELETE FROM message WHERE seq <= ?", (last if slowest is None else min(slowest.seq, last),)
            )
        return True

    def _rows(self) -> int:
        first, last = self._db.execute(
            "SELECT (SELECT min(seq) FROM message), (SELECT max(seq) FROM message)"
        ).fetchone()
        return 0 if last is None else int(last - first + 1)

    def _headers_text(self, headers: Mapping[str, HeaderValue]) -> str:
        key = tuple(headers.items())
        text = self._headers.get(key)
        if text is None:
            if len(self._headers) >= _KEPT_HEADERS:
                self._headers.clear()
            text = self._headers[key] = json.dumps(dict(headers), separators=(",", ":"))
        return text
