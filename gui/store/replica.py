"""A copy of a workspace on another machine, to be read there: what a remote hub tells, in a database of our own.

The hub divides its database into *parts*, each with a *version* that changes whenever its rows do:

    known        servers and agents, by their ids
    run N        a run: its tests, repeats, figures and notes
    details N    the rest of it: requests, records and verdicts one by one, the time axis, what programs reported
    day N        the sums of a day, by which use of the federation is shown

`catalogue` and `rows` are the hub's side; `Replica` is ours: it replaces a part whose version differs, in one
transaction. Keys, secrets, journals and the audit record are in no part, so that they cannot be asked for. Both sides
must have the same schema (`migrations.HEAD`). Rows keep their ids: a run has the same number on both sides.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, Table, func, select, true, tuple_
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.engine import Database
from gui.store.errors import NoSuchRowError, StoreBusyError, StoreError
from gui.store.loader import BLOCK
from gui.store.store import Store

Kind = Literal["known", "run", "details", "day"]
SLICE_ROWS = 1000
SLICE_BYTES = 1024 * 1024
FEW = {"record_block": 4, "pipeline_status": 20, "status_step": 20}
"""At most so many rows of these tables are read at a time: one can be large."""
BUSY_SECONDS = 60.0
PREFIX = "replica."
"""Of the settings in which a replica keeps the versions of its parts."""
UNDER_WAY = ("preparing", "running")
FRESH_SECONDS = 5
"""The details of a run under way change all the time: their version holds so long."""

TABLES: dict[Kind, tuple[Table, ...]] = {
    "known": (schema.server, schema.agent),
    "run": (
        schema.run,
        schema.test,
        schema.repeat,
        schema.scoring,
        schema.note,
    ),
    "details": (
        schema.tag,
        schema.request,
        schema.record,
        schema.record_block,
        schema.origin,
        schema.run_origin,
        schema.verdict,
        schema.sample,
        schema.marker,
        schema.pipeline_status,
        schema.status_step,
    ),
    "day": (schema.daily, schema.other_kind),
}


class Part(msgspec.Struct, frozen=True):
    """A part of a workspace; `number` is that of its run or day."""

    kind: Kind
    number: int = 0

    @property
    def name(self) -> str:
        """``run 7``, ``known``."""
        return f"{self.kind} {self.number}" if self.kind != "known" else self.kind


class Slice(msgspec.Struct, frozen=True):
    """Some rows of a table of a part, in the order of its primary key. `more`: ask again, after the last one's key."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool


KNOWN = Part("known")
AT_ONCE: dict[Kind, int] = {"known": 1, "run": 100, "details": 1, "day": 100}
"""How many parts of a kind are asked for at once: a hub has many runs and days, and each is small."""


# ---------------------------------------------------------------- the hub's side


def catalogue(database: Database, now: float) -> dict[str, str]:
    """The version of each part, by its name. Blocking."""
    with database.read() as connection:
        runs = _run_versions(connection)
        return (
            {KNOWN.name: _known_version(connection)}
            | {Part("run", run).name: version for run, (_, version, _) in runs.items()}
            | {
                Part("details", run).name: f"{scored}/{now // FRESH_SECONDS:.0f}" if state in UNDER_WAY else scored
                for run, (state, _, scored) in runs.items()
            }
            | {Part("day", day).name: version for day, version in _day_versions(connection).items()}
        )


def rows(
    database: Database, kind: Kind, numbers: Sequence[int], table: str, after: Sequence[Any], limit: int = SLICE_ROWS
) -> Slice:
    """The next rows of a table after the key `after` (empty: the first), of the parts with these numbers. Raises
    NoSuchRowError. Blocking."""
    wanted = next((one for one in TABLES[kind] if one.name == table), None)
    if wanted is None:
        names = ", ".join(one.name for one in TABLES[kind])
        raise NoSuchRowError(f"There is no table {table!r} in {kind}; there are: {names}.")
    key = list(wanted.primary_key.columns)
    if after and len(after) != len(key):
        raise NoSuchRowError(f"A key of {table} has {len(key)} values, not {len(after)}.")
    limit = min(limit, FEW.get(table, SLICE_ROWS))
    query = select(wanted).where(_of(kind, numbers, wanted)).order_by(*key).limit(limit)
    if after:
        query = query.where(tuple_(*key) > tuple_(*after) if len(key) > 1 else key[0] > after[0])
    found: list[list[Any]] = []
    size = 0
    with database.read() as connection:
        if kind in ("run", "details"):
            _must_be_visible(connection, numbers, database.shown)
        for row in connection.execute(query):
            values = [base64.b64encode(v).decode() if isinstance(v, bytes | memoryview) else v for v in row]
            found.append(values)
            size += sum(len(value) for value in values if isinstance(value, str))
            if size >= SLICE_BYTES:
                break
    return Slice([str(column.name) for column in wanted.columns], found, size >= SLICE_BYTES or len(found) == limit)


