"""Sources: where datagrams come from. One interface for all, so that the cycle need not know which one it has.

A source returns `Taken` values, each with some `Datagram`s in order, and is told later, by `acknowledge`, that
everything up to that value is safe. What that means depends on the source: a bus forgets the messages, UDP does
nothing. A source handles its own problems (a broker that is away, a receiver that died): it returns nothing meanwhile,
says why in `trouble`, and retries with back-off. Bad input is a `Reject`, counted, never an error.

Times: `Datagram.t` is the arrival in Unix seconds. A source with a captured clock (`captured` is true) replays: there
the time of the datagrams is the only time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class SourceError(Exception):
    """The source cannot work, now or later (no such file, address in use). The text is one sentence for the
    operator."""


class Datagram(NamedTuple):
    """One monitoring datagram. `spool` is None when it came without an id, then `seq` means nothing."""

    data: bytes
    remote: str
    """The sender as the envelope has it: ``IP:PORT``, and the other forms of `collector.wire.userid.split_remote`."""
    t: float
    spool: str | None = None
    seq: int = 0
    shoveler: str | None = None


class Passing(NamedTuple):
    """A captured datagram for another worker: this one uses only its time."""

    t: float


class Reject(NamedTuple):
    """Input that is not a datagram: counted under `reason`, logged as `text` (rate-limited)."""

    reason: str
    text: str


class Taken(NamedTuple):
    """The result of one `take`. `token` is for `acknowledge`; `position` is the position of a file source after it."""

    datagrams: Sequence[Datagram | Passing] = ()
    rejects: Sequence[Reject] = ()
    token: int | None = None
    position: str | None = None
    more: bool = False
    """Probably as much again is waiting, so there is no need to wait for more."""

    def __bool__(self) -> bool:
        return bool(self.datagrams or self.rejects or self.token is not None)


NOTHING = Taken()


class Source(Protocol):
    """Returns datagrams. Belongs to one thread."""

    captured: bool
    """The clock is the datagrams' own `t`: a replay of the past."""
    live: bool
    """Time advances while nothing comes. (False for a replay: there is no time between its datagrams.)"""

    @property
    def ended(self) -> bool:
        """Nothing more will come (the end of a file)."""

    @property
    def trouble(self) -> str:
        """One sentence if the source cannot return anything now, else empty."""

    def take(self, timeout: float) -> Taken:
        """The available datagrams, waiting at most `timeout` seconds for the first; an empty value if there are
        none."""

    def keep_alive(self) -> None:
        """Called instead of `take` while the cycle has no room: keeps the connection's heartbeats going."""

    def acknowledge(self, token: int) -> None:
        """Everything taken up to `token` is safe: its records are published, its state is on disk."""

    def drops(self) -> int:
        """Datagrams lost before they were taken, if the source can count them (UDP); cumulative."""

    def close(self) -> None:
        """Close; unacknowledged datagrams come again if the source supports it. Never raises."""


_LONGEST_SPOOL = 100
_LARGEST_SEQ = 2**63 - 1


def split_id(text: str | None) -> tuple[str | None, int]:
    """(SPOOL, SEQ) of an envelope's id, or (None, 0) for none and for ids of another form."""
    if text is None:
        return None, 0
    spool, _, seq = text.rpartition(":")
    if not spool or len(spool) > _LONGEST_SPOOL or not (seq.isascii() and seq.isdigit()) or len(seq) > 19:
        return None, 0
    number = int(seq)
    return (spool, number) if number <= _LARGEST_SEQ else (None, 0)
