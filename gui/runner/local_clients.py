"""Client agents on this machine, for ``tally demo`` and ``tally run --local-clients K``: started and ended by pid."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import IO, Self

from gui.hub import Hub
from shoveler.service.programs import program_command

log = logging.getLogger("tally.runner")

START_SECONDS = 30.0
END_SECONDS = 10.0


class LocalClientsError(Exception):
    """The agents could not be started; one sentence says why."""


class LocalClients:
    """Use as ``async with LocalClients(hub, 2, key=secret)``. Each agent has its own directory and log file.

    `directory` keeps journals and logs (a temporary one, removed at the end, when None): with the same directory,
    agents that died with requests under way report them in the next run."""

    def __init__(
        self, hub: Hub, count: int, *, key: str, directory: Path | None = None, prefix: str = "c", label: str = ""
    ) -> None:
        self._hub = hub
        self._key = key
        self._kept = directory
        self._directory = directory or Path()
        self._label = label
        self.names = [f"{prefix}{number}" for number in range(1, count + 1)]
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._logs: dict[str, IO[bytes]] = {}

    async def __aenter__(self) -> Self:
        """Start them all and wait until they are up. Raises LocalClientsError."""
        if self._kept is None:
            self._directory = Path(tempfile.mkdtemp(prefix="tally-clients-"))
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = self._directory / "key"
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._key + "\n")
        try:
            for name in self.names:
                await self.start(name)
            await self._all_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them: ask first, then kill."""
        await asyncio.gather(*(self._end(process) for process in self._processes.values()))
        for file in self._logs.values():
            file.close()
        if self._kept is None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def pids(self) -> dict[str, int]:
        """The running agents."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    async def start(self, name: str) -> None:
        """Start one agent."""
        arguments = [
            *program_command("tally-agent"),
            *("--hub", self._hub.local_address),
            *("--role", "client"),
            *("--name", name),
            *("--key-file", str(self._directory / "key")),
            *("--state", str(self._directory / name)),
            *(("--pin", self._hub.pin) if self._hub.pin else ("--insecure",)),
            *(("--label", self._label) if self._label else ()),
        ]
        if name not in self._logs:
            self._logs[name] = (self._directory / f"{name}.log").open("ab")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TALLY_")}
        try:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._logs[name],
                stderr=self._logs[name],
                env=environment,
                # Ctrl-C in a terminal is for us; we stop the agents ourselves.
                start_new_session=True,
            )
        except OSError as error:
            raise LocalClientsError(f"{arguments[0]} cannot be started: {error.strerror}.") from error

    async def kill(self, name: str, lasts: float) -> str:
        """The fault ``kill-agent``: end an agent without warning, and start it again after `lasts` seconds."""
        process = self._processes.get(name)
        if process is None or process.returncode is not None:
            return f"{name} is not running."
        # Its workers must die with it, as they would if the machine failed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.sleep(lasts)
        await self.start(name)
        return f"{name} was killed, and started again after {lasts:g} s."

    async def _all_up(self) -> None:
        waiting = set(self.names)
        try:
            async with asyncio.timeout(START_SECONDS):
                while waiting:
                    waiting -= {view.name for view in self._hub.roster.agents if view.live}
                    for name in waiting:
                        process = self._processes[name]
                        if process.returncode is not None:
                            code, words = process.returncode, self._last_words(name)
                            raise LocalClientsError(f"The agent {name} ended at once (exit code {code}): {words}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            names = ", ".join(sorted(waiting))
            raise LocalClientsError(
                f"No word from {names} within {START_SECONDS:g} s: {self._last_words(min(waiting))}"
            ) from None

    def _last_words(self, name: str) -> str:
        text = (self._directory / f"{name}.log").read_text(errors="replace").strip()
        return text.splitlines()[-1][:500] if text else "it wrote nothing."

    @staticmethod
    async def _end(process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("! the agent with pid %d did not end; killing it", process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
