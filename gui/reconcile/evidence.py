"""What the daemons reported during a run, combined for the loss ladder: processes, paths, losses, and when.

A request belongs to one server process: the one that was running then on the server that it reached. Never by IP
address alone, since fifty servers may share one. Statuses of a newer Tally are skipped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

from gui.campaign.ranges import Range, merged, size, without
from gui.reconcile.facts import (
    Fault,
    Figures,
    Loss,
    Path,
    Process,
    SequenceGap,
    Span,
    Trouble,
    Waiting,
)
from gui.reconcile.ladder import Known
from gui.reconcile.took import GapKey, Taken, explain
from gui.store import LoadedRow
from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    Gap,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
    StatusMessage,
)

STUCK = 5.0
"""Seconds after which a datagram that waits for the broker's confirm means more than a busy broker. One that has waited
for less may have been confirmed just after the shoveler's last status."""
STALE = 20.0
"""A collector that was silent for this many seconds at the shovelers' last status may be further than it reported."""
LEAST_GAPS = 5
"""A collector that reports fewer gaps of a process than this reports all of them."""
PADDING = "excess"
"""The collector's reason for bytes behind a datagram's end, of which it needs none: servers pad (dCache)."""
_LOOPBACK = ("localhost", "::1")


ProcessKey: TypeAlias = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A server as clients address it."""

    host: str
    port: int


@dataclass(slots=True)
class _Collected:
    """All statuses of one incarnation of a collector, oldest first."""

    statuses: list[CollectorStatus] = field(default_factory=list)

    @property
    def span(self) -> Span:
        return Span(self.statuses[0].t, self.statuses[-1].t)


class Evidence:
    """Everything that was reported during a run. `known` returns what belongs to one server process. Pure, once made.

    `statuses`: in order of arrival, those between the first and the last as reduced by `gui.reconcile.trail.step_of`.
    `loaded`: what the database received since the run began. `since`: when it began, before the first request."""

    def __init__(
        self,
        statuses: Iterable[StatusMessage],
        loaded: Sequence[LoadedRow] = (),
        faults: Sequence[Fault] = (),
        since: float = 0.0,
    ) -> None:
        self._since = since
        self._loaded = loaded
        self._faults = tuple(faults)
        self._shovelers: dict[str, list[ShovelerStatus]] = defaultdict(list)
        self._collectors: dict[tuple[str, float], _Collected] = defaultdict(_Collected)
        for status in statuses:
            if isinstance(status, ShovelerStatus):
                self._shovelers[status.id].append(status)
            else:
                self._collectors[status.id, status.started].statuses.append(status)
        for told in self._shovelers.values():
            told.sort(key=lambda status: status.t)
        for collected in self._collectors.values():
            collected.statuses.sort(key=lambda status: status.t)

    # ---- which process

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The server processes that any collector has reported, each once."""
        by_collector: dict[str, dict[ProcessKey, Process]] = defaultdict(dict)
        for (collector, _), collected in sorted(self._collectors.items()):
            mine = by_collector[collector]
            for status in collected.statuses:
                for told in status.processes:
                    new = _process(told)
                    mine[new.key] = _later(mine[new.key], new) if new.key in mine else new
        found: dict[ProcessKey, Process] = {}
        for mine in by_collector.values():
            for key, process in mine.items():
                found[key] = _joined(found[key], process) if key in found else process
        return tuple(sorted(found.values(), key=lambda process: (process.server, process.stod)))

    def process_at(self, servers: Iterable[str], when: float | None) -> tuple[Process | None, Process | None]:
        """Of the processes of these servers (sids), the one that was running at `when`, and its successor."""
        wanted = set(servers)
        mine = sorted((p for p in self.processes if p.server in wanted), key=lambda process: process.stod)
        if not mine:
            return None, None
        began = [process for process in mine if when is None or process.stod <= when + 1]
        process = began[-1] if began else mine[0]
        later = [each for each in mine if each.server == process.server and each.stod > process.stod]
        return process, later[0] if later else None

    def servers_at(self, place: Place) -> set[str]:
        """The sids of the servers at this place: with its port, and its host as far as hosts can be compared.

        A host may be reported by another name than clients use; if only one server has that port, it is that one."""
        same_port = [process for process in self.processes if process.port and process.port == place.port]
        named = {process.server for process in same_port if _same_host(place.host, process.host, process.address)}
        if named:
            return named
        every = {process.server for process in same_port}
        return every if len(every) == 1 else set()

    # ---- what belongs to it

    def known(self, process: Process | None, successor: Process | None = None) -> Known:
        """What is known of one server process."""
        path = self._path_of(process)
        return Known(
            process=process,
            successor=successor,
            path=path,
            taken=self._taken[path.shoveler if path is not None else ""] if process is not None else {},
            collectors=bool(self._collectors),
            amnesia=self._amnesia,
            troubles=self._troubles,
            faults=self._faults,
            figures=self._figures(process),
        )

    # ---- who reported, for display

    def host_of(self, shoveler: str) -> str:
        """The host of this shoveler; empty if it did not report."""
        told = self._shovelers.get(shoveler)
        return told[-1].host if told else ""

    @property
    def collectors(self) -> tuple[tuple[str, str], ...]:
        """(id, host) of each collector that reported."""
        return tuple(sorted({(name, each.statuses[-1].host) for (name, _), each in self._collectors.items()}))

    def drops_of(self, shoveler: str) -> tuple[tuple[float, int], ...]:
        """What the kernel had dropped at the sockets of this shoveler, (time, count), from status to status."""
        return tuple((status.t, status.kernel_drops) for status in self._shovelers.get(shoveler, ()))

    def beside(self, process: Process | None) -> tuple[Process, ...]:
        """This process, and the newest of each other server that sends from the same address."""
        if process is None:
            return ()
        newest: dict[str, Process] = {}
        for each in self.processes:  # in order of their start
            if each.address == process.address:
                newest[each.server] = each
        return tuple({**newest, process.server: process}.values())

    def _path_of(self, process: Process | None) -> Path | None:
        if process is None:
            return next(iter(self._paths.values())) if len(self._paths) == 1 else None
        shoveler = self._shoveler_of.get(process.sender)
        return self._paths[shoveler] if shoveler is not None else None

    @cached_property
    def _shoveler_of(self) -> dict[str, str]:
        """For each sender, the shoveler that took most of its datagrams."""
        best: dict[str, tuple[int, str]] = {}
        for shoveler, told in self._shovelers.items():
            for status in told:
                for sender, counts in status.senders.items():
                    if sender not in best or counts.received > best[sender][0]:
                        best[sender] = (counts.received, shoveler)
        return {sender: shoveler for sender, (_, shoveler) in best.items()}

    @cached_property
    def _taken(self) -> Mapping[str, Mapping[GapKey, Taken]]:
        groups: dict[str, list[Process]] = {shoveler: [] for shoveler in ("", *self._paths)}
        for process in self.processes:
            groups[self._shoveler_of.get(process.sender, "")].append(process)
        return {shoveler: explain(self._paths.get(shoveler), some) for shoveler, some in groups.items()}

    @cached_property
    def _paths(self) -> dict[str, Path]:
        return {shoveler: self._path(shoveler, told) for shoveler, told in self._shovelers.items()}

    # ---- one shoveler

    def _path(self, shoveler: str, told: Sequence[ShovelerStatus]) -> Path:
        last = told[-1]
        waiting = merged((p.confirmed_upto + 1, p.received_upto) for p in last.positions.values())
        spooled = None
        if waiting:
            since = last.oldest if last.oldest is not None else _arrival(told, waiting[0]).begin
            spooled = Waiting(size(waiting), since, sure=last.t - since >= STUCK)
        unseen, queued = self._unseen(told)
        return Path(
            shoveler=shoveler,
            told=Span(told[0].t, last.t),
            losses=(*_drops(told), *_fragments(told), *_refusals(told), *_restarts(told), *unseen, *self._rejections),
            spooled=spooled,
            queued=queued,
            returned=sum(counts.returned for counts in last.senders.values()),
            oversize=_oversize(told),
            taken=max(0, _upto(last) - _upto(told[0])),
        )

    def _unseen(self, told: Sequence[ShovelerStatus]) -> tuple[list[Loss], Waiting | None]:
        """What was confirmed since the run began and no collector has seen: holes are lost, the rest is in transit."""
        if not self._collectors:
            return [], None
        confirmed: dict[str, Range] = {}
        base = max((p.received_upto for p in told[0].positions.values()), default=0) if told[0].t <= self._since else 0
        for status in told:
            for generation, position in status.positions.items():
                confirmed[generation] = (max(position.first, base + 1), position.confirmed_upto)
        losses: list[Loss] = []
        tail: list[tuple[Range, Span]] = []
        for generation, wanted in confirmed.items():
            progress = [p for c in self._collectors.values() for s in c.statuses for g, p in s.positions.items()
                        if g == generation]  # fmt: skip
            if not progress:
                if any(s.positions for c in self._collectors.values() for s in c.statuses) and wanted[0] <= wanted[1]:
                    tail.append((wanted, _arrival(told, wanted)))
                continue
            # Below `since` a collector no longer reports what it has seen: what is not known is not lost.
            floor = max((p.since for p in progress), default=0)
            seen = merged(pair for p in progress for pair in without([(0, p.seen_upto)], merged(p.holes)))
            through = max(p.seen_upto for p in progress)
            for hole in without([(max(wanted[0], floor), wanted[1])] if wanted[0] <= wanted[1] else [], seen):
                when = _arrival(told, hole)
                if hole[0] > through:
                    tail.append((hole, when))
                else:
                    forgotten = any(span.meets(when) for span in self._amnesia)
                    losses.append(Loss("unseen", when, size([hole]), sure=not forgotten))
        if not tail:
            return losses, None
        spoke = max(collected.span.end for collected in self._collectors.values())
        queued = Waiting(
            size(pair for pair, _ in tail), min(when.begin for _, when in tail), sure=spoke >= told[-1].t - STALE
        )
        return losses, queued

    # ---- collectors

    @cached_property
    def _amnesia(self) -> tuple[Span, ...]:
        """When a collector lost its state: a new one has not seen what the one before it had seen."""
        spans = []
        for old in self._collectors.values():
            for new in self._collectors.values():
                if new.span.begin <= old.span.end or not _forgot(old.statuses[-1], new.statuses[0]):
                    continue
                spans.append(Span(old.span.end, new.statuses[0].t))
        return tuple(sorted(set(spans), key=lambda span: span.begin))

    @cached_property
    def _troubles(self) -> tuple[Trouble, ...]:
        """What collectors could not use, by sender, and between which two of their statuses."""
        found = []
        for collected in self._collectors.values():
            known: dict[str, CollectorSender] = {}
            before: float | None = None
            for status in collected.statuses:
                for sender, counts in status.senders.items():
                    old = known.get(sender, CollectorSender())
                    incomplete = _more(old.incomplete, counts.incomplete)
                    rejected = _more(old.rejected, counts.rejected)
                    rejected.pop(PADDING, None)
                    unused = max(0, counts.seen - counts.decoded - old.seen + old.decoded)
                    # What the first message reports may be older than the run.
                    fresh = before is not None or status.started >= self._since
                    if fresh and (incomplete or rejected):
                        span = Span(before if before is not None else status.started, status.t)
                        found.append(Trouble(sender, span, incomplete, rejected, unused))
                    known[sender] = counts
                before = status.t
        return tuple(found)

    @cached_property
    def _rejections(self) -> tuple[Loss, ...]:
        return tuple(
            Loss(
                "rejected",
                trouble.span,
                min(trouble.unused, sum(trouble.rejected.values())),
                trouble.sender,
                ", ".join(sorted(trouble.rejected)),
            )
            for trouble in self._troubles
            if trouble.rejected and trouble.unused
        )

    def _figures(self, process: Process | None) -> Figures:
        """For the rungs: counts since the run began, for the process's sender."""
        if process is None:
            return Figures()
        received = confirmed = seen = records = None
        for told in self._shovelers.values():
            counted = [s.senders[process.sender] for s in (told[0], told[-1]) if process.sender in s.senders]
            if counted:
                first = counted[0] if len(counted) == 2 else ShovelerSender()
                received = (received or 0) + counted[-1].received - first.received
                confirmed = (confirmed or 0) + counted[-1].confirmed - first.confirmed
        for collected in self._collectors.values():
            last = collected.statuses[-1].senders.get(process.sender)
            if last is None:
                continue
            fresh = collected.statuses[0].started >= self._since
            base = CollectorSender() if fresh else collected.statuses[0].senders.get(process.sender, CollectorSender())
            seen = (seen or 0) + last.seen - base.seen
            records = (records or 0) + last.records + last.provisional - base.records - base.provisional
        rows = [row.loaded for row in self._loaded if (row.server_id, row.stod) == (process.server, process.stod)]
        return Figures(received, confirmed, seen, records, sum(rows) if rows else 0 if records is not None else None)


