"""`tally results`: the result of a run, in several formats."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from gui import report
from gui.commands import CommandError, reason
from gui.commands.bundles import ENDING, write_bundle
from gui.commands.progress import table_width
from gui.commands.remote import add_place_options, open_results, refuse_senseless
from gui.commands.runs import listing
from gui.hub.signing import SigningError
from gui.models.course import view_of
from gui.reconcile import Courses
from gui.report.redact import Redaction
from gui.report.words import printable
from gui.store import Store, VerdictKind
from shoveler.service.output import gone

NOT_MATCHED = tuple(kind for kind in VerdictKind if kind is not VerdictKind.MATCHED)


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    results = commands.add_parser("results", help="show the result of a run", description="Shows the result of a run.")
    results.add_argument("number", nargs="?", type=int, metavar="RUN", help="number of the run (default: the latest)")
    results.add_argument("--list", action="store_true", help="list all runs, one per line")
    results.add_argument(
        "--requests",
        action="store_true",
        help="list every request that did not match, as CSV or (with --json) as JSON lines",
    )
    results.add_argument(
        "--verdict",
        action="append",
        choices=[*(kind.word for kind in VerdictKind), "all"],
        help="with --requests: only those with this verdict (may be repeated; `all` includes matched ones)",
    )
    results.add_argument(
        "--unrequested",
        action="store_true",
        help="list every record that nobody requested, as CSV or (with --json) as it came, one per line",
    )
    results.add_argument("--test", type=int, metavar="N", help="with --requests: only those of test N")
    results.add_argument("--server", default="", metavar="NAME", help="with --requests: only those to this server")
    results.add_argument(
        "--evidence",
        type=int,
        metavar="ID",
        help="all that is known of one request, stage by stage (ID as in --requests)",
    )
    results.add_argument("--format", choices=report.FORMATS, help="output format (default: table)")
    results.add_argument("--json", action="store_true", help="the same as --format json")
    results.add_argument("--schema", action="store_true", help="print the JSON Schema of the JSON report")
    add_out_option(results)
    results.add_argument(
        "--without-injected",
        action="store_true",
        help="leave out of all figures what the plan's own faults lost; the success with it is said, too",
    )
    results.add_argument("--redact", action="store_true", help="replace names of hosts and people with numbers")
    add_place_options(results, "show the results of a run")
    results.set_defaults(run=run_results)


def add_out_option(parser: argparse.ArgumentParser) -> None:
    """``--out``, which `put` understands: a file, or None for standard output."""
    parser.add_argument(
        "--out",
        type=lambda name: None if name == "-" else Path(name),
        metavar="FILE",
        help="write to this file (default, and -: standard output)",
    )


def run_results(options: argparse.Namespace) -> int:
    """Print or write the report."""
    _check(options)
    refuse_senseless(options)
    if options.schema:
        put([report.json_schema()], options.out)
        return 0

    def needed(store: Store) -> list[int]:
        return [] if options.list else [options.number if options.number is not None else latest_run(store)]

    with open_results(options, needed) as store:
        if options.list:
            put([listing(store, as_json=options.json or options.format == "json")], options.out)
            return 0
        run = options.number if options.number is not None else latest_run(store)
        if options.evidence is not None:
            put([_evidence(store, run, options.evidence, redact=options.redact)], options.out)
            return 0
        if options.unrequested:
            as_json = options.json or options.format == "json"
            write = report.unrequested_json if as_json else report.unrequested_csv
            put(write(store, run, redact=options.redact), options.out)
            return 0
        if options.requests:
            put(_requests(store, run, options), options.out)
            return 0
        wanted = "json" if options.json else options.format or "table"
        if wanted == "pdf" and options.out is None and sys.stdout.isatty():
            raise CommandError("A PDF is nothing for a terminal; name a file with --out.")
        made = report.build(
            store,
            run,
            redact=options.redact,
            without_injected=options.without_injected,
            **report.wants((wanted,)),
        )
    if options.out is None and wanted == "table":
        put([report.text_table(made, table_width())], None)
    else:
        put([report.render(made, wanted)], options.out)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Reject options that would have no effect. Raises CommandError."""
    modes = [name for name in ("list", "requests", "unrequested", "schema") if getattr(options, name)]
    modes += ["evidence"] if options.evidence is not None else []
    if len(modes) > 1:
        raise CommandError(f"--{modes[0]} and --{modes[1]} cannot be combined; give one of them.")
    mode = modes[0] if modes else ""
    if mode != "requests":
        for name in ("verdict", "test", "server"):
            if getattr(options, name):
                raise CommandError(f"--{name} needs --requests; add it, or leave --{name} out.")
    if mode and options.without_injected:
        raise CommandError(f"--{mode} lists what there is; leave --without-injected out.")
    if mode == "schema" and options.hub:
        raise CommandError("--schema is the same for every hub; leave --hub out.")
    if mode in ("list", "schema") and (options.number is not None or options.redact):
        raise CommandError(f"--{mode} accepts neither a run nor --redact; leave them out.")
    if options.json and options.format not in (None, "json"):
        raise CommandError(f"--json and --format {options.format} cannot be combined; give one of them.")
    allowed = {"list": (None, "table", "json"), "requests": (None, "csv", "json"), "schema": (None, "json"),
               "unrequested": (None, "csv", "json"),
               "evidence": (None, "table")}  # fmt: skip
    if mode == "evidence" and options.json:
        raise CommandError(
            "--evidence is text; leave --json out (--requests --json has the same facts of every request)."
        )
    if mode and options.format not in allowed[mode]:
        forms = " or ".join(form for form in allowed[mode] if form)
        raise CommandError(f"--{mode} can be written as {forms}, not as {options.format}.")


