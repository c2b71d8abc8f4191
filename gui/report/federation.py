"""What the records say about use, as text, CSV or JSON: by server, organisation, week, directory or user, or two of
them. Amounts are in decimal units, as federations speak of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gui.report import numbers
from gui.report.communities import Communities, communities, plural, told
from gui.report.table import aligned, harmless, printable
from gui.store import CacheUse, UsageNames, UsageRow
from gui.store.records import UsageGroup

SCHEMA = 2

TITLES: dict[UsageGroup, str] = {
    "server": "Cache / origin",
    "org": "Organisation",
    "week": "Week from",
    "dir": "Directory",
    "user": "User",
}
UNKNOWN = "(not told)"
NO_NAMES = UsageNames(frozenset(), frozenset(), frozenset())

_SUMS = ("read", "readv", "write", "accesses", "provisional", "seconds")
_CACHE_SUMS = ("cache_events", "cache_hit", "cache_missed", "cache_bypassed")


@dataclass(frozen=True, slots=True)
class Federation:
    """A summary of use. `rows` are grouped by `by` and, where it is given, by `then`."""

    by: UsageGroup
    rows: Sequence[UsageRow]
    caches: Sequence[CacheUse] = ()
    then: UsageGroup | None = None
    names: UsageNames = NO_NAMES
    left_out: Sequence[UsageRow] = ()
    """What `limited` has taken off `rows`."""
    narrowed: Sequence[str] = ()
    """The options, as they are typed, that left records out."""

    @property
    def total(self) -> UsageRow:
        """All groups together, those that are left out too."""
        return _sum("", [*self.rows, *self.left_out])


def limited(federation: Federation, limit: int) -> Federation:
    """The first `limit` groups; the others are summed up in one line."""
    return replace(federation, rows=federation.rows[:limit], left_out=federation.rows[limit:])


def federation_text(federation: Federation) -> str:
    """Totals and a table for a terminal, with the caches' own account below when there is one."""
    lines: list[str] = []
    if not federation.rows and not federation.caches:
        if federation.narrowed:
            return f"No record matches {' '.join(federation.narrowed)}; leave some of that out to see others.\n"
        return "No records yet: load some with `tally load`, or keep a hub running while collectors publish.\n"
    if federation.rows:
        total = federation.total
        lines += [headline(federation), "", *_table(federation, total.read + total.readv)]
    if federation.caches:
        heads = [["Cache"], ["Hit"], ["Missed"], ["Bypassed"], ["Hit ratio"], ["Events"]]
        table = aligned(heads, [_cache(cache) for cache in federation.caches], left=1)
        lines += ["", *table] if lines else table
    return "\n".join(lines) + "\n"


def headline(federation: Federation) -> str:
    """The line of totals: how much, by whom, from where, and when."""
    total, names = federation.total, federation.names
    read, written = numbers.volume(total.read + total.readv), numbers.volume(total.write)
    accesses = plural(total.accesses, "access", "accesses")
    servers = plural(len(names.servers), "server")
    sites = len(names.sites - {""})
    where = f"{servers} at {plural(sites, 'site')}" if sites else servers
    days = f"{_date(total.first_day)} to {_date(total.last_day)}"
    return f"{read} read and {written} written in {accesses}: {_who(federation)}; {where}; {days}"


def federation_csv(federation: Federation) -> str:
    """The groups as CSV with a header line. By server alone, each row also has what cache events say of that server."""
    by, then = federation.by, federation.then
    with_caches = by == "server" and then is None
    caches = {cache.server: cache for cache in federation.caches} if with_caches else {}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    groups = [by, *([then] if then else [])]
    writer.writerow([*groups, *_SUMS, "first_day", "last_day", *(_CACHE_SUMS if with_caches else ())])
    for row in federation.rows:
        sums = [getattr(row, name) for name in _SUMS]
        cells = [*_names(row, then), *sums, _date(row.first_day), _date(row.last_day)]
        writer.writerow(cells + (_cache_cells(caches.pop(row.group, None)) if with_caches else []))
    left_out = {row.group for row in federation.left_out}
    for cache in caches.values():
        if cache.server not in left_out:
            nothing = [0] * len(_SUMS)
            writer.writerow([harmless(printable(cache.server)), *nothing, "", "", *_cache_cells(cache)])
    return file.getvalue()


