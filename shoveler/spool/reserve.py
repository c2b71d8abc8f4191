"""Space on the disk that is reserved for when the disk is full."""

from __future__ import annotations

import logging
import os
from pathlib import Path

_log = logging.getLogger("shoveler.spool")


class Reserve:
    """A file that only occupies space, to be released when the disk is full."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def make(self) -> bool:
        """True when it exists in full size. It is created only if as much space again remains free."""
        if not self.size:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return False
        try:
            if os.fstat(fd).st_blocks * 512 >= self.size:
                return True
            disk = os.fstatvfs(fd)
            if disk.f_bavail * disk.f_frsize >= 2 * self.size:
                os.posix_fallocate(fd, 0, self.size)
                return True
        except OSError:
            pass  # no room after all: as below
        finally:
            os.close(fd)
        self.give_up()
        return False

    def lacking(self) -> int:
        """Bytes of the disk that must become free before it can be created."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 2 * self.size
        return max(0, 2 * self.size - disk.f_bavail * disk.f_frsize)

    def give_up(self) -> None:
        """Give its space back to the disk. Never raises."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("= cannot release the reserve: %s", error)
