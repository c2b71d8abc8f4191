"""What is reported about a server process: its evidence for the status message (what never came from it), and
everything, as nested plain values for `dump()`, for an operator when something seems wrong."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from collector.correlate.ids import OPEN
from collector.correlate.incarnation import Incarnation, OpenFile
from collector.correlate.sequence import Gap
from collector.records.text import clean_text
from collector.wire.header import text_of

MAX_PROCESSES = 2000
"""Processes reported, those heard last. (The message goes out every few seconds, and readers take at most 16 MiB.)"""
MAX_LOSSES = 20_000
"""Gaps reported in one message; beyond it only the newest of each process are reported."""
LEAST_LOSSES = 5
DUMPED = 100
"""Items of a long list that a dump shows."""
PENDING = 2.0
"""Seconds after which a number that has not come is reported as missing. (Records wait longer for it, because they are
written once, and this is only what is known now; a caller that asks after the last request will not ask again.)"""


def evidence(processes: Iterable[Incarnation], now: float) -> list[dict[str, Any]]:
    """The content of `shoveler.service.ServerProcess` as plain values; oldest first."""
    told = sorted(processes, key=lambda inc: inc.last)[-MAX_PROCESSES:]
    losing = sum(1 for inc in told if inc.gaps or inc.unsettled or inc.ids.holes or inc.file_ids.holes)
    limit = max(LEAST_LOSSES, MAX_LOSSES // max(losing, 1))
    return [_process(inc, limit, now) for inc in told]


def _process(inc: Incarnation, limit: int, now: float) -> dict[str, Any]:
    ident = inc.ident
    pending = [(class_, gap) for _, class_, tracker in inc.trackers() for gap in tracker.pending(now - PENDING)]
    gaps = [*inc.gaps, *pending][-limit:]
    return {
        "sender": inc.remote,
        "sid": str(inc.sid),
        "stod": inc.stod,
        "host": clean_text(inc.host or ""),
        "port": (ident.port if ident else None) or 0,
        "instance": clean_text((ident.instance if ident else None) or ""),
        "last": inc.last,
        "clock": inc.clock,
        "ended": inc.ended,
        "gaps": [{"class": class_, "stod": inc.stod, **_gap(gap)} for class_, gap in gaps],
        "missing_ids": {kind: ranges[-limit:] for kind, ranges in missing_ids(inc).items()},
    }


def _gap(gap: Gap) -> dict[str, Any]:
    found = gap._asdict()
    if gap.sure:
        del found["sure"]
    return found


def missing_ids(inc: Incarnation) -> dict[str, list[tuple[int, int]]]:
    """Ranges of ids that were never reported, by kind."""
    kinds = [kind for kind, told in (("u", inc.sessions_seen), (OPEN, inc.opens)) if told]
    found = inc.ids.missing(kinds)
    return found | inc.file_ids.missing(kinds) if inc.one_counter else found


def dump_incarnation(inc: Incarnation) -> dict[str, Any]:
    """One incarnation; of long lists the first `DUMPED`, beside their full counts."""
    return {
        "sid": inc.sid,
        "stod": inc.stod,
        "addresses": sorted(inc.addresses),
        "senders": sorted(route[0] for route in inc.routes),
        "host": inc.host,
        "pid": inc.pid,
        "ident": inc.ident._asdict() if inc.ident else None,
        "shoveler": inc.shoveler,
        "first": inc.first,
        "alive": inc.alive,
        "clock": inc.clock,
        "datagrams": inc.heard,
        "heard_from_start": inc.from_start,
        "dead_since": inc.dead_since,
        "unsettled": inc.unsettled,
        "gaps": [{"class": c, **_gap(gap)} for c, gap in inc.gaps[-DUMPED:]],
        "missing_ids": {kind: ranges[-DUMPED:] for kind, ranges in missing_ids(inc).items()},
        "opens": inc.opens,
        "closes": inc.closes,
        "disconnects": inc.disconnects,
        "sessions_count": len(inc.sessions),
        "sessions": [
            {
                "dictid": session.dictid,
                "userid": clean_text(session.userid.text),
                "appinfo": clean_text(session.infos.last() or "") or None,
                "seen": session.seen,
                "gone": session.gone or None,
            }
            for session in islice(inc.sessions.values(), DUMPED)
        ],
        "files_count": len(inc.files),
        "files": [_file(inc, file_id) for file_id in islice(inc.files, DUMPED)],
        "given_up": len(inc.given_up),
        "paths": len(inc.paths),
        "held": {
            "for_open_or_path": len(inc.wait_file),
            "for_session": sum(map(len, inc.wait_session.values())),
            "for_server_or_missing_datagrams": len(inc.wait_server),
        },
    }


def _file(inc: Incarnation, file_id: int) -> dict[str, Any]:
    entry = OpenFile._make(inc.files[file_id])
    moved = inc.moved.get(file_id)
    return {
        "file_id": file_id,
        "user": entry.user,
        "path": clean_text(text_of(entry.path)) if entry.path else None,
        "size": entry.size,
        "start": entry.start,
        "seen": entry.seen,
        "moved": [moved.read, moved.readv, moved.write] if moved else None,
    }
