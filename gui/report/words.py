"""Text of others in reports: without signs that steer a terminal or turn the direction of writing, and bounded.

Names, paths and messages come from agents, servers, plans and bundles; whatever shows them passes them through here.
JSON alone has them whole, with what cannot be printed escaped.
"""

from __future__ import annotations

import json
import re

import msgspec

BOUND = 1000
"""Characters of a path or a message that a page shows; the lists in full have them whole."""
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


def printable(text: str) -> str:
    """The text with ``·`` for each sign that is not for the eye: escapes, line ends, marks of writing direction."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def bounded(text: str, limit: int = BOUND) -> str:
    """Printable, and the middle left out where it is longer than `limit`: both ends of a path tell most."""
    text = printable(text)
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"


def to_json(content: object, *, lines: bool = False) -> bytes:
    """JSON that a terminal can be shown: whatever steers one is escaped. Indented, or on one line with `lines`; ends
    with a newline."""
    encoded = msgspec.json.encode(content)
    if not lines:
        encoded = msgspec.json.format(encoded, indent=1)
    # Such signs are in strings only, where an escape is the same as the sign itself.
    return _NOT_ASCII.sub(_escaped, encoded.decode()).encode() + b"\n"


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    return sign if sign.isprintable() else json.dumps(sign)[1:-1]
