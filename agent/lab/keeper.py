"""Keeps a private broker running, from an event loop: its calls block, so they run on a separate thread.

One thread and not several, because its methods must not run at the same time, and because the broker ends with the
thread that started it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from agent.lab.broker import BrokerError, PrivateBroker
from agent.lab.pids import identity
from agent.messages import LabProcess

_log = logging.getLogger(__name__)


class BrokerKeeper:
    """`changed` is called in the event loop's thread whenever the broker has ended or has been started."""

    def __init__(
        self, broker: PrivateBroker, start_seconds: float, changed: Callable[[], None], *, look_seconds: float = 1.0
    ) -> None:
        self.broker = broker
        self.restarts = 0
        self._start_seconds = start_seconds
        self._changed = changed
        self._look_seconds = look_seconds
        self._wanted = True
        self._starting = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker")

    async def start(self) -> None:
        """Start it for the first time. Raises BrokerError."""
        await self._call(self.broker.start, self._start_seconds)
        self._changed()

    async def watch(self) -> None:
        """Restart it whenever it has ended by itself. Never returns."""
        seen = self.broker.pid
        while True:
            await asyncio.sleep(self._look_seconds)
            if self.broker.pid != seen:
                seen = self.broker.pid
                self._changed()
            if self._wanted and not self._starting and self.broker.pid is None:
                _log.warning("! the broker has ended and is being restarted")
                await self.up()

    async def kill(self) -> None:
        """kill -9; it stays down until `up`."""
        self._wanted = False
        await self._call(self.broker.kill)
        self._changed()

    async def stop(self) -> None:
        """Stop it normally; it stays down until `up`. Raises BrokerError if it does not end."""
        self._wanted = False
        await self._call(self.broker.stop)
        self._changed()

    async def up(self) -> str:
        """Start it if it is down. Returns "" or why it does not start; `watch` keeps trying."""
        self._wanted = self._starting = True
        try:
            await self._call(self._start_again)
        except BrokerError as error:
            _log.error("! the broker does not start: %s", error)
            return str(error)
        finally:
            self._starting = False
            self._changed()
        return ""

    async def end(self) -> list[str]:
        """Stop it for good, even while it is starting: its data are not needed any more. Returns failures as
        sentences."""
        self._wanted = False
        for pid in self.broker.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended by itself
        problems = []
        try:
            await self._call(self.broker.kill)
        except BrokerError as error:
            problems.append(str(error))
        self._thread.shutdown()
        return problems

    def process(self) -> LabProcess:
        """Its line in the state file."""
        pid = self.broker.pid or 0
        return LabProcess("broker", "broker", pid, self.restarts, "", identity(pid) if pid else "")

    def _start_again(self) -> None:
        if self._wanted and self.broker.pid is None:  # checked here, because it may have been started while we waited
            self.restarts += 1
            self.broker.start(self._start_seconds)

    async def _call(self, method: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, method, *arguments)
