"""Reads the queue directory of an OSG shoveler, so that what it had not sent is not left behind.

It keeps envelopes in segment files (the Go library dque): each entry is its length (four bytes, little endian) and the
item in Go's gob encoding; a length of 0 says that the oldest entry was taken out again. An item's stream describes its
type first, and then has the value, of which only the message is wanted: the bytes of the first field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_SEGMENT = re.compile(r"\d{13}\.dque")


class OsgQueueError(Exception):
    """The directory cannot be read as a queue; one sentence."""


def envelopes(directory: Path) -> Iterator[bytes]:
    """The envelopes that wait in a queue, oldest first. Raises OsgQueueError; an entry that was cut off ends a segment
    quietly, as it was never whole."""
    try:
        segments = sorted(path for path in directory.iterdir() if _SEGMENT.fullmatch(path.name))
    except OSError as error:
        raise OsgQueueError(f"{directory} cannot be read: {error.strerror}") from None
    if not segments and not (directory / "lock.lock").exists():
        raise OsgQueueError(f"{directory} is not the queue of an OSG shoveler: it has no file like 0000000000001.dque")
    for segment in segments:
        try:
            content = segment.read_bytes()
        except OSError as error:
            raise OsgQueueError(f"{segment} cannot be read: {error.strerror}") from None
        yield from (_message(entry, segment) for entry in _entries(content))


def capture_line(envelope: bytes) -> str:
    """An envelope as a line of a capture, which `tally-shoveler --from file:…` reads. Raises ValueError."""
    fields = json.loads(envelope)
    return json.dumps({"t": 0.0, "remote": fields["remote"], "data": fields["data"]})


def _entries(content: bytes) -> list[bytes]:
    found: list[bytes] = []
    taken = at = 0
    while at + 4 <= len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        at += 4
        if size == 0:
            taken += 1
            continue
        if at + size > len(content):
            break
        found.append(content[at : at + size])
        at += size
    return found[taken:]


def _message(entry: bytes, segment: Path) -> bytes:
    at = 0
    try:
        while at < len(entry):
            size, at = _unsigned(entry, at)
            kind, value = _signed(entry, at)
            if kind > 0:  # the value; negative: the description of a type
                field, value = _unsigned(entry, value)
                length, value = _unsigned(entry, value)
                if field != 1 or value + length > len(entry):
                    break
                return entry[value : value + length]
            at += size
    except IndexError:
        pass
    raise OsgQueueError(f"{segment.name} has an entry that is not a message of an OSG shoveler")


def _unsigned(content: bytes, at: int) -> tuple[int, int]:
    """(number, position after it): below 128 one byte; otherwise the negated count of the bytes that follow."""
    first = content[at]
    if first < 128:
        return first, at + 1
    count = 256 - first
    if count > 8 or at + 1 + count > len(content):
        raise IndexError
    return int.from_bytes(content[at + 1 : at + 1 + count], "big"), at + 1 + count


def _signed(content: bytes, at: int) -> tuple[int, int]:
    number, at = _unsigned(content, at)
    return (~(number >> 1) if number & 1 else number >> 1), at
