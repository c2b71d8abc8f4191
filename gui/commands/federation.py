"""`tally federation`: what the records say about use: by server, organisation, week, directory or user."""

from __future__ import annotations

import argparse
import calendar
import dataclasses
import json
import time

from gui.commands import CommandError
from gui.commands.places import add_database_option, open_store
from gui.report import numbers

BY = ("server", "org", "week", "dir", "user")
DAY = 86_400


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    federation = commands.add_parser("federation", help="what the records say about use")
    federation.add_argument("--by", choices=BY, default="server", help="how to group (server)")
    federation.add_argument("--since", metavar="YYYY-MM-DD", help="from this day (UTC)")
    federation.add_argument("--own", action="store_true", help="only what Tally's own tests did")
    federation.add_argument("--foreign", action="store_true", help="only what others did")
    federation.add_argument("--json", action="store_true", help="as JSON")
    add_database_option(federation)
    federation.set_defaults(run=run_federation)


def run_federation(options: argparse.Namespace) -> int:
    """Print the summary."""
    if options.own and options.foreign:
        raise CommandError("--own and --foreign exclude each other; leave both out to see everything.")
    own = True if options.own else False if options.foreign else None
    with open_store(options) as store:
        rows = store.usage(options.by, since=_day(options.since), own=own)
        caches = store.cache_use(since=_day(options.since))
    if options.json:
        print(
            json.dumps(
                {
                    "by": options.by,
                    "rows": [dataclasses.asdict(row) for row in rows],
                    "caches": [dataclasses.asdict(cache) for cache in caches],
                }
            )
        )
        return 0
    if not rows:
        print("No records are loaded yet; run a plan, or: tally load --from …")
        return 0
    title = {"server": "SERVER", "org": "ORGANISATION", "week": "WEEK OF", "dir": "DIRECTORY", "user": "USER"}[
        options.by
    ]
    width = max(len(title), *(len(row.group or numbers.UNKNOWN) for row in rows))
    print(f"{title:<{width}}  {'ACCESSES':>12}  {'READ':>12}  {'VECTOR READ':>12}  {'WRITTEN':>12}  {'OPEN FOR':>14}")
    for row in rows:
        group = row.group or numbers.UNKNOWN
        print(
            f"{group:<{width}}  {numbers.count(row.accesses):>12}  {numbers.size(row.read):>12}  "
            f"{numbers.size(row.readv):>12}  {numbers.size(row.write):>12}  {numbers.duration(row.seconds):>14}"
        )
    for cache in caches:
        total = cache.hit + cache.miss + cache.bypass
        share = numbers.success(cache.hit, total) if total else numbers.UNKNOWN
        print(f"cache {cache.server}: {numbers.size(total)} delivered, {share} from the cache")
    return 0


def _day(text: str | None) -> int:
    """A day as its number since 1970."""
    if text is None:
        return 0
    try:
        parsed = time.strptime(text, "%Y-%m-%d")
    except ValueError:
        raise CommandError(f"--since: expected a day as YYYY-MM-DD, not {text!r}.") from None

    return calendar.timegm(parsed) // DAY
