"""From record bodies to rows: decode, separate our records from others', store ours in full and sum the rest by day.

A batch is one transaction. Only the database can make a load fail, never the input: records that cannot be read are
counted, with a sentence about the first few.
"""

from __future__ import annotations

import gc
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from operator import add, attrgetter
from struct import unpack
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.engine import Connection

from agent.messages import HTTP
from collector.records import SCHEMA, FileRecord
from gui.store import once, schema
from gui.store.access import chunks
from gui.store.engine import LEAVE_KNOWN, Database
from gui.store.keys import match_key, record_key, record_keys, seen_keys, text_key
from gui.store.once import DAY, LAST_MOMENT
from gui.store.peers import adapt, body_of, identity_of, time_of
from gui.store.rows import PROBLEMS, LoadResult, RecordFlags

BLOCK = 512
"""Bodies that are compressed together: JSON records are so similar that they shrink to less than a tenth."""
AT_ONCE = 20_000
"""The best number of records in one transaction: each transaction touches most pages of the index, however few records
it has, and with more records other writers would wait for more than a fifth of a second."""
MAX_BODY = 256 * 1024
OTHER = "(other)"
GROUPS_PER_DAY = 20_000
"""Daily sums are kept for this many groups a day; directories and persons beyond are summed under `OTHER`."""
EVENT_TIMES = (
    "end_time", "detach_time", "purge_time", "tend", "time_max", "tod", "end", "@timestamp", "timestamp", "attach_time",
    "tbeg", "time_min", "start",
)  # fmt: skip
"""Fields of other kinds of records that have their time, in order of preference: when it ended, else when it began."""
CACHE_SUMS = ("bytes_hit_cache", "bytes_miss_cache", "bytes_bypass_cache")
"""What is summed of records of kind ``cache``."""

MOST_BYTES = 2**53
"""No access moves so much (9 PB). Sums of what is below fit into 64 bits; beyond, a database ends the query."""
_MAX_INT = 2**63 - 1
_TEXT = 256
_PATH = 8192
_TAGS_REMEMBERED = 500_000
_ORIGINS_REMEMBERED = 50_000
_INSERT_BLOCK = "INSERT INTO record_block (id, loaded, bodies) VALUES (?, ?, ?)"
_ADD_DAILY = (
    "ON CONFLICT (day, own, server, site, org, directory, person) DO UPDATE SET"
    " accesses = daily.accesses + excluded.accesses, provisional = daily.provisional + excluded.provisional,"
    " read = daily.read + excluded.read, readv = daily.readv + excluded.readv, write = daily.write + excluded.write,"
    " seconds = daily.seconds + excluded.seconds"
)
_SUMS = ("accesses", "provisional", "read", "readv", "write", "seconds")
_ADD_LOADED = (
    "UPDATE origin SET loaded_final = loaded_final + ?, loaded_provisional = loaded_provisional + ? WHERE id = ?"
)

_Key = TypeVar("_Key")

_is_tag = re.compile(r"[a-z][a-z0-9]{7}\Z").match
_said_as_info = re.compile(r"(?:tally:([a-z][a-z0-9]{7})|tally/\S+ \(([a-z][a-z0-9]{7})\))\Z").match
"""How a client says its tag: over root, and in the User-Agent."""
_decode_file = msgspec.json.Decoder(FileRecord).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


_said_of = attrgetter(
    "session_tag",
    "appinfo",
    "server_id",
    "stod",
    "server",
    "port",
    "site",
    "logical_dirname",
    "dirname2",
    "vo",
    "token_org",
    "user_dn",
    "token_subject",
    "protocol",
    "kind",
    "schema",
)
"""The fields that accesses have in common: records that agree in all of them share a `Source`."""
_facts_of = attrgetter(
    "record_id",
    "filename",
    "file_id",
    "read",
    "readv",
    "write",
    "end_time",
    "operation_time",
    "known_issue",
    "incomplete",
    "start_time",
)
"""The fields that are specific to an access and needed of nearly all: each that is kept costs time."""


class Tag(NamedTuple):
    """One of our tags: its row, its text, and the repeat that it belongs to."""

    id: int
    text: str
    repeat_id: int


