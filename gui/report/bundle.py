"""A bundle: one run in a zip file, with all that it takes to judge it again on another machine.

    manifest.json      format and schema number, who made it, how many lines each other part has
    run.json           run, plan, tests, repeats, servers, agents, scorings, notes, markers, status messages
    requests.ndjson    one JSON array for each request, as its client reported it
    records.ndjson     the records of the run's tags, as they came
    verdicts.ndjson    one JSON array for each verdict that is not plainly matched
    samples.ndjson     one JSON array for each second and server

A bundle comes from anybody. It is never unpacked to disk; every part is read as a stream with a limit on its size and
on what its compression may claim, every line is decoded into a declared type with bounds, and the database takes all of
it in one transaction or nothing.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Connection, insert, select

from agent.messages import Tag, Workload
from gui.store import (
    Arrival,
    LostDatagram,
    ServerEntry,
    StatusStep,
    Store,
    VerdictKind,
    match_key,
    schema,
)
from gui.store.arrivals import ArrivedTag
from gui.store.loader import BLOCK
from gui.store.records import read_block

FORMAT = "tally-bundle"
SCHEMA = 2
"""Grows when a part changes its form; older ones are still read, newer ones declined."""

MAX_FILE = 4 * 2**30
MAX_PART = 8 * 2**30
MAX_RUN = 64 * 2**20
MAX_STEPS = 24 * 2**20
"""Bytes of ``run.json`` for what daemons said in the middle of the run; the newest are kept."""
MAX_LINE = 300 * 1024
MAX_RATIO = 400
"""A part that claims to be more times smaller than this is no bundle but a bomb (records shrink about thirtyfold)."""
_RATIO_FROM = 2**20
_CHUNK = 5000

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Moment = Annotated[float, Meta(ge=0, le=1e11)]
Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(max_length=256)]
FilePath = Annotated[str, Meta(min_length=1, max_length=8192)]
Long = Annotated[str, Meta(max_length=2**20)]
Share = Annotated[float, Meta(ge=0, le=1e9)]


class BundleError(Exception):
    """A file is no bundle that can be read, or says things that cannot be; one sentence says what."""


class Manifest(Struct, frozen=True):
    """First part: what this file is."""

    format: str
    schema: Count
    tally: Name
    run: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    requests: Count
    records: Count
    verdicts: Count
    samples: Count


class BundleTest(Struct, frozen=True):
    """A test, as `gui.store.TestSpec`."""

    name: Name
    servers: Small
    files_per_server: Small
    per_round: Small
    wait: Share
    repeats: Small
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    pass_at: Share
    workload: Workload


class BundleScoring(Struct, frozen=True):
    """A scoring, as `gui.store.ScoringEntry`; its verdicts are those that name its place in the list."""

    kind: Literal["settle", "late", "recheck"]
    t: Moment
    total: Count
    recorded: Count
    matched: Count
    late: Count
    wrong_bytes: Count
    missing: Count
    duplicate: Count
    client_failed: Count
    unreported: Count
    unrequested: Count
    recovered: Count
    bytes_asked: Count
    bytes_got: Count
    bytes_recorded: Count
    first_open: Moment | None
    last_close: Moment | None
    not_waited: Count = 0


class BundleRepeat(Struct, frozen=True):
    """A repeat of the test with this number (from 1), with its scorings, oldest first."""

    test: Small
    number: Small
    state: Name
    started: Moment | None
    ended: Moment | None
    settled: Moment | None
    settle_complete: bool | None
    settle_reason: Text
    scorings: Annotated[list[BundleScoring], Meta(max_length=1000)]


class BundleServer(Struct, frozen=True):
    """A server that was asked."""

    url: Annotated[str, Meta(min_length=1, max_length=1024)]
    name: Annotated[str, Meta(max_length=1024)]
    labels: Annotated[list[Name], Meta(max_length=100)]


class BundleMarker(Struct, frozen=True):
    """An event on the time axis."""

    t: Moment
    kind: Annotated[str, Meta(max_length=32)]
    text: Text


class BundleNote(Struct, frozen=True):
    """A remark."""

    t: Moment
    author: Name
    text: Text


class BundleStatus(Struct, frozen=True):
    """First and last status message of a daemon, as JSON text."""

    program: Literal["shoveler", "collector"]
    member: Name
    started: Moment
    first_t: Moment
    first: Annotated[str, Meta(max_length=16 * 2**20)]
    last_t: Moment
    last: Annotated[str, Meta(max_length=16 * 2**20)]


class BundleStep(Struct, frozen=True):
    """What a status message in the middle of the run added to the one before, as JSON text."""

    program: Literal["shoveler", "collector"]
    member: Name
    body: Annotated[str, Meta(max_length=16 * 2**20)]


class BundleRun(Struct, frozen=True):
    """The part ``run.json``."""

    number: Count
    name: Name
    plan: Long
    settle: Share
    state: Annotated[str, Meta(max_length=32)]
    created: Moment
    started: Moment | None
    ended: Moment | None
    message: Text
    environment: dict[str, Any]
    versions: dict[str, Any]
    tests: Annotated[list[BundleTest], Meta(max_length=10_000)]
    repeats: Annotated[list[BundleRepeat], Meta(max_length=100_000)]
    servers: Annotated[list[BundleServer], Meta(max_length=100_000)]
    agents: Annotated[list[Name], Meta(max_length=100_000)]
    markers: Annotated[list[BundleMarker], Meta(max_length=1_000_000)]
    notes: Annotated[list[BundleNote], Meta(max_length=100_000)]
    statuses: Annotated[list[BundleStatus], Meta(max_length=10_000)]
    steps: Annotated[list[BundleStep], Meta(max_length=1_000_000)] = []


class BundleRequest(Struct, frozen=True, array_like=True):
    """A line of ``requests.ndjson``; `repeat`, `server` and `agent` are places in the lists of ``run.json``, from 0."""

    repeat: Small
    server: Small
    agent: Small
    slot: Small
    round: Small
    tag: Tag
    path: FilePath
    size: Count
    seed: Count
    state: Annotated[int, Meta(ge=0, le=3)]
    ok: Flag
    t_started: Moment | None
    t_open: Moment | None
    t_close: Moment | None
    read_asked: Count
    read_got: Count
    readv_asked: Count
    readv_got: Count
    written: Count
    read_ops: Count
    readv_ops: Count
    write_ops: Count
    reached: Text
    status: Count
    error: Text


class BundleVerdict(Struct, frozen=True, array_like=True):
    """A line of ``verdicts.ndjson``; `request` is the place of its line in ``requests.ndjson``, from 0."""

    repeat: Small
    scoring: Small
    request: Small
    verdict: Annotated[int, Meta(ge=0, le=int(max(VerdictKind)))]
    recorded: Flag
    accesses: Small
    read: Count
    readv: Count
    write: Count
    behaviours: Annotated[list[Name], Meta(max_length=100)]
    lost_at: Annotated[str, Meta(max_length=32)]
    certain: bool
    cause: Text
    datagram: LostDatagram | None = None


class BundleSample(Struct, frozen=True, array_like=True):
    """A line of ``samples.ndjson``."""

    repeat: Small
    second: Small
    server: Small
    requested: Count | None
    read: Count | None
    recorded: Count | None
    failed: Count | None
    bytes_read: Count | None
    bytes_recorded: Count | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A run that came in: its new number, and how many records were stored with it."""

    run: int
    requests: int
    records: int


