"""Records of a workspace: loading them (see `gui.store.loader`), finding them, and what they say about use."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.engine import Database
from gui.store.errors import NoSuchRow
from gui.store.loader import BLOCK, CACHE_SUMS, Loader, decode
from gui.store.rows import CacheUse, LoadResult, RecordEntry, RecordFlags, UsageRow

UsageGroup = Literal["server", "org", "week", "dir", "user"]


class RecordsPart:
    """The part of `Store` that takes records in and finds them again."""

    database: Database
    _loader: Loader

    def load(self, bodies: Sequence[bytes], now: float) -> LoadResult:
        """Store records (one JSON object for each element, see `split_records`) in one transaction.

        Idempotent by `record_id`. `now` is remembered as their time of loading. Some thousands at a time are fastest.
        Raises StoreError when the database fails; then nothing of the batch is stored."""
        return self._loader.load(decode(bodies), now)

    def records_of(self, request_id: int) -> list[RecordEntry]:
        """The group of a request: all records with its tag and path, in order of loading. Raises NoSuchRow."""
        request, record = schema.request, schema.record
        with self.database.read() as connection:
            row = connection.execute(select(request).where(request.c.id == request_id)).fetchone()
            if row is None:
                raise NoSuchRow(f"There is no request {request_id} in {self.database.shown}.")
            return _entries(
                connection,
                (record.c.tag_id == row.tag_id) & (record.c.match_key == row.match_key) & (record.c.path == row.path),
            )

    def unrequested(self, repeat_id: int, limit: int = 1000) -> list[RecordEntry]:
        """Records with a tag of this repeat and a path that this tag never asked for, oldest first."""
        request, record, tag = schema.request, schema.record, schema.tag
        asked = (
            select(request.c.id)
            .where(
                request.c.tag_id == record.c.tag_id,
                request.c.match_key == record.c.match_key,
                request.c.path == record.c.path,
            )
            .exists()
        )
        with self.database.read() as connection:
            return _entries(connection, (tag.c.repeat_id == repeat_id) & ~asked, limit)

    def usage(self, by: UsageGroup, *, since: int = 0, until: int = 10**6, own: bool | None = None) -> list[UsageRow]:
        """What the records say about use, grouped; days are counted from 1 January 1970 (UTC), `until` included.

        `own` True: only Tally's tests; False: everything else; None: both. Most bytes first, weeks in order of time;
        the group of a week is its Monday, ``2026-11-16``. An empty group is what the records do not tell."""
        table = schema.daily
        column: Any = {
            "server": table.c.server,
            "org": table.c.org,
            "week": (table.c.day + 3) - (table.c.day + 3) % 7 - 3,  # day 0 was a Thursday
            "dir": table.c.directory,
            "user": table.c.person,
        }[by]
        sums = [func.sum(getattr(table.c, name)) for name in ("accesses", "provisional", "read", "readv", "write")]
        query = (
            select(column, *sums, func.sum(table.c.seconds), func.min(table.c.day), func.max(table.c.day))
            .where(table.c.day.between(since, until))
            .group_by(column)
        )
        if own is not None:
            query = query.where(table.c.own == int(own))
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        if by == "week":
            return [_usage(_date(row[0]), row) for row in sorted(rows)]
        found = [_usage(row[0], row) for row in rows]
        return sorted(found, key=lambda row: (-(row.read + row.readv + row.write), -row.accesses, row.group))

    def other_kinds(self) -> dict[str, int]:
        """How many records of each other kind were loaded."""
        table = schema.other_kind
        with self.database.read() as connection:
            rows = connection.execute(select(table.c.kind, func.sum(table.c.events)).group_by(table.c.kind)).all()
        return {kind: int(count) for kind, count in sorted(rows)}

    def cache_use(self, *, since: int = 0, until: int = 10**6) -> list[CacheUse]:
        """What records of kind ``cache``, by the day they were loaded, say of each cache. Most bytes first."""
        table = schema.other_kind
        with self.database.read() as connection:
            rows = connection.execute(
                select(table).where(table.c.kind == "cache", table.c.day.between(since, until))
            ).all()
        sums: dict[str, list[int]] = {}
        for row in rows:
            total = sums.setdefault(row.server, [0] * (1 + len(CACHE_SUMS)))
            said = msgspec.json.decode(row.sums, type=dict[str, int])
            amounts: list[int] = [row.events, *(said.get(name, 0) for name in CACHE_SUMS)]
            for place, amount in enumerate(amounts):
                total[place] += amount
        caches = [CacheUse(server, *total) for server, total in sums.items()]
        return sorted(caches, key=lambda cache: (-(cache.hit + cache.miss + cache.bypass), cache.server))


def _entries(connection: Connection, condition: Any, limit: int | None = None) -> list[RecordEntry]:
    record, tag, origin = schema.record, schema.tag, schema.origin
    rows = connection.execute(
        select(record, tag.c.tag, origin.c.server)
        .join(tag, tag.c.id == record.c.tag_id)
        .join(origin, origin.c.id == record.c.origin_id)
        .where(condition)
        .order_by(record.c.id)
        .limit(limit)
    ).all()
    blocks: dict[int, tuple[float, list[bytes]]] = {}
    entries = []
    for row in rows:
        number, place = divmod(row.body, BLOCK)
        if number not in blocks:
            blocks[number] = read_block(connection, number)
        loaded, bodies = blocks[number]
        flags = msgspec.json.decode(row.flags, type=RecordFlags) if row.flags else RecordFlags()
        final = bool(row.record_key & 1)
        entries.append(
            RecordEntry(
                row.id,
                row.tag,
                row.path,
                final,
                row.read,
                row.readv,
                row.write,
                loaded,
                row.server,
                flags,
                bodies[place],
            )
        )
    return entries


def read_block(connection: Connection, number: int) -> tuple[float, list[bytes]]:
    """When a block of record bodies was loaded, and the bodies."""
    table = schema.record_block
    row = connection.execute(select(table.c.loaded, table.c.bodies).where(table.c.id == number)).one()
    return row.loaded, zlib.decompress(row.bodies).split(b"\n")


def _usage(group: str, row: Sequence[Any]) -> UsageRow:
    accesses, provisional, read, readv, write = (int(value) for value in row[1:6])
    return UsageRow(group, accesses, provisional, read, readv, write, float(row[6]), int(row[7]), int(row[8]))


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(day))).date().isoformat()
