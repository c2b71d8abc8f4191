"""The standard streams of a program that was started without some of them (``>&-``, some supervisors)."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def open_standard_streams() -> None:
    """Give every standard stream that is closed to the null device. Call it before anything else is opened.

    Otherwise the first file or socket that the program opens takes the number of the closed stream, and whatever is
    printed goes into it; and Python has None in the place of ``sys.stdout``.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # a file of its own: where a library was quicker than this function, the number belongs to that one
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for good
