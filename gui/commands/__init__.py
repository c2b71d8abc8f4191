"""The subcommands of `tally`: a module for each group of them, and `places`, which says where files are kept.

Each module adds its parsers (`add_parsers`) and runs what was parsed (`run_…`, which returns an exit code: 0 done and
passed, 1 the work failed or did not pass, 2 bad usage or configuration). Errors that a user can fix are raised as
`CommandError` or as the errors of the layers below; `gui.cli` prints them as one sentence. No Qt here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO


class CommandError(Exception):
    """The command cannot be run; one sentence says why and what to do. Exit code 2 unless `code` differs."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name, which the sentence already has."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def nobody_reads(stream: TextIO) -> None:
    """After a write to a pipe without a reader, or to a closed terminal: discard what Python still buffers for it and
    everything written from now on. Otherwise Python would report an error at exit, with exit code 120."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file of the operating system
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), number)


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a line to standard output, or to `stream`. That nobody reads it affects neither the rest of the command nor
    the exit code."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        nobody_reads(stream)
