"""Plans, runs and their tests, repeats, tags and requests, and the journal lines that report on the requests."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection, Row

from agent.messages import Done, Started, Workload
from gui.hub.persistence import JournalBatch
from gui.store import schema
from gui.store.access import agent_ids, chunks, new_uid, put_servers
from gui.store.engine import Database
from gui.store.errors import NoSuchRowError, StoreConflictError
from gui.store.keys import match_key
from gui.store.loader import Loader
from gui.store.removal import at_work, hide, remove, remove_left
from gui.store.rows import (
    HandedRequest,
    NewRequest,
    RepeatEntry,
    RequestState,
    RunEntry,
    Seal,
    ServerEntry,
    TestEntry,
    TestSpec,
)

log = logging.getLogger("tally.store")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYMBOLS = _LETTERS + "0123456789"
_TAGS = len(_LETTERS) * len(_SYMBOLS) ** 7

_NOTHING_YET = (
    "state", "ok", "read_asked", "read_got", "readv_asked", "readv_got", "written", "read_ops", "readv_ops",
    "write_ops", "status",
)  # fmt: skip
_REQUEST = ("repeat_id", "tag_id", "server_id", "match_key", "path", "round", "size", "seed", "share", *_NOTHING_YET)
_ZEROS = (0,) * len(_NOTHING_YET)
_STARTED = "UPDATE request SET state = 1, t_started = ? WHERE tag_id = ? AND match_key = ? AND path = ? AND state = 0"
_DONE = (
    "UPDATE request SET state = ?, ok = ?, t_open = ?, t_close = ?, read_asked = ?, read_got = ?, readv_asked = ?,"
    " readv_got = ?, written = ?, read_ops = ?, readv_ops = ?, write_ops = ?, reached = ?, status = ?, error = ?,"
    " took_name = ?, took_connect = ?, took_tls = ?, took_open = ?, took_first = ?"
    " WHERE tag_id = ? AND match_key = ? AND path = ? AND state < 2"
)


class RunsPart:
    """The part of `Store` that knows what was requested."""

    database: Database
    _loader: Loader

    # ---- runs

    def create_run(
        self,
        *,
        name: str,
        plan_text: str,
        settle: float,
        tests: Sequence[TestSpec],
        now: float,
        environment: Mapping[str, Any] | None = None,
        versions: Mapping[str, Any] | None = None,
    ) -> int:
        """Create a run with its tests, in state ``preparing``; returns its number, which is never reused."""
        with self.database.write() as connection:
            run_id = _inserted(
                connection,
                insert(schema.run).values(
                    uid=new_uid(),
                    name=name,
                    plan_text=plan_text,
                    settle=settle,
                    state="preparing",
                    created=now,
                    environment=msgspec.json.encode(dict(environment or {})).decode(),
                    versions=msgspec.json.encode(dict(versions or {})).decode(),
                ),
            )
            for number, spec in enumerate(tests, 1):
                connection.execute(insert(schema.test).values(run_id=run_id, number=number, **_test_values(spec)))
        return run_id

    def set_run(
        self,
        run_id: int,
        *,
        state: str | None = None,
        message: str | None = None,
        started: float | None = None,
        ended: float | None = None,
        environment: Mapping[str, Any] | None = None,
        versions: Mapping[str, Any] | None = None,
    ) -> None:
        """Change the given columns of a run. Raises NoSuchRowError."""
        values: dict[str, Any] = {
            name: value
            for name, value in (("state", state), ("message", message), ("started", started), ("ended", ended))
            if value is not None
        }
        for name, mapping in (("environment", environment), ("versions", versions)):
            if mapping is not None:
                values[name] = msgspec.json.encode(dict(mapping)).decode()
        if not values:
            return
        with self.database.write() as connection:
            changed = connection.execute(update(schema.run).where(schema.run.c.id == run_id).values(values)).rowcount
        if not changed:
            raise NoSuchRowError(f"There is no run {run_id} in {self.database.shown}.")

    def run(self, run_id: int, *, hidden: bool = False) -> RunEntry:
        """One run; `hidden`: also while it is being imported or deleted. Raises NoSuchRowError."""
        table = schema.run
        query = select(table).where(table.c.id == run_id)
        with self.database.read() as connection:
            row = connection.execute(query if hidden else query.where(table.c.hidden.is_(None))).fetchone()
        if row is None:
            raise NoSuchRowError(f"There is no run {run_id} in {self.database.shown}.")
        return _run(row)

    def runs(self, limit: int | None = None) -> list[RunEntry]:
        """The newest runs, newest first; all of them without a `limit`."""
        table = schema.run
        query = select(table).where(table.c.hidden.is_(None)).order_by(table.c.id.desc()).limit(limit)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [_run(row) for row in rows]

    def delete_run(self, run_id: int, between: Callable[[], None] = lambda: None) -> None:
        """Remove a run with all its requests, records and results. Its tags stay, so that they are never used again.

        Daily sums stay too: they describe the use of the servers. The run is hidden at once; the rest is removed in
        slices, and if that fails in the middle, by `remove_left_runs`. `between` is called between two slices of
        what is large, and may raise. Raises NoSuchRowError."""
        now = time.time()
        with at_work() as token:
            with self.database.write() as connection:
                if not hide(connection, run_id, token, now):
                    raise NoSuchRowError(f"There is no run {run_id} in {self.database.shown}.")
            try:
                remove(self.database, run_id, between)
            finally:
                with self.database.write():
                    self._loader.forget_tags()

    def remove_left_runs(self, now: float, between: Callable[[], None] = lambda: None) -> list[int]:
        """Remove runs whose program ended while importing or deleting them; returns the numbers of these runs.
        `between` as in `delete_run`."""
        left = remove_left(self.database, now, between)
        if left:
            with self.database.write():
                self._loader.forget_tags()
        return left

    def run_rows(self) -> dict[int, int]:
        """How many requests and records each run has: they make up most of a database."""
        request, record, tag, repeat = schema.request, schema.record, schema.tag, schema.repeat
        asked = (
            select(repeat.c.run_id, func.count())
            .join(request, request.c.repeat_id == repeat.c.id)
            .group_by(repeat.c.run_id)
        )
        recorded = (
            select(repeat.c.run_id, func.count())
            .join(tag, tag.c.repeat_id == repeat.c.id)
            .join(record, record.c.tag_id == tag.c.id)
            .group_by(repeat.c.run_id)
        )
        rows: Counter[int] = Counter()
        with self.database.read() as connection:
            for query in (asked, recorded):
                for run_id, count in connection.execute(query):
                    rows[run_id] += int(count)
        return dict(rows)

    def baseline(self) -> int | None:
        """The baseline: the run that others are compared with, if there is one."""
        table = schema.run
        with self.database.read() as connection:
            found: int | None = connection.scalar(select(table.c.id).where(table.c.baseline == 1))
        return found

    def set_baseline(self, run_id: int | None) -> None:
        """Make this run the baseline; None: there is no baseline."""
        table = schema.run
        with self.database.write() as connection:
            connection.execute(update(table).where(table.c.baseline == 1).values(baseline=0))
            if run_id is None:
                return
            seen = (table.c.id == run_id) & table.c.hidden.is_(None)
            if not connection.execute(update(table).where(seen).values(baseline=1)).rowcount:
                raise NoSuchRowError(f"There is no run {run_id} in {self.database.shown}.")

    def tests(self, run_id: int) -> list[TestEntry]:
        """The tests of a run in order."""
        table = schema.test
        with self.database.read() as connection:
            rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.number)).all()
        return [_test(row) for row in rows]

    # ---- repeats

    def start_repeat(self, run_id: int, test_number: int, number: int, now: float) -> int:
        """Start a repeat; returns its id. A repeat that exists already (of a resumed run) keeps its id.

        Raises NoSuchRowError when the run has no such test."""
        with self.database.write() as connection:
            test_id = connection.scalar(
                select(schema.test.c.id).where(schema.test.c.run_id == run_id, schema.test.c.number == test_number)
            )
            if test_id is None:
                raise NoSuchRowError(f"Run {run_id} has no test {test_number}.")
            table = schema.repeat
            known = connection.scalar(select(table.c.id).where(table.c.test_id == test_id, table.c.number == number))
            if known is not None:
                return int(known)
            return _inserted(
                connection,
                insert(table).values(
                    test_id=test_id,
                    run_id=run_id,
                    test_number=test_number,
                    number=number,
                    state="running",
                    started=now,
                ),
            )

    def set_repeat(
        self,
        repeat_id: int,
        *,
        state: str | None = None,
        ended: float | None = None,
        settled: float | None = None,
        complete: bool | None = None,
        reason: str | None = None,
    ) -> None:
        """Change the given columns of a repeat: `ended` when its last request was done, `settled` when waiting was
        over."""
        values: dict[str, Any] = {
            name: value
            for name, value in (
                ("state", state),
                ("ended", ended),
                ("settled", settled),
                ("settle_complete", None if complete is None else int(complete)),
                ("settle_reason", reason),
            )
            if value is not None
        }
        if not values:
            return
        with self.database.write() as connection:
            table = schema.repeat
            if not connection.execute(update(table).where(table.c.id == repeat_id).values(values)).rowcount:
                raise NoSuchRowError(f"There is no repeat {repeat_id} in {self.database.shown}.")

    def repeats(self, run_id: int) -> list[RepeatEntry]:
        """The repeats of a run, by test and number."""
        table = schema.repeat
        with self.database.read() as connection:
            rows = connection.execute(
                select(table).where(table.c.run_id == run_id).order_by(table.c.test_number, table.c.number)
            ).all()
        return [_repeat(row) for row in rows]

    def repeat(self, repeat_id: int) -> RepeatEntry:
        """One repeat. Raises NoSuchRowError."""
        with self.database.read() as connection:
            row = connection.execute(select(schema.repeat).where(schema.repeat.c.id == repeat_id)).fetchone()
        if row is None:
            raise NoSuchRowError(f"There is no repeat {repeat_id} in {self.database.shown}.")
        return _repeat(row)

    # ---- tags and requests

    def allocate_tags(self, count: int) -> list[str]:
        """`count` new tags: 8 characters of ``[a-z0-9]``, a letter first, never allocated before by this database."""
        table = schema.tag
        fresh: list[str] = []
        with self.database.write() as connection:
            while len(fresh) < count:
                drawn = dict.fromkeys(_draw_tag() for _ in range(count - len(fresh)))
                known = set(fresh)
                for part in chunks(list(drawn), 500):
                    known.update(connection.scalars(select(table.c.tag).where(table.c.tag.in_(part))))
                new = [text for text in drawn if text not in known]
                self.database.many(connection, "INSERT INTO tag (tag) VALUES (?)", [(text,) for text in new])
                fresh += new
        return fresh

    def add_requests(self, repeat_id: int, requests: Sequence[NewRequest], now: float) -> None:
        """Store requests as pending, before they are handed out.

        Binds each tag to the repeat, agent, server and slot of its first request. Raises StoreConflictError, and stores
        nothing, when a tag was never allocated, belongs to something else, or asks for the same path twice."""
        with self.database.write() as connection:
            servers = put_servers(
                connection, [ServerEntry(url, "") for url in dict.fromkeys(r.server for r in requests)]
            )
            agents = agent_ids(connection, [r.agent for r in requests], now)
            tags = self._bind_tags(connection, repeat_id, requests, servers, agents)
            before = connection.scalar(select(func.max(schema.request.c.id))) or 0
            self.database.insert(
                connection,
                "request",
                _REQUEST,
                [
                    (
                        repeat_id,
                        tags[r.tag],
                        servers[r.server],
                        match_key(r.tag, r.path),
                        r.path,
                        r.round,
                        r.size,
                        r.seed,
                        r.share,
                        *_ZEROS,
                    )
                    for r in requests
                ],
            )
            _refuse_repetition(connection, before)

    def _bind_tags(
        self,
        connection: Connection,
        repeat_id: int,
        requests: Sequence[NewRequest],
        servers: Mapping[str, int],
        agents: Mapping[str, int],
    ) -> dict[str, int]:
        table = schema.tag
        owners = {r.tag: (repeat_id, agents[r.agent], servers[r.server], r.slot) for r in requests}
        ids: dict[str, int] = {}
        unbound: list[tuple[int, int, int, int, int]] = []
        for part in chunks(list(owners), 500):
            for row in connection.execute(select(table).where(table.c.tag.in_(part))):
                ids[row.tag] = row.id
                owner = (row.repeat_id, row.agent_id, row.server_id, row.slot)
                if row.repeat_id is None:
                    unbound.append((*owners[row.tag], row.id))
                elif owner != owners[row.tag]:
                    raise StoreConflictError(f"Tag {row.tag} already belongs to another repeat, agent, server or slot.")
        for request in requests:
            if request.tag not in ids:
                raise StoreConflictError(f"Tag {request.tag} was never allocated by {self.database.shown}.")
            if (repeat_id, agents[request.agent], servers[request.server], request.slot) != owners[request.tag]:
                raise StoreConflictError(f"Tag {request.tag} is used for two agents, servers or slots.")
        self.database.many(
            connection, "UPDATE tag SET repeat_id = ?, agent_id = ?, server_id = ?, slot = ? WHERE id = ?", unbound
        )
        return ids

    def handed_requests(self, repeat_id: int) -> list[HandedRequest]:
        """All requests of a repeat, in the order in which they were handed out."""
        request, tag, agent, server = schema.request, schema.tag, schema.agent, schema.server
        columns = (tag.c.tag, agent.c.identity, tag.c.slot, server.c.url, request.c.path, request.c.round,
                   request.c.size, request.c.seed, request.c.share, request.c.state)  # fmt: skip
        query = (
            select(*columns)
            .join(tag, tag.c.id == request.c.tag_id)
            .join(agent, agent.c.id == tag.c.agent_id)
            .join(server, server.c.id == request.c.server_id)
            .where(request.c.repeat_id == repeat_id)
            .order_by(request.c.id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [
            HandedRequest(
                r.tag, r.identity, r.slot, r.url, r.path, r.round, r.size, r.seed, r.share, r.state >= RequestState.DONE
            )
            for r in rows
        ]

    # ---- the agents' journals

    def journal_positions(self, agent: str) -> dict[str, int]:
        """The last stored line of each journal of agent `agent` (``KID/SUB``)."""
        table, known = schema.journal, schema.agent
        query = select(table.c.journal, table.c.stored).join(known, known.c.id == table.c.agent_id)
        with self.database.read() as connection:
            return {row.journal: row.stored for row in connection.execute(query.where(known.c.identity == agent))}

    def journal_position(self, agent: str, journal: str) -> int:
        """Number of the last stored line of this journal of agent `agent` (``KID/SUB``), 0 when there is none."""
        with self.database.read() as connection:
            return _journal_position(connection, agent, journal)[1]

    def store_journal(self, batches: Sequence[JournalBatch], now: float | None = None) -> None:
        """Store journal lines, each once, in one transaction; lines that are stored already are skipped.

        Times are converted to the hub's clock. A line about a request that was not handed to this agent is counted as a
        stray of its journal and otherwise ignored: no agent can change what another did. `now` is used only for agents
        that are seen for the first time."""
        with self.database.write() as connection:
            agents = agent_ids(connection, [b.agent for b in batches], now or 0.0)
            for batch in batches:
                _, stored, strays, known = _journal_row(connection, agents[batch.agent], batch.journal)
                lines = [line for line in batch.lines if line.n > stored]
                if not lines:
                    continue
                new_strays = self._apply(connection, agents[batch.agent], lines, batch.ahead)
                if new_strays and not strays:  # once for each journal: an agent may send any number
                    log.warning("! %s reported requests that it was never given; such lines are ignored", batch.agent)
                strays += new_strays
                last = max(line.n for line in lines)
                values = {"stored": last, "strays": strays}
                table = schema.journal
                if known:
                    connection.execute(
                        update(table)
                        .where(table.c.agent_id == agents[batch.agent], table.c.journal == batch.journal)
                        .values(values)
                    )
                else:
                    connection.execute(
                        insert(table).values(agent_id=agents[batch.agent], journal=batch.journal, **values)
                    )

    def _apply(self, connection: Connection, agent_id: int, lines: Iterable[Started | Done], ahead: float) -> int:
        """Apply journal lines in order, from a clock that is `ahead`; returns how many were strays."""
        lines = list(lines)
        tags = _own_tags(connection, agent_id, {line.tag for line in lines})
        known = _known_requests(connection, tags, lines)
        strays = 0
        started: list[tuple[Any, ...]] = []
        done: list[tuple[Any, ...]] = []
        for line in lines:
            tag_id = tags.get(line.tag)
            key = match_key(line.tag, line.path)
            if tag_id is None or (tag_id, key) not in known:
                strays += 1
            elif isinstance(line, Started):
                started.append((line.t - ahead, tag_id, key, line.path))
            else:
                state = RequestState.INTERRUPTED if line.interrupted else RequestState.DONE
                done.append(
                    (
                        int(state),
                        int(line.ok and not line.interrupted),
                        line.t_open - ahead if line.t_open else 0.0,  # 0: it never got that far
                        line.t_close - ahead if line.t_close else 0.0,
                        line.read_asked,
                        line.read_got,
                        line.readv_asked,
                        line.readv_got,
                        line.written,
                        line.read_ops,
                        line.readv_ops,
                        line.write_ops,
                        line.server or None,
                        line.status,
                        line.error or None,
                        *(seconds or None for seconds in msgspec.structs.astuple(line.phases)),
                        tag_id,
                        key,
                        line.path,
                    )
                )
        # Started before done: a request has one of each, and `state` never goes back.
        self.database.many(connection, _STARTED, started)
        self.database.many(connection, _DONE, done)
        return strays


def _known_requests(
    connection: Connection, tags: Mapping[str, int], lines: Iterable[Started | Done]
) -> set[tuple[int, int]]:
    """(tag id, match key) of those lines whose request exists."""
    table = schema.request
    keys: dict[int, set[int]] = {}
    for line in lines:
        if line.tag in tags:
            keys.setdefault(tags[line.tag], set()).add(match_key(line.tag, line.path))
    found: set[tuple[int, int]] = set()
    for tag_id, wanted in keys.items():
        for part in chunks(sorted(wanted), 500):
            found.update(
                (tag_id, key)
                for key in connection.scalars(
                    select(table.c.match_key).where(table.c.tag_id == tag_id, table.c.match_key.in_(part))
                )
            )
    return found


def _own_tags(connection: Connection, agent_id: int, tags: Iterable[str]) -> dict[str, int]:
    table = schema.tag
    own: dict[str, int] = {}
    for part in chunks(sorted(tags), 500):
        rows = connection.execute(
            select(table.c.tag, table.c.id).where(table.c.tag.in_(part), table.c.agent_id == agent_id)
        )
        own.update((row.tag, row.id) for row in rows)
    return own


def _refuse_repetition(connection: Connection, before: int) -> None:
    new, old, tag = schema.request.alias(), schema.request.alias(), schema.tag
    row = connection.execute(
        select(tag.c.tag, new.c.path)
        .select_from(
            new.join(
                old,
                (old.c.tag_id == new.c.tag_id)
                & (old.c.match_key == new.c.match_key)
                & (old.c.path == new.c.path)
                & (old.c.id != new.c.id),
            ).join(tag, tag.c.id == new.c.tag_id)
        )
        .where(new.c.id > before)
        .limit(1)
    ).fetchone()
    if row is not None:
        raise StoreConflictError(f"Tag {row.tag} requests {row.path} twice; every request needs its own key.")


def _journal_position(connection: Connection, agent: str, journal: str) -> tuple[int | None, int]:
    agent_id = connection.scalar(select(schema.agent.c.id).where(schema.agent.c.identity == agent))
    if agent_id is None:
        return None, 0
    return agent_id, _journal_row(connection, agent_id, journal)[1]


def _journal_row(connection: Connection, agent_id: int, journal: str) -> tuple[int, int, int, bool]:
    table = schema.journal
    row = connection.execute(select(table).where(table.c.agent_id == agent_id, table.c.journal == journal)).fetchone()
    return (agent_id, 0, 0, False) if row is None else (agent_id, row.stored, row.strays, True)


def _draw_tag() -> str:
    number = secrets.randbelow(_TAGS)
    number, first = divmod(number, len(_LETTERS))
    symbols = [_LETTERS[first]]
    for _ in range(7):
        number, symbol = divmod(number, len(_SYMBOLS))
        symbols.append(_SYMBOLS[symbol])
    return "".join(symbols)


def _inserted(connection: Connection, statement: Any) -> int:
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


def _test_values(spec: TestSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "servers": spec.servers,
        "files_per_server": spec.files_per_server,
        "per_round": spec.per_round,
        "wait": spec.wait,
        "repeats": spec.repeats,
        "seed": spec.seed,
        "pass_at": spec.pass_at,
        "workload": msgspec.json.encode(spec.workload).decode(),
        "mix": msgspec.json.encode(spec.mix).decode(),
    }


def _test(row: Row[Any]) -> TestEntry:
    spec = TestSpec(
        row.servers,
        row.files_per_server,
        row.per_round,
        row.wait,
        row.repeats,
        row.seed,
        row.pass_at,
        row.name,
        msgspec.json.decode(row.workload, type=Workload),
        msgspec.json.decode(row.mix, type=tuple[Workload, ...]),
    )
    return TestEntry(row.id, row.run_id, row.number, spec)


def _run(row: Row[Any]) -> RunEntry:
    return RunEntry(
        row.id,
        row.uid,
        row.name,
        row.plan_text,
        row.settle,
        row.state,
        row.created,
        row.started,
        row.ended,
        row.message,
        _free(row.environment),
        _free(row.versions),
        bool(row.baseline),
        row.origin,
        _seal(row.seal),
    )


def _free(text: str) -> dict[str, Any]:
    """A free-form object. If it cannot be read, it says so; its run is listed nevertheless."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
        return {"unreadable": str(error)}


def _seal(text: str | None) -> Seal | None:
    try:
        return msgspec.json.decode(text, type=Seal) if text else None
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
        return Seal(differs=[f"the stored details of its bundle cannot be read: {error}"])


def _repeat(row: Row[Any]) -> RepeatEntry:
    complete = None if row.settle_complete is None else bool(row.settle_complete)
    return RepeatEntry(
        row.id,
        row.run_id,
        row.test_id,
        row.test_number,
        row.number,
        row.state,
        row.started,
        row.ended,
        row.settled,
        complete,
        row.settle_reason,
    )