STRANGER = Tag(0, "", 0)
"""Stands for the tag of a session that is not ours."""


class Place(NamedTuple):
    """One server process."""

    server_id: str
    stod: int
    server: str


class Group(NamedTuple):
    """The group of a daily sum."""

    day: int
    own: int
    server: str
    site: str
    org: str
    directory: str
    person: str


class Source:
    """Accesses of one session at one server: what they all have in common, computed once for many records."""

    __slots__ = ("begins", "days", "file", "given_up", "nameless", "origin", "place", "said", "tag")

    def __init__(self, file: FileRecord, in_path: str = "") -> None:
        """`in_path`: the tag that is in the path of its records."""
        self.file = file
        """The first of its records."""
        self.said = (in_path, "") if in_path else tags_said(file)
        """The tags that it may belong to, the likelier one first."""
        self.nameless = not any(self.said) and (file.protocol is None or file.protocol in HTTP)
        """The server reports nothing of its client: the tag, if it has one, is in the path of each record."""
        self.place = Place(_storable(file.server_id or "", 64), file.stod, server_of(file))
        self.origin = 0
        """Row id of the server process."""
        self.tag = STRANGER
        """Our tag, or `STRANGER` when the session is not ours."""
        self.begins = ""
        """What is hashed for `match_key`, up to the path."""
        self.days: dict[int, list[int]] = {}
        """By day: accesses, accesses never closed, and for the others bytes read, readv and written, and seconds."""
        self.given_up = 0
        """Provisional records, including those of accesses that have since been closed."""

    @property
    def finals(self) -> int:
        """Final records."""
        return sum(sums[0] for sums in self.days.values())


class Event(NamedTuple):
    """A record of a kind other than ``file``: what is counted of it."""

    kind: str
    server: str
    record_id: str
    moment: int
    """Its time in seconds; 0 when it has none."""
    amounts: tuple[int, ...]
    """For ``cache``: the fields of `CACHE_SUMS`."""


Opened = tuple[int, Source, int]
"""An access that was never closed: the key of its provisional record, and where and on which day it was counted."""

Access = tuple[Source, bytes, tuple[Any, ...]]
"""One record: its source, its body, its own facts in the order of `_facts_of`. A plain tuple, since there are many."""


@dataclass(slots=True)
class Batch:
    """Decoded records; `other` are those of other kinds."""

    sources: list[Source] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    other: list[Event] = field(default_factory=list)
    bad: int = 0
    problems: list[str] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)
    """The bodies that `problems` describe."""
    adapted: list[bytes] = field(default_factory=list)
    """Records of other collectors, converted to our form; they are decoded after all others."""
    producers: Counter[str] = field(default_factory=Counter)
    """How many came from each kind of foreign collector."""

    def reject(self, body: bytes, why: str) -> None:
        """Count a body that cannot be read."""
        self.bad += 1
        if len(self.problems) < PROBLEMS:
            self.problems.append(why)
            self.rejected.append(body)


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause Python's garbage collector: a load makes no cycles, and searching for them takes a fifth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def split_records(body: bytes) -> list[bytes]:
    """The records of one bus message or piece of a file, in either framing, one JSON object per line."""
    if b"\n" not in body:
        return [body] if body else []
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > 1 and not lines[0].rstrip().endswith(b"}"):
        return [body]  # one object, printed over several lines
    return lines


