"""The tail of a spool: small transactions, appended to their own file before they are written to the database together.

A commit to SQLite writes half a dozen pages. At 20 datagrams a second that was 260 times what came in, 58 GB a day. A
*frame* holds what one transaction changed and little more. From time to time (see `Spool`) the owner writes the content
of all frames to the database, in one transaction, and starts another *epoch*: a random number in the database and in
each frame, so that frames are never applied to a database that they do not belong to.

Frames contain values, not increments, so the newest ones count. They are read up to the first incomplete one.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

_HEAD = struct.Struct(">II")
"""Length and CRC-32 of what follows."""
_LARGEST = 2**26

BlockRow = tuple[int, int, float, int, bytes, bytes]
"""A row of the table ``blocks``: last, count, arrived, size, senders, body."""
SenderRow = tuple[str, int, int, int, int, int, str, str, float]
IntervalRow = tuple[int, str, str, str, float, float, int]


class Frame(msgspec.Struct, array_like=True, gc=False):
    """The state after one transaction, as far as the transaction has changed it."""

    epoch: int
    last: int
    """The newest SEQ."""
    removed: int
    """Blocks up to this SEQ are removed."""
    totals: tuple[int, ...]
    """The counters of the table ``spool``, and the size of the blocks behind them."""
    looked: float
    block: BlockRow | None
    senders: list[SenderRow]
    sockets: dict[str, int]
    intervals: list[IntervalRow]
    intervals_gone: list[int]
    generation: tuple[int, str] | None
    """One that begins with this transaction: (first SEQ, word)."""
    input: tuple[str, int] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def encode(frame: Frame) -> bytes:
    """A frame as it is in the file."""
    body = _encode(frame)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def decode(data: bytes, start: int = 0) -> Iterator[tuple[Frame, int]]:
    """Frames from `start` on with the offset where each ends, up to the first incomplete one."""
    at = start
    while len(data) - at >= _HEAD.size:
        length, checksum = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        body = data[at : at + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        at += length
        try:
            yield _decode(body), at
        except msgspec.DecodeError:
            return


def of_epoch(data: bytes, epoch: int) -> tuple[list[Frame], int]:
    """(the frames of one epoch, where the last of them ends). They are together, after those of older epochs."""
    found: list[Frame] = []
    end = 0
    for frame, at in decode(data):
        if frame.epoch == epoch:
            found.append(frame)
            end = at
        elif found:
            break
    return found, end


def file_of(directory: Path) -> Path:
    """The path of the tail."""
    return directory / "spool.tail"


class Tail:
    """The file as its owner has it. Raises OSError."""

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        """`mode`: for a new file, that of the database, since it contains the same datagrams."""
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        self.size = os.fstat(self.fd).st_size
        self.written = 0
        """Bytes appended since it was opened."""

    def read(self) -> bytes:
        """All of it."""
        return os.pread(self.fd, _LARGEST, 0)

    def append(self, frame: bytes) -> None:
        """Add a frame, completely or not at all."""
        written = 0
        try:
            while written < len(frame):
                written += os.write(self.fd, frame[written:])
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        self.size += len(frame)
        self.written += len(frame)

    def cut(self, size: int) -> None:
        """Make it shorter."""
        if size != self.size:
            os.ftruncate(self.fd, size)
            self.size = size

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


class TailReader:
    """The file as others read it, while its owner goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._epoch = 0
        self._frames: list[Frame] = []
        self._end = 0
        self._newest = b""
        """The frame that ends at `_end`, byte for byte: as long as it is there, the file was not truncated before
        that."""

    def frames(self, epoch: int) -> list[Frame]:
        """The frames of the database's epoch. What was read before is not read again: within an epoch the file only
        grows, and the frames of the next epoch begin where they end, unless those were cut off. Raises OSError."""
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return []
        if epoch != self._epoch:
            self._epoch, self._frames = epoch, []
        start, before = self._end - len(self._newest), len(self._newest)
        data = os.pread(self._fd, _LARGEST, start)
        if not data.startswith(self._newest):  # others are there, and a frame may end at the same offset by chance
            self._frames, self._end, self._newest = [], 0, b""
            start = before = 0
            data = os.pread(self._fd, _LARGEST, 0)
        for frame, at in decode(data, before):
            if frame.epoch == epoch:
                self._frames.append(frame)
                self._end, self._newest = start + at, data[before:at]
            elif self._frames:
                break
            before = at
        return self._frames

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
