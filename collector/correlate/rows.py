"""State as rows for a checkpoint: a key and a value each, small, and only for what changed.

First byte of a key: ``m`` the correlator itself, ``i`` an incarnation, ``u`` a session, ``d`` a path, ``f`` an open
file with its progress, ``g`` a file that was given up, ``w`` an access that waits, ``c`` a page of closed ids, ``o``
storage statistics. Then the
serial number of the incarnation (4 bytes) and the number of the thing in it. Values are msgpack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from collector.correlate.ids import OPEN, Ids
from collector.correlate.incarnation import (
    CYCLE_AT,
    Access,
    Early,
    Event,
    Incarnation,
    Left,
    Moved,
    OpenFile,
    Path,
    Series,
    Session,
    Telling,
    Told,
    Waiter,
    written_part,
)
from collector.correlate.keys import row_key
from collector.correlate.sequence import Gap, Tracker
from collector.wire.maps import Flow, Ident, Login, Token
from collector.wire.userid import UserId

VERSION = 5
T = TypeVar("T")
META = b"m"
META_KEYS = frozenset(
    ("now", "cycle", "numbered", "away", "listening", "serial", "next_tick", "next_sweep", "feeds", "copies", "reports")
)
"""Fields of the correlator's own row besides the version."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_unpack_access = msgspec.msgpack.Decoder(Access).decode
_unpack_event = msgspec.msgpack.Decoder(Event).decode
_unpack_statistics = msgspec.msgpack.Decoder(dict[str, Series]).decode
_UNREADABLE = (msgspec.DecodeError, TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""Errors that decoding foreign bytes may raise."""


class Counts(NamedTuple):
    """What an incarnation has counted, and the lowest and highest number of its map messages."""

    opens: int
    closes: int
    disconnects: int
    sessions_seen: int
    infos_seen: int
    fstreams: int
    unclosed: int
    numbered: int
    lowest: int
    highest: int


class IncarnationRow(NamedTuple):
    """The row of an incarnation, in the order in which it is written. Texts are as bytes, values as they are packed."""

    sid: Any
    stod: Any
    addresses: Any
    routes: Any
    remote: Any
    shoveler: Any
    ident: Any
    host: Any
    pid: Any
    idents: Any
    first: Any
    alive: Any
    heard: Any
    from_start: Any
    dead_since: Any
    dead_by: Any
    clock: Any
    fseq: Any
    sequences: Any
    gaps: Any
    gap_until: Any
    unsettled: Any
    early_info: Any
    early_token: Any
    early_flow: Any
    paths_used: Any
    left: Any
    counts: Any
    told: Any
    last: Any
    ended: Any
    lost_files: Any
    lost_maps: Any
    ids: Any
    file_ids: Any
    twofold: Any
    files_left: Any


def meta_row(values: dict[str, Any]) -> tuple[bytes, bytes]:
    """The row of the correlator itself."""
    return META, _pack({"version": VERSION, **values})


def incarnation_row(inc: Incarnation) -> tuple[bytes, bytes]:
    """The row of an incarnation without the things in it."""
    early = [
        _bytes([[k, e.began, e.seen, e.userid, list(e.values.items())] for k, e in table.items()])
        for table in (inc.early_info, inc.early_token, inc.early_flow)
    ]
    row = IncarnationRow(
        sid=inc.sid,
        stod=inc.stod,
        addresses=list(inc.addresses),
        routes=sorted(map(list, inc.routes)),
        remote=inc.remote,
        shoveler=inc.shoveler,
        ident=_bytes(inc.ident),
        host=_bytes(inc.host),
        pid=inc.pid,
        idents=inc.idents,
        first=inc.first,
        alive=inc.alive,
        heard=inc.heard,
        from_start=inc.from_start,
        dead_since=inc.dead_since,
        dead_by=inc.dead_by,
        clock=inc.clock,
        fseq=inc.fseq.dump(),
        sequences=[[sender, c, tracker.dump()] for (sender, c), tracker in inc.sequences.items()],
        gaps=[[c, *gap] for c, gap in inc.gaps],
        gap_until=inc.gap_until,
        unsettled=inc.unsettled,
        early_info=early[0],
        early_token=early[1],
        early_flow=early[2],
        paths_used=inc.paths_used,
        left=[list(left) for left in inc.left if left.user not in inc.sessions],
        counts=Counts(
            inc.opens, inc.closes, inc.disconnects, inc.sessions_seen, inc.infos_seen, inc.fstreams, inc.unclosed,
            inc.numbered, *inc.numbers,
        ),
        told=list(inc.told.items()),
        last=inc.last,
        ended=inc.ended,
        lost_files=inc.lost_files,
        lost_maps=inc.lost_maps,
        ids=inc.ids.dump(),
        file_ids=inc.file_ids.dump() if inc.one_counter else None,
        twofold=inc.twofold,
        files_left=list(inc.files_left.items()),
    )  # fmt: skip
    return row_key(b"i", inc), _pack(row)


def session_row(inc: Incarnation, session: Session) -> tuple[bytes, bytes]:
    """The row of a session."""
    told = (session.infos, session.tokens, session.flows)
    values = [session.userid, session.login, *(t.tellings for t in told)]
    times = [session.seen, session.heard, session.gone, session.gone_end, session.used]
    return row_key(b"u", inc, session.dictid), _pack([*map(_bytes, values), *times])


def _bytes(value: Any) -> Any:
    """Text may have bytes that are not UTF-8 (as surrogates), which msgpack text cannot represent: it is stored as
    bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list | tuple):
        return [_bytes(item) for item in value]
    if isinstance(value, dict):
        return {_bytes(k): _bytes(v) for k, v in value.items()}
    return value


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, dict):
        return {_text(k): _text(v) for k, v in value.items()}
    return value


