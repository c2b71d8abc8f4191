"""From record bodies to rows: decode, tell ours from others', store ours in full and sum up the rest by day.

A batch is one transaction. Nothing that arrives can make a load fail except the database itself: what cannot be read
is counted, with a sentence on the first few.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from collector.records import SCHEMA, FileRecord
from gui.store import schema
from gui.store.access import chunks
from gui.store.engine import Database
from gui.store.keys import match_key, record_key, text_key
from gui.store.rows import LoadResult, RecordFlags

BLOCK = 256
"""Bodies that are compressed together: JSON records are so alike that 256 of them shrink to less than a tenth."""
MAX_BODY = 256 * 1024
OTHER = "(other)"
GROUPS_PER_DAY = 20_000
"""Daily sums are kept for this many groups a day; directories and persons beyond are summed under `OTHER`."""
CACHE_SUMS = ("bytes_hit_cache", "bytes_miss_cache", "bytes_bypass_cache")
"""What is summed of records of kind ``cache``."""

_DAY = 86400
_MAX_INT = 2**63 - 1
_MAX_DAY = 100_000
_PROBLEMS = 5
_TEXT = 256
_PATH = 8192
_TAGS_REMEMBERED = 500_000
_ORIGINS_REMEMBERED = 50_000
_REMEMBER_DAYS = 14
_REMEMBER_ROWS = 20_000_000
"""How long, and how many, ids of foreign records are remembered, so that one that comes again is not summed twice."""

_INSERT_RECORD = (
    "INSERT INTO record (tag_id, match_key, record_key, origin_id, file_id, read, readv, write, body, path, flags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_INSERT_SEEN = "INSERT INTO foreign_seen (record_hash, day) VALUES (?, ?) ON CONFLICT DO NOTHING"
_ADD_DAILY = (
    "INSERT INTO daily (day, own, server, site, org, directory, person, accesses, provisional, read, readv, write,"
    " seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (day, own, server, site, org, directory, person) DO UPDATE SET"
    " accesses = daily.accesses + excluded.accesses, provisional = daily.provisional + excluded.provisional,"
    " read = daily.read + excluded.read, readv = daily.readv + excluded.readv, write = daily.write + excluded.write,"
    " seconds = daily.seconds + excluded.seconds"
)
_ADD_LOADED = (
    "UPDATE origin SET loaded_final = loaded_final + ?, loaded_provisional = loaded_provisional + ? WHERE id = ?"
)

_is_tag = re.compile(r"[a-z][a-z0-9]{7}\Z").match
_decode_file = msgspec.json.Decoder(FileRecord).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Tag(NamedTuple):
    """One of our tags: its row, its text, and the repeat that it belongs to."""

    id: int
    text: str
    repeat_id: int | None


class OriginKey(NamedTuple):
    """One incarnation of a server."""

    server_id: str
    stod: int
    server: str


class Group(NamedTuple):
    """What daily sums are kept by."""

    day: int
    own: int
    server: str
    site: str
    org: str
    directory: str
    person: str


@dataclass(slots=True)
class Batch:
    """Decoded records with their bodies; `other` are those of other kinds."""

    files: list[tuple[FileRecord, bytes]] = field(default_factory=list)
    other: list[dict[str, Any]] = field(default_factory=list)
    bad: int = 0
    problems: list[str] = field(default_factory=list)

    def reject(self, why: str) -> None:
        """Count a body that cannot be read."""
        self.bad += 1
        if len(self.problems) < _PROBLEMS:
            self.problems.append(why)


def split_records(body: bytes) -> list[bytes]:
    """The records of one bus message or piece of a file, in either framing: one JSON object for each line."""
    if b"\n" not in body:
        return [body] if body else []
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > 1 and not lines[0].rstrip().endswith(b"}"):
        return [body]  # one object, printed over several lines
    return lines


def decode(bodies: Iterable[bytes]) -> Batch:
    """Decode record bodies; needs no database, so that it can be done outside of a transaction."""
    batch = Batch()
    for body in bodies:
        try:
            file = _decode_file(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _decode_other(body, error, batch)
            continue
        why = _unusable(file, body)
        if not why:
            batch.files.append((file, body))
        elif file.kind != "file":
            _decode_other(body, ValueError(why), batch)
        else:
            batch.reject(why)
    return batch


def _unusable(file: FileRecord, body: bytes) -> str:
    """Why this record cannot be stored; empty when it can."""
    if file.kind != "file":
        return "a record of another kind"
    if file.schema > SCHEMA:
        return f"record {file.record_id[:40]!r} has schema {file.schema}, newer than {SCHEMA}; update Tally to load it"
    if not 0 <= ((file.read or 0) | (file.readv or 0) | (file.write or 0) | file.stod | file.file_id) <= _MAX_INT:
        return f"record {file.record_id[:40]!r} has a number that is negative or beyond 64 bits"
    if len(body) > MAX_BODY:
        return f"record {file.record_id[:40]!r} of {len(body):,} bytes is larger than {MAX_BODY:,}"
    return ""


def _decode_other(body: bytes, error: Exception, batch: Batch) -> None:
    try:
        other = _decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        batch.reject(f"not a record: {error}")
        return
    kind = other.get("kind")
    if isinstance(kind, str) and kind not in ("", "file"):
        batch.other.append(other)
    elif kind == "file":
        batch.reject(f"a file record that cannot be read: {error}")
    else:
        batch.reject('not a record: a JSON object without "kind"')


class Loader:
    """Puts decoded batches into the database; remembers our tags and the servers' incarnations.

    What it remembers is used and changed inside `Database.write` only, so by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tags: dict[str, Tag] = {}
        self._origins: dict[OriginKey, int] = {}
        self._forgot = 0

    def load(self, batch: Batch, now: float) -> LoadResult:
        """One transaction: everything in `batch`, or (when it raises a StoreError) nothing."""
        with self._database.write() as connection:
            tags = self._find_tags(connection, batch.files)
            own: list[tuple[Tag, FileRecord, bytes]] = []
            foreign: list[FileRecord] = []
            for file, body in batch.files:
                tag = tags.get(file.session_tag or "") or tags.get(_appinfo_tag(file))
                if tag is None:
                    foreign.append(file)
                else:
                    own.append((tag, file, body))
            origins = self._find_origins(connection, batch.files)
            usage = Usage(now)
            final, provisional, repeats = self._load_own(connection, own, origins, usage, now)
            new_foreign = self._load_foreign(connection, foreign, usage, now)
            _count_other(connection, batch.other, now)
            usage.store(self._database, connection)
            loaded = [(f, p, origins[key]) for key, (f, p) in usage.origins.items()]
            self._database.many(connection, _ADD_LOADED, loaded)
            if int(now // _DAY) != self._forgot:
                _forget(connection, int(now // _DAY))
        # Only now: what a failed transaction inserted must not be remembered.
        self._forgot = int(now // _DAY)
        self._origins.update(origins)
        return LoadResult(
            final=final,
            provisional=provisional,
            repeated=len(batch.files) - final - provisional - new_foreign,
            foreign=new_foreign,
            other=len(batch.other),
            bad=batch.bad,
            repeats=repeats,
            problems=tuple(batch.problems),
        )

    def _find_tags(self, connection: Connection, files: Sequence[tuple[FileRecord, bytes]]) -> Mapping[str, Tag]:
        """Those tags named by `files` that are ours. A tag that is not ours is never remembered: it may become ours."""
        if len(self._tags) > _TAGS_REMEMBERED:
            self._tags.clear()
        self._learn(connection, {file.session_tag for file, _ in files if file.session_tag})
        unclear = (file for file, _ in files if file.session_tag not in self._tags)
        self._learn(connection, {tag for file in unclear if (tag := _appinfo_tag(file))})
        return self._tags

    def _learn(self, connection: Connection, tags: Iterable[str]) -> None:
        table = schema.tag
        unknown = sorted(tag for tag in tags if tag not in self._tags and _is_tag(tag))
        for part in chunks(unknown, 500):
            rows = connection.execute(select(table.c.tag, table.c.id, table.c.repeat_id).where(table.c.tag.in_(part)))
            self._tags.update((row.tag, Tag(row.id, row.tag, row.repeat_id)) for row in rows)

    def _find_origins(self, connection: Connection, files: Sequence[tuple[FileRecord, bytes]]) -> dict[OriginKey, int]:
        if len(self._origins) > _ORIGINS_REMEMBERED:
            self._origins.clear()
        named: dict[OriginKey, FileRecord] = {}
        for file, _ in files:
            named.setdefault(_origin(file), file)
        found = {key: self._origins[key] for key in named if key in self._origins}
        table = schema.origin
        for key, file in named.items():
            if key in found:
                continue
            known = connection.scalar(
                select(table.c.id).where(
                    table.c.server_id == key.server_id, table.c.stod == key.stod, table.c.server == key.server
                )
            )
            if known is None:
                result = connection.execute(
                    insert(table).values(
                        server_id=key.server_id,
                        stod=key.stod,
                        server=key.server,
                        facts=_origin_facts(file),
                        loaded_final=0,
                        loaded_provisional=0,
                    )
                )
                assert result.inserted_primary_key is not None
                known = result.inserted_primary_key[0]
            found[key] = int(known)
        return found

    def _load_own(
        self,
        connection: Connection,
        own: Sequence[tuple[Tag, FileRecord, bytes]],
        origins: Mapping[OriginKey, int],
        usage: Usage,
        now: float,
    ) -> tuple[int, int, Mapping[int, int]]:
        """Stores records of ours; returns how many final and provisional ones were new, and new finals by repeat."""
        if not own:
            return 0, 0, {}
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(own), BLOCK):
            part = own[start : start + BLOCK]
            base = _store_block(connection, [body for _, _, body in part], now) * BLOCK
            for place, (tag, file, _) in enumerate(part, base):
                path = file.filename or ""
                flags = None
                if file.known_issue or file.incomplete:
                    flags = _encode(RecordFlags(file.known_issue or [], file.incomplete or [])).decode()
                rows.append(
                    (
                        tag.id,
                        match_key(tag.text, path),
                        record_key(file.record_id),
                        origins[_origin(file)],
                        file.file_id,
                        file.read or 0,
                        file.readv or 0,
                        file.write or 0,
                        place,
                        _storable(path, _PATH),
                        _storable(flags, _PATH) if flags else None,
                    )
                )
        before = connection.scalar(select(func.max(schema.record.c.id))) or 0
        # In the order of the index: its pages are then visited one after the other.
        inserted = self._database.many(connection, _INSERT_RECORD, sorted(rows, key=lambda row: row[:3]))
        new = None if inserted == len(rows) else _new_keys(connection, before, rows)
        final = 0
        repeats: Counter[int] = Counter()
        for row, (tag, file, _) in zip(rows, own, strict=True):
            if new is not None:
                if row[:3] not in new:
                    continue
                new.remove(row[:3])  # the same record twice in one batch counts once
            usage.add(file, own=True)
            if row[2] & 1:
                final += 1
                if tag.repeat_id is not None:
                    repeats[tag.repeat_id] += 1
        return final, inserted - final, dict(repeats)

    def _load_foreign(self, connection: Connection, foreign: Sequence[FileRecord], usage: Usage, now: float) -> int:
        if not foreign:
            return 0
        hashes = {text_key(file.record_id): file for file in foreign}
        table = schema.foreign_seen
        for part in chunks(list(hashes), 500):
            for known in connection.scalars(select(table.c.record_hash).where(table.c.record_hash.in_(part))):
                del hashes[known]
        self._database.many(connection, _INSERT_SEEN, [(key, int(now // _DAY)) for key in hashes])
        for file in hashes.values():
            usage.add(file, own=False)
        return len(hashes)


class Usage:
    """Daily sums of one batch. Only final records are summed: a provisional one is counted, so that the final record of
    the same access, when it comes, does not add its bytes a second time."""

    def __init__(self, now: float) -> None:
        self._today = int(now // _DAY)
        self._groups: dict[Group, list[float]] = {}
        self.origins: dict[OriginKey, tuple[int, int]] = {}

    def add(self, file: FileRecord, *, own: bool) -> None:
        """Count a record that is stored for the first time."""
        final = file.record_id.endswith(".f")
        key = _origin(file)
        finals, provisionals = self.origins.get(key, (0, 0))
        self.origins[key] = (finals + final, provisionals + (not final))
        sums = self._groups.setdefault(_group(file, own, self._today), [0, 0, 0, 0, 0, 0.0])
        if final:
            sums[0] += 1
            sums[2] += file.read or 0
            sums[3] += file.readv or 0
            sums[4] += file.write or 0
            sums[5] += max(0, min(file.operation_time or 0, _MAX_INT))
        else:
            sums[1] += 1

    def store(self, database: Database, connection: Connection) -> None:
        """Add the sums to the table, folding what exceeds the day's number of groups."""
        days = Counter(group.day for group in self._groups)
        crowded = {day for day, count in days.items() if count + (_groups_of(connection, day)) > GROUPS_PER_DAY}
        folded: dict[Group, list[float]] = {}
        for group, sums in self._groups.items():
            kept = group if group.day not in crowded else group._replace(directory=OTHER, person=OTHER)
            total = folded.setdefault(kept, [0, 0, 0, 0, 0, 0.0])
            for place, value in enumerate(sums):
                total[place] += value
        rows = [(*group, *(min(value, _MAX_INT) for value in sums)) for group, sums in folded.items()]
        database.many(connection, _ADD_DAILY, rows)


def _groups_of(connection: Connection, day: int) -> int:
    table = schema.daily
    return int(connection.scalar(select(func.count()).where(table.c.day == day)) or 0)


def _appinfo_tag(file: FileRecord) -> str:
    """The tag in ``tally:TAG``, for a record whose user is not known (its map datagram was lost)."""
    info = file.appinfo
    return info[6:] if info and info.startswith("tally:") and _is_tag(info[6:]) else ""


def _origin(file: FileRecord) -> OriginKey:
    host = file.server or file.server_hostname or file.server_ip or ""
    server = f"{host}:{file.port}" if file.port is not None else host
    return OriginKey(_storable(file.server_id, 64), file.stod, _storable(server, _TEXT))


def _origin_facts(file: FileRecord) -> str:
    names = ("serverID", "server", "server_ip", "server_hostname", "port", "instance", "site", "version", "shoveler")
    facts = {name: getattr(file, name) for name in names if getattr(file, name) is not None}
    return _encode(facts).decode()


def _group(file: FileRecord, own: bool, today: int) -> Group:
    moment = file.end_time if file.end_time is not None else file.start_time
    day = today if moment is None else moment // _DAY
    if not 0 <= day <= _MAX_DAY:
        day = today
    return Group(
        day,
        int(own),
        _origin(file).server,
        _storable(file.site or "", _TEXT),
        _storable(file.vo or file.token_org or "", _TEXT),
        _storable(file.logical_dirname or file.dirname2 or file.dirname1 or "", _TEXT),
        "" if own else _storable(file.user_dn or file.token_subject or file.token_username or file.user or "", _TEXT),
    )


def _storable(text: str, limit: int) -> str:
    """Text that every database takes: no NUL, no longer than `limit` characters."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text[:limit]


def _store_block(connection: Connection, bodies: Sequence[bytes], now: float) -> int:
    """Store up to `BLOCK` bodies compressed; returns the block's id."""
    lines = b"\n".join(body.replace(b"\n", b" ") if b"\n" in body else body for body in bodies)
    # Level 1: higher levels take three times as long for a tenth less.
    result = connection.execute(insert(schema.record_block).values(loaded=now, bodies=zlib.compress(lines, 1)))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def _new_keys(connection: Connection, before: int, rows: Sequence[tuple[Any, ...]]) -> set[tuple[int, int, int]]:
    """Keys of those `rows` that were inserted after record `before`, by us."""
    table = schema.record
    bodies = {row[8] for row in rows}
    found = connection.execute(
        select(table.c.tag_id, table.c.match_key, table.c.record_key, table.c.body).where(table.c.id > before)
    )
    return {(row[0], row[1], row[2]) for row in found if row[3] in bodies}


def _count_other(connection: Connection, records: Sequence[Mapping[str, Any]], now: float) -> None:
    table = schema.other_kind
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        server = record.get("server_hostname") or record.get("server_ip") or record.get("hostname") or ""
        key = (_storable(str(record["kind"]), 64), _storable(str(server), _TEXT))
        groups.setdefault(key, []).append(record)
    for (kind, server), members in groups.items():
        here = (table.c.day == int(now // _DAY)) & (table.c.kind == kind) & (table.c.server == server)
        row = connection.execute(select(table.c.events, table.c.sums).where(here)).fetchone()
        sums: dict[str, int] = {} if row is None else msgspec.json.decode(row.sums)
        if kind == "cache":
            for name in CACHE_SUMS:
                amounts = [value for member in members if isinstance(value := member.get(name), int)]
                sums[name] = min(sums.get(name, 0) + sum(max(0, amount) for amount in amounts), _MAX_INT)
        values = {"events": len(members) + (0 if row is None else row.events), "sums": _encode(sums).decode()}
        if row is None:
            connection.execute(insert(table).values(day=int(now // _DAY), kind=kind, server=server, **values))
        else:
            connection.execute(update(table).where(here).values(values))


def _forget(connection: Connection, today: int) -> None:
    """Once a day: forget ids of foreign records that will not come again, oldest days first."""
    table = schema.foreign_seen
    connection.execute(delete(table).where(table.c.day < today - _REMEMBER_DAYS))
    days = connection.execute(select(table.c.day, func.count()).group_by(table.c.day).order_by(table.c.day)).all()
    excess = sum(count for _, count in days) - _REMEMBER_ROWS
    for day, count in days:
        if excess <= 0:
            break
        connection.execute(delete(table).where(table.c.day == day))
        excess -= count
