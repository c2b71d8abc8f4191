"""Where the app keeps its files: the workspace database, the hub's certificate, plan files."""

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


def data_directory() -> Path:
    """Tally's data directory for this user: TALLY_DATA if set, else the usual place of the system."""
    return Path(os.environ.get("TALLY_DATA") or platformdirs.user_data_path("tally", appauthor=False))


def kept_in_data(name: str) -> str:
    """The path of a database in Tally's data directory, which is created. Raises CommandError."""
    directory = data_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CommandError(
            f"Tally's data directory {directory} cannot be created: {error.strerror}; name a database with --db, "
            "or another directory with TALLY_DATA."
        ) from error
    return str(directory / name)


def hub_directory() -> Path:
    """Where the hub's key and certificate are."""
    return data_directory() / "hub"


def add_database_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--db URL``; the environment variable TALLY_DB comes before the default."""
    parser.add_argument(
        "--db",
        metavar="URL",
        default=argparse.SUPPRESS,  # otherwise the default would override `tally --db URL COMMAND`
        help="workspace database: a file, or postgresql://… (default: TALLY_DB, or that of the settings)",
    )


def database(options: argparse.Namespace) -> str:
    """The database named by the options, else the default workspace."""
    named = getattr(options, "db", None) or os.environ.get("TALLY_DB")
    return str(named) if named else default_workspace()


def default_workspace() -> str:
    """The database that the settings name, else ``default.db`` in the data directory. Raises CommandError."""
    kept = kept_in_data("default.db")
    if not (data_directory() / "settings.toml").exists():
        return kept  # the settings take a moment to import
    from gui.runner.machine import default_database, settings_or_defaults

    return default_database(data_directory(), settings_or_defaults(data_directory()))


def _with_password(name: str) -> str:
    """The address of a database with the password that is kept for it, if it needs one."""
    if "://" not in name:
        return name
    from gui.runner.machine import database_address
    from gui.runner.secrets import Secrets

    return database_address(Secrets(data_directory()), name)


def open_store(options: argparse.Namespace) -> Store:
    """Open the workspace named by the options, created if missing. Raises StoreError with a sentence."""
    from gui.store import Store  # takes half a second, which would delay the window's first paint

    return Store(_with_password(database(options)))


def open_to_read(options: argparse.Namespace) -> Store:
    """The same for a command that only reads an existing workspace. Raises CommandError and StoreError.

    It does not wait for programs that write, and the file may be read-only."""
    from gui.store import Store

    name, file = _there(options)
    if file is not None and os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        Store(name).close()  # upgrades a workspace of an older Tally; otherwise nothing is written
    return Store(_with_password(name), read_only=True)


def open_to_change(options: argparse.Namespace) -> Store:
    """The same for a command that changes an existing workspace. Raises CommandError and StoreError."""
    from gui.store import Store

    return Store(_with_password(_there(options)[0]))


def _there(options: argparse.Namespace) -> tuple[str, Path | None]:
    """The database, and its file if it has one. A named file that does not exist is a CommandError, not a new one."""
    from gui.store import Store, parse_database

    name = database(options)
    url = parse_database(name)
    if url.get_backend_name() != "sqlite":
        return name, None
    file = Path(str(url.database))
    if not file.exists():
        if name != default_workspace():
            raise CommandError(
                f"There is no workspace {file}; check its name, or create one with: tally demo --db {file}"
            )
        Store(name).close()
    return name, file


def has_display() -> bool:
    """Whether a window could be shown."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform == "darwin"
