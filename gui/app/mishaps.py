"""Errors in what Qt calls (painting, clicks, events) have no caller who could be told: Problems shows them."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType

MOST = 20
"""Places in the code that are told of; a fault in painting comes again with each paint."""


@contextlib.contextmanager
def reported(problem: Callable[[str, str, str, str], None]) -> Iterator[None]:
    """Until the end of the block, each uncaught error is a problem (severity, where, text, remedy), once for each place
    in the code, after it was written to the terminal as usual."""
    before = sys.excepthook
    places: set[tuple[str, int]] = set()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        frames = traceback.extract_tb(trace)
        place = (frames[-1].filename.rpartition("/")[2], frames[-1].lineno or 0) if frames else ("unknown", 0)
        if place in places or len(places) >= MOST:
            return
        places.add(place)
        text = f"Internal error: {kind.__name__}: {error} ({place[0]}:{place[1]}). The window goes on."
        problem("error", "window", text, "Report it with what the terminal shows.")

    sys.excepthook = hook
    try:
        yield
    finally:
        sys.excepthook = before
