"""The repeat under way, shared by the parts of a run: the resolved test, the state machine, and what was handed out
and reported so far."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from agent.messages import Request
from gui.campaign.assign import Assigner
from gui.campaign.plan import File, Test
from gui.campaign.repeat import Repeat
from gui.campaign.selection import Client, Server
from gui.reconcile import LiveCounts
from gui.runner.live import Live, Measured


@dataclass(slots=True)
class ResolvedTest:
    """A test with its servers, clients and files resolved."""

    number: int
    test: Test
    servers: list[Server]
    clients: list[Client] = field(default_factory=list)
    files: tuple[File, ...] = ()
    own: frozenset[str] = frozenset()
    """Servers (URLs) at which requests over HTTP are recognised by their path: the files are the client's own."""


class Handed(NamedTuple):
    """A request that was handed out, and in which handout."""

    number: int
    request: Request


@dataclass(slots=True)
class CurrentRepeat:
    """The repeat under way."""

    id: int
    job: str
    number: int
    resolved: ResolvedTest
    machine: Repeat
    live: Live
    counts: LiveCounts
    assigner: Assigner
    server_ids: dict[str, int]
    base: dict[str, int] = field(default_factory=dict)
    """By shoveler, the last number that it had taken before the first request, if it was reported."""
    opened: float = field(default_factory=time.time)
    """When it began, and clients were told to start their workers."""
    began: float = 0.0
    """When its first round was handed out."""
    done: float | None = None
    """When its last round was over."""
    undone: dict[str, dict[tuple[str, str], Handed]] = field(default_factory=dict)
    """What was handed out and has no done line in the database, by client, then by (tag, path): sent again after a lost
    connection."""
    stored: dict[tuple[str, str], int] = field(default_factory=dict)
    """Last stored line by (client, journal)."""
    ends: dict[str, str] = field(default_factory=dict)
    """The journal named in a client's RepeatDone."""
    marked: int = 0
    """The newest round that is on the time axis."""
    first_round: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after each reading of the database."""
    unstored: list[Measured] = field(default_factory=list)
    """Seconds of the time axis that are not in the database yet."""
    measured: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there are some."""
    injected: set[int] = field(default_factory=set)
    """The faults of the test (by their place in the plan) that have begun."""

    def kept(self) -> dict[str, Any]:
        """All of it but what belongs to this program (database, loop): for another program that goes on with it."""
        own = {"counts", "first_round", "looked", "measured"}
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in own}

    @classmethod
    def of(cls, kept: dict[str, Any], counts: LiveCounts) -> Self:
        """The repeat that another program has begun."""
        repeat = cls(**kept, counts=counts)
        if repeat.began:
            repeat.first_round.set()
        if repeat.unstored:
            repeat.measured.set()
        return repeat

    def name_of(self, who: str) -> str:
        """The displayed name of a client (by its public id) or a server (by its URL)."""
        for client in self.resolved.clients:
            if client.id == who:
                return client.name
        for server in self.resolved.servers:
            if server.url == who:
                return server.name
        return who
