"""Writes records directly into a file that belongs to the state, without the outbox.

OPTIMISATION. Storing records twice (in the outbox and in the file) and clearing them costs more than joining them:
a replay with a state wrote 57,000 records a second through the outbox (docs/measurements has today's figure).

The plain path (`collector.sinks.file`, used by all other outputs) publishes what is committed. Here the order is
reversed: records are written as they come, and synced, and then the transaction stores the length of the file with
them. A file that is longer than its state says, because the process was killed in between, is truncated to that length;
then the same input, read again from the position in the same transaction, gives the same records. So even a reader that
ignores ``record_id`` finds each once. This needs an input that can be read again from a position: a file.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from collector.checkpoint import Chunk
from collector.correlate import Record
from collector.sinks import SinkError
from collector.sinks.file import cut_torn_line

_log = logging.getLogger(__name__)

_PIECE = 1024
"""Records per write: about a megabyte."""


def can_be_direct(path: Path) -> bool:
    """Whether a file can be truncated: a regular one, or one that does not exist yet."""
    return path.is_file() or not path.exists()


def share_path(path: Path, share: int) -> Path:
    """Where a worker writes: the first into the file itself, the others beside it until `gather`."""
    return path if share == 0 else path.with_name(f"{path.name}.share-{share}")


def gather(path: Path, shares: int) -> None:
    """All workers have reached the end: append their records to those of the first, in the order of their numbers.
    Raises SinkError.

    A share is renamed before it is appended, to a name that no worker writes to, and a note has the previous length of
    the file. What a kill interrupts is repeated, here or before the first worker continues with the file.
    """
    try:
        _go_on_gathering(path)
        for share in range(1, shares):
            other = share_path(path, share)
            if other.exists():  # else it was gathered before a kill
                status = path.stat()
                _write_note(_note(path), f"{status.st_ino} {status.st_size}")
                other.replace(_gathered(path))
                _go_on_gathering(path)
        _note(path).unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise SinkError(f"the records of all workers cannot be joined in {path}: {error}") from error


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.gathering")


def _gathered(path: Path) -> Path:
    return path.with_name(f"{path.name}.gathered")


def _go_on_gathering(path: Path) -> None:
    """Append the share that is being gathered, if there is one, to the file's previous content. If that file is gone,
    it belonged to a run that nobody continues. Raises OSError or ValueError.
    """
    share = _gathered(path)
    if not share.exists():
        return
    inode, length = map(int, _note(path).read_text().split())
    if path.exists() and path.stat().st_ino == inode and path.stat().st_size >= length:
        with path.open("r+b") as file, share.open("rb") as records:
            file.truncate(length)
            file.seek(length)
            left = os.fstat(records.fileno()).st_size
            while left:
                left -= os.sendfile(file.fileno(), records.fileno(), None, left)
            os.fsync(file.fileno())
    share.unlink()


def _write_note(note: Path, text: str) -> None:
    young = note.with_name(note.name + ".new")
    with young.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    young.replace(note)


class Mark(msgspec.Struct):
    """What a state says about the file."""

    path: str
    inode: int
    length: int
    """Bytes that are committed."""
    open: bool
    """More may have been written."""


_read = msgspec.json.Decoder(Mark).decode


class DirectFile:
    """The file. Belongs to one thread."""

    def __init__(self, path: Path, mark: str | None, *, share: int = 0) -> None:
        """`mark`: what the state says about it; `share`: the number of the worker. Raises SinkError when it cannot be
        opened."""
        self.is_share = share > 0
        self.path = path = share_path(path, share)
        try:
            if not self.is_share:
                _go_on_gathering(path)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise SinkError(f"cannot write records to {path}: it is not a regular file any more")
            self._inode = status.st_ino
            self._too_long = False
            self._length = self._begin(mark)
        except OSError as error:
            raise SinkError(f"cannot write records to {path}: {error.strerror}") from error
        except ValueError as error:
            raise SinkError(
                f"cannot write records to {path}: {_note(path)} is damaged ({error}); look at {_gathered(path)}, whose "
                "records belong behind the others, and remove both"
            ) from error

    def _begin(self, mark: str | None) -> int:
        """Cut off what a killed process had written and not committed; returns the length at which to continue."""
        size = cut_torn_line(self._fd, str(self.path))
        known = _read(mark) if mark is not None else None
        if self.is_share:  # nobody else writes here: anything that is not ours belongs to a run that nobody continues
            mine = known is not None and known.path == str(self.path) and known.inode == self._inode
            os.ftruncate(self._fd, min(known.length, size) if known is not None and mine else 0)
            return os.fstat(self._fd).st_size
        if known is None or not known.open or known.path != str(self.path) or known.inode != self._inode:
            return size
        if known.length < size:
            _log.info("%s: cutting off %d bytes that will be written again", self.path, size - known.length)
            os.ftruncate(self._fd, known.length)
        return min(known.length, size)

    @property
    def length(self) -> int:
        """Length of the file with everything written."""
        return self._length

    def go_back(self, length: int) -> None:
        """Return to an earlier length: what was written since then is cut off with the next write, even of nothing."""
        self._too_long = length < self._length
        self._length = length

    def mark(self, *, done: bool = False) -> str:
        """For the state: the file, and its length with everything written. `done`: nobody writes it now; anything after
        that length comes from another program.
        """
        return msgspec.json.encode(Mark(str(self.path), self._inode, self._length, not done)).decode()

    def write(self, records: Sequence[Record]) -> None:
        """Append them. If it raises OSError, none of them is in the file."""
        self.append([body for _, _, _, body in records])

    def append(self, bodies: Sequence[bytes]) -> None:
        """As `write`, of JSON texts."""
        if self._too_long:
            os.ftruncate(self._fd, self._length)
            self._too_long = False
        at = self._length
        try:
            for start in range(0, len(bodies), _PIECE):
                text = memoryview(b"\n".join(bodies[start : start + _PIECE]) + b"\n")
                while text:
                    done = os.pwrite(self._fd, text, at)
                    at += done
                    text = text[done:]
        except OSError:
            os.ftruncate(self._fd, self._length)
            raise
        self._length = at

    def sync(self) -> None:
        """On disk when this returns. Raises OSError."""
        os.fdatasync(self._fd)

    # -- as a `Sink`, with nothing ever in flight

    trouble = ""
    backlog = 0

    def send(self, chunk: Chunk) -> None:  # noqa: ARG002 - of the interface
        """Never called: records are written directly."""
        raise AssertionError("records for this file do not go through the outbox")

    def poll(self, timeout: float) -> int:  # noqa: ARG002 - of the interface
        """Nothing is in flight."""
        return 0

    def dropped(self) -> dict[str, int]:
        """A file drops nothing."""
        return {}

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