# ---------------------------------------------------------------- export


def export_bundle(store: Store, run_id: int, path: Path) -> None:
    """Write a run as a bundle to `path`, which is replaced only when the bundle is whole. Raises NoSuchRow, OSError."""
    run = store.run(run_id)
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            with store.database.read() as connection:
                places, content = _run_part(store, connection, run_id)
                counts = {
                    "requests": _write_lines(archive, "requests.ndjson", _requests(connection, run_id, places)),
                    "records": _write_lines(archive, "records.ndjson", _records(connection, run_id)),
                    "verdicts": _write_lines(archive, "verdicts.ndjson", _verdicts(connection, run_id, places)),
                    "samples": _write_lines(archive, "samples.ndjson", _samples(connection, run_id, places)),
                }
            archive.writestr("run.json", msgspec.json.format(msgspec.json.encode(content), indent=1))
            manifest = Manifest(FORMAT, SCHEMA, version("xrootd-tally"), run.uid, **counts)
            archive.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@dataclass(slots=True)
class _Places:
    """Row ids of this database → places in the lists of the bundle."""

    repeats: dict[int, int]
    servers: dict[int, int]
    agents: dict[int, int]
    scorings: dict[int, tuple[int, int]]
    requests: dict[int, int]


def _run_part(store: Store, connection: Connection, run_id: int) -> tuple[_Places, BundleRun]:
    run = store.run(run_id)
    repeats = store.repeats(run_id)
    tag = schema.tag
    here = tag.c.repeat_id.in_([repeat.id for repeat in repeats])
    server_ids = sorted(connection.scalars(select(tag.c.server_id).where(here).distinct()))
    agent_rows = sorted(connection.scalars(select(tag.c.agent_id).where(here).distinct()))
    directory = {server.id: server for server in store.servers()}
    names = {agent.id: agent.name for agent in store.agents()}
    scorings = {repeat.id: store.scorings(repeat.id) for repeat in repeats}
    places = _Places(
        repeats={repeat.id: place for place, repeat in enumerate(repeats)},
        servers={server_id: place for place, server_id in enumerate(server_ids)},
        agents={agent_id: place for place, agent_id in enumerate(agent_rows)},
        scorings={
            entry.id: (place, number)
            for place, repeat in enumerate(repeats)
            for number, entry in enumerate(scorings[repeat.id])
        },
        requests={},
    )
    content = BundleRun(
        number=run.id,
        name=run.name,
        plan=run.plan_text,
        settle=run.settle,
        state=run.state,
        created=run.created,
        started=run.started,
        ended=run.ended,
        message=run.message,
        environment=dict(run.environment),
        versions=dict(run.versions),
        tests=[_fields(BundleTest, test.spec) for test in store.tests(run_id)],
        repeats=[
            BundleRepeat(
                repeat.test_number,
                repeat.number,
                repeat.state,
                repeat.started,
                repeat.ended,
                repeat.settled,
                repeat.settle_complete,
                repeat.settle_reason,
                [_fields(BundleScoring, entry) for entry in scorings[repeat.id]],
            )
            for repeat in repeats
        ],
        servers=[BundleServer(directory[i].url, directory[i].name, list(directory[i].labels)) for i in server_ids],
        agents=[names[i] for i in agent_rows],
        markers=[BundleMarker(m.t, m.kind, m.text) for m in store.markers(run_id)],
        notes=[BundleNote(n.t, n.author, n.text) for n in store.notes(run_id)],
        statuses=[
            BundleStatus(s.program, s.member, s.started, s.first_t, s.first.decode(), s.last_t, s.last.decode())
            for s in store.statuses(run_id)
        ],
        steps=_newest_steps(store.status_steps(run_id)),
    )
    return places, content


