"""What a publisher of the local bus knows about its readers: who is bound to a message, and what all have read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shoveler.bus.local_files import connect, expired, forgotten, inode, limits_of, queue_of, sentences
from shoveler.bus.messages import BusUnavailableError
from shoveler.bus.topic import matches

_STALE = 0.25  # seconds after which bindings are read again


@dataclass(frozen=True, slots=True)
class Cursor:
    """One reader: its bindings, and the last acknowledged row of the message file in question."""

    queue: str
    bindings: tuple[str, ...]
    seq: int
    lossy: bool = False
    """When the file is full, it loses messages rather than keep them."""


class Cursors:
    """The readers of one message file, re-read as they come, go and advance. `clock` is monotonic seconds."""

    def __init__(self, file: Path, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._identity = identity
        self._clock = clock
        self._cursors: list[Cursor] = []
        self._read_at = -_STALE

    def wanted(self, routing_key: str) -> bool:
        """Whether a reader is bound to messages with this key; may be a moment out of date."""
        if self._clock() - self._read_at >= _STALE:
            self.refresh()
        return any(matches(binding, routing_key) for cursor in self._cursors for binding in cursor.bindings)

    def slowest(self, *, full: bool = False) -> Cursor | None:
        """The reader that is farthest behind, None when there is none. Reads the files each time. `full`: those that
        are lossy do not count.

        What this reader has acknowledged may be deleted: a queue declared before this call is among the readers, and
        one declared later has no claim on earlier rows.
        """
        self.refresh()
        counting = (cursor for cursor in self._cursors if not (full and cursor.lossy))
        return min(counting, key=lambda cursor: cursor.seq, default=None)

    @property
    def lossy(self) -> bool:
        """Whether a reader is."""
        return any(cursor.lossy for cursor in self._cursors)

    def foremost(self) -> int:
        """The last row that any reader has acknowledged, 0 when there is none."""
        self.refresh()
        return max((cursor.seq for cursor in self._cursors), default=0)

    def refresh(self) -> None:
        """Read all cursor files. Raises BusRefusedError for a file that is not one, BusUnavailableError for other
        errors."""
        self._read_at = self._clock()
        with sentences(self._file.parent):
            paths = sorted(self._file.parent.glob("*.cursor"))
        self._cursors = [cursor for path in paths if not forgotten(path) and (cursor := self._read(path)) is not None]

    def _read(self, path: Path) -> Cursor | None:
        try:
            with closing(connect(path, synchronous="NORMAL")) as db, sentences(path):
                bindings = tuple(row[0] for row in db.execute("SELECT pattern FROM binding"))
                row = db.execute(
                    "SELECT seq FROM position WHERE file = ? AND identity = ?", (self._file.name, self._identity)
                ).fetchone()
                limits = limits_of(db)
            if expired(path, limits, time.time()):
                return None
        except BusUnavailableError:
            if inode(path) is None:  # deleted while we looked
                return None
            raise
        return Cursor(queue_of(path), bindings, row[0] if row else 0, limits.lossy)
