"""`tally open FILE`: the window, with a workspace, plan or bundle; what a desktop starts for a file of ours."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from gui.commands import CommandError
from gui.commands.places import data_directory, has_display

ENDINGS = (".db", ".toml", ".zip")


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tally open`."""
    opening = commands.add_parser(
        "open",
        help="open the window with a workspace, plan or bundle",
        description="Opens the window. With a file, opens that workspace (.db), or a plan (.toml) or bundle (.zip) in "
        "the default workspace.",
    )
    opening.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a workspace, plan or bundle")
    opening.set_defaults(run=run_open)


def run_open(options: argparse.Namespace) -> int:
    """Returns when the window is closed."""
    file: Path | None = options.file
    if file is not None and not file.is_file():
        raise CommandError(f"There is no file {file}.")
    if file is not None and file.suffix not in ENDINGS:
        raise CommandError(f"{file} is neither a workspace (.db), a plan (.toml) nor a bundle (.zip).")
    if not has_display():
        raise CommandError("There is no display to open a window on; tally --help shows what works without one.")
    try:
        app = importlib.import_module("gui.app")
    except ModuleNotFoundError as error:
        raise CommandError(
            f"The window needs {error.name}; install it with: pip install 'xrootd-tally[gui]'."
        ) from error
    is_workspace = file is not None and file.suffix == ".db"
    code: int = app.run_window(
        data=data_directory(),
        database=str(file) if is_workspace else options.db,
        opened=None if is_workspace or file is None else file.resolve(),
    )
    return code
