"""The loss ladder: at which stage a missing record was lost, and why. Pure: evidence in, an answer out.

    client → server → wire → shoveler → broker → queue → collector → database

A request's record needs two or three datagrams: its login, its open, its close. Each server process numbers what it
sends, so a datagram that never came leaves a gap with a window in time; a miss is due to the gap whose window holds its
close, its open or its login. `gui.reconcile.took` decides what took that datagram. Where no gap holds any of them, the
datagram is still in transit, or was the last of its process, or came and was not enough, or was never sent.

Proof comes before inference, and anything inferred says "probably". Evidence of another server process is never used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias, cast

from gui.reconcile import odds
from gui.reconcile.behaviours import sentence
from gui.reconcile.facts import (
    PACKET_SECOND,
    SLACK,
    Fault,
    Figures,
    Loss,
    LossKind,
    LostAt,
    Miss,
    Path,
    Process,
    SequenceGap,
    Span,
    Trouble,
)
from gui.reconcile.took import NEARBY, PLACE, GapKey, Taken
from gui.store import LostDatagram, RequestEntry, answer

RungState = Literal["passed", "lost", "not reached", "unknown"]

STAGES = ("client", "server", "shoveler read", "confirmed", "consumed", "recorded", "loaded")
"""The rungs, in the order in which a record climbs them."""
FRAME = 1472
"""Bytes of a datagram that one frame of the path holds (MTU 1500)."""
LARGEST = 65_507
OPEN, CLOSE = 28, 32
"""Bytes of the smallest open (without its path) and close in an f-stream datagram."""
HEARD_LATE = 2.0
"""Seconds by which a client on a busy machine may notice a close later than the server did it (seen: more than one)."""
SOON = 0.3
"""A close that was less than this part of a server's interval before an outage was most likely sent during it: often
the server's buffer was full earlier (measured on 50 servers)."""
INJECTED, _ON_THEN = "; the plan's own ", " on then"
"""Around the plan's own faults, at the end of a cause."""
GRACE = 30.0
"""Seconds after which a collector has reported an access that it could not complete."""

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
FAULTS: Mapping[str, tuple[LostAt, ...]] = {
    "udp-loss": ("kernel",),
    "wire-loss": ("wire",),
    "fragment-loss": ("fragmentation",),
    "broker-down": ("spool", "queue"),
    "broker-restart": ("spool", "queue"),
    "kill-shoveler": ("spool", "kernel"),
    "kill-collector": ("collector", "queue"),
    "kill-agent": ("client",),
    "kill-server": ("server", "client"),
    "stop-server": ("server", "client"),
    "cut-transfer": ("server", "client"),
}
"""Which losses a fault of the plan can cause."""
_OUTAGES = ("broker-down", "broker-restart")
"""The faults that take the broker away."""
_HOLDING = (*_OUTAGES, "kill-shoveler")
"""The faults that keep a shoveler from sending what it took."""
_LOSSY: Mapping[str, tuple[LostAt, str]] = {
    "udp-loss": ("kernel", "dropped at the shoveler's socket"),
    "wire-loss": ("wire", "lost between server and shoveler"),
    "fragment-loss": ("fragmentation", "a fragment was lost between server and shoveler"),
}
"""The faults that lose datagrams, and at which stage."""
_BEFORE: Collection[LossKind] = ("kernel", "fragments", "refused", "restart")
"""Losses of datagrams that then are in no spool."""
_PLACES: Mapping[LostAt, str] = {
    "kernel": "dropped at the shoveler's socket",
    "fragmentation": "one of its fragments lost",
    "wire": "lost between server and shoveler",
    "spool": "not in the broker's hands",
    "queue": "between broker and collector",
    "collector": "rejected by the collector",
}
"""Ways in which a datagram may have gone, for an answer that leaves it open."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known about the path of one server process's datagrams and records.

    `process` None: nothing that came shows which process it was. `successor`: the newer process of the same server.
    `path` None: no shoveler has reported it. `taken`: what took each gap's datagrams."""

    process: Process | None = None
    successor: Process | None = None
    path: Path | None = None
    taken: Mapping[GapKey, Taken] = field(default_factory=dict)
    collectors: bool = False
    """A collector sent a status during the run."""
    amnesia: tuple[Span, ...] = ()
    """When a collector lost its state: from the last status of the old one to the first of the new one."""
    troubles: tuple[Trouble, ...] = ()
    faults: tuple[Fault, ...] = ()
    """The faults of the plan, for all servers: their datagrams share a socket."""
    name: str = ""
    """The server's name in the plan."""
    figures: Figures = field(default_factory=Figures)


