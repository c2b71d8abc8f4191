"""Any datagram as a tree of names and values, for `tally-collector inspect`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from collector.wire import fstream, gstream, maps, redirect, summary, trace
from collector.wire.forwarded import parse_forwarded
from collector.wire.header import Kind, RejectedError, classify, parse_header

_MAP_NAMES = {
    "=": "server identity",
    "u": "session",
    "d": "path",
    "i": "application info",
    "U": "experiment and activity",
    "T": "token",
    "p": "file purged",
    "x": "file staged or migrated",
}


def tree(data: bytes) -> dict[str, Any]:
    """The content of one datagram, as nested plain values (for ``json.dumps``). Never raises.

    Keys that are always present: ``kind`` (text), ``bytes``; ``problems`` (a list of `REASONS`) when something was
    wrong.
    """
    found: dict[str, Any] = {"kind": "not XRootD", "bytes": len(data)}
    try:
        kind = classify(data)
        found["kind"] = kind.value
        _FILL[kind](data, found)
    except RejectedError as rejected:
        found.setdefault("problems", []).append(rejected.reason)
        found["error"] = str(rejected)
    return found


def _header(data: bytes, found: dict[str, Any]) -> int:
    header = parse_header(data)
    found["header"] = {
        "code": header.code,
        "sequence": header.pseq,
        "length": header.plen,
        "server_start": _time(header.stod),
    }
    if header.problem:
        found["problems"] = [header.problem]
    return header.end


def _map(data: bytes, found: dict[str, Any]) -> None:
    _header(data, found)
    message = maps.parse_map(data)
    found["means"] = _MAP_NAMES[message.code]
    found["dictid"] = message.dictid
    found["userid"] = {k: v for k, v in message.userid._asdict().items() if k != "text"}
    parsers: dict[str, Callable[[str | None], Any]] = {
        "=": maps.parse_ident,
        "u": maps.parse_login,
        "U": maps.parse_flow,
        "T": maps.parse_token,
        "p": maps.parse_purged,
        "x": maps.parse_transferred,
    }
    parse = parsers.get(message.code)
    if parse is None:
        found["text"] = message.detail
    else:
        found["detail"] = {k: v for k, v in parse(message.detail)._asdict().items() if v is not None}


def _fstream(data: bytes, found: dict[str, Any]) -> None:
    end = _header(data, found)
    items, problems = fstream.parse_fstream(data, end)
    found["records"] = [_item(offset, item) for offset, _, item in items]
    if problems:
        found["problems"] = [*found.get("problems", []), *problems]


def _item(offset: int, item: fstream.Item) -> dict[str, Any]:
    fields = {k: _plain(v) for k, v in item._asdict().items() if v is not None}
    if isinstance(item, fstream.Window):
        fields |= {"begin": _time(item.begin), "end": _time(item.end)}
    return {"record": type(item).__name__.lower(), "at": offset, **fields}


def _trace(data: bytes, found: dict[str, Any]) -> None:
    end = _header(data, found)
    entries, problems = trace.parse_trace(data, end)
    found["entries"] = [
        {"entry": type(e).__name__.removeprefix("Trace").lower(), **_mark_times(e._asdict())} for e in entries
    ]
    if problems:
        found["problems"] = [*found.get("problems", []), *problems]


def _mark_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: _time(v) if k in ("begin", "end") else v for k, v in fields.items()}


def _redirect(data: bytes, found: dict[str, Any]) -> None:
    end = _header(data, found)
    parsed = redirect.parse_redirects(data, end)
    found["sid"] = parsed.sid
    found["redirects"] = [_mark_times(r._asdict()) for r in parsed.redirects]
    if parsed.problems:
        found["problems"] = [*found.get("problems", []), *parsed.problems]


def _gstream(data: bytes, found: dict[str, Any]) -> None:
    _header(data, found)
    _events(gstream.parse_gstream(data), found)


def _text(data: bytes, found: dict[str, Any]) -> None:
    _events(gstream.parse_text(data), found)


def _events(parsed: gstream.GStream, found: dict[str, Any]) -> None:
    found["sid"] = parsed.sid
    found["provider"] = gstream.PROVIDERS.get(parsed.provider, parsed.provider)
    if parsed.begin is not None:
        found["begin"] = _time(parsed.begin)
    if parsed.end is not None:
        found["end"] = _time(parsed.end)
    if parsed.textual:
        found |= {"code": parsed.code, "sequence": parsed.pseq, "stod": parsed.stod}
        found["source"] = {k: v for k, v in parsed.source._asdict().items() if v is not None}
    if parsed.entry is not None:
        found |= {"dictid": parsed.dictid, "text": parsed.entry}
    events: list[Any] = []
    for line in parsed.lines:
        try:
            events.append(gstream.decode_line(line))
        except RejectedError as rejected:
            found.setdefault("problems", []).append(rejected.reason)
            events.append({"unreadable": line.decode("utf-8", "replace")})
    found["events"] = events


def _envelope(data: bytes, found: dict[str, Any]) -> None:
    inner = parse_forwarded(data)
    found["remote"] = inner.remote
    found["datagram"] = tree(inner.data)


def _xml(data: bytes, found: dict[str, Any]) -> None:
    found["summary"] = summary.parse_summary_xml(data)._asdict()


def _json(data: bytes, found: dict[str, Any]) -> None:
    found["summary"] = summary.parse_summary_json(data)._asdict()


_FILL = {
    Kind.ENVELOPE: _envelope,
    Kind.MAP: _map,
    Kind.FSTREAM: _fstream,
    Kind.TRACE: _trace,
    Kind.REDIRECT: _redirect,
    Kind.GSTREAM: _gstream,
    Kind.TEXT: _text,
    Kind.SUMMARY_XML: _xml,
    Kind.SUMMARY_JSON: _json,
}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value._asdict() if hasattr(value, "_asdict") else value


def _time(seconds: int) -> str:
    """A Unix time in both forms: one to read and one to compare."""
    return f"{seconds} ({datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC)"
