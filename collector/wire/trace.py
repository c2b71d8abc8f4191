"""The t-stream: a trace of single operations in 16-byte entries (format reference, section 7).

Not to be confused with the f-stream, whose records look similar: nothing here becomes a file record, because
opens and closes arrive twice with some configurations and byte counts only cover what was traced.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from collector.wire.header import text_of

ENTRY = Struct(">QiI")
LOW_48 = (1 << 48) - 1


class Mark(NamedTuple):
    """A window mark: entries that follow happened at or after `begin`."""

    sid: int
    end: int
    begin: int


class TraceOpen(NamedTuple):
    file_id: int
    size: int


class TraceRead(NamedTuple):
    """A plain read. `part_of_vector`: a segment of the unpacked vector read before it, whose bytes it repeats."""

    file_id: int
    offset: int
    length: int
    part_of_vector: bool


class TraceWrite(NamedTuple):
    file_id: int
    offset: int
    length: int


class TraceReadV(NamedTuple):
    """A vector read, or a part of a long one: parts of one request share `request`."""

    file_id: int
    request: int
    segments: int
    length: int


class TraceClose(NamedTuple):
    """A close; totals are exact only up to the shift that made them fit (`granularity`, bytes)."""

    file_id: int
    read: int
    write: int
    granularity: int


class TraceDisconnect(NamedTuple):
    user: int
    seconds: int
    forced: bool
    bound: bool


class TraceApp(NamedTuple):
    text: str


Entry = Mark | TraceOpen | TraceRead | TraceWrite | TraceReadV | TraceClose | TraceDisconnect | TraceApp


def parse_trace(data: bytes, end: int) -> tuple[list[Entry], list[str]]:
    """All entries of a t-stream datagram after its header, and the reasons for what was lost. Never raises."""
    entries: list[Entry] = []
    problems: list[str] = []
    if (end - 8) % 16:
        problems.append("record_size")
    segments = 0
    for offset in range(8, end - 15, 16):
        first, second, third = ENTRY.unpack_from(data, offset)
        kind = first >> 56
        if kind < 0x80:
            if second < 0:
                entries.append(TraceWrite(third, first, -second))
            else:
                entries.append(TraceRead(third, first, second, segments > 0))
            segments = max(0, segments - 1)
            continue
        segments = 0
        unsigned = second & 0xFFFFFFFF
        if kind == 0x80:
            entries.append(TraceOpen(third, first & ((1 << 56) - 1)))
        elif kind in (0x90, 0x91):
            count = first >> 32 & 0xFFFF
            entries.append(TraceReadV(third, first >> 48 & 0xFF, count, unsigned))
            segments = count if kind == 0x91 else 0
        elif kind == 0xA0:
            entries.append(TraceApp(text_of(data[offset + 4 : offset + 16].partition(b"\0")[0])))
        elif kind == 0xC0:
            read_shift, write_shift = first >> 48 & 0x3F, first >> 40 & 0x3F
            read, write = (first & 0xFFFFFFFF) << read_shift, unsigned << write_shift
            entries.append(TraceClose(third, read, write, 1 << max(read_shift, write_shift)))
        elif kind == 0xD0:
            flags = first >> 48 & 0xFF
            entries.append(TraceDisconnect(third, unsigned, bool(flags & 1), bool(flags & 2)))
        elif kind == 0xE0:
            entries.append(Mark(first & LOW_48, unsigned, third))
        else:
            problems.append("record_type")
    return entries, problems


def sid_of(data: bytes, end: int) -> int | None:
    """The server of a t-stream datagram, from its first window mark; None when there is none."""
    for offset in range(8, end - 15, 16):
        if data[offset] == 0xE0:
            return int.from_bytes(data[offset + 2 : offset + 8])
    return None