def incarnation_rows(inc: Incarnation, cycle: int, deleted: set[bytes]) -> list[tuple[bytes, bytes]]:
    """Rows of everything in an incarnation that changed in `cycle`; keys of rows to delete are added to `deleted`.

    Files, paths and accesses of this cycle are at the end of their dicts, so that only they are checked.
    """
    rows = [incarnation_row(inc)]
    for dictid in inc.dirty_sessions:
        session = inc.sessions.get(dictid)
        if session is not None:
            session.saved = True
            rows.append(session_row(inc, session))
    inc.dirty_sessions.clear()
    for file_id in reversed(inc.files):
        if inc.files[file_id][CYCLE_AT] != cycle:
            break
        inc.dirty_files.add(file_id)
    rows += [(row_key(b"f", inc, f), _pack([written_part(inc.files[f]), inc.moved.get(f)])) for f in inc.dirty_files]
    inc.dirty_files.clear()
    for file_id in reversed(inc.paths):
        path = inc.paths[file_id]
        if path.cycle != cycle:
            break
        rows.append((row_key(b"d", inc, file_id), _pack(_bytes([path.path, path.userid, path.seen]))))
    for file_id in inc.dirty_given:
        entry = inc.given_up.get(file_id)
        if entry is None:
            deleted.add(row_key(b"g", inc, file_id))
        else:
            rows.append((row_key(b"g", inc, file_id), _pack(written_part(entry))))
    inc.dirty_given.clear()
    rows += [(row_key(b"w", inc, w.number, 8), _waiter(w)) for w in inc.new_waits.values() if w.waiting]
    inc.new_waits.clear()
    if inc.statistics_changed:
        inc.statistics_changed = False
        rows.append((row_key(b"o", inc), _pack(inc.statistics)))
    pages = inc.closed.pages()
    rows += [(row_key(b"c", inc, page), _pack(pages[page].to_bytes(128, "little"))) for page in inc.closed.dirty]
    inc.closed.dirty.clear()
    deleted.update(row_key(b"c", inc, page) for page in inc.closed.dropped)
    inc.closed.dropped.clear()
    return rows


