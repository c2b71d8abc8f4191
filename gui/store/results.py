"""Results: scorings and verdicts, and what people remarked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, case, delete, func, insert, literal, select, update
from sqlalchemy.engine import Connection, Row

from agent.messages import Phases
from gui.store import schema
from gui.store.engine import Database
from gui.store.removal import remove_rows
from gui.store.rows import (
    LostDatagram,
    NoteRow,
    RequestEntry,
    RequestState,
    ScoringEntry,
    VerdictKind,
    VerdictRow,
)

_INSERT_VERDICT = (
    "INSERT INTO verdict (scoring_id, request_id, verdict, recorded, accesses, read, readv, write, behaviours, lost_at,"
    " certain, cause, datagram, lost_with) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SLICE = 5_000
"""Verdicts in one transaction: 20 to 30 ms."""
_PARTIAL = ""
"""The kind of a scoring that is not stored completely yet."""
_ABANDONED_SECONDS = 3600.0
REQUEST_CELLS = (
    "id", "round", "tag", "path", "server", "agent", "verdict", "opened", "asked", "got", "recorded", "accesses",
    "behaviours", "lost_at", "certain", "cause", "error", "lost_with",
)  # fmt: skip
"""What `ResultsPart.request_cells` gives of a request. `verdict` None: not scored yet."""
_SCORING = [name for name in ScoringEntry.__dataclass_fields__ if name != "t"]


class ResultsPart:
    """The part of `Store` that keeps results. Scorings are only ever added."""

    database: Database

    def add_scoring(self, scoring: ScoringEntry, verdicts: Iterable[VerdictRow]) -> ScoringEntry:
        """Store a scoring with the verdicts of all requests that are not simply matched by one access.

        Returns it with its id. It is seen only when it is complete: many verdicts are stored in slices, so that others
        need not wait, and until the last of them the scoring is `_PARTIAL`."""
        values = {name: getattr(scoring, name) for name in _SCORING if name != "id"}
        rest = iter(verdicts)
        part = list(islice(rest, _SLICE))
        whole = len(part) < _SLICE
        self._remove_abandoned(scoring.repeat_id, scoring.t - _ABANDONED_SECONDS)
        with self.database.write() if whole else self.database.slice() as connection:
            named = values if whole else values | {"kind": _PARTIAL}
            key = connection.execute(insert(schema.scoring).values(at=scoring.t, **named)).inserted_primary_key
            assert key is not None
            scoring = replace(scoring, id=int(key[0]))
            self._add_verdicts(connection, scoring.id, part)
        if whole:
            return scoring
        while part := list(islice(rest, _SLICE)):
            with self.database.slice() as connection:
                self._add_verdicts(connection, scoring.id, part)
        with self.database.write() as connection:
            mine = schema.scoring.c.id == scoring.id
            connection.execute(update(schema.scoring).where(mine).values(kind=scoring.kind))
        return scoring

    def _add_verdicts(self, connection: Connection, scoring_id: int, verdicts: Sequence[VerdictRow]) -> None:
        rows = [_verdict_values(scoring_id, verdict) for verdict in verdicts]
        self.database.many(connection, _INSERT_VERDICT, rows)

    def _remove_abandoned(self, repeat_id: int, before: float) -> None:
        """Remove scorings that a program began to store before this time and did not finish."""
        table = schema.scoring
        left = (table.c.repeat_id == repeat_id) & (table.c.kind == _PARTIAL) & (table.c.at < before)
        with self.database.read() as connection:
            ids = list(connection.scalars(select(table.c.id).where(left)))
        if ids:
            remove_rows(self.database, schema.verdict, schema.verdict.c.scoring_id, ids)
            remove_rows(self.database, table, table.c.id, ids)

    def scorings(self, repeat_id: int) -> list[ScoringEntry]:
        """All scorings of a repeat, oldest first: the one at settle, then those of late records."""
        with self.database.read() as connection:
            return scorings_in(connection, schema.scoring.c.repeat_id == repeat_id)

    def scorings_of_run(self, run_id: int) -> list[ScoringEntry]:
        """All scorings of all repeats of a run, oldest first."""
        inside = schema.scoring.c.repeat_id.in_(select(schema.repeat.c.id).where(schema.repeat.c.run_id == run_id))
        with self.database.read() as connection:
            return scorings_in(connection, inside)

    def verdicts(self, scoring_id: int) -> dict[int, VerdictRow]:
        """The verdicts of a scoring by request id; a request that is not listed was matched by one access."""
        table = schema.verdict
        with self.database.read() as connection:
            rows = connection.execute(select(table).where(table.c.scoring_id == scoring_id)).all()
        return {row.request_id: _verdict(row) for row in rows}

    def requests(
        self,
        repeat_id: int,
        *,
        verdict: VerdictKind | Collection[VerdictKind] | None = None,
        server_id: int | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[RequestEntry]:
        """Requests of a repeat in order of id, with the verdicts of its newest scoring, starting after id `after`.

        `verdict`: only those with this one, or with one of these."""
        request = schema.request
        with self.database.read() as connection:
            newest = _newest(connection, repeat_id)
            query = _requests(newest).where(request.c.repeat_id == repeat_id, request.c.id > after)
            if server_id is not None:
                query = query.where(request.c.server_id == server_id)
            if verdict is not None:
                wanted = [verdict] if isinstance(verdict, VerdictKind) else list(verdict)
                given = schema.verdict.c.verdict
                condition: ColumnElement[bool] = given.in_([int(kind) for kind in wanted])
                if VerdictKind.MATCHED in wanted and newest is not None:
                    condition = condition | given.is_(None)
                query = query.where(condition)
            rows = connection.execute(query.order_by(request.c.id).limit(limit)).all()
        return [_request(row, newest is not None) for row in rows]

    def request_cells(self, repeat_id: int, *, odd: bool, limit: int) -> list[tuple[Any, ...]]:
        """As much of many requests as a table shows, as `REQUEST_CELLS` names it, in order of id.

        `odd`: those that the newest scoring did not find simply matched; otherwise all others."""
        request, tag, server, agent, verdict = schema.request, schema.tag, schema.server, schema.agent, schema.verdict
        with self.database.read() as connection:
            newest = _newest(connection, repeat_id)
            if newest is None and odd:
                return []
            kind: ColumnElement[Any] = literal(None) if newest is None else func.coalesce(verdict.c.verdict, 0)
            asked = request.c.read_asked + request.c.readv_asked + request.c.written
            recorded = verdict.c.read + verdict.c.readv + verdict.c.write
            query = (
                select(
                    request.c.id, request.c.round, tag.c.tag, request.c.path, server.c.name, agent.c.name, kind,
                    request.c.t_open, asked, request.c.read_got + request.c.readv_got + request.c.written,
                    case((verdict.c.verdict.is_(None), asked), else_=recorded),
                    case((verdict.c.verdict.is_(None), 1), else_=verdict.c.accesses),
                    verdict.c.behaviours, verdict.c.lost_at, verdict.c.certain, verdict.c.cause, request.c.error,
                    verdict.c.lost_with,
                )
                .join(tag, tag.c.id == request.c.tag_id)
                .join(server, server.c.id == request.c.server_id)
                .join(agent, agent.c.id == tag.c.agent_id)
                .where(request.c.repeat_id == repeat_id)
                .order_by(request.c.id)
                .limit(limit)
            )  # fmt: skip
            mine = (verdict.c.request_id == request.c.id) & (verdict.c.scoring_id == (newest or 0))
            query = query.join(verdict, mine, isouter=not odd)
            if not odd:
                query = query.where(verdict.c.request_id.is_(None))
            return [tuple(row) for row in connection.execute(query)]

    def request(self, request_id: int) -> RequestEntry | None:
        """One request with the verdict of the newest scoring of its repeat."""
        request = schema.request
        with self.database.read() as connection:
            repeat_id = connection.scalar(select(request.c.repeat_id).where(request.c.id == request_id))
            if repeat_id is None:
                return None
            newest = _newest(connection, repeat_id)
            row = connection.execute(_requests(newest).where(request.c.id == request_id)).one()
        return _request(row, newest is not None)

    def requests_of(self, repeat_id: int, request_ids: Collection[int]) -> list[RequestEntry]:
        """These requests of a repeat in order of id, with the verdicts of its newest scoring."""
        with self.database.read() as connection:
            newest = _newest(connection, repeat_id)
            query = _requests(newest).where(schema.request.c.id.in_(list(request_ids))).order_by(schema.request.c.id)
            rows = connection.execute(query).all() if request_ids else []
        return [_request(row, newest is not None) for row in rows]

    def lost_together(self, request_id: int) -> list[int]:
        """Requests that, by the newest scoring, were lost with the same datagram as this one; includes this one."""
        request, verdict = schema.request, schema.verdict
        with self.database.read() as connection:
            repeat_id = connection.scalar(select(request.c.repeat_id).where(request.c.id == request_id))
            scoring = None if repeat_id is None else _newest(connection, repeat_id)
            mine = (verdict.c.scoring_id == scoring) & (verdict.c.request_id == request_id)
            group = connection.scalar(select(verdict.c.lost_with).where(mine))
            if group is None:
                return []
            same = (verdict.c.scoring_id == scoring) & (verdict.c.lost_with == group)
            return sorted(connection.scalars(select(verdict.c.request_id).where(same)))

    def lost_places(self, scoring_id: int) -> dict[str, int]:
        """How many requests of a scoring were lost at each place of the loss ladder, as far as a cause was sought."""
        table = schema.verdict
        mine = (table.c.scoring_id == scoring_id) & (table.c.verdict == int(VerdictKind.MISSING))
        known = mine & table.c.lost_at.is_not(None)
        query = select(table.c.lost_at, func.count().label("lost")).where(known).group_by(table.c.lost_at)
        with self.database.read() as connection:
            return {row.lost_at: row.lost for row in connection.execute(query)}

    def unscored(self) -> list[int]:
        """Repeats that were scored before their newest record was loaded: they need scoring again."""
        # A record's id is larger than the mark of every scoring made before it was loaded.
        scoring, tag, record = schema.scoring, schema.tag, schema.record
        repeat, run = schema.repeat, schema.run
        marks = (
            select(scoring.c.repeat_id, func.max(scoring.c.record_mark).label("mark"))
            .where(scoring.c.kind != _PARTIAL)
            .join(repeat, repeat.c.id == scoring.c.repeat_id)
            .join(run, (run.c.id == repeat.c.run_id) & run.c.hidden.is_(None))
            .group_by(scoring.c.repeat_id)
            .subquery()
        )
        with self.database.read() as connection:
            oldest = connection.scalar(select(func.min(marks.c.mark)))
            if oldest is None:
                return []
            newer = (
                select(marks.c.repeat_id)
                .select_from(record)
                .join(tag, tag.c.id == record.c.tag_id)
                .join(marks, marks.c.repeat_id == tag.c.repeat_id)
                .where(record.c.id > oldest, record.c.id > marks.c.mark)
                .distinct()
            )
            return sorted(connection.scalars(newer))

    # ---- remarks

    def add_note(self, run_id: int, author: str, text: str, now: float) -> int:
        """A remark on a run; returns its id."""
        with self.database.write() as connection:
            key = connection.execute(
                insert(schema.note).values(run_id=run_id, at=now, author=author, text=text)
            ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def put_note(self, run_id: int, note: NoteRow) -> None:
        """Keep this remark under its id, in place of the one that is there."""
        table = schema.note
        values = {"run_id": run_id, "at": note.t, "author": note.author, "text": note.text}
        with self.database.write() as connection:
            there = connection.execute(update(table).where(table.c.id == note.id).values(**values)).rowcount
            if not there:
                connection.execute(insert(table).values(id=note.id, **values))

    def delete_note(self, note_id: int) -> None:
        """Take a remark away."""
        with self.database.write() as connection:
            connection.execute(delete(schema.note).where(schema.note.c.id == note_id))

    def notes(self, run_id: int) -> list[NoteRow]:
        """The remarks on a run, oldest first."""
        table = schema.note
        with self.database.read() as connection:
            rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.id)).all()
        return [NoteRow(r.at, r.author, r.text, r.id) for r in rows]


def _newest(connection: Connection, repeat_id: int) -> int | None:
    table = schema.scoring
    mine = (table.c.repeat_id == repeat_id) & (table.c.kind != _PARTIAL)
    newest: int | None = connection.scalar(select(func.max(table.c.id)).where(mine))
    return newest


def _requests(scoring_id: int | None) -> Select[Any]:
    request, tag, server, agent, verdict = schema.request, schema.tag, schema.server, schema.agent, schema.verdict
    given = [verdict.c[name].label(f"v_{name}") for name in verdict.columns.keys()]  # noqa: SIM118 - iterating gives columns
    return (
        select(
            request,
            tag.c.tag,
            tag.c.slot,
            server.c.name.label("server_name"),
            server.c.url.label("server_url"),
            agent.c.name.label("agent_name"),
            *given,
        )
        .join(tag, tag.c.id == request.c.tag_id)
        .join(server, server.c.id == request.c.server_id)
        .join(agent, agent.c.id == tag.c.agent_id)
        .join(
            verdict, (verdict.c.request_id == request.c.id) & (verdict.c.scoring_id == (scoring_id or 0)), isouter=True
        )
    )


def _request(row: Row[Any], scored: bool) -> RequestEntry:
    return RequestEntry(
        id=row.id,
        repeat_id=row.repeat_id,
        round=row.round,
        tag=row.tag,
        path=row.path,
        server=row.server_name,
        server_url=row.server_url,
        agent=row.agent_name,
        slot=row.slot,
        size=row.size,
        state=RequestState(row.state),
        ok=bool(row.ok),
        t_started=row.t_started,
        t_open=row.t_open,
        t_close=row.t_close,
        read_asked=row.read_asked,
        read_got=row.read_got,
        readv_asked=row.readv_asked,
        readv_got=row.readv_got,
        written=row.written,
        read_ops=row.read_ops,
        readv_ops=row.readv_ops,
        write_ops=row.write_ops,
        reached=row.reached or "",
        status=row.status,
        error=row.error or "",
        share=row.share,
        phases=phases_of(row),
        **(_scored(row) if scored else {}),
    )


def phases_of(row: Row[Any]) -> Phases:
    """How long the parts of a request took, of a row of its table."""
    return Phases(
        row.took_name or 0.0,
        row.took_connect or 0.0,
        row.took_tls or 0.0,
        row.took_open or 0.0,
        row.took_first or 0.0,
    )


def _scored(row: Row[Any]) -> dict[str, Any]:
    if row.v_verdict is None:
        return {
            "verdict": VerdictKind.MATCHED,
            "accesses": 1,
            "recorded_read": row.read_asked,
            "recorded_readv": row.readv_asked,
            "recorded_write": row.written,
        }
    return {
        "verdict": VerdictKind(row.v_verdict),
        "accesses": row.v_accesses,
        "recorded_read": row.v_read,
        "recorded_readv": row.v_readv,
        "recorded_write": row.v_write,
        "behaviours": _names(row.v_behaviours),
        "lost_at": row.v_lost_at or "",
        "certain": row.v_certain is None or bool(row.v_certain),
        "cause": row.v_cause or "",
        "datagram": _datagram(row.v_datagram),
        "lost_with": row.v_lost_with or "",
    }


def _verdict(row: Row[Any]) -> VerdictRow:
    return VerdictRow(
        row.request_id,
        VerdictKind(row.verdict),
        bool(row.recorded),
        row.accesses,
        row.read,
        row.readv,
        row.write,
        _names(row.behaviours),
        row.lost_at or "",
        row.certain is None or bool(row.certain),
        row.cause or "",
        _datagram(row.datagram),
    )


def _verdict_values(scoring_id: int, verdict: VerdictRow) -> tuple[Any, ...]:
    return (
        scoring_id,
        verdict.request_id,
        int(verdict.verdict),
        int(verdict.recorded),
        verdict.accesses,
        verdict.read,
        verdict.readv,
        verdict.write,
        msgspec.json.encode(list(verdict.behaviours)).decode() if verdict.behaviours else None,
        verdict.lost_at or None,
        int(verdict.certain) if verdict.lost_at else None,
        verdict.cause or None,
        None if verdict.datagram is None else msgspec.json.encode(verdict.datagram).decode(),
        None if verdict.datagram is None else verdict.datagram.group,
    )


def _datagram(text: str | None) -> LostDatagram | None:
    return msgspec.json.decode(text, type=LostDatagram) if text else None


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text, type=list[str])) if text else ()


def scorings_in(connection: Connection, condition: Any) -> list[ScoringEntry]:
    """The complete scorings for which `condition` holds, oldest first."""
    table = schema.scoring
    rows = connection.execute(select(table).where(condition, table.c.kind != _PARTIAL).order_by(table.c.id)).mappings()
    return [ScoringEntry(t=row["at"], **{name: row[name] for name in _SCORING}) for row in rows]
