"""Scoring a repeat: the join of requests and records in SQL, then verdicts.

One pass over the join groups all records of each request. A request that is done, without error, with one final
record whose three sums equal what was asked is *plain*; SQL counts plain ones and returns only the *odd* ones, which
`gui.reconcile.verdicts.judge` examines one by one. So a typical million requests cost one ordered scan.

Scoring reads one snapshot of the database and blocks no writer; only the result is written, in one short transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select, text

from gui.reconcile.facts import DEFAULT_DELAY, Miss
from gui.reconcile.gather import Gathered, facts_of, gather, sessions_of
from gui.reconcile.ladder import Ladder, Lost, climb, told_before, weigh
from gui.reconcile.rollup import restate
from gui.reconcile.verdicts import Asked, Judged, Recorded, judge
from gui.store import (
    NoSuchRowError,
    RecordFlags,
    RepeatEntry,
    RequestState,
    ScoringEntry,
    Store,
    VerdictKind,
    VerdictRow,
    schema,
)
from gui.store.rows import ScoringKind

_TOTALS = text(
    "SELECT COUNT(*), SUM(read_asked + readv_asked + written), SUM(read_got + readv_got + written),"
    " MIN(t_started), MAX(t_close) FROM request WHERE repeat_id = :repeat"
)
_ODD = text(
    "SELECT q.id, q.state, q.ok, q.read_asked, q.readv_asked, q.written, COUNT(r.id)"
    " FROM request q LEFT JOIN record r"
    " ON r.tag_id = q.tag_id AND r.match_key = q.match_key AND r.path = q.path"
    " WHERE q.repeat_id = :repeat GROUP BY q.id"
    # With one record its sum is its minimum, which PostgreSQL computes in integers; for sums it uses decimal numbers.
    " HAVING NOT (q.state = 2 AND q.ok = 1 AND COUNT(r.id) = 1 AND MIN(r.record_key & 1) = 1"
    " AND MIN(r.read) = q.read_asked AND MIN(r.readv) = q.readv_asked AND MIN(r.write) = q.written)"
    " ORDER BY q.id"
)
_GROUPS = (
    "SELECT q.id, r.record_key, o.server_id, o.stod, r.file_id, r.read, r.readv, r.write, r.flags"
    " FROM request q JOIN record r ON r.tag_id = q.tag_id AND r.match_key = q.match_key AND r.path = q.path"
    " JOIN origin o ON o.id = r.origin_id WHERE q.id IN ({ids}) ORDER BY q.id, r.id"
)
_OWN_RECORDS = text("SELECT COUNT(*) FROM tag t JOIN record r ON r.tag_id = t.id WHERE t.repeat_id = :repeat")
_CHUNK = 500
NOT_TOLD = "the bundle does not say why"
NOT_WAITED = "the run was stopped before its record could have come"


class _Odd(NamedTuple):
    id: int
    asked: Asked
    records: int


@dataclass(slots=True)
class _Count:
    """Sums over the odd requests."""

    requests: int = 0
    records: int = 0
    unrecorded: int = 0
    bytes_asked: int = 0
    bytes_recorded: int = 0
    unreported: int = 0
    recovered: int = 0


def score(store: Store, repeat_id: int, kind: ScoringKind, now: float) -> ScoringEntry:
    """Score a repeat and store the result beside earlier ones. Updates the run's state and message.

    `kind`: ``settle`` for the first one, when waiting ended; ``late`` after later records; ``recheck`` when requested
    by a person.
    Raises NoSuchRowError, or StoreError when the database fails."""
    repeat = store.repeat(repeat_id)
    run = store.run(repeat.run_id, hidden=True)
    waited = was_waited_for(repeat, run.settle)
    earlier = store.scorings(repeat_id)
    settled = next((entry for entry in earlier if entry.kind == "settle"), None)
    before = store.verdicts(settled.id) if settled is not None else {}
    held = {
        request_id
        for request_id, row in before.items()
        if row.verdict in (VerdictKind.MISSING, VerdictKind.WRONG_BYTES, VerdictKind.DUPLICATE, VerdictKind.NOT_WAITED)
    }
    with store.database.read() as connection:
        mark = connection.scalar(select(func.max(schema.record.c.id))) or 0
        total, asked, got, first, last = connection.execute(_TOTALS, {"repeat": repeat_id}).one()
        count = _Count()
        rows = list(_verdicts(connection, repeat_id, held, count, waited=waited))
        own_records = connection.scalar(_OWN_RECORDS, {"repeat": repeat_id}) or 0
    if run.origin:
        rows = _as_told(rows, store.verdicts(earlier[-1].id) if earlier else {})
    else:
        rows = _find_where_lost(store, repeat.run_id, rows)
    plain = total - count.requests
    kinds = dict.fromkeys(VerdictKind, 0)
    for row in rows:
        kinds[row.verdict] += 1
    # A plain request that was missing before is among `rows` as late; it is not among the odd ones.
    late_plain = len(rows) - count.requests
    scoring = ScoringEntry(
        repeat_id=repeat_id,
        kind=kind,
        t=now,
        record_mark=mark,
        total=total,
        recorded=total - count.unrecorded,
        matched=plain - late_plain + kinds[VerdictKind.MATCHED],
        late=kinds[VerdictKind.LATE],
        wrong_bytes=kinds[VerdictKind.WRONG_BYTES],
        missing=kinds[VerdictKind.MISSING],
        duplicate=kinds[VerdictKind.DUPLICATE],
        client_failed=kinds[VerdictKind.CLIENT_FAILED],
        not_waited=kinds[VerdictKind.NOT_WAITED],
        unreported=count.unreported,
        unrequested=own_records - plain - count.records,
        recovered=count.recovered,
        bytes_asked=int(asked or 0),
        bytes_got=int(got or 0),
        bytes_recorded=int(asked or 0) - count.bytes_asked + count.bytes_recorded,
        first_open=first,
        last_close=last,
    )
    scoring = store.add_scoring(scoring, rows)
    if kind != "settle":
        restate(store, repeat.run_id)
    return scoring


def was_waited_for(repeat: RepeatEntry, limit: float) -> bool:
    """Whether a repeat settled long enough to know that a record is missing: it was complete, or ran to its limit.

    One that was cut short, because the run was stopped or its program ended, did not."""
    if repeat.state != "stopped" or repeat.settle_complete is not False:
        return True
    if repeat.ended is None or repeat.settled is None:
        return False
    return repeat.settled - repeat.ended >= limit


def rescore_late(store: Store, now: float) -> list[ScoringEntry]:
    """Score every repeat again that got records since its last scoring; both figures stay, with a remark on the run."""
    entries = []
    for repeat_id in store.unscored():
        earlier = store.scorings(repeat_id)[-1]
        entry = score(store, repeat_id, "late", now)
        entries.append(entry)
        if entry.good != earlier.good:
            repeat = store.repeat(repeat_id)
            store.add_note(
                repeat.run_id,
                "tally",
                f"Test {repeat.test_number}, repeat {repeat.number}: late records changed matched from "
                f"{earlier.good:,} to {entry.good:,} of {entry.counted:,}.",
                now,
            )
    return entries


def _verdicts(
    connection: Connection, repeat_id: int, held: set[int], count: _Count, *, waited: bool
) -> Iterator[VerdictRow]:
    """Verdicts of all odd requests, and of plain ones that an earlier scoring counted as losses of monitoring."""
    odd_ids: set[int] = set()
    for odd in _in_chunks(_odd(connection, repeat_id)):
        wanted = [request.id for request in odd if request.records]
        groups = _groups(connection, wanted) if wanted else {}
        for request in odd:
            odd_ids.add(request.id)
            judged = judge(request.asked, groups.get(request.id, ()))
            _add(count, request, judged)
            verdict = judged.verdict
            if verdict is VerdictKind.MATCHED and request.id in held:
                verdict = VerdictKind.LATE
            if verdict is VerdictKind.MISSING and not waited:
                verdict = VerdictKind.NOT_WAITED
            yield VerdictRow(
                request.id,
                verdict,
                judged.recorded,
                judged.accesses,
                judged.read,
                judged.readv,
                judged.write,
                judged.behaviours,
                cause=_cause(verdict, request.asked.state),
            )
    for request_id, (read, readv, written) in _asked(connection, sorted(held - odd_ids)).items():
        yield VerdictRow(request_id, VerdictKind.LATE, True, 1, read, readv, written)


def _odd(connection: Connection, repeat_id: int) -> Iterator[_Odd]:
    # Not with a PostgreSQL cursor: its plan is optimised for the first rows and takes twice as long.
    for row in connection.execute(_ODD, {"repeat": repeat_id}):
        yield _Odd(row[0], Asked(RequestState(row[1]), bool(row[2]), row[3], row[4], row[5]), row[6])


def _in_chunks(odd: Iterator[_Odd]) -> Iterator[list[_Odd]]:
    chunk: list[_Odd] = []
    for request in odd:
        chunk.append(request)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _groups(connection: Connection, request_ids: Sequence[int]) -> Mapping[int, list[Recorded]]:
    found: dict[int, list[Recorded]] = defaultdict(list)
    # Our own row ids, as literals: an IN of integers needs no binding, and one plan serves all.
    statement = _GROUPS.format(ids=",".join(map(str, request_ids)))
    for row in connection.exec_driver_sql(statement):
        issues = tuple(msgspec.json.decode(row[8], type=RecordFlags).known_issue) if row[8] else ()
        source = (row[2], row[3], row[4])
        found[row[0]].append(Recorded(row[1] >> 1, bool(row[1] & 1), source, row[5], row[6], row[7], issues))
    return found


def _asked(connection: Connection, request_ids: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    table = schema.request
    asked: dict[int, tuple[int, int, int]] = {}
    for start in range(0, len(request_ids), _CHUNK):
        rows = connection.execute(
            select(table.c.id, table.c.read_asked, table.c.readv_asked, table.c.written).where(
                table.c.id.in_(request_ids[start : start + _CHUNK])
            )
        )
        asked.update((row[0], (row[1], row[2], row[3])) for row in rows)
    return asked


def _add(count: _Count, request: _Odd, judged: Judged) -> None:
    count.requests += 1
    count.records += request.records
    count.unrecorded += not judged.recorded
    count.bytes_asked += request.asked.read + request.asked.readv + request.asked.write
    count.bytes_recorded += judged.read + judged.readv + judged.write
    count.unreported += request.asked.state in (RequestState.PENDING, RequestState.STARTED)
    count.recovered += judged.accesses > 1


def _cause(verdict: VerdictKind, state: RequestState) -> str:
    if verdict is VerdictKind.NOT_WAITED:
        return NOT_WAITED
    return _client_cause(state) if verdict is VerdictKind.CLIENT_FAILED else ""


def _client_cause(state: RequestState) -> str:
    return {
        RequestState.PENDING: "not reported by its client",
        RequestState.STARTED: "started, never reported as done by its client",
        RequestState.INTERRUPTED: "the client was interrupted",
        RequestState.DONE: "the client reported an error",
    }[state]


def _as_told(rows: list[VerdictRow], told: Mapping[int, VerdictRow]) -> list[VerdictRow]:
    """The same rows; missing ones keep the stage that was found where the run was made, since part of the evidence
    (what that database had received from each server) is not in the bundle."""

    def answered(row: VerdictRow) -> VerdictRow:
        known = told.get(row.request_id)
        if known is None or not known.lost_at:
            return replace(row, lost_at="unknown", certain=False, cause=NOT_TOLD)
        return replace(row, lost_at=known.lost_at, certain=known.certain, cause=known.cause, datagram=known.datagram)

    return [answered(row) if row.verdict is VerdictKind.MISSING else row for row in rows]


def _find_where_lost(store: Store, run_id: int, rows: list[VerdictRow]) -> list[VerdictRow]:
    """The same rows, with the stage at which their record was lost for missing ones."""
    missing = [row.request_id for row in rows if row.verdict is VerdictKind.MISSING]
    if not missing:
        return rows
    with store.database.read() as connection:
        facts = facts_of(connection, missing)
        sessions = sessions_of(connection, facts.values())
        held = {row.request_id for row in rows if row.verdict is VerdictKind.MISSING and row.accesses}
        reasons = _provisional_reasons(connection, sorted(held))
    gathered = gather(store, run_id)
    delay = hold_back(store.run(run_id, hidden=True).environment)
    ladders = {}
    for row in rows:
        if row.verdict is VerdictKind.MISSING:
            fact = facts[row.request_id]
            miss = Miss(
                opened=fact.opened,
                closed=fact.closed,
                provisional=row.accesses > 0,
                reasons=reasons.get(row.request_id, ()),
                behaviours=row.behaviours,
                session=sessions.get(row.request_id),
                delay=delay,
                path=fact.path,
            )
            known = gathered.known(fact)
            ladders[row.request_id] = Lost(miss, known, climb(miss, known))
    weighed = weigh(ladders)
    return [
        row
        if (ladder := weighed.get(row.request_id)) is None
        else replace(row, lost_at=ladder.lost_at, certain=ladder.certain, cause=ladder.cause, datagram=ladder.datagram)
        for row in rows
    ]


def hold_back(environment: Mapping[str, Any]) -> float:
    """Seconds that the servers of a run may hold a close back: ``fstat_seconds`` + ``flush_seconds`` where known."""
    fstat, flush = environment.get("fstat_seconds"), environment.get("flush_seconds")
    if isinstance(fstat, int | float) and isinstance(flush, int | float):
        return float(fstat + flush)
    return DEFAULT_DELAY


def ladder_of(store: Store, request_id: int, gathered: Gathered | None = None) -> Ladder | None:
    """The whole ladder of one request, for display; None when it has a final record, so nothing was lost.

    `gathered`: what was reported during its run, where the caller has read it. Raises NoSuchRowError."""
    table = schema.request
    with store.database.read() as connection:
        row = connection.execute(select(table).where(table.c.id == request_id)).fetchone()
        if row is None:
            raise NoSuchRowError(f"There is no request {request_id} in {store.database.shown}.")
        records = _groups(connection, [request_id]).get(request_id, [])
        reasons = _provisional_reasons(connection, [request_id])
        run_id = connection.scalar(select(schema.repeat.c.run_id).where(schema.repeat.c.id == row.repeat_id))
    assert run_id is not None
    asked = Asked(RequestState(row.state), bool(row.ok), row.read_asked, row.readv_asked, row.written)
    judged = judge(asked, records)
    if judged.recorded:
        return None
    failed = judged.verdict is VerdictKind.CLIENT_FAILED
    with store.database.read() as connection:
        fact = facts_of(connection, [request_id])[request_id]
        session = sessions_of(connection, [fact]).get(request_id)
    miss = Miss(
        opened=row.t_open,
        closed=row.t_close,
        client_cause=(row.error or _client_cause(asked.state)) if failed else "",
        provisional=bool(records),
        reasons=reasons.get(request_id, ()),
        behaviours=judged.behaviours,
        session=session,
        delay=hold_back(store.run(run_id).environment),
        path=row.path,
    )
    known = (gathered or gather(store, run_id)).known(fact)
    told = store.request(request_id)
    if told is None or told.verdict is not VerdictKind.MISSING or not told.lost_at:
        return climb(miss, known)
    # The scoring has seen all misses together, which says more than a single one can.
    together = tuple(store.lost_together(request_id))
    return told_before(miss, known, told, together)


def _provisional_reasons(connection: Connection, request_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    reasons: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(request_ids), _CHUNK):
        statement = _GROUPS.format(ids=",".join(map(str, request_ids[start : start + _CHUNK])))
        for row in connection.exec_driver_sql(statement):
            if row[8]:
                lacking = msgspec.json.decode(row[8], type=RecordFlags).incomplete
                reasons[row[0]] = tuple(dict.fromkeys((*reasons.get(row[0], ()), *lacking)))
    return reasons
