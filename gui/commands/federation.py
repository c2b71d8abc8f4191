"""`tally federation`: how the federation was used, by server, organisation, week, directory or user."""

from __future__ import annotations

import argparse
import calendar
import difflib
import sys
import time
from collections.abc import Iterable
from typing import cast

from gui.commands import CommandError
from gui.commands.remote import add_place_options, open_results
from gui.report import Federation, federation_csv, federation_json, federation_text, limited
from gui.store import Store, host_of
from gui.store.records import LAST_DAY, UsageGroup

BY: tuple[UsageGroup, ...] = ("server", "org", "week", "dir", "user")
DAY = 86_400
NEAREST = 5


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    federation = commands.add_parser(
        "federation",
        help="sum up how the federation was used",
        description="Sums up use from the loaded records: how much was read and written, by whom, and from which "
        "caches and origins.",
    )
    federation.add_argument(
        "--by",
        default="server",
        metavar="WHAT[,WHAT]",
        help=f"group by one or two of {', '.join(BY)} (default: server)",
    )
    federation.add_argument("--since", metavar="YYYY-MM-DD", help="from this day (UTC)")
    federation.add_argument("--until", metavar="YYYY-MM-DD", help="up to and including this day (UTC)")
    federation.add_argument("--cache", default="", metavar="NAME", help="only this server, cache or origin")
    federation.add_argument("--limit", type=int, metavar="N", help="show the first N groups, and the rest in one line")
    federation.add_argument("--ports", action="store_true", help="list servers on one host separately, by port")
    whose = federation.add_mutually_exclusive_group()
    whose.add_argument("--own", action="store_true", help="only accesses made by Tally's own tests")
    whose.add_argument("--foreign", action="store_true", help="only accesses made by others")
    form = federation.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--csv", action="store_true", help="as CSV; with --by server it includes the caches' own figures")
    add_place_options(federation, "sum up the records")
    federation.set_defaults(run=run_federation)


def run_federation(options: argparse.Namespace) -> int:
    """Print the summary."""
    by, then = _groups(options.by)
    since, until = _day("--since", options.since, 0), _day("--until", options.until, LAST_DAY)
    if until < since:
        raise CommandError(f"--until {options.until} is before --since {options.since}; change one of them.")
    if options.limit is not None and options.limit < 1:
        raise CommandError(f"--limit: expected a number of at least 1, not {options.limit}.")
    if options.ports and "server" not in (by, then):
        raise CommandError("--ports needs grouping by server: add --by server.")
    own = True if options.own else False if options.foreign else None
    with open_results(options, use=True) as store:
        if options.cache:
            _must_be_known(store, options.cache)
        federation = Federation(
            by,
            store.usage(by, then, since=since, until=until, own=own, server=options.cache, ports=options.ports),
            # Cache events do not say which test they belong to.
            () if options.own else store.cache_use(since=since, until=until, server=options.cache),
            then,
            store.usage_names(since=since, until=until, own=own, server=options.cache),
            narrowed=_narrowed(options),
        )
    if options.limit is not None:
        federation = limited(federation, options.limit)
    if options.json:
        print(federation_json(federation).decode(), end="")
    elif options.csv:
        print(federation_csv(federation), end="")
        _say_what_csv_lacks(federation)
    else:
        print(federation_text(federation), end="")
    return 0


def _narrowed(options: argparse.Namespace) -> tuple[str, ...]:
    """The options, as typed, that leave records out."""
    given = (("--since", options.since), ("--until", options.until), ("--cache", options.cache))
    flags = (("--own", options.own), ("--foreign", options.foreign))
    return tuple(f"{name} {value}" for name, value in given if value) + tuple(name for name, on in flags if on)


def _say_what_csv_lacks(federation: Federation) -> None:
    if federation.left_out:
        more = len(federation.left_out)
        print(
            f"tally federation: {more:,} more group{'s are' if more > 1 else ' is'} left out by --limit",
            file=sys.stderr,
        )
    if federation.caches and (federation.by, federation.then) != ("server", None):
        print("tally federation: for the caches' own figures, use --by server --csv", file=sys.stderr)


def _groups(text: str) -> tuple[UsageGroup, UsageGroup | None]:
    """Parse what to group by: ``org`` or ``org,week``."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in BY:
            raise CommandError(f"--by: expected one or two of {', '.join(BY)}, separated by a comma, not {name!r}.")
    if len(names) > 2 or len(set(names)) < len(names):
        raise CommandError(f"--by: expected one or two different ones of {', '.join(BY)}, not {text!r}.")
    found = cast(list[UsageGroup], names)
    return found[0], found[1] if len(found) > 1 else None


def _must_be_known(store: Store, name: str) -> None:
    """Raise CommandError, naming similar ones, when no record and no cache event is from this server."""
    known = store.usage_names().servers | {cache.server for cache in store.cache_use()}
    if host_of(name) not in known:
        raise CommandError(f"No record is from a server {host_of(name)!r}. {_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    servers = sorted(server for server in known if server)
    if not servers:
        return "No records are loaded yet; run a plan, or: tally load FILE"
    near = difflib.get_close_matches(name, servers, NEAREST, 0.4) or servers[:NEAREST]
    return f"Known servers: {', '.join(near)}{', …' if len(near) < len(servers) else ''}"


def _day(option: str, text: str | None, default: int) -> int:
    """A day as a number of days since 1970."""
    if text is None:
        return default
    try:
        parsed = time.strptime(text, "%Y-%m-%d")
    except ValueError:
        raise CommandError(f"{option}: expected a day as YYYY-MM-DD, not {text!r}.") from None
    return calendar.timegm(parsed) // DAY
