"""Lock files: locked by one process for as long as it lives, however it ends.

A lock is always a file of its own, never the protected one: SQLite's locks on a file vanish when any descriptor of it
is closed. The file stays when the lock is released: removing it would let two processes lock two files of one name. It
contains the number of the process that holds it, for the message that a second process gets. Imports no other module of
Tally.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.05


class FileLock:
    """The lock on `path`, not taken yet. Processes that inherit `fd` hold it as well."""

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self.path = path
        self._mode = mode
        self.fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self.fd is not None

    def acquire(self, *, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Take the lock, trying for up to `wait` seconds; returns whether it is ours. Raises OSError for an unusable
        file."""
        if self.fd is not None:
            return True
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode)
        deadline = time.monotonic() + wait
        while not _lock(fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                os.close(fd)
                return False
            sleep(_POLL)
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # the lock works on a full disk, too; the number is only for a message
        self.fd = fd
        return True

    def holder(self) -> str:
        """Who has it, for a message: ``process 4711``."""
        try:
            return str(Holder(_pid(self.path.read_bytes())))
        except OSError:
            return str(Holder(None))

    def release(self) -> None:
        """Release it (in effect once all processes that inherited it have done so, too)."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lock. `pid` is None if the file does not say."""

    pid: int | None

    def __str__(self) -> str:
        return "another process" if self.pid is None else f"process {self.pid}"


def holder_of(path: Path) -> Holder | None:
    """Who has the lock on `path`; None when nobody has. Raises OSError (FileNotFoundError: nobody ever had)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared, and released at once: two readers do not disturb each other, and a process that wants it waits longer.
        return None if _lock(fd, fcntl.LOCK_SH) else Holder(_pid(os.pread(fd, 100, 0)))
    finally:
        os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(content: bytes) -> int | None:
    word = content.split()[-1:]  # "process 4711" from earlier versions
    return int(word[0]) if word and word[0].isdigit() else None