def _gap(gap: Gap) -> SequenceGap:
    begin, end = float(gap.begin), float(gap.end)
    return SequenceGap(gap.cls, gap.after, gap.missing, gap.t_min, gap.t_max, begin, end, gap.sure)


def _process(told: ServerProcess) -> Process:
    return Process(
        server=told.sid,
        stod=told.stod,
        sender=told.sender,
        host=told.host,
        port=told.port,
        last=told.last,
        ended=told.ended,
        clock=told.clock,
        gaps=tuple(_gap(gap) for gap in told.gaps),
    )


def _later(before: Process, after: Process) -> Process:
    """What a collector reported about a process, combined with its later report.

    A long list may have dropped its oldest gaps, so they are kept; when a gap is no longer in a short list, what was
    missing has arrived after all."""
    kept: tuple[SequenceGap, ...] = ()
    if len(after.gaps) >= LEAST_GAPS:
        oldest = min(gap.t_max for gap in after.gaps)
        kept = tuple(gap for gap in before.gaps if gap.t_max < oldest)
    return replace(after, gaps=kept + after.gaps, host=after.host or before.host, port=after.port or before.port)


def _joined(one: Process, other: Process) -> Process:
    """What two collectors report about one process."""
    latest, earlier = (one, other) if one.last >= other.last else (other, one)
    gaps = {(gap.kind, gap.after, gap.missing, gap.begin): gap for gap in (*earlier.gaps, *latest.gaps)}
    return replace(
        latest,
        gaps=tuple(sorted(gaps.values(), key=lambda gap: gap.t_max)),
        ended=latest.ended or earlier.ended,
        clock=max(one.clock, other.clock),
        host=latest.host or earlier.host,
        port=latest.port or earlier.port,
    )


