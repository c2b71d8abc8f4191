from __future__ import annotations

import base64
import collections
import json
import struct
from pathlib import Path
from typing import Any

from collector.wire.trace import (
    Mark,
    TraceApp,
    TraceClose,
    TraceDisconnect,
    TraceOpen,
    TraceRead,
    TraceReadV,
    TraceWrite,
    parse_trace,
    sid_of,
)

CAPTURES = Path(__file__).resolve().parents[2] / "captures" / "5.5.3"


def datagram(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack(">cBHI", b"t", 0, 8 + len(body), 99) + body


def entry(first: int, second: int, third: int) -> bytes:
    return struct.pack(">QiI", first, second, third)


MARK = entry(0xE0 << 56 | 12345, 100, 101)


def test_every_kind_of_entry() -> None:
    data = datagram(
        MARK,
        entry(0x80 << 56 | 1000, 0, 5),
        entry(77, 10, 5),
        entry(78, -20, 5),
        entry(0x90 << 56 | 3 << 48 | 4 << 32, 400, 5),
        entry(0xC0 << 56 | 2 << 48 | 1 << 40 | 25, 10, 5),
        entry(0xD0 << 56 | 3 << 48 | 0x7465_7874, 9, 6),
        b"\xa0abc" + b"myapp".ljust(12, b"\0"),
        MARK,
    )
    assert parse_trace(data, len(data)) == (
        [
            Mark(12345, 100, 101), TraceOpen(5, 1000), TraceRead(5, 77, 10, False), TraceWrite(5, 78, 20),
            TraceReadV(5, 3, 4, 400), TraceClose(5, 100, 20, 4), TraceDisconnect(6, 9, True, True), TraceApp("myapp"),
            Mark(12345, 100, 101),
        ],
        [],
    )  # fmt: skip
    assert sid_of(data, len(data)) == 12345


def test_segments_of_an_unpacked_vector_read_are_marked() -> None:
    data = datagram(
        MARK, entry(0x91 << 56 | 1 << 48 | 2 << 32, 30, 5), entry(0, 10, 5), entry(50, 20, 5), entry(90, 7, 5)
    )
    reads = [e for e in parse_trace(data, len(data))[0] if isinstance(e, TraceRead)]
    assert [(r.length, r.part_of_vector) for r in reads] == [(10, True), (20, True), (7, False)]


def test_leftover_bytes_and_unknown_entries_are_named() -> None:
    data = datagram(MARK, entry(0xF0 << 56, 0, 0), b"1234567")
    assert parse_trace(data, len(data)) == ([Mark(12345, 100, 101)], ["record_size", "record_type"])
    assert sid_of(datagram(entry(0, 1, 2)), 24) is None


def totals(data: list[bytes]) -> dict[int, dict[str, int]]:
    """Operations of each file, each connection's own buffer only: ``auth`` makes opens and closes come twice."""
    found: dict[int, dict[str, int]] = collections.defaultdict(collections.Counter)
    once: set[Any] = set()
    for datagram_ in data:
        for e in parse_trace(datagram_, len(datagram_))[0]:
            if isinstance(e, TraceOpen | TraceClose):
                if (type(e), e.file_id) in once:
                    continue
                once.add((type(e), e.file_id))
            match e:
                case TraceOpen(file_id, size):
                    found[file_id]["size_at_open"] += size
                case TraceRead(file_id, _, length, False):
                    found[file_id]["read_ops"] += 1
                    found[file_id]["read_requested_bytes"] += length
                case TraceReadV(file_id, _, segments, length):
                    found[file_id]["readv_ops"] += 1
                    found[file_id]["readv_segs"] += segments
                    found[file_id]["readv_bytes"] += length
                case TraceWrite(file_id, _, length):
                    found[file_id]["write_ops"] += 1
                    found[file_id]["write_bytes"] += length
                case TraceClose(file_id, read, write, 1):
                    found[file_id]["read_at_close"] += read
                    found[file_id]["write_at_close"] += write
    return found


def test_the_trace_of_a_real_server_is_what_its_clients_did() -> None:
    rows = map(json.loads, (CAPTURES / "tstream-io.jsonl").read_text().splitlines())
    data = [base64.b64decode(row["data"]) for row in rows]
    names = {
        struct.unpack_from(">I", d, 8)[0]: (
            d[12:].split(b".")[0].split(b"/")[1].decode(),
            d[12:].split(b"\n")[1].decode(),
        )
        for d in data
        if d[:1] == b"d"
    }
    found = {names[file_id]: dict(counts) for file_id, counts in totals([d for d in data if d[:1] == b"t"]).items()}
    for operation in json.loads((CAPTURES / "tstream-io.truth.json").read_text())["operations"]:
        counts = found.pop((operation["tag"], operation["lfn"]))
        for name in (
            "read_ops",
            "read_requested_bytes",
            "readv_ops",
            "readv_segs",
            "readv_bytes",
            "write_ops",
            "write_bytes",
        ):
            assert counts.get(name, 0) == operation[name], name
        assert counts.get("size_at_open", 0) == operation["size_at_open"]
        assert counts.get("read_at_close", 0) == operation["read_requested_bytes"] + operation["readv_bytes"]
        assert counts.get("write_at_close", 0) == operation["write_bytes"]
    assert not found
