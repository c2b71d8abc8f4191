"""What can go wrong with a workspace database. Every text tells an operator what is wrong and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreUnavailable(StoreError):  # noqa: N818 - names a state of the database
    """The database cannot be opened or reached, or is full: the environment has to change."""


class StoreBusy(StoreUnavailable):
    """Another program has locked the database; worth trying again."""


class StoreNewer(StoreError):  # noqa: N818 - names a state of the database
    """The database was made by a newer Tally."""


class NotAWorkspace(StoreError):  # noqa: N818 - names what the file is
    """The file is not an SQLite database, or it belongs to another program."""


class StoreConflict(StoreError):  # noqa: N818 - names what is wrong with the data
    """What is to be stored contradicts what is stored already."""


class NoSuchRow(StoreError):  # noqa: N818 - names what is missing
    """A run, test, repeat, request or record with that id is not in the database."""