def _drops(told: Sequence[ShovelerStatus]) -> list[Loss]:
    """Each drop of each socket once, however many messages report it."""
    drops = {(drop.listen, drop.t_from): drop for status in told for drop in status.drops}
    return [Loss("kernel", Span(drop.t_from, drop.t_to), drop.count, words=drop.listen) for drop in drops.values()]


def _fragments(told: Sequence[ShovelerStatus]) -> list[Loss]:
    lost = {fragment.t_from: fragment for status in told for fragment in status.fragments}
    return [Loss("fragments", Span(drop.t_from, drop.t_to), drop.count) for drop in lost.values()]


def _refusals(told: Sequence[ShovelerStatus]) -> list[Loss]:
    refusals = {(r.sender, r.reason, r.t_from): r for status in told for r in status.refusals}
    return [Loss("refused", Span(r.t_from, r.t_to), r.count, r.sender, r.reason) for r in refusals.values()]


def _restarts(told: Sequence[ShovelerStatus]) -> list[Loss]:
    """A new generation means that the receiver restarted between two messages."""
    found = []
    for before, after in pairwise(told):
        if before.positions and set(after.positions) - set(before.positions):
            found.append(Loss("restart", Span(before.t, after.t), None))
    return found


def _oversize(told: Sequence[ShovelerStatus]) -> dict[str, float]:
    last: dict[str, ShovelerSender] = {}
    for status in told:
        last.update(status.senders)
    return {
        sender: min(1.0, counts.oversize / max(1, counts.by_code.get("f", counts.oversize)))
        for sender, counts in last.items()
        if counts.oversize
    }


