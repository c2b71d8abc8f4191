"""The events of a run, as values in the order of arrival, and what each means for the state machine.

Events from hub, bus and owner come in through plain methods of `Events`, which return at once; the driver of the
repeat handles them one by one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from agent.messages import Done, Line, RepeatDone, RepeatReady, Sample, Silence
from gui.campaign.holdups import Waiting
from gui.campaign.repeat import Command
from gui.hub import AgentView, Hub
from gui.runner.current import CurrentRepeat
from gui.runner.rounds import again

log = logging.getLogger("tally.runner")


@dataclass(frozen=True, slots=True)
class Stop:
    """The owner asks to stop; `at_once`: without the rest of the round."""

    at_once: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """The owner asks to hand nothing out, or (not `on`) to go on."""

    on: bool


@dataclass(frozen=True, slots=True)
class HandOver:
    """The owner asks to leave the run as it is: another program goes on with it."""


@dataclass(frozen=True, slots=True)
class Back:
    """An agent's session began, or the agent is heard from again."""

    agent: AgentView


@dataclass(frozen=True, slots=True)
class Missing:
    """An agent is missing."""

    agent: str


@dataclass(frozen=True, slots=True)
class Silent:
    """A client reports which servers do not answer it (none: all do)."""

    client: str
    silence: Silence


@dataclass(frozen=True, slots=True)
class Ready:
    """A client's workers are ready, or (`error`) never will be."""

    client: str
    error: str


@dataclass(frozen=True, slots=True)
class Made:
    """A client has made so many requests: `counts` by (server, handout)."""

    client: str
    counts: Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class JobDone:
    """A client's workers have ended."""

    client: str
    message: RepeatDone


@dataclass(frozen=True, slots=True)
class Stored:
    """Lines of the journal named in a client's last message are in the database."""

    client: str
    journal: str


Event = Stop | Pause | HandOver | Back | Missing | Silent | Ready | Made | JobDone | Stored


