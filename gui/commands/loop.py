"""Running the asyncio part of a command: Ctrl-C and SIGTERM cancel it once, orderly, and are then waited for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any


class Stopped(Exception):  # noqa: N818 - names what the person did
    """The command was stopped by a person or by the system."""


def run_until_done(work: Coroutine[Any, Any, int]) -> int:
    """The result of `work`. A first SIGINT or SIGTERM cancels it, so that it clears up; further ones are only told so.

    Raises Stopped when it was cancelled that way, after everything was cleared up."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if stopped:
                print("\nstill clearing up; this takes a few seconds.", file=sys.stderr, flush=True)
                return
            stopped = True
            print("\nstopping, and clearing up …", file=sys.stderr, flush=True)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop)
        try:
            return await work
        except asyncio.CancelledError:
            if stopped:
                raise Stopped from None
            raise

    return asyncio.run(guarded())
