"""The fast path for f-stream datagrams.

OPTIMISATION. The plain path (`Accesses.apply`, then `Waiting`, `Writer`) makes an object for every record of the wire
and a dict for every record published: about 20,000 full file records a second on a core. This loop handles the usual
case without them, about ten times as fast (tests/bench/bench_collector_core.py); a test checks that both give the same
result (tests/collector/correlate/test_fast.py).

The usual case: the datagram is whole, in order, and nothing is missing before it; an open has a name, a close has its
operations, the file and its session are completely known, and no filter or WLCG form applies to them. Everything else
takes the plain path: one record, or the rest of the datagram.
"""

from __future__ import annotations

import math
from struct import Struct
from typing import Any

import msgspec

from collector.correlate.accesses import Accesses
from collector.correlate.fields import is_cache, server_fields, session_fields, vo_of
from collector.correlate.incarnation import USER_AT, Incarnation, Ready, Session
from collector.correlate.keys import file_key, path_key
from collector.correlate.options import Options, Record
from collector.correlate.present import Present
from collector.correlate.senders import Sender, Totals
from collector.correlate.sequence import NEW
from collector.correlate.waiting import Waiting
from collector.correlate.writer import iso_time
from collector.records.counters import access_type, sigma
from collector.records.paths import path_fields, under
from collector.records.template import (
    BYTES,
    HEAD,
    NAME,
    ONLY_READS,
    READS,
    SAFE,
    SQUARES,
    TAILS,
    TIMES,
    VECTORS,
    WRITES,
)
from collector.records.text import routing_word
from collector.wire.fstream import CLOSE, LOW_48, MAX_NAME, OPEN, TIME, Close, Open, Window, parse_fstream
from collector.wire.userid import parse_host

_whole = Struct(">BBHIBBHHHIIQ").unpack_from
_open = Struct(">BBHIqI").unpack_from
_close = Struct(">BBHIqqqIIIHHqIIIIII").unpack_from
_close_of_reads = Struct(">BBHIq16sI20sII").unpack_from
"""A close without vector reads and writes: their counters (`_NO_BYTES`, `_NO_COUNTS`) are zeros in two pieces."""
_NO_BYTES, _NO_COUNTS = bytes(16), bytes(20)
_squares = Struct(">dddd").unpack_from
_file_ids = Struct(">II").pack
_encode = msgspec.json.Encoder().encode
_new = tuple.__new__

_MAX_OPEN = 20 + MAX_NAME
"""Size of an open whose name cannot be too long."""
MAX_DIRECTORIES = 50_000
"""Number of directories whose part of a record is cached."""
LAST_ID = 2**32 - 1
_NOT_READY = Ready(LAST_ID, 0.0, b"", "", ())
"""For no file. (OPTIMISATION: unpacked like any other, once for each close, instead of reading five attributes.)"""
MAX_SPREADS = 256
"""Number of interpolations over a window that are cached."""


def whole(data: bytes) -> tuple[int, int, int, Window] | None:
    """Number, stod, sid and window of a datagram with nothing wrong in its first 32 bytes; None for any other."""
    if len(data) < 32:
        return None
    _, number, length, stod, kind, flags, size, transfers, records, begin, end, sid = _whole(data)
    if length != len(data) or kind != TIME or not flags & 1 or size != 24 or end < begin:
        return None
    return number, stod, sid & LOW_48, Window(begin, end, transfers, records, sid & LOW_48)


