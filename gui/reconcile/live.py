"""Counts while a repeat runs and settles: requested, read and recorded for each server, once or twice a second.

`LiveCounts` reads only what changed since its last look: records by their increasing ids, and the requests that are
still open. A request is *open* until it is read and its records agree with what was asked, or until its client failed;
only open ones are kept in memory. The figures are for watching; `gui.reconcile.scoring` makes the verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from gui.store import RequestState, Store

_NEW_REQUESTS = text(
    "SELECT id, tag_id, match_key, server_id FROM request WHERE repeat_id = :repeat AND id > :after ORDER BY id"
)
_REPORTED = text(
    "SELECT tag_id, match_key, state, ok, t_close, read_asked, readv_asked, written, read_got + readv_got + written"
    " FROM request WHERE repeat_id = :repeat AND id >= :first AND state >= 2"
)
_NEW_RECORDS = text(
    "SELECT r.id, r.tag_id, r.match_key, r.record_key, r.read, r.readv, r.write FROM record r"
    " JOIN tag t ON t.id = r.tag_id WHERE r.id > :after AND t.repeat_id = :repeat ORDER BY r.id"
)
_CLOSED_REQUEST = text(
    "SELECT server_id, ok FROM request WHERE tag_id = :tag AND match_key = :key AND repeat_id = :repeat"
)
_SERVERS = text("SELECT id, name, url FROM server")


@dataclass(frozen=True, slots=True)
class LiveServer:
    """One server of a repeat. `gap` = read − recorded of the same requests; `gap_oldest` is its oldest closing time.

    `bytes_recorded` and `last_record` (the time of the look that saw it) are of all its records, recovered ones too."""

    id: int
    name: str
    url: str
    requested: int
    read: int
    recorded: int
    failed: int
    pending: int
    wrong: int
    duplicate: int
    gap: int
    gap_oldest: float | None
    bytes_read: int
    bytes_recorded: int
    last_record: float | None


@dataclass(frozen=True, slots=True)
class LiveTotals:
    """A repeat at one moment. `unrecorded`: requests, including pending ones, that did not fail and have no final
    record."""

    t: float
    servers: tuple[LiveServer, ...]
    requested: int
    read: int
    recorded: int
    failed: int
    pending: int
    wrong: int
    duplicate: int
    unrequested: int
    unrecorded: int
    gap: int
    gap_oldest: float | None
    last_record: float | None


@dataclass(slots=True)
class _Open:
    """A request that is not over yet."""

    id: int
    server: int
    done: bool = False
    closed: float = 0.0
    asked: tuple[int, int, int] = (0, 0, 0)
    finals: int = 0
    recorded: tuple[int, int, int] = (0, 0, 0)


@dataclass(slots=True)
class _Sums:
    """Running sums of one server, over requests that are open and closed."""

    requested: int = 0
    read: int = 0
    recorded: int = 0
    failed: int = 0
    duplicate: int = 0
    bytes_read: int = 0
    bytes_recorded: int = 0
    last_record: float | None = None


class LiveCounts:
    """Counts one repeat. Belongs to one thread; it blocks, so not to the event loop's."""

    def __init__(self, store: Store, repeat_id: int) -> None:
        self._store = store
        self._repeat = repeat_id
        self._open: dict[tuple[int, int], _Open] = {}
        self._sums: dict[int, _Sums] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._last_request = 0
        self._last_record = 0
        self._unrequested = 0

    def look(self, now: float) -> LiveTotals:
        """What is known at `now`. Raises StoreError; the next look then catches up."""
        with self._store.database.read() as connection:
            self._take_requests(connection)
            self._take_reports(connection)
            self._take_records(connection, now)
            if any(server not in self._names for server in self._sums):
                self._names = {row[0]: (row[1], row[2]) for row in connection.execute(_SERVERS)}
        self._close_matched()
        return self._totals(now)

    def _take_requests(self, connection: Connection) -> None:
        where = {"repeat": self._repeat, "after": self._last_request}
        for request_id, tag, key, server in connection.execute(_NEW_REQUESTS, where):
            self._open[tag, key] = _Open(request_id, server)
            self._sums.setdefault(server, _Sums()).requested += 1
            self._last_request = request_id

    def _take_reports(self, connection: Connection) -> None:
        first = min((request.id for request in self._open.values() if not request.done), default=None)
        if first is None:
            return
        rows = connection.execute(_REPORTED, {"repeat": self._repeat, "first": first})
        for tag, key, state, ok, closed, read, readv, written, got in rows:
            request = self._open.get((tag, key))
            if request is None or request.done:
                continue
            sums = self._sums[request.server]
            if state != RequestState.DONE or not ok:
                sums.failed += 1
                if request.finals:
                    sums.recorded -= 1  # it was counted as recorded before its client reported
                del self._open[tag, key]
                continue
            request.done, request.closed, request.asked = True, closed or 0.0, (read, readv, written)
            sums.read += 1
            sums.bytes_read += got

    def _take_records(self, connection: Connection, now: float) -> None:
        rows = connection.execute(_NEW_RECORDS, {"repeat": self._repeat, "after": self._last_record}).all()
        for row in rows:
            request = self._open.get((row[1], row[2]))
            if request is None:
                self._take_extra(connection, row, now)
            else:
                self._add_record(request, row, now)
            self._last_record = row[0]

    def _add_record(self, request: _Open, row: Sequence[Any], now: float) -> None:
        sums = self._sums[request.server]
        sums.last_record = now
        if not row[3] & 1:
            return  # provisional: the bytes of the final one follow, or the request stays without a record
        sums.bytes_recorded += row[4] + row[5] + row[6]
        if not request.finals:
            sums.recorded += 1
        request.finals += 1
        read, readv, written = request.recorded
        request.recorded = (read + row[4], readv + row[5], written + row[6])

    def _take_extra(self, connection: Connection, row: Sequence[Any], now: float) -> None:
        """A record of a request that is over or was never made."""
        where = {"tag": row[1], "key": row[2], "repeat": self._repeat}
        request = connection.execute(_CLOSED_REQUEST, where).fetchone()
        if request is None:
            self._unrequested += 1
            return
        sums = self._sums.setdefault(request[0], _Sums())
        sums.last_record = now
        if row[3] & 1 and request[1]:
            sums.bytes_recorded += row[4] + row[5] + row[6]
            if row[4] or row[5] or row[6]:
                sums.duplicate += 1

    def _close_matched(self) -> None:
        over = [key for key, r in self._open.items() if r.done and r.finals and r.recorded == r.asked]
        for key in over:
            del self._open[key]

    def _totals(self, now: float) -> LiveTotals:
        pending: dict[int, int] = {}
        gaps: dict[int, list[float]] = {}
        wrong: dict[int, int] = {}
        double: dict[int, int] = {}
        waiting = 0
        for request in self._open.values():
            if not request.finals:
                waiting += 1
            if not request.done:
                pending[request.server] = pending.get(request.server, 0) + 1
            elif not request.finals:
                gaps.setdefault(request.server, []).append(request.closed)
            else:
                more = any(got > want for got, want in zip(request.recorded, request.asked, strict=True))
                kind = double if more and request.finals > 1 else wrong
                kind[request.server] = kind.get(request.server, 0) + 1
        servers = tuple(
            LiveServer(
                id=server,
                name=self._names[server][0],
                url=self._names[server][1],
                requested=sums.requested,
                read=sums.read,
                recorded=sums.recorded,
                failed=sums.failed,
                pending=pending.get(server, 0),
                wrong=wrong.get(server, 0),
                duplicate=sums.duplicate + double.get(server, 0),
                gap=len(gaps.get(server, ())),
                gap_oldest=min(gaps.get(server, ()), default=None),
                bytes_read=sums.bytes_read,
                bytes_recorded=sums.bytes_recorded,
                last_record=sums.last_record,
            )
            for server, sums in sorted(self._sums.items())
        )

        def total(name: str) -> int:
            return sum(getattr(server, name) for server in servers)

        return LiveTotals(
            t=now,
            servers=servers,
            requested=total("requested"),
            read=total("read"),
            recorded=total("recorded"),
            failed=total("failed"),
            pending=total("pending"),
            wrong=total("wrong"),
            duplicate=total("duplicate"),
            unrequested=self._unrequested,
            unrecorded=waiting,
            gap=total("gap"),
            gap_oldest=min((s.gap_oldest for s in servers if s.gap_oldest is not None), default=None),
            last_record=max((s.last_record for s in servers if s.last_record is not None), default=None),
        )
