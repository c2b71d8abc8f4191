"""The pipeline as its parts report it: servers, shovelers, broker, collectors, database. No toolkit.

`PipelineWatch.look` takes what is known at a moment (`Facts`) and gives the state of each stage with its reason, and
where records are waiting. A stage of which nobody reports anything is *not watched*, with what to do about it: that is
never taken for good, and a figure that nobody reported is None, never 0. `tally pipeline` prints the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gui.campaign.ranges import size
from gui.campaign.settle import ALIVE
from gui.models.fleet import FleetServer
from gui.models.history import FINE_SECONDS, Counters, Series, rates, total
from gui.report import numbers
from gui.runner.consume import ConsumerState
from gui.runner.intake import Member
from shoveler.service import CollectorStatus, ShovelerStatus, redact

StageName = Literal["servers", "shovelers", "broker", "collectors", "database"]
State = Literal["up", "check", "failed", "not watched", "not set"]

STATES: dict[State, tuple[str, str]] = {
    "up": ("dot", "ok"),
    "check": ("warn", "warn"),
    "failed": ("bad", "bad"),
    "not watched": ("unreq", "mute"),
    "not set": ("ring", "mute"),
}
"""Icon and colour of each state; the word is the state itself."""

NEWS = 600.0
"""Seconds for which a loss is in the news: then it no longer makes a stage one to check."""
SPOOL_AGE = 10.0
"""Seconds after which what waits in a spool or in the broker is behind, not only under way."""
OVER_BROKER = "no news: it reports over the broker, which does not answer"
LAG = 2.0
"""Seconds by which a datagram must have been confirmed before a collector's report that does not have it: between
the two it is under way, not waiting."""
MAX_EVENTS = 400
LONGEST = 48
"""Characters of a name in a sentence."""
NAMED = 3
"""Names in a sentence; the others are counted."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at `t`. Everything that nobody has said is None or empty."""

    t: float
    servers: Sequence[FleetServer] = ()
    members: Sequence[Member] = ()
    bus: str = ""
    """Its address without a password; empty: none is set."""
    records: ConsumerState = field(default_factory=ConsumerState)
    """How it stands with the queue of records; its depths are those of `queue`, then of `packets_queue`."""
    queue: str = ""
    packets_queue: str = ""
    """The collectors' queue, if it is known."""
    database: str = ""
    database_kind: str = ""
    database_size: int | None = None
    database_trouble: str = ""
    loaded: int | None = None
    """Records loaded since the workspace was opened; None: nobody loads."""
    last_load: float | None = None

    @property
    def away(self) -> bool:
        """Whether the broker does not answer: then nobody's status messages can come either."""
        return bool(self.bus) and not self.records.connected and bool(self.records.trouble)

    def silent(self, member: Member) -> bool:
        """Whether nothing is known of this member any more."""
        return self.away or self.t - member.heard >= ALIVE


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its name, as text; `value` is None when nobody reported it."""

    name: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class ShovelerRow:
    """One shoveler. Rates per second, ages in seconds, sizes in bytes."""

    id: str
    name: str
    host: str
    version: str
    state: State
    reason: str
    remedy: str
    read: float | None
    confirmed: float | None
    rate_bytes: float | None
    spool: int | None
    spool_bytes: int | None
    oldest: float | None
    drops: int
    refused: int
    senders: int
    heard: float
    started: float


@dataclass(frozen=True, slots=True)
class CollectorRow:
    """One collector."""

    id: str
    name: str
    host: str
    version: str
    state: State
    reason: str
    remedy: str
    seen: float | None
    records: float | None
    held: int | None
    set_aside: int
    rejected: int
    gaps: int
    servers: int
    heard: float
    started: float


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue of the broker. `waiting` None: nobody could count it."""

    id: str
    what: str
    state: State
    reason: str
    waiting: int | None
    incoming: float | None
    outgoing: float | None
    oldest: float | None


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    """A fact about the database."""

    id: str
    value: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One box: its state as a word, why, what to do, and its figures."""

    name: StageName
    title: str
    count: str
    state: State
    reason: str
    remedy: str = ""
    figures: tuple[Figure, ...] = ()
    backlog: float | None = None
    oldest: float | None = None
    spark: tuple[float | None, ...] = ()
    """The last ten minutes of what `spark_name` says."""
    spark_name: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow between two boxes: what is spoken there, and how much goes over it."""

    protocol: str
    rate: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a stage, or to one of its rows (`of`), at `t`."""

    t: float
    stage: StageName
    of: str
    symbol: str
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline at `t`."""

    t: float
    stages: tuple[Stage, ...]
    links: tuple[Link, ...]
    waiting: str
    """Where records are waiting, in one sentence."""
    waits: bool
    bus: str = ""
    servers: tuple[FleetServer, ...] = ()
    shovelers: tuple[ShovelerRow, ...] = ()
    queues: tuple[QueueRow, ...] = ()
    collectors: tuple[CollectorRow, ...] = ()
    database: tuple[DatabaseRow, ...] = ()

    def stage(self, name: StageName) -> Stage:
        """The stage of this name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def summary(self) -> str:
        """How many stages need a look."""
        bad = sum(stage.state in ("check", "failed") for stage in self.stages)
        unseen = sum(stage.state in ("not watched", "not set") for stage in self.stages)
        words = [f"{bad} of {len(self.stages)} stages to check"] if bad else []
        words += [f"{unseen} not watched"] if unseen else []
        return ", ".join(words) or "all stages up"


@dataclass(slots=True)
class _Book:
    """What is kept of one shoveler or collector."""

    series: Series
    last: Counters | None = None
    t: float = 0.0
    rates: tuple[float | None, ...] = (None, None, None)
    drops: int = 0
    lost_at: float = 0.0
    set_aside: int = 0
    aside_at: float = 0.0
    refused: int = 0
    refused_at: float = 0.0
    confirmed: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    """By generation: when which number was confirmed, as far as its reports say."""


@dataclass(frozen=True, slots=True)
class _Backlog:
    """What the broker has confirmed and no collector has seen. `since`: when the oldest of it was confirmed."""

    count: int
    since: float | None


class PipelineWatch:
    """Keeps what is needed of the past: rates, lines, when something was lost. `look` as often as you like."""

    def __init__(self) -> None:
        self._books: dict[tuple[str, str], _Book] = {}
        self._stages: dict[StageName, Series] = {
            "servers": Series("datagrams/s"),
            "shovelers": Series("read/s", "confirmed/s", "spool"),
            "broker": Series("in/s", "out/s", "waiting"),
            "collectors": Series("packets/s", "records/s", "held"),
            "database": Series("loaded/s", "waiting"),
        }
        self._sampled = 0.0
        self._loaded: Counters | None = None
        self._load_rate: float | None = None
        self._connected: bool | None = None
        self._since = 0.0
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        """The newest events, in the order in which they were noticed."""

    def series(self, stage: StageName, row: str = "") -> Series:
        """The lines of a stage, or of one shoveler or collector in it."""
        book = self._books.get((stage.removesuffix("s"), row))
        return book.series if book is not None else self._stages[stage]

    def note(self, event: Event) -> None:
        """Something was done to the pipeline, such as a drill."""
        self.events.append(event)

    def look(self, facts: Facts) -> Pipeline:
        """The pipeline now."""
        if not self._since:
            self._since = facts.t
        for member in facts.members:
            self._hear(member)
        self._watch_broker(facts)
        shovelers = tuple(self._shoveler(member, facts) for member in _of(facts, "shoveler"))
        collectors = tuple(self._collector(member, facts) for member in _of(facts, "collector"))
        backlog = self._backlog(facts)
        read = total([row.read for row in shovelers if row.state != "not watched"])
        confirmed = total([row.confirmed for row in shovelers])
        seen, made = total([row.seen for row in collectors]), total([row.records for row in collectors])
        self._count_loads(facts)
        ready = facts.records.depths[1] if len(facts.records.depths) > 1 else None
        waiting = facts.records.depths[0] if facts.records.depths else None
        packets = ready if ready is not None else backlog.count if backlog is not None else None
        self._sample(facts, shovelers, collectors, (read, confirmed, seen, made), packets, waiting)
        queues = _queue_rows(facts, packets, backlog, waiting, confirmed, seen, made, self._load_rate)
        stages = (
            self._servers_stage(facts, shovelers, collectors, read),
            self._shovelers_stage(facts, shovelers, read, confirmed),
            self._broker_stage(facts, packets, backlog, confirmed, seen),
            self._collectors_stage(facts, collectors, backlog, seen, made),
            self._database_stage(facts, waiting),
        )
        protocol = _protocol(facts.bus)
        links = (Link("UDP", read), Link(protocol, confirmed), Link(protocol, seen), Link("records", made))
        sentence, waits = where_waiting(facts, shovelers, packets, backlog, waiting, collectors)
        return Pipeline(
            facts.t, stages, links, sentence, waits, facts.bus, tuple(facts.servers), shovelers, queues, collectors,
            _database_rows(facts, self._load_rate, waiting),
        )  # fmt: skip

    # ---- hearing

    def _hear(self, member: Member) -> None:
        status = member.status
        key = (member.program, member.id)
        book = self._books.get(key)
        shoveler = isinstance(status, ShovelerStatus)
        if book is None:
            names = ("read/s", "confirmed/s", "spool") if shoveler else ("packets/s", "records/s", "held")
            book = self._books[key] = _Book(Series(*names))
            first = True
        else:
            first = False
        if book.t == status.t:
            return
        book.t = status.t
        if isinstance(status, ShovelerStatus):
            self._hear_shoveler(book, member, status, first=first)
        else:
            self._hear_collector(book, member, status, first=first)

    def _hear_shoveler(self, book: _Book, member: Member, status: ShovelerStatus, *, first: bool) -> None:
        senders = status.senders.values()
        now = Counters(
            status.t,
            status.started,
            (
                sum(s.received for s in senders),
                sum(s.confirmed for s in senders),
                sum(s.bytes for s in senders),
            ),
        )
        book.rates, book.last = rates(book.last, now), now
        spool = sum(s.spooled for s in senders)
        book.series.put(member.heard, book.rates[0], book.rates[1], float(spool))
        known = [drop for drop in status.drops if drop.t_to > self._since - NEWS]
        if not first and status.kernel_drops > book.drops:
            lost = status.kernel_drops - book.drops
            book.lost_at = member.heard
            self._event(member.heard, "shovelers", member.id, "warn", f"kernel drops +{lost:,}", "bad")
        elif first and known:
            book.lost_at = max(drop.t_to for drop in known)
            for drop in known:
                self._event(drop.t_to, "shovelers", member.id, "warn", f"kernel drops +{drop.count:,}", "bad")
        book.drops = status.kernel_drops
        refused = sum(sum(s.rejected.values()) for s in senders)
        if not first and refused > book.refused:
            book.refused_at = member.heard
            self._event(member.heard, "shovelers", member.id, "warn", f"refused +{refused - book.refused:,}", "bad")
        book.refused = refused
        for generation, position in status.positions.items():
            points = book.confirmed.setdefault(generation, deque(maxlen=720))
            if not points or position.confirmed_upto > points[-1][1]:
                points.append((member.heard, position.confirmed_upto))
        for gone in set(book.confirmed) - set(status.positions):
            del book.confirmed[gone]

    def _hear_collector(self, book: _Book, member: Member, status: CollectorStatus, *, first: bool) -> None:
        senders = status.senders.values()
        now = Counters(status.t, status.started, (sum(s.seen for s in senders), sum(s.records for s in senders), 0))
        if book.last is not None and book.last.started != status.started:
            self._event(member.heard, "collectors", member.id, "refresh", "started again", "warn")
        book.rates, book.last = rates(book.last, now), now
        book.series.put(member.heard, book.rates[0], book.rates[1], float(status.held))
        if not first and status.set_aside > book.set_aside:
            book.aside_at = member.heard
            count = status.set_aside - book.set_aside
            self._event(member.heard, "collectors", member.id, "warn", f"set aside +{count:,}", "bad")
        book.set_aside = status.set_aside

    def _event(self, t: float, stage: StageName, of: str, symbol: str, text: str, colour: str) -> None:
        self.events.append(Event(t, stage, of, symbol, text, colour))

    def _watch_broker(self, facts: Facts) -> None:
        connected = facts.records.connected
        if not facts.bus or connected == self._connected:
            return
        if self._connected is not None:
            words = ("broker answers", "ok", "info") if connected else ("broker away", "warn", "warn")
            self._event(facts.t, "broker", "", words[1], words[0], words[2])
        if connected or facts.records.trouble:
            self._connected = connected

    def _count_loads(self, facts: Facts) -> None:
        if facts.loaded is None:
            self._loaded, self._load_rate = None, None
        elif self._loaded is None:
            self._loaded = Counters(facts.t, 0.0, (facts.loaded,))
        elif facts.t - self._loaded.t >= FINE_SECONDS:
            now = Counters(facts.t, 0.0, (facts.loaded,))
            (self._load_rate,), self._loaded = rates(self._loaded, now), now

    def _sample(
        self,
        facts: Facts,
        shovelers: Sequence[ShovelerRow],
        collectors: Sequence[CollectorRow],
        flow: tuple[float | None, ...],
        packets: float | None,
        waiting: float | None,
    ) -> None:
        if facts.t - self._sampled < FINE_SECONDS:
            return
        self._sampled = facts.t
        read, confirmed, seen, made = flow
        stages = self._stages
        stages["servers"].put(facts.t, read)
        spool = total([row.spool for row in shovelers])
        stages["shovelers"].put(facts.t, read, confirmed, spool)
        stages["broker"].put(facts.t, confirmed, seen, packets)
        stages["collectors"].put(facts.t, seen, made, total([row.held for row in collectors]))
        stages["database"].put(facts.t, self._load_rate, waiting)

    # ---- rows

    def _shoveler(self, member: Member, facts: Facts) -> ShovelerRow:
        status = member.status
        assert isinstance(status, ShovelerStatus)
        book = self._books["shoveler", member.id]
        silent = facts.t - member.heard
        senders = status.senders.values()
        spool = sum(s.spooled for s in senders)
        oldest = None if status.oldest is None else max(0.0, status.t - status.oldest)
        returned = sum(s.returned for s in senders)
        state: State = "up"
        reason, remedy = "takes and passes on", ""
        if facts.away:
            state, reason = "not watched", OVER_BROKER
        elif silent >= ALIVE:
            state, reason = "check", f"no status for {numbers.duration(silent)}"
            remedy = (
                f"Look whether tally-shoveler runs on {status.host}: tally-shoveler status. What it has not sent "
                "is kept in its spool."
            )
        elif book.lost_at and facts.t - book.lost_at < NEWS:
            lost = sum(drop.count for drop in status.drops if facts.t - drop.t_to < NEWS) or status.kernel_drops
            state, reason = "check", f"{lost:,} dropped by the kernel"
            remedy = (
                "The socket's receive buffer was full. Allow a larger one: "
                "sysctl -w net.core.rmem_max=33554432, then restart tally-shoveler."
            )
        elif book.refused_at and facts.t - book.refused_at < NEWS:
            state, reason = "check", f"{book.refused:,} refused: {_named(_reasons(status))}"
            remedy = "Datagrams of this kind are lost. If the disk of the spool is full, make room."
        elif oldest is not None and oldest > SPOOL_AGE:
            state = "check"
            reason = f"{spool:,} in the spool, oldest {numbers.duration(oldest)}"
            why = "The broker has no queue for them" if returned else "The broker does not confirm them"
            remedy = f"{why}; they are safe on disk. Look at the broker; if its queues are full, at the collector."
        late = facts.silent(member)
        return ShovelerRow(
            member.id, _short(member, facts), status.host, status.version, state, reason, remedy,
            None if late else book.rates[0], None if late else book.rates[1], None if late else book.rates[2],
            spool if spool or not late else None, status.spool_bytes, None if oldest is None else oldest + silent,
            status.kernel_drops, book.refused, len(status.senders), member.heard, status.started,
        )  # fmt: skip

    def _collector(self, member: Member, facts: Facts) -> CollectorRow:
        status = member.status
        assert isinstance(status, CollectorStatus)
        book = self._books["collector", member.id]
        silent = facts.t - member.heard
        state: State = "up"
        reason, remedy = "joins packets into records", ""
        warned = sorted({warning for sender in status.senders.values() for warning in sender.warnings})
        if facts.away:
            state, reason = "not watched", OVER_BROKER
        elif silent >= ALIVE:
            state, reason = "check", f"no status for {numbers.duration(silent)}"
            remedy = f"Look whether tally-collector runs on {status.host}: tally-collector status."
        elif book.aside_at and facts.t - book.aside_at < NEWS:
            state, reason = "check", f"{status.set_aside:,} set aside after an internal error"
            remedy = "See its quarantine: tally-collector inspect QUARANTINE; and please report it."
        elif "no_closes" in warned or "no_fstat" in warned:
            state, reason = "check", f"servers send {'no closes' if 'no_closes' in warned else 'no f-stream'}"
            remedy = "Their xrootd.monitor line lacks fstat; Fleet shows the fixed line for servers with an agent."
        late = facts.silent(member)
        return CollectorRow(
            member.id, _short(member, facts), status.host, status.version, state, reason, remedy,
            None if late else book.rates[0], None if late else book.rates[1],
            status.held if status.held or not late else None, status.set_aside,
            sum(sum(s.rejected.values()) for s in status.senders.values()),
            sum(gap.missing for process in status.processes for gap in process.gaps),
            len({process.sid for process in status.processes}), member.heard, status.started,
        )  # fmt: skip

    def _backlog(self, facts: Facts) -> _Backlog | None:
        """What was confirmed `LAG` before the collectors' reports, and is beyond all that they have seen."""
        readers = [m for m in _of(facts, "collector") if isinstance(m.status, CollectorStatus) and m.status.positions]
        takers = [m for m in _of(facts, "shoveler") if self._books["shoveler", m.id].confirmed]
        if not readers or all(facts.silent(taker) for taker in takers):
            return None
        through: dict[str, int] = {}
        for reader in readers:
            assert isinstance(reader.status, CollectorStatus)
            for generation, progress in reader.status.positions.items():
                through[generation] = max(through.get(generation, 0), progress.seen_upto)
        alive = [reader.heard for reader in readers if facts.t - reader.heard < ALIVE]
        before = (min(alive) if alive else facts.t) - LAG
        count, since = 0, None
        for taker in takers:
            assert isinstance(taker.status, ShovelerStatus)
            for generation, points in self._books["shoveler", taker.id].confirmed.items():
                done = [point for point in points if point[0] <= before]
                seen = max(through.get(generation, 0), taker.status.positions[generation].first - 1)
                if not done or done[-1][1] <= seen:
                    continue
                count += size([(seen + 1, done[-1][1])])
                began = next(heard for heard, upto in done if upto > seen)
                since = began if since is None else min(since, began)
        return _Backlog(count, since)

    # ---- stages

    def _spark(self, name: StageName, column: str, now: float) -> tuple[float | None, ...]:
        return self._stages[name].column(column, now - NEWS)

    def _servers_stage(
        self, facts: Facts, shovelers: Sequence[ShovelerRow], collectors: Sequence[CollectorRow], read: float | None
    ) -> Stage:
        servers = facts.servers
        count = f"{len(servers):,}" if servers else ""
        odd = [server for server in servers if server.state in ("missing", "check")]
        waiting = [server for server in servers if server.state == "waiting"]
        senders = sum(row.senders for row in shovelers)
        state: State = "up"
        remedy = ""
        if not servers and not senders:
            state, reason = "not watched", "no server is known"
            remedy = "Put an agent beside each server (Fleet, Add agent…), or try it on this machine with a lab."
        elif not servers:
            reason = f"{senders:,} send datagrams; none has an agent"
        elif odd:
            state = "check"
            first = odd[0]
            what = "no answer" if first.state == "missing" else first.config or "to check"
            more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
            reason, remedy = (
                f"{first.name}: {what}{more}",
                "Open Fleet: each server has its findings and the fixed line.",
            )
        elif len(waiting) == len(servers):
            state, reason = "not watched", "no datagram of any was seen"
            remedy = "Nobody reports their datagrams: let the shoveler send status messages to this broker."
        elif read is None and not any(server.agent is not None for server in servers):
            state, reason = "not watched", "nobody reports their datagrams now"
            remedy = "No shoveler reports: its status messages tell which servers send."
        elif read is None:
            reason = "up, say their agents; datagrams are not watched"
        elif waiting:
            reason = f"{len(servers) - len(waiting)} up, {len(waiting)} not heard from"
        else:
            reason = "all up, datagrams leave each"
        gaps = sum(row.gaps for row in collectors) if collectors else None
        bytes_rate = total([row.rate_bytes for row in shovelers])
        figures = (
            _rate("Datagrams", read),
            Figure("Bytes", bytes_rate, numbers.UNKNOWN if bytes_rate is None else f"{numbers.size(bytes_rate)}/s"),
            _count("Sequence gaps", gaps),
        )
        return Stage(
            "servers", "Servers", count, state, reason, remedy, figures,
            spark=self._spark("servers", "datagrams/s", facts.t), spark_name="datagrams/s",
        )  # fmt: skip

    def _shovelers_stage(
        self, facts: Facts, rows: Sequence[ShovelerRow], read: float | None, confirmed: float | None
    ) -> Stage:
        spool = total([row.spool for row in rows])
        ages = [row.oldest for row in rows if row.oldest is not None]
        state, reason, remedy = _worst(rows)
        if not rows:
            state, reason = "not watched", "no shoveler has reported"
            remedy = _daemon_remedy("tally-shoveler", "status.exchange", facts)
        elif state == "up":
            reason = "all pass on what they take" if len(rows) > 1 else "passes on what it takes"
        figures = (_rate("Read", read), _rate("Confirmed", confirmed), _count("Spool", spool))
        return Stage(
            "shovelers", "Shovelers", _how_many(rows), state, reason, remedy, figures, spool,
            max(ages) if ages else None, self._spark("shovelers", "spool", facts.t), "spool, datagrams",
        )  # fmt: skip

    def _broker_stage(
        self, facts: Facts, packets: float | None, backlog: _Backlog | None, confirmed: float | None, seen: float | None
    ) -> Stage:
        kind = "" if not facts.bus else "RabbitMQ" if "://" in facts.bus else "local bus"
        oldest = facts.t - backlog.since if backlog is not None and backlog.since is not None else None
        state: State = "up"
        reason, remedy = _host(facts.bus), ""
        trouble = redact(facts.records.trouble)
        if not facts.bus:
            state, reason = "not set", "no bus is set"
            remedy = "Set up the bus: its address, user and password are in the settings."
        elif facts.records.refused:
            state, reason = "failed", trouble
            remedy = "Check address, user, password and rights in the settings."
        elif not facts.records.connected and trouble:
            state, reason, remedy = "failed", trouble, "Records are kept by the shovelers until it is back."
        elif not facts.records.connected:
            state, reason = "not watched", "not connected yet"
        elif oldest is not None and oldest > SPOOL_AGE and backlog is not None:
            state = "check"
            reason = f"{backlog.count:,} wait, oldest about {numbers.duration(oldest)}"
            remedy = "The collector is behind: look at it. The broker keeps what waits."
        figures = (_rate("In", confirmed), _rate("Out", seen), _count("Waiting", packets))
        return Stage(
            "broker", "Broker", kind, state, reason, remedy, figures, packets, oldest,
            self._spark("broker", "waiting", facts.t), "packets waiting",
        )  # fmt: skip

    def _collectors_stage(
        self,
        facts: Facts,
        rows: Sequence[CollectorRow],
        backlog: _Backlog | None,
        seen: float | None,
        made: float | None,
    ) -> Stage:
        held = total([row.held for row in rows])
        behind = None
        if rows and backlog is not None:
            behind = 0.0 if backlog.since is None else max(0.0, facts.t - backlog.since)
        state, reason, remedy = _worst(rows)
        if not rows:
            state, reason = "not watched", "no collector has reported"
            remedy = _daemon_remedy("tally-collector", "exchanges.status", facts)
        elif state == "up" and behind is not None and behind > SPOOL_AGE:
            state, reason = "check", f"about {numbers.duration(behind)} behind"
            remedy = "It works off what waits; if that grows, give it more CPU or a second collector (shards)."
        elif state == "up":
            reason = "nothing waits for them" if len(rows) > 1 else "nothing waits for it"
        figures = (_rate("Packets", seen), _rate("Records", made), _count("Held back", held))
        return Stage(
            "collectors", "Collectors", _how_many(rows), state, reason, remedy, figures, held, behind,
            self._spark("collectors", "records/s", facts.t), "records/s",
        )  # fmt: skip

    def _database_stage(self, facts: Facts, waiting: float | None) -> Stage:
        state: State = "up"
        reason = f"{_tail(facts.database)}, {numbers.size(facts.database_size)}"
        remedy = ""
        since = None if facts.last_load is None else max(0.0, facts.t - facts.last_load)
        if not facts.database:
            state, reason, remedy = "not set", "no workspace is open", "Open a workspace, or try it on this machine."
        elif facts.database_trouble:
            state, reason = "check", facts.database_trouble
            remedy = "Records stay in the queue until the database takes them."
        elif waiting and since is not None and since > SPOOL_AGE:
            state = "check"
            reason = f"{waiting:,.0f} records wait, nothing loaded for {numbers.duration(since)}"
            remedy = "See Problems: the disk may be full, or another program holds the database."
        figures = (
            _rate("Loaded", self._load_rate),
            _count("Waiting", waiting),
            Figure("Last load", since, numbers.UNKNOWN if since is None else f"{numbers.duration(since)} ago"),
        )
        return Stage(
            "database", "Database", facts.database_kind, state, reason, remedy, figures, waiting, None,
            self._spark("database", "waiting", facts.t), "records waiting",
        )  # fmt: skip


