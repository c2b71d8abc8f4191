"""What a program promises to do within some seconds, on a machine that has other things to do as well."""

from __future__ import annotations

import os


def within(seconds: float) -> float:
    """`seconds`, as promised for a machine with room for the program; as much longer as this one has more to run
    than processors. So the promise is held where it can be, and no test fails for what else is running."""
    return seconds * max(1.0, _waiting() / (os.cpu_count() or 1))


def _waiting() -> float:
    """How many processes wanted to run at once, over the last minute."""
    return os.getloadavg()[0]
