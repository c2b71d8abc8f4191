"""What comes in from the bus: records into the store, status messages into the picture of the pipeline.

The functions here run in the bus threads; what the event loop needs to know goes there by ``call_soon_threadsafe``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gui.store import LoadResult, Store, split_records
from shoveler.bus import Incoming
from shoveler.service import ASK, CollectorStatus, ShovelerStatus, StatusError, StatusMessage, decode_status

log = logging.getLogger("tally.runner")

LOAD_AT_ONCE = 5000
STALE_SECONDS = 20.0
"""A status message older than this says nothing about now."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that is in the database now."""

    result: LoadResult
    t: float


class RecordIntake:
    """Loads record messages. `loaded` is called in the bus thread, after the database has them."""

    def __init__(self, store: Store, loaded: Callable[[Loaded], None]) -> None:
        self._store = store
        self._loaded = loaded

    def __call__(self, messages: Sequence[Incoming]) -> None:
        """Store a batch, or raise: then the bus keeps it."""
        bodies: list[bytes] = []
        for message in messages:
            bodies += split_records(message.body)
            if len(bodies) >= LOAD_AT_ONCE:
                self._load(bodies)
                bodies = []
        if bodies:
            self._load(bodies)

    def _load(self, bodies: list[bytes]) -> None:
        now = time.time()
        self._loaded(Loaded(self._store.load(bodies, now), now))


@dataclass(frozen=True, slots=True)
class Member:
    """A shoveler or collector as its last status message has it. `heard` is when that came."""

    program: str
    id: str
    heard: float
    status: StatusMessage

    @property
    def spooled(self) -> int:
        """Datagrams in a shoveler's spool."""
        if isinstance(self.status, CollectorStatus):
            return 0
        return sum(sender.spooled for sender in self.status.senders.values())


class StatusIntake:
    """Keeps the last status message of each daemon, and the first and last of the present run in the store."""

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed
        self._members: dict[tuple[str, str], Member] = {}
        self._run: int | None = None

    @property
    def members(self) -> tuple[Member, ...]:
        """All daemons that were heard of."""
        return tuple(self._members.values())

    def spooled(self, now: float) -> int | None:
        """Datagrams in all spools that were heard of lately; None when no shoveler was."""
        fresh = [
            member for member in self.members if member.program == "shoveler" and now - member.heard < STALE_SECONDS
        ]
        return sum(member.spooled for member in fresh) if fresh else None

    def begin_run(self, run: int) -> None:
        """From now on first and last messages belong to this run; those known now are its first. Blocking."""
        self._run = run
        for member in self.members:
            self._store.put_status(run, member.status)

    def end_run(self) -> None:
        """No run any more."""
        self._run = None

    def __call__(self, messages: Sequence[Incoming]) -> None:
        """Take a batch, or raise: then the bus keeps it."""
        run = self._run
        for message in messages:
            if message.routing_key == ASK:
                continue  # a request to the daemons, ours or another hub's
            try:
                status = decode_status(message.routing_key, message.body)
            except StatusError as error:
                log.warning("! a status message cannot be read: %s", error)
                continue
            if run is not None:
                self._store.put_status(run, status)
            program = "shoveler" if isinstance(status, ShovelerStatus) else "collector"
            self._members[program, status.id] = Member(program, status.id, time.time(), status)
        self._changed()


def on_loop(loop: Any, function: Callable[..., None]) -> Callable[..., None]:
    """The same function, to be called from another thread: it runs on the loop, or not at all once that is closed."""

    def call(*arguments: Any) -> None:
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            log.debug("= the event loop is closed; %s is not told any more", function)

    return call
