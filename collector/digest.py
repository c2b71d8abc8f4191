"""A datagram in one line: what is in it, for the list of an inspector; and its fields with their bytes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from collector.wire.fields import Field, fields
from collector.wire.header import REASONS

MOST_FILES = 1000
LONGEST = 300
"""Characters of the summary."""


def digest(decoded: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Of a decoded datagram: ``stream``, ``kind``, ``seq``, ``bytes``, ``what``, ``problems``, ``files`` (file ids)."""
    header = decoded.get("header")
    problems = decoded.get("problems", [])
    first = data[:1]
    text = what(decoded)
    return {
        "stream": first.decode() if first.isascii() and first.decode().isprintable() else first.hex(),
        "kind": decoded.get("means") or decoded["kind"],
        "seq": header["sequence"] if header else decoded.get("sequence"),
        "bytes": len(data),
        "what": text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…",
        "problems": list(dict.fromkeys(problems)),
        "files": files(decoded),
    }


def files(decoded: dict[str, Any]) -> list[int]:
    """The ids of the files that it is about."""
    found: dict[int, None] = {}
    if decoded.get("means") == "path":
        found[decoded["dictid"]] = None
    for key in ("records", "entries"):
        for item in decoded.get(key, ()):
            number = item.get("file_id")
            if isinstance(number, int):
                found[number] = None
    return list(found)[:MOST_FILES]


def what(decoded: dict[str, Any]) -> str:
    """What is in it, in a few words; of a damaged one the reason first."""
    problems = list(dict.fromkeys(decoded.get("problems", ())))
    words = _words(decoded)
    if not problems:
        return words
    reason = "; ".join(f"{problem}: {REASONS.get(problem, problem)}" for problem in problems)
    return f"{reason}. {words}" if words else reason


def _words(decoded: dict[str, Any]) -> str:
    detail = decoded.get("detail") or {}
    match decoded.get("means"):
        case "server identity":
            version = " ".join(str(detail[k]) for k in ("program", "version") if detail.get(k))
            port = f"port {detail['port']}" if detail.get("port") else ""
            return ", ".join(filter(None, (detail.get("site"), port, version)))
        case "session":
            user = (decoded.get("userid") or {}).get("user")
            return ", ".join(filter(None, (f"user {user}", detail.get("executable"), detail.get("release"))))
        case "application info":
            return f"application {decoded.get('text') or ''}"
        case "path":
            return f"file {decoded.get('dictid')}: {decoded.get('text') or ''}"
        case str():
            return ", ".join(f"{key} {value}" for key, value in detail.items())
    for key, name, one in (("records", "record", "records"), ("entries", "entry", "entries")):
        if key in decoded:
            items = [item for item in decoded[key] if item.get(name) not in ("window", "mark")]
            kinds = Counter(str(item.get(name)) for item in items)
            return f"{len(items)} {one}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    if "redirects" in decoded:
        return f"{len(decoded['redirects'])} redirects"
    if "events" in decoded:
        return f"{decoded.get('provider') or 'events'}: {len(decoded['events'])} events"
    if "summary" in decoded:
        summary = decoded["summary"]
        return " ".join(str(summary[k]) for k in ("program", "version", "host") if summary.get(k)) or "summary"
    if "datagram" in decoded:
        return f"an envelope of {decoded.get('remote')}: {what(decoded['datagram'])}"
    return ""


def fields_as_json(data: bytes) -> list[Any]:
    """The fields of a datagram: ``[name, value, first, end, problem, [inside …]]``."""
    return [_as_json(field) for field in fields(data)]


def _as_json(field: Field) -> list[Any]:
    return [field.name, field.value, field.first, field.end, field.problem, [_as_json(f) for f in field.inside]]
