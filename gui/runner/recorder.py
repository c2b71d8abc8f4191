"""Tasks beside a repeat that record its progress: reading the database, and the beats of the time axis.

Each is a separate task, so that a blocked database stops the counts but not the time axis.
"""

from __future__ import annotations

import asyncio
import time

from gui.runner.current import CurrentRepeat
from gui.runner.host import Blocking, Problems
from gui.runner.live import Measured
from gui.runner.snapshots import Board
from gui.store import MarkerRow, SampleRow, Store, StoreError

LOOK_SECONDS = 0.5
BEAT_OFFSET = 0.3
"""Delay after each whole second at which its point is made, when most clients have reported it."""


class Recorder:
    """`blocking` runs a call of the store in a thread."""

    def __init__(self, store: Store, board: Board, blocking: Blocking, problem: Problems) -> None:
        self._store = store
        self._board = board
        self._blocking = blocking
        self._problem = problem

    async def count(self, repeat: CurrentRepeat) -> None:
        """Read the database twice a second (less often if a reading takes long)."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                repeat.live.counted(await self._blocking(repeat.counts.look, time.time()))
                repeat.looked.set()
            except StoreError as error:
                self._problem("warning", "live counts", f"The counts are not updated: {error}")
            else:
                self._problem("warning", "live counts", "")
            self._board.changed()
            taken = loop.time() - began
            await asyncio.sleep(max(LOOK_SECONDS - taken, taken))

    async def beat(self, repeat: CurrentRepeat) -> None:
        """Advance the time axis once a second, whatever the database does: nothing here waits for it."""
        while True:
            await asyncio.sleep(1.0 - (time.time() - BEAT_OFFSET) % 1.0)
            repeat.unstored += repeat.live.tick(time.time())
            if repeat.unstored:
                repeat.measured.set()
            self._board.changed()

    async def store_measured(self, repeat: CurrentRepeat) -> None:
        """Store what the beats have produced, as soon as the database accepts it. Until then it is kept in memory: some
        50 small values per second for 50 servers."""
        while True:
            await repeat.measured.wait()
            repeat.measured.clear()
            try:
                await self.store_samples(repeat)
                await self.save_markers()
            except StoreError as error:
                self._problem("warning", "time axis", f"The time axis of the run is not stored yet: {error}")
            else:
                self._problem("warning", "time axis", "")

    async def store_samples(self, repeat: CurrentRepeat) -> None:
        """Raises StoreError; the next call stores what was not stored."""
        waiting, repeat.unstored = repeat.unstored, []
        try:
            if waiting:
                rows = [_sample_row(one, repeat.server_ids[one.url]) for one in waiting]
                await self._blocking(self._store.add_samples, repeat.id, rows)
        except StoreError:
            repeat.unstored = waiting + repeat.unstored
            raise

    async def save_markers(self) -> None:
        """Raises StoreError; the next call stores what was not stored."""
        assert self._board.run is not None
        while self._board.unsaved:
            marker = self._board.unsaved[0]
            await self._blocking(self._store.add_marker, self._board.run, MarkerRow(marker.t, marker.kind, marker.text))
            self._board.unsaved.pop(0)


def _sample_row(one: Measured, server: int) -> SampleRow:
    """A second of a server as it is stored."""
    counts = one.counts
    return SampleRow(
        one.second,
        server,
        requested=counts.requested if counts else None,
        read=counts.read if counts else None,
        recorded=counts.recorded if counts else None,
        failed=counts.failed if counts else None,
        bytes_read=one.bytes_read,
        bytes_recorded=counts.bytes_recorded if counts else None,
    )