@dataclass(frozen=True, slots=True)
class Rung:
    """One stage of the ladder, with a text of what is known about it."""

    stage: str
    state: RungState
    evidence: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where a record was lost. `cause` is a sentence without "probably"; `answer` adds it where it belongs.

    `datagram`: the one it was lost with, if known; `together`: all requests that were lost with that datagram."""

    lost_at: LostAt
    cause: str
    certain: bool
    rungs: tuple[Rung, ...]
    datagram: LostDatagram | None = None
    together: tuple[int, ...] = ()

    @property
    def answer(self) -> str:
        """The cause as it is shown: with ``probably`` in front when it is inferred, not proven."""
        return answer(self.cause, self.certain, self.lost_at)


@dataclass(frozen=True, slots=True)
class _Found:
    lost_at: LostAt
    cause: str
    certain: bool
    datagram: LostDatagram | None = None


def climb(miss: Miss, known: Known) -> Ladder:
    """Where this record was lost: the first rule that applies (docs/results.md, section 4)."""
    found = _find(miss, known)
    found = replace(found, cause=found.cause + _injected(found.lost_at, miss, known))
    return Ladder(
        found.lost_at, found.cause, found.certain, _rungs(miss, known, found.lost_at, found.cause), found.datagram
    )


def told_before(miss: Miss, known: Known, request: RequestEntry, together: tuple[int, ...]) -> Ladder:
    """The ladder of a request as a scoring has stored it."""
    lost_at = cast("LostAt", request.lost_at if request.lost_at in _RUNG_OF else "unknown")
    rungs = _rungs(miss, known, lost_at, request.cause)
    return Ladder(lost_at, request.cause, request.certain, rungs, request.datagram, together)


class Lost(NamedTuple):
    """A miss and what was found about it."""

    miss: Miss
    known: Known
    ladder: Ladder


def weigh(losses: Mapping[int, Lost]) -> dict[int, Ladder]:
    """The ladders of all misses of a repeat, by request id, after checking them together.

    A datagram holds a limited number of opens and closes: if more are said to have been lost with one than fit, the
    answer is not certain. And a datagram that held more than fits into a frame was fragmented on its way."""
    groups: dict[str, list[int]] = {}
    for number, lost in losses.items():
        if lost.ladder.datagram is not None:
            groups.setdefault(lost.ladder.datagram.group, []).append(number)
    weighed = {number: lost.ladder for number, lost in losses.items()}
    for numbers in groups.values():
        some = [losses[number] for number in numbers]
        datagram = some[0].ladder.datagram
        assert datagram is not None
        if datagram.cls != "F":
            continue
        size = sum(_least_size(lost) for lost in some)
        path, process = some[0].known.path, some[0].known.process
        fragments = path is not None and process is not None and path.oversize.get(process.sender, 0.0) > 0
        if size > datagram.missing * (LARGEST if fragments else FRAME):
            for number in numbers:
                weighed[number] = replace(weighed[number], certain=False)
        elif fragments and size > datagram.missing * FRAME:
            for number in numbers:
                if weighed[number].lost_at in ("wire", "fragmentation"):
                    weighed[number] = _fragmented(losses[number], size)
    return weighed


def _least_size(lost: Lost) -> int:
    """The fewest bytes that its entries took in the datagram (format reference, section 6)."""
    datagram, miss = lost.ladder.datagram, lost.miss
    assert datagram is not None
    span = Span(datagram.begin - SLACK, datagram.end + SLACK)
    opened = OPEN + len(miss.path.encode()) if miss.opened is not None and span.holds(miss.opened) else 0
    return opened + (CLOSE if datagram.held == "close" else 0)


def _fragmented(lost: Lost, size: int) -> Ladder:
    ladder = lost.ladder
    told = ladder.cause.partition(": ")[2].rpartition(" never came")
    cause = (
        f"a fragment was lost: what it held takes {size:,} bytes, more than the path MTU: {told[0]} never came{told[2]}"
    )
    sent = lost.miss.sent
    others = _planned(sent, lost.known) - {"fragmentation"} if sent is not None else set()
    certain = lost.known.path is not None and not others and not _lost_around(lost.miss, lost.known)
    return Ladder(
        "fragmentation", cause, certain, _rungs(lost.miss, lost.known, "fragmentation", cause), ladder.datagram
    )


def _find(miss: Miss, known: Known) -> _Found:
    if miss.client_cause:
        return _Found("client", miss.client_cause, True)
    process = known.process
    if process is not None:
        gap = _of_gap(miss, process, known)
        if gap is not None:
            return gap
        ended = _of_end(miss, process, known)
        if ended is not None:
            return ended
    if miss.provisional and "server_restarted" in miss.reasons:
        return _restarted(miss)
    if process is None and known.path is None:
        return _of_nobody(miss, known)
    if miss.done is not None:
        waiting = _of_waiting(miss, known)
        if waiting is not None and waiting.certain:
            return waiting
        rules = (
            _of_amnesia(miss, known),
            _of_tail(miss, known, waiting),
            _of_outage(miss, known),
            waiting,
            _of_silence(miss, known),
            _of_login(miss, known),
        )
        for found in rules:
            if found is not None:
                return found
    return _after_collector(miss, known)


def _restarted(miss: Miss) -> _Found:
    reasons = ", ".join(miss.reasons)
    return _Found("server", f"the server ended with the file open or its close unsent ({reasons})", True)


def _of_nobody(miss: Miss, known: Known) -> _Found:
    if miss.provisional:
        return _after_collector(miss, known)
    if not known.collectors:
        return _Found("unknown", "unknown: neither shoveler nor collector sent a status during the run", False)
    return _Found("unknown", "unknown: no status speaks of the server process that had this request", False)


# ---------------------------------------------------------------- a gap holds it


def _of_gap(miss: Miss, process: Process, known: Known) -> _Found | None:
    """The gap that has its close, its open or its login, if there is one."""
    if miss.opened is None:
        return None
    files = [(gap, held) for gap in process.gaps if "F" in gap.kind and (held := _holds(gap, miss))]
    login = _login_gaps(miss, process)
    session = miss.session
    # Without its login no request of a session has a record. A request without a gap of its own therefore points to the
    # login, unless it was closed after the last datagram that came: its close may have been lost without leaving a gap.
    suspected = bool(login) and session is not None and not session.recorded
    if suspected and session is not None:
        times = (*session.others, (miss.opened, miss.closed if miss.closed is not None else miss.opened))
        alone = sum(not _held_by_any(process, *each) and not _nothing_since(process, each[1]) for each in times)
        if alone:
            return _with_gaps(miss, [(gap, "login") for gap in login], process, known, sure=alone > 1)
    return _with_gaps(miss, files, process, known, sure=not suspected) if files else None


def _of_login(miss: Miss, known: Known) -> _Found | None:
    """A login that was lost, where nothing else explains why no request of the session has a record."""
    process, session = known.process, miss.session
    if process is None or session is None or session.recorded:
        return None
    login = _login_gaps(miss, process)
    return _with_gaps(miss, [(gap, "login") for gap in login], process, known, sure=False) if login else None


def _holds(gap: SequenceGap, miss: Miss) -> Literal["", "open", "close"]:
    assert miss.opened is not None
    if gap.window.meets(_closing(miss.opened, miss.closed)):
        return "close"
    closed = miss.closed if miss.closed is not None else miss.opened
    # The client's time is from before the open; the server reported it after that, and before the close.
    return "open" if gap.window.meets(Span(miss.opened, min(closed, miss.opened + SLACK))) else ""


def _closing(opened: float, closed: float | None) -> Span:
    """When the server closed it: before the client noticed, and a busy client notices late."""
    over = closed if closed is not None else opened
    return Span(max(opened, over - HEARD_LATE), over)


def _held_by_any(process: Process, opened: float, closed: float) -> bool:
    miss = Miss(opened=opened, closed=closed)
    return any("F" in gap.kind and _holds(gap, miss) for gap in process.gaps)


def _login_gaps(miss: Miss, process: Process) -> list[SequenceGap]:
    if miss.session is None:
        return []
    return [gap for gap in process.gaps if "M" in gap.kind and gap.window.meets(miss.session.login)]


Held: TypeAlias = Literal["login", "open", "close"]


def _with_gaps(
    miss: Miss, gaps: Sequence[tuple[SequenceGap, Held]], process: Process, known: Known, *, sure: bool
) -> _Found:
    """The answer when one of these gaps has it. It is certain only when all agree; one of several is named only where
    its time, without the allowance for clocks, singles it out."""
    order = {"close": 0, "open": 1, "login": 2}
    gap, held = min(gaps, key=lambda pair: (order[pair[1]], pair[0].window.end - pair[0].window.begin))
    close = [pair for pair in gaps if pair[1] == held and _closely(*pair, miss)]
    if len(close) == 1:
        ((gap, held),) = close
    taken = known.taken.get((process.key, gap))
    if taken is None:
        taken = Taken("unknown", "lost before the collector, and no shoveler told what it took", False)
    window = gap.window
    taken = _by_plan(taken, window, known)
    others = [known.taken.get((process.key, other)) for other, _ in gaps if other != gap]
    agree = all(other is not None and other.lost_at == taken.lost_at and other.certain for other in others)
    if len(gaps) > 1 and len(close) != 1:
        cause = f"{taken.why}: one of the datagrams that never came then had its {held}"
        real = all(other.sure for other, _ in gaps)
        return _Found(taken.lost_at, cause, taken.certain and agree and sure and real)
    datagram = LostDatagram(
        server=process.server, stod=process.stod, cls=gap.kind, after=gap.after, missing=gap.missing,
        begin=window.begin + SLACK, end=window.end - SLACK, held=held,
    )  # fmt: skip
    cause = f"{taken.why}: {_missing(gap, known.name)}, with its {held}"
    return _Found(taken.lost_at, cause, taken.certain and agree and sure and gap.sure, datagram)


def _closely(gap: SequenceGap, held: Held, miss: Miss) -> bool:
    """Whether a gap has it even without the allowance for clocks that differ.

    A login is sent at once and alone, so its neighbours arrive when it was sent: that is more exact than packet
    times."""
    if held == "login":
        login = miss.session.login if miss.session is not None else None
        return login is not None and Span(gap.t_min, gap.t_max).meets(login)
    if miss.opened is None:
        return False
    when = _closing(miss.opened, miss.closed) if held == "close" else Span(miss.opened, miss.opened)
    window = gap.window
    return window.begin + SLACK <= when.end and when.begin < window.end - SLACK


def _by_plan(taken: Taken, when: Span, known: Known) -> Taken:
    """Also uses the faults of the plan. When two causes of loss were active at once, counting cannot distinguish them,
    since the last datagrams of a server leave no gap; so nothing is certain then, and where the plan lost datagrams of
    this server in only one way, that way is the answer."""
    near = Span(when.begin - NEARBY, when.end + NEARBY)
    ways = {_LOSSY[fault.do][0] for fault in known.faults if fault.do in _LOSSY and fault.span.meets(near)}
    if ways <= {taken.lost_at}:
        return taken
    mine = {_LOSSY[f.do] for f in known.faults if f.do in _LOSSY and f.befalls(known.name) and f.span.meets(when)}
    if len(mine) == 1:
        ((lost_at, why),) = mine
        return replace(taken, certain=False) if lost_at == taken.lost_at else Taken(lost_at, why, False)
    return replace(taken, certain=False)


def _missing(gap: SequenceGap, server: str) -> str:
    """Which datagrams never came. It names the `server`: many may lose one of the same number at the same time."""
    numbers = "from the first on" if gap.after < 0 else f"after number {gap.after}"
    kind = {"F": "f-stream", "M": "login or name"}.get(gap.kind, "monitoring")
    return f"{_datagrams(gap.missing, kind)}{f' of {server}' if server else ''} {numbers} never came"


# ---------------------------------------------------------------- the process ended


def _of_end(miss: Miss, process: Process, known: Known) -> _Found | None:
    """The server ended before it had sent the close: there is a newer process, or the plan itself ended it."""
    if miss.done is None:
        return None
    if miss.provisional and "server_restarted" in miss.reasons:
        return _restarted(miss)
    ends = [moment for moment in (process.ended, float(known.successor.stod) if known.successor else 0.0) if moment]
    if not ends:
        return None
    ended = min(ends)
    if ended < miss.done - SLACK or not _nothing_since(process, miss.done):
        return None
    # A running server would have sent the close within its interval; one that was restarted sooner cannot have sent it.
    lost = _lost_around(miss, known) or _lost_before(miss, known)
    proven = ended <= miss.done + miss.delay + SLACK and not lost
    behaviour = sentence("sigterm").rstrip(".")
    return _Found(
        "server", f"the server ended before it had sent the close; a newer process took over: {behaviour}", proven
    )


def _nothing_since(process: Process, done: float) -> bool:
    """Whether no f-stream datagram is known that was sent after `done`: it would have contained or followed the
    close."""
    return not process.clock or process.clock <= done + PACKET_SECOND


def _lost_around(miss: Miss, known: Known) -> bool:
    sent = miss.sent
    if sent is None or known.path is None or known.process is None:
        return False
    return any(loss.span.meets(sent) and loss.sender in ("", known.process.sender) for loss in known.path.losses)


# ---------------------------------------------------------------- no gap: on its way, the last one, or forgotten


def _of_waiting(miss: Miss, known: Known) -> _Found | None:
    """Datagrams in transit are in order: everything that came after the oldest of them. Unless it never came."""
    path, sent = known.path, miss.sent
    if path is None or sent is None or miss.done is None:
        return None
    alone = not _lost_before(miss, known)
    if path.spooled is not None and sent.end >= path.spooled.since:
        why = "; the broker had no queue for them" if path.returned else ""
        words = f"in the shoveler's spool: {_datagrams(path.spooled.count)} taken and not confirmed by the broker{why}"
        told = path.spooled.since <= miss.done and sent.end <= path.told.end
        return _Found("spool", words, path.spooled.sure and told and alone)
    if path.queued is not None and sent.end >= path.queued.since:
        words = f"between broker and collector: {_datagrams(path.queued.count)} confirmed and not seen"
        return _Found("queue", words, path.queued.sure and miss.done >= path.queued.since and alone)
    return None


def _lost_before(miss: Miss, known: Known) -> bool:
    """Whether the close may have been lost before the shoveler had it: datagrams were then, or the plan lost some."""
    sent, path = miss.sent, known.path
    if sent is None:
        return False
    sender = known.process.sender if known.process is not None else ""
    counted = any(
        loss.kind in _BEFORE and loss.span.meets(sent) and loss.sender in ("", sender)
        for loss in (path.losses if path is not None else ())
    )
    return counted or bool(_planned(sent, known)) or bool(_beside(known, sent))


def _planned(sent: Span, known: Known) -> set[LostAt]:
    """In which ways faults lost datagrams of this server then."""
    return {_LOSSY[f.do][0] for f in known.faults if f.do in _LOSSY and f.befalls(known.name) and f.span.meets(sent)}


def _beside(known: Known, sent: Span) -> list[tuple[Taken, SequenceGap]]:
    """The gaps of this path that are near this time, if they were lost on the wire."""
    near = Span(sent.begin - NEARBY, sent.end + NEARBY)
    return [
        (taken, gap) for (_, gap), taken in known.taken.items() if taken.lost_at == "wire" and gap.window.meets(near)
    ]


def _of_outage(miss: Miss, known: Known) -> _Found | None:
    """The plan's own outage of the broker: what was sent before it was confirmed, and is stuck in the broker or behind;
    what was sent while it lasted is in the spool.

    The shoveler cannot say so: its last word is older than the outage, and what it then held was confirmed later.
    """
    path, sent, done = known.path, miss.sent, miss.done
    if path is None or sent is None or done is None or not _silent(miss, path):
        return None
    if path.spooled is not None and path.spooled.sure:
        return None
    outages = [fault for fault in known.faults if fault.do in _OUTAGES and fault.span.meets(sent)]
    if not outages:
        return None
    first = min(outages, key=lambda fault: fault.begin)
    if done > first.begin:
        if sent.end > first.span.end:
            return None
        words = "in the shoveler's spool: the plan kept the broker away, and the shoveler has said nothing since"
        return _Found("spool", words, False)
    # A server sends at fixed times, on average half its interval after the close: `delay` is twice that interval.
    if (first.begin - done) / (miss.delay / 2) < SOON:
        words = "in the shoveler's spool: the server sends a while after the close, when the broker was down already"
        return _Found("spool", words, False)
    return _Found("queue", "confirmed just before the broker went down, and not seen or not loaded since", False)


def _of_amnesia(miss: Miss, known: Known) -> _Found | None:
    """A collector that lost its state knows no earlier logins or opens."""
    login = miss.session.login.end if miss.session is not None else miss.opened
    sent = miss.sent
    if login is None or sent is None or miss.opened is None:
        return None
    for span in known.amnesia:
        if min(login, miss.opened) <= span.end and sent.end >= span.begin:
            what = "its open" if miss.opened <= span.end else "its login"
            proven = min(login, miss.opened) + miss.delay < span.begin and sent.begin > span.end
            if known.process is not None and _nothing_since(known.process, sent.begin + SLACK):
                proven = proven and not _lost_before(miss, known)  # its close may have been lost as well
            return _Found("collector", f"the collector had lost its state, and with it {what}", proven)
    return None


def _of_tail(miss: Miss, known: Known, waiting: _Found | None) -> _Found | None:
    """When the last datagram of a process is lost, it leaves no gap: nothing comes after it. So it is while everything
    waits, too: of the ways in which it may have gone, the one that took most datagrams then is the answer.
    """
    process, path, sent = known.process, known.path, miss.sent
    if process is None or path is None or sent is None or miss.done is None:
        return None
    if not _nothing_since(process, miss.done):
        return None
    ways = _ways(process, path, sent, known)
    if not ways:
        return None
    if waiting is not None:
        wait = path.spooled if waiting.lost_at == "spool" else path.queued
        assert wait is not None
        ways.append((odds.waiting(wait, path, sent), waiting))
    outage = _of_outage(miss, known)
    if outage is not None:
        ways.append((path.rate * _after_outage(miss, known), outage))
    ways.sort(key=lambda way: -way[0])
    (most, found), others = ways[0], [way for way in ways[1:] if way[1].lost_at != ways[0][1].lost_at]
    if others and others[0][0] * odds.TWICE > most:
        both = " or ".join(_PLACES[each.lost_at] for each in (found, others[0][1]))
        return _Found("unknown", f"unknown: {both}: about as many datagrams of then went either way", False)
    return found


def _ways(process: Process, path: Path, sent: Span, known: Known) -> list[tuple[float, _Found]]:
    """In which ways datagrams of this process were lost then, each with its weight."""
    last = "nothing of this server came after it, so no gap shows"
    ways: list[tuple[float, _Found]] = []
    planned = _by_plan(Taken("unknown", "", False), sent, known)
    if planned.lost_at != "unknown":
        mine = [f for f in known.faults if f.do in _LOSSY and f.befalls(known.name)]
        ways.append((odds.planned(mine, path, sent), _Found(planned.lost_at, f"{planned.why}: {last}", False)))
    for loss in path.losses:
        if loss.span.meets(sent) and loss.sender in ("", process.sender) and not _of_others(loss, known):
            words = {
                "kernel": "dropped by the kernel at the shoveler",
                "fragments": "a fragment was lost",
                "refused": f"refused by the shoveler ({loss.words})",
                "rejected": f"rejected by the collector ({loss.words})",
                "unseen": "lost between broker and collector, confirmed and never seen",
                "restart": "read by the shoveler, which was started anew before it had written it down",
            }[loss.kind]
            weight = odds.lost(loss, path, sent, known.figures.received)
            ways.append((weight, _Found(PLACE[loss.kind], f"{words}: {last}", False)))
    beside = _beside(known, sent)
    if beside and planned.lost_at != "wire":
        lasting = sent.end - sent.begin
        weight = sum(gap.missing for _, gap in beside) * lasting / (lasting + 2 * NEARBY)
        words = "lost between server and shoveler, as others were then: nothing of this server came after it"
        ways.append((weight, _Found("wire", words, False)))
    return _strongest(ways)


def _of_others(loss: Loss, known: Known) -> bool:
    """Whether the plan inflicted this loss then, on other servers only."""
    plans = [
        f for f in known.faults if f.do in _LOSSY and _LOSSY[f.do][0] == PLACE[loss.kind] and f.span.meets(loss.span)
    ]
    return bool(plans) and not any(fault.befalls(known.name) for fault in plans)


def _strongest(ways: Sequence[tuple[float, _Found]]) -> list[tuple[float, _Found]]:
    """Of each stage one: its weights added, with the words of the first, unless a later one is heavier."""
    stages: dict[LostAt, list[tuple[float, _Found]]] = {}
    for way in ways:
        stages.setdefault(way[1].lost_at, []).append(way)
    return [(sum(w for w, _ in some), max(some, key=lambda way: way[0])[1]) for some in stages.values()]


def _after_outage(miss: Miss, known: Known) -> float:
    """Seconds of the time in which the close was sent for which the plan's outage had kept it."""
    sent, done = miss.sent, miss.done
    assert sent is not None
    assert done is not None
    first = min((f for f in known.faults if f.do in _OUTAGES and f.span.meets(sent)), key=lambda fault: fault.begin)
    return max(1.0, odds.overlap(Span(first.begin, max(first.begin, first.span.end)), sent))


