"""`tally`: the window, and subcommands for everything that the window does. Composition root of the desktop program.

tally [--hub URL]         open the window, or the same on a remote hub
tally open FILE           open the window with a workspace, plan or bundle
tally demo                run a whole federation on this machine and show the verdict
tally run PLAN            run a plan
tally preflight PLAN      check that everything a plan needs is in place
tally hub                 run the hub without a window
tally stop, pause, resume end, pause or resume the run under way, here or on a remote hub
tally agent               list, drain, disconnect and revoke agents, here or on a remote hub
tally results, compare    show results, and whether they got worse
tally load                load records from a bus, a file or a directory into the database
tally federation          sum up how the federation was used, from its records
tally key, invite         manage who may join
tally login, logout       sign in to a remote hub as yourself, and out
tally server              list, add and remove the addresses of servers
tally bus                 test the bus: what is reached, allowed and bound
tally pipeline            how shovelers, broker, collectors and database are doing, and where records wait
tally queue               list and delete the queues that hold records for a workspace
tally runs, vacuum        manage the runs of a workspace (list, show, delete, export, import) and its size
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from gui.commands import CommandError
from gui.commands.loop import StoppedError
from gui.commands.remote import add_remote_options, hub_key, refuse_senseless
from shoveler.service.log import LineFormatter
from shoveler.service.output import printing

COMMANDS = (
    "open",
    "demo",
    "run",
    "orders",
    "agents",
    "preflight",
    "results",
    "compare",
    "load",
    "federation",
    "keys",
    "login",
    "servers",
    "bus",
    "pipeline",
    "queues",
    "runs",
    "vacuum",
)
"""The modules of `gui.commands`, in the order of the help text."""


OWN = ("agent", "collector", "gui", "resources", "shoveler")
"""Packages whose absence would be a bug of ours, not a missing extra."""


def _window_parser() -> argparse.ArgumentParser:
    """The options of `tally` alone."""
    parser = argparse.ArgumentParser("tally", add_help=False)
    parser.add_argument("--db", metavar="URL", help="workspace database, for the window or the subcommand")
    parser.add_argument("--debug", action="store_true", help="show where an unexpected error came from")
    return parser


def build_parser() -> argparse.ArgumentParser:
    """All options and subcommands."""
    parser = argparse.ArgumentParser(
        "tally",
        description="Checks, request by request, that what XRootD monitoring recorded equals what clients did. "
        "Without a subcommand it opens the window; with --hub URL (and --kid, --key-file, --name, --pin, --ca-file as "
        "for tally run) the window on a remote hub.",
        parents=[_window_parser()],
    )
    parser.add_argument("--version", action="version", version=f"tally {version('xrootd-tally')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"gui.commands.{name}").add_parsers(commands)
    return parser


def parsers() -> list[argparse.ArgumentParser]:
    """The program's options and, below it, those of its commands, for manual pages and completion."""
    return [build_parser()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())  # warnings may quote agents and servers
    options = argparse.Namespace(output_decides=True)
    return printing("tally", lambda: _carry_out(words, options), decides=lambda: options.output_decides)


def _carry_out(words: Sequence[str], options: argparse.Namespace) -> int:
    """Parse a command line into `options`, run it and return the exit code. An error that the user can fix is one
    sentence."""
    debug = "--debug" in words
    try:
        parser = _window_parser()
        add_remote_options(parser, "open the window")
        window, rest = parser.parse_known_args(words)
        if not rest:  # no subcommand: import nothing heavy before the window's first paint
            return _open_window(window)
        build_parser().parse_args(words, options)
        code: int = options.run(options)
        return code
    except ModuleNotFoundError as error:
        if debug or (error.name or "").partition(".")[0] in OWN:
            raise
        print(
            f"tally: the package {error.name} is missing; install Tally with its app: pip install 'xrootd-tally[gui]'",
            file=sys.stderr,
        )
        return 2
    except (KeyboardInterrupt, StoppedError):
        print("tally: stopped; nothing was left running.", file=sys.stderr)
        return 1
    except CommandError as error:
        complain(error)
        return error.code
    except _known_errors() as error:
        if debug:
            raise
        complain(error)
        return 2


def complain(error: Exception) -> None:
    """The sentence of an error. Its further lines are indented: text of others that it quotes is no line of ours."""
    print("\n  ".join(f"tally: {error}".splitlines()), file=sys.stderr)


def _known_errors() -> tuple[type[Exception], ...]:
    """Errors whose text is a sentence for the user."""
    from gui.runner.errors import EXPECTED  # imports the database and the bus: only when something went wrong

    return EXPECTED


def _open_window(options: argparse.Namespace) -> int:
    refuse_senseless(options)
    from gui.commands.places import data_directory, has_display  # here, so that a missing package can be reported

    try:
        app = importlib.import_module("gui.app")
    except ModuleNotFoundError as error:
        raise CommandError(
            f"The window needs {error.name}; install it with: pip install 'xrootd-tally[gui]'. "
            "Everything also works without the window: tally --help"
        ) from error
    if not has_display():
        raise CommandError("There is no display to open a window on; tally --help shows what works without one.")
    if options.hub:
        insecure = options.insecure or os.environ.get("TALLY_INSECURE") == "1"
        code: int = app.run_window(data=data_directory(), hub=hub_key(options), insecure=insecure)
        return code
    named = options.db or os.environ.get("TALLY_DB")
    opened: int = app.run_window(data=data_directory(), database=named)
    return opened


if __name__ == "__main__":
    sys.exit(main())
