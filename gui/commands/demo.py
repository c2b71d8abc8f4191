"""`tally demo`: run a whole federation of real XRootD servers on this machine and show the verdict."""

from __future__ import annotations

import argparse
import functools
import importlib
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gui.commands import tell
from gui.commands.loop import run_until_done
from gui.commands.places import data_directory, has_display, kept_in_data
from gui.commands.progress import TerminalProgress, table_width
from gui.report import build, text_table
from gui.runner.demo import Demo, DemoOptions


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="run a whole federation on this machine and show the verdict",
        description="Starts real XRootD servers, a bus, a shoveler, a collector and two client agents on this machine, "
        "reads files, and shows what monitoring recorded. Ctrl-C stops it at any time and leaves nothing running.",
    )
    demo.add_argument("--servers", type=_count("servers", 1, 200), default=4, metavar="M", help="XRootD servers (4)")
    demo.add_argument(
        "--files", type=_count("files", 1, 100_000), default=50, metavar="K", help="files per server (50)"
    )
    demo.add_argument(
        "--rate", type=_count("rate", 1, 10_000), default=10, metavar="N", help="files per server in each round (10)"
    )
    demo.add_argument("--repeats", type=_count("repeats", 1, 1000), default=1, metavar="R", help="repeats (1)")
    demo.add_argument(
        "--bus",
        default="",
        metavar="URL|DIR",
        help="amqp://… or a directory (default: a private RabbitMQ, if installed)",
    )
    demo.add_argument(
        "--db",
        metavar="URL",
        default=argparse.SUPPRESS,  # otherwise the default would override `tally --db URL demo`
        help="where the results are kept (default: demo.db in the data directory)",
    )
    demo.add_argument("--headless", action="store_true", help="never open a window")
    demo.set_defaults(run=run_demo, output_decides=False)


def run_demo(options: argparse.Namespace) -> int:
    """Run the demonstration, in a window if there is a display."""
    settings = DemoOptions(
        database=options.db or kept_in_data("demo.db"),
        servers=options.servers,
        files=options.files,
        rate=options.rate,
        repeats=options.repeats,
        bus=options.bus,
    )
    if not options.headless and has_display():
        try:
            app = importlib.import_module("gui.app")
        except ModuleNotFoundError as error:
            print(f"tally: {error.name} is not installed; continuing without a window.", file=sys.stderr)
        else:
            code: int = app.run_window(data=data_directory(), demo=settings)
            return code
    return run_until_done(demo_headless(settings))


async def demo_headless(settings: DemoOptions) -> int:
    """Run the demonstration in a terminal; returns the exit code."""
    began = time.monotonic()
    progress = TerminalProgress()
    tell(
        f"Tally: {settings.servers} XRootD servers × {settings.files} files, {settings.clients} clients, "
        f"{settings.repeats} repeat{'s' if settings.repeats > 1 else ''}.",
        sys.stderr,
    )
    async with Demo.open(settings, progress.stage) as demo:
        progress.stage(f"{demo.plan.name}: ready after {time.monotonic() - began:.0f} s")
        result = await demo.workspace.run(demo.plan, text=demo.text, on_progress=progress)
        progress.close()
        report = await demo.workspace.blocking(functools.partial(build, timing=False), demo.workspace.store, result.run)
        tell(f"\n{text_table(report, table_width())}")
    good, counted = sum(t.now.good for t in report.tests), sum(t.now.counted for t in report.tests)
    passed = report.conclusion == "pass"
    if passed:
        tell(f"Every one of the {counted:,} requests was recorded exactly as it was made.")
    else:
        tell(f"{good:,} of {counted:,} requests were recorded as they were made; the run {report.run.state}.")
    program = own_name()
    tell(
        NEXT.format(
            run=result.run, db=settings.database, took=time.monotonic() - began, tally=program, agent=f"{program}-agent"
        )
    )
    return 0 if passed else 1


NEXT = """
Done in {took:.0f} s; nothing was left running. What to try next:

  a report with plots
    {tally} results {run} --db {db} --format html --out demo.html
  a row of the 2021 scale validation
    {tally} demo --servers 8 --files 100 --rate 20
  a federation that stays up, and all eight rows on it
    {agent} lab up --servers 50
    {tally} run osdf-2021 --lab --headless
  the window
    {tally}"""


def own_name() -> str:
    """The command for this program: its name if it is on PATH, else its file."""
    started = Path(sys.argv[0])
    if started.name != "tally" or shutil.which("tally"):
        return "tally"
    file = started.resolve()
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def _count(name: str, least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{name} is a whole number, not {text!r}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{name} must be from {least:,} to {most:,}, not {value:,}")
        return value

    return check
