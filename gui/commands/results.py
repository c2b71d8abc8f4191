"""`tally results` and `tally compare`: what was found, in the form that is wanted."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gui import report
from gui.commands import CommandError
from gui.commands.places import add_database_option, open_to_read
from gui.commands.progress import table_width
from gui.models.runs import read_runs
from gui.report import numbers
from gui.store import Store


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    results = commands.add_parser("results", help="the result of a run", description="The result of a run.")
    results.add_argument("number", nargs="?", type=int, metavar="RUN", help="number of the run (default: the latest)")
    results.add_argument("--list", action="store_true", help="all runs, a line each")
    results.add_argument("--format", choices=report.FORMATS, default="table", help="how (default: table)")
    results.add_argument("--json", action="store_true", help="the same as --format json")
    results.add_argument("--out", type=Path, metavar="FILE", help="write to this file (default: standard output)")
    results.add_argument("--redact", action="store_true", help="replace the names of hosts and people by numbers")
    add_database_option(results)
    results.set_defaults(run=run_results)

    compare = commands.add_parser("compare", help="two runs side by side")
    compare.add_argument("first", type=int, metavar="RUN_A")
    compare.add_argument("second", type=int, metavar="RUN_B")
    compare.add_argument("--json", action="store_true", help="as JSON")
    add_database_option(compare)
    compare.set_defaults(run=run_compare)


def run_results(options: argparse.Namespace) -> int:
    """Print or write a report."""
    with open_to_read(options) as store:
        if options.list:
            return _list(store, as_json=options.json)
        run = options.number if options.number is not None else latest_run(store)
        wanted = "json" if options.json else options.format
        made = report.build(store, run, redact=options.redact)
        if wanted == "table" and options.out is None:
            content = report.text_table(made, table_width()).encode()
        else:
            content = report.render(made, wanted)
    _put(content, options.out)
    return 0


def run_compare(options: argparse.Namespace) -> int:
    """Two runs, only what differs between them."""
    with open_to_read(options) as store:
        comparison = report.compare(report.build(store, options.first), report.build(store, options.second))
    print(report.compare_json(comparison).decode() if options.json else report.compare_text(comparison), end="")
    return 0


def _list(store: Store, *, as_json: bool) -> int:
    views = read_runs(store)
    if as_json:
        rows = [
            {
                "run": view.run.id,
                "name": view.run.name,
                "state": view.run.state,
                "conclusion": view.conclusion,
                "started": view.run.started,
                "ended": view.run.ended,
                "requests": sum(test.figures.total for test in view.tests),
                "matched": sum(test.figures.good for test in view.tests),
                "counted": sum(test.figures.counted for test in view.tests),
            }
            for view in views
        ]
        print(json.dumps(rows))
        return 0
    if not views:
        print(f"Nothing was run in {store.database.shown} yet; try: tally demo")
    for view in views:
        good, counted = sum(t.figures.good for t in view.tests), sum(t.figures.counted for t in view.tests)
        print(
            f"{view.run.id:>5}  {numbers.moment(view.run.started):<20}  {view.outcome:<12}  "
            f"{numbers.success(good, counted):>9}  {counted:>9,} requests  {view.run.name}"
        )
    return 0


def latest_run(store: Store) -> int:
    """The number of the latest run. Raises CommandError when there is none."""
    runs = store.runs(limit=1)
    if not runs:
        raise CommandError(f"Nothing was run in {store.database.shown} yet; try: tally demo")
    return runs[0].id


def write_reports(store: Store, run: int, directory: Path) -> list[Path]:
    """All formats and the bundle of a run into a directory. Raises CommandError when it cannot be written."""
    made = report.build(store, run)
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for wanted, ending in report.ENDINGS.items():
            path = directory / f"run-{run}.{ending}"
            path.write_bytes(report.render(made, wanted))
            written.append(path)
        bundle = directory / f"run-{run}.tally.zip"
        report.export_bundle(store, run, bundle)
        written.append(bundle)
    except OSError as error:
        raise CommandError(f"The reports cannot be written to {directory}: {error.strerror}.", 1) from error
    return written


def _put(content: bytes, file: Path | None) -> None:
    if file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CommandError(f"The report cannot be written to {file}: {error.strerror}.", 1) from error
    print(f"written: {file}", file=sys.stderr)
