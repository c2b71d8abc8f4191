"""Standard output and error of every command, whatever they are: a terminal, a file, a full disk, a pipe's end, closed.

Writing never fails in the middle of a command's work: what cannot be written is noticed, the work goes on to its own
exit code, and `finish` says in one sentence at the end what was lost. What a locale cannot write becomes the nearest
plain sign. Nothing that steers a terminal gets through but what Tally itself sends with `Output.steer`: names come from
others. A daemon that serves has no use for this; its commands that print have.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from shoveler.service.streams import open_standard_streams

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_UNREAD = (errno.EPIPE, errno.EIO)
"""Nobody reads any more, a pipe's reader or a terminal that is gone: who has seen enough needs no sentence."""
_PLAIN = {
    "–": "-", "−": "-", "—": "-", "─": "-", "…": "...", "×": "x", "·": ".", "→": "->", "≠": "/=", "✓": "+", "✗": "x",
    "“": '"', "”": '"', "‘": "'", "’": "'", "█": "#", "░": ".", "\u202f": " ", "\xa0": " ",
}  # fmt: skip
_HANDLER = "tally.plain"


class OutputGoneError(Exception):
    """Standard output cannot be written, and a command that does nothing but print need not go on."""


class _Sink(io.FileIO):
    """A file of the system. After the first write that fails, it takes and drops everything. `ends`: that first one
    raises OutputGoneError."""

    def __init__(self, number: int, error: OSError | None, *, ends: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.error = error
        self.lost = False
        self._ends = ends

    def write(self, data: ReadableBuffer) -> int:
        while self.error is None:
            try:
                return os.write(self.fileno(), data)
            except BlockingIOError:  # somebody has made it so, such as a terminal's other user
                select.select([], [self.fileno()], [])
            except OSError as error:
                self.error = error
        size = memoryview(data).nbytes
        if size and not self.lost:
            self.lost = True
            if self._ends:
                raise OutputGoneError
        return size


class Output(io.TextIOWrapper):
    """A standard stream that never fails; see the head of this module."""

    def __init__(self, stream: TextIO, sink: _Sink, *, by_line: bool) -> None:
        codecs.register_error(_HANDLER, _plainly)
        buffered = io.BufferedWriter(sink)
        super().__init__(buffered, encoding=stream.encoding or "utf-8", errors=_HANDLER, line_buffering=by_line)
        self.sink = sink

    def write(self, text: str) -> int:
        """Write text, in which whatever could steer a terminal is ``·``."""
        if not all(line.isprintable() for line in text.split("\n")):
            text = "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text)
        return super().write(text)

    def steer(self, text: str) -> int:
        """Write text of our own with what moves the cursor."""
        return super().write(text)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


def open_output(*, ends: bool = False) -> None:
    """Put `Output` in the place of both streams. Call it before anything else is opened. Streams that somebody else has
    put there (a test, a window system) stay. `ends`: writing to standard output in vain raises OutputGoneError,
    once."""
    closed = [number for number in (1, 2) if not _is_open(number)]
    open_standard_streams()
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO = getattr(sys, name)
        if number not in closed and stream is not getattr(sys, f"__{name}__"):
            continue
        error = OSError(errno.EBADF, "it is closed") if number in closed else None
        by_line = number == 2 or stream.isatty() or bool(os.environ.get("PYTHONUNBUFFERED"))
        setattr(sys, name, Output(stream, _Sink(number, error, ends=ends and number == 1), by_line=by_line))


def gone(stream: TextIO) -> bool:
    """Whether writing to a stream is in vain: a long listing may end early."""
    return isinstance(stream, Output) and stream.sink.error is not None


def printing(
    program: str, command: Callable[[], int], *, decides: Callable[[], bool] = lambda: True, ends: bool = False
) -> int:
    """Carry out a command that prints; its exit code by `finish`. Bad usage leaves as SystemExit, as always.

    `decides` is asked afterwards, when the command knows what it was. `ends`: it does nothing but print, so it ends
    with the first line that goes nowhere."""
    open_output(ends=ends)
    try:
        return finish(program, command(), decides=decides())
    except OutputGoneError:
        return finish(program, 0)
    except SystemExit:  # --help, --version, and bad usage
        lost = finish(program, 0)
        if lost:
            return lost
        raise


def finish(program: str, code: int, *, decides: bool = True) -> int:
    """The exit code of a command that ends with `code`: 1 instead of 0 when what it had to say could not be written,
    which is said. `decides`: what it says is what it is for; a run has done its work whoever looks on."""
    out = sys.stdout
    with contextlib.suppress(OutputGoneError):  # it is known below
        out.flush()
    if not isinstance(out, Output) or not out.sink.lost:
        return code
    error = out.sink.error
    assert error is not None
    if error.errno in _UNREAD:
        return code
    print(f"{program}: standard output cannot be written: {error.strerror}.", file=sys.stderr)
    if error.errno == errno.EBADF:
        return code  # who closes it wants nothing of it, as supervisors and cron jobs do
    return code or (1 if decides else 0)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
