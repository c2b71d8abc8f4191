"""Running engines: each in its own thread, in this process or in workers, watched from the main thread.

The main thread holds a `Crew`: something that was started, has snapshots, and ends. `ThreadCrew` runs engines
here; `collector.workers` has the one that runs them in other processes.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from collector.checkpoint import CheckpointBusyError, CheckpointError
from collector.config import Plan
from collector.engine import Engine, Part, Snapshot, open_engine, open_store
from collector.names import Names
from collector.sinks import SinkError
from collector.sinks.file import OutputClosedError
from collector.sources import SourceError
from shoveler.bus import BusError

_log = logging.getLogger(__name__)


class Ending(Enum):
    """How an engine ended."""

    SAFE = "everything is safe with the next owner"
    LEFT = "told to stop while records were in flight; they are in the outbox"
    FAILED = "it could not do its work"
    UNUSABLE = "it could not start: what it was given cannot be used"


class Crew(Protocol):
    """Engines at work."""

    def snapshots(self) -> list[Snapshot]:
        """The latest of every engine."""

    def reconfigure(self, level: str, form: str) -> None:
        """Log settings that changed while running."""

    def watch(self, timeout: float) -> bool:
        """Look after the engines for up to `timeout` seconds. False when all have ended."""

    def stop(self) -> None:
        """Ask all to drain and end; `watch` until they have."""

    def endings(self) -> list[Ending]:
        """How those that ended did so."""


class ThreadCrew:
    """Engines in threads of this process."""

    def __init__(self, plan: Plan, parts: Sequence[Part], *, sockets: Sequence[socket.socket] = ()) -> None:
        """Starts at once. `sockets`: passed by whoever started us."""
        self._plan = plan
        look = plan.names
        self._names = (
            None if look is None else Names(keep=look.keep, keep_failure=look.keep_failure, workers=look.workers)
        )
        self._sockets = sockets
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._engines: dict[str, Engine] = {}
        self._waiting = {part.name for part in parts}
        self._endings: dict[str, Ending] = {}
        self._threads = [threading.Thread(target=self._work, args=(part,), name=part.name) for part in parts]
        for thread in self._threads:
            thread.start()

    def snapshots(self) -> list[Snapshot]:
        """See `Crew`. A part that waits for its checkpoint has a snapshot that says so."""
        now = time.monotonic()
        ready = [engine.snapshot for engine in self._engines.copy().values()]
        known = {snapshot.part for snapshot in ready}
        return ready + [Snapshot(part=name, waiting=True, at=now) for name in self._waiting.copy() - known]

    def reconfigure(self, level: str, form: str) -> None:
        """Nothing to do: the caller has set up the log of this process."""

    def watch(self, timeout: float) -> bool:
        """See `Crew`."""
        if self._changed.wait(timeout):
            self._changed.clear()
        alive = any(thread.is_alive() for thread in self._threads)
        if not alive and self._names is not None:
            self._names.close()
            self._names = None
        return alive

    def stop(self) -> None:
        """See `Crew`."""
        self._stopping.set()

    def endings(self) -> list[Ending]:
        """See `Crew`."""
        return list(self._endings.values())

    def _work(self, part: Part) -> None:
        ending = Ending.FAILED
        try:
            ending = self._run(part)
        except (CheckpointBusyError, BusError) as error:
            _log.error("%s", error)
        except (CheckpointError, SourceError, SinkError) as error:
            _log.error("%s", error)
            ending = Ending.UNUSABLE
        except OutputClosedError as error:
            _log.error("%s; stopping", error)
        except Exception:  # noqa: BLE001 - the end of a thread must not pass unseen, whatever it was
            # A bug of ours. Only what is safe was acknowledged, so a restart continues where this ended.
            _log.exception("%s: stopped by an unexpected error; please report it", part.name)
        finally:
            self._endings[part.name] = ending
            if ending is not Ending.SAFE:
                self._stopping.set()  # without one part this is not the service that was requested: end, and say so
            self._changed.set()

    def _run(self, part: Part) -> Ending:
        store = open_store(self._plan, part, self._stopping)
        if store is None:
            return Ending.SAFE  # a standby that was never needed
        engine = self._engines[part.name] = open_engine(self._plan, part, store, self._names, self._sockets)
        self._waiting.discard(part.name)
        if engine.run(self._stopping):
            return Ending.SAFE
        return Ending.LEFT if self._plan.state is not None else Ending.FAILED
