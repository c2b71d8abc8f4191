"""What can be wrong with a spool, and the messages for it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path


class SpoolError(Exception):
    """The spool cannot be used; the text is one sentence that says what to do. Trying again alone does not help."""


class SpoolFullError(SpoolError):
    """The disk is full (or another tool holds a lock). Nothing was changed; try again later."""


class SpoolLockedError(SpoolError):
    """Another shoveler uses this spool."""


# Primary result codes after which the same transaction may succeed later: the disk is full (FULL, and IOERR for a quota
# or a file size limit), is temporarily unreachable, or another tool holds a lock.
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
    """The sentence for an error of SQLite or the system on the file at `path`."""
    if isinstance(error, OSError):  # from the tail: the same sentence, whichever of the two files fails first
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return SpoolFullError(f"cannot use the spool {path} for now: {_FULL if full else error.strerror}")
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return SpoolFullError(f"cannot use the spool {path} for now: {_FULL}")
    if code in _TRY_AGAIN:
        return SpoolFullError(f"cannot use the spool {path} for now: {error}")
    if code in _BROKEN:
        return SpoolError(
            f"the spool {path} is damaged ({error}): move the directory away and start again with an empty one; "
            f"`sqlite3 {path} .recover` recovers what can still be read"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return SpoolError(f"this user cannot use the spool {path} ({error}); run as the shoveler's user")
    return SpoolError(f"the spool {path} cannot be used: {error}")