class FastFiles:
    """Applies datagrams that are `whole`."""

    def __init__(
        self, options: Options, present: Present, accesses: Accesses, waiting: Waiting, totals: Totals
    ) -> None:
        self._options = options
        self._present = present
        self._accesses = accesses
        self._waiting = waiting
        self._outbox = waiting.writer.outbox
        self._totals = totals
        self._directories: dict[bytes, bytes | None] = {}
        """Directory → its part of records, as JSON text; None: its files take the plain path."""
        self._spread: dict[tuple[int, int], tuple[int, ...]] = {}
        """(length of a window, number of its records) → seconds from its start to each."""
        self._filtered = (*options.drop_path_prefixes, *(options.wlcg_path_prefixes if options.wlcg else ()))

    def apply(self, inc: Incarnation, data: bytes, window: Window, sender: Sender) -> None:
        """All records of a `whole` datagram that is NEW, of a process that misses nothing."""
        begin, finish, _, records, _ = window
        end, now, cycle = len(data), self._present.now, self._present.number
        files: dict[int, Any] = inc.files  # has the shape of `OpenFile`; if it has a tail, nothing in it is None
        ready_of, moved, paths, wait_file, given_up = inc.ready.get, inc.moved, inc.paths, inc.wait_file, inc.given_up
        note_open = inc.file_ids.append
        tail_of, gap_until, note_closed, base = self._directories.get, inc.gap_until, inc.closed.append, inc.digest
        join, write_out = b"".join, self._outbox.records.append
        offset, opens, closes, written, time_of, start_of, opened_of, times = 32, 0, 0, 0, -1, -1, -1, b""
        strange, stamp = bool(given_up or wait_file), b""
        shifts = self._shifts(finish - begin, records, end - 32)
        for place, shift in enumerate(shifts):
            if offset >= end:
                break
            kind = data[offset]
            if kind == OPEN and offset + 24 <= end:
                _, flags, size, file_id, length, user = _open(data, offset)
                after = offset + size
                stop = data.find(0, offset + 20, after)
                if (
                    flags & 1
                    and size <= _MAX_OPEN
                    and after <= end
                    and stop > offset + 20
                    and length >= 0
                    and file_id not in files
                    and not (strange and (file_id in given_up or file_id in wait_file))
                ):
                    name = data[offset + 20 : stop]
                    tail = None if name.translate(None, SAFE) else tail_of(name[: name.rfind(b"/")])
                    if tail is not None:
                        time = begin + shift
                        files[file_id] = (user, length, name, flags & 2 > 0, time, begin, cycle, now, False, tail)
                        note_open(file_id)
                        opens += 1
                        offset = after
                        continue
            elif kind == CLOSE and offset + 80 <= end:
                _, flags, size, file_id, read, moved_else, reads, counts_else, rmin, rmax = _close_of_reads(
                    data, offset
                )
                entry = files.get(file_id)
                after = offset + size
                if entry is not None and after <= end:
                    owner, length, name, writable, start, opened, in_cycle, reported, _, tail = entry
                    since, told, known, vo, access_types = ready_of(owner, _NOT_READY)
                    if file_id > since and reported >= told and tail is not None and opened > gap_until and flags & 2:
                        if (
                            size == 80
                            and reads
                            and 0 < rmin <= rmax
                            and read >= 0
                            and moved_else == _NO_BYTES
                            and counts_else == _NO_COUNTS
                        ):
                            average = _encode(read / reads)
                            counted: bytes | None = ONLY_READS % (
                                read, read, read, reads, reads, access_types[READS],
                                rmin, rmax, average, rmin, rmax, average,
                            )  # fmt: skip
                        else:
                            counted = _counted(data, offset, flags, size, writable, access_types)
                        if counted is not None:
                            del files[file_id]
                            if in_cycle != cycle:
                                self._present.deleted.add(file_key(inc, file_id))
                            if moved and moved.pop(file_id, None) is not None:
                                inc.dirty_files.discard(file_id)
                            if paths:
                                self._forget_path(inc, file_id)
                            note_closed(file_id)
                            time = begin + shift
                            if time != time_of:
                                time_of, start_of, stamp = time, -1, iso_time(time).encode()
                            if start != start_of or opened != opened_of:
                                start_of, opened_of = start, opened
                                elapsed = time - start if time > start else 0
                                times = TIMES % (start, opened, finish, time, elapsed, stamp)
                            digest = base.copy()
                            digest.update(_file_ids(file_id, opened))
                            identity = digest.hexdigest()
                            text = identity.encode()
                            head = HEAD % (text, text, file_id, length, flags & 1)
                            body = join((head, times, known, name, tail, counted))
                            write_out(_new(Record, ("file", vo, identity + ".f", body)))
                            closes += 1
                            offset = after
                            continue
            inc.opens, opens = inc.opens + opens, 0
            inc.closes, closes, written = inc.closes + closes, 0, written + closes
            following = self._plainly(inc, data, offset, window, place, sender)
            if following is None:
                break
            offset, strange = following, bool(given_up or wait_file)
        else:
            place = len(shifts)
        inc.opens += opens
        inc.closes += closes
        written += closes
        if written:
            sender.records += written
            self._totals.records["file"] += written
        if offset < end:
            self._rest(inc, data, offset, window, place, sender)
        elif place < records:
            self._problems(sender, ["record_count"])

    def _shifts(self, span: int, records: int, size: int) -> tuple[int, ...]:
        """Seconds from the start of a window to each of its records, as `interpolate` spreads them.

        At most as many as there can be in `size` bytes: the number of records came over the wire.
        """
        shifts = self._spread.get((span, records))
        if shifts is None or len(shifts) > size // 8:
            count = min(records, size // 8)
            shifts = tuple(span * place // records for place in range(count))
            if count == records:
                if len(self._spread) >= MAX_SPREADS:
                    self._spread.clear()
                self._spread[span, records] = shifts
        return shifts

    def _plainly(
        self, inc: Incarnation, data: bytes, offset: int, window: Window, place: int, sender: Sender
    ) -> int | None:
        """Processes one record by the plain path; returns the offset of the next. None, and nothing done, if a new
        window begins here, or no record can be recognised.
        """
        size = int.from_bytes(data[offset + 2 : offset + 4])
        if size < 8 or offset + size > len(data) or data[offset] == TIME:
            return None
        items, problems = parse_fstream(data, offset + size, offset, place)
        self._problems(sender, problems)
        entry = None
        for _, _, item in items:
            if isinstance(item, Open) and item.path is not None:
                self._know_directory(item.path[: item.path.rfind(b"/")])
            elif isinstance(item, Close):
                entry = inc.files.get(item.file_id)
        self._accesses.apply(inc, items, window, NEW)
        session = inc.sessions.get(entry[USER_AT]) if entry is not None and entry[USER_AT] else None
        if session is not None and session.dictid not in inc.ready:
            self._make_ready(inc, session)
        return offset + size

    def _rest(self, inc: Incarnation, data: bytes, offset: int, window: Window, place: int, sender: Sender) -> None:
        """Processes everything from a record on by the plain path."""
        items, problems = parse_fstream(data, len(data), offset, place, window.records)
        self._problems(sender, problems)
        self._accesses.apply(inc, items, window, NEW)

    def _problems(self, sender: Sender, problems: list[str]) -> None:
        sender.rejected.update(problems)
        self._totals.rejected.update(problems)

    def _forget_path(self, inc: Incarnation, file_id: int) -> None:
        path = inc.paths.pop(file_id, None)
        if path is not None and path.cycle != self._present.number:
            self._present.deleted.add(path_key(inc, file_id))

    def _make_ready(self, inc: Incarnation, session: Session) -> None:
        """Make a session's part of records, if everything about it is known and nothing about it is unusual. It applies
        to files opened from now on: what the session is told later applies to later files.
        """
        options = self._options
        if inc.cache is not None:
            return  # every access must be compared with what the cache reports as delivered
        if not self._waiting.session_settled(inc, session) or not self._waiting.server_settled(inc):
            return
        since, told = inc.ready_from(session)
        if since > LAST_ID:
            return  # for no file opened yet, as long as its numbers do not show the order
        fields = server_fields(inc, options.names) | session_fields(session, options.names)
        vo = vo_of(fields)
        if vo is not None and vo.lower() in options.drop_vos | (options.wlcg_vos if options.wlcg else frozenset()):
            return
        if (
            options.names is not None
            and self._present.now - session.seen < options.grace
            and (
                "server_hostname" not in fields
                or ("user_domain" not in fields and parse_host(session.userid.host).version)
            )
        ):
            return  # a name may still be found
        cache = is_cache(session.userid, session.login.executable)
        types = [
            access_type(shape & (READS | VECTORS), shape & WRITES, 0, 0, cache=cache).encode() for shape in range(8)
        ]
        inc.ready[session.dictid] = Ready(since, told, _encode(fields)[1:-1] + NAME, routing_word(vo), tuple(types))

    def _know_directory(self, directory: bytes) -> None:
        """Make the part of records that is the same for all files of a directory, if it is."""
        if directory in self._directories:
            return
        if len(self._directories) >= MAX_DIRECTORIES:
            self._directories.clear()
        self._directories[directory] = None
        if len(directory) > MAX_NAME // 2:
            return
        if not directory.startswith(b"/") or directory.translate(None, SAFE):
            return
        text = directory.decode()
        if any(under(text, prefix) or under(prefix, text) for prefix in self._filtered):
            return
        directories = self._waiting.writer.directories
        fields = path_fields(f"{text}/x", directories)
        del fields["filename"]
        depth = len([part for part in text.split("/") if part])
        if depth >= max(2, directories.kept(f"{text}/x") or 0):  # else the name of the file is in it
            self._directories[directory] = b'",' + _encode(fields)[1:-1] + b","


def _counted(
    data: bytes,
    offset: int,
    flags: int,
    size: int,
    writable: bool,
    access_types: tuple[bytes, ...],
) -> bytes | None:
    """The part of a record with the counters of a close, of any shape; None when some are unknown or invalid."""
    (
        _, _, _, _, read, readv, write, reads, readvs, writes, fewest, most, segments,
        rmin, rmax, vmin, vmax, wmin, wmax,
    ) = _close(data, offset)  # fmt: skip
    shape = (READS if reads else 0) | (VECTORS if readvs else 0) | (WRITES if writes else 0)
    if (
        min(read, readv, write, segments) < 0
        or (not 0 < rmin <= rmax if reads else read)
        or (not 0 < vmin <= vmax or not 0 < fewest <= most if readvs else readv)
        or (not 0 < wmin <= wmax if writes else write)
        or (not shape and (writable or flags & 1))  # nothing counted: there may be a known reason
        or (flags & 6, size) not in _SIZES
    ):
        return None
    squares: tuple[float, ...] = ()
    if size == 112:
        squares = _squares(data, offset + 80)
        if not all(0.0 <= square < math.inf for square in squares):
            return None
    tail: tuple[int | bytes, ...] = ()
    if reads:
        tail = rmin, rmax, _encode(read / reads)
        if squares:
            tail += (_encode(sigma(squares[0], read, reads)),)
    if readvs:
        tail += vmin, vmax, _encode(readv / readvs), fewest, most, _encode(segments / readvs)
        if squares:
            tail += _encode(sigma(squares[1], readv, readvs)), _encode(sigma(squares[2], segments, readvs))
    if reads or readvs:
        low = rmin if not readvs or (reads and rmin < vmin) else vmin
        high = rmax if not readvs or (reads and rmax > vmax) else vmax
        tail += low, high, _encode((read + readv) / (reads + readvs))
    if writes:
        tail += wmin, wmax, _encode(write / writes)
        if squares:
            tail += (_encode(sigma(squares[3], write, writes)),)
    numbers = BYTES % (
        read, readv, write, read, readv, read + readv, write,
        reads + readvs, reads, readvs, writes, access_types[shape],
    )  # fmt: skip
    return numbers + TAILS[shape | SQUARES if squares else shape] % tail


_SIZES = frozenset({(2, 80), (6, 112)})
"""Flags and sizes of closes with operations, and with squares too."""
