"""Threads that wait for the disk, so that the one with the socket does not."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from shoveler.service import RateLimited

_log = logging.getLogger("shoveler.spool")

Synchronous = Literal["off", "normal", "full"]
"""How long a commit waits for the disk, as SQLite calls it."""
_SYNC_AFTER = 0.5
"""Seconds from a commit to the sync, which also covers later commits; it must be done within a second."""


class Syncer:
    """A thread that syncs commits to the disk at most a second later, while the owner continues to commit.

    With ``synchronous = normal`` SQLite itself waits for the disk only when it copies the WAL, which at 20 datagrams
    per second happens once in half an hour.
    """

    def __init__(self, files: Sequence[Path], sync: Callable[[int], None]) -> None:
        """`files` may not exist yet; `sync` is os.fdatasync, or a test's replacement."""
        self._files = files
        self._sync = sync
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._synced = float("-inf")
        self._warn = RateLimited(_log, 60.0)
        self._thread = threading.Thread(target=self._run, name="syncer", daemon=True)
        self._thread.start()

    def written(self) -> None:
        """Something was committed."""
        self._due.set()

    def has_synced(self, since: float) -> bool:
        """Whether everything committed until then (on the monotonic clock) is on the disk."""
        return self._synced >= since

    def close(self) -> None:
        """Stop; waits for a sync in progress."""
        self._stopping.set()
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        descriptors: dict[Path, int] = {}
        while self._due.wait() and not self._stopping.wait(_SYNC_AFTER):
            self._due.clear()  # before the sync: what is committed during it is due again
            if self._stopping.is_set():  # `close` sets this first, so the cleared event may have been from it
                break
            begun, well = time.monotonic(), True
            for path in self._files:
                try:
                    if path not in descriptors:
                        descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    self._sync(descriptors[path])
                except OSError as error:
                    well = False
                    self._warn.log(
                        logging.ERROR, "sync", "! %s cannot be brought to the disk: %s; a power cut may lose what was "
                        "taken since", path, error.strerror,
                    )  # fmt: skip
            if well:
                self._synced = begun
        for descriptor in descriptors.values():
            os.close(descriptor)


class Checkpointer:
    """A thread that copies the WAL into the spool's file, while the owner continues to commit.

    A checkpoint waits for the disk twice; in the owner's thread the socket would wait, too. When this thread has copied
    nearly everything (`done`), the owner copies the few pages that were added meanwhile and restarts the WAL. The owner
    must do this: under load, another thread never gets SQLite's write lock.
    """

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        self._path = path
        self._synchronous = synchronous
        self.due = threading.Event()
        self.done = threading.Event()
        self.working = threading.Lock()
        """Held while it copies."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; waits for a checkpoint in progress."""
        self._stopping.set()
        self.due.set()
        self._thread.join()

    def _run(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=10.0)
        db.execute(f"PRAGMA synchronous = {self._synchronous.upper()}")
        while self.due.wait() and not self._stopping.is_set():
            self.due.clear()
            if self._stopping.is_set():  # `close` sets this first, so what was just cleared may have been its word
                break
            if not self.done.is_set():
                with self.working:
                    self._copy(db)
        db.close()

    def _copy(self, db: sqlite3.Connection) -> None:
        try:
            # Twice: the first takes so long that much is added meanwhile.
            for _ in range(2):
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _log.debug("= the WAL was not copied: %s", error)
        self.done.set()
