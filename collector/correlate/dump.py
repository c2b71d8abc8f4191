"""State as nested plain values, for `dump()`: what an operator looks at when something seems wrong."""

from __future__ import annotations

from itertools import islice
from typing import Any

from collector.correlate.evidence import missing_ids
from collector.correlate.incarnation import Incarnation, OpenFile
from collector.records.text import clean_text
from collector.wire.header import text_of

LIMIT = 100


def dump_incarnation(inc: Incarnation) -> dict[str, Any]:
    """One incarnation; of long lists the first `LIMIT`, beside their full counts."""
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
        "gaps": [{"class": c, **gap._asdict()} for c, gap in inc.gaps[-LIMIT:]],
        "missing_ids": {kind: ranges[-LIMIT:] for kind, ranges in missing_ids(inc).items()},
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
            for session in islice(inc.sessions.values(), LIMIT)
        ],
        "files_count": len(inc.files),
        "files": [_file(inc, file_id) for file_id in islice(inc.files, LIMIT)],
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
