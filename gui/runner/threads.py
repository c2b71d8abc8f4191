"""Threads for the blocking work of a workspace, and waiting until they are done."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Result = TypeVar("Result")


class Threads:
    """The threads of one workspace."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="runner")
        self._at_work: set[Future[Any]] = set()

    def blocking(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]:
        """Run a store call in a thread. Cancelling the wait does not stop the thread; see `let_finish`."""
        work = self._pool.submit(function, *arguments, **named)
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)
        return asyncio.wrap_future(work, loop=self._loop)

    async def let_finish(self) -> None:
        """Wait until all current database work in threads is done."""
        await asyncio.to_thread(wait, tuple(self._at_work))

    async def close(self) -> None:
        """Wait for all of them and accept no more work."""
        await asyncio.to_thread(self._pool.shutdown, wait=True)


async def to_the_end(
    function: Callable[..., Result], *arguments: Any, undo: Callable[[Result], object] | None = None
) -> Result:
    """Run it in a thread. If we are cancelled meanwhile, wait until it has ended and `undo` its result: no thread may
    still use the database when it is opened or closed next."""
    work = asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if undo is not None and work.exception() is None:
            await asyncio.to_thread(undo, work.result())
        raise
