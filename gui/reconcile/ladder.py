"""The loss ladder: at which stage a missing record was lost, and why. Pure: evidence in, an answer out.

    client → server → wire → shoveler → broker → queue → collector → database

A request's record needs one or two datagrams (its user, its open, its close). Nobody marks datagrams, so the answer is
drawn from what every stage counted of that server between the first and the last status message of the run. Where the
evidence speaks of this very request (the client's error, a provisional record, a gap over its close on a path of its
own) the answer is certain; otherwise it says "probably".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gui.reconcile.behaviours import sentence

LostAt = Literal[
    "client", "server", "kernel", "fragmentation", "wire", "spool", "queue", "collector", "load", "unknown"
]
RungState = Literal["passed", "lost", "not reached", "unknown"]

DEFAULT_DELAY = 90.0
"""Seconds that a server may hold a close back, where the run's environment does not tell its intervals."""

STAGES = ("client", "server", "shoveler read", "confirmed", "consumed", "recorded", "loaded")
"""The rungs, in the order in which a record climbs them."""

_RUNG_OF: Mapping[LostAt, str] = {
    "client": "client",
    "server": "server",
    "kernel": "shoveler read",
    "fragmentation": "shoveler read",
    "wire": "shoveler read",
    "spool": "confirmed",
    "queue": "consumed",
    "collector": "recorded",
    "load": "loaded",
}


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Datagrams of one class of a server that never reached a collector, and when that was seen (Unix seconds)."""

    kind: str
    """``F``: opens and closes. ``M``: users and names. Others do not matter to file records."""
    after: int
    missing: int
    t_min: float
    t_max: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What the stages counted of one server's datagrams during the run. None: that stage sent no status.

    `own_path`: no other server's datagrams are in these figures."""

    own_path: bool = False
    received: int | None = None
    confirmed: int | None = None
    waiting: int = 0
    """Datagrams in spools that the broker has not confirmed: received − confirmed."""
    returned: int = 0
    oversize: int = 0
    kernel_drops: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    """Datagrams that the shoveler did not take, by reason."""
    seen: int | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[SequenceGap, ...] = ()
    records: int | None = None
    incomplete: Mapping[str, int] = field(default_factory=dict)
    loaded: int | None = None
    restarted: bool = False
    """More than one incarnation of the server was seen."""


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
    delay: float = DEFAULT_DELAY


