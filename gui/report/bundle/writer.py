"""From a store into a bundle, as streams: no part is in memory as a whole but ``run.json``."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from gui.hub.signing import Signer
from gui.report.bundle import format as limits
from gui.report.bundle.format import (
    FORMAT,
    MANIFEST,
    RECORDS,
    REQUESTS,
    RUN,
    SAMPLES,
    SCHEMA,
    SIGNATURE,
    VERDICTS,
    BundleDatagram,
    BundleError,
    BundleMarker,
    BundleNote,
    BundleRepeat,
    BundleRequest,
    BundleRun,
    BundleSample,
    BundleScoring,
    BundleServer,
    BundleStatus,
    BundleStep,
    BundleTest,
    BundleVerdict,
    Manifest,
    PartSum,
    Signature,
)
from gui.report.bundle.seal import to_sign
from gui.store import StatusStep, Store, schema
from gui.store.loader import BLOCK
from gui.store.records import read_block
from gui.store.results import phases_of, scorings_in

_CHUNK = 5000
_LEVEL = 6


def export_bundle(
    store: Store, run_id: int, path: Path, signer: Signer | None = None, now: Callable[[], float] = time.time
) -> None:
    """Write a run as a bundle to `path`, which is replaced only when the bundle is whole.

    `signer`: the hub that stands for it. Raises NoSuchRowError, OSError, or BundleError when the run cannot be one."""
    run = store.run(run_id)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            parts = _Parts(archive)
            with store.database.read() as connection:
                places, content = _run_part(store, connection, run_id)
                parts.write(REQUESTS, _requests(connection, places))
                parts.write(RECORDS, _records(connection, run_id))
                parts.write(VERDICTS, _verdicts(connection, places))
                parts.write(SAMPLES, _samples(connection, places))
            text = msgspec.json.encode(content)
            if len(text) > limits.MAX_RUN:
                raise BundleError(f"Run {run_id} is too large for a bundle: {RUN} alone has {len(text):,} bytes.")
            parts.write(RUN, [text])
            manifest = Manifest(
                format=FORMAT,
                schema=SCHEMA,
                tally=version("xrootd-tally"),
                run=run.uid,
                requests=parts.sums[REQUESTS].lines,
                records=parts.sums[RECORDS].lines,
                verdicts=parts.sums[VERDICTS].lines,
                samples=parts.sums[SAMPLES].lines,
                by="" if signer is None else signer.name[:256],
                made=now(),
                parts=parts.sums,
            )
            said = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            archive.writestr(MANIFEST, said)
            if signer is not None:
                signature = Signature(signer.public, signer.sign(to_sign(said)))
                archive.writestr(SIGNATURE, msgspec.json.format(msgspec.json.encode(signature), indent=1))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Parts:
    """Writes parts, and sums them up."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.sums: dict[str, PartSum] = {}
        self._archive = archive

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        digest = hashlib.sha256()
        count = size = 0
        with self._archive.open(name, "w", force_zip64=True) as file:
            for some in _together(lines):
                content = b"\n".join([*some, b""])
                digest.update(content)
                file.write(content)
                count += len(some)
                size += len(content)
        self.sums[name] = PartSum(count, size, digest.hexdigest())