def batched(groups: Iterable[Iterable[bytes]]) -> Iterator[list[bytes]]:
    """All these bodies in lists of `AT_ONCE`, or somewhat more, since the bodies of a group stay together."""
    batch: list[bytes] = []
    for bodies in groups:
        batch += bodies
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def decode(bodies: Iterable[bytes]) -> Batch:
    """Decode record bodies. This needs no database, so it can be done outside a transaction."""
    batch = Batch()
    sources: dict[tuple[Any, ...], Source | str] = {}
    take = batch.accesses.append
    for body in chain(bodies, batch.adapted):
        try:
            file = _decode_file(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _decode_other(body, error, batch)
            continue
        # One look-up by all shared fields replaces a dozen steps for each record: 1 µs instead of 3.
        said = _said_of(file)
        source = sources.get(said)
        if source is None:
            source = sources[said] = _unusable(file) or Source(file)
            if isinstance(source, Source):
                batch.sources.append(source)
        if source.__class__ is Source and source.nameless and (tag := _tag_in(file.filename)):
            source = sources.get((said, tag))
            if source is None:
                source = sources[said, tag] = Source(file, tag)
                batch.sources.append(source)
        facts = _facts_of(file)
        if isinstance(source, str):
            if file.kind != "file":
                _decode_other(body, ValueError(source), batch)
            else:
                batch.reject(body, f"record {file.record_id[:40]!r} {source}")
        elif (facts[2] | (facts[3] or 0) | (facts[4] or 0) | (facts[5] or 0)) >> 53 and not _fit(facts):
            batch.reject(body, f"record {file.record_id[:40]!r} has a number that is negative, or 2^53 or more")
        elif len(body) > MAX_BODY:
            batch.reject(body, f"record {file.record_id[:40]!r} of {len(body):,} bytes is larger than {MAX_BODY:,}")
        else:
            take((source, body, facts))
    return batch


def _fit(facts: tuple[Any, ...]) -> bool:
    """Whether every number of an access can be stored and summed up."""
    return 0 <= facts[2] <= _MAX_INT and all(0 <= (number or 0) < MOST_BYTES for number in facts[3:6])


def _unusable(file: FileRecord) -> str:
    """Why records such as this one cannot be stored; empty when they can."""
    if file.kind != "file":
        return "is of another kind"
    if file.schema > SCHEMA:
        return f"has schema {file.schema}, newer than {SCHEMA}; update Tally to load it"
    if not 0 <= file.stod <= _MAX_INT:
        return "has a server start time beyond 64 bits"
    return ""


def _decode_other(body: bytes, error: Exception, batch: Batch) -> None:
    try:
        other = _decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        batch.reject(body, f"not a record: {error}")
        return
    kind = other.get("kind")
    if isinstance(kind, str) and kind not in ("", "file"):
        batch.other.append(_event(other))
    elif kind == "file":
        batch.reject(body, f"a file record that cannot be read: {error}")
    else:
        _adapt(body, other, batch)


def _adapt(body: bytes, given: dict[str, Any], batch: Batch) -> None:
    try:
        adapted = adapt(given)
    except ValueError as error:
        batch.reject(body, f"a record of another collector {error}")
        return
    if adapted is None:
        batch.reject(body, 'not a record: a JSON object without "kind", in no form of another collector either')
        return
    batch.producers[adapted.producer] += 1
    if adapted.record["kind"] == "file":
        batch.adapted.append(body_of(adapted))
    else:
        batch.other.append(_event(adapted.record))


def _event(record: Mapping[str, Any]) -> Event:
    server = record.get("server_hostname") or record.get("server_ip") or record.get("hostname") or ""
    amounts = tuple(value if isinstance(value := record.get(name), int) and value > 0 else 0 for name in CACHE_SUMS)
    copied = record.get("xeq")
    times = [
        *(record.get(name) for name in EVENT_TIMES),
        copied.get("end_transfer") if isinstance(copied, dict) else None,
    ]
    return Event(
        _storable(str(record["kind"]), 64),
        _storable(str(server), _TEXT),
        str(record.get("record_id") or identity_of(record)),
        once.moment_of(*map(time_of, times)),
        amounts,
    )


class Loader:
    """Stores decoded batches in the database; caches our tags and the server processes.

    The caches are used and changed only inside `Database.write`, so by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tags: dict[str, Tag] = {}
        self._origins: dict[Place, int] = {}
        self._forgot = 0
        self._blocks: tuple[Sequence[int], Future[list[bytes]]] | None = None
        """Ids of the blocks of this transaction, whose bodies are being compressed."""
        self._old: bool | None = None
        """Whether there are ids from before `schema.seen`; None: not checked yet."""
        self._compressor = ThreadPoolExecutor(1, "tally-compress")

    def close(self) -> None:
        """End the helper thread."""
        self._compressor.shutdown(wait=True, cancel_futures=True)

    def forget_tags(self) -> None:
        """A run was deleted (within `Database.write`): forget the cached tags."""
        self._tags.clear()

    def store_of_run(self, connection: Connection, batch: Batch, run_id: int, now: float) -> LoadResult:
        """Store records of this run's tags within a transaction of the caller, without adding to the daily sums."""
        self._find_tags(connection, batch.sources)
        self._find_origins(connection, batch.sources)
        self._origins.update((source.place, source.origin) for source in batch.sources)
        repeat = schema.repeat
        repeats = set(connection.scalars(select(repeat.c.id).where(repeat.c.run_id == run_id)))
        own = [access for access in batch.accesses if access[0].tag.repeat_id in repeats]
        kept = self._store_own(connection, own)
        self._store_blocks(connection, now)
        final = sum(access[2][0][-2:] == ".f" for access in kept)
        return LoadResult(
            final=final,
            provisional=len(kept) - final,
            repeated=len(own) - len(kept),
            foreign=len(batch.accesses) - len(own),
            other=len(batch.other),
            bad=batch.bad,
            problems=tuple(batch.problems),
            rejected=tuple(batch.rejected),
            producers=dict(batch.producers),
        )

    def load(self, batch: Batch, now: float, committing: Callable[[], object] = lambda: None) -> LoadResult:
        """One transaction: everything in `batch`, or (when it raises a StoreError) nothing.

        `committing` is called when only the commit is left to do."""
        today = int(now // DAY)
        with self._database.write() as connection:
            self._find_tags(connection, batch.sources)
            self._find_origins(connection, batch.sources)
            own = [access for access in batch.accesses if access[0].tag is not STRANGER]
            kept = self._store_own(connection, own)
            foreign = [access for access in batch.accesses if access[0].tag is STRANGER]
            new_foreign, sealed = self._first_time(connection, foreign, today)
            new = kept + new_foreign
            opened = _count(new, self._closed_before(connection, new), today)
            self._add_sums(connection, batch.sources, opened, today)
            if once.any_waits(connection):
                once.close(self._database, connection, _access_keys_of_finals(new))
            new_other, sealed_other = self._first_events(connection, batch.other, today)
            _count_other(connection, new_other, today)
            forgot = self._forgot == today or once.forget(connection, today)
            self._store_blocks(connection, now)
            committing()
        # Only now: what a failed transaction inserted must not be cached.
        self._forgot = today if forgot else 0
        self._origins.update((source.place, source.origin) for source in batch.sources)
        finals: Counter[int] = Counter()
        for source in batch.sources:
            if source.tag is not STRANGER:
                finals[source.tag.repeat_id] += source.finals
        final = finals.total()
        sealed += sealed_other
        return LoadResult(
            final=final,
            provisional=len(kept) - final,
            repeated=len(batch.accesses) + len(batch.other) - len(new) - len(new_other) - sealed,
            foreign=len(new_foreign),
            other=len(new_other),
            bad=batch.bad,
            sealed=sealed,
            repeats={repeat: count for repeat, count in finals.items() if count},
            problems=tuple(batch.problems),
            rejected=tuple(batch.rejected),
            producers=dict(batch.producers),
        )

    def _find_tags(self, connection: Connection, sources: Sequence[Source]) -> None:
        """Which of `sources` are ours. A tag that is not ours is not cached: it may become ours."""
        known = self._tags
        if len(known) > _TAGS_REMEMBERED:
            known.clear()
        named = [(source, *source.said) for source in sources]
        unknown = {tag for _, *tags in named for tag in tags if tag not in known and _is_tag(tag)}
        table = schema.tag
        for part in chunks(sorted(unknown), 500):
            # A tag without a repeat was never handed out, or its run was deleted: nothing waits for its records.
            bound = table.c.tag.in_(part) & table.c.repeat_id.is_not(None)
            rows = connection.execute(select(table.c.tag, table.c.id, table.c.repeat_id).where(bound))
            known.update((row.tag, Tag(row.id, row.tag, row.repeat_id)) for row in rows)
        for source, user, said in named:
            source.tag = known.get(user) or known.get(said) or STRANGER
            source.begins = source.tag.text + "\0"

    def _find_origins(self, connection: Connection, sources: Sequence[Source]) -> None:
        """Give each of `sources` the row id of its server process; a new one gets a row."""
        if len(self._origins) > _ORIGINS_REMEMBERED:
            self._origins.clear()
        table = schema.origin
        found: dict[Place, int] = {}
        for source in sources:
            place = source.place
            known = self._origins.get(place) or found.get(place)
            if known is None:
                known = connection.scalar(select(table.c.id).filter_by(**place._asdict()))
            if known is None:
                facts = _origin_facts(source.file)
                values = {"facts": facts, "loaded_final": 0, "loaded_provisional": 0, **place._asdict()}
                key = connection.execute(insert(table).values(values)).inserted_primary_key
                assert key is not None
                known = int(key[0])
            source.origin = found[place] = known

    def _store_own(self, connection: Connection, own: list[Access]) -> list[Access]:
        """Store our records without their bodies (see `_store_blocks`); returns those that were not stored before."""
        self._blocks = None
        if not own:
            return []
        # Compressed in a thread meanwhile: zlib releases the interpreter's lock.
        blocks = self._compressor.submit(_compress, own)
        ids = self._database.new_ids(connection, "record_block", -(-len(own) // BLOCK))
        columns, rows, same = _rows(own, ids)
        self._database.in_order(connection, "record")
        before = connection.scalar(select(func.max(schema.record.c.id))) or 0
        # In the order of the index: its pages are then visited one after the other (6.1 instead of 7.9 µs a record).
        inserted = self._database.insert(connection, "record", columns, sorted(rows), LEAVE_KNOWN, same)
        self._blocks = ids, blocks
        if inserted == len(rows):
            return own
        new = _new_keys(connection, before, rows)
        kept = []
        for row, access in zip(rows, own, strict=True):
            if row[:3] in new:
                new.remove(row[:3])  # the same record twice in one batch counts once
                kept.append(access)
        return kept

    def _store_blocks(self, connection: Connection, now: float) -> None:
        """Store the bodies at the end of the transaction, when compression has most likely finished."""
        if self._blocks is not None:
            ids, blocks = self._blocks
            stored = [(number, now, block) for number, block in zip(ids, blocks.result(), strict=True)]
            self._database.many(connection, _INSERT_BLOCK, stored)
            self._blocks = None

    def _first_time(self, connection: Connection, foreign: list[Access], today: int) -> tuple[list[Access], int]:
        """Others' records that were not counted before, and how many belong to days that are forgotten."""
        if not foreign:
            return [], 0
        if self._old is not False:
            self._old = connection.execute(select(schema.foreign_seen.c.record_hash).limit(1)).fetchone() is not None
        if self._old:
            known = _seen_in_old(connection, [access[2][0] for access in foreign])
            foreign = [access for access in foreign if access[2][0] not in known]
        keys = seen_keys([access[2][0] for access in foreign])
        ids = [
            (start if (start := access[2][10]) is not None and 0 < start < LAST_MOMENT else _moment(access), key)
            for access, key in zip(foreign, keys, strict=True)
        ]
        first = once.first_time(self._database, connection, ids, today)
        return [foreign[place] for place in first.places], first.sealed

    def _first_events(self, connection: Connection, events: Sequence[Event], today: int) -> tuple[list[Event], int]:
        """The same for records of other kinds."""
        if not events:
            return [], 0
        ids = [(event.moment, text_key(event.record_id)) for event in events]
        first = once.first_time(self._database, connection, ids, today)
        return [events[place] for place in first.places], first.sealed

    def _closed_before(self, connection: Connection, accesses: Iterable[Access]) -> set[int]:
        """Keys of those provisional records among `accesses` whose access was final already."""
        given_up = [access for access in accesses if access[2][0][-2:] == ".p"]
        keys = seen_keys([access[2][0] for access in given_up])
        closed: set[int] = set()
        foreign: dict[once.Id, int] = {}
        table = schema.record
        for access, key in zip(given_up, keys, strict=True):
            source, _, facts = access
            if source.tag is STRANGER:
                foreign[(_moment(access), key | 1)] = key
                continue
            match = match_key(source.tag.text, facts[1] or "")
            final = (table.c.match_key == match) & (table.c.record_key == record_key(facts[0]) | 1)
            if connection.execute(select(table.c.id).where(table.c.tag_id == source.tag.id, final)).fetchone():
                closed.add(key)
        closed.update(foreign[one] for one in once.seen_before(connection, foreign))
        return closed

    def _add_sums(
        self, connection: Connection, sources: Sequence[Source], opened: Sequence[Opened], today: int
    ) -> None:
        """Add the sums of `sources` to the tables, folding new groups beyond the day's number."""
        groups: dict[Group, list[int]] = {}
        loaded: dict[int, list[int]] = {}
        for source in sources:
            finals = 0
            for day, sums in source.days.items():
                _add_up(groups, _group(source, day), sums)
                finals += sums[0]
            _add_up(loaded, source.origin, (finals, source.given_up))
        kept_as = _folded(connection, list(groups))
        folded: dict[Group, list[int]] = {}
        for group, sums in groups.items():
            _add_up(folded, kept_as.get(group, group), sums)
        rows = [(*group, *_bounded(sums)) for group, sums in folded.items()]
        self._database.insert(connection, "daily", (*Group._fields, *_SUMS), sorted(rows), _ADD_DAILY)
        self._database.many(connection, _ADD_LOADED, [(*counts, origin) for origin, counts in loaded.items()])
        waiting = [(key, _group(source, day)) for key, source, day in opened]
        ids = {group: _daily_id(connection, kept_as.get(group, group)) for group in {group for _, group in waiting}}
        once.wait_for_close(self._database, connection, [(key, ids[group]) for key, group in waiting], today)


def _rows(
    own: Sequence[Access], blocks: Sequence[int]
) -> tuple[list[str], list[tuple[Any, ...]], dict[str, int | None]]:
    """Columns and rows for the table ``record``, and the columns in which all these rows have the same value.

    Column by column, since most of it is then done in C."""
    sources = [access[0] for access in own]
    record_ids, paths, file_ids, read, readv, write, _, _, issues, lacking, _ = zip(
        *[access[2] for access in own], strict=True
    )
    known_paths = [path or "" for path in paths] if None in paths else paths
    texts = [(source.begins + path).encode() for source, path in zip(sources, known_paths, strict=True)]
    # `match_key` and `record_key`, whose loops these are, cost twice as much one by one.
    digests = b"".join([blake2b(text, digest_size=8).digest() for text in texts])
    columns: dict[str, Iterable[Any]] = {
        "tag_id": [source.tag.id for source in sources],
        "match_key": unpack(f">{len(own)}q", digests),
        "record_key": record_keys(record_ids),
        "body": chain.from_iterable(range(number * BLOCK, (number + 1) * BLOCK) for number in blocks),
        "origin_id": [source.origin for source in sources],
        "file_id": file_ids,
        "read": _numbers(read),
        "path": _storable_paths(known_paths),
    }
    same: dict[str, int | None] = {}
    for name, numbers in (("readv", readv), ("write", write)):
        if any(numbers):
            columns[name] = _numbers(numbers)
        else:
            same[name] = 0
    if any(issues) or any(lacking):
        columns["flags"] = [_flags(*said) if any(said) else None for said in zip(issues, lacking, strict=True)]
    else:
        same["flags"] = None
    return list(columns), list(zip(*columns.values(), strict=False)), same  # there are more places than records


def _numbers(values: Sequence[int | None]) -> Sequence[int]:
    """Unknown values of an access count as 0."""
    return [value or 0 for value in values] if None in values else values  # type: ignore[return-value]


def _storable_paths(paths: Sequence[str]) -> Sequence[str]:
    if max(map(len, paths)) <= _PATH and "\0" not in "".join(paths):
        return paths
    return [_storable(path, _PATH) for path in paths]


def _count(accesses: Iterable[Access], closed: set[int], today: int) -> list[Opened]:
    """Add records that are stored for the first time to the sums of their sources; returns the accesses among them that
    were never closed.

    Only final records are summed. A provisional record is only counted, so that its bytes are not added again by the
    final record of the same access. A provisional record of an access that is already `closed` adds nothing."""
    opened: list[Opened] = []
    for source, body, facts in accesses:
        record_id, _, _, read, readv, write, end, seconds, _, _, _ = facts
        day = end // DAY if end is not None and 0 <= end < LAST_MOMENT else _day_of(source, body, today)
        sums = source.days.get(day)
        if sums is None:
            sums = source.days[day] = [0, 0, 0, 0, 0, 0]
        if record_id[-2:] == ".f":
            sums[0] += 1
            if read:
                sums[2] += read
            if readv:
                sums[3] += readv
            if write:
                sums[4] += write
            if seconds:
                sums[5] += seconds
        else:
            source.given_up += 1
            (key,) = seen_keys([record_id])
            if key not in closed:
                sums[1] += 1
                opened.append((key, source, day))
    return opened


def _day_of(source: Source, body: bytes, today: int) -> int:
    """The day of an access whose close is not known: that of the last time known for it, else today."""
    file = _decode_file(body)
    moment = once.moment_of(file.time_max, time_of(file.timestamp), file.start_time, source.place.stod)
    return moment // DAY if moment else today


def _moment(access: Access) -> int:
    """The time by which another's record is remembered. The final and the provisional record of an access share it:
    both say when the file was opened, or neither does."""
    source, body, facts = access
    moment = once.moment_of(facts[10], facts[6])
    return moment or once.moment_of(_decode_file(body).time_max, source.place.stod)


def _access_keys_of_finals(accesses: Iterable[Access]) -> Iterator[int]:
    """Keys of the possible provisional records of the accesses that these records close."""
    return (key - 1 for key in seen_keys([facts[0] for _, _, facts in accesses if facts[0][-2:] == ".f"]))


def _seen_in_old(connection: Connection, record_ids: Sequence[str]) -> set[str]:
    """Those that were remembered before there was `schema.seen`."""
    table = schema.foreign_seen
    by_hash = {text_key(record_id): record_id for record_id in record_ids}
    known: set[str] = set()
    for part in chunks(list(by_hash), 500):
        found = connection.scalars(select(table.c.record_hash).where(table.c.record_hash.in_(part)))
        known.update(by_hash[one] for one in found)
    return known


def _folded(connection: Connection, groups: Sequence[Group]) -> dict[Group, Group]:
    """For each group that has to be kept under another one, that other: those not known, on days without room."""
    kept: dict[Group, Group] = {}
    for day, count in Counter(group.day for group in groups).items():
        there = _groups_of(connection, day)
        if count + there <= GROUPS_PER_DAY:
            continue
        mine = [group for group in groups if group.day == day]
        known = _known_groups(connection, mine)
        new = [group for group in mine if group not in known]
        for group in new[max(0, GROUPS_PER_DAY - there) :]:
            kept[group] = group._replace(directory=OTHER, person=OTHER)
    return kept


def _known_groups(connection: Connection, groups: Sequence[Group]) -> set[Group]:
    """Which of these groups of one day have a row."""
    table = schema.daily
    columns = [table.c[name] for name in Group._fields]
    if len(groups) > 1000:  # asking for each takes longer than reading all groups of a day
        day = table.c.day == groups[0].day
        return set(map(Group._make, connection.execute(select(*columns).where(day)))) & set(groups)
    known: set[Group] = set()
    for part in chunks(groups, 100):
        known.update(Group(*row) for row in connection.execute(select(*columns).where(tuple_(*columns).in_(part))))
    return known


def _daily_id(connection: Connection, group: Group) -> int:
    return int(connection.scalars(select(schema.daily.c.id).filter_by(**group._asdict())).one())


def _bounded(sums: Sequence[int]) -> Sequence[int]:
    """Sums that every database holds."""
    if min(sums) >= 0 and max(sums) <= _MAX_INT:
        return sums
    return [max(0, min(value, _MAX_INT)) for value in sums]


def _add_up(totals: dict[_Key, list[int]], key: _Key, sums: Sequence[int]) -> None:
    total = totals.get(key)
    totals[key] = list(sums) if total is None else list(map(add, total, sums))


def _groups_of(connection: Connection, day: int) -> int:
    table = schema.daily
    return int(connection.scalar(select(func.count()).where(table.c.day == day)) or 0)


def tags_said(file: FileRecord) -> tuple[str, str]:
    """The tags that a record may belong to, the likelier one first: its user, and the tag in the application info, for
    a record whose user is not known (its map datagram was lost). Over HTTP the user is none, or the hash of a name."""
    said = match[match.lastindex or 0] if (match := _said_as_info(file.appinfo or "")) else ""
    return (said, "") if file.protocol in HTTP else (file.session_tag or "", said)


def _tag_in(path: str | None) -> str:
    """The tag that a client over HTTP has put into the path of its own file, where the server reports nothing else of
    it: the name of the file's directory."""
    folder = (path or "").rpartition("/")[0].rpartition("/")[2]
    return folder if _is_tag(folder) else ""


def server_of(file: FileRecord) -> str:
    """The server of a record as shown to people: ``HOST:PORT``, as far as it is known."""
    host = file.server or file.server_hostname or file.server_ip or ""
    return _storable(f"{host}:{file.port}" if file.port is not None else host, _TEXT)


def _origin_facts(file: FileRecord) -> str:
    names = ("serverID", "server", "server_ip", "server_hostname", "port", "instance", "site", "version", "shoveler")
    facts = {name: getattr(file, name) for name in names if getattr(file, name) is not None}
    return _encode(facts).decode()


def _group(source: Source, day: int) -> Group:
    file, own = source.file, source.tag is not STRANGER
    person = "" if own else file.user_dn or file.token_subject or file.token_username or file.user or ""
    return Group(
        day,
        int(own),
        source.place.server,
        _storable(file.site or "", _TEXT),
        _storable(file.vo or file.token_org or "", _TEXT),
        _storable(file.logical_dirname or file.dirname2 or file.dirname1 or "", _TEXT),
        _storable(person, _TEXT),
    )


def _storable(words: str, limit: int) -> str:
    """Text that every database accepts: no NUL, at most `limit` characters."""
    if "\0" in words:
        words = words.replace("\0", "\ufffd")
    return words[:limit]


def _flags(issues: list[str] | None, lacking: list[str] | None) -> str:
    flags = _encode(RecordFlags(issues or [], lacking or [])).decode()
    return flags if len(flags) <= _PATH else "{}"


def _compress(accesses: Sequence[Access]) -> list[bytes]:
    """Blocks of the bodies of these accesses."""
    blocks = []
    for part in chunks(accesses, BLOCK):
        lines = b"\n".join([body for _, body, _ in part])
        if lines.count(b"\n") != len(part) - 1:
            lines = b"\n".join([body.replace(b"\n", b" ") for _, body, _ in part])
        # Level 1: higher levels take three times as long and save a tenth.
        blocks.append(zlib.compress(lines, 1))
    return blocks


def _new_keys(connection: Connection, before: int, rows: Sequence[tuple[Any, ...]]) -> set[tuple[int, int, int]]:
    """Keys of those `rows` that were inserted after record `before`, by us."""
    table = schema.record
    bodies = {row[3] for row in rows}
    found = connection.execute(
        select(table.c.tag_id, table.c.match_key, table.c.record_key, table.c.body).where(table.c.id > before)
    )
    return {(row[0], row[1], row[2]) for row in found if row[3] in bodies}


def _count_other(connection: Connection, events: Iterable[Event], today: int) -> None:
    table = schema.other_kind
    groups: dict[tuple[int, str, str], list[Event]] = {}
    for event in events:
        groups.setdefault((event.moment // DAY if event.moment else today, event.kind, event.server), []).append(event)
    for (day, kind, server), members in groups.items():
        here = (table.c.day == day) & (table.c.kind == kind) & (table.c.server == server)
        row = connection.execute(select(table.c.events, table.c.sums).where(here)).fetchone()
        sums: dict[str, int] = {} if row is None else msgspec.json.decode(row.sums)
        if kind == "cache":
            for place, name in enumerate(CACHE_SUMS):
                sums[name] = min(sums.get(name, 0) + sum(event.amounts[place] for event in members), _MAX_INT)
        values = {"events": len(members) + (0 if row is None else row.events), "sums": _encode(sums).decode()}
        if row is None:
            connection.execute(insert(table).values(day=day, kind=kind, server=server, **values))
        else:
            connection.execute(update(table).where(here).values(values))
