"""Loads a file of records: JSON lines, one JSON array or a single object, also compressed by gzip."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    batch: list[bytes] = []
    places: list[str] = []

    def load() -> None:
        nonlocal total
        result = store.load(batch, time.time())
        total += result
        for problem, body in zip(result.problems, result.rejected, strict=True):
            found = next((place for place, other in zip(places, batch, strict=True) if other is body), "")
            complain(f"{name}, {found}: {problem}" if found else f"{name}: {problem}")
        batch.clear()
        places.clear()
        progress(FileProgress(opened.position(), opened.size, total))

    with _opened(name) as opened:
        for place, record in _records(opened.file, name):
            batch.append(record)
            places.append(place)
            if len(batch) >= AT_ONCE:
                load()
        if batch:
            load()
    return total


def _records(file: io.BufferedReader, name: str) -> Iterator[tuple[str, bytes]]:
    """The records of a file, each with its location for messages: one per line, or all in one JSON value."""
    head = file.peek(64)
    if head.startswith(_BYTE_ORDER_MARK):
        file.read(len(_BYTE_ORDER_MARK))
        head = head[len(_BYTE_ORDER_MARK) :]
    head = head.lstrip()
    if head.startswith(b"[") or (head.startswith(b"{") and head[1:].lstrip(b" \t\r")[:1] == b"\n"):
        yield from _whole(file, name, array=head.startswith(b"["))
        return
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if line.strip():
            yield f"line {number:,}", line.rstrip(b"\n")


def _whole(file: io.BufferedReader, name: str, *, array: bool) -> Iterator[tuple[str, bytes]]:
    """The elements of the file's array, or its single object."""
    text = file.read(MAX_WHOLE + 1)
    if len(text) > MAX_WHOLE:
        raise RecordFileError(
            f"{name} is one JSON value of more than {MAX_WHOLE // 2**20:,} MiB; convert it to JSON lines: "
            f"jq -c '.[]' {name}"
        )
    if not array:
        yield "line 1", text
        return
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordFileError(f"{name} begins like an array of records but is not one: {error}.") from None
    for number, element in enumerate(elements, 1):
        yield f"record {number:,}", bytes(element)


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