def _of_silence(miss: Miss, known: Known) -> _Found | None:
    """A shoveler that fell silent before this ended: its statuses take the same path as its datagrams, so both are
    stuck."""
    path, sent, done = known.path, miss.sent, miss.done
    if path is None or sent is None or done is None or not _silent(miss, path):
        return None
    away = any(fault.do in _HOLDING and fault.span.meets(sent) for fault in known.faults)
    if path.told.end >= done and not away:
        return None
    words = "in the shoveler's spool, or never taken: the shoveler has said nothing since before this was sent"
    return _Found("spool", words, False)


def _silent(miss: Miss, path: Path) -> bool:
    """Whether the server may have sent the close after the shoveler's last status, which then proves nothing."""
    return miss.sent is not None and path.told.end < miss.sent.end


# ---------------------------------------------------------------- it came, and was not enough


def _after_collector(miss: Miss, known: Known) -> _Found:
    if miss.provisional:
        reasons = ", ".join(miss.reasons) or "no_close"
        return _Found("collector", f"the collector saw the open and never the close ({reasons})", False)
    trouble = _trouble(miss, known)
    if trouble is not None:
        return trouble
    records, loaded = known.figures.records, known.figures.loaded
    if records is not None and loaded is not None and records > loaded:
        return _Found("load", f"{records - loaded:,} records of this server were published and not loaded", False)
    if not known.collectors or known.path is None:
        who = "no collector" if not known.collectors else "no shoveler"
        return _Found("unknown", f"unknown: {who} told of this server's datagrams during the run", False)
    if miss.done is not None and _silent(miss, known.path):
        after = max(0.0, known.path.told.end - miss.done)
        words = f"the shoveler last spoke {after:.0f} s after the request"
        return _Found(
            "unknown", f"unknown: {words}, and the server may hold the close back for {miss.delay:.0f} s", False
        )
    known_ways = " ".join(sentence(name) for name in miss.behaviours)
    words = "the server sent nothing: nothing of its datagrams is lost, and all were seen"
    return _Found("server", words + (f": {known_ways.rstrip('.')}" if known_ways else ""), False)


