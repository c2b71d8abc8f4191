"""The `Store`: one object for everything that a workspace remembers."""

from __future__ import annotations

import os

from gui.store.access import AccessPart
from gui.store.arrivals import ArrivalsPart
from gui.store.engine import Database
from gui.store.loader import Loader
from gui.store.records import RecordsPart
from gui.store.results import ResultsPart
from gui.store.runs import RunsPart
from gui.store.timeline import TimelinePart


class Store(AccessPart, RunsPart, ArrivalsPart, RecordsPart, TimelinePart, ResultsPart):
    """See the package. Opens (creating or migrating) the database at `address`: a file name or a database URL.
    `read_only`: works where nothing can be written; the database must exist and be up to date.

    Raises StoreError with a sentence when it cannot."""

    def __init__(self, address: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.database = Database(address, read_only=read_only)
        self._loader = Loader(self.database)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Never raises."""
        self._loader.close()
        self.database.close()
