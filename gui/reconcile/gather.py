"""Reads the evidence of a run from its workspace: the daemons' reports, the server that a request reached, its
login."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select

from gui.campaign.plan import read_fault
from gui.reconcile.evidence import Evidence, Place
from gui.reconcile.facts import SLACK, Fault, Session, Span
from gui.reconcile.foreign import ForeignFault, foreign_faults
from gui.reconcile.ladder import Known
from gui.store import MarkerRow, Store, schema
from shoveler.service import StatusError, StatusMessage, decode_status

log = logging.getLogger("tally.reconcile")

LONGEST = 86_400.0
"""Seconds that a fault can last."""
LOGIN_SECONDS = 10.0
"""A session logs in within this many seconds after its first open started."""
_SAMPLE = 5
_OTHERS = 8
"""How many other requests of a session are checked: one without a gap of its own is enough to suspect the login."""
_CHUNK = 500
_PORTS = {"root": 1094, "roots": 1094, "xroot": 1094, "http": 80, "https": 443}


class Fact(NamedTuple):
    """What the ladder needs to know about one request."""

    id: int
    tag: int
    server: int
    path: str
    opened: float | None
    closed: float | None
    reached: str


@dataclass(slots=True)
class Gathered:
    """The evidence of one run, and where its requests went."""

    evidence: Evidence
    urls: dict[int, str]
    names: dict[int, str]
    sids: dict[int, frozenset[str]]
    """By server of the directory: the servers (sids) named in the records of its requests."""
    _known: dict[tuple[str, int, str] | None, Known] = field(default_factory=dict)

    def known(self, fact: Fact) -> Known:
        """What is known about the server process that had this request."""
        url = self.urls.get(fact.server, "")
        place = _place(fact.reached) if fact.reached else None
        asked = _place(url)
        wanted: Iterable[str] = ()
        if place is not None and place != asked:
            wanted = self.evidence.servers_at(place)  # a redirector sent it elsewhere
        wanted = wanted or self.sids.get(fact.server, ()) or (self.evidence.servers_at(asked) if asked else ())
        process, successor = self.evidence.process_at(wanted, fact.opened)
        key = process.key if process is not None else None
        if key not in self._known:
            known = self.evidence.known(process, successor)
            self._known[key] = replace(known, name=self.names.get(fact.server, ""))
        return self._known[key]


def gather(store: Store, run_id: int) -> Gathered:
    """The evidence of a run, from the database. Raises StoreError."""
    run = store.run(run_id, hidden=True)
    tag, repeat, server = schema.tag, schema.repeat, schema.server
    mine = select(tag.c.server_id).join(repeat, repeat.c.id == tag.c.repeat_id).where(repeat.c.run_id == run_id)
    with store.database.read() as connection:
        rows = connection.execute(select(server.c.id, server.c.url, server.c.name).where(server.c.id.in_(mine))).all()
        sids = {row.id: _sids(connection, run_id, row.id) for row in rows}
    evidence = Evidence(
        _statuses(store, run_id),
        store.loaded_since_mark(run_id),
        _with_foreign(faults_of(store.markers(run_id)), foreign_faults(run.environment), run.ended),
        run.started or run.created,
    )
    return Gathered(evidence, {row.id: row.url for row in rows}, {row.id: row.name for row in rows}, sids)


def _with_foreign(own: list[Fault], foreign: Sequence[ForeignFault], ended: float | None) -> list[Fault]:
    """Also the faults that were on when the run began. One of the plan's own of that kind takes its place."""
    found = list(own)
    for fault in foreign:
        until = fault.until or ended or fault.t + LONGEST
        until = min([until, *(mine.begin for mine in own if mine.do == fault.do)])
        found.append(
            Fault(fault.do, Span(fault.t, max(fault.t, until)), fault.server, whose=fault.whose, percent=fault.percent)
        )
    return found


def faults_of(markers: Sequence[MarkerRow]) -> list[Fault]:
    """The faults that the run's own plan injected, from its event log: each is followed by the lab's report of it."""
    faults = []
    told = [(marker, read_fault(marker.text)) for marker in markers if marker.kind == "fault"]
    reports = [marker.t for marker, said in told if said is None]
    for marker, said in told:
        if said is None:
            continue
        injected = next((t for t in reports if t >= marker.t), 0.0)
        if injected:
            reports.remove(injected)
        span = Span(marker.t, max(marker.t, injected) + said.lasts)
        faults.append(Fault(said.do, span, said.server, injected, percent=said.percent))
    return faults


