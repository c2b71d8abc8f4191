"""What the loss ladder reasons about: server processes and their gaps, what took datagrams, one miss. Values.

Times are Unix seconds. A *gap* is a run of numbers of one server process that never came; its *window* is when, by the
server's own clock, what is missing happened. A *loss* is something that is known to have taken datagrams between two
moments: drops of a socket, refusals of a shoveler, numbers confirmed and never seen. Whether a gap is due to a loss is
a question of time and arithmetic (`gui.reconcile.took`).
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
"""Seconds that a server may hold a close back, where the run's environment does not tell its intervals."""
SLACK = 1.0
"""Seconds that the clocks of client, server and shoveler may differ."""
PACKET_SECOND = 1.0
"""Packets tell whole seconds: what happened in the second `end` may have happened up to this much later."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, both included."""

    begin: float
    end: float

    def meets(self, other: Span) -> bool:
        """Whether they have a moment in common."""
        return self.begin <= other.end and other.begin <= self.end

    def holds(self, moment: float) -> bool:
        """Whether `moment` is within."""
        return self.begin <= moment <= self.end


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """`missing` numbers of one class after number `after`. `t_min`, `t_max`: arrival of its neighbours at a collector.

    `kind`: ``F`` (opens and closes), ``M`` (logins and names), ``FM`` (both have one counter), or another that file
    records do not need. `begin` and `end`: packet time, 0 when it is not known."""

    kind: str
    after: int
    missing: int
    t_min: float
    t_max: float
    begin: float = 0.0
    end: float = 0.0

    @property
    def window(self) -> Span:
        """When what is missing happened, as well as that can be told."""
        begin = self.begin or self.t_min
        end = self.end + PACKET_SECOND if self.end else self.t_max
        return Span(begin - SLACK, max(begin, end) + SLACK)


@dataclass(frozen=True, slots=True)
class Process:
    """One server process. `sender`: ``IP:PORT`` of its datagrams. `port`: where it serves, 0: unknown.

    `clock`: its own time in its newest f-stream datagram that came, 0: unknown. `ended`: when a newer process of the
    same server was first known of, 0: it is the newest."""

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
        """What tells it from every other: clones on two hosts may share the first two."""
        return self.server, self.stod, self.address

    @property
    def address(self) -> str:
        """The IP address of `sender`."""
        return self.sender.rpartition(":")[0].strip("[]")


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that took datagrams of a path. `count` None: nobody counted. `sender` empty: of any sender."""

    kind: LossKind
    span: Span
    count: int | None
    sender: str = ""
    words: str = ""
    """Why, in the counter's own words."""
    sure: bool = True
    """False: the numbers say so, but a collector may have seen them and lost its state."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Datagrams that are still on their way, in order: everything that came after `since` is among them."""

    count: int
    since: float
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Path:
    """What is known of the way of datagrams through one shoveler. `told`: from its first to its last word."""

    shoveler: str
    told: Span
    losses: tuple[Loss, ...] = ()
    spooled: Waiting | None = None
    """Taken and not confirmed."""
    queued: Waiting | None = None
    """Confirmed, and no collector is that far."""
    returned: int = 0
    oversize: Mapping[str, float] = field(default_factory=dict)
    """By sender, the share of its f-stream datagrams that were too large for one frame; absent: none was."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of a server's datagrams during the run, for the rungs only. None: nobody told."""

    received: int | None = None
    confirmed: int | None = None
    seen: int | None = None
    records: int | None = None
    loaded: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a collector counted of one sender between two of its words: accesses incomplete, datagrams rejected."""

    sender: str
    span: Span
    incomplete: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that the run's own plan injected, and when it was on. `server`: its name; empty: any of them."""

    do: str
    span: Span
    server: str = ""

    def befalls(self, server: str) -> bool:
        """Whether it can have been this server's."""
        return self.server in ("", server)


@dataclass(frozen=True, slots=True)
class Session:
    """The login that a request was made under: the first request of its tag. `others`: (opened, closed) of the
    session's other requests without a record; `recorded`: how many of its requests have one."""

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
    """There is a provisional record: the collector knows the access, but never saw its close."""
    reasons: tuple[str, ...] = ()
    """What that record lacks (``no_close``, ``server_restarted`` …)."""
    behaviours: tuple[str, ...] = ()
    session: Session | None = None
    delay: float = DEFAULT_DELAY
    path: str = ""

    @property
    def done(self) -> float | None:
        """When it was over at the client, or begun at the latest."""
        return self.closed if self.closed is not None else self.opened

    @property
    def sent(self) -> Span | None:
        """When its close was sent by the server, if it was."""
        done = self.done
        return None if done is None else Span(done - SLACK, done + self.delay + PACKET_SECOND + SLACK)
