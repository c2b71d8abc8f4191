"""`tally federation`: what the records say about use: by server, organisation, week, directory or user."""

from __future__ import annotations

import argparse
import calendar
import time

from gui.commands import CommandError
from gui.commands.places import add_database_option, open_to_read
from gui.report import federation_csv, federation_json, federation_text

BY = ("server", "org", "week", "dir", "user")
DAY = 86_400


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    federation = commands.add_parser("federation", help="what the records say about use")
    federation.add_argument("--by", choices=BY, default="server", help="how to group (server)")
    federation.add_argument("--since", metavar="YYYY-MM-DD", help="from this day (UTC)")
    federation.add_argument("--own", action="store_true", help="only what Tally's own tests did")
    federation.add_argument("--foreign", action="store_true", help="only what others did")
    federation.add_argument("--json", action="store_true", help="as JSON")
    federation.add_argument("--csv", action="store_true", help="as CSV")
    add_database_option(federation)
    federation.set_defaults(run=run_federation)


def run_federation(options: argparse.Namespace) -> int:
    """Print the summary."""
    if options.own and options.foreign:
        raise CommandError("--own and --foreign exclude each other; leave both out to see everything.")
    own = True if options.own else False if options.foreign else None
    with open_to_read(options) as store:
        rows = store.usage(options.by, since=_day(options.since), own=own)
        caches = store.cache_use(since=_day(options.since))
    if options.json:
        print(federation_json(options.by, rows, caches).decode())
    elif options.csv:
        print(federation_csv(options.by, rows), end="")
    elif not rows:
        print("No records are loaded yet; run a plan, or: tally load --from …")
    else:
        print(federation_text(options.by, rows, caches), end="")
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
