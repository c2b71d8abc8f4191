"""Records of a workspace: loading them (see `gui.store.loader`), finding them, and what they say about use."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.engine import Database
from gui.store.errors import NoSuchRowError
from gui.store.loader import BLOCK, CACHE_SUMS, Batch, Loader, decode, no_collection
from gui.store.rows import CacheUse, LoadResult, RecordEntry, RecordFlags, UsageNames, UsageRow

UsageGroup = Literal["server", "org", "week", "dir", "user"]
LAST_DAY = 10**6
"""Later than every day."""


class RecordsPart:
    """The part of `Store` that loads records and finds them again."""

    database: Database
    _loader: Loader

    def load(self, bodies: Sequence[bytes], now: float) -> LoadResult:
        """Store records (one JSON object for each element, see `split_records`) in one transaction.

        Idempotent by `record_id`. `now` is stored as the time of loading. `AT_ONCE` at a time is fastest, and for
        more there is `load_all`.
        Raises StoreError when the database fails; then nothing of the batch is stored."""
        with no_collection():
            return self._loader.load(decode(bodies), now)

    def load_all(
        self,
        batches: Iterable[Sequence[bytes]],
        loaded: Callable[[LoadResult, float], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`load` each of these batches in turn; `loaded` is called with the result and the time of each.

        While the disk takes one, which needs no Python, the next is decoded in a thread. (Decoding while rows are
        inserted gives nothing: each statement would wait for Python's lock.) For that, each is stored only when the one
        after it has been read, or there is none. `gui.store.loader.batched` makes batches of the best size."""
        rest = iter(batches)
        ahead: Future[Batch] | None = None

        def decode_ahead() -> None:
            nonlocal ahead
            ahead = None if coming is None else beside.submit(decode, coming)

        with no_collection(), ThreadPoolExecutor(1, "tally-decode") as beside:
            coming = next(rest, None)
            while coming is not None:
                batch = decode(coming) if ahead is None else ahead.result()
                coming = None
                try:
                    coming = next(rest, None)  # never within the transaction: this may wait for a pipe
                finally:  # also when reading on fails
                    now = clock()
                    loaded(self._loader.load(batch, now, decode_ahead), now)

    def records_of(self, request_id: int) -> list[RecordEntry]:
        """The group of a request: all records with its tag and path, in order of loading. Raises NoSuchRowError."""
        request, record = schema.request, schema.record
        with self.database.read() as connection:
            row = connection.execute(select(request).where(request.c.id == request_id)).fetchone()
            if row is None:
                raise NoSuchRowError(f"There is no request {request_id} in {self.database.shown}.")
            return _entries(
                connection,
                (record.c.tag_id == row.tag_id) & (record.c.match_key == row.match_key) & (record.c.path == row.path),
            )

    def record(self, record_id: int) -> RecordEntry | None:
        """One record of a tag of ours; None if it is not there any more."""
        with self.database.read() as connection:
            found = _entries(connection, schema.record.c.id == record_id)
        return found[0] if found else None

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

    def usage(
        self,
        by: UsageGroup,
        then: UsageGroup | None = None,
        *,
        since: int = 0,
        until: int = LAST_DAY,
        own: bool | None = None,
        server: str = "",
        ports: bool = False,
    ) -> list[UsageRow]:
        """Use of the servers according to the records, grouped by one or two fields. Days count from 1 January 1970
        (UTC); `until` is included. `own` True: only Tally's tests; False: everything else; None: both. `server`: only
        this host.

        Most bytes first, weeks in order of time; with two fields, ordered by the first and within it by the second.
        Servers are named without their ports unless `ports`; the group of a week is its Monday, ``2026-11-16``. The
        empty group is what the records do not say."""
        table = schema.daily
        groups = [by] if then is None else [by, then]
        columns = [_column(group) for group in groups]
        sums = [func.sum(getattr(table.c, name)) for name in ("accesses", "provisional", "read", "readv", "write")]
        query = select(*columns, *sums, func.sum(table.c.seconds), func.min(table.c.day), func.max(table.c.day))
        found: dict[tuple[str, ...], UsageRow] = {}
        with self.database.read() as connection:
            used = _used(connection, since, until, own, server)
            for row in connection.execute(query.where(used).group_by(*columns)):
                names = tuple(_name(group, value, ports) for group, value in zip(groups, row, strict=False))
                found[names] = _usage(names, row[len(groups) :], found.get(names))
        return _in_order(list(found.values()), by, then)

    def usage_names(
        self, *, since: int = 0, until: int = LAST_DAY, own: bool | None = None, server: str = ""
    ) -> UsageNames:
        """Who and what is named in the records that `usage` sums up. `owners` leaves out the tests of Tally."""
        table = schema.daily
        with self.database.read() as connection:
            used = _used(connection, since, until, own, server)
            who = select(table.c.person, table.c.org, table.c.directory).where(used, table.c.own == 0).distinct()
            where = select(table.c.server, table.c.site).where(used).distinct()
            owners = frozenset((row[0], row[1], row[2]) for row in connection.execute(who))
            places = connection.execute(where).all()
        return UsageNames(owners, frozenset(host_of(row[0]) for row in places), frozenset(row[1] for row in places))

    def cache_use(self, *, since: int = 0, until: int = LAST_DAY, server: str = "") -> list[CacheUse]:
        """Sums of the ``cache`` records for each cache, or for the one named `server`. Most bytes first."""
        table = schema.other_kind
        with self.database.read() as connection:
            rows = connection.execute(
                select(table).where(table.c.kind == "cache", table.c.day.between(since, until))
            ).all()
        sums: dict[str, list[int]] = {}
        for row in rows:
            cache = host_of(row.server)
            if server and cache != host_of(server):
                continue
            total = sums.setdefault(cache, [0] * (1 + len(CACHE_SUMS)))
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
    """The time at which a block of record bodies was loaded, and the bodies."""
    table = schema.record_block
    row = connection.execute(select(table.c.loaded, table.c.bodies).where(table.c.id == number)).one()
    return row.loaded, zlib.decompress(row.bodies).split(b"\n")


