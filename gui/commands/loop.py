"""Runs the asyncio part of a command: a request to stop cancels it once and waits until it has cleaned up."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from gui.commands import tell


class StoppedError(Exception):
    """The command was stopped by the user or by the system."""


def run_until_done(work: Coroutine[Any, Any, int]) -> int:
    """The result of `work`. The first SIGINT, SIGTERM or SIGHUP cancels it, so that it cleans up; further ones only
    print that this takes a moment.

    Raises StoppedError when it was cancelled that way, after the clean-up."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if stopped:
                tell("\nstill cleaning up; this takes a few seconds.", sys.stderr)
                return
            stopped = True
            task.cancel()
            tell("\nstopping and cleaning up …", sys.stderr)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under `nohup`: then the command goes on
            numbers.append(signal.SIGHUP)
        for number in numbers:
            with contextlib.suppress(NotImplementedError):  # a loop without signal handlers (Windows)
                loop.add_signal_handler(number, stop)
        try:
            return await work
        except asyncio.CancelledError:
            if stopped:
                raise StoppedError from None
            raise

    return asyncio.run(guarded())
