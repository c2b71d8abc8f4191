"""The f-stream: opens, closes, progress and disconnects of a server's files (format reference, section 6).

This is the plain path, with one value per record. `collector.correlate.fast` reads the common case of the same
bytes in one pass; a test checks that both give the same result.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from collector.wire.header import RejectedError

CLOSE, OPEN, TIME, PROGRESS, DISCONNECT = range(5)
"""Record types."""

HAS_SID = 0x01
HAS_LFN = 0x01
HAS_RW = 0x02
FORCED = 0x01
HAS_OPS = 0x02
HAS_SSQ = 0x04

MAX_NAME = 4096
"""XRootD itself allows at most 1024 characters."""

UNKNOWN_MIN = 2**31 - 1
"""A minimum that was never set (format reference, section 6.7)."""


class Window(NamedTuple):
    """A time record: records that follow happened within [begin, end]. `records` is the server's count."""

    begin: int
    end: int
    transfers: int
    records: int
    sid: int | None


class Open(NamedTuple):
    """A file was opened. Without names (`path` None) user and path are known from the ``d`` map with the same id."""

    file_id: int
    writable: bool
    size: int | None
    user: int | None
    path: bytes | None


class Progress(NamedTuple):
    """Bytes since the open (cumulative)."""

    file_id: int
    read: int
    readv: int
    write: int


class Operations(NamedTuple):
    """Counts and sizes of requests. A minimum above its maximum means not known (page reads and writes)."""

    read: int
    readv: int
    write: int
    segments_min: int
    segments_max: int
    segments: int
    read_min: int
    read_max: int
    readv_min: int
    readv_max: int
    write_min: int
    write_max: int


class Squares(NamedTuple):
    """Sums of squares: read sizes, readv sizes, readv segment counts, write sizes."""

    read: float
    readv: float
    segments: float
    write: float


class Close(NamedTuple):
    """A file was closed; `forced` because its connection ended."""

    file_id: int
    forced: bool
    read: int
    readv: int
    write: int
    operations: Operations | None
    squares: Squares | None


class Disconnect(NamedTuple):
    """A session ended. User 0 stands for sessions that never had a ``u``."""

    user: int


Item = Window | Open | Progress | Close | Disconnect

HEAD = Struct(">BBHI")
WINDOW = Struct(">HHII")
SID = Struct(">Q")
OPEN_NAMED = Struct(">qI")
SIZE = Struct(">q")
BYTES = Struct(">qqq")
OPERATIONS = Struct(">IIIHHqIIIIII")
SQUARES = Struct(">dddd")
LOW_48 = (1 << 48) - 1


class Placed(NamedTuple):
    """A record with its offset in the datagram, and its place in its time window, from 0; a window has place -1."""

    offset: int
    place: int
    item: Item


def parse_fstream(
    data: bytes, end: int, offset: int = 8, place: int = 0, records: int | None = None
) -> tuple[list[Placed], list[str]]:
    """All records of an f-stream datagram, and the reasons for what was lost.

    `end` is `Header.end`. To begin in the middle, give the `offset` of a record, its `place` in its window, and the
    number of `records` that the window announces. Never raises: a damaged record loses only itself unless its size is
    wrong, which ends the datagram there.
    """
    items: list[Placed] = []
    problems: list[str] = []
    while offset < end:
        if end - offset < 8:
            problems.append("record_size")
            return items, problems
        kind, flags, size, _ = HEAD.unpack_from(data, offset)
        if size < 8 or offset + size > end:
            problems.append("record_size")
            return items, problems
        item = None
        try:
            item = parse_record(data, offset, kind, flags, size)
        except RejectedError as rejected:
            problems.append(rejected.reason)
        if kind == TIME:
            if records is not None and place != records:
                problems.append("record_count")
            place, records = 0, None
            if isinstance(item, Window):
                items.append(Placed(offset, -1, item))
                records = item.records
        else:
            if item is not None:
                items.append(Placed(offset, place, item))
            place += 1
        offset += size
    if records is not None and place != records:
        problems.append("record_count")
    return items, problems


def parse_record(data: bytes, offset: int, kind: int, flags: int, size: int) -> Item:
    """One record whose `size` bytes at `offset` are there. Raises RejectedError with a ``record_…`` reason."""
    (number,) = _ID.unpack_from(data, offset + 4)
    if kind == CLOSE:
        if size < 32:
            raise RejectedError("record_short", f"a close of {size} bytes")
        read, readv, write = BYTES.unpack_from(data, offset + 8)
        operations = squares = None
        if flags & HAS_OPS and size >= 80:
            operations = Operations(*OPERATIONS.unpack_from(data, offset + 32))
            if flags & HAS_SSQ and size >= 112:
                squares = Squares(*SQUARES.unpack_from(data, offset + 80))
        if read < 0 or readv < 0 or write < 0 or (operations is not None and operations.segments < 0):
            raise RejectedError("record_value", f"a close of file {number} with negative counters")
        return Close(number, bool(flags & FORCED), read, readv, write, operations, squares)
    if kind == OPEN:
        if size < (20 if flags & HAS_LFN else 16):
            raise RejectedError("record_short", f"an open of {size} bytes")
        if not flags & HAS_LFN:
            (length,) = SIZE.unpack_from(data, offset + 8)
            return Open(number, bool(flags & HAS_RW), length if length >= 0 else None, None, None)
        length, user = OPEN_NAMED.unpack_from(data, offset + 8)
        path = data[offset + 20 : offset + size].partition(b"\0")[0]
        if len(path) > MAX_NAME:
            raise RejectedError("name_length", f"a name of {len(path)} bytes")
        return Open(number, bool(flags & HAS_RW), length if length >= 0 else None, user, path or None)
    if kind == PROGRESS:
        if size < 32:
            raise RejectedError("record_short", f"a progress record of {size} bytes")
        read, readv, write = BYTES.unpack_from(data, offset + 8)
        if read < 0 or readv < 0 or write < 0:
            raise RejectedError("record_value", f"progress of file {number} with negative counters")
        return Progress(number, read, readv, write)
    if kind == DISCONNECT:
        return Disconnect(number)
    if kind == TIME:
        if size < 16:
            raise RejectedError("record_short", f"a time record of {size} bytes")
        transfers, records, begin, finish = WINDOW.unpack_from(data, offset + 4)
        sid = None
        if flags & HAS_SID and size >= 24:
            sid = SID.unpack_from(data, offset + 16)[0] & LOW_48
        return Window(begin, max(begin, finish), transfers, records, sid)
    raise RejectedError("record_type", f"type {kind}")


_ID = Struct(">I")
