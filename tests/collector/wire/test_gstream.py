from __future__ import annotations

import struct
from typing import Any

import pytest

from collector.wire import RejectedError
from collector.wire.gstream import OVERFLOW, Source, decode_line, parse_gstream, parse_text

HEADER = (
    b'{"code":"g","pseq":  1,"stod":1795320553,"sid":223242927188025,"src":{"site":"S","host":"h.example.org",'
    b'"port":21181,"inst":"cache","pgm":"xrootd","ver":"v5.5.3"},"gs":{"type":"C","tbeg":1795320554,"tend":1795320555}}'
)


def test_binary() -> None:
    body = struct.pack(">IIQ", 10, 20, ord("C") << 56 | 4711) + b'{"a":1}\n\n{"b":2}\0'
    stream = parse_gstream(struct.pack(">cBHI", b"g", 3, 8 + len(body), 99) + body)
    assert (stream.pseq, stream.stod, stream.sid, stream.provider) == (3, 99, 4711, "C")
    assert (stream.begin, stream.end, stream.lines) == (10, 20, [b'{"a":1}', b'{"b":2}'])
    assert stream.problem is None


def test_binary_without_its_fixed_part() -> None:
    with pytest.raises(RejectedError) as caught:
        parse_gstream(struct.pack(">cBHI", b"g", 3, 20, 99) + b"x" * 12)
    assert caught.value.reason == "short"


def test_json_header() -> None:
    """Bytes 2 and 3 of text are no length: it is not thrown away for that."""
    stream = parse_text(HEADER + b'\n{"event":"file_close"}\n{"event":"x"}\0')
    assert (stream.code, stream.pseq, stream.stod, stream.sid) == ("g", 1, 1795320553, 223242927188025)
    assert (stream.provider, stream.begin, stream.end) == ("C", 1795320554, 1795320555)
    assert stream.lines == [b'{"event":"file_close"}', b'{"event":"x"}']
    assert stream.source == Source("S", "h.example.org", 21181, "cache", "xrootd", "v5.5.3")


def test_json_ident_and_dictionary() -> None:
    ident = parse_text(b'{"code":"=","pseq":1,"stod":5,"sid":6,"src":{"host":"h"}}\0')
    assert (ident.code, ident.lines, ident.source.host) == ("=", [], "h")
    entry = parse_text(b'{"code":"d","pseq":1,"stod":5,"sid":6,"gs":{"type":"C"},"did":9,"data":"/store/f"}\0')
    assert (entry.code, entry.dictid, entry.entry) == ("d", 9, "/store/f")


def test_cgi_header() -> None:
    stream = parse_text(b'code=g&pseq=++1&stod=5&sid=6&site=A%26B&gs.type=O&gs.tbeg=+++++++10&gs.tend=11\n{"a":1}\0')
    assert (stream.code, stream.pseq, stream.stod, stream.sid) == ("g", 1, 5, 6)
    assert (stream.provider, stream.begin, stream.end, stream.lines) == ("O", 10, 11, [b'{"a":1}'])
    assert stream.source.site == "A&B"


def test_without_a_header() -> None:
    stream = parse_text(b'{"event":"file_close","lfn":"/f"}\n{"event":"file_close","lfn":"/g"}\0')
    assert (stream.stod, stream.sid, stream.provider) == (None, None, "")
    assert len(stream.lines) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"code":"g"}\n{}', "no_server"),
        (b'{"code":"g","stod":-1}', "no_server"),
        (b'{"code":"g","stod":"x"}', "no_server"),
        (b"code=g&pseq=1\n{}", "no_server"),
        (b"code=g&stod=x\n{}", "no_server"),
        (b"{nonsense", "json"),
        (b"{" * 3000, "json"),
    ],
)
def test_text_that_cannot_be_used(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_text(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (b'"pseq":[1]', "pseq"),
        (b'"pseq":true', "pseq"),
        (b'"sid":"x"', "sid"),
    ],
)
def test_header_fields_of_the_wrong_kind_are_unknown(changes: bytes, field: str) -> None:
    assert getattr(parse_text(b'{"code":"g","stod":5,%b}\n{}' % changes), field) is None


@pytest.mark.parametrize("line", [b"", b"[1]", b'"x"', b'{"lfn":"/a"b"}', b'{"lfn":"/a\\x"}', b"[" * 5000])
def test_a_broken_line(line: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        decode_line(line)
    assert caught.value.reason == "json"


def test_a_line_that_is_no_utf8_keeps_its_bytes_as_surrogates() -> None:
    line: dict[str, Any] = decode_line(b'{"lfn":"/store/\xff"}')
    assert line == {"lfn": "/store/\udcff"}


@pytest.mark.parametrize(
    "header",
    [
        b'{"code":"g","pseq":100,"stod":1779999000,"sid":7,"gs":{"type":"C","tbeg":0178000001,"tend":0178000002}}',
        b"code=g&pseq=100&stod=1779999000&sid=7&gs.type=C&gs.tbeg=0178000001&gs.tend=0178000002",
    ],
)
def test_a_sequence_number_that_does_not_fit_costs_the_times_their_last_digits(header: bytes) -> None:
    """Before 5.2, once in a thousand datagrams: what is left of the times are bounds."""
    stream = parse_text(header + b'\n{"event":"file_close"}\0')
    assert (stream.pseq, stream.begin, stream.end) == (OVERFLOW, 1780000010, 1780000029)
    assert stream.lines == [b'{"event":"file_close"}']
