"""What the bytes of a file must be, and whether those that came are them. Pure.

A catalogue knows the checksum of a whole file, or (that of a lab) each single byte: its files are made from a seed.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Final

from agent.messages import Request, Workload
from agent.workloads.outcome import FailedError
from agent.workloads.plan import content

BLOCK: Final = 64 * 1024
"""The content of a lab's file is made in blocks of so many bytes, each for itself: any part can be made alone."""
CONTENT: Final = "content:"
ADLER32: Final = "adler32:"


class WrongBytesError(FailedError):
    """What came is not what the file has."""

    def __init__(self, why: str) -> None:
        super().__init__(f"wrong bytes: {why}")


def known_bytes(seed: str, path: str, offset: int, size: int) -> bytes:
    """These bytes of the file at `path` of a lab with this seed."""
    first, last = offset // BLOCK, (offset + size - 1) // BLOCK
    blocks = (random.Random(f"{seed}:{path}:{number}").randbytes(BLOCK) for number in range(first, last + 1))
    begin = offset - first * BLOCK
    return b"".join(blocks)[begin : begin + size]


class Expected:
    """What one request must receive. `take` is told each piece that came, `end` that it was the last."""

    def __init__(self, request: Request, *, whole: bool) -> None:
        """`whole`: the file is read from its first byte to its last, in order."""
        self._truth: Callable[[int, int], bytes] | None = None
        self._stated = ""
        self._sum = zlib.adler32(b"")
        if request.own:
            block = content(request.seed)
            self._truth = lambda offset, size: _cyclic(block, offset, size)
        elif request.check.startswith(CONTENT):
            seed, path = request.check.removeprefix(CONTENT), request.path
            self._truth = lambda offset, size: known_bytes(seed, path, offset, size)
        elif request.check and whole:
            self._stated = request.check.removeprefix(ADLER32)

    def take(self, offset: int, data: bytes | memoryview) -> None:
        """These bytes came from this place. Raises WrongBytesError."""
        if self._stated:
            self._sum = zlib.adler32(data, self._sum)
        elif self._truth is not None and (truth := self._truth(offset, len(data))) != data:
            first = next(place for place, (is_, was) in enumerate(zip(truth, data, strict=True)) if is_ != was)
            raise WrongBytesError(f"from byte {offset + first} on they are not those of the file.")

    def end(self) -> None:
        """All bytes have come. Raises WrongBytesError."""
        if self._stated and int(self._stated, 16) != self._sum:
            raise WrongBytesError(f"their adler32 is {self._sum:08x}, the catalogue says {self._stated}.")


def expected(workload: Workload, request: Request) -> Expected:
    """What a request must receive, as far as it is to be compared."""
    if not workload.verify or workload.kind == "write":
        return _ANYTHING
    return Expected(request, whole=workload.kind == "full")


def _cyclic(block: bytes, offset: int, size: int) -> bytes:
    begin = offset % len(block)
    return (block * (1 + (begin + size) // len(block)))[begin : begin + size]


_ANYTHING: Final = Expected(Request("anything", 0, "-", "-", 0, 0), whole=False)
