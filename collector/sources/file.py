"""Datagrams from a file or standard input, in the capture format: a line of JSON ``{t, remote, data}`` per datagram.

Lines may also carry the ``id`` of an envelope. The clock is the captured ``t``. Compressed files (gzip) are recognised
by their first bytes. A bad line is rejected with its file and number and does not affect others. With `follow` the end
of the file is not the end: lines are taken as they are written, also after the file was rotated or cut.
"""

from __future__ import annotations

import binascii
import json
import logging
import os
import select
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from collector.sources import NOTHING, Datagram, Passing, Reject, SourceError, Taken, split_id
from collector.wire.userid import is_remote, split_remote

_log = logging.getLogger(__name__)

_LONGEST_LINE = 1 << 20
"""Bytes. A datagram of 64 KiB is a line of 88 KB; anything longer is not a capture and must not fill the memory."""
LINES_PER_TAKE = 2_000
MANY_LINES = 8_000
"""The same if records do not wait for the end of a cycle: fewer commits, of states that are large in comparison."""
_BYTES_PER_TAKE = 16 << 20
_CHUNK = 1 << 18
_LATEST = 1e11
_SENDERS = 20_000
_POLL = 0.25
"""Seconds between checks of a followed file's end."""


class Line(msgspec.Struct, gc=False):
    """One line of a capture."""

    t: float
    remote: str
    data: str
    id: str | None = None


class _Quick(msgspec.Struct, gc=False):
    """A `Line`, and its data decoded."""

    t: float
    remote: str
    data: bytes
    id: str | None = None


class Head(msgspec.Struct, gc=False):
    """The part of a line that determines its worker."""

    t: float
    remote: str


_decoder = msgspec.json.Decoder(Line)
_quick = msgspec.json.Decoder(_Quick)
_head = msgspec.json.Decoder(Head)


class Share:
    """Which senders' datagrams one of several workers takes: by address, like the shards of a bus."""

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self._count = count
        self._known: dict[str, bool] = {}

    def look(self, line: bytes) -> Passing | None:
        """None if the line is ours, or is invalid and the first worker must report it."""
        try:
            head = _head.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None if self.number == 0 else Passing(0.0)
        ours = self._known.get(head.remote)
        if ours is None:
            if len(self._known) > _SENDERS:
                self._known.clear()
            address = split_remote(head.remote)[0]
            ours = zlib.crc32(address.encode("utf-8", "replace")) % 256 % self._count == self.number
            self._known[head.remote] = ours
        return None if ours else Passing(head.t if 0 <= head.t < _LATEST else 0.0)


def parse_line(line: bytes, place: str) -> Datagram | Reject:
    """One line of a capture; `place` (FILE:LINE) is for the text of a reject.

    OPTIMISATION. First both at once, JSON and base64: 2.0 µs for 1,400 bytes instead of 5.3. What cannot be decoded so
    is decoded again in two steps, which show the error.
    """
    try:
        entry = _quick.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_plainly(line, place)
    return _datagram(entry, entry.data, place)


