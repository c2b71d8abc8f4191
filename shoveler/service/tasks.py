"""Tasks with a name and an owner. asyncio drops a task to which nobody keeps a reference, and its exception.

There are exactly three ways (enforced by the linter and `tests/test_tasks.py`):

- `asyncio.TaskGroup`, where tasks end with the block that started them;
- `Tasks`, for work that runs beside its owner: a failure is logged and reported, and `close` ends them all;
- `start_task`, for a single task that its owner awaits, or cancels and awaits.

`finish` is for work that must be completed even if its caller is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def start_task(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start `work` in the running loop. The caller keeps the task and awaits it; otherwise use `Tasks`."""
    return asyncio.get_running_loop().create_task(work, name=name)


class Tasks:
    """The tasks of one owner. `failed(name, error)` is called for each that fails, after it is logged."""

    def __init__(self, log: logging.Logger, failed: Callable[[str, Exception], None] | None = None) -> None:
        self._log = log
        self._failed = failed
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `work`; the task is kept here until it ends."""
        task = start_task(work, name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._log.error("! %s failed", task.get_name(), exc_info=error)
            if self._failed is not None:
                self._failed(task.get_name(), error)


async def finish(work: Coroutine[Any, Any, T], name: str) -> T:
    """Complete `work` even if the caller is cancelled meanwhile; the cancellation is raised only afterwards."""
    task = start_task(work, name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - it is the task's own, and `result` raises it below
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
