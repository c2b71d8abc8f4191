"""A server's own counters, from the text of its statistics: the answer to a query, or a summary report.

Arithmetic on text, which may come from anybody: it is searched for what is wanted and never parsed as XML, and what is
not a number of bounded length is not there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agent.messages import Throughput

MAX_TEXT = 64 * 1024
OLDEST = 900.0
"""Seconds after which counters are too old for a rate."""

_LINK_XML = re.compile(r'<stats id="link"[^>]{0,200}>(.{0,2000}?)</stats>', re.DOTALL)
_LINK_JSON = re.compile(r'"stats_link"\s{0,20}:\s{0,20}\{(.{0,2000}?)\}', re.DOTALL)
_WORD = re.compile(r'"?\b(tod|tos|pid|src)"?\s{0,20}[=:]\s{0,20}"?([^"<>,{}\s]{1,300})')


class Counters(NamedTuple):
    """The links of one server process. `source` is HOST:PORT as the server says it; `pid` and `started` (Unix seconds)
    name its process; `t` is when it counted, by its own clock."""

    source: str
    pid: int
    started: int
    t: int
    received: int
    sent: int
    connections: int

    @property
    def port(self) -> int:
        """0 if it is not said."""
        return _whole(self.source.rpartition(":")[2])


def counters_in(text: str) -> Counters | None:
    """The counters in a text of statistics, XML or JSON; None if it has none."""
    text = text[:MAX_TEXT]
    if (link := _LINK_XML.search(text)) is not None:
        counts = dict(re.findall(r"<(num|in|out)>([^<]{1,30})<", link[1]))
    elif (link := _LINK_JSON.search(text)) is not None:
        counts = dict(re.findall(r'"(num|in|out)"\s{0,20}:\s{0,20}([^,}]{1,30})', link[1]))
    else:
        return None
    if not {"in", "out"} <= counts.keys():
        return None
    said: dict[str, str] = {}
    for name, value in _WORD.findall(text[: link.start()]):
        said.setdefault(name, value)
    return Counters(
        said.get("src", ""),
        *(_whole(said.get(name, "")) for name in ("pid", "tos", "tod")),
        *(_whole(counts.get(name, "")) for name in ("in", "out", "num")),
    )


def _whole(text: str) -> int:
    text = text.strip()
    return min(int(text), 2**53) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


class Pace:
    """The throughput of one server, from its counters as they come, by query or by report."""

    def __init__(self) -> None:
        self._last: tuple[float, Counters] | None = None
        self.throughput: Throughput | None = None
        """The newest; None before the first counters."""

    @property
    def process(self) -> tuple[int, int, int] | None:
        """Port, pid and start of the server process that the last counters are of."""
        if self._last is None:
            return None
        counters = self._last[1]
        return counters.port, counters.pid, counters.started

    def take(self, counters: Counters, now: float, *, by_report: bool = False) -> None:
        """New counters. `now` (any clock in seconds that only goes forward): when they came."""
        rate, last = (0.0, 0.0, 0.0), self._last
        if last is not None and (last[1].pid, last[1].started) == (counters.pid, counters.started):
            seconds = now - last[0]
            received, sent = counters.received - last[1].received, counters.sent - last[1].sent
            if received < 0 or sent < 0 or seconds < 0.5:
                return  # older than what is known, on its way for longer; or too close to it to tell a rate
            if seconds <= OLDEST:
                rate = received / seconds, sent / seconds, seconds
        self._last = now, counters
        self.throughput = Throughput(
            received=rate[0], sent=rate[1], seconds=rate[2], received_total=counters.received,
            sent_total=counters.sent, connections=counters.connections, by="summary" if by_report else "query",
        )  # fmt: skip

    def moved(self, other: Throughput | None, least: int) -> bool:
        """Whether at least so many bytes went in or out since `other` was said."""
        now = self.throughput
        if now is None or other is None:
            return now is not other
        return (
            abs(now.sent_total - other.sent_total) + abs(now.received_total - other.received_total) >= least
            or bool(other.sent or other.received) != bool(now.sent or now.received)
        )  # fmt: skip
