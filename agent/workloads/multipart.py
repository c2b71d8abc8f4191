"""The pieces of an answer to a request for several byte ranges (``multipart/byteranges``, RFC 9110 14.6). Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BOUNDARY: Final = re.compile(r'multipart/byteranges\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_RANGE: Final = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)", re.IGNORECASE)


class Piece(NamedTuple):
    """A range of a file."""

    offset: int
    data: memoryview


def content_range(text: str) -> tuple[int, int] | None:
    """(offset, size) of a ``Content-Range``; None if it is none."""
    match = _RANGE.match(text.strip())
    if match is None or int(match.group(2)) < int(match.group(1)):
        return None
    return int(match.group(1)), int(match.group(2)) - int(match.group(1)) + 1


def pieces(content_type: str, body: bytes) -> list[Piece]:
    """The ranges in a body of this type, in its order. ValueError, with a reason, when it is not what it says."""
    match = _BOUNDARY.match(content_type.strip())
    if match is None:
        raise ValueError(f"its type is {content_type[:80] or 'not given'!r}")
    mark = b"--" + (match.group(1) or match.group(2)).encode("latin-1")
    view = memoryview(body)
    found: list[Piece] = []
    place = body.find(mark)
    while place >= 0:
        place += len(mark)
        if body.startswith(b"--", place):
            return found
        head = body.find(b"\r\n\r\n", place)
        if head < 0:
            break
        known = _range_of(body[place:head])
        if known is None:
            raise ValueError("a part of it has no Content-Range")
        offset, size = known
        begin = head + 4
        if begin + size > len(body):
            break
        found.append(Piece(offset, view[begin : begin + size]))
        # By its length, not by the next boundary: the file may contain that text.
        place = body.find(mark, begin + size)
    raise ValueError("it ends in the middle")


def _range_of(head: bytes) -> tuple[int, int] | None:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-range":
            return content_range(value)
    return None