def _newest_steps(steps: Sequence[StatusStep]) -> list[BundleStep]:
    kept: list[BundleStep] = []
    room = MAX_STEPS
    for step in reversed(steps):
        room -= 2 * len(step.body)  # JSON within JSON: each quotation mark gets a backslash
        if room < 0:
            break
        kept.append(BundleStep(step.program, step.member, step.body.decode()))
    return kept[::-1]


def _fields(kind: Callable[..., Any], source: object) -> Any:
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(**{name: getattr(source, name) for name in names})


def _write_lines(archive: zipfile.ZipFile, name: str, lines: Iterable[bytes]) -> int:
    count = 0
    with archive.open(name, "w", force_zip64=True) as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count


def _requests(connection: Connection, run_id: int, places: _Places) -> Iterator[bytes]:
    request, tag, repeat = schema.request, schema.tag, schema.repeat
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(request, tag.c.tag, tag.c.agent_id, tag.c.slot)
        .join(tag, tag.c.id == request.c.tag_id)
        .join(repeat, repeat.c.id == request.c.repeat_id)
        .where(repeat.c.run_id == run_id)
        .order_by(request.c.id)
    )
    for row in rows:
        places.requests[row.id] = len(places.requests)
        yield msgspec.json.encode(
            BundleRequest(
                places.repeats[row.repeat_id],
                places.servers[row.server_id],
                places.agents[row.agent_id],
                row.slot,
                row.round,
                row.tag,
                row.path,
                row.size,
                row.seed,
                row.state,
                row.ok,
                row.t_started,
                row.t_open,
                row.t_close,
                row.read_asked,
                row.read_got,
                row.readv_asked,
                row.readv_got,
                row.written,
                row.read_ops,
                row.readv_ops,
                row.write_ops,
                row.reached or "",
                row.status,
                row.error or "",
            )
        )


