"""Each record counts once: which foreign records were counted already, and which accesses still wait for their close.

What was counted is remembered by (*moment*, *key*): the record's own time in seconds and the hash of its id. Records
come roughly in order of time, so new rows are close together; with the hash alone each would touch a page of its own
(159 µs a row instead of 5, both under load, and 36 bytes instead of 21). The moment is part of the record, so it is the
same whenever the record comes.

`REMEMBERED` limits it: beyond that, the ids of whole days are forgotten, the least recently changed day first. Such a
day is *sealed*: records of it are no longer counted, since nobody can tell whether they were counted before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.access import chunks
from gui.store.engine import LEAVE_KNOWN, Database

DAY = 86400
LAST_MOMENT = 100_000 * DAY
"""Times after this (the year 2243) are treated as mistakes."""
REMEMBERED = 50_000_000
"""Ids of records that are remembered, about 1 GB of them. That is months of a large federation."""
WAITING = 1_000_000
WAITING_DAYS = 90
"""At most this many accesses that were never closed wait for their close, each this long after it was loaded."""

_OLD_DAYS = 14
_INSERT = ("moment", "record_key")
_ADD_DAY = (
    "INSERT INTO seen_day (day, ids, touched, sealed) VALUES (?, ?, ?, 0)"
    " ON CONFLICT (day) DO UPDATE SET ids = seen_day.ids + excluded.ids, touched = excluded.touched"
)
_ADD_WAITING = "INSERT INTO never_closed (access_key, daily_id, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_CLOSE = "UPDATE daily SET provisional = provisional - ? WHERE id = ?"

Id = tuple[int, int]
"""Moment and key of a record."""


class FirstTime(NamedTuple):
    """The indexes of the records that are new, and how many belong to sealed days."""

    places: Sequence[int]
    sealed: int


def moment_of(*times: int | None) -> int:
    """The first of these times that is plausible; 0 when none is."""
    return next((t for t in times if t is not None and 0 < t < LAST_MOMENT), 0)


def first_time(database: Database, connection: Connection, ids: Sequence[Id], today: int) -> FirstTime:
    """The records that were not counted before. They are remembered within the caller's transaction."""
    days = schema.seen_day
    sealed_days = set(connection.scalars(select(days.c.day).where(days.c.sealed == 1)))
    open_ids = [one for one in ids if one[0] // DAY not in sealed_days] if sealed_days else ids
    rows = sorted(open_ids)
    if len(set(open_ids)) < len(open_ids):
        rows = sorted(set(open_ids))
    new = _insert_new(database, connection, rows)
    added = _by_day(new)
    database.many(connection, _ADD_DAY, [(day, count, today) for day, count in added.items()])
    if len(new) == len(ids):  # nearly always
        return FirstTime(range(len(ids)), 0)
    place_of = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))  # the first of several
    return FirstTime(sorted(place_of[one] for one in new), len(ids) - len(open_ids))


def _by_day(ids: Sequence[Id]) -> Counter[int]:
    """How many of these sorted ids belong to each day."""
    if ids and ids[0][0] // DAY == ids[-1][0] // DAY:
        return Counter({ids[0][0] // DAY: len(ids)})
    return Counter(moment // DAY for moment, _ in ids)


def _insert_new(database: Database, connection: Connection, ids: list[Id]) -> list[Id]:
    """Insert those that are missing; returns them."""
    # Nearly always all are new, or none: checking each would double the time.
    attempt = connection.begin_nested()
    inserted = database.insert(connection, "seen", _INSERT, ids, LEAVE_KNOWN)
    if inserted in (0, len(ids)):
        attempt.commit()
        return ids if inserted else []
    attempt.rollback()
    known = seen_before(connection, ids)
    new = [one for one in ids if one not in known]
    database.insert(connection, "seen", _INSERT, new, LEAVE_KNOWN)
    return new


def seen_before(connection: Connection, ids: Iterable[Id]) -> set[Id]:
    """Those of `ids` that are remembered."""
    table = schema.seen
    known: set[Id] = set()
    for part in chunks(list(ids), 250):
        asked = tuple_(table.c.moment, table.c.record_key).in_(part)
        known.update((row[0], row[1]) for row in connection.execute(select(table).where(asked)))
    return known


def any_waits(connection: Connection) -> bool:
    """Whether any access is waiting for its close."""
    return connection.execute(select(schema.never_closed.c.access_key).limit(1)).fetchone() is not None


def close(database: Database, connection: Connection, access_keys: Iterable[int]) -> None:
    """These accesses are now closed: subtract those that were counted as never closed from the daily sums."""
    table = schema.never_closed
    closed: Counter[int] = Counter()
    for part in chunks(list(access_keys), 500):
        here = table.c.access_key.in_(part)
        found = list(connection.scalars(select(table.c.daily_id).where(here)))
        if found:
            connection.execute(delete(table).where(here))
            closed.update(found)
    database.many(connection, _CLOSE, [(count, daily) for daily, count in closed.items()])


def wait_for_close(database: Database, connection: Connection, accesses: Iterable[tuple[int, int]], today: int) -> None:
    """Remember that these accesses (key, row of the daily sums) were counted as never closed."""
    database.many(connection, _ADD_WAITING, [(key, daily, today) for key, daily in accesses])


def forget(connection: Connection, today: int) -> bool:
    """Keep within the limits, one day of ids per call; False when a later call has more to do."""
    old = schema.foreign_seen
    connection.execute(delete(old).where(old.c.day < today - _OLD_DAYS))
    waiting = schema.never_closed
    connection.execute(delete(waiting).where(waiting.c.since < today - WAITING_DAYS))
    excess = int(connection.scalar(select(func.count()).select_from(waiting)) or 0) - WAITING
    if excess > 0:
        oldest = select(waiting.c.access_key).order_by(waiting.c.since, waiting.c.access_key).limit(excess)
        connection.execute(delete(waiting).where(waiting.c.access_key.in_(oldest)))
    return _seal_a_day(connection, today)


def _seal_a_day(connection: Connection, today: int) -> bool:
    days, ids = schema.seen_day, schema.seen
    total = int(connection.scalar(select(func.sum(days.c.ids))) or 0)
    # Never a day that is being loaded: its second half would not count.
    idle = select(days.c.day, days.c.ids).where(days.c.ids > 0, days.c.touched < today)
    if total <= REMEMBERED or (row := connection.execute(idle.order_by(days.c.touched, days.c.day)).fetchone()) is None:
        return True
    connection.execute(delete(ids).where(ids.c.moment.between(row.day * DAY, row.day * DAY + DAY - 1)))
    connection.execute(update(days).where(days.c.day == row.day).values(ids=0, sealed=1))
    return bool(total - row.ids <= REMEMBERED)
