"""Waiting for what another thread, process or program does: it tells nobody, so it is looked at again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """The first true value of `condition`; fails after `seconds`, which only end what hangs."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.02)
    return found
