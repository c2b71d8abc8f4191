"""The g-stream: events of plug-ins, as JSON lines behind a binary, JSON or CGI header (format reference, section 9)."""

from __future__ import annotations

import re
from struct import Struct
from typing import Any, NamedTuple
from urllib.parse import unquote

from collector.wire.header import RejectedError, parse_header, text_of
from collector.wire.jsontext import parse_json
from collector.wire.maps import number_of, port_of

PROVIDERS = {"C": "pfc", "M": "ccm", "T": "tcpmon", "P": "tpc", "R": "throttle", "O": "oss", "H": "http"}
"""Provider letter → name."""

OVERFLOW = 1000
"""A sequence number of text headers outside their range 0…999. Before 5.2 every thousandth datagram has it: it has one
digit too many for its field, so the digits of the times after it are shifted by one and begin with a zero."""
_OVERFLOWN = re.compile(rb'"pseq":100(,.*?)"tbeg":0(\d{9}),"tend":0(\d{9})')

LOW_48 = (1 << 48) - 1
_FIXED = Struct(">IIQ")


class Source(NamedTuple):
    """What a text header says about its server; None: not given."""

    site: str | None = None
    host: str | None = None
    port: int | None = None
    instance: str | None = None
    program: str | None = None
    version: str | None = None


class GStream(NamedTuple):
    """A g-stream datagram of any form. `code` is ``g`` (events), ``=`` (ident), ``d`` or ``i`` (dictionary).

    Without a header (``nohdr``) everything but `lines` is unknown: `pseq`, `stod` and `sid` are None, `provider` is "".
    """

    code: str
    pseq: int | None
    stod: int | None
    sid: int | None
    provider: str
    begin: int | None
    end: int | None
    lines: list[bytes]
    source: Source
    textual: bool
    problem: str | None
    dictid: int | None = None
    entry: str | None = None


def parse_gstream(data: bytes) -> GStream:
    """The binary form. Raises RejectedError: short, length."""
    header = parse_header(data)
    if header.end < 24:
        raise RejectedError("short", f"a g-stream datagram of {header.end} bytes")
    begin, end, field = _FIXED.unpack_from(data, 8)
    provider = chr(field >> 56)
    lines = _lines(data[24 : header.end])
    return GStream(
        "g", header.pseq, header.stod, field & LOW_48, provider, begin, max(begin, end), lines, Source(), False,
        header.problem,
    )  # fmt: skip


def parse_text(data: bytes) -> GStream:
    """The JSON and CGI forms, and lines without any header. Raises RejectedError: json, no_server."""
    if data.startswith(b"code="):
        return _cgi(data)
    head, _, rest = data.rstrip(b"\0").partition(b"\n")
    overflown = _OVERFLOWN.search(head)
    if overflown is not None:
        head = head[: overflown.start()] + _without_overflow(overflown) + head[overflown.end() :]
    try:
        header = decode_line(head)
    except RejectedError:
        if not rest and not data.startswith(b'{"code"'):
            raise
        header = {}
    if not isinstance(header.get("code"), str) or "stod" not in header:
        if data.startswith(b'{"code"'):
            raise RejectedError("no_server", "a text header without stod")
        return GStream("g", None, None, None, "", None, None, _lines(data), Source(), True, None)
    gs = _object(header.get("gs"))
    src = _object(header.get("src"))
    source = Source(
        _text(src.get("site")), _text(src.get("host")), port_of(_number(src.get("port"))),
        _text(src.get("inst")), _text(src.get("pgm")), _text(src.get("ver")),
    )  # fmt: skip
    entry = header.get("data")
    return GStream(
        header["code"], _number(header.get("pseq")), _stod(header.get("stod")), _sid(header.get("sid")),
        _text(gs.get("type")) or "", _time(gs.get("tbeg")), _time(gs.get("tend")), _lines(rest), source, True, None,
        _number(header.get("did")), entry if isinstance(entry, str) else None,
    )  # fmt: skip


def _without_overflow(header: re.Match[bytes]) -> bytes:
    """The times of a header whose sequence number did not fit: their last digits are missing, so they become bounds."""
    between, begin, end = header[1], header[2], header[3]
    return b'"pseq":%d%s"tbeg":%s0,"tend":%s9' % (OVERFLOW, between, begin, end)


def _cgi(data: bytes) -> GStream:
    head, _, rest = data.rstrip(b"\0").partition(b"\n")
    keys: dict[str, str] = {}
    for pair in text_of(head).split("&"):
        key, _, value = pair.partition("=")
        keys.setdefault(key, unquote(value.replace("+", " ")).strip())
    if "stod" not in keys:
        raise RejectedError("no_server", "a text header without stod")

    def number(key: str) -> int | None:
        return number_of(keys.get(key))

    begin, end = keys.get("gs.tbeg", ""), keys.get("gs.tend", "")
    pseq = number("pseq")
    if pseq == 100 and len(begin) == len(end) == 10 and begin[0] == end[0] == "0":
        pseq, begin, end = OVERFLOW, f"{begin[1:]}0", f"{end[1:]}9"
    source = Source(
        keys.get("site") or None, keys.get("host") or None, port_of(number("port")),
        keys.get("inst") or None, keys.get("pgm") or None, keys.get("ver") or None,
    )  # fmt: skip
    return GStream(
        keys["code"], pseq, _stod(number("stod")), _sid(number("sid")),
        keys.get("gs.type", ""), _time(number_of(begin)), _time(number_of(end)), _lines(rest), source,
        True, None, number("did"), keys.get("data"),
    )  # fmt: skip


def decode_line(line: bytes) -> dict[str, Any]:
    """One event. Paths are put into the JSON without escaping: any line may be broken. Raises RejectedError: json."""
    value = parse_json(line)
    if not isinstance(value, dict):
        raise RejectedError("json", "a line that is not an object")
    return value


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.rstrip(b"\0").split(b"\n") if line.strip()]


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else None


def _time(value: object) -> int | None:
    time = _number(value)
    return time if time is not None and time >= 0 else None


def _stod(value: object) -> int:
    stod = _number(value)
    if stod is None or not 0 <= stod < 1 << 32:
        raise RejectedError("no_server", "stod is not a 32-bit number")
    return stod


def _sid(value: object) -> int | None:
    sid = _number(value)
    return sid & LOW_48 if sid is not None and sid >= 0 else None
