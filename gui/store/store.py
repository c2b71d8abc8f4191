"""The `Store`: one object for all that a workspace remembers."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from gui.store.access import AccessPart
from gui.store.engine import Database
from gui.store.loader import Loader
from gui.store.records import RecordsPart
from gui.store.results import ResultsPart
from gui.store.runs import RunsPart
from gui.store.timeline import TimelinePart


class Store(AccessPart, RunsPart, RecordsPart, TimelinePart, ResultsPart):
    """See the package. Opens (creating or migrating) the database at `address`: a file name or a database URL.

    Raises StoreError with a sentence when it cannot."""

    def __init__(self, address: str | os.PathLike[str]) -> None:
        self.database = Database(address)
        self._loader = Loader(self.database)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Never raises."""
        self._loader.close()
        self.database.close()


def default_database(workspace: str = "default") -> Path:
    """The file of a named workspace in the user's data directory, which is made when absent.

    `workspace` becomes a file name: letters, digits, ``.``, ``_`` and ``-`` only, else ValueError."""
    if not workspace or not all(c.isalnum() or c in "._-" for c in workspace) or workspace.startswith("."):
        raise ValueError(f"A workspace is named with letters, digits, '.', '_' and '-', not {workspace!r}.")
    directory = platformdirs.user_data_path("tally", appauthor=False)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory / f"{workspace}.db"
