"""What can be wrong with a spool, and how it is said."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path


class SpoolError(Exception):
    """The spool cannot be used; the text is one sentence that says what to do. Not worth trying again by itself."""


class SpoolFullError(SpoolError):
    """The disk took no more (or is locked by another tool). Nothing happened; trying again later is right."""


class SpoolLockedError(SpoolError):
    """Another shoveler uses this spool."""


# Primary result codes after which the same transaction may succeed later: the disk is full (FULL, and IOERR, which is
# what a quota or a file size limit looks like), cannot be reached for now, or somebody with another tool holds a lock.
_TRY_AGAIN = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FULL = "its disk is full"


def explain(error: sqlite3.Error | OSError, path: Path) -> SpoolError:
    """The sentence for what SQLite or the system says about the file at `path`."""
    if isinstance(error, OSError):  # the tail's: with the same words, whichever of the two files met it first
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return SpoolFullError(f"cannot use the spool {path} for now: {_FULL if full else error.strerror}")
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return SpoolFullError(f"cannot use the spool {path} for now: {_FULL}")
    if code in _TRY_AGAIN:
        return SpoolFullError(f"cannot use the spool {path} for now: {error}")
    if code in _BROKEN:
        return SpoolError(
            f"the spool {path} is damaged ({error}): move the directory away, and start again with an empty one; "
            f"`sqlite3 {path} .recover` gets back what can still be read"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return SpoolError(f"this user may not use the spool {path} ({error}); be the user that its shoveler runs as")
    return SpoolError(f"the spool {path} cannot be used: {error}")
