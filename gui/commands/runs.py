"""`tally runs`: list the runs of a workspace, show one, score it again, add a note, export and import it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gui.commands import CommandError
from gui.commands.bundles import ENDING, look_at, take_in, write_bundle
from gui.commands.places import add_database_option, open_store, open_to_change, open_to_read
from gui.models.runs import RunView, read_run, read_runs
from gui.report import numbers, seal_sentence
from gui.report.words import bounded, printable, to_json
from gui.runner.notes import NoteError, change_note, delete_note, write_note
from gui.runner.rechecking import UnderWayError, recheck, refuse_under_way
from gui.store import NoteRow, RunEntry, Store


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    runs = commands.add_parser(
        "runs",
        help="list, show, delete, recheck, note, baseline, export and import runs",
        description="Manages the runs of a workspace.",
    )
    actions = runs.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, carry_out: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.set_defaults(run=carry_out)
        return parser

    listing = action("list", _list, "list all runs, the latest first, one per line")
    listing.add_argument("--limit", type=_positive, metavar="N", help="only the latest N, and the number of older ones")
    show = action("show", _show, "show one run: its outcome, where it came from, its notes")
    show.add_argument("run_id", type=int, metavar="RUN")
    recheck = action("recheck", _recheck, "score a run again from its requests and records; earlier figures are kept")
    recheck.add_argument("run_ids", nargs="*", type=int, metavar="RUN")
    recheck.add_argument("--all", action="store_true", help="every run that has figures")
    delete = action(
        "delete", _delete, "delete runs with their requests, records and results; tags and daily sums are kept"
    )
    delete.add_argument("run_ids", nargs="+", type=int, metavar="RUN")
    note = action("note", _note, "add, change or delete a note of a run; its reports show it")
    note.add_argument("run_id", type=int, metavar="RUN")
    note.add_argument("text", nargs="?", metavar="TEXT")
    other = note.add_mutually_exclusive_group()
    other.add_argument("--edit", type=int, metavar="NOTE", help="give this note (`tally runs show`) the text TEXT")
    other.add_argument("--delete", type=int, metavar="NOTE", help="delete this note; prints what it said")
    note.add_argument("--author", metavar="NAME", help="author of the note (default: this account)")
    baseline = action(
        "baseline", _baseline, "set the run that others are compared with; without RUN, show which one it is"
    )
    baseline.add_argument("run_id", nargs="?", type=int, metavar="RUN")
    baseline.add_argument("--clear", action="store_true", help="remove the baseline")
    export = action("export", _export, "write a run as a bundle, for another machine")
    export.add_argument("run_id", type=int, metavar="RUN")
    export.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"default: run-RUN{ENDING}")
    export.add_argument("--out", type=Path, metavar="FILE", help="the same")
    export.add_argument("--unsigned", action="store_true", help="do not sign the bundle with the key of this hub")
    check = action("check", _check, "show who made a bundle and whether it was altered; nothing is stored")
    bring = action("import", _import, "import the run of a bundle under a new number")
    for parser in (listing, show, baseline, check):
        parser.add_argument("--json", action="store_true", help="as JSON")
    for parser in (check, bring):
        parser.add_argument("file", type=Path, metavar="FILE", help=f"a bundle ({ENDING})")
    for parser in (listing, show, recheck, delete, note, baseline, export, bring):
        add_database_option(parser)


def listing(store: Store, *, as_json: bool, limit: int | None = None) -> str | bytes:
    """All runs, or the latest `limit`. A run that cannot be read has a line that says so."""
    views = read_runs(store)
    shown = views if limit is None else views[:limit]
    if as_json:
        return to_json([_row(view) for view in shown])
    if not views:
        return f"There are no runs in {store.database.shown} yet; try: tally demo\n"
    lines = [f"{'RUN':>5}  {'STARTED':<20}  {'STATE':<12}  {'SUCCESS':>9}  {'REQUESTS':>9}  {'FROM':<12}  NAME"]
    for view in shown:
        counted = sum(test.figures.counted for test in view.tests)
        name = bounded(view.run.name, 200) + (" (baseline)" if view.run.baseline else "")
        lines.append(
            f"{view.run.id:>5}  {_moment(view.run.started):<20}  {view.outcome:<12}  {view.success:>9}  {counted:>9,}  "
            f"{origin_word(view.run):<12}  {name}"
        )
    if len(shown) < len(views):
        lines.append(f"Older runs not listed: {len(views) - len(shown):,}")
    return "\n".join(lines) + "\n"


def origin_word(run: RunEntry) -> str:
    """In a word or two, where a run came from and how far that is proven."""
    if not run.origin:
        return "here"
    seal = run.seal
    if seal is not None and seal.changed:
        return "CHANGED"
    if seal is not None and seal.differs:
        return "DIFFERS"
    if seal is None or not seal.key:
        return "not signed"
    return printable(seal.known)[:12] or "unknown key"


def _list(options: argparse.Namespace) -> int:
    with open_to_read(options) as store:
        _print(listing(store, as_json=options.json, limit=options.limit))
    return 0


def _show(options: argparse.Namespace) -> int:
    with open_to_read(options) as store:
        view = read_run(store, options.run_id)
        repeats = store.repeats(options.run_id)
        scorings = store.scorings_of_run(options.run_id)
    run = view.run
    if options.json:
        _print(
            to_json(
                {
                    **_row(view),
                    "created": run.created,
                    "environment": run.environment,
                    "versions": run.versions,
                    "tests": [
                        {
                            "number": test.number,
                            "name": test.entry.spec.name,
                            "conclusion": test.figures.conclusion,
                            "total": test.figures.total,
                            "counted": test.figures.counted,
                            "matched": test.figures.good,
                            "missing": test.figures.missing,
                            "wrong_bytes": test.figures.wrong_bytes,
                            "duplicate": test.figures.duplicate,
                            "client_failed": test.figures.client_failed,
                            "scorings": [
                                {
                                    "repeat": repeat.number,
                                    "kind": s.kind,
                                    "t": s.t,
                                    "matched": s.good,
                                    "counted": s.counted,
                                }
                                for repeat in repeats
                                if repeat.test_id == test.entry.id
                                for s in scorings
                                if s.repeat_id == repeat.id
                            ],
                        }
                        for test in view.tests
                    ],
                    "notes": [{"note": n.id, "t": n.t, "author": n.author, "text": n.text} for n in view.notes],
                }
            )
        )
        return 0
    facts = [
        ("Run", f"{run.id}{' (baseline)' if run.baseline else ''}"),
        ("Name", run.name),
        ("Outcome", view.outcome),
        ("Message", run.message),
        ("Started", _moment(run.started)),
        ("Ended", _moment(run.ended)),
        ("From", run.origin or "here"),
    ]
    if run.seal is not None:
        facts += [("Bundle", seal_sentence(run.seal)), ("Checksum", run.seal.checksum)]
        facts += [("Differs", sentence) for sentence in run.seal.differs]
    for title, text in facts:
        if text:
            print(f"{title + ':':<10} {printable(text)}")
    for test in view.tests:
        figures = test.figures
        print(
            f"Test {test.number}{': ' + printable(test.entry.spec.name) if test.entry.spec.name else ''}: "
            f"{numbers.success(figures.good, figures.counted)}, {figures.good:,} of {figures.counted:,} matched, "
            f"{figures.missing:,} missing, {figures.wrong_bytes:,} with wrong bytes, {figures.duplicate:,} duplicate, "
            f"{figures.client_failed:,} failed at the client"
        )
    for note in view.notes:
        print(f"Note {note.id}, {_note_words(note)}")
    return 0


def _note_words(note: NoteRow) -> str:
    return f"{_moment(note.t)}  {printable(note.author)}: {printable(note.text)}"


def _recheck(options: argparse.Namespace) -> int:
    """Score again, which can change the outcome of the run."""
    if bool(options.run_ids) == options.all:
        raise CommandError("Give either the runs to score again or --all.")
    with open_to_change(options) as store:
        for run_id in options.run_ids or [run.id for run in store.runs()]:
            try:
                scored = recheck(store, run_id, time.time())
            except UnderWayError as error:
                raise CommandError(str(error), 1) from error
            for each in scored:
                same = "as before" if each.now.good == each.before.good else f"before: {each.before.good:,}"
                print(
                    f"run {run_id}, test {each.test}, repeat {each.repeat}: {each.now.good:,} of {each.now.counted:,} "
                    f"matched ({same})"
                )
            if not scored:
                print(f"run {run_id} was never scored; there is nothing to compare with", file=sys.stderr)
    return 0


def _delete(options: argparse.Namespace) -> int:
    with open_to_change(options) as store:
        wanted = list(dict.fromkeys(options.run_ids))
        for run_id in wanted:  # all of them exist, or nothing is deleted
            try:
                refuse_under_way(store, run_id, time.time(), "deleted")
            except UnderWayError as error:
                raise CommandError(str(error), 1) from error
        for run_id in wanted:
            store.delete_run(run_id)
            print(f"run {run_id} was deleted")
    return 0


def _note(options: argparse.Namespace) -> int:
    run, author, text = options.run_id, options.author or "", options.text or ""
    if (options.text is None) != (options.delete is not None):
        raise CommandError("Give TEXT for a note, or --delete NOTE without it.")
    with open_to_change(options) as store:
        try:
            if options.delete is not None:
                gone = delete_note(store, run, options.delete)
                print(f"deleted note {gone.id} of run {run}, {_note_words(gone)}")
            elif options.edit is not None:
                change_note(store, run, options.edit, text, author=author)
                print(f"changed note {options.edit} of run {run}")
            else:
                print(f"added note {write_note(store, run, text, time.time(), author=author)} to run {run}")
        except NoteError as error:
            raise CommandError(str(error)) from error
    return 0


def _baseline(options: argparse.Namespace) -> int:
    if options.clear and options.run_id is not None:
        raise CommandError("Give either a run or --clear.")
    changes = options.clear or options.run_id is not None
    if changes and options.json:
        raise CommandError("--json shows the baseline; leave it out to change that.")
    with open_to_change(options) if changes else open_to_read(options) as store:
        if options.clear:
            store.set_baseline(None)
            print("the baseline was removed")
        elif options.run_id is not None:
            store.set_baseline(options.run_id)
            print(f"run {options.run_id} is now the baseline")
        else:
            run = store.baseline()
            if options.json:
                _print(to_json({"run": run}))
                return 0
            print("there is no baseline; set one: tally runs baseline RUN" if run is None else f"run {run}")
    return 0


def _export(options: argparse.Namespace) -> int:
    if options.file and options.out:
        raise CommandError("Give FILE once, either by itself or with --out.")
    path = options.file or options.out or Path(f"run-{options.run_id}{ENDING}")
    with open_to_read(options) as store:
        write_bundle(store, options.run_id, path, signed=not options.unsigned)
    print(f"written: {path}", file=sys.stderr)
    return 0


def _check(options: argparse.Namespace) -> int:
    return look_at(options.file, as_json=options.json)


def _import(options: argparse.Namespace) -> int:
    with open_store(options) as store:
        return take_in(store, options.file)


def _row(view: RunView) -> dict[str, Any]:
    """A run in the JSON listing."""
    run = view.run
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "conclusion": view.conclusion,
        "sentence": run.message,
        "started": run.started,
        "ended": run.ended,
        "requests": sum(test.figures.total for test in view.tests),
        "matched": sum(test.figures.good for test in view.tests),
        "counted": sum(test.figures.counted for test in view.tests),
        "baseline": run.baseline,
        "origin": run.origin,
        "seal": run.seal,
    }


def _moment(t: float | None) -> str:
    """A time, or unknown if it is missing or out of range."""
    try:
        return numbers.moment(t)
    except (OverflowError, OSError, TypeError, ValueError):
        return numbers.UNKNOWN


def _print(content: str | bytes) -> None:
    print(content if isinstance(content, str) else content.decode(), end="")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of runs, 1 or more, not {text!r}")
    return int(text)