def facts_of(connection: Connection, request_ids: Sequence[int]) -> dict[int, Fact]:
    """The facts of these requests, by id."""
    table = schema.request
    columns = (table.c.id, table.c.tag_id, table.c.server_id, table.c.path, table.c.t_open, table.c.t_close,
               table.c.reached)  # fmt: skip
    found = {}
    for part in _parts(request_ids):
        for row in connection.execute(select(*columns).where(table.c.id.in_(part))):
            found[row[0]] = Fact(row[0], row[1], row[2], row[3], row[4], row[5], row[6] or "")
    return found


def sessions_of(connection: Connection, facts: Iterable[Fact]) -> dict[int, Session]:
    """By request id: the session of each of these requests, none of which has a record."""
    by_tag: dict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_tag[fact.tag].append(fact)
    request, record = schema.request, schema.record
    first: dict[int, tuple[float, float]] = {}
    recorded: dict[int, int] = {}
    for part in _parts(sorted(by_tag)):
        logins = (
            select(request.c.tag_id, func.min(request.c.t_open), func.min(request.c.t_close))
            .where(request.c.tag_id.in_(part), request.c.t_open.is_not(None))
            .group_by(request.c.tag_id)
        )
        for tag, opened, closed in connection.execute(logins):
            first[tag] = (opened, closed if closed is not None else opened)
        counts = (
            select(record.c.tag_id, func.count())
            .where(record.c.tag_id.in_(part), record.c.record_key % 2 != 0)
            .group_by(record.c.tag_id)
        )
        for tag, count in connection.execute(counts):
            recorded[tag] = int(count)
    found = {}
    for tag, some in by_tag.items():
        if tag not in first:
            continue
        opened, closed = first[tag]
        login = Span(opened - SLACK, max(opened, min(closed, opened + LOGIN_SECONDS)))
        times = [(fact.id, fact.opened, fact.closed) for fact in some]
        for fact in some:
            others = tuple(
                (begun, over if over is not None else begun)
                for number, begun, over in times[: _OTHERS + 1]
                if number != fact.id and begun is not None
            )
            found[fact.id] = Session(login, recorded.get(tag, 0), others[:_OTHERS])
    return found


def _statuses(store: Store, run_id: int) -> Iterator[StatusMessage]:
    """All kept statuses of the daemons. What a newer Tally has stored cannot be read and is skipped.

    The last one is kept whole and as a step: the step, which tells less, is not to stand behind it."""
    whole: set[tuple[str, float]] = set()
    for pair in store.statuses(run_id):
        for body in dict.fromkeys((pair.first, pair.last)):
            for status in _decoded(f"{pair.program}.{pair.member}", body):
                whole.add((status.id, status.t))
                yield status
    for step in store.status_steps(run_id):
        for status in _decoded(f"{step.program}.{step.member}", step.body):
            if (status.id, status.t) not in whole:
                yield status


def _decoded(key: str, body: bytes) -> Iterator[StatusMessage]:
    try:
        yield decode_status(key, body)
    except StatusError as error:
        log.info("= a stored status message of %s is skipped: %s", key, error)


def _sids(connection: Connection, run_id: int, server_id: int) -> frozenset[str]:
    """The servers (sids) named in some records of this server's requests."""
    tag, record, origin, repeat = schema.tag, schema.record, schema.origin, schema.repeat
    # By the tags, each of which has one server: reading the requests takes seconds when there are many.
    some = (
        select(record.c.origin_id)
        .join(tag, tag.c.id == record.c.tag_id)
        .join(repeat, repeat.c.id == tag.c.repeat_id)
        .where(repeat.c.run_id == run_id, tag.c.server_id == server_id)
        .limit(_SAMPLE)
        .subquery()
    )
    return frozenset(connection.scalars(select(origin.c.server_id).where(origin.c.id.in_(select(some.c.origin_id)))))


def _place(text: str) -> Place | None:
    """Host and port of a URL, or of ``HOST:PORT``."""
    try:
        parts = urlsplit(text if "://" in text else f"root://{text}")
        port = parts.port or _PORTS.get(parts.scheme, 1094)
    except ValueError:
        return None
    return Place(parts.hostname, port) if parts.hostname else None


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
