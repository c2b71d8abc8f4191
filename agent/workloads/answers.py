"""Which calls take too long, and which servers do not answer at all. The time is an argument (monotonic).

The limit depends on the server: a call is *late* when it lasts three times as long as the longest of the last calls of
its kind that this server answered, and at least a second. A server is *silent* when it has answered nothing since the
start of a call that is late or that failed after a long time. One call that hangs while the server answers others is
late and says nothing about the server.

A server is kept *apart* when it is silent, or takes much longer than most servers do. What a server takes is judged by
the others': when all of them are slow, or this machine is, none is apart for that.

Used by all threads of a worker: every method uses only single operations on dictionaries and queues, which need no
lock.
"""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median_low
from typing import Final, NamedTuple

LATE: Final = 1.0
"""No call is late before it has lasted this many seconds; an error that comes sooner is not a missing answer either."""
UNKNOWN_LATE: Final = 5.0
"""The same for a kind of call that this server has never answered."""
TIMES: Final = 3.0
OVERDUE: Final = 0.25
"""Seconds that a call lasts at least before its server is kept apart for it, while other servers answer."""
SLOWER: Final = 0.05
"""Seconds by which a server is slower than most, at least, to be kept apart for that."""
NEVER: Final = float("-inf")
LAST: Final = 8
"""How many answers are remembered for each server and kind of call."""


class Call(NamedTuple):
    """A call in progress."""

    since: float
    doing: str
    server: str


class Answers:
    """The calls in progress in a worker, and how long servers have recently taken to answer."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        """By waiting thread."""
        self._took: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=LAST))
        self._answered: dict[str, float] = {}
        """When each server last answered."""
        self._unanswered: dict[str, float] = {}
        """By server, when the first call without an answer since the last answer began."""

    def begin(self, thread: int, server: str, doing: str, now: float) -> None:
        """A thread starts to wait for a server."""
        self.calls[thread] = Call(now, doing, server)

    def heard(self, thread: int, now: float) -> None:
        """Part of the answer has come: the thread goes on waiting, from now on for the rest."""
        call = self.calls[thread]
        self.calls[thread] = call._replace(since=now)
        self._answered[call.server] = now
        self._unanswered.pop(call.server, None)

    def end(self, thread: int, now: float, *, answered: bool) -> None:
        """The thread has stopped waiting. `answered`: the result comes from the server, even if it is an error."""
        call = self.calls.pop(thread)
        took = now - call.since
        if answered:
            self._took[call.server, call.doing].append(took)
        if answered or took < LATE:
            self._answered[call.server] = now
            self._unanswered.pop(call.server, None)
        else:
            self._unanswered.setdefault(call.server, call.since)

    def late(self, call: Call, now: float) -> bool:
        """Whether the call lasts longer than expected from this server."""
        lately = self._took.get((call.server, call.doing))
        return now - call.since > (max(LATE, TIMES * max(lately.copy())) if lately else UNKNOWN_LATE)

    def apart(self, now: float) -> frozenset[str]:
        """The servers that must not hold up the others: silent ones, slow ones, and those that keep a call waiting."""
        medians = {key: median_low(lately.copy()) for key, lately in self._took.copy().items()}
        usual = _usual(medians)
        overdue = {
            call.server
            for call in list(self.calls.values())
            if now - call.since > max(OVERDUE, TIMES * usual.get(call.doing, UNKNOWN_LATE), self._longest(call))
        }
        answering = {server for server, at in self._answered.copy().items() if now - at <= OVERDUE} - overdue
        kept = set(self.silent(now)) | _slow(medians, usual)
        return frozenset(kept | overdue if len(overdue) < len(answering) else kept)

    def _longest(self, call: Call) -> float:
        lately = self._took.get((call.server, call.doing))
        return TIMES * max(lately.copy()) if lately else 0.0

    def silent(self, now: float) -> dict[str, float]:
        """The servers that do not answer, and for how many seconds."""
        since = dict(self._unanswered)
        for call in list(self.calls.values()):
            if self.late(call, now):
                since[call.server] = min(call.since, since.get(call.server, call.since))
        return {server: now - begun for server, begun in since.items() if self._answered.get(server, NEVER) <= begun}


def _usual(medians: dict[tuple[str, str], float]) -> dict[str, float]:
    """What a call of each kind takes at most servers, from what it takes at each."""
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for (_, doing), took in medians.items():
        by_kind[doing].append(took)
    return {doing: median_low(values) for doing, values in by_kind.items()}


def _slow(medians: dict[tuple[str, str], float], usual: dict[str, float]) -> set[str]:
    """The servers whose calls, one of each kind, take much longer than elsewhere."""
    theirs: defaultdict[str, float] = defaultdict(float)
    elsewhere: defaultdict[str, float] = defaultdict(float)
    for (server, doing), took in medians.items():
        theirs[server] += took
        elsewhere[server] += usual[doing]
    return {
        server for server, took in theirs.items() if took > max(TIMES * elsewhere[server], elsewhere[server] + SLOWER)
    }
