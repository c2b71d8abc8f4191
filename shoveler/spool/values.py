"""What is stored in a spool and read back: plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from shoveler.service.status import Drop, ShovelerSender

OTHERS = "others"
"""The name under which senders are counted together when there are too many to count separately."""


class Input(NamedTuple):
    """How far a file given as input has been taken: bytes from its start."""

    name: str
    position: int


@dataclass(slots=True)
class SpoolTotals:
    """Counters of the whole spool, cumulative since it was created; in the order of the table's columns."""

    received: int = 0
    bytes: int = 0
    confirmed: int = 0
    returned: int = 0
    rejected: int = 0
    oversize: int = 0
    kernel_drops: int = 0


@dataclass(slots=True)
class Draft:
    """Datagrams that will become one block, and what they add to the counters of their senders."""

    remotes: dict[str, int] = field(default_factory=dict)
    """Sender → its index in this block."""
    senders: list[int] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes of the datagrams."""
    arrived: float = 0.0
    """When the first was read (Unix seconds)."""
    counts: dict[str, ShovelerSender] = field(default_factory=dict)
    """What the block adds: received, bytes, by_code, oversize."""
    input: Input | None = None
    """The position in the input file after the last datagram."""

    def __len__(self) -> int:
        return len(self.datagrams)

    def add(self, remote: str, datagram: bytes, code: str, oversize: bool) -> None:
        """Add one datagram."""
        size = len(datagram)
        index = self.remotes.get(remote)
        if index is None:
            index = self.remotes[remote] = len(self.remotes)
            self.counts[remote] = ShovelerSender()
        self.senders.append(index)
        self.datagrams.append(datagram)
        self.size += size
        count = self.counts[remote]
        count.received += 1
        count.bytes += size
        count.by_code[code] = count.by_code.get(code, 0) + 1
        if oversize:
            count.oversize += 1


@dataclass(slots=True)
class Books:
    """What else the next transaction stores. The caller keeps it when a transaction fails, and tries again."""

    counts: dict[str, ShovelerSender] = field(default_factory=dict)
    """Increments of rejected and returned for each sender."""
    confirmed_upto: int = 0
    """All datagrams up to this SEQ are confirmed."""
    drops: list[Drop] = field(default_factory=list)
    """Kernel drops at our sockets since the last time."""
    fragments: list[Drop] = field(default_factory=list)
    """Datagrams that it could not reassemble."""
    sockets: dict[str, int] = field(default_factory=dict)
    """Socket → its drop counter as last seen. Written together with other changes."""
    looked: float = 0.0
    """When the counters of the sockets were last read (Unix seconds); 0: not since the last time. Likewise."""
    refused_from: float = 0.0
    refused_to: float = 0.0
    """When the first and the last of the rejected datagrams in `counts` were read."""
    refused: int = 0
    """Their number."""

    def of(self, remote: str) -> ShovelerSender:
        """The increments of a sender."""
        delta = self.counts.get(remote)
        if delta is None:
            delta = self.counts[remote] = ShovelerSender()
        return delta

    def reject(self, remote: str, reason: str) -> None:
        """Count one datagram of this sender that was not taken."""
        rejected = self.of(remote).rejected
        rejected[reason] = rejected.get(reason, 0) + 1
        self.refused += 1

    def __bool__(self) -> bool:
        return bool(self.counts or self.confirmed_upto or self.drops or self.fragments)


class Block(NamedTuple):
    """A block read back. `first` … `last` are the SEQs of its datagrams."""

    first: int
    last: int
    arrived: float
    remotes: list[str]
    senders: list[int]
    datagrams: list[bytes]
    generation: str
    """The first half of their ids."""


class Generation(NamedTuple):
    """Everything that one start of the receiver took, from SEQ `first` up to the next generation."""

    word: str
    first: int


class Audit(NamedTuple):
    """The books of a spool; `exact` says whether they balance."""

    received: int
    confirmed: int
    spooled: int

    @property
    def exact(self) -> bool:
        return self.received == self.confirmed + self.spooled