def where_waiting(
    facts: Facts,
    shovelers: Sequence[ShovelerRow],
    packets: float | None,
    backlog: _Backlog | None,
    waiting: float | None,
    collectors: Sequence[CollectorRow],
) -> tuple[str, bool]:
    """Where most is waiting, in one sentence with its reason, and whether anything is."""
    if facts.away:
        return (
            "The broker does not answer: what waits in it or before it is not known. Shovelers keep what they take.",
            True,
        )
    places: list[tuple[float, str]] = []
    for row in shovelers:
        if row.spool and row.oldest is not None and row.oldest > SPOOL_AGE:
            why = "the shoveler is silent" if facts.t - row.heard >= ALIVE else "the broker does not confirm them"
            places.append((row.spool, f"{_datagrams(row.spool)} in the spool of {_cut(row.name)}, "
                           f"oldest {numbers.duration(row.oldest)}: {why}."))  # fmt: skip
    age = facts.t - backlog.since if backlog is not None and backlog.since is not None else None
    if age is not None and age > SPOOL_AGE and backlog is not None:
        count = max(backlog.count, int(packets or 0))
        who = "the collectors are" if len(collectors) > 1 else "the collector is"
        silent = collectors and all(facts.t - row.heard >= ALIVE for row in collectors)
        why = "no collector reports" if silent else f"{who} about {numbers.duration(age)} behind"
        places.append((count, f"{_datagrams(count)} in the broker's queue, "
                       f"oldest about {numbers.duration(age)}: {why}."))  # fmt: skip
    if waiting and (facts.last_load is None or facts.t - facts.last_load > SPOOL_AGE):
        verb = "record waits" if waiting == 1 else "records wait"
        places.append(
            (waiting, f"{waiting:,.0f} {verb} in the queue of this workspace: the database does not take them.")
        )
    if places:
        return max(places, key=lambda place: place[0])[1], True
    unknown = [
        name
        for name, seen in (
            ("the shovelers", any(facts.t - row.heard < ALIVE for row in shovelers)),
            ("the broker", packets is not None),
            ("the collectors", any(facts.t - row.heard < ALIVE for row in collectors)),
            ("the queue of this workspace", waiting is not None),
        )
        if not seen
    ]
    if len(unknown) == 4:
        return "Nobody can say where records wait: no part of the pipeline is watched.", False
    if unknown:
        return f"Nothing waits where it can be seen; what is in {_and(unknown)} is not known.", False
    return "Nothing waits: every stage has passed on what it took.", False


