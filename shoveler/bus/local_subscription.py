"""A queue on the local bus that lives only as long as its reader: for messages that are useless later.

Publishers recognize its cursor by its name (`ALIVE`): if nobody holds its lock, its reader was killed, and they remove
it. So a reader that is gone never keeps a writer's file from being trimmed.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from shoveler.bus.address import BusAddress
from shoveler.bus.local_consumer import LocalConsumer
from shoveler.bus.local_files import (
    ALIVE,
    BusLock,
    connect,
    create,
    cursor_file,
    exchange_directory,
    remove_cursor,
    sentences,
)
from shoveler.bus.options import BusOptions


class LocalSubscription(LocalConsumer):
    """A `Consumer` of its own queue, which begins with the next message (with `complete`, with the first that is still
    there) and is removed when it is closed."""

    def __init__(
        self,
        address: BusAddress,
        *,
        exchange: str,
        binding: str,
        reader: str,
        options: BusOptions,
        complete: bool = False,
    ) -> None:
        assert address.directory is not None
        directory = exchange_directory(address.directory, exchange)
        with sentences(directory):
            directory.mkdir(parents=True, exist_ok=True)
        queue = f"{reader} {secrets.token_hex(4)}{ALIVE}"
        self._own = cursor_file(directory, queue)
        held = BusLock(self._own.with_suffix(".cursor.lock"))
        held.acquire()  # before the cursor exists, so that no publisher ever finds it without a lock
        try:
            create(self._own, "cursor")
            _begin(self._own, binding, complete)
            super().__init__(address, exchange=exchange, queue=queue, exclusive=True, options=options, lock=held)
        except BaseException:
            remove_cursor(self._own)
            held.release()
            raise

    def close(self) -> None:
        remove_cursor(self._own)
        super().close()


def _begin(path: Path, binding: str, complete: bool) -> None:
    """Bind the new cursor, after the existing messages unless `complete`."""
    with closing(connect(path, synchronous="NORMAL")) as db, sentences(path):
        db.execute("INSERT INTO binding VALUES (?)", (binding,))
        if complete:
            return
        for file in sorted(path.parent.glob("*.db")):
            with closing(connect(file, synchronous="NORMAL")) as messages:
                identity, last = _newest(messages)
            db.execute("INSERT INTO position VALUES (?, ?, ?)", (file.name, identity, last))


def _newest(messages: sqlite3.Connection) -> tuple[str, int]:
    identity, last = messages.execute("SELECT id, (SELECT max(seq) FROM message) FROM identity").fetchone()
    return identity, last or 0
