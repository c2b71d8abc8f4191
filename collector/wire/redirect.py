"""The r-stream: where clients were sent (format reference, section 8)."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from collector.wire.header import RejectedError, text_of

LOW_48 = (1 << 48) - 1

OPERATIONS = {
    0x01: "chmod",
    0x02: "locate",
    0x03: "opendir",
    0x04: "open_create",
    0x05: "open_read",
    0x06: "open_write",
    0x07: "mkdir",
    0x08: "mv",
    0x09: "prep",
    0x0A: "query",
    0x0B: "rm",
    0x0C: "rmdir",
    0x0D: "stat",
    0x0E: "trunc",
}


class Redirect(NamedTuple):
    """One redirection, within [begin, end]. `port` is the target's only when `local`; otherwise the redirector's own.

    `host` is empty when the target is a file of this host. `operation` is None for a number not in `OPERATIONS`.
    """

    begin: int
    end: int
    local: bool
    operation: str | None
    port: int
    user: int
    host: str
    path: str


class Redirects(NamedTuple):
    sid: int
    redirects: list[Redirect]
    problems: list[str]


_SLOT = Struct(">BBHI")
_SID = Struct(">Q")


def parse_redirects(data: bytes, end: int) -> Redirects:
    """An r-stream datagram after its header. Raises RejectedError: short, no_server. Reading ends at a bad slot."""
    if end < 16:
        raise RejectedError("short", f"an r-stream datagram of {end} bytes has no server")
    (field,) = _SID.unpack_from(data, 8)
    if field >> 56 != 0xF0:
        raise RejectedError("no_server", "the second field of an r-stream datagram must name the server")
    found: list[tuple[int | None, bool, str | None, int, int, str, str]] = []
    redirects: list[Redirect] = []
    problems: list[str] = []
    begin: int | None = None
    offset = 16
    while offset + 8 <= end:
        kind, count, port, user = _SLOT.unpack_from(data, offset)
        if kind == 0x00:
            mark = user
            redirects += [Redirect(mark if b is None else b, mark, *rest) for b, *rest in found]  # type: ignore[arg-type]
            found.clear()
            begin = mark
            offset += 8
        elif kind & 0xF0 in (0x80, 0x90):
            text_end = offset + 8 + 8 * count
            if text_end > end:
                problems.append("record_size")
                break
            host, path = _target(text_of(data[offset + 8 : text_end].partition(b"\0")[0]))
            found.append((begin, kind & 0xF0 == 0x90, OPERATIONS.get(kind & 0x0F), port, user, host, path))
            offset = text_end
        else:
            problems.append("record_type")
            break
    else:
        if offset < end:
            problems.append("record_size")
    if found and begin is None:
        problems.append("no_window")
    elif found:  # the closing mark is missing: only the opening one is known
        redirects += [Redirect(begin, begin, *rest) for _, *rest in found]  # type: ignore[arg-type]
    return Redirects(field & LOW_48, redirects, problems)


def _target(text: str) -> tuple[str, str]:
    """``host:path`` at the first colon after an optional ``[…]``."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if bracket and rest.startswith(":"):
            return host[1:], rest[1:]
    host, colon, path = text.partition(":")
    return (host, path) if colon else ("", text)
