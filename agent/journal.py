"""The journal: what this agent requested and what it got, on disk before it is reported.

One append-only file (a *segment*) that all worker processes of an agent write to, each line with a single ``write`` to
a file opened for appending; the kernel serializes such writes. A line therefore survives the death of any process from
the moment it is written (the *started* line before the open, the *done* line after the close), and survives a power cut
once `Journal.collect` has synced it, which the agent does every 20 ms while anything is running. Only synced lines get
a number and leave the machine.

The number of a line is its position: the n-th whole line of the journal has number n, so there are no holes and writers
need no coordination. A line that was cut short (power cut, full disk) cannot be decoded and is not counted; every line
has a newline before *and* after it, so that such a fragment never corrupts its neighbour.

    DIR/lock                       held by the one agent that uses this directory
    DIR/journal/FIRST.jsonl        segments: a header line, then lines as in `agent.messages`, their n left at 0
    DIR/journal/acknowledged       how far the hub had stored it, roughly: shows when the hub is another one

A segment is started when no job runs, and deleted when the hub has acknowledged all of it. This module has no event
loop and no network. It must never number or return a line that is not yet synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from agent.messages import Done, Line, Started
from shoveler.locks import FileLock

VERSION: Final = 1
ROTATE_BYTES: Final = 8 * 1024 * 1024
"""A segment of this size is followed by a new one at the next opportunity."""
MARK_EVERY: Final = 1000
"""Lines between two entries of the index from numbers to places, which lives in memory."""
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_LINES: Final = 5000
READ_BYTES: Final = 4 * 1024 * 1024
NOTE_SECONDS: Final = 1.0

_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(Line).decode


class JournalError(Exception):
    """The journal cannot be used; the text is one sentence for a person."""


class JournalFullError(JournalError):
    """The disk did not accept a line. Nothing of it counts; try the same line again later."""


class Header(Struct, frozen=True):
    """First line of a segment. `first` is the number of the line that follows it."""

    tally_journal: int
    journal: str
    first: int


class _Note(Struct, frozen=True):
    journal: str
    n: int


_decode_header = msgspec.json.Decoder(Header).decode
_decode_note = msgspec.json.Decoder(_Note).decode


def _trouble(doing: str, error: OSError) -> JournalError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (JournalFullError if full else JournalError)(f"{doing}: {error.strerror}.")


class Appender:
    """One writer of a segment. Any number of writers, in any processes and threads, may write at the same time.

    It holds a shared lock on the segment, which shows a later agent that some process may still write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def write(self, line: Line) -> None:
        """Append one line. Raises JournalFullError when the disk is full, JournalError for any other error."""
        data = b"\n" + _encode(line) + b"\n"
        try:
            taken = os.write(self._file, data)
        except OSError as error:
            raise _trouble(f"The journal {self._path} cannot be written", error) from error
        if taken != len(data):
            raise JournalFullError(f"The journal {self._path} took {taken} of {len(data)} bytes: the disk is full.")

    def close(self) -> None:
        os.close(self._file)


class _Segment:
    """The part of a segment that is synced and numbered."""

    def __init__(self, path: Path, first: int, offset: int) -> None:
        self.path = path
        self.first = first
        self.next = first
        """Number of the next line."""
        self.offset = offset
        """Offset of the bytes that are not numbered yet."""
        self.marks: list[tuple[int, int]] = [(first, offset)]

    def number(self, data: bytes, torn: list[int]) -> list[Line]:
        """Number the whole lines in `data`, the bytes from `offset` on; a last line without its newline has to wait."""
        whole = data.rfind(b"\n") + 1
        lines: list[Line] = []
        offset = self.offset
        for part in data[:whole].split(b"\n")[:-1]:
            if part:
                try:
                    line = _decode_line(part)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    torn.append(offset)
                else:
                    if self.next % MARK_EVERY == 0:
                        self.marks.append((self.next, offset))
                    lines.append(msgspec.structs.replace(line, n=self.next))
                    self.next += 1
            offset += len(part) + 1
        self.offset += whole
        return lines

    def place(self, n: int) -> tuple[int, int]:
        """The last marked (number, offset) at or before line n."""
        low, high = 0, len(self.marks)
        while high - low > 1:
            middle = (low + high) // 2
            if self.marks[middle][0] <= n:
                low = middle
            else:
                high = middle
        return self.marks[low]


Key = tuple[str, str, str]
"""(job, tag, path): joins a started line with its done line."""


def key_of(line: Line) -> Key:
    return (line.job, line.tag, line.path)


