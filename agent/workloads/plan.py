"""From a request to the steps that carry it out. Arithmetic only: the same request always gives the same steps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.messages import HTTP, Request, Workload

READ_SIZE: Final = 1024 * 1024
"""Maximum bytes of one plain read or write call."""
VECTOR_CHUNK_MAX: Final = 2 * 1024 * 1024 - 16
"""The largest piece of a vector read that a server accepts (its default readv_ior_max)."""
VECTOR_CHUNKS_MAX: Final = 1024
VECTOR_TOTAL_MAX: Final = 1024 * 1024 * 1024
"""Maximum total of one vector read: each slot holds the answer in memory."""

NOT_OVER_HTTP: Final = {
    "long": "A file stays open over root or roots only: the workload long does not exist over HTTP.",
    "past_end": "The workload past_end does not exist over HTTP: servers announce more bytes than they then send.",
}

DEFAULT_BYTES: Final = 1024 * 1024
DEFAULT_VECTOR_BYTES: Final = 64 * 1024
DEFAULT_CHUNKS: Final = 16
DEFAULT_READS: Final = 2


class Read(NamedTuple):
    """One plain read."""

    offset: int
    size: int


class VectorRead(NamedTuple):
    """One vector read."""

    chunks: list[tuple[int, int]]


class Write(NamedTuple):
    """One write."""

    offset: int
    size: int


class Pause(NamedTuple):
    """Hold the file open and do nothing for `seconds`."""

    seconds: float


Step = Read | VectorRead | Write | Pause


def objection(workload: Workload) -> str:
    """One sentence saying why no server would accept this workload, or nothing."""
    if workload.kind in NOT_OVER_HTTP and workload.protocol in HTTP:
        return NOT_OVER_HTTP[workload.kind]
    if workload.kind == "vector":
        size = workload.bytes or DEFAULT_VECTOR_BYTES
        chunks = workload.chunks or DEFAULT_CHUNKS
        if size > VECTOR_CHUNK_MAX:
            return (
                f"A piece of a vector read can have at most {VECTOR_CHUNK_MAX} bytes (the server's limit), not {size}; "
                "reduce bytes in the workload."
            )
        if chunks * size > VECTOR_TOTAL_MAX:
            return (
                f"{chunks} pieces of {size} bytes are more than the {VECTOR_TOTAL_MAX} bytes that one vector read may "
                "have; reduce chunks or bytes in the workload."
            )
    return ""


def steps(workload: Workload, request: Request) -> Iterator[Step]:
    """What to do with the open file, in order. Only past_end reads past the catalogue's size, or an empty file."""
    chance = random.Random(request.seed)
    if workload.kind == "full":
        yield from _stretch(0, request.size)
    elif workload.kind == "range":
        yield from _piece(chance, request.size, workload.bytes or DEFAULT_BYTES)
    elif workload.kind == "vector":
        size = min(workload.bytes or DEFAULT_VECTOR_BYTES, request.size)
        if size:
            yield VectorRead(_pieces(chance, request.size, size, workload.chunks or DEFAULT_CHUNKS))
    elif workload.kind == "long":
        for number in range(workload.reads or DEFAULT_READS):
            if number and workload.pause:
                yield Pause(workload.pause)
            yield from _piece(chance, request.size, workload.bytes or DEFAULT_BYTES)
    elif workload.kind == "past_end":
        size = workload.bytes or DEFAULT_BYTES
        first = max(0, request.size - size + 1)
        yield from _stretch(chance.randrange(first, max(first + 1, request.size)), size)
        yield from _stretch(request.size, size)
    else:
        size = workload.bytes or DEFAULT_BYTES
        for offset in range(0, size, READ_SIZE):
            yield Write(offset, min(READ_SIZE, size - offset))


def _piece(chance: random.Random, file_size: int, size: int) -> Iterator[Read]:
    size = min(size, file_size)
    yield from _stretch(chance.randrange(file_size - size + 1), size)


def _pieces(chance: random.Random, file_size: int, size: int, count: int) -> list[tuple[int, int]]:
    """`count` different pieces, or as many as a small file has. The XRootD client refuses a vector read that contains
    the same piece twice; overlapping pieces are allowed."""
    places = file_size - size + 1
    offsets: dict[int, None] = {}  # in the order drawn
    while len(offsets) < min(count, places):
        offsets[chance.randrange(places)] = None
    return [(offset, size) for offset in offsets]


def _stretch(offset: int, size: int) -> Iterator[Read]:
    for start in range(offset, offset + size, READ_SIZE):
        yield Read(start, min(READ_SIZE, offset + size - start))


def content(seed: int) -> bytes:
    """What a write workload writes, over and over: the same bytes for the same seed."""
    block = random.Random(seed).randbytes(64 * 1024)
    return block * (READ_SIZE // len(block))
