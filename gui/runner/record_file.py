"""Loads a file of records: JSON lines, one JSON array or a single object, also compressed by gzip."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec

from gui.store import AT_ONCE, LoadResult, Store

MAX_LINE = 16 * 2**20
MAX_WHOLE = 2**30
"""Maximum size of a file that is one JSON value, since it is read as a whole."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class RecordFileError(Exception):
    """A file that cannot be read as records; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far a file is loaded: bytes read of its size (0: not known, as of standard input), and what was loaded."""

    read: int
    size: int
    result: LoadResult


def load_file(
    store: Store,
    name: str,
    *,
    progress: Callable[[FileProgress], None] = lambda _: None,
    complain: Callable[[str], None] = lambda _: None,
) -> LoadResult:
    """Load the records of a file (``-``: standard input), one transaction after the other.

    `progress` is called after each; what it raises ends the loading, and what was loaded before stays. `complain` gets
    a sentence for each of the first records that cannot be read. Raises RecordFileError and StoreError."""
    total = LoadResult()
    reading: deque[_Read] = deque()
    """The batch that is being loaded, and the one after it."""

    def batches() -> Iterator[Sequence[bytes]]:
        while batch := tuple(islice(records, AT_ONCE)):
            numbers, bodies = zip(*batch, strict=True)
            reading.append(_Read(bodies, numbers, opened.position()))
            yield bodies

    def loaded(result: LoadResult, _: float) -> None:
        nonlocal total
        total += result
        batch = reading.popleft()
        for problem, body in zip(result.problems, result.rejected, strict=True):
            number = next(
                (number for number, other in zip(batch.numbers, batch.bodies, strict=True) if other is body), 0
            )
            complain(f"{name}, {unit} {number:,}: {problem}" if number else f"{name}: {problem}")
        progress(FileProgress(batch.position, opened.size, total))

    with _opened(name) as opened:
        unit, records = _records(opened.file, name)
        store.load_all(batches(), loaded)
    return total


@dataclass(frozen=True, slots=True)
class _Read:
    """A batch of records, their numbers in the file, and how much of the file was read by then."""

    bodies: Sequence[bytes]
    numbers: Sequence[int]
    position: int

    def number_of(self, body: bytes) -> int:
        """The number of a record; 0 when it was not read in this form."""
        return next((number for number, other in zip(self.numbers, self.bodies, strict=True) if other is body), 0)


def _records(file: io.BufferedReader, name: str) -> tuple[str, Iterator[tuple[int, bytes]]]:
    """The records of a file, each with its number for messages, and what is numbered: one ``line`` each, or each
    ``record`` of one JSON value."""
    head = file.peek(64)
    if head.startswith(_BYTE_ORDER_MARK):
        file.read(len(_BYTE_ORDER_MARK))
        head = head[len(_BYTE_ORDER_MARK) :]
    head = head.lstrip()
    if head.startswith(b"["):
        return "record", _elements(file, name)
    if head.startswith(b"{") and head[1:].lstrip(b" \t\r")[:1] == b"\n":
        return "line", iter([(1, _whole(file, name))])
    return "line", _lines(file)


def _lines(file: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if line.strip():
            yield number, line.rstrip(b"\n")


def _whole(file: io.BufferedReader, name: str) -> bytes:
    """The file's single JSON value."""
    text = file.read(MAX_WHOLE + 1)
    if len(text) > MAX_WHOLE:
        raise RecordFileError(
            f"{name} is one JSON value of more than {MAX_WHOLE // 2**20:,} MiB; convert it to JSON lines: "
            f"jq -c '.[]' {name}"
        )
    return text


def _elements(file: io.BufferedReader, name: str) -> Iterator[tuple[int, bytes]]:
    """The elements of the file's array."""
    try:
        elements = msgspec.json.decode(_whole(file, name), type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordFileError(f"{name} begins like an array of records but is not one: {error}.") from None
    for number, element in enumerate(elements, 1):
        yield number, bytes(element)


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open file: its content uncompressed, its size on disk, and how much of that was read."""

    file: io.BufferedReader
    size: int
    position: Callable[[], int]


@contextlib.contextmanager
def _opened(name: str) -> Iterator[_Opened]:
    path = Path(name.removeprefix("file:"))
    try:
        with sys.stdin.buffer if name == "-" else path.open("rb") as plain:
            size = 0 if name == "-" else path.stat().st_size
            buffered = plain if isinstance(plain, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, plain))
            position = buffered.tell if size else lambda: 0
            if buffered.peek(len(_GZIP)).startswith(_GZIP):
                with gzip.open(buffered) as file:
                    yield _Opened(io.BufferedReader(cast(io.RawIOBase, file)), size, position)
            else:
                yield _Opened(buffered, size, position)
    except FileNotFoundError:
        raise RecordFileError(f"There is no file {path}; give a file of JSON lines, a directory, or amqp://…") from None
    except (OSError, EOFError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise RecordFileError(f"{path} cannot be read: {why}.") from error
