"""Where the app keeps things: the workspace database, the hub's certificate, plan files."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from gui.commands import CommandError

if TYPE_CHECKING:
    from gui.store import Store

DEFAULT_LISTEN = "0.0.0.0:8765"


def data_directory() -> Path:
    """The user's data directory of Tally: what TALLY_DATA says, else where the system keeps such things."""
    return Path(os.environ.get("TALLY_DATA") or platformdirs.user_data_path("tally", appauthor=False))


def kept_in_data(name: str) -> str:
    """The path of a database that Tally keeps in its data directory, which is made. Raises CommandError."""
    directory = data_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CommandError(
            f"Tally's data directory {directory} cannot be made: {error.strerror}; name a database with --db, "
            "or another directory with TALLY_DATA."
        ) from error
    return str(directory / name)


def hub_directory() -> Path:
    """Where the hub's key and certificate are."""
    return data_directory() / "hub"


def plans_directory() -> Path:
    """Where the window keeps a person's plans."""
    return data_directory() / "plans"


def add_database_option(parser: argparse.ArgumentParser) -> None:
    """``--db URL``, with the environment's TALLY_DB before the default."""
    parser.add_argument(
        "--db",
        metavar="URL",
        default=argparse.SUPPRESS,  # else the default would win over `tally --db URL COMMAND`
        help="workspace database: a file, or postgresql://… (default: TALLY_DB, else default.db in the data directory)",
    )


def database(options: argparse.Namespace) -> str:
    """The database that the options mean."""
    named = getattr(options, "db", None) or os.environ.get("TALLY_DB")
    return str(named) if named else kept_in_data("default.db")


def open_store(options: argparse.Namespace) -> Store:
    """The workspace that the options mean, made when it is not there. Raises StoreError with a sentence."""
    from gui.store import Store  # half a second that the window's first paint must not wait for

    return Store(database(options))


def open_to_read(options: argparse.Namespace) -> Store:
    """The same for a command that only looks, at what is there already. Raises CommandError and StoreError.

    It waits for no program that writes, and the file may be read-only."""
    from gui.store import Store

    name, file = _there(options)
    if file is not None and os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        Store(name).close()  # one of an older Tally is brought up to date; otherwise nothing is written
    return Store(name, read_only=True)


def open_to_change(options: argparse.Namespace) -> Store:
    """The same for a command that changes what is there already. Raises CommandError and StoreError."""
    from gui.store import Store

    return Store(_there(options)[0])


def _there(options: argparse.Namespace) -> tuple[str, Path | None]:
    """The database, and its file if it has one: one that is named and not there is a CommandError, not a new one."""
    from gui.store import Store, parse_database

    name = database(options)
    url = parse_database(name)
    if url.get_backend_name() != "sqlite":
        return name, None
    file = Path(str(url.database))
    if not file.exists():
        if name != kept_in_data("default.db"):
            raise CommandError(
                f"There is no workspace {file}; check its name, or make one with: tally demo --db {file}"
            )
        Store(name).close()
    return name, file


def has_display() -> bool:
    """Whether a window could be shown."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform == "darwin"
