"""Summary reports (``xrd.report``): all counters of a server at once, as XML or JSON (format reference, section 10)."""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.etree import ElementTree

from collector.wire.header import Rejected, text_of
from collector.wire.jsontext import parse_json
from collector.wire.maps import number_of

MAX_DEPTH = 12

Value = int | float | str | dict[str, Any]


class Summary(NamedTuple):
    """One report: the attributes of ``statistics`` and its groups by their id."""

    reported: int | None
    started: int | None
    source: str | None
    program: str | None
    instance: str | None
    pid: int | None
    site: str | None
    version: str | None
    stats: dict[str, Any]


def parse_summary_xml(data: bytes) -> Summary:
    """An XML report. Raises Rejected: xml, xml_forbidden, xml_depth.

    Document types, entities, comments and processing instructions are refused before any parser sees them: servers
    send none, and they are what XML attacks are made of.
    """
    text = data.rstrip(b"\0")
    if b"<!" in text or b"<?" in text:
        raise Rejected("xml_forbidden")
    try:
        root = ElementTree.fromstring(text_of(text).encode("utf-8", "replace"))  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError) as error:
        raise Rejected("xml", str(error)) from None
    if root.tag != "statistics":
        raise Rejected("xml", f"the root is {root.tag[:40]!r} and not statistics")
    return _summary(root.attrib, _groups(root, 0))


def parse_summary_json(data: bytes) -> Summary:
    """A JSON report (v6). Raises Rejected: json, xml_depth."""
    outer = parse_json(data.rstrip(b"\0"))
    inner = outer.get("statistics") if isinstance(outer, dict) else None
    if not isinstance(inner, dict):
        raise Rejected("json", "statistics is no object")
    stats = {key.removeprefix("stats_"): value for key, value in inner.items() if key.startswith("stats_")}
    return _summary({k: str(v) for k, v in inner.items() if isinstance(v, str | int | float)}, stats)


def _summary(attributes: dict[str, str], stats: dict[str, Any]) -> Summary:
    get = attributes.get
    return Summary(
        number_of(get("tod")), number_of(get("tos")), get("src") or None, get("pgm") or None, get("ins") or None,
        number_of(get("pid")), get("site") or None, get("ver") or None, stats,
    )  # fmt: skip


def _groups(element: ElementTree.Element, depth: int) -> dict[str, Any]:
    """Children by tag, ``stats`` by their id. A number beside children (``paths``, ``space``) is called ``count``."""
    if depth > MAX_DEPTH:
        raise Rejected("xml_depth")
    found: dict[str, Any] = {}
    for child in element:
        name = child.get("id", child.tag) if child.tag == "stats" else child.tag
        value: Value = _groups(child, depth + 1) if len(child) else _scalar(child.text)
        if isinstance(value, dict) and (child.text or "").strip():
            value["count"] = _scalar(child.text)
        found[name] = value
    return found


def _scalar(text: str | None) -> int | float | str:
    """A number where it is one; otherwise text, without the literal quotes that paths come in."""
    bare = (text or "").strip()
    number = number_of(bare)
    if number is not None:
        return number
    if len(bare) <= 40 and bare.count(".") == 1 and bare.replace(".", "").isascii() and bare.replace(".", "").isdigit():
        return float(bare)
    return bare.strip('"')