def _datagrams(count: float) -> str:
    return f"{count:,.0f} datagram{'' if count == 1 else 's'} wait{'s' if count == 1 else ''}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _of(facts: Facts, program: str) -> list[Member]:
    return sorted((m for m in facts.members if m.program == program), key=lambda m: (m.status.host, m.id))


def _short(member: Member, facts: Facts) -> str:
    """A name for people: the host, and the beginning of the id where several are on one host."""
    host = member.status.host
    several = sum(other.program == member.program and other.status.host == host for other in facts.members) > 1
    return f"{host} {member.id[:8]}" if several or not host else host


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _reasons(status: ShovelerStatus) -> list[str]:
    return sorted({reason for sender in status.senders.values() for reason in sender.rejected})


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _how_many(rows: Sequence[object]) -> str:
    return f"{len(rows):,}" if rows else ""


def _worst(rows: Sequence[ShovelerRow] | Sequence[CollectorRow]) -> tuple[State, str, str]:
    for state in ("failed", "check"):
        for row in rows:
            if row.state == state:
                return row.state, f"{row.reason} ({_cut(row.name)})" if len(rows) > 1 else row.reason, row.remedy
    if rows and all(row.state == "not watched" for row in rows):
        return "not watched", rows[0].reason, rows[0].remedy
    return "up", "", ""


