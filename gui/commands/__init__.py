"""What `tally` does without a window: a module for each group of subcommands, and `places`, where things are kept.

Each module adds its parsers (`add_parsers`) and carries out what was parsed (`run_…`, which gives an exit code: 0 done
and passed, 1 the work failed or did not pass, 2 bad usage or configuration). Errors that a person can mend are raised
as `CommandError` or as the errors of the parts below; `gui.cli` prints them as one sentence. No Qt here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO


class CommandError(Exception):
    """The command cannot be done; one sentence says why and what to do. Exit code 2 unless `code` says else."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name, which the sentence has already."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def nobody_reads(stream: TextIO) -> None:
    """After a write to a pipe without a reader, or to a terminal that is gone: what is written from now on, and what
    Python still holds for it, goes nowhere. Else Python would complain at its end, and the exit code would be 120."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # no file of the system
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), number)


def tell(text: str, stream: TextIO | None = None) -> None:
    """A line on standard output, or on `stream`. That nobody reads it decides nothing: not what else is done, and not
    the exit code."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        nobody_reads(stream)
