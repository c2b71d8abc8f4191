"""One repeat of a test as a state machine: events go in, commands come out; the time is an argument.

    new → starting → round ⇄ pause → (held) → ending → settling → over

*starting*: every chosen client is told to start its workers and answers. *round*: each present client was handed its
part and reports when it is done. *pause*: the plan's wait. *held*: everything left waits for servers that do not
answer. *ending*: clients stop their workers, and their journals are stored to the last line. *settling* belongs to
`gui.campaign.settle`; the runner calls `settled` when it is done.

A missing client is not waited for: what it was given stays pending and is given to nobody else. It takes part again in
the next round after it is back, unless it lost its workers. When no client is left, the repeat waits `patience` seconds
for one to come back, then goes on to its end.

A server that does not answer does not delay the others. Each server goes through its own *parts*, 1 to `rounds`. A
round is the next part of every server; when everything that clients have left of it waits for silent servers, it counts
as over, and the next rounds are without these servers. When what waits for such a server is done it takes part again,
and the parts that it missed follow in further rounds at the end. When only silent servers are left and none of them
responds for `silence_limit` seconds, the repeat ends without their remaining parts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from gui.campaign.holdups import HeldUp, HoldUps, Relieved, Waiting

log = logging.getLogger("tally.campaign")

CUT_LIMIT = 15.0
"""Seconds for clients to end after they were told to stop at once."""


class State(Enum):
    """The state of a repeat."""

    NEW = "new"
    STARTING = "starting"
    ROUND = "round"
    PAUSE = "pause"
    HELD = "held"
    ENDING = "ending"
    SETTLING = "settling"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Start:
    """Tell these clients to start their workers."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandOut:
    """Draw round `number`, assign it to these clients, send it, then call `handed`. `parts`: the part of each server; a
    server that is not listed has none in this round."""

    number: int
    clients: tuple[str, ...]
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class End:
    """Tell these clients that there are no more rounds."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AbortJobs:
    """Tell these clients to stop at once."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BeginSettling:
    """Everything that clients will report is stored: wait for monitoring."""


@dataclass(frozen=True, slots=True)
class Note:
    """A message for the user. In `text`, ``{clients}``, ``{servers}`` and ``{detail}`` stand for the values,
    ``{server[0]}`` for a single one."""

    severity: Literal["info", "warning", "error"]
    text: str
    clients: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    detail: str = ""

    def sentence(self, name_of: Callable[[str], str]) -> str:
        """The text with the names of clients and servers from `name_of`."""
        servers = list(map(name_of, self.servers))
        return self.text.format(
            clients=", ".join(map(name_of, self.clients)),
            servers=", ".join(servers),
            server=servers,
            detail=self.detail,
        )


Command = Start | HandOut | End | AbortJobs | BeginSettling | Note | HeldUp | Relieved


@dataclass(slots=True)
class _Client:
    present: bool = True
    ready: bool = False
    dropped: bool = False
    """It has no workers for this job and will not get any."""
    lost: bool = False
    """It reported this itself, after it had been ready."""
    undone: set[int] = field(default_factory=set)
    """Rounds that it was handed and has not reported as done."""
    journal_last: int | None = None
    stored: int = 0

    @property
    def usable(self) -> bool:
        return self.present and self.ready and not self.dropped

    @property
    def finished(self) -> bool:
        return self.dropped or (self.journal_last is not None and self.stored >= self.journal_last)


