"""One repeat of a test as a state machine: what happened goes in, what to do comes out; the time is an argument.

    new → starting → round ⇄ pause → ending → settling → over

*starting*: every chosen client is told to start its workers and answers. *round*: each present client was handed its
part and reports when it is done. *pause*: the plan's wait. *ending*: clients stop their workers, and their journals
are stored to the last line. *settling* belongs to `gui.campaign.settle`; the runner calls `settled` when it is done.

A client that is missing is not waited for: what it was given stays pending and is given to nobody else. It takes part
again in the next round after it came back, unless it lost its workers. When nobody is left, the repeat waits
`patience` seconds for someone to come back, then goes on to its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal


class State(Enum):
    """Where a repeat is."""

    NEW = "new"
    STARTING = "starting"
    ROUND = "round"
    PAUSE = "pause"
    ENDING = "ending"
    SETTLING = "settling"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Start:
    """Tell these clients to start their workers."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandOut:
    """Draw and assign round `number` among these clients, send it, then call `handed`."""

    number: int
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Tell these clients that no round follows."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AbortJobs:
    """Tell these clients to stop at once."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """All that clients will report is stored: wait for monitoring."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to show to a person."""

    severity: Literal["info", "warning", "error"]
    text: str


Command = Start | HandOut | End | AbortJobs | Settle | Note


