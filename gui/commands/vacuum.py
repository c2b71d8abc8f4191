"""`tally vacuum`: remove old runs from a workspace, by age or size, and give their disk space back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from gui.commands import CommandError
from gui.commands.places import add_database_option, open_to_change, open_to_read
from gui.runner.ownership import UNDER_WAY, holder
from gui.store import RunEntry, Store
from shoveler.values.quantities import about_size, parse_duration, parse_size


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    vacuum = commands.add_parser(
        "vacuum",
        help="remove old runs and give their disk space back",
        description="Removes runs by age and size, the oldest first, and gives the disk space of deleted rows back. "
        "The baseline, a run under way, tags, daily sums and keys are kept. Without options it removes no run. To save "
        "runs as bundles first, use: tally runs export",
    )
    vacuum.add_argument("--older-than", metavar="TIME", help="remove runs that ended longer ago than this: 90d, 12w")
    vacuum.add_argument(
        "--max-size", metavar="SIZE", help="remove the oldest runs until the database is no larger than this: 10G"
    )
    vacuum.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    add_database_option(vacuum)
    vacuum.set_defaults(run=run_vacuum)


def run_vacuum(options: argparse.Namespace) -> int:
    """Remove runs beyond the age or size limit, then compact. Exit code 1 when the size could not be reached."""
    age = _parsed("--older-than", options.older_than, parse_duration)
    limit = _parsed("--max-size", options.max_size, parse_size)
    if options.dry_run and age is None and limit is None:
        raise CommandError("--dry-run shows what --older-than or --max-size would remove; give one of them.")
    now = time.time()
    with open_to_read(options) if options.dry_run else open_to_change(options) as store:
        database = store.database
        if limit is not None and not database.is_sqlite:
            raise CommandError("PostgreSQL keeps the space of deleted rows for new ones; use --older-than instead.")
        owner = holder(store, now)
        if owner:
            raise CommandError(f"{owner} has this workspace open; try again when it is closed.", 1)
        before = database.used_bytes()
        old = [] if age is None else [run for run in _removable(store) if _since(run) < now - age]
        if options.dry_run:
            _tell(store, old, before, limit)
            return 0
        store.remove_left_runs(now)
        for run in old:
            _remove(store, run)
        if limit is not None:
            for run in _removable(store):
                if database.used_bytes() <= limit:
                    break
                _remove(store, run)
        database.vacuum()
        after = database.used_bytes()
    print(f"{database.shown}: {about_size(after)} (before: {about_size(before)})")
    if limit is not None and after > limit:
        print(f"The limit of {about_size(limit)} was not reached: no more runs may be removed.")
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


def _removable(store: Store) -> list[RunEntry]:
    """Runs that may be removed, the oldest first."""
    return [run for run in reversed(store.runs()) if not run.baseline and run.state not in UNDER_WAY]


def _since(run: RunEntry) -> float:
    return run.ended or run.started or run.created


def _remove(store: Store, run: RunEntry) -> None:
    store.delete_run(run.id)
    print(f"run {run.id} was deleted")


def _tell(store: Store, old: list[RunEntry], size: int, limit: int | None) -> None:
    """Print what would be removed."""
    weights = store.run_rows()
    chosen = {run.id for run in old}
    if limit is not None:
        gone = sum(weights.get(run_id, 0) for run_id in chosen)
        left = round(size * (1 - gone / max(1, sum(weights.values()))))
        rest = {run_id: rows for run_id, rows in weights.items() if run_id not in chosen}
        later = [run for run in _removable(store) if run.id not in chosen]
        chosen |= {run.id for run in over_size(later, rest, left, limit)}
    for run_id in sorted(chosen):
        print(f"run {run_id} would be deleted ({weights.get(run_id, 0):,} requests and records)")
    if not chosen:
        print("no run would be deleted")


def _parsed(option: str, text: str | None, parse: Callable[[object], float]) -> int | None:
    """An age or size as a number."""
    if text is None:
        return None
    try:
        return int(parse(text))
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from error
