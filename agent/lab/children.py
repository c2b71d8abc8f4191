"""One process that the supervisor started and may restart."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal

from agent.lab.pids import identity
from agent.messages import LabProcess

_log = logging.getLogger(__name__)

Kind = Literal["shoveler", "collector", "xrootd", "cmsd"]
_LAST_WORDS = 400


class Child:
    """`spawn` starts the process with its output going to the file it is given; it is called again for each restart.

    Belongs to the event loop's thread. Whoever handles SIGCHLD calls `reap`.
    """

    def __init__(
        self, name: str, kind: Kind, log: Path, spawn: Callable[[IO[bytes]], subprocess.Popen[bytes]], metrics: str = ""
    ) -> None:
        self.name = name
        self.kind = kind
        self.metrics = metrics
        self.restarts = 0
        self.held_until = 0.0
        """Do not restart it before this moment (monotonic seconds): the end of a fault."""
        self.ended = asyncio.Event()
        """Set while it is not running."""
        self._log_file = log
        self._spawn = spawn
        self._popen: subprocess.Popen[bytes] | None = None
        self._identity = ""
        self._born = 0.0
        self.ended.set()

    def start(self) -> None:
        """Start it. Raises OSError when the program cannot be executed."""
        with self._log_file.open("ab") as log:
            self._popen = self._spawn(log)
        self._identity = identity(self._popen.pid)
        self._born = time.monotonic()
        self.ended.clear()
        _log.info("= %s started, pid %d", self.name, self._popen.pid)

    def reap(self) -> None:
        """Notice its end."""
        if self._popen is not None and not self.ended.is_set() and self._popen.poll() is not None:
            _log.info("= %s ended, %s", self.name, self.how_it_ended)
            self.ended.set()

    def kill(self) -> None:
        """SIGKILL; its end is noticed by `reap`."""
        if self._popen is not None:
            self._popen.kill()

    def terminate(self) -> None:
        """SIGTERM; its end is noticed by `reap`."""
        if self._popen is not None:
            self._popen.terminate()

    async def end(self, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, and wait for its end. Does nothing if it is not running."""
        if self._popen is None or self.ended.is_set():
            return
        self._popen.terminate()
        try:
            async with asyncio.timeout(grace):
                await self.ended.wait()
        except TimeoutError:
            _log.warning("! %s does not end within %g s and is killed", self.name, grace)
            self._popen.send_signal(signal.SIGKILL)
            await self.ended.wait()

    @property
    def pid(self) -> int:
        """0 while it is not running."""
        return 0 if self._popen is None or self.ended.is_set() else self._popen.pid

    @property
    def lived(self) -> float:
        """Seconds since its last start."""
        return time.monotonic() - self._born

    @property
    def how_it_ended(self) -> str:
        code = None if self._popen is None else self._popen.returncode
        if code is not None and code < 0:
            return f"signal {-code}"
        return f"code {code}"

    @property
    def last_words(self) -> str:
        """The end of its log, on one line."""
        text = self._log_file.read_text(errors="replace") if self._log_file.exists() else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-3:])[-_LAST_WORDS:] or "nothing"

    def process(self) -> LabProcess:
        """Its line in the state file."""
        pid = self.pid
        return LabProcess(self.name, self.kind, pid, self.restarts, self.metrics, self._identity if pid else "")
