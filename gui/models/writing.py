"""How the window writes numbers and times: as ISO and English tables do, or as the user's language does. No toolkit.

`gui.models.figures` writes with the `Writing` that is in force (`use`); who draws the window makes that of the system.
Reports, exports and the command line are always as ISO.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


def _local(form: str) -> Callable[[float], str]:
    return lambda moment: time.strftime(form, time.localtime(moment))


@dataclass(frozen=True, slots=True)
class Writing:
    """Separators of numbers, and functions for a moment (seconds since 1970) in this machine's time zone."""

    group: str
    point: str
    date: Callable[[float], str]
    date_and_time: Callable[[float], str]
    clock: Callable[[float], str]

    def number(self, text: str) -> str:
        """A text with a number as ISO tables have it, ``1,234.5 MiB``, in this writing."""
        if (self.group, self.point) == (",", "."):
            return text
        return text.translate({ord(","): self.group, ord("."): self.point})


ISO = Writing(",", ".", _local("%Y-%m-%d"), _local("%Y-%m-%d %H:%M:%S"), _local("%H:%M:%S"))
_now = ISO


def use(writing: Writing) -> None:
    """Write like this from now on."""
    global _now
    _now = writing


def writing() -> Writing:
    """The writing in force."""
    return _now
