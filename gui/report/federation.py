"""What the records say about use, as text, CSV or JSON: by server, organisation, week, directory or user."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from gui.report import numbers
from gui.report.table import aligned, harmless, printable
from gui.store import CacheUse, UsageRow
from gui.store.records import UsageGroup

TITLES: dict[UsageGroup, str] = {
    "server": "Cache / origin",
    "org": "Organisation",
    "week": "Week from",
    "dir": "Directory",
    "user": "User",
}
UNKNOWN = "(not told)"


def federation_text(by: UsageGroup, rows: Sequence[UsageRow], caches: Sequence[CacheUse] = ()) -> str:
    """A table for a terminal, with the caches' own account below when there is one."""
    total = sum(row.read + row.readv for row in rows)
    cells = [
        [
            printable(row.group) or UNKNOWN,
            numbers.size(row.read + row.readv),
            f"{100 * (row.read + row.readv) / total:.1f} %" if total else numbers.UNKNOWN,
            numbers.size(row.write),
            numbers.count(row.accesses),
            numbers.count(row.provisional),
            _date(row.first_day),
            _date(row.last_day),
        ]
        for row in rows
    ]
    titles = [[TITLES[by]], ["Data read"], ["Share"], ["Written"], ["Accesses"], ["Never closed"], ["First"], ["Last"]]
    lines = aligned(titles, cells, left=1)
    if not rows:
        lines.append("No records yet: load some with `tally load`, or keep a hub running while collectors publish.")
    if caches:
        heads = [["Cache"], ["Hit"], ["Missed"], ["Bypassed"], ["Hit ratio"], ["Events"]]
        lines += ["", *aligned(heads, [_cache(cache) for cache in caches], left=1)]
    return "\n".join(lines) + "\n"


def federation_csv(by: UsageGroup, rows: Sequence[UsageRow]) -> str:
    """The rows as CSV with a header line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([by, "read", "readv", "write", "accesses", "provisional", "seconds", "first_day", "last_day"])
    for row in rows:
        days = (_date(row.first_day), _date(row.last_day))
        counts = (row.read, row.readv, row.write, row.accesses, row.provisional, row.seconds)
        writer.writerow([harmless(printable(row.group)), *counts, *days])
    return file.getvalue()


def federation_json(by: UsageGroup, rows: Sequence[UsageRow], caches: Sequence[CacheUse] = ()) -> bytes:
    """The rows as JSON, ending with a newline."""
    content = {"schema": 1, "by": by, "rows": rows, "caches": caches}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def hit_ratio(cache: CacheUse) -> float | None:
    """Share of bytes that a cache had already, 0…1; None when it served none."""
    total = cache.hit + cache.miss + cache.bypass
    return cache.hit / total if total else None


def _cache(cache: CacheUse) -> list[str]:
    ratio = hit_ratio(cache)
    return [
        printable(cache.server) or UNKNOWN,
        numbers.size(cache.hit),
        numbers.size(cache.miss),
        numbers.size(cache.bypass),
        numbers.UNKNOWN if ratio is None else f"{100 * ratio:.1f} %",
        numbers.count(cache.events),
    ]


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
