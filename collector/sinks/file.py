"""Records to a file or standard output, a line of JSON each, on disk (fsync) before they count as safe.

A write that the disk accepts only in part (it is full) is continued later from where it stopped. A line left incomplete
by a kill is cut off at the next start: its record is still in the outbox and is written again, whole.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from collector.checkpoint import Chunk
from collector.sinks import SinkError
from shoveler.service import delays

_log = logging.getLogger(__name__)

_TAIL = 1 << 16


def cut_torn_line(fd: int, name: str) -> int:
    """Cut off what follows the last newline; returns the new length of the file. Raises OSError."""
    size = os.fstat(fd).st_size
    keep = size
    while keep > 0:
        start = max(0, keep - _TAIL)
        newline = os.pread(fd, keep - start, start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep < size:
        _log.warning("%s ends in an incomplete line of %d bytes; cutting it off", name, size - keep)
        os.ftruncate(fd, keep)
    return keep


class OutputClosedError(Exception):
    """The reader of our standard output has gone; there is nobody left to write for."""


class FileSink:
    """A `Sink` that appends to a file. `path` None is standard output. Raises SinkError when it cannot be opened."""

    def __init__(
        self,
        path: Path | None,
        *,
        skip: frozenset[str] = frozenset(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`skip`: streams that do not belong in the file (another form of records that are in it)."""
        self._path = path
        self._skip = skip
        self._name = str(path) if path else "standard output"
        self._monotonic = monotonic
        self._queue: deque[tuple[int, memoryview]] = deque()
        self._written = 0
        self._safe = 0
        self._delays: Iterator[float] = delays()
        self._next_try = 0.0
        self.backlog = 0
        self.trouble = ""
        if path is None:
            self._fd = 1
            self._regular = stat.S_ISREG(os.fstat(1).st_mode)
            return
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            if self._regular:
                cut_torn_line(self._fd, self._name)
        except OSError as error:
            raise SinkError(f"cannot write records to {path}: {error.strerror}") from error

    def send(self, chunk: Chunk) -> None:
        """Queue a chunk; `poll` writes it."""
        text = b"" if chunk.stream in self._skip else chunk.body + b"\n"
        self._queue.append((chunk.number, memoryview(text)))
        self.backlog += len(text)

    def poll(self, timeout: float) -> int:
        """Write everything queued and make it durable. After a failed write it does nothing until the back-off is
        over."""
        if not self._queue and self._written == self._safe:
            return self._safe
        wait = self._next_try - self._monotonic()
        if wait > 0:
            if timeout > 0:
                time.sleep(min(wait, timeout))
            return self._safe
        try:
            self._write()
            if self._regular:
                os.fdatasync(self._fd)
        except BrokenPipeError:
            raise OutputClosedError(f"nobody reads {self._name} any more") from None
        except OSError as error:
            self._failed(error)
            return self._safe
        if self.trouble:
            _log.warning("%s: writing again", self._name)
            self.trouble = ""
            self._delays = delays()
        self._safe = self._written
        return self._safe

    def _write(self) -> None:
        while self._queue:
            number, rest = self._queue[0]
            while rest:
                done = os.write(self._fd, rest)
                self.backlog -= done
                rest = rest[done:]
                self._queue[0] = (number, rest)
            self._queue.popleft()
            self._written = number

    def _failed(self, error: OSError) -> None:
        what = f"cannot write records to {self._name}: {error.strerror}"
        if what != self.trouble:
            hint = "; free space, nothing is lost meanwhile" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            _log.error("%s%s; trying again", what, hint)
        self.trouble = what
        self._next_try = self._monotonic() + next(self._delays)

    def dropped(self) -> dict[str, int]:
        """A file drops nothing."""
        return {}

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            os.close(self._fd)
