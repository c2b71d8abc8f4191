"""Standard output and error of every command, whatever they are: a terminal, a file, a full disk, a pipe, closed.

Writing never fails in the middle of a command's work: a failure is noticed, the work continues to its own exit code,
and `finish` reports the loss in one sentence at the end. Characters that the locale cannot write become the nearest
plain character. Control characters are shown as ·, except those that Tally itself sends with `Output.steer`, since
names come from outside. Daemons do not need this; commands that print do.
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
"""The reader of the pipe, or the terminal, is gone: it has seen enough and needs no message."""
_PLAIN = {
    "–": "-", "−": "-", "—": "-", "─": "-", "…": "...", "×": "x", "·": ".", "→": "->", "≠": "/=", "✓": "+", "✗": "x",
    "“": '"', "”": '"', "‘": "'", "’": "'", "█": "#", "░": ".", "\u202f": " ", "\xa0": " ",
}  # fmt: skip
_HANDLER = "tally.plain"


class OutputGoneError(Exception):
    """Standard output cannot be written, and a command that only prints need not continue."""


class _Sink(io.FileIO):
    """A raw file. After the first failed write it silently drops everything. `ends`: that first failure raises
    OutputGoneError."""

    def __init__(self, number: int, error: OSError | None, *, ends: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.error = error
        self.lost = False
        self._ends = ends

    def write(self, data: ReadableBuffer) -> int:
        while self.error is None:
            try:
                return os.write(self.fileno(), data)
            except BlockingIOError:  # another user of the terminal has made it non-blocking
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
        """Write text; control characters are shown as ``·``."""
        if not all(line.isprintable() for line in text.split("\n")):
            text = "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text)
        return super().write(text)

    def steer(self, text: str) -> int:
        """Write our own text with control sequences."""
        return super().write(text)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


def open_output(*, ends: bool = False) -> None:
    """Replace both streams with `Output`. Call it before anything else is opened. Streams that something else has
    replaced (a test, a window system) stay. `ends`: a failed write to standard output raises OutputGoneError, once."""
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
    """Whether writing to a stream is useless: a long listing may end early."""
    return isinstance(stream, Output) and stream.sink.error is not None


def printing(
    program: str, command: Callable[[], int], *, decides: Callable[[], bool] = lambda: True, ends: bool = False
) -> int:
    """Run a command that prints; returns its exit code through `finish`. Bad usage raises SystemExit, as usual.

    `decides` is called afterwards, when the command has been parsed. `ends`: the command only prints, so it ends with
    the first line that cannot be written."""
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
    """The exit code of a command that ends with `code`: 1 instead of 0 if its output could not be written, which is
    reported. `decides`: the output is the purpose of the command; a run has done its work even without output."""
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
        return code  # a caller that closes it does not want output, such as a supervisor or cron job
    return code or (1 if decides else 0)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
