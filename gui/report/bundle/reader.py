"""From a bundle into a store: checked as a whole, brought in slice by slice, scored again, and only then to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert

from gui.reconcile import restate
from gui.report.bundle.archive import Archive, open_archive
from gui.report.bundle.format import (
    MAX_TEXT,
    RECORDS,
    REQUESTS,
    SAMPLES,
    VERDICTS,
    BundleError,
    BundleRequest,
    BundleSample,
    BundleScoring,
    BundleTest,
    BundleVerdict,
)
from gui.report.bundle.rescore import rescored
from gui.report.bundle.seal import seal_sentence
from gui.report.bundle.verify import Verified, rows, verify
from gui.store import Arrival, Seal, ServerEntry, Store, match_key, schema
from gui.store.arrivals import ArrivedTag

UNDER_WAY = ("preparing", "running")
"""States of a run that somebody goes on with; nobody goes on with one that came in a bundle."""
NOT_ENDED = "This run was under way when its bundle was made; it is not gone on with here."


@dataclass(frozen=True, slots=True)
class Imported:
    """A run that came in: its new number, how much was stored, and what is to be said of its bundle."""

    run: int
    requests: int
    records: int
    seal: Seal

    @property
    def sound(self) -> bool:
        """The bundle was not changed, and its figures came out the same here."""
        return not self.seal.changed and not self.seal.differs


def check_bundle(path: Path, signers: Mapping[str, str] | None = None) -> Seal:
    """Who made a bundle, and whether it was changed; all of it is read and compared, and nothing stored.

    `signers`: names of known signing keys, by key. Raises BundleError when it cannot be what it says."""
    with open_archive(path) as archive:
        return verify(archive, signers or {}).seal


def import_bundle(store: Store, path: Path, now: float, signers: Mapping[str, str] | None = None) -> Imported:
    """Take a run from a bundle into this workspace, as a run of its own with a new number.

    A bundle that was changed after it was made is taken in, and says so for ever; so does one whose figures come out
    another way here. Raises BundleError (no bundle, newer, damaged, too large, contradictory), or StoreConflictError
    when the run is here already. Nothing is stored then. Other programs that write to this database wait for a slice of
    it at most."""
    with open_archive(path) as archive:
        verified = verify(archive, signers or {})
        return _Import(store, archive, verified, now).run()


class _Import:
    """One bundle, which agrees with itself, on its way into a store."""

    def __init__(self, store: Store, archive: Archive, verified: Verified, now: float) -> None:
        self._store = store
        self._archive = archive
        self._bundle = verified
        self._now = now

    def run(self) -> Imported:
        run, manifest = self._bundle.run, self._bundle.manifest
        ended = run.state not in UNDER_WAY
        with self._store.arrival(
            uid=manifest.run,
            now=self._now,
            name=run.name,
            plan_text=_storable(run.plan),
            settle=run.settle,
            state=run.state if ended else "aborted",
            created=run.created,
            started=run.started,
            ended=run.ended,
            message=_storable(run.message) if ended else NOT_ENDED,
            environment=self._bundle.environment,
            versions=self._bundle.versions,
            origin=f"{self._archive.name}, run {run.number}"[:256],
        ) as arrival:
            repeats, records = self._store_all(arrival)
            if self._archive.sums != self._bundle.sums or records != manifest.records:
                raise BundleError(f"{self._archive.name} was changed while it was read; nothing of it was taken in.")
            seal = self._scored_again(arrival, repeats)
        return Imported(arrival.run_id, manifest.requests, records, seal)

    def _scored_again(self, arrival: Arrival, repeats: list[int]) -> Seal:
        """The last step: figures of our own, and with them the run is seen."""
        run = self._bundle.run
        try:
            differs = rescored(self._store, arrival.run_id, repeats, self._now)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise BundleError(f"{self._archive.name} holds a run that cannot be scored: {error}.") from error
        values = {}
        stands = restate(self._store, arrival.run_id).run
        if run.state not in (*UNDER_WAY, stands.state):
            differs.append(f"its state is {stands.state}, not {run.state}")
            if stands.message == _storable(run.message):
                values["message"] = f"Its bundle says: {stands.message}"[:MAX_TEXT]
        seal = msgspec.structs.replace(self._bundle.seal, differs=differs)
        text = f"Came in {self._archive.name}. {seal_sentence(seal)}"
        self._store.add_note(arrival.run_id, "tally", text, self._now)
        for sentence in differs:
            self._store.add_note(
                arrival.run_id, "tally", f"Scored again on import; the bundle's figures differ: {sentence}.", self._now
            )
        arrival.finish(seal=msgspec.json.encode(seal).decode(), **values)
        return seal

    def _store_all(self, arrival: Arrival) -> tuple[list[int], int]:
        """Everything but the end; returns the ids of the repeats by place, and how many records were stored."""
        repeats, scorings = self._store_run(arrival)
        servers, requests = self._store_requests(arrival, repeats)
        records = arrival.load(self._archive.lines(RECORDS)).stored
        arrival.insert("verdict", _VERDICT, self._verdicts(scorings, requests))
        arrival.insert("sample", _SAMPLE, self._samples(repeats, servers))
        return repeats, records

    def _store_run(self, arrival: Arrival) -> tuple[list[int], list[list[int]]]:
        """Tests, repeats, scorings and what hangs on the run; returns ids by place."""
        run, run_id = self._bundle.run, arrival.run_id
        with arrival.slice() as connection:
            repeats, scorings = self._store_plan(connection, run_id)
        arrival.insert_new(
            "marker", ("run_id", "at", "kind", "text"), ((run_id, m.t, m.kind, _storable(m.text)) for m in run.markers)
        )
        arrival.insert_new(
            "note",
            ("run_id", "at", "author", "text"),
            ((run_id, n.t, _author(n.author), _storable(n.text)) for n in run.notes),
        )
        arrival.insert(
            "pipeline_status",
            ("run_id", "program", "member", "started", "first_t", "first_body", "last_t", "last_body"),
            ((run_id, s.program, s.member, s.started, s.first_t, s.first, s.last_t, s.last) for s in run.statuses),
        )
        arrival.insert_new(
            "status_step",
            ("run_id", "program", "member", "body"),
            ((run_id, step.program, step.member, step.body) for step in run.steps),
        )
        return repeats, scorings

    def _store_plan(self, connection: Connection, run_id: int) -> tuple[list[int], list[list[int]]]:
        run = self._bundle.run
        tests = [
            _inserted(
                connection,
                schema.test,
                run_id=run_id,
                number=number,
                **{
                    name: getattr(test, name)
                    for name in BundleTest.__struct_fields__
                    if name not in ("workload", "mix")
                },
                workload=msgspec.json.encode(test.workload).decode(),
                mix=msgspec.json.encode(test.mix).decode(),
            )
            for number, test in enumerate(run.tests, 1)
        ]
        repeats: list[int] = []
        scorings: list[list[int]] = []
        for repeat in run.repeats:
            repeats.append(
                _inserted(
                    connection,
                    schema.repeat,
                    run_id=run_id,
                    test_id=tests[repeat.test - 1],
                    test_number=repeat.test,
                    number=repeat.number,
                    state=repeat.state if repeat.state in ("settled", "stopped") else "stopped",
                    started=repeat.started,
                    ended=repeat.ended,
                    settled=repeat.settled,
                    settle_complete=None if repeat.settle_complete is None else int(repeat.settle_complete),
                    settle_reason=_storable(repeat.settle_reason),
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

    def _store_requests(self, arrival: Arrival, repeats: list[int]) -> tuple[list[int], Sequence[int]]:
        """Servers, agents, tags and requests; returns the ids of servers and of requests by place."""
        run, owners = self._bundle.run, self._bundle.owners
        servers, ids = arrival.enter(
            [ServerEntry(s.url, s.name, tuple(s.labels), "bundle") for s in run.servers],
            run.agents,
            [ArrivedTag(tag, repeats[o.repeat], o.agent, o.server, o.slot) for tag, o in owners.items()],
        )
        tags = dict(zip(owners, ids, strict=True))
        return servers, arrival.insert_new(
            "request",
            _REQUEST,
            (
                _request_row(repeats[r.repeat], tags[r.tag], servers[r.server], r)
                for r in rows(self._archive, REQUESTS, BundleRequest)
            ),
        )

    def _verdicts(self, scorings: list[list[int]], requests: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        for v in rows(self._archive, VERDICTS, BundleVerdict):
            yield (
                scorings[v.repeat][v.scoring], requests[v.request], v.verdict, v.recorded, v.accesses, v.read, v.readv,
                v.write, _encoded(v.behaviours), v.lost_at or None, int(v.certain) if v.lost_at else None,
                _storable(v.cause) or None, _encoded(v.datagram), v.datagram.group[:256] if v.datagram else None,
            )  # fmt: skip

    def _samples(self, repeats: list[int], servers: list[int]) -> Iterator[tuple[Any, ...]]:
        for s in rows(self._archive, SAMPLES, BundleSample):
            yield (
                repeats[s.repeat], s.second, servers[s.server], s.requested, s.read, s.recorded, s.failed, s.bytes_read,
                s.bytes_recorded,
            )  # fmt: skip


_REQUEST = (
    "repeat_id", "tag_id", "server_id", "match_key", "path", "round", "size", "seed", "state", "ok", "t_started",
    "t_open", "t_close", "read_asked", "read_got", "readv_asked", "readv_got", "written", "read_ops", "readv_ops",
    "write_ops", "reached", "status", "error", "share", *schema.PHASES,
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
        repeat, tag, server, match_key(r.tag, r.path), r.path, r.round, r.size, r.seed, r.state, r.ok, r.t_started,
        r.t_open, r.t_close, r.read_asked, r.read_got, r.readv_asked, r.readv_got, r.written, r.read_ops, r.readv_ops,
        r.write_ops, _storable(r.reached) or None, r.status, _storable(r.error) or None,
        r.share, *(seconds or None for seconds in msgspec.structs.astuple(r.phases)),
    )  # fmt: skip


def _author(author: str) -> str:
    """Who wrote a note that came in a bundle. What Tally itself says of a run is said by this one only."""
    return "tally, in its bundle" if author == "tally" else author


def _storable(text: str) -> str:
    """Free text that every database takes: without NUL."""
    return text.replace("\0", "\ufffd")


def _encoded(value: list[str] | Struct | None) -> str | None:
    return msgspec.json.encode(value).decode() if value else None


def _inserted(connection: Connection, table: Any, **values: Any) -> int:
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])
