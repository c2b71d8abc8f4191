"""The standard streams of a program that was started with some of them closed (``>&-``, some supervisors)."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def open_standard_streams() -> None:
    """Connect every closed standard stream to the null device. Call it before anything else is opened.

    Otherwise the first file or socket that the program opens gets the number of the closed stream, and everything
    printed goes into it; and Python sets ``sys.stdout`` to None.
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
