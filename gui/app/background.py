"""Tasks that the window owns: their errors become problems, and they are cancelled with the window."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gui.runner.errors import EXPECTED
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.window")


class Background:
    """`trouble` is called with (where, text, remedy) for each error."""

    def __init__(self, trouble: Callable[[str, str, str], None]) -> None:
        self._trouble = trouble
        self.tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a named task."""
        task = start_task(work, name)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def end(self) -> None:
        """Cancel all of them, and wait until they have ended."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("! %s failed", task.get_name(), exc_info=error)
            if isinstance(error, EXPECTED):
                self._trouble(task.get_name(), str(error), "")
            else:
                what = f"Internal error ({type(error).__name__}); nothing else is affected."
                self._trouble(task.get_name(), what, "Report it with the lines of the log; F5 refreshes.")


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has cleaned up, even if we are cancelled meanwhile: what it leaves behind would
    outlive the program."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