def _must_be_visible(connection: Connection, runs: Sequence[int], shown: str) -> None:
    table = schema.run
    seen = set(connection.scalars(select(table.c.id).where(table.c.id.in_(runs), table.c.hidden.is_(None))))
    for run in runs:
        if run not in seen:
            raise NoSuchRowError(f"There is no run {run} in {shown}.")


def _of(kind: Kind, numbers: Sequence[int], table: Table) -> ColumnElement[bool]:
    """Which rows of a table belong to these parts."""
    if kind == "known":
        return true()
    if kind == "day":
        return table.c.day.in_(numbers)
    repeats = select(schema.repeat.c.id).where(schema.repeat.c.run_id.in_(numbers)).scalar_subquery()
    tags = select(schema.tag.c.id).where(schema.tag.c.repeat_id.in_(repeats)).scalar_subquery()
    mine = schema.record.c.tag_id.in_(tags)
    match table.name:
        case "run":
            return table.c.id.in_(numbers)
        case "scoring" | "sample" | "tag" | "request":
            return table.c.repeat_id.in_(repeats)
        case "verdict":
            scorings = select(schema.scoring.c.id).where(schema.scoring.c.repeat_id.in_(repeats))
            return table.c.scoring_id.in_(scorings.scalar_subquery())
        case "record":
            return mine
        case "record_block":
            return table.c.id.in_(select(schema.record.c.body // BLOCK).where(mine).distinct().scalar_subquery())
        case "origin":
            seen = select(schema.run_origin.c.origin_id).where(schema.run_origin.c.run_id.in_(numbers))
            named = select(schema.record.c.origin_id).where(mine).distinct()
            return table.c.id.in_(seen.scalar_subquery()) | table.c.id.in_(named.scalar_subquery())
        case _:
            return table.c.run_id.in_(numbers)


def _known_version(connection: Connection) -> str:
    facts: list[Any] = []
    for table in TABLES["known"]:
        columns = [column for column in table.columns if column.name != "last_seen"]
        facts += [list(row) for row in connection.execute(select(*columns).order_by(table.c.id))]
    return _digest(facts)


def _run_versions(connection: Connection) -> dict[int, tuple[str, str, str]]:
    """By run: its state, the version of "run" and that of "details"."""
    run, repeat, scoring = schema.run, schema.repeat, schema.scoring
    note, marker = schema.note, schema.marker
    head = (run.c.id, run.c.state, run.c.started, run.c.ended, run.c.message, run.c.baseline, run.c.seal,
            func.length(run.c.environment), func.length(run.c.versions))  # fmt: skip
    queries = (
        select(repeat.c.run_id, func.count(), func.sum(repeat.c.ended), func.sum(repeat.c.settled)).group_by(
            repeat.c.run_id
        ),
        select(repeat.c.run_id, func.max(scoring.c.id))
        .join(scoring, scoring.c.repeat_id == repeat.c.id)
        .group_by(repeat.c.run_id),
        select(note.c.run_id, func.max(note.c.id), func.sum(note.c.at), func.sum(func.length(note.c.text))).group_by(
            note.c.run_id
        ),
        select(marker.c.run_id, func.max(marker.c.id)).group_by(marker.c.run_id),
    )
    notes = 2
    facts: dict[int, list[Any]] = {}
    states: dict[int, str] = {}
    for row in connection.execute(select(*head).where(run.c.hidden.is_(None))):
        facts[row.id], states[row.id] = [list(row)], row.state
    scored: dict[int, list[Any]] = {}
    for place, query in enumerate(queries):
        for run_id, *values in connection.execute(query):
            if run_id in facts:
                facts[run_id].append([place, *values])
                if place != notes:
                    scored.setdefault(run_id, []).append(values)
    return {run_id: (state, _digest(facts[run_id]), _digest(scored.get(run_id))) for run_id, state in states.items()}


def _day_versions(connection: Connection) -> dict[int, str]:
    daily, other = schema.daily, schema.other_kind
    sums = [func.sum(daily.c[name]) for name in ("accesses", "provisional", "read", "readv", "write", "seconds")]
    queries = (
        select(daily.c.day, func.count(), *sums).group_by(daily.c.day),
        select(other.c.day, func.count(), func.sum(other.c.events), func.sum(func.length(other.c.sums))).group_by(
            other.c.day
        ),
    )
    facts: dict[int, list[Any]] = {}
    for place, query in enumerate(queries):
        for day, *values in connection.execute(query):
            facts.setdefault(day, []).append([place, *(str(value) for value in values)])
    return {day: _digest(values) for day, values in facts.items()}


def _digest(facts: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(facts, enc_hook=str), digest_size=12).hexdigest()


# ---------------------------------------------------------------- our side


class Replica:
    """The copy in an SQLite file, made if it is missing. One thread at a time may write; `Store(file, read_only=True)`
    reads it meanwhile. Raises StoreError."""

    def __init__(self, file: Path) -> None:
        self.file = file
        Store(file).close()
        self._connection = sqlite3.connect(file, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        # No foreign keys: rows come part by part, and while a run is under way, those of one part are younger.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")  # whatever is lost in a power cut comes again

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def versions(self) -> dict[str, str]:
        """The parts that are here, by name."""
        found = self._connection.execute("SELECT name, value FROM meta WHERE name LIKE ?", (f"{PREFIX}%",))
        return {name.removeprefix(PREFIX): value for name, value in found}

    def begin(self, parts: Iterable[Part]) -> None:
        """Begin to replace these parts: `insert` their rows, then `commit` or `roll_back`."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            for part in parts:
                self._clear(part)
        except BaseException:
            self.roll_back()
            raise

    def commit(self, versions: Mapping[Part, str]) -> None:
        """Keep what was inserted, as these versions of the parts."""
        with self._told():
            for part, version in versions.items():
                self._put_version(part.name, version)
            self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Leave everything as it was before `begin`."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def forget(self, part: Part) -> None:
        """Remove a part that the hub no longer has."""
        self.begin([part])
        with self._told():
            self._connection.execute("DELETE FROM meta WHERE name = ?", (PREFIX + part.name,))
            self._connection.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors as sentences."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                text = f"Another Tally is writing to {self.file}, its copy of that hub; try again in a minute."
                raise StoreBusyError(text) from error
            raise StoreError(f"The copy of the hub's results in {self.file} cannot be written: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"The hub's rows do not fit into {self.file}: {error}.") from error

    def _put_version(self, name: str, version: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (PREFIX + name, version))

    def insert(self, table: str, got: Slice) -> None:
        """Add some rows of a part that is being replaced."""
        known = schema.metadata.tables[table]
        binary = [isinstance(known.c[name].type, LargeBinary) for name in got.columns]
        names = ", ".join(f'"{name}"' for name in got.columns)
        values = ", ".join("?" * len(got.columns))
        sql = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({values})"  # noqa: S608 - names of our schema
        rows = [
            [base64.b64decode(value) if is_bytes else value for value, is_bytes in zip(row, binary, strict=True)]
            for row in got.rows
        ]
        with self._told():
            self._connection.executemany(sql, rows)

    def _clear(self, part: Part) -> None:
        """Delete the rows of a part. Blocks of bodies are shared by runs: those that no record names any more go."""
        run = {"run": part.number}
        repeats = "SELECT id FROM repeat WHERE run_id = :run"
        for sql in _CLEAR[part.kind]:
            self._connection.execute(sql.replace("{repeats}", repeats), run)


_CLEAR: Mapping[Kind, Iterable[str]] = {
    "known": ("DELETE FROM server", "DELETE FROM agent"),
    "day": ("DELETE FROM daily WHERE day = :run", "DELETE FROM other_kind WHERE day = :run"),
    "details": (
        "DELETE FROM verdict WHERE request_id IN (SELECT id FROM request WHERE repeat_id IN ({repeats}))",
        "DELETE FROM record WHERE tag_id IN (SELECT id FROM tag WHERE repeat_id IN ({repeats}))",
        f"DELETE FROM record_block WHERE id NOT IN (SELECT body / {BLOCK} FROM record)",  # noqa: S608 - a number
        "DELETE FROM request WHERE repeat_id IN ({repeats})",
        "DELETE FROM tag WHERE repeat_id IN ({repeats})",
        "DELETE FROM sample WHERE repeat_id IN ({repeats})",
        "DELETE FROM marker WHERE run_id = :run",
        "DELETE FROM pipeline_status WHERE run_id = :run",
        "DELETE FROM status_step WHERE run_id = :run",
        "DELETE FROM run_origin WHERE run_id = :run",
    ),
    "run": (
        "DELETE FROM scoring WHERE repeat_id IN ({repeats})",
        "DELETE FROM note WHERE run_id = :run",
        "DELETE FROM repeat WHERE run_id = :run",
        "DELETE FROM test WHERE run_id = :run",
        "DELETE FROM run WHERE id = :run",
    ),
}
