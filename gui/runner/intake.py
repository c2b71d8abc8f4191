"""Handles what comes in from the bus: records go into the store, status messages into the view of the pipeline.

The functions here run in the bus threads; the event loop is informed by ``call_soon_threadsafe``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gui.campaign.settle import ALIVE, Reader, Taker
from gui.reconcile import step_of
from gui.runner.dropped import Dropped, keep_dropped, read_dropped
from gui.store import LoadResult, Store, batched, split_records
from shoveler.bus import Incoming
from shoveler.service import ASK, CollectorStatus, ShovelerStatus, StatusError, StatusMessage, decode_status

log = logging.getLogger("tally.runner")

POSITIONS = 2
"""First status schema in which daemons report positions."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that is in the database now. `dropped`: records that were dropped from the queue before it, or in it."""

    result: LoadResult
    t: float
    dropped: int = 0


class RecordIntake:
    """Loads record messages. `loaded` is called in the bus thread, after the database has them."""

    def __init__(self, store: Store, loaded: Callable[[Loaded], None]) -> None:
        self._store = store
        self._loaded = loaded
        self._dropped: Dropped | None = None

    def __call__(self, messages: Sequence[Incoming]) -> None:
        """Store a batch, or raise: then the bus keeps it."""
        self._store.load_all(
            batched(split_records(message.body) for message in messages),
            lambda result, now: self._loaded(Loaded(result, now)),
        )
        if self._dropped is None:
            self._dropped = read_dropped(self._store)
        now = time.time()
        dropped = self._dropped.take(messages, now)
        keep_dropped(self._store, self._dropped)  # before the messages are acknowledged
        if dropped:
            log.warning("! %d records were dropped from the queue before they could be loaded", dropped)
            self._loaded(Loaded(LoadResult(), now, dropped))


@dataclass(frozen=True, slots=True)
class Member:
    """A shoveler or collector, from its last status message. `heard` is when that arrived."""

    program: str
    id: str
    heard: float
    status: StatusMessage


class StatusBook:
    """Keeps the last status message of each daemon."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], Member] = {}

    @property
    def members(self) -> tuple[Member, ...]:
        """All daemons that were heard from."""
        return tuple(self._members.values())

    def hear(self, messages: Sequence[Incoming], each: Callable[[str, StatusMessage], None] = lambda *_: None) -> None:
        """Take these messages; `each` is called with the program and its status, in order, before it is kept."""
        for message in messages:
            if message.routing_key == ASK:
                continue  # a request to the daemons, ours or another hub's
            try:
                status = decode_status(message.routing_key, message.body)
            except StatusError as error:
                log.warning("! a status message cannot be read: %s", error)
                continue
            program = "shoveler" if isinstance(status, ShovelerStatus) else "collector"
            each(program, status)
            self._members[program, status.id] = Member(program, status.id, time.time(), status)


class StatusIntake(StatusBook):
    """Keeps the last status message of each daemon; for the current run the store gets the first, the last, and what
    those in between add."""

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        super().__init__()
        self._store = store
        self._changed = changed
        self._run: int | None = None
        self._steps: dict[tuple[str, str], StatusMessage] = {}

    def takers(self, since: float) -> list[Taker]:
        """The shovelers that were heard from since then and report positions."""
        return [
            Taker(m.id, m.heard, {g: (p.first, p.received_upto) for g, p in m.status.positions.items()})
            for m in self.members
            if isinstance(m.status, ShovelerStatus) and m.heard >= since and m.status.positions
        ]

    def readers(self, since: float) -> list[Reader]:
        """The collectors that were heard from since then and report positions."""
        return [
            Reader(m.id, m.heard, {g: (p.seen_upto, p.holes) for g, p in m.status.positions.items()}, m.status.held)
            for m in self.members
            if isinstance(m.status, CollectorStatus) and m.heard >= since and m.status.schema >= POSITIONS
        ]

    def strangers(self, since: float) -> bool:
        """Whether a collector that was heard from since then has datagrams of a sender that no shoveler has taken."""
        heard = [member.status for member in self.members if member.heard >= since]
        taken = {sender for status in heard if isinstance(status, ShovelerStatus) for sender in status.senders}
        return any(
            process.sender not in taken and process.last >= since
            for status in heard
            if isinstance(status, CollectorStatus)
            for process in status.processes
        )

    def heard_since(self, since: float, *, both: bool) -> bool:
        """Whether all recently known daemons have reported since then; `both`: a shoveler and a collector have."""
        lately = [member for member in self.members if since - member.heard < ALIVE]
        if both and {member.program for member in lately} != {"shoveler", "collector"}:
            return False
        return all(member.heard >= since for member in lately)

    def begin_run(self, run: int) -> None:
        """From now on messages belong to this run; the latest known ones are its first. Blocking."""
        now = time.time()
        self._run = run
        self._steps = {}
        for member in self.members:
            if now - member.heard < ALIVE:
                self._store.put_status(run, member.status)
                self._steps[member.program, member.id] = member.status

    def end_run(self) -> None:
        """Messages no longer belong to a run."""
        self._run = None

    def __call__(self, messages: Sequence[Incoming]) -> None:
        """Handle a batch, or raise: then the bus keeps it."""
        self.hear(messages, self._keep)
        self._changed()

    def _keep(self, program: str, status: StatusMessage) -> None:
        run = self._run
        if run is not None:
            self._store.put_status(run, status)
            self._store.add_status_step(run, step_of(self._steps.get((program, status.id)), status))
            self._steps[program, status.id] = status


def on_loop(loop: Any, function: Callable[..., None]) -> Callable[..., None]:
    """The same function for other threads: it runs on the loop, or not at all once the loop is closed."""

    def call(*arguments: Any) -> None:
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            log.debug("= the event loop is closed; %s is no longer called", function)

    return call
