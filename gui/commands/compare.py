"""`tally compare`: compare two runs, or all runs of a plan."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable

from gui import report
from gui.commands import CommandError
from gui.commands.remote import add_place_options, open_results
from gui.commands.results import add_out_option, latest_run, put
from gui.models.compare import read_comparison
from gui.report.history import ALL
from gui.store import Store

LAST = 20
"""Default number of runs in a trend."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare two runs, or all runs of a plan",
        description="Compares a run with the baseline or with another run, or all runs of a plan with their baseline. "
        "Exit code: 0 no regression, 1 a test is worse by more than chance, 2 the runs cannot be compared.",
    )
    compare.add_argument(
        "first",
        nargs="?",
        type=int,
        metavar="RUN_A",
        help="alone: the run to compare with the baseline (default: the latest)",
    )
    compare.add_argument("second", nargs="?", type=int, metavar="RUN_B", help="the run to compare with RUN_A")
    compare.add_argument(
        "--trend", metavar="PLAN", help="all runs of this plan, oldest first; the newest one sets the exit code"
    )
    compare.add_argument(
        "--last", type=int, metavar="N", help=f"with --trend: the newest N runs and the baseline (default: {LAST})"
    )
    compare.add_argument("--format", choices=report.COMPARED_FORMATS, help="output format (default: table)")
    compare.add_argument("--json", action="store_true", help="the same as --format json")
    add_out_option(compare)
    add_place_options(compare, "compare runs")
    compare.set_defaults(run=run_compare)


def run_compare(options: argparse.Namespace) -> int:
    """Compare two runs, or all runs of a plan. Exit code 1 when something got worse."""
    if options.json and options.format not in (None, "json"):
        raise CommandError(f"--json and --format {options.format} cannot be combined; give one of them.")
    if options.trend is not None and options.first is not None:
        raise CommandError("--trend compares all runs of a plan; leave out either the run numbers or --trend.")
    if options.last is not None and (options.trend is None or options.last < 1):
        raise CommandError("--last needs --trend and a number of at least 1.")

    def needed(store: Store) -> Iterable[int]:
        return () if options.trend is not None else _pair(store, options.first, options.second)

    with open_results(options, needed) as store:
        found = (
            _trend(store, options.trend, options.last or LAST)
            if options.trend is not None
            else _comparison(store, options.first, options.second)
        )
    wanted = "json" if options.json else options.format or "table"
    made = report.render_compared(found, wanted)
    put([made.decode() if wanted == "table" else made], options.out)
    return 1 if found.regression else 0


def _comparison(store: Store, first: int | None, second: int | None) -> report.Comparison:
    """Compare `second` with `first`; a single run, or the latest one, with its baseline. Raises CommandError."""
    base, run = _pair(store, first, second)
    comparison = read_comparison(store, base, run)
    if comparison.refusal:
        raise CommandError(comparison.refusal)
    return comparison


def _pair(store: Store, first: int | None, second: int | None) -> tuple[int, int]:
    """Which runs are compared: the base, and the other. Raises CommandError."""
    run = second if second is not None else first if first is not None else latest_run(store)
    base = first if second is not None and first is not None else _baseline(store, run)
    if base == run:
        raise CommandError(f"Run {run} would be compared with itself; name another run.")
    return base, run


def _baseline(store: Store, run: int) -> int:
    """The run that `run` is compared with: the baseline of its plan, else that of the workspace."""
    name = store.run(run).name
    chosen = [entry for entry in store.runs(ALL) if entry.baseline]
    if not chosen:
        raise CommandError("There is no baseline; choose one with `tally runs baseline RUN`, or name two runs.")
    return next((entry.id for entry in chosen if entry.name == name), chosen[0].id)


def _trend(store: Store, plan: str, last: int) -> report.Trend:
    """The newest runs of a plan that have ended, with their baseline. Raises CommandError with a sentence."""
    found = report.read_trend(store, plan, last)
    if found is None:
        names = list(dict.fromkeys(entry.name for entry in store.runs(ALL)))
        near = difflib.get_close_matches(plan, names, n=3, cutoff=0.4) or names[:3]
        known = f"; plans that were run: {', '.join(near)}" if near else "; there are no runs here yet"
        raise CommandError(f"No run of a plan {plan!r} has ended{known}.")
    return found
