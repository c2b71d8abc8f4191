"""A capture file as input: datagrams from JSON lines instead of from sockets.

Each line is ``{"t": Unix seconds, "remote": "IP:PORT", "data": "BASE64"}``. Nothing is dropped: the file waits when the
spool is full, and the position reached is written with the datagrams in the same transaction, so that a restart
continues exactly there. Lines that are not datagrams are counted by reason, never guessed at.
"""

from __future__ import annotations

import binascii
import gzip
import io
import logging
import os
import select
import zlib
from pathlib import Path

import msgspec

from shoveler.intake import SocketAddress
from shoveler.service import RateLimited, parse_address
from shoveler.spool.values import Input

_warn = RateLimited(logging.getLogger(__name__), 600.0)
_LONGEST_LINE = 256 * 1024
_READ = 256 * 1024
_STDIN = 0


def identity(name: str) -> str:
    """The key of the position in a capture: the path and the identity of the file that is there now."""
    path = Path(name)
    try:
        return f"{path.resolve()}#{path.stat().st_ino}"
    except OSError:
        return name


class ReplayError(Exception):
    """The file cannot be read; one sentence."""


class _Line(msgspec.Struct):
    remote: str
    data: str
    t: float = 0.0


_decode = msgspec.json.Decoder(_Line).decode
_decode_any = msgspec.json.Decoder().decode


class Replay:
    """Reads a capture from `position` (bytes into the uncompressed text). Belongs to one thread."""

    def __init__(self, name: str, position: int = 0, *, follow: bool = False, captured_speed: bool = False) -> None:
        """`name` is a path, plain or ``.gz``, or ``-`` for standard input. Raises ReplayError."""
        self.name = name
        self._identity = identity(name)
        self.ended = False
        self._follow = follow
        self._captured_speed = captured_speed
        self._offset: float | None = None
        self._next: tuple[float, bytes, SocketAddress, int] | None = None
        self._position = 0 if name == "-" else position
        self._buffer = b""
        self._start = 0
        self._dry = False
        self._broken: ReplayError | None = None
        self._file: io.BufferedReader | gzip.GzipFile | None = None
        if name == "-":
            return
        try:
            self._file = self._open(name)
            size = self._file.seek(0, io.SEEK_END) if position else 0
            self._file.seek(position)
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            raise ReplayError(f"cannot read the capture {name}: {_why(error)}") from None
        if position > size:
            self.close()
            raise ReplayError(
                f"the capture {name} is shorter than what was taken of it before; use --again to start over"
            )

    @staticmethod
    def _open(name: str) -> io.BufferedReader | gzip.GzipFile:
        if name.endswith(".gz"):
            return gzip.GzipFile(name, "rb")
        return open(name, "rb")  # noqa: PTH123 - closed by `close`

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def place(self) -> Input:
        """The position after everything that `take` has returned."""
        return Input(self._identity, self._position)

    def due(self, now: float) -> bool:
        """Whether `take` may return something at this time (Unix seconds), so that there is no need to wait."""
        if self._next is None or not self._captured_speed or self._offset is None:
            return not self.ended and not self._dry
        return self._next[0] + self._offset <= now

    def take(self, limit: int, now: float) -> tuple[list[tuple[bytes, SocketAddress]], dict[str, int]]:
        """(datagrams with their senders, number of bad lines by reason). At the end of the file `ended` is True,
        unless it is followed. Raises ReplayError when the file is cut off, after everything before that was
        returned."""
        datagrams: list[tuple[bytes, SocketAddress]] = []
        rejected: dict[str, int] = {}
        self._dry = False
        if self._broken is not None:
            raise self._broken
        while len(datagrams) < limit:
            if self._next is None:
                try:
                    line = self._line()
                except ReplayError as error:
                    if not datagrams and not rejected:
                        raise
                    self._broken = error
                    break
                if line is None:
                    break
                end = self._position + len(line)
                read = _read(line)
                if isinstance(read, str):
                    if read:
                        rejected[read] = rejected.get(read, 0) + 1
                    self._position = end
                    continue
                self._next = (*read, end)
            t, datagram, address, end = self._next
            if self._captured_speed:
                if self._offset is None:
                    self._offset = now - t
                if t + self._offset > now:
                    break
            self._next = None
            self._position = end
            datagrams.append((datagram, address))
        return datagrams, rejected

    def _line(self) -> bytes | None:
        """The next whole line, or None: at the end (`ended`), or when there is none for now (`_dry`)."""
        while True:
            end = self._buffer.find(b"\n", self._start) + 1
            if not end and len(self._buffer) - self._start >= _LONGEST_LINE:
                end = self._start + _LONGEST_LINE  # not a datagram; counted piece by piece
            if end:
                line = self._buffer[self._start : end]
                self._start = end
                return line
            more = self._more()
            if more:
                self._buffer = self._buffer[self._start :] + more
                self._start = 0
                continue
            if more is None or self._follow:  # a line may be being written right now
                self._dry = True
                return None
            line, self._buffer, self._start = self._buffer[self._start :], b"", 0
            self.ended = not line
            return line or None

    def _more(self) -> bytes | None:
        """Some bytes; empty at the end of the file; None when there are none for now."""
        try:
            if self._file is not None:
                more = self._file.read1(_READ)  # not `read`: that throws away what came before an error
                if not more and self._follow:
                    self._check_it_is_still_there()
                return more
            # A pipe: the receiver must not wait for its writer.
            if not select.select([_STDIN], [], [], 0)[0]:
                return None
            return os.read(_STDIN, _READ)
        except (OSError, EOFError, zlib.error) as error:
            raise ReplayError(f"the capture {self.name} cannot be read further: {_why(error)}") from None

    def _check_it_is_still_there(self) -> None:
        """A followed file that was truncated or replaced would be waited for in vain without anyone noticing. A
        replaced file is only reported: its writer may still be writing the last lines."""
        assert self._file is not None
        opened = os.fstat(self._file.fileno())
        if isinstance(self._file, io.BufferedReader) and opened.st_size < self._file.tell():
            raise ReplayError(f"the capture {self.name} became shorter while it was followed; start again with --again")
        try:
            found = Path(self.name).stat()
        except FileNotFoundError:
            return  # being renamed; what is still written to it is read
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            _warn.warning(
                "replaced", "! the capture %s was replaced by another file, and the old one is still followed; "
                "restart to read the new one", self.name,
            )  # fmt: skip


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _read(line: bytes) -> tuple[float, bytes, SocketAddress] | str:
    """A datagram, or the reason why it is not one; the empty reason for a blank line."""
    if not line.strip():
        return ""
    try:
        wire = _decode(line)
    except msgspec.ValidationError:
        try:
            fields = _decode_any(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "line"
        return "no_remote" if isinstance(fields, dict) and not isinstance(fields.get("remote"), str) else "line"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last from deep nesting
        return "line"
    try:
        host, port = parse_address(wire.remote)
    except ValueError:
        return "remote"
    try:
        return wire.t, binascii.a2b_base64(wire.data), (host, port)
    except ValueError:  # binascii.Error, or text beyond ASCII
        return "base64"
