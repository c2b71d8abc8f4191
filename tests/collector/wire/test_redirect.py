from __future__ import annotations

import struct

import pytest

from collector.wire import RejectedError
from collector.wire.redirect import Redirect, parse_redirects

SID = 0xF0 << 56 | 4711


def datagram(*slots: bytes, sid: int = SID) -> bytes:
    body = struct.pack(">Q", sid) + b"".join(slots)
    return struct.pack(">cBHI", b"r", 0, 8 + len(body), 99) + body


def mark(t: int) -> bytes:
    return struct.pack(">II", 5, t)


def slot(kind: int, text: bytes, port: int = 1094, user: int = 3) -> bytes:
    count = -(-len(text) // 8)
    return struct.pack(">BBHI", kind, count, port, user) + text.ljust(8 * count, b"\0")


def test_redirects_lie_between_the_marks_around_them() -> None:
    data = datagram(mark(100), slot(0x85, b"se01:/store/f"), mark(105), slot(0x9D, b"se02:/store/g"), mark(110))
    parsed = parse_redirects(data, len(data))
    assert parsed.sid == 4711
    assert parsed.problems == []
    assert parsed.redirects == [
        Redirect(100, 105, False, "open_read", 1094, 3, "se01", "/store/f"),
        Redirect(105, 110, True, "stat", 1094, 3, "se02", "/store/g"),
    ]


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        (b"[2001:db8::1]:/store/f", "2001:db8::1", "/store/f"),
        (b"exactly8:/fills/" + b"x" * 8, "exactly8", "/fills/" + "x" * 8),
        (b":/local/file", "", "/local/file"),
        (b"no colon", "", "no colon"),
        (b"h:/a:b", "h", "/a:b"),
        (b"[broken:/f", "[broken", "/f"),
    ],
)
def test_targets(text: bytes, host: str, path: str) -> None:
    data = datagram(mark(1), slot(0x86, text), mark(2))
    (found,) = parse_redirects(data, len(data)).redirects
    assert (found.host, found.path) == (host, path)


def test_a_slot_that_runs_past_the_end_loses_only_what_follows() -> None:
    data = datagram(mark(1), slot(0x86, b"h:/a"), mark(2), b"\x86\xff\0\0\0\0\0\0")
    parsed = parse_redirects(data, len(data))
    assert [r.path for r in parsed.redirects] == ["/a"]
    assert parsed.problems == ["record_size"]


def test_without_a_closing_mark_the_opening_one_is_all_that_is_known() -> None:
    data = datagram(mark(7), slot(0x86, b"h:/a"))
    assert parse_redirects(data, len(data)).redirects == [Redirect(7, 7, False, "open_write", 1094, 3, "h", "/a")]


def test_without_any_mark_there_is_no_time() -> None:
    data = datagram(slot(0x86, b"h:/a"))
    assert parse_redirects(data, len(data)).problems == ["no_window"]


def test_unknown_operations_and_slots() -> None:
    data = datagram(mark(1), slot(0x8F, b"h:/a"), mark(2), b"\x55" + b"\0" * 7, b"xyz")
    parsed = parse_redirects(data, len(data))
    assert parsed.redirects[0].operation is None
    assert parsed.problems == ["record_type"]


@pytest.mark.parametrize(("data", "reason"), [(datagram()[:15], "short"), (datagram(sid=4711), "no_server")])
def test_datagrams_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_redirects(data, len(data))
    assert caught.value.reason == reason
