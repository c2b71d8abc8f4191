"""One repeat of a test on this agent as a state machine: events go in, actions come out; no I/O, the time is an
argument.

    starting → working → ending → stopping → over

*starting*: the workers are being started. *working*: rounds arrive and are done. *ending*: the hub has said that no
round follows; what was handed out is still done. *stopping*: the workers have been told to end, and the caller that did
so (whose call of `stop` returned True) reports when they have. *over*: all is reported, or the workers never started.

A round is done when each of its requests has its done line in the journal. A request is never handed out twice, even if
the hub sends it again: it would be recorded twice.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from agent.messages import Awaited, Done, Message, Request, Round, RoundDone, Silence, Started, StartRepeat

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
class Say:
    """Report to the hub, once the journal's lines up to `after` have been sent."""

    message: Message
    after: int = 0


@dataclass(frozen=True, slots=True)
class Complain:
    """Report a problem to a person."""

    text: str


Command = Give | Say | Complain


@dataclass(slots=True)
class _Round:
    """A round: what has been received of it and what is done."""

    number: int
    began: float
    pending: dict[tuple[str, str], Request] = field(default_factory=dict)
    """(tag, path) → request that has no done line yet."""
    complete: bool = False
    """All its messages have been received."""
    failed: int = 0
    report: Say | None = None


class Job:
    """See the module. `last` is always the number of the journal's last line."""

    def __init__(self, order: StartRepeat) -> None:
        self.order = order
        self.state = State.STARTING
        self._end_asked = False
        self._rounds: dict[int, _Round] = {}
        self._round_of: dict[tuple[str, str], int] = {}
        """By (tag, path), for every request that was ever handed out in this job."""
        self._touched: dict[int, _Round] = {}
        """Rounds in which something was done since they were last settled."""
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
        return not any(one.pending for one in self._rounds.values())

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

    def receive(self, message: Round, now: float, last: int) -> list[Command]:
        """A message of a round, possibly repeated after a cut."""
        one = self._rounds.get(message.round)
        if one is not None and one.complete:
            return [] if one.report is None else [one.report]
        slots = self.order.slots
        if any(request.slot >= slots for request in message.requests):
            return [Complain(f"Job {self.name}: round {message.round} names a slot that is not among its {slots}.")]
        if one is None:
            one = self._rounds[message.round] = _Round(message.round, now)
        fresh = []
        for request in message.requests:
            key = (request.tag, request.path)
            if key not in self._round_of:
                self._round_of[key] = message.round
                one.pending[key] = request
                fresh.append(request)
        one.complete = not message.more
        self._touched[one.number] = one
        return [Give(message.round, fresh), *self.settle(now, last)]

    def done(self, line: Done) -> None:
        """A request has its done line. Call `settle` after all lines."""
        number = self._round_of.get((line.tag, line.path))
        if number is None:
            return
        one = self._rounds[number]
        if one.pending.pop((line.tag, line.path), None) is not None:
            one.failed += not line.ok
            self._touched[number] = one

    def settle(self, now: float, last: int) -> list[Say]:
        """Report the rounds that are complete."""
        touched, self._touched = self._touched, {}
        reports = []
        for one in touched.values():
            if one.complete and not one.pending and one.report is None:
                seconds = max(0.0, now - one.began)
                one.report = Say(RoundDone(self.name, one.number, seconds=seconds, failed=one.failed), last)
                reports.append(one.report)
        return reports

    def reports(self) -> list[Say]:
        """Everything that was reported, to be repeated in a new session."""
        return [one.report for one in self._rounds.values() if one.report is not None]

    # ------------------------------------------------------------ workers that die

    def lose(self) -> bool:
        """A worker has died. Returns whether another one may replace it."""
        self._replaced += 1
        return self._replaced <= REPLACEMENTS

    def give_again(self, slots: Collection[int]) -> list[Give]:
        """What the workers of these slots had not done."""
        return [
            Give(one.number, [request for request in one.pending.values() if request.slot in slots])
            for one in self._rounds.values()
        ]

    def left_open(self, unfinished: Iterable[Started], slots: Collection[int] | None = None) -> list[Started]:
        """Which of the journal's unfinished requests are this job's (and of these slots)."""
        return [
            line for line in unfinished if line.job == self.name and (slots is None or self._slot_of(line) in slots)
        ]

    def _slot_of(self, line: Started) -> int | None:
        number = self._round_of.get((line.tag, line.path))
        request = None if number is None else self._rounds[number].pending.get((line.tag, line.path))
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
        waiting = Counter(request.server for one in self._rounds.values() for request in one.pending.values())
        servers = {
            server: Awaited(count, round(silent[server], 1), server in reached)
            for server, count in waiting.items()
            if server in silent
        }
        if not servers:
            return None
        newest = max((one.number for one in self._rounds.values() if one.complete), default=0)
        return Silence(newest, servers, waiting.total() - sum(part.requests for part in servers.values()))
