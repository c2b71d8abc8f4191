"""Which calls take suspiciously long, and which servers do not answer at all. The time is an argument (monotonic).

What is long depends on the server: a call is *late* when it lasts three times as long as the longest of the last calls
of its kind that this server answered, and a second at least. A server is *silent* when it has answered nothing since a
call began that is late, or that came to nothing after long. One call that hangs while the server answers others is late
and says nothing about the server.

Used by all threads of a worker: every method does with single operations on dictionaries and queues, which need no
lock.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final, NamedTuple

LATE: Final = 1.0
"""No call is late before it has lasted so long (seconds); nor is an error that comes sooner a lack of an answer."""
UNKNOWN_LATE: Final = 5.0
"""The same for a kind of call that this server has not answered yet."""
TIMES: Final = 3.0
NEVER: Final = float("-inf")
LAST: Final = 8
"""So many answers are remembered, for each server and kind of call."""


class Call(NamedTuple):
    """A call under way."""

    since: float
    doing: str
    server: str


class Answers:
    """The calls under way in a worker, and how long servers have lately taken to answer."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        """By the thread that waits."""
        self._took: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=LAST))
        self._answered: dict[str, float] = {}
        """When each server last answered."""
        self._unanswered: dict[str, float] = {}
        """By server, when the first call began that came to nothing since the last answer."""

    def begin(self, thread: int, server: str, doing: str, now: float) -> None:
        """A thread begins to wait for a server."""
        self.calls[thread] = Call(now, doing, server)

    def end(self, thread: int, now: float, *, answered: bool) -> None:
        """It waits no more. `answered`: what it has comes from the server, be it a refusal."""
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
        """Whether the call lasts longer than can be expected of this server."""
        lately = self._took.get((call.server, call.doing))
        return now - call.since > (max(LATE, TIMES * max(lately.copy())) if lately else UNKNOWN_LATE)

    def silent(self, now: float) -> dict[str, float]:
        """The servers that do not answer, with the seconds for which they have not."""
        since = dict(self._unanswered)
        for call in list(self.calls.values()):
            if self.late(call, now):
                since[call.server] = min(call.since, since.get(call.server, call.since))
        return {server: now - begun for server, begun in since.items() if self._answered.get(server, NEVER) < begun}