def _parse_plainly(line: bytes, place: str) -> Datagram | Reject:
    try:
        entry = _decoder.decode(line)
        data = binascii.a2b_base64(entry.data, strict_mode=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Reject("line", f"{place} is not a captured datagram: {error}")
    except (binascii.Error, ValueError) as error:
        return Reject("base64", f"{place}: data is not base64: {error}")
    return _datagram(entry, data, place)


def _datagram(entry: Line | _Quick, data: bytes, place: str) -> Datagram | Reject:
    if not is_remote(entry.remote):
        return Reject("remote", f"{place}: remote is {entry.remote[:60]!r}, neither an address nor a host name")
    if not 0 <= entry.t < _LATEST:
        return Reject("time", f"{place}: t is {entry.t!r}, not a time in Unix seconds")
    spool, seq = split_id(entry.id)
    return Datagram(data, entry.remote, entry.t, spool, seq, spool)


class LineSplitter:
    """Bytes in, whole lines out, in bounded memory: None stands for a line that is too long."""

    def __init__(self) -> None:
        self._partial = b""
        self._skipping = False
        self.offset = 0
        """Bytes up to the end of the last line taken from `lines`; the caller adds what it takes."""
        self.lines: deque[tuple[bytes | None, int]] = deque()
        """(line without its newline, or None when it was too long; bytes it occupied)."""
        self._skipped = 0

    def feed(self, chunk: bytes) -> None:
        """Add what was read."""
        pieces = chunk.split(b"\n")
        if len(pieces) == 1:
            self._keep(chunk)
            return
        self._finish(pieces[0])
        self.lines.extend((piece, len(piece) + 1) for piece in pieces[1:-1])
        self._keep(pieces[-1])

    def _keep(self, piece: bytes) -> None:
        if self._skipping or len(self._partial) + len(piece) > _LONGEST_LINE:
            self._skipping = True
            self._skipped += len(self._partial) + len(piece)
            self._partial = b""
        else:
            self._partial += piece

    def _finish(self, piece: bytes) -> None:
        self._keep(piece)
        if self._skipping:
            self.lines.append((None, self._skipped + 1))
            self._skipping, self._skipped = False, 0
        else:
            self.lines.append((self._partial, len(self._partial) + 1))
            self._partial = b""

    def end(self) -> None:
        """The input ended: the rest without a newline is also a line."""
        if self._partial or self._skipping:
            self._finish(b"")


class FileSource:
    """A `Source` that reads a capture. `path` None is standard input. Raises SourceError when it cannot be opened."""

    captured = True

    def __init__(
        self,
        path: Path | None,
        *,
        follow: bool = False,
        position: str | None = None,
        share: Share | None = None,
        lines: int = LINES_PER_TAKE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`share`: the share of the datagrams that one of several workers takes here; None: all. `lines`: maximum per
        take.
        """
        self._path = path
        self._share = share
        self._most = lines
        self._name = str(path) if path else "standard input"
        self._follow = follow and path is not None
        self.live = self._follow
        self._sleep = sleep
        self._line = 0
        self._fd = -1
        self._inode = 0
        self._end_of_input = False
        self._cut_short = False
        self.trouble = ""
        self._open()
        if position is not None:
            self._resume(position)

    def _open(self) -> None:
        """Open the file from its beginning, and find out whether it is compressed."""
        self._splitter = LineSplitter()
        self._line = 0
        self._raw_read = 0
        self._unzip: zlib._Decompress | None = None
        self._in_member = False
        self._known_kind = False
        if self._path is None:
            self._fd = 0
            return
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(self._fd)
            os.pread(self._fd, 1, 0)  # a directory opens, but does not read
        except OSError as error:
            raise SourceError(f"cannot read {self._name}: {error.strerror}") from error
        self._inode = status.st_ino

    def _resume(self, position: str) -> None:
        """Continue after the lines that a checkpoint knows, if it is still the same file."""
        if self._path is None:
            return
        try:
            stored = json.loads(position)
            inode, offset, line = int(stored["inode"]), int(stored["offset"]), int(stored["line"])
        except (ValueError, KeyError, TypeError):
            _log.warning(
                "%s: the stored position %r cannot be read; starting from the beginning", self._name, position[:80]
            )
            return
        if inode != self._inode or stored.get("path") != self._name:
            _log.info("%s is not the file that was read last time; starting from the beginning", self._name)
            return
        # Through the splitter, not by seeking: a compressed file allows nothing else, and reading is fast.
        while self._splitter.offset < offset:
            while not self._splitter.lines and self._read(0.0):
                pass
            if not self._splitter.lines:
                _log.warning("%s is shorter than the stored position; starting from the beginning", self._name)
                os.close(self._fd)
                self._open()
                return
            self._splitter.offset += self._splitter.lines.popleft()[1]
        self._line = line

    @property
    def ended(self) -> bool:
        """The whole file was read (never while following)."""
        return self._end_of_input and not self._splitter.lines

    def take(self, timeout: float) -> Taken:
        """The next lines. From a pipe: what has arrived; from a followed file: what was appended."""
        datagrams: list[Datagram | Passing] = []
        rejects: list[Reject] = []
        share = self._share
        lines = self._splitter.lines
        taken = 0
        for _ in range(self._most):
            while not lines and self._read(0.0 if datagrams or rejects else timeout):
                lines = self._splitter.lines  # another one after a rotation
            if not lines or taken > _BYTES_PER_TAKE:
                break
            line, size = lines.popleft()
            taken += size
            self._splitter.offset += size
            self._line += 1
            if line is None:
                if share is None or share.number == 0:
                    place = f"{self._name}:{self._line}"
                    rejects.append(Reject("line", f"{place} is longer than {_LONGEST_LINE} bytes"))
            elif line and not line.isspace():
                passing = share.look(line) if share is not None else None
                if passing is not None:
                    if passing.t:
                        datagrams.append(passing)
                    continue
                result = parse_line(line, f"{self._name}:{self._line}")
                rejects.append(result) if isinstance(result, Reject) else datagrams.append(result)
        if self._cut_short:
            self._cut_short = False
            if share is None or share.number == 0:
                rejects.append(
                    Reject("compression", f"{self._name} is damaged: its compressed data are truncated or corrupt")
                )
        if not datagrams and not rejects:
            return NOTHING
        return Taken(datagrams, rejects, None, self._position())

    def _position(self) -> str | None:
        if self._path is None:
            return None
        return json.dumps(
            {"path": self._name, "inode": self._inode, "offset": self._splitter.offset, "line": self._line}
        )

    def _read(self, timeout: float) -> bool:
        """Read once; True if it is worth checking for lines again."""
        if self._end_of_input:
            return False
        if self._path is None and not select.select([self._fd], [], [], timeout)[0]:
            return False
        chunk = os.read(self._fd, _CHUNK)
        if not chunk:
            return self._at_end(timeout)
        if not self._known_kind:
            self._known_kind = True
            if chunk[:2] == b"\x1f\x8b":
                self._unzip = zlib.decompressobj(wbits=31)
        self._raw_read += len(chunk)
        self._splitter.feed(chunk if self._unzip is None else self._decompressed(chunk))
        return True

    def _decompressed(self, chunk: bytes) -> bytes:
        """The text in a piece of a gzip file, which may be several gzip files in a row."""
        text = []
        while chunk:
            assert self._unzip is not None
            try:
                text.append(self._unzip.decompress(chunk))
            except zlib.error:
                self._cut_short = self._end_of_input = True
                self._in_member = False
                self._splitter.end()
                break
            self._in_member = not self._unzip.eof
            chunk = self._unzip.unused_data.lstrip(b"\0")  # gzip files may be padded with zeros
            if self._unzip.eof:
                self._unzip = zlib.decompressobj(wbits=31)
        return b"".join(text)

    def _at_end(self, timeout: float) -> bool:
        if self._follow:
            if self._was_replaced():
                self._splitter.end()
                if not self._splitter.lines:  # first the last line of the old file, if it had no newline
                    os.close(self._fd)
                    self._open()
                return True
            self._sleep(min(timeout, _POLL))
            return False
        self._splitter.end()
        self._cut_short = self._in_member
        self._end_of_input = True
        return bool(self._splitter.lines)

    def _was_replaced(self) -> bool:
        """Rotated (another file has the name now) or truncated (shorter than what was read)."""
        assert self._path is not None
        try:
            status = self._path.stat()
        except OSError:
            return False  # between the two steps of a rotation
        return status.st_ino != self._inode or status.st_size < self._raw_read

    def keep_alive(self) -> None:
        """A file waits."""

    def acknowledge(self, token: int) -> None:
        """A file forgets nothing; its position is in the checkpoint."""

    def drops(self) -> int:
        """A file loses nothing."""
        return 0

    def close(self) -> None:
        """Close the file."""
        if self._path is not None and self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
