"""The evidence of each server process, for the status message: what never came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.correlate.ids import OPEN
from collector.correlate.incarnation import Incarnation
from collector.records.text import clean_text

MAX_PROCESSES = 2000
"""Processes told of, those heard last. (The message goes out every few seconds, and readers take at most 16 MiB.)"""
MAX_LOSSES = 20_000
"""Gaps told of in one message; beyond it each process tells fewer of its own, the newest."""
LEAST_LOSSES = 5
PENDING = 2.0
"""Seconds after which a number that has not come is told of as missing. (Records wait longer for it: they are written
once, and this is only what is known now; whoever asks after the last request will not ask again.)"""


def evidence(processes: Iterable[Incarnation], now: float) -> list[dict[str, Any]]:
    """What `shoveler.service.ServerProcess` says, as plain values; oldest first."""
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
        "gaps": [{"class": class_, "stod": inc.stod, **gap._asdict()} for class_, gap in gaps],
        "missing_ids": {kind: ranges[-limit:] for kind, ranges in missing_ids(inc).items()},
    }


def missing_ids(inc: Incarnation) -> dict[str, list[tuple[int, int]]]:
    """Ranges of ids that were never told, by kind."""
    kinds = [kind for kind, told in (("u", inc.sessions_seen), (OPEN, inc.opens)) if told]
    found = inc.ids.missing(kinds)
    return found | inc.file_ids.missing(kinds) if inc.one_counter else found