@dataclass(slots=True)
class _Client:
    present: bool = True
    ready: bool = False
    dropped: bool = False
    """It has no workers for this job and never will again."""
    lost: bool = False
    """It said so itself, after it had been ready."""
    done_round: int = 0
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
        *,
        rounds: int,
        wait: float,
        start_limit: float = 60.0,
        end_limit: float = 60.0,
        patience: float = 60.0,
    ) -> None:
        self.state = State.NEW
        self.round = 0
        self.rounds = rounds
        self.outcome: Literal["complete", "stopped", "aborted", "failed"] = "complete"
        self.deadline: float | None = None
        self._wait = wait
        self._limits = (start_limit, end_limit, patience)
        self._clients = {name: _Client() for name in clients}
        self._awaited: set[str] = set()
        self._handed: dict[str, int] = {}
        self._stopping = False
        self._stranded = False

    # ---- what the runner asks

    @property
    def clients(self) -> tuple[str, ...]:
        """Those that take part or took part."""
        return tuple(self._clients)

    @property
    def awaited(self) -> tuple[str, ...]:
        """Whose answer the present state waits for."""
        if self.state is State.STARTING:
            return tuple(n for n, c in self._clients.items() if not c.ready and not c.dropped)
        if self.state is State.ENDING:
            return tuple(n for n, c in self._clients.items() if c.present and c.ready and not c.finished)
        return tuple(sorted(self._awaited)) if self.state is State.ROUND else ()

    @property
    def lost(self) -> tuple[str, ...]:
        """Clients that took part and have no workers any more: what they had not begun will never be done."""
        return tuple(n for n, c in self._clients.items() if c.lost)

    # ---- what happened

    def begin(self, now: float) -> list[Command]:
        """The repeat begins."""
        assert self.state is State.NEW
        self.state = State.STARTING
        self.deadline = now + self._limits[0]
        return [Start(self.clients), *self._start_over(now)]

    def ready(self, client: str, now: float, error: str = "") -> list[Command]:
        """A client's workers stand ready, or `error` says why they do not."""
        member = self._clients.get(client)
        if member is None or self.state is State.OVER:
            return []
        notes: list[Command] = []
        if error:
            if not member.dropped:
                notes.append(Note("error", f"{client} takes no part in this repeat any more: {error}"))
            member.dropped = True
            member.lost = member.lost or member.ready
            member.ready = False
            self._awaited.discard(client)
        else:
            member.ready = True
        return notes + self._go_on(now)

    def handed(self, number: int, clients: Iterable[str], now: float) -> list[Command]:
        """Round `number` was sent to these clients: they have something to do."""
        assert self.state is State.ROUND
        assert number == self.round
        for client in clients:
            self._handed[client] = number
            member = self._clients[client]
            if member.done_round < number and member.usable:
                self._awaited.add(client)
        return self._round_over(now)

    def round_done(self, client: str, number: int, now: float) -> list[Command]:
        """A client has done its part of a round. A repetition, or late word of an earlier round, changes nothing."""
        member = self._clients.get(client)
        if member is None or number <= member.done_round:
            return []
        member.done_round = number
        if self.state is State.ROUND and number == self.round and client in self._awaited:
            self._awaited.discard(client)
            return self._round_over(now)
        return []

    def repeat_done(self, client: str, journal_last: int, now: float) -> list[Command]:
        """A client's workers have ended; its journal of this job ends with line `journal_last`."""
        member = self._clients.get(client)
        if member is None:
            return []
        member.journal_last = journal_last
        self._awaited.discard(client)
        return self._go_on(now)

    def stored(self, client: str, last: int) -> list[Command]:
        """Lines of a client's journal are stored up to `last`."""
        member = self._clients.get(client)
        if member is None:
            return []
        member.stored = max(member.stored, last)
        return self._ending_over() if self.state is State.ENDING else []

    def missing(self, client: str, now: float) -> list[Command]:
        """A client has missed its heartbeats or its session ended."""
        member = self._clients.get(client)
        if member is None or not member.present or self.state in (State.SETTLING, State.OVER):
            return []
        member.present = False
        self._awaited.discard(client)
        note = Note("warning", f"{client} is missing; what it has not reported stays pending until it is back.")
        return [note, *self._go_on(now)]

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
        commands: list[Command] = [] if member.present else [Note("info", f"{client} is back.")]
        member.present = True
        # Whatever was said into the session that broke may be lost; a repetition changes nothing.
        if self.state is State.STARTING and not member.ready:
            commands.append(Start((client,)))
        elif self.state is State.ROUND and self._handed.get(client) == self.round > member.done_round:
            self._awaited.add(client)
        elif self.state is State.ENDING and not member.finished:
            commands.append(End((client,)))
        return commands + self._go_on(now)

    def stop(self, now: float) -> list[Command]:
        """Finish the round under way, then end. The requests handed out are all done and scored."""
        if self.state in (State.ENDING, State.SETTLING, State.OVER) or self._stopping:
            return []
        self._stopping = True
        self.outcome = "stopped"
        if self.state is State.ROUND and not self._stranded:
            return []
        return self._end(now)

    def abort(self, now: float) -> list[Command]:
        """Stop at once. What is under way becomes interrupted."""
        if self.state in (State.SETTLING, State.OVER):
            return []
        self.outcome = "aborted"
        told = AbortJobs(tuple(n for n, c in self._clients.items() if c.present and not c.dropped))
        self._stopping = True
        self.state = State.ENDING
        self.deadline = now + min(self._limits[1], 15.0)
        return [told, *self._ending_over()]

    def settled(self) -> None:
        """Waiting for monitoring is over, and so is the repeat."""
        assert self.state is State.SETTLING
        self.state = State.OVER
        self.deadline = None

    def advance(self, now: float) -> list[Command]:
        """Let time pass: limits of waiting, and the pause between rounds."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is State.STARTING:
            late = [n for n, c in self._clients.items() if not c.ready and not c.dropped]
            notes: list[Command] = []
            for client in late:
                self._clients[client].dropped = True
                text = f"{client} did not start its workers in {self._limits[0]:g} s and takes no part in this repeat."
                notes.append(Note("error", text))
            return notes + self._start_over(now)
        if self.state is State.PAUSE:
            return self._next_round(now)
        if self.state is State.ROUND and self._stranded:
            self.outcome = "failed"
            gone = Note("error", f"No client has come back for {self._limits[2]:g} s; the repeat ends before its time.")
            return [gone, *self._end(now)]
        if self.state is State.ENDING:
            late = list(self.awaited)
            for client in late:
                self._clients[client].dropped = True
            text = f"{', '.join(late)} did not end in time; what was not reported stays pending."
            return [Note("warning", text), *self._ending_over()]
        return []

    # ---- how one state leads to the next

    def _go_on(self, now: float) -> list[Command]:
        match self.state:
            case State.STARTING:
                return self._start_over(now)
            case State.ROUND:
                return self._next_round(now, again=True) if self._stranded else self._round_over(now)
            case State.ENDING:
                return self._ending_over()
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
        if not again:
            self.round += 1
        self.state = State.ROUND
        if not able:
            if all(c.dropped for c in self._clients.values()):
                self.outcome = "failed"
                return [Note("error", "No client is left to go on with."), *self._end(now)]
            if not self._stranded:
                self._stranded = True
                self.deadline = now + self._limits[2]
            return []
        self._stranded = False
        self.deadline = None
        return [HandOut(self.round, able)]

    def _round_over(self, now: float) -> list[Command]:
        if self._awaited or self._stranded or not self._was_handed():
            return []
        if self._stopping or self.round >= self.rounds:
            return self._end(now)
        self.state = State.PAUSE
        self.deadline = now + self._wait
        return self.advance(now)

    def _was_handed(self) -> bool:
        return any(number == self.round for number in self._handed.values())

    def _end(self, now: float) -> list[Command]:
        self.state = State.ENDING
        self.deadline = now + self._limits[1]
        told = tuple(n for n, c in self._clients.items() if c.present and not c.dropped)
        return [*([End(told)] if told else []), *self._ending_over()]

    def _ending_over(self) -> list[Command]:
        started = [c for c in self._clients.values() if c.ready and not c.dropped]
        if any(c.present and not c.finished for c in started):
            return []
        self.state = State.SETTLING
        self.deadline = None
        return [Settle()]
