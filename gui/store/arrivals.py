"""Importing runs from elsewhere, slice by slice; an arriving run stays hidden until its last slice.

    with store.arrival(uid=…, name=…, plan_text=…, …) as arrival:   # one small transaction: a hidden run
        with arrival.slice() as connection:                         # what belongs to it, a bit at a time
            …
        ids = arrival.insert_new("request", COLUMNS, rows)          # any number of rows, in slices
        arrival.load(bodies)                                        # its records
        arrival.finish()                                            # one small transaction: now it is visible

Without `finish` the run is removed again; what a killed program left behind is removed by the next one (see
`gui.store.removal`). Other writers wait for one slice at most, about a tenth of a second.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.access import agent_ids, chunks, put_servers
from gui.store.engine import Database
from gui.store.errors import StoreConflictError, StoreError
from gui.store.loader import Loader, decode
from gui.store.removal import ARRIVED, at_work, hidden_by, is_left, remove
from gui.store.rows import LoadResult, ServerEntry

SLICE = 2_500
"""Rows in one transaction: some 50 ms."""
BEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ArrivedTag:
    """A tag of an arriving run: the id of its repeat, and the indexes of its agent and server in the given lists."""

    tag: str
    repeat: int
    agent: int
    server: int
    slot: int


class Arrival:
    """One run that is being imported; made by `Store.arrival`. Belongs to one thread."""

    def __init__(self, database: Database, run_id: int, uid: str, token: str, clock: float) -> None:
        self.run_id = run_id
        """The number that the run will have."""
        self.finished = False
        self._database = database
        self._uid = uid
        self._token = token
        self._clock = clock
        self._loader = Loader(database)
        self._beat = time.monotonic()

    @contextmanager
    def slice(self) -> Iterator[Connection]:
        """One transaction. Keep it short: all other writers wait for it. Between two slices nobody waits."""
        with self._database.slice() as connection:
            if time.monotonic() - self._beat > BEAT_SECONDS:
                self._beat = time.monotonic()
                sign = {"hidden": hidden_by(self._token, time.time())}
                connection.execute(update(schema.run).where(schema.run.c.id == self.run_id).values(sign))
            yield connection

    def enter(
        self, servers: Sequence[ServerEntry], agents: Sequence[str], tags: Sequence[ArrivedTag]
    ) -> tuple[list[int], list[int]]:
        """Insert servers, agents (by name) and tags in one transaction; returns the ids of servers and of tags.

        It is one transaction because servers and agents that no tag refers to would stay behind if the rest failed.
        Known servers are not changed. Imported agents are not ours: nobody may ever sign in as one.
        Raises StoreConflictError when a tag is already known."""
        texts = [tag.tag for tag in tags]
        table = schema.tag
        with self.slice() as connection:
            for part in chunks(texts, 500):
                known = connection.scalar(select(table.c.tag).where(table.c.tag.in_(part)).limit(1))
                if known is not None:
                    raise StoreConflictError(
                        f"The run cannot be imported: its tag {known} is already used in this workspace."
                    )
            by_url = put_servers(connection, servers, keep_known=True)
            identities = [f"{ARRIVED}{self._uid}/{place}/{name}" for place, name in enumerate(agents)]
            by_identity = agent_ids(connection, identities, self._clock)
            rows = [
                (tag.tag, tag.repeat, by_identity[identities[tag.agent]], by_url[servers[tag.server].url], tag.slot)
                for tag in tags
            ]
            ids = self._database.new_ids(connection, "tag", len(rows))
            self._database.insert(
                connection,
                "tag",
                ("id", "tag", "repeat_id", "agent_id", "server_id", "slot"),
                [(number, *row) for number, row in zip(ids, rows, strict=True)],
            )
        return [by_url[server.url] for server in servers], ids

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
        """Insert rows, in slices; returns how many."""
        inserted = 0
        for part in _parts(rows):
            with self.slice() as connection:
                inserted += self._database.insert(connection, table, columns, part)
        return inserted

    def insert_new(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Sequence[int]:
        """Insert rows into a table that assigns ids, in slices; returns their ids, which may have gaps."""
        ids = array("q")
        for part in _parts(rows):
            with self.slice() as connection:
                new = self._database.new_ids(connection, table, len(part))
                numbered = [(number, *row) for number, row in zip(new, part, strict=True)]
                self._database.insert(connection, table, ("id", *columns), numbered)
            ids.extend(new)
        return ids

    def load(self, bodies: Iterable[bytes]) -> LoadResult:
        """Store records of this run's tags, in slices; those of other tags are counted as foreign and not stored.

        Nothing is added to the daily sums: a run made elsewhere is not use of the servers seen here."""
        total = LoadResult()
        for part in _parts(bodies):
            batch = decode(part)
            with self.slice() as connection:
                total += self._loader.store_of_run(connection, batch, self.run_id, self._clock)
        return total

    def finish(self, **values: object) -> None:
        """Make the run visible, with these columns changed, and mark its scorings as up to date with its records.

        When it raises StoreError, the run is still hidden, and is removed when the `with` block ends."""
        run, repeat, scoring, record, tag = schema.run, schema.repeat, schema.scoring, schema.record, schema.tag
        repeats = select(repeat.c.id).where(repeat.c.run_id == self.run_id).scalar_subquery()
        with self._database.read() as connection:
            mine = record.c.tag_id.in_(select(tag.c.id).where(tag.c.repeat_id.in_(repeats)))
            mark = connection.scalar(select(func.max(record.c.id)).where(mine)) or 0
        with self._database.slice() as connection:
            older = scoring.c.repeat_id.in_(repeats) & (scoring.c.record_mark < mark)
            connection.execute(update(scoring).where(older).values(record_mark=mark))
            connection.execute(update(run).where(run.c.id == self.run_id).values(hidden=None, **values))
        self.finished = True

    def close(self) -> None:
        """End the helper thread."""
        self._loader.close()


class ArrivalsPart:
    """The part of `Store` that imports runs from elsewhere."""

    database: Database

    @contextmanager
    def arrival(
        self,
        *,
        uid: str,
        now: float,
        environment: Mapping[str, Any] | None = None,
        versions: Mapping[str, Any] | None = None,
        **values: object,
    ) -> Iterator[Arrival]:
        """A hidden run with these columns, to be filled and finished; without `finish` it is removed.

        Raises StoreConflictError when a run with this `uid` is already here or is being imported."""
        with at_work() as token:
            run_id = self._enter(uid, now, token, environment or {}, versions or {}, values)
            arrival = Arrival(self.database, run_id, uid, token, now)
            try:
                yield arrival
            finally:
                arrival.close()
                if not arrival.finished:
                    remove(self.database, run_id)

    def _enter(
        self,
        uid: str,
        now: float,
        token: str,
        environment: Mapping[str, Any],
        versions: Mapping[str, Any],
        values: Mapping[str, object],
    ) -> int:
        table = schema.run
        with self.database.read() as connection:
            known = connection.execute(select(table.c.id, table.c.hidden).where(table.c.uid == uid)).fetchone()
        if known is not None and known.hidden is not None and is_left(known.hidden, now):
            remove(self.database, known.id)
        with self.database.write() as connection:
            known = connection.execute(select(table.c.id, table.c.hidden).where(table.c.uid == uid)).fetchone()
            if known is not None and known.hidden is None:
                raise StoreConflictError(f"This run is already in the workspace, as run {known.id}.")
            if known is not None:
                raise StoreConflictError("This run is being imported or deleted right now; try again later.")
            key = connection.execute(
                insert(table).values(
                    uid=uid,
                    hidden=hidden_by(token, now),
                    environment=msgspec.json.encode(dict(environment)).decode(),
                    versions=msgspec.json.encode(dict(versions)).decode(),
                    **values,
                )
            ).inserted_primary_key
        if key is None:
            raise StoreError(f"The database {self.database.shown} returned no number for the run.")
        return int(key[0])


def _parts(rows: Iterable[Any]) -> Iterator[list[Any]]:
    rows = iter(rows)
    while part := list(islice(rows, SLICE)):
        yield part