def _records(connection: Connection, run_id: int) -> Iterator[bytes]:
    record, tag, repeat = schema.record, schema.tag, schema.repeat
    rows = connection.execute(
        select(record.c.body)
        .join(tag, tag.c.id == record.c.tag_id)
        .join(repeat, repeat.c.id == tag.c.repeat_id)
        .where(repeat.c.run_id == run_id)
        .order_by(record.c.body)
    )
    number = -1
    bodies: list[bytes] = []
    for (place,) in rows.all():
        if place // BLOCK != number:
            number = place // BLOCK
            _, bodies = read_block(connection, number)
        yield bodies[place % BLOCK]


def _verdicts(connection: Connection, run_id: int, places: _Places) -> Iterator[bytes]:
    verdict, scoring, repeat = schema.verdict, schema.scoring, schema.repeat
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(verdict)
        .join(scoring, scoring.c.id == verdict.c.scoring_id)
        .join(repeat, repeat.c.id == scoring.c.repeat_id)
        .where(repeat.c.run_id == run_id)
        .order_by(verdict.c.scoring_id, verdict.c.request_id)
    )
    for row in rows:
        place, number = places.scorings[row.scoring_id]
        yield msgspec.json.encode(
            BundleVerdict(
                place,
                number,
                places.requests[row.request_id],
                row.verdict,
                row.recorded,
                row.accesses,
                row.read,
                row.readv,
                row.write,
                msgspec.json.decode(row.behaviours) if row.behaviours else [],
                row.lost_at or "",
                row.certain is None or bool(row.certain),
                row.cause or "",
                msgspec.json.decode(row.datagram, type=LostDatagram) if row.datagram else None,
            )
        )


def _samples(connection: Connection, run_id: int, places: _Places) -> Iterator[bytes]:
    sample, repeat = schema.sample, schema.repeat
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(sample)
        .join(repeat, repeat.c.id == sample.c.repeat_id)
        .where(repeat.c.run_id == run_id)
        .order_by(sample.c.repeat_id, sample.c.second, sample.c.server_id)
    )
    for row in rows:
        if row.server_id in places.servers:
            yield msgspec.json.encode(
                BundleSample(
                    places.repeats[row.repeat_id],
                    row.second,
                    places.servers[row.server_id],
                    row.requested,
                    row.read,
                    row.recorded,
                    row.failed,
                    row.bytes_read,
                    row.bytes_recorded,
                )
            )


# ---------------------------------------------------------------- import