def _together(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in handfuls: to compress and to sum up one by one costs more than the work itself."""
    some: list[bytes] = []
    for line in lines:
        some.append(line)
        if len(some) == _HANDFUL:
            yield some
            some = []
    if some:
        yield some


_HANDFUL = 200


@dataclass(slots=True)
class _Places:
    """Row ids of this database → places in the lists of the bundle. What came into the database after the bundle was
    begun has none."""

    repeats: dict[int, int]
    servers: dict[int, int]
    agents: dict[int, int]
    scorings: dict[int, tuple[int, int]]
    requests: array[int]
    """Ids of the requests, in the order of their lines."""

    def request(self, request_id: int) -> int:
        return bisect_left(self.requests, request_id)


def _run_part(store: Store, connection: Connection, run_id: int) -> tuple[_Places, BundleRun]:
    """``run.json``, as of the state that `connection` sees."""
    run = store.run(run_id)
    repeats = store.repeats(run_id)
    tag = schema.tag
    here = tag.c.repeat_id.in_(select(schema.repeat.c.id).where(schema.repeat.c.run_id == run_id))
    server_ids = sorted(connection.scalars(select(tag.c.server_id).where(here).distinct()))
    agent_rows = sorted(connection.scalars(select(tag.c.agent_id).where(here).distinct()))
    directory = {server.id: server for server in store.servers()}
    names = {agent.id: agent.name for agent in store.agents()}
    scorings = {repeat.id: scorings_in(connection, schema.scoring.c.repeat_id == repeat.id) for repeat in repeats}
    places = _Places(
        repeats={repeat.id: place for place, repeat in enumerate(repeats)},
        servers={server_id: place for place, server_id in enumerate(server_ids)},
        agents={agent_id: place for place, agent_id in enumerate(agent_rows)},
        scorings={
            entry.id: (place, number)
            for place, repeat in enumerate(repeats)
            for number, entry in enumerate(scorings[repeat.id])
        },
        requests=array("q"),
    )
    content = BundleRun(
        number=run.id,
        name=run.name,
        plan=run.plan_text,
        settle=run.settle,
        state=run.state,  # type: ignore[arg-type]  # one of the words, as of every run
        created=run.created,
        started=run.started,
        ended=run.ended,
        message=run.message[: limits.MAX_TEXT],
        environment=msgspec.Raw(msgspec.json.encode(run.environment)),
        versions=msgspec.Raw(msgspec.json.encode(run.versions)),
        tests=[_fields(BundleTest, test.spec) for test in store.tests(run_id)],
        repeats=[
            BundleRepeat(
                repeat.test_number,
                repeat.number,
                repeat.state,  # type: ignore[arg-type]  # likewise
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
    room = limits.MAX_STEPS
    for step in reversed(steps):
        room -= 2 * len(step.body)  # JSON within JSON: each quotation mark gets a backslash
        if room < 0:
            break
        kept.append(BundleStep(step.program, step.member, step.body.decode()))
    return kept[::-1]


def _fields(kind: Callable[..., Any], source: object) -> Any:
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(**{name: getattr(source, name) for name in names})


def _requests(connection: Connection, places: _Places) -> Iterator[bytes]:
    request, tag = schema.request, schema.tag
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(request, tag.c.tag, tag.c.agent_id, tag.c.slot)
        .join(tag, tag.c.id == request.c.tag_id)
        .where(request.c.repeat_id.in_(list(places.repeats)))
        .order_by(request.c.id)
    )
    for row in rows:
        places.requests.append(row.id)
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
                row.share,
                phases_of(row),
            )
        )


def _records(connection: Connection, run_id: int) -> Iterator[bytes]:
    """The bodies of the run's records, block by block."""
    record, tag, repeat = schema.record, schema.tag, schema.repeat
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(record.c.body)
        .join(tag, tag.c.id == record.c.tag_id)
        .join(repeat, repeat.c.id == tag.c.repeat_id)
        .where(repeat.c.run_id == run_id)
        .order_by(record.c.body)
    )
    # All places first: blocks are read on the same connection, which has one open result at a time.
    found = array("q", (row[0] for row in rows))
    for number, some in groupby(found, lambda place: place // BLOCK):
        _, bodies = read_block(connection, number)
        for place in some:
            yield bodies[place % BLOCK]


def _verdicts(connection: Connection, places: _Places) -> Iterator[bytes]:
    verdict = schema.verdict
    for scoring_id, (place, number) in places.scorings.items():
        rows = connection.execution_options(yield_per=_CHUNK).execute(
            select(verdict).where(verdict.c.scoring_id == scoring_id).order_by(verdict.c.request_id)
        )
        for row in rows:
            yield msgspec.json.encode(
                BundleVerdict(
                    place,
                    number,
                    places.request(row.request_id),
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
                    msgspec.json.decode(row.datagram, type=BundleDatagram) if row.datagram else None,
                )
            )


def _samples(connection: Connection, places: _Places) -> Iterator[bytes]:
    sample = schema.sample
    rows = connection.execution_options(yield_per=_CHUNK).execute(
        select(sample)
        .where(sample.c.repeat_id.in_(list(places.repeats)))
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
