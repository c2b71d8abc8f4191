"""The process that goes on with the run of a window: `tally run --handed-over`, started and told what to do.

    1. started, it says READY when it has loaded everything: only then is the run left to it
    2. it is sent the run, when the window has closed its hub and its database
    3. it says RUNNING when it has opened them

It has a session of its own, so that it goes on when the terminal or the desktop of the window is closed, and writes to
a log file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from pathlib import Path
from typing import Final

from gui.runner.handover import Handed
from shoveler.service.programs import program_command

READY: Final = b"ready\n"
RUNNING: Final = b"running\n"
READY_SECONDS = 30.0
RUNNING_SECONDS = 30.0


class SuccessorError(Exception):
    """The process does not go on with the run; one sentence says why."""


class Successor:
    """See the module: `ready`, then `send`, then `running`. `close` when it is not needed after all."""

    def __init__(self, log: Path, *, executable: list[str] | None = None) -> None:
        """Start it. Raises SuccessorError."""
        self.log = log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                self._process = subprocess.Popen(
                    executable or [*program_command("tally"), "run", "--handed-over", "--headless"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    start_new_session=True,
                )
        except OSError as error:
            raise SuccessorError(f"The process that goes on cannot be started: {error.strerror}.") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it can take the run over. Raises SuccessorError."""
        await self._hear(READY, READY_SECONDS)

    async def send(self, handed: Handed) -> None:
        """Tell it the run. Raises SuccessorError."""
        try:
            await asyncio.to_thread(self._send, handed.encoded())
        except OSError as error:
            raise SuccessorError(f"Process {self.pid} has ended; see {self.log}.") from error

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with self._process.stdin as pipe:
            pipe.write(data)

    async def running(self) -> None:
        """Wait until it goes on with the run. Raises SuccessorError."""
        await self._hear(RUNNING, RUNNING_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.returncode = 0  # it goes on without us

    async def close(self) -> None:
        """End it: there is nothing to go on with."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.kill()
        await asyncio.to_thread(self._process.wait)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    async def _hear(self, word: bytes, seconds: float) -> None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                said = await asyncio.to_thread(self._process.stdout.readline)
        except TimeoutError:
            said = b""
        if said != word:
            raise SuccessorError(f"Process {self.pid} does not go on with the run: {await self._last_words()}")

    async def _last_words(self) -> str:
        text = await asyncio.to_thread(self.log.read_text, errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{lines[-1][:300]} ({self.log})" if lines else f"it wrote nothing to {self.log}."
