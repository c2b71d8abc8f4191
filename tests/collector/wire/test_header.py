from __future__ import annotations

import pytest

from collector.wire import REASONS, Kind, RejectedError, classify, parse_header


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((code.encode() + b"\0" * 20, Kind.MAP) for code in "=dipuUTx"),
        (b"f...", Kind.FSTREAM), (b"t...", Kind.TRACE), (b"r...", Kind.REDIRECT), (b"g...", Kind.GSTREAM),
        (b"<statistics>", Kind.SUMMARY_XML), (b'{"statistics":{}}', Kind.SUMMARY_JSON), (b'{"code":"g"}', Kind.TEXT),
        (b"code=g&pseq=1", Kind.TEXT), (b'{"event":"file_close"}', Kind.TEXT),
        (b'{"t":5,"remote":"h.x","id":"a:1","data":"eA=="}', Kind.ENVELOPE), (b'{"data":5, "remote":1}', Kind.ENVELOPE),
        (b' \r\n{"data":"eA==","remote":"h.x"}\n', Kind.ENVELOPE),
        (b'{"type":"tcpstats","remote":"192.0.2.1"}', Kind.TEXT),
        (b'{"code":"d","pseq":1,"data":"x","remote":"y"}', Kind.TEXT),
    ],
)  # fmt: skip
def test_the_first_byte_tells_what_it_is(data: bytes, kind: Kind) -> None:
    assert classify(data) is kind


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"m123", "unknown"),
        (b"s", "unknown"),
        (b"\0" * 9, "unknown"),
        (b"co", "unknown"),
        (b" {}", "unknown"),
    ],
)
def test_what_is_not_ours(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        classify(data)
    assert caught.value.reason == reason


def test_header() -> None:
    header = parse_header(bytes.fromhex("3d05000c6b026a7b00000000"))
    assert header == ("=", 5, 12, 0x6B026A7B, 12, None)


def test_lengths_are_unsigned() -> None:
    header = parse_header(b"f\x00\xff\x7c\xff\xff\xff\xff" + b"\0" * (65404 - 8))
    assert (header.plen, header.stod, header.end, header.problem) == (65404, 2**32 - 1, 65404, None)


def test_a_longer_datagram_ends_where_the_header_says() -> None:
    header = parse_header(b"f\0\0\x0a\0\0\0\1" + b"x" * 8)
    assert (header.end, header.problem) == (10, "excess")


def test_a_shorter_datagram_was_truncated() -> None:
    header = parse_header(b"f\0\1\0\0\0\0\1" + b"x" * 8)
    assert (header.end, header.problem) == (16, "truncated")


@pytest.mark.parametrize(("data", "reason"), [(b"f\0\0\x08\0\0\0", "short"), (b"f\0\0\x07\0\0\0\1", "length")])
def test_headers_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_header(data)
    assert caught.value.reason == reason
    assert REASONS[reason]
