"""Running the asyncio part of a command: what tells it to stop cancels it once, orderly, and is then waited for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any


class Stopped(Exception):  # noqa: N818 - names what the person did
    """The command was stopped by a person or by the system."""


def _say(text: str) -> None:
    """The terminal may be gone: that must not keep anybody from clearing up."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def run_until_done(work: Coroutine[Any, Any, int]) -> int:
    """The result of `work`. A first SIGINT, SIGTERM or SIGHUP cancels it, so that it clears up; to further ones it is
    only said that this takes a moment.

    Raises Stopped when it was cancelled that way, after everything was cleared up."""

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if stopped:
                _say("\nstill clearing up; this takes a few seconds.")
                return
            stopped = True
            task.cancel()
            _say("\nstopping, and clearing up …")

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it: then the end is not wanted
            numbers.append(signal.SIGHUP)
        for number in numbers:
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop)
        try:
            return await work
        except asyncio.CancelledError:
            if stopped:
                raise Stopped from None
            raise

    return asyncio.run(guarded())