def federation_json(federation: Federation) -> bytes:
    """Everything as JSON, ending with a newline."""
    who, names, total = communities(federation.names), federation.names, federation.total
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "by": federation.by,
        **({"then": federation.then} if federation.then else {}),
        "totals": {
            **{name: getattr(total, name) for name in _SUMS},
            "researchers": who.researchers,
            "collaborations": who.collaborations,
            "campuses": who.campuses,
            "at_least": who.more,
            "servers": len(names.servers),
            "sites": len(names.sites - {""}),
            "first_day": _date(total.first_day) if federation.rows else None,
            "last_day": _date(total.last_day) if federation.rows else None,
        },
        "rows": [_json_row(row, federation.then) for row in federation.rows],
        "left_out": {"groups": len(federation.left_out), **_json_sums(_sum("", federation.left_out))},
        "caches": [{**msgspec.to_builtins(cache), "hit_ratio": hit_ratio(cache)} for cache in federation.caches],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def hit_ratio(cache: CacheUse) -> float | None:
    """Share of bytes that a cache had already, 0…1; None when it served none."""
    total = cache.hit + cache.miss + cache.bypass
    return cache.hit / total if total else None


def _who(federation: Federation) -> str:
    if not federation.names.owners:
        return "only tests of Tally"
    who: Communities = communities(federation.names)
    sites = len(federation.names.sites - {""})
    by_site = not who.campuses and bool(sites)
    campuses = plural(sites if by_site else who.campuses, "campus", "campuses")
    counts = told(
        [
            plural(who.researchers, "researcher"),
            plural(who.collaborations, "collaboration"),
            f"{campuses} (by the servers' sites)" if by_site else campuses,
        ]
    )
    return f"at least {counts}" if who.more else counts


def _table(federation: Federation, read: int) -> list[str]:
    then = federation.then
    cells = [_cells(_names(row, then, for_people=True), row, read) for row in federation.rows]
    if federation.left_out:
        name = f"({plural(len(federation.left_out), 'other')})"
        cells.append(_cells([name, *([""] if then else [])], _sum("", federation.left_out), read))
    groups = [[TITLES[federation.by]], *([[TITLES[then]]] if then else [])]
    titles = [*groups, ["Data read"], ["Share"], ["Written"], ["Accesses"], ["Never closed"], ["First"], ["Last"]]
    return aligned(titles, cells, left=len(groups))


def _cells(names: list[str], row: UsageRow, read: int) -> list[str]:
    mine = row.read + row.readv
    return [
        *names,
        numbers.volume(mine),
        f"{100 * mine / read:.1f} %" if read else numbers.UNKNOWN,
        numbers.volume(row.write),
        numbers.count(row.accesses),
        numbers.count(row.provisional),
        _date(row.first_day),
        _date(row.last_day),
    ]


def _names(row: UsageRow, then: UsageGroup | None, *, for_people: bool = False) -> list[Any]:
    names = [printable(name) for name in ([row.group, row.then] if then else [row.group])]
    return [name or UNKNOWN for name in names] if for_people else [harmless(name) for name in names]


def _json_row(row: UsageRow, then: UsageGroup | None) -> dict[str, Any]:
    groups = {"group": row.group, **({"then": row.then} if then else {})}
    return {**groups, **_json_sums(row), "first_day": _date(row.first_day), "last_day": _date(row.last_day)}


def _json_sums(row: UsageRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SUMS}


def _sum(name: str, rows: Sequence[UsageRow]) -> UsageRow:
    return UsageRow(
        name,
        sum(row.accesses for row in rows),
        sum(row.provisional for row in rows),
        sum(row.read for row in rows),
        sum(row.readv for row in rows),
        sum(row.write for row in rows),
        sum(row.seconds for row in rows),
        min((row.first_day for row in rows), default=0),
        max((row.last_day for row in rows), default=0),
    )


def _cache(cache: CacheUse) -> list[str]:
    ratio = hit_ratio(cache)
    return [
        printable(cache.server) or UNKNOWN,
        numbers.volume(cache.hit),
        numbers.volume(cache.miss),
        numbers.volume(cache.bypass),
        numbers.UNKNOWN if ratio is None else f"{100 * ratio:.1f} %",
        numbers.count(cache.events),
    ]


def _cache_cells(cache: CacheUse | None) -> list[Any]:
    return [""] * len(_CACHE_SUMS) if cache is None else [cache.events, cache.hit, cache.miss, cache.bypass]


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
