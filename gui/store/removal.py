"""Deleting runs: first hidden in one small transaction, then removed slice by slice.

A run is *hidden* while it is being imported (`gui.store.arrivals`) or deleted. Its row names the program that does it;
if that program ended in the middle, `remove_left` finishes the work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, delete, select, tuple_, update
from sqlalchemy.engine import Connection

from gui.store import schema
from gui.store.access import chunks
from gui.store.engine import Database
from gui.store.loader import BLOCK
from gui.store.programs import Program, this_program

SLICE = 5_000
SILENT_SECONDS = 600.0
"""A program on another machine that last worked on a hidden run this many seconds ago is considered gone."""

ARRIVED = "bundle:"
"""Prefix of the identity of an agent that is only known from an imported run."""

_at_work: set[str] = set()
"""Tokens of the imports and deletions in this process."""


class Hidden(Program, frozen=True):
    """Who hides a run. `token` distinguishes the jobs of one program."""

    token: str = ""


@contextmanager
def at_work() -> Iterator[str]:
    """The token of a job of this process, valid while the job lasts."""
    token = secrets.token_hex(8)
    _at_work.add(token)
    try:
        yield token
    finally:
        _at_work.discard(token)


def hidden_by(token: str, now: float) -> str:
    """The value of the column ``hidden`` while this process does the job with this token."""
    me = this_program(now)
    return msgspec.json.encode(Hidden(me.host, me.pid, me.began, me.t, token)).decode()


def is_left(hidden: str, now: float) -> bool:
    """Whether nobody is working any more on a run whose column has this value."""
    try:
        who = msgspec.json.decode(hidden, type=Hidden)
    except msgspec.DecodeError:
        return False  # written by a later version, which will clean up itself
    me = this_program(now)
    if (who.host, who.pid, who.began) == (me.host, me.pid, me.began):
        return who.token not in _at_work
    return not who.alive(now, SILENT_SECONDS)


def hide(connection: Connection, run_id: int, token: str, now: float) -> bool:
    """Within a transaction: hide this run. False when it is hidden already."""
    table = schema.run
    seen = (table.c.id == run_id) & table.c.hidden.is_(None)
    values = {"hidden": hidden_by(token, now), "baseline": 0}
    return bool(connection.execute(update(table).where(seen).values(values)).rowcount)


def remove_left(database: Database, now: float, between: Callable[[], None] = lambda: None) -> list[int]:
    """Remove hidden runs of programs that ended in the middle; returns the numbers of these runs. `between` as in
    `remove`."""
    table = schema.run
    with database.read() as connection:
        rows = connection.execute(select(table.c.id, table.c.hidden).where(table.c.hidden.is_not(None))).all()
    left = [row.id for row in rows if is_left(row.hidden, now)]
    for run_id in left:
        remove(database, run_id, between)
    return left


def remove(database: Database, run_id: int, between: Callable[[], None] = lambda: None) -> None:
    """Remove a hidden run with all its requests, records and results, in slices; `between` is called after each of a
    large table.

    The tags of a run made here stay, so that they are never used again; those of an imported run are removed with it,
    so that it can be imported again."""
    run, test, repeat, tag, record = schema.run, schema.test, schema.repeat, schema.tag, schema.record
    with database.read() as connection:
        made_here = connection.scalar(select(run.c.origin).where(run.c.id == run_id)) == ""
        repeats = list(connection.scalars(select(repeat.c.id).where(repeat.c.run_id == run_id)))
        tags = _ids(connection, tag.c.id, tag.c.repeat_id, repeats)
        scorings = _ids(connection, schema.scoring.c.id, schema.scoring.c.repeat_id, repeats)
        blocks = _blocks_of(connection, tags)
        agents = _ids(connection, tag.c.agent_id, tag.c.id, tags)
        servers = _ids(connection, tag.c.server_id, tag.c.id, tags)
    remove_rows(database, schema.verdict, schema.verdict.c.scoring_id, scorings, between)
    remove_rows(database, schema.scoring, schema.scoring.c.id, scorings)
    remove_rows(database, schema.sample, schema.sample.c.repeat_id, repeats, between)
    remove_rows(database, schema.request, schema.request.c.repeat_id, repeats, between)
    remove_rows(database, record, record.c.tag_id, tags, between)
    _remove_blocks(database, blocks, between)
    for table in (schema.marker, schema.note, schema.pipeline_status, schema.status_step, schema.run_origin):
        remove_rows(database, table, table.c.run_id, [run_id])
    for part in chunks(tags, 500):
        with database.slice() as connection:
            connection.execute(delete(record).where(record.c.tag_id.in_(part)))  # what has arrived meanwhile
            mine = tag.c.id.in_(part)
            free = {"repeat_id": None, "agent_id": None, "server_id": None, "slot": None}
            connection.execute(update(tag).where(mine).values(free) if made_here else delete(tag).where(mine))
    if not made_here:
        _remove_unused(database, schema.agent, agents, schema.agent.c.identity.startswith(ARRIVED), tag.c.agent_id)
        _remove_unused(database, schema.server, servers, schema.server.c.source == "bundle", tag.c.server_id)
    for table in (repeat, test):
        remove_rows(database, table, table.c.run_id, [run_id])
    with database.slice() as connection:
        connection.execute(delete(run).where(run.c.id == run_id))


def remove_rows(
    database: Database,
    table: Table,
    column: ColumnElement[Any],
    values: Sequence[int],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Delete the rows of `table` whose `column` is one of `values`, in slices; `between` as in `remove`."""
    key = list(table.primary_key.columns)
    for part in chunks(values, 500):
        some = select(*key).where(column.in_(part)).limit(SLICE)
        here = key[0].in_(some) if len(key) == 1 else tuple_(*key).in_(some)
        while True:
            with database.slice() as connection:
                deleted = connection.execute(delete(table).where(here)).rowcount
            between()
            if deleted < SLICE:
                break


def _ids(connection: Connection, wanted: Any, column: Any, values: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for part in chunks(values, 500):
        found.update(connection.scalars(select(wanted).where(column.in_(part), wanted.is_not(None)).distinct()))
    return sorted(found)


def _remove_unused(database: Database, table: Table, ids: Sequence[int], arrived: Any, used: Any) -> None:
    """Those of `ids` that came only with an imported run and that no tag refers to any more."""
    for number in ids:
        with database.slice() as connection:
            here = (table.c.id == number) & arrived & ~select(used).where(used == number).exists()
            connection.execute(delete(table).where(here))


def _blocks_of(connection: Connection, tags: Sequence[int]) -> list[int]:
    """The blocks of bodies that contain only records of these tags."""
    record = schema.record
    block = (record.c.body // BLOCK).label("block")
    mine: set[int] = set()
    for part in chunks(tags, 500):
        mine.update(connection.scalars(select(block).where(record.c.tag_id.in_(part)).distinct()))
    if not mine:
        return []
    owners = select(block, record.c.tag_id).where(record.c.body.between(min(mine) * BLOCK, (max(mine) + 1) * BLOCK))
    own = set(tags)
    for number, owner in connection.execute(owners.distinct()):
        if owner not in own:
            mine.discard(number)
    return sorted(mine)


def _remove_blocks(database: Database, blocks: Sequence[int], between: Callable[[], None]) -> None:
    """A block gets no more records after the transaction that made it, so the result stays true."""
    table = schema.record_block
    for part in chunks(blocks, 100):
        with database.slice() as connection:
            connection.execute(delete(table).where(table.c.id.in_(part)))
        between()
