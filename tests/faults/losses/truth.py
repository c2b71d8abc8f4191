"""What the injector's log proves of each request, and how an explanation compares with it. Pure.

The log (`agent.lab.ledger`, kept whole) tells for every datagram whether it passed the relay, and which logins, opens
and closes were in it. What became of it afterwards is told by the *tap*, a queue of our own beside the collector's:
what is not in it was never confirmed by the broker. The monitoring's own words are asked for nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from agent.lab.ledger import Datagram, Deed, Entry, Overrun

STAGE = {"udp-loss": "kernel", "wire-loss": "wire", "fragment-loss": "fragmentation"}
"""Where a fault of the relay loses a datagram, in the words of the loss ladder."""


@dataclass(frozen=True, slots=True)
class After:
    """What became of datagrams behind the relay, by digest."""

    tapped: Set[str]
    """Confirmed by the broker."""
    purged: Set[str] = frozenset()
    """Taken out of the collector's queue."""
    since: float = 0.0
    """When the tap was made: it says nothing of datagrams before (Unix seconds)."""
    later: frozenset[str] = frozenset()
    """Where a request was lost of which every datagram has reached the collector's queue."""


@dataclass(slots=True)
class _Held:
    """The datagrams that held a request's parts."""

    logins: list[Datagram] = field(default_factory=list)
    opens: list[Datagram] = field(default_factory=list)
    closes: list[Datagram] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Told:
    """One missing request with what was said of it, as in the report's ``odd_requests``."""

    server: str
    tag: str
    path: str
    lost_at: str
    certain: bool
    cause: str
    datagram: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A miss beside the truth: `stages` in which its datagrams were really lost; none: nothing explains it."""

    told: Told
    stages: frozenset[str]
    right: bool
    datagram: bool | None
    """Whether the datagram that was named is one that was lost; None: none was named."""

    @property
    def doubtful(self) -> bool:
        """The answer itself says that the datagram may be another one."""
        return "of then)" in self.told.cause

    @property
    def column(self) -> str:
        if self.told.lost_at == "unknown":
            return "unknown"
        return f"{'certain' if self.told.certain else 'probably'} {'right' if self.right else 'wrong'}"


class Truth:
    """What is true of every request of one round."""

    def __init__(self, entries: Iterable[Entry], after: After) -> None:
        self._after = after
        self._logins: dict[tuple[str, str], list[Datagram]] = defaultdict(list)
        self._held: dict[tuple[str, str, str], _Held] = defaultdict(_Held)
        self.deeds: list[Deed] = []
        self.overruns = 0
        self.lost: Counter[str] = Counter()
        """Datagrams by stage."""
        for entry in entries:
            match entry:
                case Datagram():
                    self._note(entry)
                case Deed():
                    self.deeds.append(entry)
                case Overrun():
                    self.overruns += entry.count

    def _note(self, entry: Datagram) -> None:
        contents = entry.contents
        if stage := self._stage(entry):
            self.lost[stage] += 1
        if contents.code == "u":
            self._logins[entry.server, contents.user].append(entry)
        for access in contents.opens:
            self._held[entry.server, access.user, access.path].opens.append(entry)
        for access in contents.closes:
            self._held[entry.server, access.user, access.path].closes.append(entry)

    def _stage(self, entry: Datagram) -> str:
        """Where this datagram was lost; "" when the collector got it."""
        if entry.fate != "passed":
            return STAGE[entry.fate]
        if entry.t < self._after.since:
            return ""
        if entry.digest not in self._after.tapped:
            return "spool"
        return "queue" if entry.digest in self._after.purged else ""

    def stages(self, server: str, tag: str, path: str) -> frozenset[str]:
        """Every stage that took a part of this request; one of them is a right answer."""
        held = self._held.get((server, tag, path), _Held())
        parts = [*self._logins[server, tag], *held.opens, *held.closes]
        found = {stage for part in parts if (stage := self._stage(part))}
        if not held.closes:
            found.add("server")  # its close was never sent
        return frozenset(found) or self._after.later

    def judge(self, told: Told) -> Judged:
        stages = self.stages(told.server, told.tag, told.path)
        return Judged(told, stages, told.lost_at in stages, self._named(told))

    def _named(self, told: Told) -> bool | None:
        if told.datagram is None:
            return None
        held = self._held.get((told.server, told.tag, told.path), _Held())
        return any(
            part.contents.kind == told.datagram["class"]
            and part.contents.stod == told.datagram["stod"]
            and 1 <= (part.contents.pseq - told.datagram["after"]) % 256 <= told.datagram["missing"]
            for part in (*self._logins[told.server, told.tag], *held.opens, *held.closes)
            if self._stage(part)
        )


COLUMNS = ("certain right", "certain wrong", "probably right", "probably wrong", "unknown")


def row(judged: Iterable[Judged]) -> dict[str, int]:
    """One row of the table."""
    listed = list(judged)
    columns = Counter(one.column for one in listed)
    return (
        {"misses": len(listed)}
        | {column: columns[column] for column in COLUMNS}
        | {
            "unexplained": sum(not one.stages for one in listed),
            "datagram right": sum(one.datagram is True for one in listed),
            "datagram wrong": sum(one.datagram is False and not one.doubtful for one in listed),
            "datagram doubtful": sum(one.datagram is False and one.doubtful for one in listed),
        }
    )
