"""The values that the loss ladder reasons about: server processes and their gaps, what took datagrams, one miss.

Times are Unix seconds. A *gap* is a run of numbers of one server process that never came; its *window* is when, by the
server's clock, the missing datagrams were filled. A *loss* is a known cause that took datagrams between two moments:
drops of a socket, refusals of a shoveler, numbers confirmed and never seen. Whether a loss explains a gap is decided by
time and arithmetic (`gui.reconcile.took`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LostAt = Literal[
    "client", "server", "kernel", "fragmentation", "wire", "spool", "queue", "collector", "load", "unknown"
]
LossKind = Literal["refused", "kernel", "fragments", "unseen", "rejected", "restart"]

DEFAULT_DELAY = 90.0
"""Seconds that a server may hold a close back, where the run's environment does not give its intervals."""
SLACK = 1.0
"""Seconds that the clocks of client, server and shoveler may differ."""
PACKET_SECOND = 1.0
"""Packets have whole seconds: what happened in the second `end` may have happened up to this much later."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time between two moments, both included."""

    begin: float
    end: float

    def meets(self, other: Span) -> bool:
        """Whether they overlap."""
        return self.begin <= other.end and other.begin <= self.end

    def holds(self, moment: float) -> bool:
        """Whether `moment` is inside."""
        return self.begin <= moment <= self.end


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """`missing` numbers of one class after number `after`. `t_min`, `t_max`: arrival of its neighbours at a collector.

    `kind`: ``F`` (opens and closes), ``M`` (logins and names), ``FM`` (both share one counter), or another that file
    records do not need. `begin` and `end`: packet time, 0 when it is not known. `sure` False: perhaps nothing is
    missing, because what looks like one counter may be two."""

    kind: str
    after: int
    missing: int
    t_min: float
    t_max: float
    begin: float = 0.0
    end: float = 0.0
    sure: bool = True

    @property
    def window(self) -> Span:
        """When the missing events happened, as exactly as is known."""
        begin = self.begin or self.t_min
        end = self.end + PACKET_SECOND if self.end else self.t_max
        return Span(begin - SLACK, max(begin, end) + SLACK)


@dataclass(frozen=True, slots=True)
class Process:
    """One server process. `sender`: ``IP:PORT`` of its datagrams. `port`: where it serves, 0: unknown.

    `clock`: its own time in the newest f-stream datagram received, 0: unknown. `ended`: when a newer process of the
    same server was first reported, 0: it is the newest."""

    server: str
    stod: int
    sender: str = ""
    host: str = ""
    port: int = 0
    last: float = 0.0
    ended: float = 0.0
    clock: float = 0.0
    gaps: tuple[SequenceGap, ...] = ()

    @property
    def key(self) -> tuple[str, int, str]:
        """What identifies it: clones on two hosts may share the first two."""
        return self.server, self.stod, self.address

    @property
    def address(self) -> str:
        """The IP address of `sender`."""
        return self.sender.rpartition(":")[0].strip("[]")


@dataclass(frozen=True, slots=True)
class Loss:
    """A cause that took datagrams of a path. `count` None: not counted. `sender` empty: of any sender."""

    kind: LossKind
    span: Span
    count: int | None
    sender: str = ""
    words: str = ""
    """The reason, as the counter names it."""
    sure: bool = True
    """False: the numbers say so, but a collector may have seen the datagrams and lost its state."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Datagrams that are still in transit, in order: everything that came after `since` is among them."""

    count: int
    since: float
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Path:
    """What is known about the path of datagrams through one shoveler. `told`: from its first to its last status."""

    shoveler: str
    told: Span
    losses: tuple[Loss, ...] = ()
    spooled: Waiting | None = None
    """Taken and not confirmed."""
    queued: Waiting | None = None
    """Confirmed, and not yet reached by any collector."""
    returned: int = 0
    oversize: Mapping[str, float] = field(default_factory=dict)
    """By sender, the share of its f-stream datagrams that were too large for one frame; absent: none."""
    taken: int = 0
    """Datagrams of all senders between the first and the last status."""

    @property
    def rate(self) -> float:
        """Datagrams that came in a second, on average."""
        return self.taken / max(1.0, self.told.end - self.told.begin)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of a server's datagrams during the run, for the rungs only. None: not reported."""

    received: int | None = None
    confirmed: int | None = None
    seen: int | None = None
    records: int | None = None
    loaded: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a collector counted for one sender between two statuses: accesses incomplete, datagrams rejected."""

    sender: str
    span: Span
    incomplete: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    """What was wrong with datagrams; of many of them the rest was used all the same."""
    unused: int = 0
    """Datagrams of which nothing was used."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that the run's own plan injected, or a foreign one, and when it was on. `server`: its name; empty: any
    server. `whose`: of a foreign fault, ``run 4``; empty: the plan's own. `percent`: of the datagrams that it loses; 0:
    not known.

    A busy lab takes seconds to inject it. `injected`: when the lab reported that; 0: it did not."""

    do: str
    span: Span
    server: str = ""
    injected: float = 0.0
    whose: str = ""
    percent: float = 0.0

    @property
    def begin(self) -> float:
        """When it began, as far as is known."""
        return self.injected or self.span.begin

    def befalls(self, server: str) -> bool:
        """Whether it can have affected this server."""
        return self.server in ("", server)


@dataclass(frozen=True, slots=True)
class Session:
    """The login of a request: the first request of its tag. `others`: (opened, closed) of the session's other requests
    without a record; `recorded`: how many of its requests have one."""

    login: Span
    recorded: int = 0
    others: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Miss:
    """A request without a final record. `opened` and `closed` are the client's times, if it got that far.

    `delay`: seconds that the server may hold a close back (its ``fstat`` interval and flush time)."""

    opened: float | None = None
    closed: float | None = None
    client_cause: str = ""
    """Why the client failed; empty when it did not."""
    provisional: bool = False
    """There is a provisional record: the collector knows the access but never saw its close."""
    reasons: tuple[str, ...] = ()
    """What that record lacks (``no_close``, ``server_restarted`` …)."""
    behaviours: tuple[str, ...] = ()
    session: Session | None = None
    delay: float = DEFAULT_DELAY
    path: str = ""

    @property
    def done(self) -> float | None:
        """When the client finished it, or else its latest known time."""
        return self.closed if self.closed is not None else self.opened

    @property
    def sent(self) -> Span | None:
        """When the server sent its close, if it did."""
        done = self.done
        return None if done is None else Span(done - SLACK, done + self.delay + PACKET_SECOND + SLACK)