def _trouble(miss: Miss, known: Known) -> _Found | None:
    if known.process is None or miss.opened is None or miss.sent is None:
        return None
    when = Span(miss.opened - SLACK, miss.sent.end + GRACE)
    mine = [each for each in known.troubles if each.sender == known.process.sender and each.span.meets(when)]
    for name, words in (("rejected", "the collector rejected datagrams of this server"),
                        ("incomplete", "the collector could not complete records of this server")):  # fmt: skip
        counts: dict[str, int] = {}
        for each in mine:
            for reason, count in getattr(each, name).items():
                counts[reason] = counts.get(reason, 0) + count
        if counts:
            return _Found("collector", f"{words} then ({_reasons(counts)})", False)
    return None


# ---------------------------------------------------------------- words


def _injected(lost_at: LostAt, miss: Miss, known: Known) -> str:
    """The faults that were on when this was lost and can be its cause: foreign ones, and the plan's own at the end."""
    if miss.opened is None:
        return ""
    begin = min(miss.opened, miss.session.login.begin) if miss.session is not None else miss.opened
    end = (miss.sent or Span(miss.opened, miss.opened)).end
    near = [
        fault
        for fault in known.faults
        if fault.befalls(known.name)
        and lost_at in FAULTS.get(fault.do, ())
        and fault.span.meets(Span(begin - SLACK, end))
    ]
    foreign = "".join(f"; {fault.do} of {fault.whose} was still on then" for fault in near if fault.whose)
    names = dict.fromkeys(fault.do for fault in near if not fault.whose)
    return foreign + _own(names)


def _own(names: Collection[str]) -> str:
    return f"{INJECTED}{' and '.join(names)} {'was' if len(names) == 1 else 'were'}{_ON_THEN}" if names else ""


def injected_first(cause: str) -> str:
    """A cause for a table, whose cells show its beginning: the plan's own faults first, ``injected udp-loss: …``."""
    why, mark, names = cause.rpartition(INJECTED)
    if not mark or not names.endswith(_ON_THEN):
        return cause
    return f"injected {names.removesuffix(_ON_THEN).rpartition(' ')[0]}: {why}"


def _rungs(miss: Miss, known: Known, lost_at: LostAt, cause: str) -> tuple[Rung, ...]:
    counted = known.figures
    evidence = {
        "client": "read and closed without error" if not miss.client_cause else miss.client_cause,
        "server": "datagrams are numbered by the server",
        "shoveler read": _figure(counted.received, "datagrams taken"),
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


def _figure(count: int | None, what: str) -> str:
    return f"no status of {what}" if count is None else f"{count:,} {what}"


def _datagrams(count: int, kind: str = "") -> str:
    return f"{count:,} {kind + ' ' if kind else ''}datagram{'s' if count != 1 else ''}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} ×{count:,}" for reason, count in sorted(counts.items()))
