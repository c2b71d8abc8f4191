"""The progress of a run in a terminal: one line that is rewritten, or a line now and then if the stream is not a
terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from gui.commands import nobody_reads
from gui.report import numbers
from gui.report.words import printable
from gui.runner.problems import ProblemLines
from gui.runner.progress import RunProgress
from shoveler.service.output import Output

BAR = 24
QUIET_SECONDS = 5.0

WORDS = {
    "preparing": "preparing",
    "waiting_clients": "waiting for clients",
    "starting": "starting the clients' workers",
    "round": "reading",
    "pause": "reading",
    "paused": "PAUSED",
    "ending": "ending the round",
    "settling": "waiting for monitoring",
    "reconciling": "comparing",
    "done": "done",
}


def progress_line(p: RunProgress, width: int = 100) -> str:
    """The progress of a run in one line of at most `width` characters."""
    done = min(1.0, p.requested / p.total) if p.total else 0.0
    bar = "█" * round(done * BAR) + "░" * (BAR - round(done * BAR))
    where = f"repeat {p.repeat}/{p.repeats}" if p.repeats > 1 else ""
    if p.tests > 1:
        where = f"test {p.test}/{p.tests} {where}".strip()
    parts = [
        f"{bar} {100 * done:3.0f} %",
        where,
        WORDS.get(p.phase, p.phase),
        f"requested {p.requested:,}/{p.total:,}",
        f"read {p.read:,}",
        f"recorded {p.recorded:,}",
    ]
    if p.failed:
        parts.append(f"client failed {p.failed:,}")
    if p.wrong or p.duplicate:
        parts.append(f"wrong {p.wrong:,} double {p.duplicate:,}")
    if p.achieved_rate and p.phase in ("round", "pause"):
        parts.append(numbers.rate(p.achieved_rate))
    if p.phase == "settling" and p.gap:
        parts.append(f"oldest gap {numbers.duration(p.gap_oldest)}")
    line = "  ".join(part for part in parts if part)
    return line if len(line) <= width else line[: width - 1] + "…"


def table_width() -> int | None:
    """The maximum width of a table: that of the terminal; None (any width) if standard output is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class TerminalProgress:
    """Shows stages and progress on a stream. `close` leaves the cursor on a new line.

    When nobody reads the stream any more (a closed terminal or pipe) it stops writing; the work goes on."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = ""
        self._last = 0.0
        self._state: tuple[object, ...] = ()
        self._problems = ProblemLines()
        self._unread = False

    def stage(self, text: str) -> None:
        """Show a step of setting up or cleaning up."""
        self._clear()
        self._write(f"  {printable(text)}\n")

    def __call__(self, p: RunProgress) -> None:
        """Show a new snapshot of a run."""
        for line in self._problems(p.problems, p.t):
            self._clear()
            self._write(f"  {line}\n")
        if p.phase == "idle":
            return
        if self._live:
            width = shutil.get_terminal_size((100, 24)).columns - 3
            line = progress_line(p, width)
            if line != self._shown:
                self._write(f"\r  {line}\x1b[K", steering=True)
                self._shown = line
            return
        now = time.monotonic()
        state = (p.test, p.repeat, p.phase == "settling", p.phase == "done")
        if state != self._state or now - self._last >= QUIET_SECONDS:
            self._state, self._last = state, now
            self._write(f"  {progress_line(p, 200)}\n")

    def close(self) -> None:
        """End the live line."""
        if self._live and self._shown:
            self._write("\n")
            self._shown = ""

    def _clear(self) -> None:
        if self._live and self._shown:
            self._write("\r\x1b[K", steering=True)
            self._shown = ""

    def _write(self, text: str, *, steering: bool = False) -> None:
        if self._unread:
            return
        try:
            # Some lines contain names from outside, which are escaped; lines that move the cursor do not.
            steer = self._stream.steer if isinstance(self._stream, Output) and steering else self._stream.write
            steer(text)
            self._stream.flush()
        except OSError:
            self._unread = True
            nobody_reads(self._stream)
