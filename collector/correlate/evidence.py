"""The evidence of each server process, for the status message: what never came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.correlate.incarnation import Incarnation
from collector.records.text import clean_text

MAX_PROCESSES = 2000
"""Processes told of, those heard last. (The message goes out every few seconds, and readers take at most 16 MiB.)"""
MAX_LOSSES = 20_000
"""Gaps told of in one message; beyond it each process tells fewer of its own, the newest."""
LEAST_LOSSES = 5


def evidence(processes: Iterable[Incarnation]) -> list[dict[str, Any]]:
    """What `shoveler.service.ServerProcess` says, as plain values; oldest first."""
    told = sorted(processes, key=lambda inc: inc.last)[-MAX_PROCESSES:]
    losing = sum(1 for inc in told if inc.gaps)
    limit = max(LEAST_LOSSES, MAX_LOSSES // max(losing, 1))
    return [_process(inc, limit) for inc in told]


def _process(inc: Incarnation, limit: int) -> dict[str, Any]:
    ident = inc.ident
    return {
        "sender": inc.remote,
        "sid": str(inc.sid),
        "stod": inc.stod,
        "host": clean_text(inc.host or ""),
        "port": (ident.port if ident else None) or 0,
        "instance": clean_text((ident.instance if ident else None) or ""),
        "last": inc.last,
        "ended": inc.ended,
        "gaps": [{"class": class_, "stod": inc.stod, **gap._asdict()} for class_, gap in inc.gaps[-limit:]],
    }
