"""Running the asyncio part of a command: what tells it to stop cancels it once, orderly, and is then waited for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from gui.commands import tell


class StoppedError(Exception):
    """The command was stopped by a person or by the system."""


def run_until_done(work: Coroutine[Any, Any, int]) -> int:
    """The result of `work`. A first SIGINT, SIGTERM or SIGHUP cancels it, so that it clears up; to further ones it is
    only said that this takes a moment.

    Raises StoppedError when it was cancelled that way, after everything was cleared up."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if stopped:
                tell("\nstill clearing up; this takes a few seconds.", sys.stderr)
                return
            stopped = True
            task.cancel()
            tell("\nstopping, and clearing up …", sys.stderr)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it: then the end is not wanted
            numbers.append(signal.SIGHUP)
        for number in numbers:
            with contextlib.suppress(NotImplementedError):  # a loop that hears no signals (Windows)
                loop.add_signal_handler(number, stop)
        try:
            return await work
        except asyncio.CancelledError:
            if stopped:
                raise StoppedError from None
            raise

    return asyncio.run(guarded())