def _waiter(waiter: Waiter) -> bytes:
    return (b"a" if isinstance(waiter, Access) else b"e") + _pack(waiter)


def all_keys(inc: Incarnation) -> list[bytes]:
    """Keys of every row that an incarnation may have, for when it is forgotten."""
    keys = [row_key(b"i", inc)]
    keys += [row_key(b"o", inc)] if inc.statistics else []
    keys += [row_key(b"u", inc, dictid) for dictid in inc.sessions]
    keys += [row_key(b"f", inc, file_id) for file_id in inc.files]
    keys += [row_key(b"d", inc, file_id) for file_id in inc.paths]
    keys += [row_key(b"g", inc, file_id) for file_id in inc.given_up.keys() | inc.dirty_given]
    keys += [row_key(b"c", inc, page) for page in inc.closed.pages().keys() | inc.closed.dropped]
    keys += [row_key(b"w", inc, waiter.number, 8) for waiter in inc.all_waiting()]
    return keys


class Restored:
    """The content of a set of rows: the meta values, and the incarnations with everything in them.

    Raises ValueError when a row is not one of ours.
    """

    def __init__(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self.meta: dict[str, Any] = {}
        self.version = VERSION
        """Version of the rows: if it is older, every incarnation must be written again, because rows are written in
        `VERSION`."""
        self.incarnations: dict[int, Incarnation] = {}
        self.waiting: list[tuple[Incarnation, Waiter]] = []
        things = dict(rows)
        if not things:
            return
        self.version = self._meta(things.pop(META, b""))
        # keys of incarnations come before those of the things in them
        for name, value in sorted(things.items(), key=lambda row: (row[0][:1] != b"i", row[0])):
            try:
                self._add(name, value)
            except _UNREADABLE as error:
                raise _bad(name, error) from None
        for inc in self.incarnations.values():
            _complete(inc)

    def _meta(self, value: bytes) -> int:
        """Remove the correlator's own row; returns the version of all rows."""
        try:
            meta = _unpack(value)
            if not isinstance(meta, dict):
                raise ValueError("it has no names and values")
            version = meta["version"]
        except _UNREADABLE as error:
            raise _bad(META, error) from None
        if version not in range(1, VERSION + 1):
            raise ValueError(f"state of version {version}; this program reads version {VERSION}")
        missing = META_KEYS - meta.keys()
        if missing:
            raise _bad(META, ValueError(f"it lacks {', '.join(sorted(missing))}"))
        self.meta = meta
        return int(version)

    def _add(self, name: bytes, value: bytes) -> None:
        if name[:1] == b"i":
            serial = int.from_bytes(name[1:5])
            values = _unpack(value)
            if self.version < 2:
                values = _from_version_1(values)
            if self.version < 3:
                values = _from_version_2(values)
            if self.version < 4:
                values = _from_version_3(values)
            if self.version < 5:
                values = _from_version_4(values)
            self.incarnations[serial] = _incarnation(serial, values)
            return
        kind, inc = name[:1], self.incarnations[int.from_bytes(name[1:5])]
        number = int.from_bytes(name[5:])
        if kind == b"u":
            values = _unpack(value)
            inc.sessions[number] = _session(number, values if self.version > 2 else _session_from_version_2(values))
        elif kind == b"f":
            entry, moved = _unpack(value)
            inc.files[number] = OpenFile(*entry)
            if moved is not None:
                inc.moved[number] = Moved(*moved)
        elif kind == b"d":
            path, userid, seen = _unpack(value)
            inc.paths[number] = Path(_text(path), UserId(*_text(userid)), seen, -1)
        elif kind == b"g":
            inc.given_up[number] = OpenFile(*_unpack(value))
        elif kind == b"w":
            unpack = _unpack_access if value[:1] == b"a" else _unpack_event
            self.waiting.append((inc, unpack(value[1:])))
        elif kind == b"o":
            inc.statistics = _unpack_statistics(value)
        elif kind == b"c":
            inc.closed.load(number, int.from_bytes(_unpack(value), "little"))
        else:
            raise ValueError("unknown kind of row")


def _from_version_1(values: list[Any]) -> list[Any]:
    """The row of an incarnation of version 1: without files left open, and events told; event counters by sender."""
    *before, sequences, gaps, gap_until, unsettled, info, token, flow, paths_used, left, counts = values
    sequences = [["" if c[:1] == "G" and not c.endswith(" text") else sender, c, t] for sender, c, t in sequences]
    return [*before, sequences, gaps, gap_until, unsettled, info, token, flow, paths_used, left, [*counts, 0], []]


def _from_version_2(values: list[Any]) -> list[Any]:
    """The row of an incarnation of version 2: gaps had one pair of times, of the server (class F) or of the arrival;
    ids were not looked at; of what came before its session there was only the last, without its number.
    """

    def tracker(class_: str, dump: list[Any]) -> list[Any]:
        modulus, newest, came, start, since, mark, seen, recent, holes = dump
        known = class_ == "F"
        holes = [[f, n, int(lo), int(hi) if known else 0, t, t, t, at] for f, n, lo, hi, t, at in holes]
        return [modulus, newest, came, start, since, since, int(mark), seen, recent, holes]

    *before, fseq, sequences, gaps, gap_until, unsettled, info, token, flow, paths_used, left, counts, told = values
    alive, ended = before[11], before[14]
    ids = [Ids("u"), Ids(OPEN)] if before[0] == before[1] else [Ids()]
    sequences = [[sender, c, tracker(c, dump)] for sender, c, dump in sequences]
    gaps = [[c, after, n, int(lo), int(hi) if c == "F" else 0, lo, hi] for c, after, n, lo, hi in gaps]
    info = [[text, seen, [[0, value]]] for text, (value, seen) in info.items()]
    token, flow = ([[k, seen, [[0, value]]] for k, value, seen in table] for table in (token, flow))
    return [
        *before, tracker("F", fseq), sequences, gaps, gap_until, unsettled, info, token, flow, paths_used, left,
        [*counts, 0, 0, 0], told, alive, ended or 0.0, 0, 0, ids[0].dump(),
        ids[1].dump() if len(ids) > 1 else None,
    ]  # fmt: skip


def _from_version_3(values: list[Any]) -> list[Any]:
    """The row of an incarnation of version 3: what came before its session had neither its first time nor a user id."""
    row = IncarnationRow._make([*values, False, []])
    tables = (row.early_info, row.early_token, row.early_flow)
    info, token, flow = ([[k, seen, seen, None, told] for k, seen, told in table] for table in tables)
    return list(row._replace(early_info=info, early_token=token, early_flow=flow))[:-2]


def _from_version_4(values: list[Any]) -> list[Any]:
    """The row of an incarnation of version 4: where counters and the f-stream had come from before was not kept."""
    row = IncarnationRow._make([*values, False, []])
    sequences = [[sender, c, [*tracker, None]] for sender, c, tracker in row.sequences]
    return list(row._replace(fseq=[*row.fseq, None], sequences=sequences))


def _session_from_version_2(values: list[Any]) -> list[Any]:
    """The row of a session of version 2: the last that it was told, without its number."""
    userid, login, *told, seen, heard, gone, gone_end, used = values
    told = [[] if value is None else [[0, seen, value]] for value in told]
    return [userid, login, *told, seen, heard, gone, gone_end, used]


def _bad(name: bytes, error: Exception) -> ValueError:
    return ValueError(f"state row {name.hex()} cannot be read: {error}")


def _incarnation(serial: int, values: list[Any]) -> Incarnation:
    row = IncarnationRow._make(values)
    inc = Incarnation(serial, row.sid, row.stod, row.remote, row.remote, row.first)
    inc.addresses = {address: set() for address in row.addresses}
    inc.routes = {(sender, s, d) for sender, s, d in row.routes}
    inc.shoveler = row.shoveler
    inc.ident = Ident(*_text(row.ident)) if row.ident is not None else None
    inc.host, inc.pid = _text(row.host), row.pid
    inc.idents = (row.idents[0], row.idents[1])
    inc.alive, inc.last, inc.heard, inc.from_start = row.alive, row.last, row.heard, row.from_start
    inc.dead_since, inc.dead_by, inc.ended, inc.clock = row.dead_since, row.dead_by, row.ended, row.clock
    inc.lost_files, inc.lost_maps = row.lost_files, row.lost_maps
    inc.file_ids = inc.ids = Ids.load(row.ids)
    if row.file_ids is not None:
        inc.file_ids = Ids.load(row.file_ids)
    inc.fseq = Tracker.load(row.fseq)
    inc.sequences = {(sender, c): Tracker.load(tracker) for sender, c, tracker in row.sequences}
    inc.gaps = [(c, Gap(*gap)) for c, *gap in row.gaps]
    inc.twofold, inc.files_left = row.twofold, dict(row.files_left)
    inc.gap_until, inc.unsettled = row.gap_until, row.unsettled
    holes = (hole for _, _, tracker in inc.trackers() for hole in tracker.holes)
    inc.endless = not all(hole.end for hole in holes) or not all(gap.end for _, gap in inc.gaps)
    inc.early_info = _early(row.early_info, str)
    inc.early_token = _early(row.early_token, lambda values: Token(*values))
    inc.early_flow = _early(row.early_flow, lambda values: Flow(*values))
    inc.paths_used = row.paths_used
    inc.left.extend(Left(*entry) for entry in row.left)
    counts = Counts._make(row.counts)
    inc.opens, inc.closes, inc.disconnects = counts.opens, counts.closes, counts.disconnects
    inc.sessions_seen, inc.infos_seen = counts.sessions_seen, counts.infos_seen
    inc.fstreams, inc.unclosed, inc.numbered = counts.fstreams, counts.unclosed, counts.numbered
    inc.numbers = (counts.lowest, counts.highest)
    inc.told = {digest: dict(ways) for digest, ways in row.told}
    return inc


def _early(entries: Any, made: Callable[[Any], T]) -> dict[Any, Early[T]]:
    """What came before its session."""
    table = {}
    for key, began, seen, userid, values in _text(entries):
        early = Early(began, {dictid: made(v) for dictid, v in values}, UserId(*userid) if userid else None)
        early.seen = seen
        table[key] = early
    return table


def _session(dictid: int, values: list[Any]) -> Session:
    userid, login, infos, tokens, flows, seen, heard, gone, gone_end, used = values
    session = Session(dictid, UserId(*_text(userid)), Login(*_text(login)), seen, heard)
    session.infos = Told(Telling(*telling) for telling in _text(infos))
    session.tokens = Told(Telling(distance, t, Token(*token)) for distance, t, token in _text(tokens))
    session.flows = Told(Telling(distance, t, Flow(*flow)) for distance, t, flow in _text(flows))
    session.gone, session.gone_end, session.used, session.saved = gone, gone_end, used, True
    return session


def _complete(inc: Incarnation) -> None:
    """Derive what has no rows of its own."""
    for session in sorted(inc.sessions.values(), key=lambda s: (s.seen, s.heard, s.dictid)):
        inc.by_userid.setdefault(session.userid.text, []).append(session.dictid)
        inc.note_told(session)
    gone = [Left(s.gone, s.dictid, s.gone_end) for s in inc.sessions.values() if s.gone]
    inc.left.extend(gone)
    for name in ("files", "given_up", "paths"):
        entries = getattr(inc, name)
        setattr(inc, name, dict(sorted(entries.items(), key=lambda item: item[1].seen)))  # oldest first
    if gone:
        ordered = sorted(inc.left)
        inc.left.clear()
        inc.left.extend(ordered)
