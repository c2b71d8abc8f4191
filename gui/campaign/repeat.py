"""One repeat of a test as a state machine: events go in, commands come out; the time is an argument.

    new → starting → round ⇄ pause → (held) → ending → settling → over
                        ⇅ (paused)

*starting*: every chosen client is told to start its workers and answers. *round*: clients make what was handed out.
*pause*: nothing is under way, and the next part of a server is due later. *held*: everything left waits for servers
that do not answer. *paused*: by the owner of the run; nothing is handed out until it is resumed. *ending*: clients stop
their workers, and their journals are stored to the last line. *settling* belongs to `gui.campaign.settle`; the runner
calls `settled` when it is done.

A missing client is not waited for: what it was given stays pending and is given to nobody else. It takes part again in
the next round after it is back. If it was restarted and lost its workers, it is told to start new ones; what it had
begun is interrupted, and what it had not begun it is given again (`restarted`). When no client is left, the repeat
waits `patience` seconds for one to come back, then goes on to its end. A client that has work and does none of it for
`round_limit` seconds although it is there is told to stop, and takes no further part.

Each server has rounds of its own (see `parts`), so one that does not answer delays only itself. Where the plan asks for
a barrier, all servers wait for it, for at most `leave_out` seconds; then rounds continue without it until what waits
for it is done. When only silent servers are left and none of them responds for `silence_limit` seconds, the repeat ends
without their remaining parts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from gui.campaign.holdups import HeldUp, HoldUps, Relieved, Waiting
from gui.campaign.parts import Parts

log = logging.getLogger("tally.campaign")

CUT_LIMIT = 15.0
"""Seconds for clients to end after they were told to stop at once."""
LOST_WORKERS: Final = "it was restarted and lost its workers; its requests are interrupted"
WATCH_SECONDS: Final = 5.0
"""How often it is looked whether clients do what they were given."""


class State(Enum):
    """The state of a repeat."""

    NEW = "new"
    STARTING = "starting"
    ROUND = "round"
    PAUSE = "pause"
    HELD = "held"
    PAUSED = "paused"
    ENDING = "ending"
    SETTLING = "settling"
    OVER = "over"


_WORKING: Final = (State.ROUND, State.PAUSE, State.HELD, State.PAUSED)


@dataclass(frozen=True, slots=True)
class Start:
    """Tell these clients to start their workers."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandOut:
    """Draw these parts of servers, assign them to these clients, send that as handout `number`, then call `handed`."""

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


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a repeat waits for what, in seconds."""

    start: float = 60.0
    """For clients to start their workers."""
    end: float = 60.0
    """For clients to end their jobs."""
    patience: float = 60.0
    """For a client to come back, when none is left."""
    silence: float = 90.0
    """For servers that do not answer, when nothing else is left."""
    leave_out: float = 30.0
    """With a barrier: for a server that does not answer, while others wait."""
    round: float = 600.0
    """For a client that is there to do something of what it was given."""


@dataclass(slots=True)
class _Client:
    present: bool = True
    ready: bool = False
    dropped: bool = False
    """It has no workers for this job and will not get any."""
    lost: bool = False
    """It reported this itself, after it had been ready."""
    restarted: bool = False
    """It has lost its workers and was told to start new ones; it was not given again what it had not begun."""
    until: float = 0.0
    """How long the end of the repeat waits for that."""
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
        barrier: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.state = State.NEW
        self.handouts = 0
        """How many there were."""
        self.outcome: Literal["complete", "stopped", "aborted", "failed", "incomplete"] = "complete"
        self.deadline: float | None = None
        self.given_up: tuple[str, ...] = ()
        """Servers that did not get all planned requests because they no longer answered."""
        self.paused = False
        """By the owner: nothing is handed out."""
        self.recalled = False
        """Another program began it: `go_on` takes the place of `begin`."""
        self._limits = limits or Limits()
        self._barrier = barrier
        self._clients = {name: _Client() for name in clients}
        self._parts = Parts(servers, planned=rounds, wait=wait, barrier=barrier)
        self._hold_ups = HoldUps(servers, wait=barrier)
        self._handing = False
        """A handout is being prepared."""
        self._cut = False
        """Clients that did not end in time were told to stop at once."""
        self._stopping = False
        self._stranded: float | None = None
        """When the patience for clients to come back is over, while none is there."""
        self._held = 0.0
        """When it began that everything left waits for silent servers."""
        self._watch = 0.0
        """When to look again whether clients do what they were given."""

    # ---- queries of the runner

    @property
    def clients(self) -> tuple[str, ...]:
        """Clients that take part or took part."""
        return tuple(self._clients)

    @property
    def rounds(self) -> int:
        """The number of rounds of each server."""
        return self._parts.planned

    @property
    def span(self) -> tuple[int, int]:
        """The rounds in which the servers are: of the one that is furthest behind, and of the one furthest ahead."""
        return self._parts.span

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
        return self._parts.waiting() if self.state in _WORKING else ()

    @property
    def stranded(self) -> bool:
        """Whether no client is there to do anything."""
        return self._stranded is not None and self.state is State.ROUND

    @property
    def present(self) -> tuple[str, ...]:
        """The clients that have a session, as far as is known, and take part."""
        return tuple(n for n, c in self._clients.items() if c.present and not c.dropped)

    @property
    def lost(self) -> tuple[str, ...]:
        """Clients that took part and have lost their workers: what they had not begun will never be done."""
        return tuple(n for n, c in self._clients.items() if c.lost)

    def _move(self, state: State) -> None:
        if state is not self.state:
            log.debug("= the repeat is in %s, rounds %d to %d", state.name, *self.span)
        self.state = state

    # ---- events

    def begin(self, now: float) -> list[Command]:
        """The repeat begins."""
        assert self.state is State.NEW
        self._move(State.STARTING)
        self.deadline = now + self._limits.start
        return [Start(self.clients), *self._start_over(now)]

    def recall(
        self,
        ready: Collection[str],
        handed: Mapping[str, int],
        left: Mapping[str, Mapping[tuple[str, int], int]],
        now: float,
    ) -> None:
        """Another program began it, and has ended without a word: these clients were ready, so many parts of each
        server were handed out, and this is left of them, by client, server and handout. Then call `go_on`."""
        assert self.state is State.NEW
        for name in ready:
            self._clients[name].ready = True
        self.handouts = sum(handed.values())
        self._parts.go_on(handed, left, now)
        self.recalled = True

    def go_on(self, here: Mapping[str, bool], now: float) -> list[Command]:
        """Instead of `begin`, after `recall`. `here`: the clients that have a session, and whether they still have
        the workers of this job. At the end of a repeat, they may have ended them already."""
        assert self.state is State.NEW
        commands: list[Command] = []
        for name, member in self._clients.items():
            if name not in here:
                commands += self.missing(name, now)
            elif member.ready and not here[name] and self._parts.unfinished:
                commands += self._begin_anew(name, now)
        self._watch = now + WATCH_SECONDS
        self._move(State.PAUSE)
        return [*commands, *self._go_on(now)]

    def ready(self, client: str, now: float, error: str = "") -> list[Command]:
        """A client's workers are ready, or `error` says why they are not."""
        member = self._clients.get(client)
        if member is None or self.state is State.OVER:
            return []
        if not error:
            member.ready = True
            return self._go_on(now)
        notes: list[Command] = []
        if not member.dropped:
            text = "{clients} no longer takes part in this repeat: {detail}"
            notes.append(Note("error", text, (client,), detail=error))
        member.lost = member.lost or member.ready
        member.ready = False
        return [*notes, *self._drop(client, now), *self._go_on(now)]

    def _drop(self, client: str, now: float) -> list[Command]:
        self._clients[client].dropped = True
        self._parts.away(client, now)
        return [*self._hold_ups.gone(client, now)]

    def handed(
        self, number: int, parts: Mapping[str, int], shares: Mapping[str, Mapping[str, int]], now: float
    ) -> list[Command]:
        """Handout `number` was sent: each of these clients has so many requests to make to each server."""
        assert self._handing
        assert number == self.handouts
        self._handing = False
        self._parts.hand(number, parts, shares, now)
        return self._go_on(now)

    def made(self, client: str, counts: Mapping[tuple[str, int], int], now: float) -> list[Command]:
        """A client has made so many of the requests that it was handed: `counts` by (server, handout)."""
        self._parts.made(client, counts, now)
        return self._go_on(now)

    def silence(self, client: str, servers: Mapping[str, Waiting], now: float) -> list[Command]:
        """A client reports which servers do not answer it, see `agent.messages.Silence`; none: all of them answer."""
        member = self._clients.get(client)
        if member is None or not member.usable or self.state in (State.SETTLING, State.OVER):
            return []
        return [*self._hold_ups.told(client, servers, now), *self._go_on(now)]

    def reports_wait(self, client: str, now: float) -> None:
        """A client has journal lines that are not stored yet: it is not to blame if nothing is heard of its work."""
        self._parts.reports_wait(client, now)

    def repeat_done(self, client: str, journal_last: int, now: float) -> list[Command]:
        """A client's workers have ended; its journal of this job ends with line `journal_last`."""
        member = self._clients.get(client)
        if member is None:
            return []
        member.journal_last = journal_last
        self._parts.away(client, now)
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
        self._parts.away(client, now)
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
        had = member.ready or (member.restarted and not member.dropped)
        if had and not has_job and member.journal_last is None and self.state is not State.ENDING:
            return self._begin_anew(client, now)
        if self.state in (State.SETTLING, State.OVER):
            return []
        commands: list[Command] = [] if member.present else [Note("info", "{clients} is back.", (client,))]
        member.present = True
        if not member.dropped and member.journal_last is None and not member.restarted:
            self._parts.here(client, now)
        # Messages sent into the lost session may be lost; a repetition changes nothing.
        if self.state is State.STARTING and not member.ready:
            commands.append(Start((client,)))
        elif self.state is State.ENDING and not member.finished:
            commands.append(End((client,)))
        return commands + self._go_on(now)

    def _begin_anew(self, client: str, now: float) -> list[Command]:
        """A client was restarted and has lost its workers: it starts new ones."""
        member = self._clients[client]
        member.present = True
        if self.state in (State.SETTLING, State.OVER):
            return self.ready(client, now, LOST_WORKERS)
        member.ready, member.restarted, member.until = False, True, now + self._limits.start
        self._parts.away(client, now)
        text = (
            "{clients} was restarted and lost its workers: what it had begun is interrupted, with the rest it goes on."
        )
        return [
            Note("warning", text, (client,)),
            Start((client,)),
            *self._hold_ups.gone(client, now),
            *self._go_on(now),
        ]

    @property
    def restarted(self) -> tuple[str, ...]:
        """Clients with new workers that wait for what their old ones had not begun; then call `given_again`."""
        return tuple(n for n, c in self._clients.items() if c.restarted and c.usable)

    def given_again(self, client: str, now: float) -> list[Command]:
        """A restarted client has been sent again what it had not begun."""
        self._clients[client].restarted = False
        self._parts.here(client, now)
        return self._go_on(now)

    def pause(self, now: float) -> list[Command]:
        """Hand nothing out until `resume`; what was handed out is made."""
        self.paused = True
        return self._go_on(now)

    def resume(self, now: float) -> list[Command]:
        """Go on after `pause`: what is due is handed out at once."""
        self.paused = False
        return self._go_on(now)

    def stop(self, now: float) -> list[Command]:
        """Finish the rounds under way, then end. All requests handed out are made and scored."""
        if self.state in (State.ENDING, State.SETTLING, State.OVER) or self._stopping:
            return []
        self._stopping = True
        self.outcome = "stopped"
        return self._go_on(now) if self.state in _WORKING else self._end(now)

    def abort(self, now: float) -> list[Command]:
        """Stop at once. Requests under way become interrupted."""
        if self.state in (State.SETTLING, State.OVER):
            return []
        self.outcome = "aborted"
        told = AbortJobs(self.present)
        self._stopping = self._cut = True
        self._move(State.ENDING)
        self.deadline = now + min(self._limits.end, CUT_LIMIT)
        return [told, *self._ending_over(now)]

    def settled(self) -> None:
        """The wait for monitoring is over, and so is the repeat."""
        assert self.state is State.SETTLING
        self._move(State.OVER)
        self.deadline = None

    def advance(self, now: float) -> list[Command]:
        """Let time pass: check time limits and what is due."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is State.STARTING:
            return self._start_late(now)
        if self.state is State.ENDING:
            return self._end_late(now)
        return self._go_on(now)

    # ---- transitions

    def _go_on(self, now: float) -> list[Command]:
        match self.state:
            case State.STARTING:
                return self._start_over(now)
            case State.ENDING:
                return self._ending_over(now)
            case State.ROUND | State.PAUSE | State.HELD | State.PAUSED if not self._handing:
                return [*self._stuck(now), *self._work(now)]
            case _:
                return []

    def _start_late(self, now: float) -> list[Command]:
        notes: list[Command] = []
        for client in [n for n, c in self._clients.items() if not c.ready and not c.dropped]:
            text = "{clients} did not start its workers in {detail} s and takes no part in this repeat."
            notes += [Note("error", text, (client,), detail=f"{self._limits.start:g}"), *self._drop(client, now)]
        return notes + self._start_over(now)

    def _start_over(self, now: float) -> list[Command]:
        if any(not c.ready and not c.dropped for c in self._clients.values()):
            return []
        if not any(c.usable for c in self._clients.values()):
            self.outcome = "failed"
            return [Note("error", "No client could start its workers."), *self._end(now)]
        self._watch = now + WATCH_SECONDS
        self._move(State.PAUSE)
        return self._work(now)

    def _work(self, now: float) -> list[Command]:
        """While requests are made: hand out what is due, or wait for what is next."""
        able = tuple(n for n, c in self._clients.items() if c.usable)
        over = self._stopping or not self._parts.unfinished
        owed = [c.until for c in self._clients.values() if c.restarted and c.present and now < c.until]
        if over and owed:  # a client has something left to do
            return self._wait(State.ROUND, now, min(owed))
        if not able:
            return self._strand(now)
        self._stranded = None
        silent = self._silent_parts(now)
        busy = self._parts.open > len(silent)
        if self._stopping:
            return self._wait(State.ROUND, now) if busy else self._end(now)
        if not self._parts.unfinished:
            return self._end(now)
        if self.paused:
            return self._wait(State.ROUND if busy else State.PAUSED, now)
        if parts := self._parts.due(now):
            self.handouts += 1
            self._handing = True
            self._move(State.ROUND)
            self.deadline = None
            return [HandOut(self.handouts, able, parts)]
        if self._parts.unfinished == len(silent):
            return self._hold(silent, now)
        return self._wait(State.ROUND if busy or self._parts.when() is None else State.PAUSE, now, self._parts.when())

    def _silent_parts(self, now: float) -> dict[str, float]:
        """The open servers of which everything that is left waits because they do not answer, and since when. A barrier
        leaves them out when their time is over."""
        quiet = {
            name: since
            for name, (clients, since) in self._hold_ups.quiet().items()
            if self._parts.is_open(name) and self._parts.awaited(name) <= clients
        }
        if self._barrier:
            for name in quiet.keys() - set(self._parts.left_out):
                if now - quiet[name] >= self._limits.leave_out:
                    self._parts.leave_out(name, now)
        return quiet

    def _wait(self, state: State, now: float, until: float | None = None) -> list[Command]:
        self._move(state)
        ends = [self._watch] if until is None else [self._watch, until]
        if self._barrier:
            left_out = [since + self._limits.leave_out for _, since in self._hold_ups.quiet().values()]
            ends += [end for end in left_out if end > now]
        self.deadline = min(ends)
        return []

    def _hold(self, silent: Collection[str], now: float) -> list[Command]:
        if self.state is not State.HELD:
            self._held = now
        self._move(State.HELD)
        self.deadline = max(self._held, self._hold_ups.heard) + self._limits.silence
        return self._give_up_servers(silent, now) if now >= self.deadline else []

    def _strand(self, now: float) -> list[Command]:
        """No client is there to do anything."""
        if all(c.dropped for c in self._clients.values()):
            self.outcome = "failed"
            return [Note("error", "No client is left to continue with."), *self._end(now)]
        if not self._parts.unfinished:
            return self._end(now)
        if self._stopping:
            return self._end(now)
        if self.paused:
            self._stranded = None
            return self._wait(State.PAUSED, now)
        if self._stranded is None:
            self._stranded = now + self._limits.patience
        if now < self._stranded:
            self._move(State.ROUND)
            self.deadline = self._stranded
            return []
        self.outcome = "failed"
        gone = Note("error", f"No client has come back for {self._limits.patience:g} s; the repeat ends early.")
        return [gone, *self._end(now)]

    def _stuck(self, now: float) -> list[Command]:
        """Clients that do nothing of what they were given take no further part."""
        if now < self._watch:
            return []
        self._watch = now + WATCH_SECONDS
        commands: list[Command] = []
        for client in self._parts.stuck(now, self._limits.round):
            text = (
                "{clients} has done nothing of what it was given for {detail} s although it is connected: it is told "
                "to stop, and takes no further part in this repeat. What it has not reported stays pending."
            )
            commands.append(Note("error", text, (client,), detail=f"{self._limits.round:.0f}"))
            commands += [AbortJobs((client,)), *self._drop(client, now)]
        return commands

    def _give_up_servers(self, silent: Collection[str], now: float) -> list[Command]:
        """Only silent servers are left, and their time is up."""
        self.outcome = "incomplete"
        left = []
        self.given_up = tuple(sorted(silent))
        for place, server in enumerate(self.given_up):
            parts = self._parts.to_come(server)
            rest = f", and {parts} of its {self._parts.planned} rounds are not asked for" if parts else ""
            left.append(f"{{server[{place}]}} did not answer in the end: what waits for it is cut short{rest}.")
        told = AbortJobs(self.present)
        text = f"{' '.join(left)} Nothing else was left to do for {self._limits.silence:g} s."
        self._stopping = self._cut = True
        self._move(State.ENDING)
        self.deadline = now + CUT_LIMIT
        return [Note("error", text, servers=self.given_up), told, *self._ending_over(now)]

    def _end(self, now: float) -> list[Command]:
        self._move(State.ENDING)
        self.deadline = now + self._limits.end
        told = self.present
        return [*([End(told)] if told else []), *self._ending_over(now)]

    def _end_late(self, now: float) -> list[Command]:
        late = self.awaited
        silent = tuple(sorted(self._hold_ups.quiet()))
        if silent and not self._cut:  # they wait for servers, and report it when they are told to stop
            self._cut = True
            self.deadline = now + CUT_LIMIT
            text = "{clients} still waits for {servers}; the wait is ended."
            return [Note("warning", text, late, silent), AbortJobs(late)]
        for client in late:
            self._clients[client].dropped = True
        text = "{clients} did not end in time; unreported requests stay pending."
        return [Note("warning", text, late), *self._ending_over(now)]

    def _ending_over(self, now: float) -> list[Command]:
        started = [c for c in self._clients.values() if c.ready and not c.dropped]
        if any(c.present and not c.finished for c in started):
            return []
        self._move(State.SETTLING)
        self.deadline = None
        return [*self._hold_ups.over(now), BeginSettling()]