def _daemon_remedy(program: str, setting: str, facts: Facts) -> str:
    if not facts.bus:
        return f"Set up the bus first; {program} reports to it."
    return f"{program} reports to the exchange in its setting {setting}; it must use this broker, and run."


def _rate(name: str, value: float | None) -> Figure:
    return Figure(name, value, numbers.rate(value))


def _count(name: str, value: float | None) -> Figure:
    return Figure(name, value, numbers.count(value))


def _protocol(bus: str) -> str:
    return "AMQPS" if bus.startswith("amqps:") else "AMQP" if "://" in bus or not bus else "files"


def _host(bus: str) -> str:
    return bus.partition("://")[2].rpartition("@")[2].partition("?")[0].rstrip("/") if "://" in bus else bus


def _tail(database: str) -> str:
    return database if "://" in database else database.rpartition("/")[2]


def _queue_rows(
    facts: Facts,
    packets: float | None,
    backlog: _Backlog | None,
    waiting: float | None,
    confirmed: float | None,
    seen: float | None,
    made: float | None,
    loaded: float | None,
) -> tuple[QueueRow, ...]:
    if not facts.bus:
        return ()
    state: State = "up" if facts.records.connected else "failed" if facts.records.trouble else "not watched"
    oldest = facts.t - backlog.since if backlog is not None and backlog.since is not None else None
    own = facts.queue or "–"
    counted = len(facts.records.depths) > 1 and facts.records.depths[1] is not None
    how = "counted by the broker" if counted else "from the positions of shovelers and collectors"
    return (
        QueueRow(
            facts.packets_queue or "packets",
            "packets for the collectors",
            state if packets is not None else "not watched",
            how if packets is not None else "its queue is not known, and no positions are reported",
            None if packets is None else round(packets),
            confirmed,
            seen,
            oldest,
        ),
        QueueRow(
            own,
            "records for this workspace",
            state if waiting is not None else "not watched",
            "counted by the broker" if waiting is not None else "not connected",
            None if waiting is None else round(waiting),
            made,
            loaded,
            None,
        ),
    )


def _database_rows(facts: Facts, rate: float | None, waiting: float | None) -> tuple[DatabaseRow, ...]:
    if not facts.database:
        return ()
    since = None if facts.last_load is None else facts.t - facts.last_load
    return (
        DatabaseRow("Database", facts.database),
        DatabaseRow("Kind", facts.database_kind or numbers.UNKNOWN),
        DatabaseRow("Size", numbers.size(facts.database_size)),
        DatabaseRow("Loaded since it was opened", numbers.count(facts.loaded)),
        DatabaseRow("Loaded per second", numbers.rate(rate)),
        DatabaseRow("Last load", numbers.UNKNOWN if since is None else f"{numbers.duration(since)} ago"),
        DatabaseRow("Records waiting", numbers.count(waiting)),
        DatabaseRow("Queue", facts.queue or numbers.UNKNOWN),
    )
