"""What can go wrong with a workspace database. Every text tells an operator what is wrong and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreUnavailableError(StoreError):
    """The database cannot be opened or reached, or is full: the environment has to change."""


class StoreBusyError(StoreUnavailableError):
    """Another program has locked the database; worth trying again."""


class StoreNewerError(StoreError):
    """The database was made by a newer Tally."""


class NotAWorkspaceError(StoreError):
    """The file is not an SQLite database, or it belongs to another program."""


class StoreConflictError(StoreError):
    """What is to be stored contradicts what is stored already."""


class NoSuchRowError(StoreError):
    """A run, test, repeat, request or record with that id is not in the database."""