def host_of(server: str) -> str:
    """A server's name without its port. A bare IPv6 address is left as it is."""
    host, _, port = server.rpartition(":")
    return host if port.isdecimal() and (":" not in host or host.endswith("]")) else server


def _used(connection: Connection, since: int, until: int, own: bool | None, server: str) -> ColumnElement[bool]:
    """Which daily sums are meant."""
    table = schema.daily
    used: ColumnElement[bool] = table.c.day.between(since, until)
    if own is not None:
        used &= table.c.own == int(own)
    if server:
        names = connection.scalars(select(table.c.server).distinct())
        used &= table.c.server.in_([name for name in names if host_of(name) == host_of(server)])
    return used


def _column(group: UsageGroup) -> Any:
    table = schema.daily
    return {
        "server": table.c.server,
        "org": table.c.org,
        "week": (table.c.day + 3) - (table.c.day + 3) % 7 - 3,  # day 0 was a Thursday
        "dir": table.c.directory,
        "user": table.c.person,
    }[group]


def _name(group: UsageGroup, value: Any, ports: bool) -> str:
    if group == "week":
        return _date(value)
    return host_of(value) if group == "server" and not ports else str(value)


def _usage(names: Sequence[str], row: Sequence[Any], more: UsageRow | None) -> UsageRow:
    """One group of a result, added to an existing one of the same name."""
    accesses, provisional, read, readv, write = (int(value) for value in row[:5])
    seconds, first, last = float(row[5]), int(row[6]), int(row[7])
    if more is not None:
        accesses, provisional = accesses + more.accesses, provisional + more.provisional
        read, readv, write = read + more.read, readv + more.readv, write + more.write
        seconds, first, last = seconds + more.seconds, min(first, more.first_day), max(last, more.last_day)
    then = names[1] if len(names) > 1 else ""
    return UsageRow(names[0], accesses, provisional, read, readv, write, seconds, first, last, then)


def _in_order(rows: list[UsageRow], by: UsageGroup, then: UsageGroup | None) -> list[UsageRow]:
    def rank(group: UsageGroup, name: str, sums: Sequence[int]) -> tuple[Any, ...]:
        return (name,) if group == "week" else (-sums[0], -sums[1], name)

    totals: dict[str, list[int]] = {}
    for row in rows:
        total = totals.setdefault(row.group, [0, 0])
        total[0] += row.read + row.readv + row.write
        total[1] += row.accesses

    def key(row: UsageRow) -> tuple[Any, ...]:
        mine = (row.read + row.readv + row.write, row.accesses)
        return (*rank(by, row.group, totals[row.group]), *(() if then is None else rank(then, row.then, mine)))

    return sorted(rows, key=key)


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(day))).date().isoformat()
