"""One writer: the lock of a spool directory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from shoveler.locks import FileLock
from shoveler.spool.errors import SpoolError, SpoolLockedError


class SpoolLock:
    """The right to write a spool, as long as any process holds the descriptor (it is inherited by the receiver)."""

    def __init__(self, directory: Path, *, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises SpoolLockedError when another process still has it after `wait` seconds, SpoolError for a bad
        directory."""
        self._lock = FileLock(directory / "lock", mode=0o644)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            held = self._lock.acquire(wait=wait, sleep=sleep)
        except FileExistsError:
            raise SpoolError(f"cannot use the spool directory {directory}: it is a file") from None
        except OSError as error:
            raise SpoolError(f"cannot use the spool directory {directory}: {error.strerror}") from None
        if not held:
            raise SpoolLockedError(
                f"another tally-shoveler ({self._lock.holder()}) uses the spool {directory}: "
                "stop it, or give this one its own spool directory"
            )

    @property
    def fd(self) -> int:
        """The descriptor, for another process that should hold the lock, too."""
        assert self._lock.fd is not None
        return self._lock.fd

    def close(self) -> None:
        """Release it (in effect once all other processes that inherited it have done so, too)."""
        self._lock.release()