def _arrival(told: Sequence[ShovelerStatus], wanted: Range) -> Span:
    """When the datagrams with these numbers arrived: between the last message without the first of them and the first
    message with the last of them."""
    upto = [_upto(status) for status in told]
    before = bisect_left(upto, wanted[0]) - 1
    after = bisect_left(upto, wanted[1])
    begin = told[before].t if before >= 0 else told[0].t - STALE
    return Span(begin, told[min(after, len(told) - 1)].t)


def _upto(status: ShovelerStatus) -> int:
    """The newest number that it had given to a datagram."""
    return max((p.received_upto for p in status.positions.values()), default=0)


def _forgot(old: CollectorStatus, new: CollectorStatus) -> bool:
    """Whether `new`, which came after `old`, lists as not seen what `old` had seen."""
    for generation, before in old.positions.items():
        after = new.positions.get(generation)
        if after is None:
            continue
        seen = without([(0, before.seen_upto)], merged(before.holes))
        if without(seen, without(seen, merged(after.holes))):
            return True
    return False


def _more(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    return {reason: count - old.get(reason, 0) for reason, count in new.items() if count > old.get(reason, 0)}


def _same_host(asked: str, host: str, address: str) -> bool:
    asked, host = asked.lower(), host.lower()
    if asked in (host, address):
        return True
    if (asked in _LOOPBACK or asked.startswith("127.")) and (address in _LOOPBACK or address.startswith("127.")):
        return True
    short = "." not in asked or "." not in host
    return short and bool(host) and asked.partition(".")[0] == host.partition(".")[0]
