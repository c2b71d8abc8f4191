"""Keeps the WAL and the file of a spool small, and continues while the disk is full."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from shoveler.spool.checkpointer import Checkpointer
from shoveler.spool.errors import explain
from shoveler.spool.format import PAGE
from shoveler.spool.reserve import Reserve

_log = logging.getLogger("shoveler.spool")

_WAL_MAX = 32 * 2**20
"""Bytes of WAL after which it is emptied; half the reserve if that is less, as copying it needs as much room again."""
_WAL_MIN = 2**20
_TIGHT_WAL = 2**20
COMMIT_OVERHEAD = 6 * PAGE  # the pages of counters and of the ends of tables that every commit writes, too
_VACUUM_PAGES = 512
_GIVE_BACK_INTERVAL = 30.0
_COPIED_WITHIN = 2.0
_SPARE = 32 * 2**20  # free space that a file may keep for later use


class Room:
    """Belongs to the writer's thread, and uses its connection. `written` is for the writer to add to."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        reserve: Reserve,
        checkpointer: Checkpointer | None,
        monotonic: Callable[[], float],
    ) -> None:
        self.tight = False
        """The disk was full: only rows that fit into the file's free space can be added."""
        self.reserve = reserve
        self.wal_max = max(_WAL_MIN, min(_WAL_MAX, reserve.size // 2)) if reserve.size else _WAL_MAX
        self.written = 0
        """Approximate bytes written to the WAL since this was opened."""
        self.freed = False
        """Blocks were removed since the file was last looked at."""
        self.path = path
        self._db = db
        self._checkpointer = checkpointer
        self._monotonic = monotonic
        self._gave_back = -_GIVE_BACK_INTERVAL
        self._emptied = 0
        """What `written` was when the WAL last started over."""

    def mind_the_wal(self) -> None:
        """After a commit: have a grown WAL copied in the background, and restart it when that is done."""
        size = self.written - self._emptied
        if self._checkpointer is None or self.tight:
            if size >= (_TIGHT_WAL if self.tight else self.wal_max):
                self.restart_wal()
        elif self._checkpointer.done.is_set():
            self._checkpointer.done.clear()
            self.restart_wal()
        elif size >= self.wal_max:
            self._checkpointer.due.set()
            if size >= 8 * self.wal_max:
                # The disk is slower than the datagrams come. They wait in the kernel now, and what it drops is counted.
                self._checkpointer.done.wait(1.0)

    def restart_wal(self) -> None:
        """Copy the rest of the WAL, and restart it in its existing space. Postponed while it is being read."""
        try:
            busy = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
        except sqlite3.Error as error:
            # The same error will make the next commit fail, and is handled there.
            _log.debug("= the WAL was not copied: %s", error)
            busy = 1
        self._emptied = self.written - (self.wal_max * 3 // 4 if busy else 0)

    def fits(self, size: int) -> bool:
        """Whether a block of `size` bytes fits into the file's free space, as it must when `tight`."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return bool(free * PAGE >= size + size // 16 + COMMIT_OVERHEAD)

    def tighten(self) -> None:
        """The disk is full: release the reserve, so that there is space to remove what is confirmed, and continue in
        the file's free space. Without the reserve nothing could even be removed, since a removal is written first,
        too."""
        self.tight = True
        self.reserve.give_up()
        self.restart_wal()

    def loosen(self) -> bool:
        """True when the disk has space again and the reserve is restored: `tight` is over.

        For this the space of the WAL and of confirmed blocks in the file is given back, as much as is needed, but only
        if half a reserve is left in the file, and not often: if another program fills the disk, that space is gone.
        """
        if not self.reserve.make():
            now = self._monotonic()
            lacking = max(0, self.reserve.lacking() - self.wal_size()) + _WAL_MIN
            if now - self._gave_back < _GIVE_BACK_INTERVAL or not self.fits(lacking + self.reserve.size // 2):
                return False
            self._gave_back = now
            self._give_back(lacking)
            self.truncate_wal()
            if not self.reserve.make():
                return False
        self.tight = False
        return True

    def wal_size(self) -> int:
        """Size of the WAL in bytes."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def truncate_wal(self) -> None:
        """Copy the WAL, and give its space back to the disk."""
        # Another copy in progress would keep us from truncating it.
        idle = self._checkpointer is None or self._checkpointer.working.acquire(timeout=_COPIED_WITHIN)
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.debug("= the WAL was not truncated: %s", error)
        finally:
            if idle and self._checkpointer is not None:
                self._checkpointer.working.release()

    def tidy(self) -> bool:
        """Give a little of the space of removed blocks back to the disk; for idle moments. True: call again.

        Only when most of the file is empty: a file whose size varies with the load is faster left alone.
        """
        if not self.freed or self.tight:
            return False
        try:
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            if free * PAGE < _SPARE or free < pages / 2:
                self.freed = False
                return False
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        self._give_back(_VACUUM_PAGES * PAGE)
        return True

    def _give_back(self, size: int) -> None:
        """Shorten the file by this many bytes of empty pages; the disk gets them once the WAL is copied."""
        try:
            for _ in range(0, size, _VACUUM_PAGES * PAGE):
                # Not `execute`: that steps a statement without columns once, which here means one page.
                self._db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                self.written += 16 * COMMIT_OVERHEAD
                self.mind_the_wal()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        if self.tight:
            self.restart_wal()