def import_bundle(store: Store, path: Path, now: float) -> Imported:
    """Take a run from a bundle into this workspace, as a run of its own with a new number.

    Raises BundleError (no bundle, newer, damaged, too large, contradictory), or StoreConflict when the run is here
    already. Nothing is stored then. Other programs that write to this database wait for a slice of it at most."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise BundleError(f"{path.name} is larger than {MAX_FILE:,} bytes; no bundle is.")
        with zipfile.ZipFile(path) as archive:
            return _Import(store, archive, path.name, now).run()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise BundleError(f"{path.name} is no bundle, or is damaged: {error}.") from None
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error.strerror or error}.") from None


class _Import:
    """One bundle on its way into a store."""

    def __init__(self, store: Store, archive: zipfile.ZipFile, name: str, now: float) -> None:
        self._store = store
        self._archive = archive
        self._name = name
        self._now = now

    def run(self) -> Imported:
        manifest = self._part("manifest.json", Manifest)
        if manifest.format != FORMAT:
            raise BundleError(f"{self._name} is no bundle of Tally: its format is {manifest.format[:40]!r}.")
        if manifest.schema > SCHEMA:
            raise BundleError(
                f"{self._name} has bundle schema {manifest.schema}, made by Tally {manifest.tally}; this one knows "
                f"{SCHEMA}. Update Tally."
            )
        content = self._part("run.json", BundleRun)
        self._check(content)
        with self._store.arrival(
            uid=manifest.run,
            now=self._now,
            name=content.name,
            plan_text=content.plan,
            settle=content.settle,
            state=content.state,
            created=content.created,
            started=content.started,
            ended=content.ended,
            message=content.message,
            environment=content.environment,
            versions=content.versions,
            origin=f"{self._name}, run {content.number}"[:256],
        ) as arrival:
            imported = self._store_all(arrival, manifest, content)
            arrival.finish()
            return imported

    def _part(self, name: str, kind: Any) -> Any:
        with self._open(name) as file:
            text = file.read(MAX_RUN + 1)
        if len(text) > MAX_RUN:
            raise BundleError(f"{name} in {self._name} is larger than {MAX_RUN:,} bytes.")
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"{name} in {self._name} cannot be read: {error}.") from None

    def _open(self, name: str) -> IO[bytes]:
        """A part as a stream, after a look at what its header claims."""
        found = [info for info in self._archive.infolist() if info.filename == name]
        if len(found) != 1:
            raise BundleError(f"{self._name} is no bundle: it has {len(found) or 'no'} parts called {name}.")
        info = found[0]
        if info.flag_bits & 1:
            raise BundleError(f"{name} in {self._name} is encrypted; bundles are not.")
        if info.file_size > MAX_PART:
            raise BundleError(f"{name} in {self._name} is larger than {MAX_PART:,} bytes.")
        if info.file_size > _RATIO_FROM and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise BundleError(f"{name} in {self._name} claims to unpack to {info.file_size:,} bytes; no bundle does.")
        return self._archive.open(info)

    def _lines(self, name: str, limit: int) -> Iterator[tuple[int, bytes]]:
        """The lines of a part with their numbers from 1; at most `limit`, as the manifest says."""
        with self._open(name) as file:
            number = 0
            # zipfile reads no further than the size in the header, and checks the sum at the end.
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise BundleError(f"Line {number:,} of {name} in {self._name} is longer than {MAX_LINE:,} bytes.")
                if number > limit:
                    raise BundleError(f"{name} in {self._name} has more lines than its manifest says ({limit:,}).")
                yield number, line
        if number != limit:
            raise BundleError(f"{name} in {self._name} has {number:,} lines, and its manifest says {limit:,}.")

    def _rows(self, name: str, limit: int, kind: Any) -> Iterator[Any]:
        decode = msgspec.json.Decoder(kind).decode
        for number, line in self._lines(name, limit):
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise BundleError(f"Line {number:,} of {name} in {self._name} cannot be read: {error}.") from None

    def _check(self, content: BundleRun) -> None:
        """What types cannot say: that the lists fit together."""
        tests = len(content.tests)
        seen = set()
        for repeat in content.repeats:
            if not 1 <= repeat.test <= tests or (repeat.test, repeat.number) in seen:
                raise BundleError(f"run.json in {self._name} contradicts itself: repeat {repeat.test}.{repeat.number}.")
            seen.add((repeat.test, repeat.number))
        urls = [server.url for server in content.servers]
        if len(set(urls)) < len(urls):
            raise BundleError(f"run.json in {self._name} contradicts itself: a server is there twice.")

    def _store_all(self, arrival: Arrival, manifest: Manifest, content: BundleRun) -> Imported:
        repeats, scorings = self._store_run(arrival, content)
        servers, requests = self._store_requests(arrival, manifest, content, repeats)
        loaded = arrival.load(line.rstrip(b"\n") for _, line in self._lines("records.ndjson", manifest.records))
        self._store_verdicts(arrival, manifest, scorings, requests)
        self._store_samples(arrival, manifest, repeats, servers)
        return Imported(arrival.run_id, manifest.requests, loaded.stored)

    def _store_run(self, arrival: Arrival, content: BundleRun) -> tuple[list[int], list[list[int]]]:
        """Tests, repeats, scorings and what hangs on the run; returns their ids by place."""
        with arrival.slice() as connection:
            repeats, scorings = self._store_plan(connection, arrival.run_id, content)
        arrival.insert_new(
            "marker", ("run_id", "at", "kind", "text"), [(arrival.run_id, m.t, m.kind, m.text) for m in content.markers]
        )
        arrival.insert_new(
            "note", ("run_id", "at", "author", "text"), [(arrival.run_id, n.t, n.author, n.text) for n in content.notes]
        )
        arrival.insert(
            "pipeline_status",
            ("run_id", "program", "member", "started", "first_t", "first_body", "last_t", "last_body"),
            [
                (arrival.run_id, s.program, s.member, s.started, s.first_t, s.first, s.last_t, s.last)
                for s in content.statuses
            ],
        )
        arrival.insert_new(
            "status_step",
            ("run_id", "program", "member", "body"),
            [(arrival.run_id, step.program, step.member, step.body) for step in content.steps],
        )
        return repeats, scorings

    def _store_plan(self, connection: Connection, run_id: int, content: BundleRun) -> tuple[list[int], list[list[int]]]:
        tests = [
            _inserted(
                connection,
                schema.test,
                run_id=run_id,
                number=number,
                **{name: getattr(test, name) for name in BundleTest.__struct_fields__ if name != "workload"},
                workload=msgspec.json.encode(test.workload).decode(),
            )
            for number, test in enumerate(content.tests, 1)
        ]
        repeats: list[int] = []
        scorings: list[list[int]] = []
        for repeat in content.repeats:
            repeats.append(
                _inserted(
                    connection,
                    schema.repeat,
                    run_id=run_id,
                    test_id=tests[repeat.test - 1],
                    test_number=repeat.test,
                    number=repeat.number,
                    state=repeat.state[:32],
                    started=repeat.started,
                    ended=repeat.ended,
                    settled=repeat.settled,
                    settle_complete=None if repeat.settle_complete is None else int(repeat.settle_complete),
                    settle_reason=repeat.settle_reason,
                )
            )
            scorings.append(
                [
                    _inserted(
                        connection,
                        schema.scoring,
                        repeat_id=repeats[-1],
                        record_mark=0,
                        at=entry.t,
                        **{name: getattr(entry, name) for name in BundleScoring.__struct_fields__ if name != "t"},
                    )
                    for entry in repeat.scorings
                ]
            )
        return repeats, scorings

    def _store_requests(
        self, arrival: Arrival, manifest: Manifest, content: BundleRun, repeats: list[int]
    ) -> tuple[list[int], Sequence[int]]:
        """Servers, agents, tags and requests; returns the ids of servers and of requests by place."""
        owners: dict[str, ArrivedTag] = {}
        asked: set[tuple[str, str]] = set()
        for request in self._rows("requests.ndjson", manifest.requests, BundleRequest):
            if request.server >= len(content.servers) or request.agent >= len(content.agents):
                raise BundleError(f"{self._name} contradicts itself: a request of a server or agent that is not there.")
            try:
                repeat = repeats[request.repeat]
            except IndexError:
                raise BundleError(
                    f"{self._name} contradicts itself: a request of a repeat that is not there."
                ) from None
            owner = ArrivedTag(request.tag, repeat, request.agent, request.server, request.slot)
            if owners.setdefault(request.tag, owner) != owner or (request.tag, request.path) in asked:
                raise BundleError(f"{self._name} contradicts itself: tag {request.tag} is used twice.")
            asked.add((request.tag, request.path))
        servers, ids = arrival.enter(
            [ServerEntry(s.url, s.name, tuple(s.labels), "bundle") for s in content.servers],
            content.agents,
            list(owners.values()),
        )
        tags = dict(zip(owners, ids, strict=True))
        return servers, arrival.insert_new(
            "request",
            _REQUEST,
            (
                _request_row(owners[r.tag].repeat, tags[r.tag], servers[r.server], r)
                for r in self._rows("requests.ndjson", manifest.requests, BundleRequest)
            ),
        )

    def _store_verdicts(
        self, arrival: Arrival, manifest: Manifest, scorings: list[list[int]], requests: Sequence[int]
    ) -> None:
        def rows() -> Iterator[tuple[Any, ...]]:
            seen: set[tuple[int, int]] = set()
            for v in self._rows("verdicts.ndjson", manifest.verdicts, BundleVerdict):
                try:
                    scoring = scorings[v.repeat][v.scoring]
                except IndexError:
                    raise BundleError(f"{self._name} contradicts itself: a verdict of no scoring.") from None
                if v.request >= manifest.requests or (scoring, v.request) in seen:
                    raise BundleError(f"{self._name} contradicts itself: a verdict on request {v.request:,}.")
                seen.add((scoring, v.request))
                behaviours = msgspec.json.encode(v.behaviours).decode() if v.behaviours else None
                certain = int(v.certain) if v.lost_at else None
                yield (
                    scoring, requests[v.request], v.verdict, v.recorded, v.accesses, v.read, v.readv, v.write,
                    behaviours, v.lost_at or None, certain, v.cause or None,
                    msgspec.json.encode(v.datagram).decode() if v.datagram else None,
                    v.datagram.group[:256] if v.datagram else None,
                )  # fmt: skip

        arrival.insert("verdict", _VERDICT, rows())

    def _store_samples(self, arrival: Arrival, manifest: Manifest, repeats: list[int], servers: list[int]) -> None:
        rows: dict[tuple[int, int, int], tuple[Any, ...]] = {}
        for s in self._rows("samples.ndjson", manifest.samples, BundleSample):
            try:
                key = (repeats[s.repeat], s.second, servers[s.server])
            except IndexError:
                raise BundleError(f"{self._name} contradicts itself: a sample of no repeat or server.") from None
            rows[key] = (*key, s.requested, s.read, s.recorded, s.failed, s.bytes_read, s.bytes_recorded)
        arrival.insert("sample", _SAMPLE, rows.values())


_REQUEST = (
    "repeat_id", "tag_id", "server_id", "match_key", "path", "round", "size", "seed", "state", "ok", "t_started",
    "t_open", "t_close", "read_asked", "read_got", "readv_asked", "readv_got", "written", "read_ops", "readv_ops",
    "write_ops", "reached", "status", "error",
)  # fmt: skip
_VERDICT = (
    "scoring_id", "request_id", "verdict", "recorded", "accesses", "read", "readv", "write", "behaviours", "lost_at",
    "certain", "cause", "datagram", "lost_with",
)  # fmt: skip
_SAMPLE = (
    "repeat_id", "second", "server_id", "requested", "read", "recorded", "failed", "bytes_read", "bytes_recorded",
)  # fmt: skip


def _request_row(repeat: int, tag: int, server: int, r: BundleRequest) -> tuple[Any, ...]:
    return (
        repeat, tag, server, match_key(r.tag, r.path), r.path, r.round, r.size, r.seed, r.state, r.ok,
        r.t_started, r.t_open, r.t_close, r.read_asked, r.read_got, r.readv_asked, r.readv_got, r.written, r.read_ops,
        r.readv_ops, r.write_ops, r.reached or None, r.status, r.error or None,
    )  # fmt: skip


def _inserted(connection: Connection, table: Any, **values: Any) -> int:
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])
