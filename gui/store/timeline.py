"""What happened during a run: a sample for each second and server, markers, and the daemons' own counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, literal, select, update

from gui.store import schema
from gui.store.engine import Database
from gui.store.rows import LoadedRow, MarkerRow, SampleRow, StatusPair, StatusStep
from shoveler.service import ShovelerStatus, StatusMessage, encode_status

_PUT_SAMPLE = (
    "INSERT INTO sample (repeat_id, second, server_id, requested, read, recorded, failed, bytes_read, bytes_recorded)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (repeat_id, second, server_id) DO UPDATE SET"
    " requested = COALESCE(excluded.requested, sample.requested), read = COALESCE(excluded.read, sample.read),"
    " recorded = COALESCE(excluded.recorded, sample.recorded), failed = COALESCE(excluded.failed, sample.failed),"
    " bytes_read = COALESCE(excluded.bytes_read, sample.bytes_read),"
    " bytes_recorded = COALESCE(excluded.bytes_recorded, sample.bytes_recorded)"
)


class TimelinePart:
    """The part of `Store` that keeps what charts and the loss ladder need."""

    database: Database

    def add_samples(self, repeat_id: int, samples: Sequence[SampleRow]) -> None:
        """Store samples of a repeat; values measured for the same second and server replace earlier ones."""
        rows = [
            (repeat_id, s.t, s.server_id, s.requested, s.read, s.recorded, s.failed, s.bytes_read, s.bytes_recorded)
            for s in samples
        ]
        with self.database.write() as connection:
            self.database.many(connection, _PUT_SAMPLE, rows)

    def samples(self, repeat_id: int, *, since: int | None = None) -> list[SampleRow]:
        """The samples of a repeat in order of time, then server; only those from this second on, with `since`."""
        table = schema.sample
        query = select(table).where(table.c.repeat_id == repeat_id)
        if since is not None:
            query = query.where(table.c.second >= since)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(table.c.second, table.c.server_id)).all()
        return [
            SampleRow(r.second, r.server_id, r.requested, r.read, r.recorded, r.failed, r.bytes_read, r.bytes_recorded)
            for r in rows
        ]

    def add_marker(self, run_id: int, marker: MarkerRow) -> None:
        """Store an event on the time axis of a run."""
        with self.database.write() as connection:
            connection.execute(
                insert(schema.marker).values(run_id=run_id, at=marker.t, kind=marker.kind, text=marker.text)
            )

    def run_of_fault(self, t: float, text: str) -> int:
        """The run whose event log has this report of a fault, at this time; 0: none has."""
        table = schema.marker
        mine = (table.c.kind == "fault") & (table.c.text == text) & table.c.at.between(t - 0.01, t + 0.01)
        with self.database.read() as connection:
            return connection.scalar(select(table.c.run_id).where(mine).order_by(table.c.id.desc()).limit(1)) or 0

    def markers(self, run_id: int) -> list[MarkerRow]:
        """The events of a run in order of time."""
        table = schema.marker
        with self.database.read() as connection:
            rows = connection.execute(
                select(table).where(table.c.run_id == run_id).order_by(table.c.at, table.c.id)
            ).all()
        return [MarkerRow(r.at, r.kind, r.text) for r in rows]

    def put_status(self, run_id: int, message: StatusMessage) -> None:
        """Keep this status message as the last of its incarnation within the run; the first one is kept too."""
        table = schema.pipeline_status
        program = "shoveler" if isinstance(message, ShovelerStatus) else "collector"
        body = encode_status(message).decode()
        here = (
            (table.c.run_id == run_id)
            & (table.c.program == program)
            & (table.c.member == message.id)
            & (table.c.started == message.started)
        )
        with self.database.write() as connection:
            known = connection.scalar(select(table.c.last_t).where(here))
            if known is None:
                connection.execute(
                    insert(table).values(
                        run_id=run_id,
                        program=program,
                        member=message.id,
                        started=message.started,
                        first_t=message.t,
                        first_body=body,
                        last_t=message.t,
                        last_body=body,
                    )
                )
            elif message.t >= known:
                connection.execute(update(table).where(here).values(last_t=message.t, last_body=body))

    def statuses(self, run_id: int) -> list[StatusPair]:
        """First and last status message of each shoveler and collector (and each of its incarnations) within a run."""
        table = schema.pipeline_status
        with self.database.read() as connection:
            rows = connection.execute(
                select(table).where(table.c.run_id == run_id).order_by(table.c.program, table.c.member, table.c.started)
            ).all()
        return [
            StatusPair(r.program, r.member, r.started, r.first_t, r.first_body.encode(), r.last_t, r.last_body.encode())
            for r in rows
        ]

    def add_status_step(self, run_id: int, step: StatusMessage) -> None:
        """Keep what a later status message of a run adds to the one before."""
        program = "shoveler" if isinstance(step, ShovelerStatus) else "collector"
        body = encode_status(step).decode()
        with self.database.write() as connection:
            connection.execute(
                insert(schema.status_step).values(run_id=run_id, program=program, member=step.id, body=body)
            )

    def status_steps(self, run_id: int) -> list[StatusStep]:
        """What `add_status_step` kept, in that order."""
        table = schema.status_step
        with self.database.read() as connection:
            rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.id)).all()
        return [StatusStep(r.program, r.member, r.body.encode()) for r in rows]

    def mark_loaded(self, run_id: int) -> None:
        """Remember how many records of each server process were loaded when this run began."""
        marks, origin = schema.run_origin, schema.origin
        with self.database.write() as connection:
            if connection.scalar(select(func.count()).where(marks.c.run_id == run_id)):
                return
            loaded = origin.c.loaded_final + origin.c.loaded_provisional
            query = select(literal(run_id), origin.c.id, loaded)
            connection.execute(insert(marks).from_select(["run_id", "origin_id", "loaded"], query))

    def origin_facts(self) -> list[dict[str, Any]]:
        """What the records say of each server process: names, addresses, and ``serverID`` (``stod#ip#port``)."""
        with self.database.read() as connection:
            rows = connection.execute(select(schema.origin.c.facts).order_by(schema.origin.c.id)).all()
        return [msgspec.json.decode(row.facts) for row in rows]

    def loaded_since_mark(self, run_id: int) -> list[LoadedRow]:
        """Records of each server process loaded since `mark_loaded` of this run, ours and others'."""
        marks, origin = schema.run_origin, schema.origin
        query = select(origin, marks.c.loaded).join(
            marks, (marks.c.origin_id == origin.c.id) & (marks.c.run_id == run_id), isouter=True
        )
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(origin.c.id)).all()
        return [
            LoadedRow(
                r.server,
                r.server_id,
                r.stod,
                r.loaded_final + r.loaded_provisional - (r.loaded or 0),
                msgspec.json.decode(r.facts),
            )
            for r in rows
        ]
