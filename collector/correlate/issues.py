"""Known behaviours of servers that make the numbers of a record differ from what clients did.

Each has a name, given in ``known_issue``; docs/records.md explains each. The name is a possible explanation for
somebody who compares; numbers are never corrected.
"""

from __future__ import annotations

import re

from collector.correlate.incarnation import Access, Incarnation
from collector.wire.maps import Login
from collector.wire.userid import UserId


def known_issues(
    access: Access, inc: Incarnation, userid: UserId | None, login: Login | None, copied: bool
) -> list[str]:
    """The names that apply to an access. `copied`: a third-party copy to this path was reported."""
    found: list[str] = []
    protocol = userid.protocol if userid else None
    operations = access.operations
    nothing_counted = not (access.read or access.readv or access.write) and not (operations and any(operations[:3]))
    if access.closed and nothing_counted and not access.forced and access.writable:
        if protocol in ("http", "https") and before(inc.ident.version if inc.ident else None, (5, 7, 3)):
            found.append("http_put_zero")
        elif protocol == "xroot" and (copied or (login is not None and login.executable == "xrdcp")):
            found.append("tpc_zero")
    if access.forced and nothing_counted and not access.moved and protocol not in ("http", "https"):
        release = login.release if login else None
        if not before(release, (5, 0, 0)) or release is None:
            found.append("pgread_forced")
    if operations is not None and operations[2] and operations[10] > operations[11]:
        found.append("page_checksums")
    if not access.closed and no_closes(inc):
        found.append("fstat_no_xfr")
    return found


def no_closes(inc: Incarnation) -> bool:
    """Whether a server seems to send no closes at all: ``fstat`` without ``xfr`` (format reference, section 6.8).

    A disconnect alone says nothing, since many sessions open no file: it counts when files of its session are left
    open. Where no sessions are reported (no ``user``), only many of both are significant.
    """
    if inc.closes:
        return False
    return inc.unclosed >= 4 or (not inc.sessions_seen and min(inc.opens, inc.disconnects) >= 20)


def before(version: str | None, limit: tuple[int, int, int]) -> bool:
    """Whether a version such as ``v5.5.3`` is below `limit`; an unknown version counts as below."""
    match = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version or "")
    if match is None:
        return True
    return tuple(int(part or 0) for part in match.groups()) < limit
