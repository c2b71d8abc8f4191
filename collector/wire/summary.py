"""Summary reports (``xrd.report``): all counters of a server at once, as XML or JSON (format reference, section 10)."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

from collector.wire.header import RejectedError, text_of
from collector.wire.jsontext import parse_json
from collector.wire.maps import number_of

MAX_DEPTH = 12
_LARGEST = (1 << 64) - 1

_MAX_BAD = 20
"""Number of unreadable groups after which the rest is ignored: servers have fewer groups than that."""

_DIGIT_MARK = "digit-"
_DIGIT_NAME = re.compile(r"<(/?)([\d.-][\w.-]*)(?=[\s/>])")
"""An element whose name begins with a digit: not XML, but the name of an HTTP status counter in 6.0.0 to 6.1.0. Nor may
names begin with a dot or a minus."""
_STRAY = {0xDC00 + byte: 0x10F700 + byte for byte in range(0x80, 0x100)}
"""Surrogates, which stand for bytes that are not UTF-8 and which no XML parser accepts → private-use characters."""
_FROM_STRAY = {private: surrogate for surrogate, private in _STRAY.items()}
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)")
_ROOT = re.compile(r"""\s*<statistics\b((?:[^>"']|"[^"]*"|'[^']*')*+)>|\s*<statistics\b([^>]*)>""")
# the rest is searched for once per name, not once per letter of it: reports may come from an attacker
_ATTRIBUTE = re.compile(r"""(?<![\w.-])([\w.-]+)=(?:"([^"]*)"|'([^']*)')""")
# groups in groups (the paths of oss, the nodes of a cluster) are numbered
_GROUP = re.compile(r"""<stats\s(?:[^<>]*\s)?id=["'](?!\d)[^<>]*>""")
_GROUP_TAG = re.compile(r"<stats\b[^<>]*(?<!/)>|</stats>")

_FRACTION = re.compile(r"[+-]?(?=\.?\d)\d*(?:\.\d*(?:[eE][+-]\d{2,3})?|[eE][+-]\d{2,3})", re.ASCII)
_TEXTS = frozenset({"host", "name"})
"""Elements that are text, even if it is all digits."""

_JSON_GROUP = re.compile(rb'"stats_(\w{1,64})"\s*:\s*(?=\{)')
_JSON_ATTRIBUTE = re.compile(rb'"(tod|ver|src|tos|pgm|ins|pid|site)"\s*:\s*("[^"]*"|\d+)')
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}]')

Value = int | float | str


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
    problems: tuple[str, ...] = ()
    """Reasons why parts of it are not in `stats`."""


def parse_summary_xml(data: bytes) -> Summary:
    """An XML report. Raises RejectedError: xml, xml_forbidden, xml_depth.

    Real servers send text that is not XML: elements named ``<200>`` (6.0.0 to 6.1.0 with HTTP), a bare ``&`` in a site
    name, a group that is not closed. Known errors are corrected; a group that still cannot be read is left out and
    named in `problems`, and the other groups are kept.

    Document types, entities, comments and processing instructions are refused before any parser sees them: servers send
    none, and XML attacks use them.
    """
    text = data.rstrip(b"\0")
    if b"<!" in text or b"<?" in text:
        raise RejectedError("xml_forbidden")
    report = _repaired(text_of(text).translate(_STRAY))
    try:
        root = ElementTree.fromstring(report)  # noqa: S314 - see above
        if root.tag == "statistics":
            return _summary(root.attrib, _groups(root, 0))
    except RejectedError as too_deep:
        return _group_by_group(report, too_deep)
    except (ElementTree.ParseError, ValueError) as error:
        return _group_by_group(report, RejectedError("xml", str(error)))
    raise RejectedError("xml", f"the root is {root.tag[:40]!r}, not statistics")


def _repaired(text: str) -> str:
    return _DIGIT_NAME.sub(rf"<\1{_DIGIT_MARK}\2", _BARE_AMPERSAND.sub("&amp;", text))


def _group_by_group(report: str, reason: RejectedError) -> Summary:
    """Every group that can be read by itself, of a report that cannot be read as a whole. Raises `reason` if there is
    none."""
    root = _ROOT.match(report)
    if root is None:
        raise reason
    stats: dict[str, Any] = {}
    problems: list[str] = []
    place = root.end()
    while len(problems) < _MAX_BAD and (start := _GROUP.search(report, place)) is not None:
        end = start.end() if start[0].endswith("/>") else _end_of_group(report, start.end())
        try:
            group = ElementTree.fromstring(report[start.start() : end])  # noqa: S314 - see parse_summary_xml
            stats[group.get("id", group.tag)] = _groups(group, 1)
        except RejectedError as rejected:
            problems.append(rejected.reason)
        except (ElementTree.ParseError, ValueError):
            problems.append("xml_group")
        place = end if end is not None else start.end()
    if not stats:
        raise reason
    found = _ATTRIBUTE.findall(root[1] or root[2] or "")
    attributes = {name: unescape(double or single) for name, double, single in found}
    # malformed text outside all groups damages none of them, but is still an error
    return _summary(attributes, stats)._replace(problems=tuple(problems) or ("xml_group",))


def _end_of_group(report: str, place: int) -> int | None:
    """Where the group ends whose start tag ends at `place`; groups may hold groups. None: it is not closed."""
    depth = 1
    for tag in _GROUP_TAG.finditer(report, place):
        depth += -1 if tag[0].startswith("</") else 1
        if depth == 0:
            return tag.end()
    return None


def parse_summary_json(data: bytes) -> Summary:
    """A JSON report (v6). Raises RejectedError: json.

    As in XML, where a group cannot be read the others are kept, and the reason is in `problems`.
    """
    try:
        outer = parse_json(data.rstrip(b"\0"))
    except RejectedError as rejected:
        return _json_by_group(data, rejected)
    inner = outer.get("statistics") if isinstance(outer, dict) else None
    if not isinstance(inner, dict):
        raise RejectedError("json", "statistics is not an object")
    stats = {key.removeprefix("stats_"): value for key, value in inner.items() if key.startswith("stats_")}
    return _summary({k: str(v) for k, v in inner.items() if isinstance(v, str | int | float)}, stats)


def _json_by_group(data: bytes, reason: RejectedError) -> Summary:
    """Every group that can be read by itself, of a JSON report that cannot be as a whole. Raises `reason`: there is
    none.
    """
    stats: dict[str, Any] = {}
    problems: list[str] = []
    place, first = 0, len(data)
    while len(problems) < _MAX_BAD and (head := _JSON_GROUP.search(data, place)) is not None:
        first, place = min(first, head.start()), _end_of_object(data, head.end())
        try:
            stats[text_of(head[1])] = parse_json(data[head.end() : place])
        except RejectedError:
            problems.append("json_group")
    if not stats:
        raise reason
    attributes = {text_of(name): text_of(value.strip(b'"')) for name, value in _JSON_ATTRIBUTE.findall(data[:first])}
    return _summary(attributes, stats)._replace(problems=tuple(problems) or ("json_group",))


def _end_of_object(data: bytes, place: int) -> int:
    """Where the JSON object ends that begins at `place`; the place behind its brace when it never does."""
    depth = 0
    for token in _JSON_TOKEN.finditer(data, place):
        depth += {b"{": 1, b"}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return place + 1


def _summary(attributes: dict[str, str], stats: dict[str, Any]) -> Summary:
    def get(name: str) -> str:
        return attributes.get(name, "").translate(_FROM_STRAY)

    return Summary(
        number_of(get("tod")), number_of(get("tos")), get("src") or None, get("pgm") or None, get("ins") or None,
        number_of(get("pid")), get("site") or None, get("ver") or None, stats,
    )  # fmt: skip


def _groups(element: ElementTree.Element, depth: int) -> dict[str, Any]:
    """Children by tag, ``stats`` by their id. A number beside children (``paths``, ``space``) is called ``count``."""
    if depth > MAX_DEPTH:
        raise RejectedError("xml_depth")
    found: dict[str, Any] = {}
    for child in element:
        name = child.get("id", child.tag) if child.tag == "stats" else child.tag.removeprefix(_DIGIT_MARK)
        number = _plain(child.text) if child.tag in _TEXTS else _scalar(child.text)
        if not len(child):
            if number not in (None, ""):
                found[name] = number
            elif child.tag == "stats":
                found[name] = {}
            continue
        found[name] = _groups(child, depth + 1)
        if number not in (None, ""):
            found[name]["count"] = number
    return found


def _scalar(text: str | None) -> Value | None:
    """A number if it is one; otherwise text, without the literal quotes around paths. None: a number too large for a
    counter, so that a field is a number or absent.
    """
    bare = (text or "").strip()
    number = bare.rstrip("> ")  # caches before 5.7 write <hits>5></hits>
    digits = number[1:] if number[:1] in ("+", "-") else number
    if digits.isdigit() and digits.isascii():
        digits = digits.lstrip("0") or "0"
        value = int(digits) if len(digits) <= 20 else _LARGEST + 1
        value = -value if number[0] == "-" else value
        return value if -(1 << 63) <= value <= _LARGEST else None
    if len(number) <= 40 and _FRACTION.fullmatch(number):
        fraction = float(number)
        return fraction if math.isfinite(fraction) else None
    return _plain(text)


def _plain(text: str | None) -> str:
    return (text or "").strip().strip('"').translate(_FROM_STRAY)
