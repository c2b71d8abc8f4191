"""The threads that wait for the disk end when they are told to, at whatever moment that is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from shoveler.spool.checkpointer import Checkpointer, Syncer


class _Overtaken(threading.Event):
    """An event that is set once more, by somebody who has just decided to stop, before it is cleared."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__()
        self._stop = stop

    def clear(self) -> None:
        self._stop()
        self.set()
        super().clear()


def test_a_syncer_that_is_stopped_while_it_looks_ends(tmp_path: Path) -> None:
    file = tmp_path / "spool.db"
    file.touch()
    syncer = Syncer([file], lambda _: None)
    syncer._due.set()  # it now sleeps until its next sync
    ours = _Overtaken(syncer._stopping.set)
    syncer._due = ours
    ours.set()
    syncer._thread.join(60)
    assert not syncer._thread.is_alive()


def test_a_checkpointer_that_is_stopped_while_it_looks_ends(tmp_path: Path) -> None:
    checkpointer = Checkpointer(tmp_path / "spool.db", "off")
    before, ours = checkpointer.due, _Overtaken(checkpointer._stopping.set)
    checkpointer.due = ours
    checkpointer.done.set()
    before.set()
    ours.set()
    checkpointer._thread.join(60)
    assert not checkpointer._thread.is_alive()