class Journal:
    """The journal of one agent, opened by the one process that numbers, sends and trims it. Not thread-safe.

    Opening it waits up to `wait` seconds for the workers of a dead agent to end, then completes their requests: every
    started line without a done line gets one with ``interrupted``. Raises JournalError (in use, damaged, newer than
    this program, no permission)."""

    def __init__(self, directory: Path, *, wait: float = 15.0) -> None:
        self.directory = directory
        self.torn: list[int] = []
        """Offsets of fragments that were found: lines cut short by a crash or a full disk. They are not counted."""
        self.unfinished: dict[Key, Started] = {}
        """Started lines that have no done line yet."""
        self._cursor: tuple[int, _Segment, int] | None = None
        """Where the last `read` ended: (next number, its segment, offset)."""
        self._note_path = directory / "journal" / "acknowledged"
        self._noted = time.monotonic()
        try:
            (directory / "journal").mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = self._lock_directory()
            try:
                self._segments = self._load(wait)
                self.acknowledged = max(self.first - 1, min(self._recall(), self.last))
                self._appender = Appender(self.segment)
                self.collect()
                self.interrupted = len(self.unfinished)
                self.interrupt(list(self.unfinished.values()), "The agent ended before this request was done.")
                self.collect()
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise JournalError(f"The journal in {directory} cannot be opened: {error}.") from error

    # ------------------------------------------------------------ opening

    def _lock_directory(self) -> FileLock:
        lock = FileLock(self.directory / "lock")
        if not lock.acquire():
            raise JournalError(
                f"Another agent ({lock.holder()}) uses {self.directory}; give this one its own with --state or --name."
            )
        return lock

    def _load(self, wait: float) -> list[_Segment]:
        paths = sorted((self.directory / "journal").glob("*.jsonl"))
        segments: list[_Segment] = []
        self.id = ""
        for path in paths:
            if path == paths[-1]:
                self._await_writers(path, wait)
            header, offset = self._read_header(path)
            if header is None:  # the crash came between creating a segment and writing its first line
                path.unlink()
                continue
            if segments and (header.journal != self.id or header.first != segments[-1].next):
                raise JournalError(
                    f"{path} does not follow the segment before it; move {path.parent} aside and start again."
                )
            self.id = header.journal
            segment = _Segment(path, header.first, offset)
            segments.append(segment)
            self._scan(segment)
        if not segments:
            self.id = secrets.token_hex(8)
            segments.append(self._new_segment(1))
        return segments

    @staticmethod
    def _await_writers(path: Path, wait: float) -> None:
        """Workers notice quickly that their agent is gone; until they have ended, the segment may still grow."""
        deadline = time.monotonic() + wait
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError as error:
                    if time.monotonic() >= deadline:
                        raise JournalError(
                            f"Workers of an earlier agent are still writing to {path}; end them, then start again."
                        ) from error
                    time.sleep(0.05)
        finally:
            os.close(file)

    @staticmethod
    def _read_header(path: Path) -> tuple[Header | None, int]:
        with path.open("rb") as file:
            line = file.readline(4096)
        if not line.endswith(b"\n"):
            return None, 0
        try:
            header = _decode_header(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(f"{path} is not a journal of tally-agent ({error}); move it aside.") from error
        if header.tally_journal > VERSION:
            raise JournalError(
                f"{path} was written by a newer tally-agent (format {header.tally_journal}, this one knows {VERSION}); "
                "update this agent or give it another --state."
            )
        return header, len(line)

    def _scan(self, segment: _Segment) -> None:
        with segment.path.open("rb") as file:
            os.fsync(file.fileno())
            while True:
                file.seek(segment.offset)
                before = segment.offset
                self._follow(segment.number(file.read(READ_BYTES), self.torn))
                if segment.offset == before:
                    return

    def _new_segment(self, first: int) -> _Segment:
        path = self.directory / "journal" / f"{first:016d}.jsonl"
        header = _encode(Header(VERSION, self.id, first)) + b"\n"
        try:
            with path.open("wb") as file:
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _trouble(f"The journal {path} cannot be created", error) from error
        return _Segment(path, first, len(header))

    # ------------------------------------------------------------ writing

    @property
    def segment(self) -> Path:
        """The file that `Appender`s write to."""
        return self._segments[-1].path

    @property
    def first(self) -> int:
        """Number of the oldest line that is kept (or of the first one to come, in an empty journal)."""
        return self._segments[0].first

    @property
    def last(self) -> int:
        """Number of the last line that is synced and numbered, 0 when there is none."""
        return self._segments[-1].next - 1

    def interrupt(self, started: Iterable[Started], reason: str) -> None:
        """Write the done line for requests whose worker no longer can; `collect` then numbers them.

        Raises JournalFullError when the disk is full: some of the lines may have been written."""
        now = time.time()
        for line in started:
            self._appender.write(
                Done(
                    n=0,
                    job=line.job,
                    tag=line.tag,
                    path=line.path,
                    ok=False,
                    t_open=line.t,
                    t_close=max(now, line.t),
                    read_asked=0,
                    read_got=0,
                    readv_asked=0,
                    readv_got=0,
                    written=0,
                    read_ops=0,
                    readv_ops=0,
                    write_ops=0,
                    error=reason,
                    interrupted=True,
                )
            )

    def grown(self) -> bool:
        """Whether `collect` would find something; costs one system call."""
        return self._segments[-1].path.stat().st_size > self._segments[-1].offset

    def sync(self) -> int:
        """Sync to disk what was appended so far; returns the offset reached, for `collect`.

        Blocks while the disk works: an event loop calls it in a thread (it is the only method that may run in another
        thread). JournalFullError when the disk is full: try again later. JournalError when the disk fails: the agent
        must then accept no more work."""
        path = self._segments[-1].path
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                os.fsync(file.fileno())
        except OSError as error:
            raise _trouble(f"The journal {path} cannot be made safe on disk", error) from error
        return size

    def collect(self, synced: int | None = None) -> list[Line]:
        """Number what was appended since the last call, up to what `sync` returned (None: syncs itself); return it."""
        size = self.sync() if synced is None else synced
        segment = self._segments[-1]
        lines: list[Line] = []
        with segment.path.open("rb") as file:
            while segment.offset < size:
                before = segment.offset
                file.seek(before)
                lines += segment.number(file.read(min(READ_BYTES, size - before)), self.torn)
                if segment.offset == before:
                    break  # a line that is not complete yet
        self._follow(lines)
        return lines

    def _follow(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if isinstance(line, Started):
                self.unfinished[key_of(line)] = line
            else:
                self.unfinished.pop(key_of(line), None)

    # ------------------------------------------------------------ sending

    def read(self, after: int) -> list[Line]:
        """Numbered lines from `after` + 1 on, as many as fit one message; empty when there are no more.

        Lines that were acknowledged and trimmed are gone: reading then begins with the first remaining one."""
        after = max(after, self.first - 1)
        if after >= self.last:
            return []
        segment = next(s for s in reversed(self._segments) if s.first <= after + 1)
        if self._cursor is not None and self._cursor[0] == after + 1 and self._cursor[1] is segment:
            number, offset = after + 1, self._cursor[2]
        else:
            number, offset = segment.place(after + 1)
        lines: list[Line] = []
        size = 0
        with segment.path.open("rb") as file:
            for part, end in _parts(file, offset, segment.offset):
                try:
                    line = _decode_line(part)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if number > after:
                    lines.append(msgspec.structs.replace(line, n=number))
                    size += len(part) + 12
                number += 1
                self._cursor = (number, segment, end)
                if len(lines) >= MAX_BATCH_LINES or size >= MAX_BATCH_BYTES:
                    break
        return lines

    def acknowledge(self, n: int) -> None:
        """The hub has stored all lines up to n: delete the segments that hold nothing newer."""
        self.acknowledged = max(self.acknowledged, min(n, self.last))
        if time.monotonic() - self._noted >= NOTE_SECONDS:
            self._note()
        while len(self._segments) > 1 and self._segments[0].next - 1 <= self.acknowledged:
            self._segments.pop(0).path.unlink(missing_ok=True)

    def _recall(self) -> int:
        try:
            noted = _decode_note(self._note_path.read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return 0
        return noted.n if noted.journal == self.id else 0

    def _note(self) -> None:
        """Never raises: without the note we only know less about the hub."""
        self._noted = time.monotonic()
        fresh = self._note_path.with_suffix(".new")
        try:
            fresh.write_bytes(_encode(_Note(self.id, self.acknowledged)))
            fresh.replace(self._note_path)
        except OSError:
            pass  # a full disk: the next note may fit

    # ------------------------------------------------------------ between jobs

    def rotate(self) -> None:
        """Start a new segment if the current one is large. Only while no worker has it open. Raises JournalError."""
        assert not self.unfinished, "a started line and its done line stay in one segment"
        self.collect()
        if self._segments[-1].offset >= ROTATE_BYTES:
            self._begin(self._new_segment(self.last + 1))
            self.acknowledge(self.acknowledged)

    def renew(self) -> None:
        """Start a new journal with a new id, keeping the old files beside it. Only while no worker has it open.

        For a hub whose journal of this agent is not ours: it was restored from a copy, or the hub is another one. After
        a JournalError this journal cannot be used any more."""
        for segment in self._segments:
            try:
                segment.path.rename(segment.path.with_suffix(".superseded"))
            except OSError as error:
                raise _trouble(f"The journal {segment.path} cannot be moved aside", error) from error
        self.id = secrets.token_hex(8)
        self._cursor = None
        self._segments = []
        self._begin(self._new_segment(1))
        self.acknowledged = 0
        self._note()

    def _begin(self, segment: _Segment) -> None:
        self._segments.append(segment)
        self._appender.close()
        self._appender = Appender(segment.path)

    def room(self) -> int:
        """Free bytes on the journal's disk for this user; 0 when unknown."""
        try:
            disk = os.statvfs(self.directory)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        """Close the files. Nothing is lost without it."""
        self._note()
        self._appender.close()
        self._lock.release()


def _parts(file: BinaryIO, offset: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The non-empty lines between two offsets, each with the offset after it."""
    file.seek(offset)
    for raw in file:
        offset += len(raw)
        if offset > end:
            return
        part = raw.rstrip(b"\n")
        if part:
            yield part, offset