def _requests(store: Store, run: int, options: argparse.Namespace) -> Iterable[str | bytes]:
    words = options.verdict or []
    kinds = tuple(VerdictKind) if "all" in words else tuple(k for k in VerdictKind if k.word in words) or NOT_MATCHED
    write = report.requests_json if options.json or options.format == "json" else report.requests_csv
    try:
        yield from write(store, run, kinds, test=options.test, server=options.server, redact=options.redact)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _evidence(store: Store, run: int, request: int, *, redact: bool) -> str:
    """The course of a request as text that a terminal can be shown."""
    text = view_of(Courses(store, run).of(request)).text
    if redact:
        text = Redaction.of(store).text(text)
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def latest_run(store: Store) -> int:
    """The number of the latest run. Raises CommandError when there is none."""
    runs = store.runs(limit=1)
    if not runs:
        raise CommandError(f"There are no runs in {store.database.shown} yet; try: tally demo")
    return runs[0].id


def write_reports(store: Store, made: report.RunReport, directory: Path, *, signed: bool = True) -> list[Path]:
    """Write all report formats and the bundle of a run to a directory; `signed`: the bundle, by this hub. Raises
    CommandError when that fails."""
    run = made.run.id
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for wanted, ending in report.ENDINGS.items():
            path = directory / f"run-{run}.{ending}"
            path.write_bytes(report.render(made, wanted))
            written.append(path)
        bundle = directory / f"run-{run}{ENDING}"
        try:
            write_bundle(store, run, bundle, signed=signed)
        except SigningError as error:
            print(f"tally: {error} The bundle {bundle.name} is not signed.", file=sys.stderr)
            write_bundle(store, run, bundle, signed=False)
        written.append(bundle)
    except OSError as error:
        raise CommandError(f"The reports cannot be written to {directory}: {error.strerror}.", 1) from error
    return written


def put(parts: Iterable[str | bytes], file: Path | None) -> None:
    """Write to a file in UTF-8, or to standard output: text in the encoding of the locale, bytes as they are."""
    if file is None:
        for part in parts:
            if isinstance(part, str):
                sys.stdout.write(part)
            else:
                sys.stdout.flush()
                sys.stdout.buffer.write(part)
            if gone(sys.stdout):  # the reader of a long list has closed the pipe
                return
        return
    pieces = iter(parts)
    first = next(pieces, b"")  # a report that cannot be made leaves the file untouched
    try:
        with file.open("wb") as out:
            for part in itertools.chain([first], pieces):
                out.write(part.encode() if isinstance(part, str) else part)
    except OSError as error:
        raise CommandError(f"The report cannot be written to {file}: {reason(error)}.", 1) from error
    print(f"written: {file}", file=sys.stderr)