@dataclass(frozen=True, slots=True)
class Rung:
    """One stage of the ladder, with what is known of it in words."""

    stage: str
    state: RungState
    evidence: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where a record was lost. `cause` is a sentence without the "probably"; `answer` has it where it belongs."""

    lost_at: LostAt
    cause: str
    certain: bool
    rungs: tuple[Rung, ...]

    @property
    def answer(self) -> str:
        """The cause as it is shown: ``probably`` in front of what is inferred and not proven."""
        return self.cause if self.certain else f"probably {self.cause}"


def climb(miss: Miss, counted: Counted) -> Ladder:
    """Where this record was lost: the first rule that applies.

    The client failed; a gap over the times of its datagrams (kernel drops, fragmentation, wire); received but not
    confirmed; confirmed but not seen; seen but incomplete; published but not loaded. When nothing of all this is the
    case, everything that the server sent has arrived: it sent nothing."""
    lost_at, cause, certain = _find(miss, counted)
    return Ladder(lost_at, cause, certain, _rungs(miss, counted, lost_at, cause))


def _find(miss: Miss, counted: Counted) -> tuple[LostAt, str, bool]:
    if miss.client_cause:
        return "client", miss.client_cause, True
    gap = overlapping_gap(miss, counted.gaps)
    waiting = counted.waiting
    unseen = _excess(counted.confirmed, counted.seen)
    if gap is not None:
        found = _before_shoveler(gap, counted, explained_later=bool(waiting or unseen))
        if found is not None:
            return found
    if waiting:
        why = "; the broker had no queue for them" if counted.returned else ""
        return (
            "spool",
            f"in the shoveler's spool: {_datagrams(waiting)} read and not confirmed by the broker{why}",
            False,
        )
    if unseen:
        return "queue", f"between broker and collector: {_datagrams(unseen)} confirmed and not consumed", False
    return _after_collector(miss, counted)


def _before_shoveler(gap: SequenceGap, counted: Counted, *, explained_later: bool) -> tuple[LostAt, str, bool] | None:
    what = f"{_datagrams(gap.missing)} after number {gap.after} never came"
    if counted.kernel_drops:
        certain = counted.own_path and counted.kernel_drops >= gap.missing
        return "kernel", f"dropped by the kernel at the shoveler ({_drops(counted.kernel_drops)}): {what}", certain
    if counted.refused:
        return "spool", f"refused by the shoveler ({_reasons(counted.refused)}): {what}", False
    if counted.oversize:
        return (
            "fragmentation",
            f"a fragment was lost ({_datagrams(counted.oversize)} above the path MTU): {what}",
            False,
        )
    if explained_later:
        return None
    nowhere_else = counted.own_path and counted.received is not None and counted.seen is not None
    return "wire", f"lost between server and shoveler: {what}, and no drop was counted", nowhere_else


def _after_collector(miss: Miss, counted: Counted) -> tuple[LostAt, str, bool]:
    if miss.provisional:
        reasons = ", ".join(miss.reasons) or "no_close"
        if "server_restarted" in miss.reasons:
            return "server", f"the server ended with the file open or its close unsent ({reasons})", True
        return "collector", f"the collector saw the open and never the close ({reasons})", True
    if counted.rejected:
        return "collector", f"the collector rejected datagrams ({_reasons(counted.rejected)})", False
    if counted.incomplete:
        return "collector", f"the collector could not complete the record ({_reasons(counted.incomplete)})", False
    unloaded = _excess(counted.records, counted.loaded)
    if unloaded:
        return "load", f"{unloaded:,} records were published and not loaded", False
    if counted.received is None and counted.seen is None:
        return "unknown", "unknown: neither shoveler nor collector sent a status during the run", True
    names = [*miss.behaviours, *(["sigterm"] if counted.restarted else [])]
    known = " ".join(sentence(name) for name in names)
    return "server", "the server sent nothing" + (f": {known.rstrip('.')}" if known else ""), False


def overlapping_gap(miss: Miss, gaps: tuple[SequenceGap, ...]) -> SequenceGap | None:
    """The first gap that can have swallowed the open or close (class F) or the user (class M) of this request.

    A datagram leaves up to `delay` after what it tells; clocks of client and shoveler may differ by a second."""
    if miss.opened is None:
        return None
    begin = miss.opened - 1.0
    end = (miss.closed if miss.closed is not None else miss.opened) + miss.delay + 1.0
    for gap in gaps:
        # The user is told when the session opens, which may be long before this request: any earlier gap may be it.
        first = begin if gap.kind == "F" else float("-inf")
        if gap.kind in ("F", "M") and gap.t_max >= first and gap.t_min <= end:
            return gap
    return None


def _rungs(miss: Miss, counted: Counted, lost_at: LostAt, cause: str) -> tuple[Rung, ...]:
    evidence = {
        "client": "read and closed without error" if not miss.client_cause else miss.client_cause,
        "server": "datagrams are numbered by the server",
        "shoveler read": _figure(counted.received, "datagrams taken")
        + (f", {counted.kernel_drops:,} dropped by the kernel" if counted.kernel_drops else ""),
        "confirmed": _figure(counted.confirmed, "datagrams confirmed by the broker"),
        "consumed": _figure(counted.seen, "datagrams seen by collectors"),
        "recorded": _figure(counted.records, "records published"),
        "loaded": _figure(counted.loaded, "records loaded"),
    }
    if lost_at == "unknown":
        return tuple(Rung(stage, "passed" if stage == "client" else "unknown", evidence[stage]) for stage in STAGES)
    lost = STAGES.index(_RUNG_OF[lost_at])
    rungs = []
    for place, stage in enumerate(STAGES):
        state: RungState = "passed" if place < lost else "lost" if place == lost else "not reached"
        words = evidence[stage] if place < lost else cause if place == lost else ""
        rungs.append(Rung(stage, state, words))
    return tuple(rungs)


def _excess(more: int | None, fewer: int | None) -> int:
    return 0 if more is None or fewer is None else max(0, more - fewer)


def _figure(count: int | None, what: str) -> str:
    return f"no status of {what}" if count is None else f"{count:,} {what}"


def _datagrams(count: int) -> str:
    return f"{count:,} datagram{'s' if count != 1 else ''}"


def _drops(count: int) -> str:
    return f"{count:,} drop{'s' if count != 1 else ''}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} ×{count:,}" for reason, count in sorted(counts.items()))