class Repeat:
    """See the module. Methods return the commands that follow; `deadline` is when to call `advance` at the latest."""

    def __init__(
        self,
        clients: Iterable[str],
        servers: Collection[str],
        *,
        rounds: int,
        wait: float,
        start_limit: float = 60.0,
        end_limit: float = 60.0,
        patience: float = 60.0,
        silence_limit: float = 90.0,
    ) -> None:
        self.state = State.NEW
        self.round = 0
        self.outcome: Literal["complete", "stopped", "aborted", "failed", "incomplete"] = "complete"
        self.deadline: float | None = None
        self.given_up: tuple[str, ...] = ()
        """Servers that did not get all planned requests because they no longer answered."""
        self._wait = wait
        self._limits = (start_limit, end_limit, patience)
        self._silence_limit = silence_limit
        self._clients = {name: _Client() for name in clients}
        self._planned = rounds
        self._next = dict.fromkeys(servers, 1)
        """By server, its next part."""
        self._hold_ups = HoldUps(servers)
        self._awaited: set[str] = set()
        self._excused: dict[str, tuple[str, ...]] = {}
        """Awaited clients that only wait for silent servers, with these servers."""
        self._handed = 0
        """The newest round that was handed out."""
        self._cut = False
        """Clients that did not end in time were told to stop at once."""
        self._stopping = False
        self._stranded = False

    # ---- queries of the runner

    @property
    def clients(self) -> tuple[str, ...]:
        """Clients that take part or took part."""
        return tuple(self._clients)

    @property
    def rounds(self) -> int:
        """The number of rounds: as planned, and more if a server was left out of some."""
        return self.round + max((self._planned + 1 - part for part in self._next.values()), default=0)

    @property
    def silent(self) -> tuple[str, ...]:
        """Servers that do not answer, as shown to the user."""
        return self._hold_ups.silent

    @property
    def silences(self) -> dict[str, float]:
        """When each of these servers last answered, on the clock of the events."""
        return self._hold_ups.silences

    def waits_for_servers(self, client: str) -> bool:
        """Whether `silence` must be called when all servers of this client answer."""
        return self._hold_ups.concerns(client)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The clients whose answer the current state waits for."""
        if self.state is State.STARTING:
            return tuple(n for n, c in self._clients.items() if not c.ready and not c.dropped)
        if self.state is State.ENDING:
            return tuple(n for n, c in self._clients.items() if c.present and c.ready and not c.finished)
        return tuple(sorted(self._awaited)) if self.state is State.ROUND else ()

    @property
    def present(self) -> tuple[str, ...]:
        """The clients that have a session, as far as is known, and take part."""
        return tuple(n for n, c in self._clients.items() if c.present and not c.dropped)

    @property
    def lost(self) -> tuple[str, ...]:
        """Clients that took part and have lost their workers: what they had not begun will never be done."""
        return tuple(n for n, c in self._clients.items() if c.lost)

    def _move(self, state: State) -> None:
        log.debug("= the repeat is in %s, round %d", state.name, self.round)
        self.state = state

    # ---- events

    def begin(self, now: float) -> list[Command]:
        """The repeat begins."""
        assert self.state is State.NEW
        self._move(State.STARTING)
        self.deadline = now + self._limits[0]
        return [Start(self.clients), *self._start_over(now)]

    def ready(self, client: str, now: float, error: str = "") -> list[Command]:
        """A client's workers are ready, or `error` says why they are not."""
        member = self._clients.get(client)
        if member is None or self.state is State.OVER:
            return []
        notes: list[Command] = []
        if error:
            if not member.dropped:
                text = "{clients} no longer takes part in this repeat: {detail}"
                notes.append(Note("error", text, (client,), detail=error))
            member.dropped = True
            member.lost = member.lost or member.ready
            member.ready = False
            self._not_awaited(client)
            notes += self._hold_ups.gone(client, now)
        else:
            member.ready = True
        return notes + self._go_on(now)

    def handed(self, number: int, clients: Iterable[str], parts: Mapping[str, int], now: float) -> list[Command]:
        """Round `number` was sent to these clients: they have something to do."""
        assert self.state is State.ROUND
        assert number == self.round
        self._handed = number
        for server, part in parts.items():
            self._next[server] = part + 1
        for client in clients:
            member = self._clients[client]
            member.undone.add(number)
            if member.usable:
                self._awaited.add(client)
        return self._round_over(now)

    def round_done(self, client: str, number: int, now: float) -> list[Command]:
        """A client has done its part of a round. A repetition changes nothing."""
        member = self._clients.get(client)
        if member is None or number not in member.undone:
            return []
        member.undone.discard(number)
        self._hold_ups.done(client, number)
        if number == self.round:
            self._not_awaited(client)
        return self._go_on(now)

    def silence(
        self, client: str, number: int, servers: Mapping[str, Waiting], others: int, now: float
    ) -> list[Command]:
        """A client reports which servers do not answer it, see `agent.messages.Silence`; none: all of them answer."""
        member = self._clients.get(client)
        if member is None or not member.usable or self.state in (State.SETTLING, State.OVER):
            return []
        commands: list[Command] = [*self._hold_ups.told(client, number, servers, others, now)]
        known = tuple(server for server in servers if server in self._next)
        if client in self._awaited and number == self.round and known and not others:
            self._excused[client] = known
        else:
            self._excused.pop(client, None)
        if self.state is State.HELD:
            self.deadline = max(self.deadline or now, self._hold_ups.heard + self._silence_limit)
        return commands + self._go_on(now)

    def _not_awaited(self, client: str) -> None:
        self._awaited.discard(client)
        self._excused.pop(client, None)

    def repeat_done(self, client: str, journal_last: int, now: float) -> list[Command]:
        """A client's workers have ended; its journal of this job ends with line `journal_last`."""
        member = self._clients.get(client)
        if member is None:
            return []
        member.journal_last = journal_last
        self._not_awaited(client)
        return [*self._hold_ups.gone(client, now), *self._go_on(now)]

    def stored(self, client: str, last: int, now: float) -> list[Command]:
        """Lines of a client's journal are stored up to `last`."""
        member = self._clients.get(client)
        if member is None:
            return []
        member.stored = max(member.stored, last)
        return self._ending_over(now) if self.state is State.ENDING else []

    def missing(self, client: str, now: float) -> list[Command]:
        """A client has missed its heartbeats or its session ended."""
        member = self._clients.get(client)
        if member is None or not member.present or self.state in (State.SETTLING, State.OVER):
            return []
        member.present = False
        self._not_awaited(client)
        text = "{clients} is missing; what it has not reported stays pending until it is back."
        note = Note("warning", text, (client,))
        return [note, *self._hold_ups.gone(client, now), *self._go_on(now)]

    def back(self, client: str, now: float, *, has_job: bool) -> list[Command]:
        """A client has a session again, with or without the workers of this job."""
        member = self._clients.get(client)
        if member is None:
            return []
        if self.state in (State.SETTLING, State.OVER) and has_job:
            return [End((client,))]
        if member.ready and not has_job and member.journal_last is None and self.state is not State.ENDING:
            member.present = True
            return self.ready(client, now, "it was restarted and lost its workers; its requests are interrupted")
        if self.state in (State.SETTLING, State.OVER):
            return []
        commands: list[Command] = [] if member.present else [Note("info", "{clients} is back.", (client,))]
        member.present = True
        # Messages sent into the lost session may be lost; a repetition changes nothing.
        if self.state is State.STARTING and not member.ready:
            commands.append(Start((client,)))
        elif self.state is State.ROUND and self.round in member.undone:
            self._awaited.add(client)
        elif self.state is State.ENDING and not member.finished:
            commands.append(End((client,)))
        return commands + self._go_on(now)

    def stop(self, now: float) -> list[Command]:
        """Finish the round under way, then end. All requests handed out are made and scored."""
        if self.state in (State.ENDING, State.SETTLING, State.OVER) or self._stopping:
            return []
        self._stopping = True
        self.outcome = "stopped"
        if self.state is State.ROUND and not self._stranded:
            return []
        return self._end(now)

    def abort(self, now: float) -> list[Command]:
        """Stop at once. Requests under way become interrupted."""
        if self.state in (State.SETTLING, State.OVER):
            return []
        self.outcome = "aborted"
        told = AbortJobs(tuple(n for n, c in self._clients.items() if c.present and not c.dropped))
        self._stopping = self._cut = True
        self._move(State.ENDING)
        self.deadline = now + min(self._limits[1], CUT_LIMIT)
        return [told, *self._ending_over(now)]

    def settled(self) -> None:
        """The wait for monitoring is over, and so is the repeat."""
        assert self.state is State.SETTLING
        self._move(State.OVER)
        self.deadline = None

    def advance(self, now: float) -> list[Command]:
        """Let time pass: check time limits and the pause between rounds."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is State.STARTING:
            late = [n for n, c in self._clients.items() if not c.ready and not c.dropped]
            notes: list[Command] = []
            for client in late:
                self._clients[client].dropped = True
                text = "{clients} did not start its workers in {detail} s and takes no part in this repeat."
                notes.append(Note("error", text, (client,), detail=f"{self._limits[0]:g}"))
            return notes + self._start_over(now)
        if self.state is State.PAUSE:
            return self._next_round(now)
        if self.state is State.ROUND and self._stranded:
            self.outcome = "failed"
            gone = Note("error", f"No client has come back for {self._limits[2]:g} s; the repeat ends early.")
            return [gone, *self._end(now)]
        if self.state is State.HELD:
            return self._give_up_servers(now)
        if self.state is State.ENDING:
            late = list(self.awaited)
            if self._hold_ups.held and not self._cut:  # they wait for servers, and report it when they are told to stop
                self._cut = True
                self.deadline = now + CUT_LIMIT
                text = "{clients} still waits for {servers}; the wait is ended."
                return [Note("warning", text, tuple(late), self._hold_ups.held), AbortJobs(tuple(late))]
            for client in late:
                self._clients[client].dropped = True
            text = "{clients} did not end in time; unreported requests stay pending."
            return [Note("warning", text, tuple(late)), *self._ending_over(now)]
        return []

    # ---- transitions

    def _go_on(self, now: float) -> list[Command]:
        match self.state:
            case State.STARTING:
                return self._start_over(now)
            case State.ROUND:
                return self._next_round(now, again=True) if self._stranded else self._round_over(now)
            case State.HELD:
                return self._after_round(now)
            case State.ENDING:
                return self._ending_over(now)
            case _:
                return []

    def _start_over(self, now: float) -> list[Command]:
        if any(not c.ready and not c.dropped for c in self._clients.values()):
            return []
        if not any(c.usable for c in self._clients.values()):
            self.outcome = "failed"
            return [Note("error", "No client could start its workers."), *self._end(now)]
        return self._next_round(now)

    def _next_round(self, now: float, *, again: bool = False) -> list[Command]:
        able = tuple(n for n, c in self._clients.items() if c.usable)
        parts = self._parts()
        if not again:
            self.round += 1
        self._move(State.ROUND)
        if not able:
            if all(c.dropped for c in self._clients.values()):
                self.outcome = "failed"
                return [Note("error", "No client is left to continue with."), *self._end(now)]
            if not self._stranded:
                self._stranded = True
                self.deadline = now + self._limits[2]
            return []
        self._stranded = False
        self.deadline = None
        return [HandOut(self.round, able, parts)]

    def _parts(self) -> dict[str, int]:
        """The next round: the next part of every server that is not held and has one."""
        held = self._hold_ups.held
        return {name: part for name, part in self._next.items() if part <= self._planned and name not in held}

    def _round_over(self, now: float) -> list[Command]:
        if self._stranded or self._handed != self.round or not self._awaited <= self._excused.keys():
            return []
        for client, servers in self._excused.items():
            self._hold_ups.hold(servers, client, self.round)
        self._awaited.clear()
        self._excused.clear()
        return self._end(now) if self._stopping else self._after_round(now)

    def _after_round(self, now: float) -> list[Command]:
        if self._parts():
            self._move(State.PAUSE)
            self.deadline = now + self._wait
            return self.advance(now)
        if not self._hold_ups.held:
            return self._end(now)
        if self.state is not State.HELD:
            self._move(State.HELD)
            self.deadline = now + self._silence_limit
        return []

    def _give_up_servers(self, now: float) -> list[Command]:
        """Only silent servers are left, and their time is up."""
        self.outcome = "incomplete"
        left = []
        self.given_up = self._hold_ups.held
        for place, server in enumerate(self.given_up):
            parts = self._planned + 1 - self._next[server]
            rest = f", and {parts} of its {self._planned} parts are not asked for" if parts else ""
            left.append(f"{{server[{place}]}} did not answer in the end: what waits for it is cut short{rest}.")
        told = AbortJobs(tuple(n for n, c in self._clients.items() if c.present and not c.dropped))
        text = f"{' '.join(left)} Nothing else was left to do for {self._silence_limit:g} s."
        self._stopping = self._cut = True
        self._move(State.ENDING)
        self.deadline = now + CUT_LIMIT
        return [Note("error", text, servers=self.given_up), told, *self._ending_over(now)]

    def _end(self, now: float) -> list[Command]:
        self._move(State.ENDING)
        self.deadline = now + self._limits[1]
        told = tuple(n for n, c in self._clients.items() if c.present and not c.dropped)
        return [*([End(told)] if told else []), *self._ending_over(now)]

    def _ending_over(self, now: float) -> list[Command]:
        started = [c for c in self._clients.values() if c.ready and not c.dropped]
        if any(c.present and not c.finished for c in started):
            return []
        self._move(State.SETTLING)
        self.deadline = None
        return [*self._hold_ups.over(now), BeginSettling()]