class Events:
    """`current` is the repeat under way. `woken` is called when something may have changed for a waiting run."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self.current: CurrentRepeat | None = None
        self._woken = woken
        # Unbounded, since the hub must never wait for a run; it holds a few small messages for each agent and round.
        self._queue: asyncio.Queue[Event] = asyncio.Queue()

    # ---- called by hub, bus and owner; all return at once

    def stop(self, *, at_once: bool) -> None:
        """The owner asks to stop."""
        self._woken()
        self._queue.put_nowait(Stop(at_once))

    def pause(self, *, on: bool) -> None:
        """The owner asks to hand nothing out, or to go on."""
        self._woken()
        self._queue.put_nowait(Pause(on))

    def hand_over(self) -> None:
        """The owner asks to leave the run as it is."""
        self._woken()
        self._queue.put_nowait(HandOver())

    def agent_up(self, agent: AgentView) -> None:
        """An agent's session began, or the agent is heard from again."""
        self._woken()
        if self.current is not None:
            self.current.live.back(agent.id, time.time())
        self._queue.put_nowait(Back(agent))

    def agent_missing(self, agent: AgentView) -> None:
        """An agent is missing."""
        if self.current is not None:
            self.current.live.missing(agent.id, time.time())
        self._queue.put_nowait(Missing(agent.id))

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        """A client agent reports on its work. Messages about another job (an earlier repeat) are ignored."""
        repeat = self.current
        if repeat is None or getattr(message, "job", "") != repeat.job:
            return
        match message:
            case Sample():
                repeat.live.sample(agent.id, message, time.time(), agent.clock_offset)
                if message.silence is not None or repeat.machine.waits_for_servers(agent.id):
                    self._queue.put_nowait(Silent(agent.id, message.silence or Silence({})))
            case RepeatReady(error=error):
                (repeat.live.ended if error else repeat.live.ready)(agent.id, time.time())
                self._queue.put_nowait(Ready(agent.id, error))
            case RepeatDone():
                repeat.live.ended(agent.id, time.time())
                self._queue.put_nowait(JobDone(agent.id, message))
            case _:
                log.debug("! %s is not for a run", type(message).__name__)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        """Journal lines of an agent are in the database."""
        repeat = self.current
        if repeat is None:
            return
        repeat.stored[agent_id, journal] = last
        done = [line for line in lines if isinstance(line, Done) and line.job == repeat.job]
        repeat.live.reported(agent_id, len(done))
        if counts := _counted(repeat, agent_id, done):
            self._queue.put_nowait(Made(agent_id, counts))
        if repeat.ends.get(agent_id) == journal:
            self._queue.put_nowait(Stored(agent_id, journal))

    # ---- for the driver

    def begin(self, repeat: CurrentRepeat) -> None:
        """Another repeat is under way. Earlier events belong to an earlier one."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self.current = repeat

    def unread(self) -> tuple[Event, ...]:
        """What nobody has handled, for another program that goes on. Who is there it sees itself."""
        left: list[Event] = []
        while not self._queue.empty():
            left.append(self._queue.get_nowait())
        return tuple(event for event in left if not isinstance(event, Back | Missing | HandOver))

    def resume(self, repeat: CurrentRepeat | None, unread: Iterable[Event]) -> None:
        """Go on with the repeat and the events of another program."""
        self.current = repeat
        for event in unread:
            self._queue.put_nowait(event)

    def look_for(self, clients: Iterable[str]) -> None:
        """Clients that are not here count as missing."""
        for client in clients:
            self._queue.put_nowait(Missing(client))

    async def next(self, deadline: float | None) -> Event | None:
        """The next event, or None if the deadline (on the loop's clock) came first."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._queue.get()
        except TimeoutError:
            return None


def _counted(repeat: CurrentRepeat, client: str, done: Iterable[Done]) -> Counter[tuple[str, int]]:
    """Strike off what a client has made; returns how much that was, by (server, handout)."""
    undone = repeat.undone.get(client, {})
    counts: Counter[tuple[str, int]] = Counter()
    for line in done:
        handed = undone.pop((line.tag, line.path), None)
        if handed is not None:
            counts[handed.request.server, handed.number] += 1
    return counts


def apply(event: Event, repeat: CurrentRepeat, hub: Hub, now: float) -> list[Command]:
    """Pass an event to the state machine; returns its commands."""
    machine = repeat.machine
    match event:
        case HandOver():
            return []  # the driver has seen it
        case Stop(at_once):
            return machine.abort(now) if at_once else machine.stop(now)
        case Pause(on):
            return machine.pause(now) if on else machine.resume(now)
        case Back(agent):
            if agent.id not in machine.clients:
                return []
            has_job = repeat.job in agent.jobs
            commands = machine.back(agent.id, now, has_job=has_job)
            if has_job:
                for part in again(repeat, agent.id):
                    hub.send(agent.id, part)
            return commands
        case Missing(agent_id):
            view = hub.roster.find(agent_id)
            if view is not None and view.live:
                return []  # it came back while this event was queued
            return machine.missing(agent_id, now)
        case Silent(client, silence):
            servers = {url: Waiting(part.requests, part.seconds, part.reached) for url, part in silence.servers.items()}
            return machine.silence(client, servers, now)
        case Ready(client, error):
            return machine.ready(client, now, error) + give_again(repeat, hub, now)
        case Made(client, counts):
            return machine.made(client, counts, now)
        case JobDone(client, message):
            repeat.ends[client] = message.journal
            commands = machine.repeat_done(client, message.journal_last, now)
            return commands + _stored(repeat, client, message.journal, now)
        case Stored(client, journal):
            return _stored(repeat, client, journal, now)


def give_again(repeat: CurrentRepeat, hub: Hub, now: float) -> list[Command]:
    """Send restarted clients what they had not begun: as soon as all that they had written down before is known here,
    so that nothing is made twice."""
    commands: list[Command] = []
    for client in repeat.machine.restarted:
        view = hub.roster.find(client)
        if view is not None and view.live and view.journal_stored >= view.journal_last:
            for part in again(repeat, client):
                hub.send(client, part)
            commands += repeat.machine.given_again(client, now)
    return commands


def _stored(repeat: CurrentRepeat, client: str, journal: str, now: float) -> list[Command]:
    return repeat.machine.stored(client, repeat.stored.get((client, journal), 0), now)
