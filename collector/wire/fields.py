"""Where each field of a datagram is: names and values with their bytes, for people who look at the bytes themselves.

Values come from the parsers beside this module; here is only what stands where. A part that a parser rejects is still
shown, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from collector.wire import fstream, gstream, redirect, trace
from collector.wire.forwarded import parse_forwarded
from collector.wire.header import REASONS, Kind, RejectedError, classify, parse_header
from collector.wire.tree import tree

LONGEST = 500
"""Characters of a value."""


class Field(NamedTuple):
    """A field in the bytes [first, end). `problem` is a key of `REASONS`, empty when all is well."""

    name: str
    value: str
    first: int
    end: int
    problem: str = ""
    inside: tuple[Any, ...] = ()
    """Fields."""


def fields(data: bytes) -> tuple[Field, ...]:
    """All fields of a datagram, in order. Never raises."""
    found: list[Field] = []
    try:
        kind = classify(data)
        for field in _FIELDS[kind](data):
            found.append(_clipped(field, len(data)))  # noqa: PERF401 - what came before an error is kept
    except RejectedError as rejected:
        begin = found[-1].end if found else 0
        found.append(Field("Rest" if found else "Datagram", str(rejected), begin, len(data), rejected.reason))
    return tuple(found)


def _clipped(field: Field, size: int) -> Field:
    inside = tuple(_clipped(inner, size) for inner in field.inside)
    value = field.value if len(field.value) <= LONGEST else f"{field.value[: LONGEST - 1]}…"
    return Field(field.name, value, min(field.first, size), min(field.end, size), field.problem, inside)


def _moment(seconds: int) -> str:
    return f"{seconds} ({datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _bytes(count: int | None) -> str:
    return "not known" if count is None else f"{count:,} B"


def _header(data: bytes) -> tuple[Field, int]:
    header = parse_header(data)
    size = "equals the datagram" if header.problem is None else REASONS[header.problem]
    inside = (
        Field("code", header.code if header.code.isprintable() else repr(header.code), 0, 1),
        Field("pseq", str(header.pseq), 1, 2),
        Field("plen", f"{header.plen:,} B: {size}", 2, 4, header.problem or ""),
        Field("stod", _moment(header.stod), 4, 8),
    )
    return Field("Header", f"{header.code}, sequence {header.pseq}", 0, 8, header.problem or "", inside), header.end


# ---- f-stream

_OPERATIONS = (
    ("reads", 4), ("vector reads", 4), ("writes", 4), ("segments, least", 2), ("segments, most", 2), ("segments", 8),
    ("read, least", 4), ("read, most", 4), ("vector read, least", 4), ("vector read, most", 4), ("write, least", 4),
    ("write, most", 4),
)  # fmt: skip


def _fstream(data: bytes) -> Iterator[Field]:
    header, end = _header(data)
    yield header
    offset = 8
    while offset < end:
        if end - offset < 8:
            yield Field("Rest", REASONS["record_size"], offset, end, "record_size")
            return
        kind, flags, size, _ = fstream.HEAD.unpack_from(data, offset)
        if size < 8 or offset + size > end:
            yield Field("Record", f"says {size} bytes: {REASONS['record_size']}", offset, end, "record_size")
            return
        yield _record(data, offset, kind, flags, size)
        offset += size


def _record(data: bytes, at: int, kind: int, flags: int, size: int) -> Field:
    try:
        item = fstream.parse_record(data, at, kind, flags, size)
    except RejectedError as rejected:
        head = (Field("type", str(kind), at, at + 1), Field("size", f"{size} B", at + 2, at + 4))
        return Field("Record", str(rejected), at, at + size, rejected.reason, head)
    inside = [Field("type", str(kind), at, at + 1), Field("flags", f"0x{flags:02x}", at + 1, at + 2),
              Field("size", f"{size} B", at + 2, at + 4)]  # fmt: skip
    match item:
        case fstream.Window():
            value = f"{item.records} records, {item.end - item.begin} s window"
            inside += [
                Field("transfers", str(item.transfers), at + 4, at + 6),
                Field("records", str(item.records), at + 6, at + 8),
                Field("tBeg", _moment(item.begin), at + 8, at + 12),
                Field("tEnd", _moment(item.end), at + 12, at + 16),
            ]
            if item.sid is not None:
                inside.append(Field("sID", str(item.sid), at + 16, at + 24))
            return Field("Time of day", value, at, at + size, "", tuple(inside))
        case fstream.Open():
            inside += [
                Field("fileID", str(item.file_id), at + 4, at + 8),
                Field("file size", _bytes(item.size), at + 8, at + 16),
            ]
            path = "" if item.path is None else item.path.decode("utf-8", "backslashreplace")
            if item.user is not None:
                inside += [
                    Field("user dictid", str(item.user), at + 16, at + 20),
                    Field("LFN", path, at + 20, at + 20 + len(item.path or b"")),
                ]
            value = path or f"file {item.file_id}"
            return Field("Open", f"{value}{', to write' if item.writable else ''}", at, at + size, "", tuple(inside))
        case fstream.Close() | fstream.Progress():
            inside += [
                Field("fileID", str(item.file_id), at + 4, at + 8),
                Field("read", _bytes(item.read), at + 8, at + 16),
                Field("readv", _bytes(item.readv), at + 16, at + 24),
                Field("write", _bytes(item.write), at + 24, at + 32),
            ]
            if isinstance(item, fstream.Close):
                inside += _totals(item, at)
            sums = f"read {_bytes(item.read)}, readv {_bytes(item.readv)}, write {_bytes(item.write)}"
            forced = isinstance(item, fstream.Close) and item.forced
            name = type(item).__name__
            value = f"file {item.file_id}: {sums}{', forced' if forced else ''}"
            return Field(name, value, at, at + size, "", tuple(inside))
        case fstream.Disconnect():
            inside.append(Field("user dictid", str(item.user), at + 4, at + 8))
            return Field("Disconnect", f"user {item.user}", at, at + size, "", tuple(inside))


def _totals(item: fstream.Close, at: int) -> list[Field]:
    found: list[Field] = []
    if item.operations is not None:
        place = at + 32
        inside = []
        for (name, width), value in zip(_OPERATIONS, item.operations, strict=True):
            inside.append(Field(name, f"{value:,}", place, place + width))
            place += width
        found.append(Field("operations", f"{item.operations.read:,} reads", at + 32, at + 80, "", tuple(inside)))
    if item.squares is not None:
        names = ("read sizes", "readv sizes", "readv segments", "write sizes")
        inside = [
            Field(name, f"{value:g}", at + 80 + 8 * n, at + 88 + 8 * n)
            for n, (name, value) in enumerate(zip(names, item.squares, strict=True))
        ]
        found.append(Field("sums of squares", "", at + 80, at + 112, "", tuple(inside)))
    return found


# ---- maps


def _map(data: bytes) -> Iterator[Field]:
    header, end = _header(data)
    yield header
    parsed = tree(data)
    if "error" in parsed:
        problem = next(iter(parsed.get("problems", ())), "")
        yield Field("Map", parsed["error"], 8, end, problem)
        return
    yield Field("dictid", str(parsed["dictid"]), 8, 12)
    newline = data.find(b"\n", 12, end)
    first = end if newline < 0 else newline
    userid = parsed["userid"]
    yield Field("user id", data[12:first].decode("utf-8", "backslashreplace"), 12, first, "",
                tuple(_found(data, userid.items(), 12, first)))  # fmt: skip
    if newline >= 0:
        rest = end if (nul := data.find(b"\0", newline, end)) < 0 else nul
        text = data[newline + 1 : rest].decode("utf-8", "backslashreplace")
        detail = parsed.get("detail", {})
        yield Field(
            parsed["means"], text, newline + 1, rest, "", tuple(_found(data, detail.items(), newline + 1, rest))
        )


def _found(data: bytes, values: Iterable[tuple[str, Any]], begin: int, end: int) -> Iterator[Field]:
    """Each value at the place where its text stands; parsers do not say where they found it."""
    for name, value in values:
        text = str(value).encode("utf-8", "surrogateescape")
        at = max(data.find(b"=" + text, begin, end) + 1, 0) or data.find(text, begin, end)
        shown = text.decode("utf-8", "backslashreplace")
        yield Field(name, shown, *((at, at + len(text)) if text and at >= 0 else (begin, end)))


# ---- the other streams


def _trace(data: bytes) -> Iterator[Field]:
    header, end = _header(data)
    yield header
    entries = iter(trace.parse_trace(data, end)[0])
    offset = 8
    for offset in range(8, end - 15, 16):
        if trace.parse_trace(data[:8] + data[offset : offset + 16], 24)[1]:
            yield Field("Entry", REASONS["record_type"], offset, offset + 16, "record_type")
            continue
        entry = next(entries)
        name = type(entry).__name__.removeprefix("Trace").lower()
        values = ", ".join(f"{key} {value}" for key, value in entry._asdict().items())
        yield Field(name.capitalize(), values, offset, offset + 16)
    if (end - 8) % 16:
        yield Field("Rest", REASONS["record_size"], end - (end - 8) % 16, end, "record_size")


def _redirect(data: bytes) -> Iterator[Field]:
    header, end = _header(data)
    yield header
    parsed = redirect.parse_redirects(data, end)
    yield Field("sID", str(parsed.sid), 8, 16)
    found = iter(parsed.redirects)
    offset = 16
    while offset + 8 <= end:
        kind, count = data[offset], data[offset + 1]
        if kind == 0x00:
            yield Field("Window", _moment(int.from_bytes(data[offset + 4 : offset + 8], "big")), offset, offset + 8)
            offset += 8
            continue
        after = offset + 8 + 8 * count
        if kind & 0xF0 not in (0x80, 0x90) or after > end:
            reason = "record_size" if kind & 0xF0 in (0x80, 0x90) else "record_type"
            yield Field("Slot", REASONS[reason], offset, end, reason)
            return
        one = next(found, None)
        value = "" if one is None else f"{one.operation or 'unknown'} {one.path} → {one.host}:{one.port}"
        yield Field("Redirect", value, offset, after, "" if one is not None else "no_window")
        offset = after


def _gstream(data: bytes) -> Iterator[Field]:
    header, end = _header(data)
    yield header
    parsed = gstream.parse_gstream(data)
    yield Field("tBeg", _moment(parsed.begin or 0), 8, 12)
    yield Field("tEnd", _moment(parsed.end or 0), 12, 16)
    yield Field("provider", gstream.PROVIDERS.get(parsed.provider, parsed.provider), 16, 17)
    yield Field("sID", str(parsed.sid), 18, 24)
    yield from _lines(data, 24, end)


def _text(data: bytes) -> Iterator[Field]:
    parsed = gstream.parse_text(data)
    begin = 0
    if parsed.stod is not None:
        newline = data.find(b"\n")
        begin = len(data) if newline < 0 else newline + 1
        values: dict[str, Any] = {
            "code": parsed.code, "pseq": parsed.pseq, "stod": parsed.stod, "sid": parsed.sid,
            "provider": parsed.provider, **parsed.source._asdict(),
        }  # fmt: skip
        known = [(name, value) for name, value in values.items() if value not in (None, "")]
        yield Field("Header", f"{parsed.code}, sequence {parsed.pseq}", 0, begin, "",
                    tuple(_found(data, known, 0, begin)))  # fmt: skip
    yield from _lines(data, begin, len(data))


def _lines(data: bytes, begin: int, end: int) -> Iterator[Field]:
    at = begin
    for line in data[begin:end].split(b"\n"):
        bare = line.rstrip(b"\0")
        if bare.strip():
            try:
                event = gstream.decode_line(bare)
            except RejectedError as rejected:
                yield Field("Event", bare.decode("utf-8", "backslashreplace"), at, at + len(bare), rejected.reason)
            else:
                inside = tuple(_found(data, event.items(), at, at + len(bare)))
                name = str(event.get("event") or event.get("lfn") or "")
                yield Field("Event", name or bare.decode("utf-8", "backslashreplace"), at, at + len(bare), "", inside)
        at += len(line) + 1


def _summary(data: bytes) -> Iterator[Field]:
    parsed = tree(data)
    problems = parsed.get("problems", ())
    value = parsed.get("error", "")
    yield Field("Summary", value, 0, len(data), next(iter(problems), ""),
                tuple(_nested(parsed.get("summary", {}), len(data))))  # fmt: skip


def _nested(values: dict[str, Any], size: int) -> Iterator[Field]:
    for name, value in values.items():
        if value is None:
            continue
        inside = tuple(_nested(value, size)) if isinstance(value, dict) else ()
        yield Field(str(name), "" if inside else str(value), 0, size, "", inside)


def _envelope(data: bytes) -> Iterator[Field]:
    inner = parse_forwarded(data)
    yield Field("Envelope", f"of {inner.remote}", 0, len(data))
    whole = tuple(Field(f.name, f.value, 0, len(data), f.problem) for f in fields(inner.data))
    yield Field("Datagram in it", f"{len(inner.data):,} B", 0, len(data), "", whole)


_FIELDS: dict[Kind, Callable[[bytes], Iterator[Field]]] = {
    Kind.ENVELOPE: _envelope,
    Kind.MAP: _map,
    Kind.FSTREAM: _fstream,
    Kind.TRACE: _trace,
    Kind.REDIRECT: _redirect,
    Kind.GSTREAM: _gstream,
    Kind.TEXT: _text,
    Kind.SUMMARY_XML: _summary,
    Kind.SUMMARY_JSON: _summary,
}
