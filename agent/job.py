"""One repeat of a test on this agent as a state machine: events go in, actions come out; no I/O, the time is an
argument.

    starting → working → ending → stopping → over

*starting*: the workers are being started. *working*: rounds arrive and are done. *ending*: the hub has said that no
round follows; what was handed out is still done. *stopping*: the workers have been told to end, and the caller that did
so (whose call of `stop` returned True) reports when they have. *over*: all is reported, or the workers never started.

A request is done when its done line is in the journal, which tells the hub. A request is never handed out twice, even
if the hub sends it again: it would be recorded twice.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from agent.messages import Awaited, Done, Request, Round, Silence, Started, StartRepeat

_log = logging.getLogger(__name__)

REPLACEMENTS: Final = 20
"""How many workers of one job may die and be replaced; beyond that something is wrong with this machine."""


class State(Enum):
    """The state of a job."""

    STARTING = "starting"
    WORKING = "working"
    ENDING = "ending"
    STOPPING = "stopping"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Give:
    """Hand these requests of a round to the workers."""

    round: int
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Complain:
    """Report a problem to a person."""

    text: str


Command = Give | Complain


class Job:
    """See the module."""

    def __init__(self, order: StartRepeat) -> None:
        self.order = order
        self.state = State.STARTING
        self._end_asked = False
        self._pending: dict[int, dict[tuple[str, str], Request]] = {}
        """By round and (tag, path): the requests that have no done line yet."""
        self._round_of: dict[tuple[str, str], int] = {}
        """By (tag, path), for every request that was ever handed out in this job."""
        self._replaced = 0
        self._sampled = 0.0
        """There are samples up to this time (Unix seconds, a whole number except at the job's start or end)."""

    def _move(self, state: State) -> None:
        _log.debug("= job %s is %s", self.name, state.value)
        self.state = state

    @property
    def name(self) -> str:
        """The hub's name for it."""
        return self.order.job

    @property
    def ready(self) -> bool:
        """Whether its workers are ready."""
        return self.state in (State.WORKING, State.ENDING, State.STOPPING)

    @property
    def stopped(self) -> bool:
        """Whether its workers have been told to end."""
        return self.state in (State.STOPPING, State.OVER)

    @property
    def idle(self) -> bool:
        """Whether no request is pending."""
        return not self._pending

    # ------------------------------------------------------------ from start to end

    def stand(self, now: float) -> None:
        """The workers are ready."""
        self._sampled = now
        self._move(State.ENDING if self._end_asked else State.WORKING)

    def end(self) -> bool:
        """The hub says that no round follows. True the first time: then call `stop` as soon as the job is idle."""
        if self._end_asked:
            return False
        self._end_asked = True
        if self.state is State.WORKING:
            self._move(State.ENDING)
        return True

    def stop(self) -> bool:
        """The workers are to end. True for the caller that has to tell them, and then calls `over`."""
        if self.stopped:
            return False
        self._move(State.STOPPING)
        return True

    def over(self) -> None:
        """Everything about it is reported, or its workers could not be started."""
        self._move(State.OVER)

    # ------------------------------------------------------------ rounds

    def receive(self, message: Round) -> list[Command]:
        """A round, possibly repeated after a cut."""
        slots = self.order.slots
        if any(request.slot >= slots for request in message.requests):
            return [Complain(f"Job {self.name}: round {message.round} names a slot that is not among its {slots}.")]
        shares = len(self.order.workloads)
        if any(request.share >= shares for request in message.requests):
            text = f"Job {self.name}: round {message.round} names a workload that is not among its {shares}."
            return [Complain(text)]
        fresh = {(r.tag, r.path): r for r in message.requests if (r.tag, r.path) not in self._round_of}
        if not fresh:
            return []
        self._round_of.update(dict.fromkeys(fresh, message.round))
        self._pending.setdefault(message.round, {}).update(fresh)
        return [Give(message.round, list(fresh.values()))]

    def done(self, line: Done) -> None:
        """A request has its done line."""
        number = self._round_of.get((line.tag, line.path))
        if number is not None and (pending := self._pending.get(number)) is not None:
            pending.pop((line.tag, line.path), None)
            if not pending:
                del self._pending[number]

    # ------------------------------------------------------------ workers that die

    def lose(self) -> bool:
        """A worker has died. Returns whether another one may replace it."""
        self._replaced += 1
        return self._replaced <= REPLACEMENTS

    def give_again(self, slots: Collection[int]) -> list[Give]:
        """What the workers of these slots had not done."""
        return [
            Give(number, [request for request in pending.values() if request.slot in slots])
            for number, pending in self._pending.items()
        ]

    def left_open(self, unfinished: Iterable[Started], slots: Collection[int] | None = None) -> list[Started]:
        """Which of the journal's unfinished requests are this job's (and of these slots)."""
        return [
            line for line in unfinished if line.job == self.name and (slots is None or self._slot_of(line) in slots)
        ]

    def _slot_of(self, line: Started) -> int | None:
        key = (line.tag, line.path)
        request = self._pending.get(self._round_of.get(key, -1), {}).get(key)
        return None if request is None else request.slot

    # ------------------------------------------------------------ samples

    def unsampled(self, measured: float, *, over: bool = False) -> list[tuple[float, float, bool]]:
        """The seconds completely `measured` since the last call, as (since, until, whether it is the newest); when the
        job is `over`, also the rest."""
        stretches = []
        while (end := math.floor(self._sampled) + 1.0) <= measured:
            stretches.append((self._sampled, end, end + 1.0 > measured))
            self._sampled = end
        if over and measured > self._sampled:
            stretches.append((self._sampled, measured, False))
            self._sampled = measured
        return stretches

    def silence(self, silent: Mapping[str, float], reached: Collection[str]) -> Silence | None:
        """The servers that do not answer the workers (`silent`: for how long) and for which requests wait."""
        if not silent:
            return None
        waiting = Counter(request.server for pending in self._pending.values() for request in pending.values())
        servers = {
            server: Awaited(count, round(silent[server], 1), server in reached)
            for server, count in waiting.items()
            if server in silent
        }
        return Silence(servers) if servers else None
