"""`tally vacuum`: remove old runs of a workspace, by age or size, now or every day, and give their space back."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from gui.commands import CommandError
from gui.commands.places import add_database_option, open_to_change, open_to_read
from gui.runner.ownership import holder
from gui.runner.retention import Limits, last_turn, limits_of, removable, remove_beyond, set_limits, too_old
from gui.store import RunEntry, Store
from shoveler.values.quantities import about_size, parse_duration, parse_size


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    vacuum = commands.add_parser(
        "vacuum",
        help="remove old runs and give their disk space back",
        description="Removes runs by age and size, the oldest first, and gives the disk space of deleted rows back. "
        "The baseline, a run under way, tags, daily sums and keys are kept. Without options it removes no run. With "
        "--daily, a hub or a window that has this workspace open removes what is beyond the limits once a day; new "
        "rows then use the space. To save runs as bundles first, use: tally runs export",
    )
    vacuum.add_argument("--older-than", metavar="TIME", help="remove runs that ended longer ago than this: 90d, 12w")
    vacuum.add_argument(
        "--max-size", metavar="SIZE", help="remove the oldest runs until the database is no larger than this: 10G"
    )
    vacuum.add_argument(
        "--daily",
        action=argparse.BooleanOptionalAction,
        help="also keep these limits every day from now on (--no-daily: no longer)",
    )
    vacuum.add_argument(
        "--dry-run", action="store_true", help="only show what would be removed, with these limits or the daily ones"
    )
    vacuum.add_argument("--json", action="store_true", help="with --dry-run: as JSON")
    add_database_option(vacuum)
    vacuum.set_defaults(run=run_vacuum)


def run_vacuum(options: argparse.Namespace) -> int:
    """Remove runs beyond the age or size limit, then compact. Exit code 1 when the size could not be reached."""
    limits = Limits(
        _parsed("--older-than", options.older_than, parse_duration),
        _parsed("--max-size", options.max_size, parse_size),
    )
    if options.daily and not limits.any:
        raise CommandError("--daily keeps --older-than or --max-size from now on; give one of them.")
    if options.json and not options.dry_run:
        raise CommandError("--json is for --dry-run.")
    if options.dry_run and options.daily is not None:
        raise CommandError("--dry-run changes nothing; leave out --daily.")
    now = time.time()
    with open_to_read(options) if options.dry_run else open_to_change(options) as store:
        database = store.database
        if limits.max_size is not None and not database.is_sqlite:
            raise CommandError("PostgreSQL keeps the space of deleted rows for new ones; use --older-than instead.")
        if options.daily is not None:
            set_limits(store, limits if options.daily else Limits())
            print(f"Removed every day from now on: {limits.words()}." if options.daily else "No run is removed daily.")
        owner = holder(store, now)
        if owner and options.daily is not None:
            return 0  # which will do it
        if owner and not options.dry_run:
            raise CommandError(f"{owner} has this workspace open; try again when it is closed.", 1)
        before = database.used_bytes()
        if options.dry_run:
            limits = limits if limits.any else limits_of(store)
            if not limits.any:
                raise CommandError("--dry-run shows what --older-than or --max-size would remove; give one of them.")
            _tell(store, limits, now, before, as_json=options.json)
            return 0
        for run in remove_beyond(store, limits, now):
            print(f"run {run.id} was deleted")
        database.vacuum()
        after = database.used_bytes()
    print(f"{database.shown}: {about_size(after)} (before: {about_size(before)})")
    if limits.max_size is not None and after > limits.max_size:
        print(f"The limit of {about_size(limits.max_size)} was not reached: no more runs may be removed.")
        return 1
    return 0


def over_size(runs: list[RunEntry], weights: dict[int, int], size: int, limit: int) -> list[RunEntry]:
    """The oldest of `runs` whose removal should bring a database of `size` bytes down to `limit`: an estimate from the
    share of each run (`weights`: its rows) in all rows."""
    whole = max(1, sum(weights.values()))
    chosen: list[RunEntry] = []
    left = float(size)
    for run in runs:
        if left <= limit:
            break
        chosen.append(run)
        left -= size * weights.get(run.id, 0) / whole
    return chosen


def _tell(store: Store, limits: Limits, now: float, size: int, *, as_json: bool) -> None:
    """Print what would be removed, and what is removed every day."""
    weights = store.run_rows()
    chosen = {run.id for run in too_old(store, limits, now)}
    if limits.max_size is not None:
        gone = sum(weights.get(run_id, 0) for run_id in chosen)
        left = round(size * (1 - gone / max(1, sum(weights.values()))))
        rest = {run_id: rows for run_id, rows in weights.items() if run_id not in chosen}
        later = [run for run in removable(store) if run.id not in chosen]
        chosen |= {run.id for run in over_size(later, rest, left, limits.max_size)}
    daily, turn = limits_of(store), last_turn(store)
    if as_json:
        facts = {
            "bytes": size,
            "would_remove": [{"run": run_id, "rows": weights.get(run_id, 0)} for run_id in sorted(chosen)],
            "daily": {"older_than": daily.older_than, "max_size": daily.max_size},
            "last_turn": {"t": turn.t, "removed": turn.removed} if turn.t else None,
        }
        print(json.dumps(facts))
        return
    for run_id in sorted(chosen):
        print(f"run {run_id} would be deleted ({weights.get(run_id, 0):,} requests and records)")
    if not chosen:
        print("no run would be deleted")
    if daily.any:
        print(f"Removed every day: {daily.words()}.")
    if turn.t:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.t))
        gone_by_day = ", ".join(map(str, turn.removed)) or "none"
        print(f"Last daily turn {at}; runs that it removed: {gone_by_day}.")


def _parsed(option: str, text: str | None, parse: Callable[[object], float]) -> int | None:
    """An age or size as a number."""
    if text is None:
        return None
    try:
        return int(parse(text))
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from error
