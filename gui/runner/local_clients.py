"""Client agents on this machine, for ``tally demo`` and ``tally run --local-clients K``, and on a lab one server agent
beside all its servers: started and ended by pid.

They end with the program that started them, also when that is killed (`agent.owner`). Another program can take them
over while they work: `let_go` there, `adopted` here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from agent.messages import LabState
from agent.owner import TEMPORARY, Owner, clear_up_after_others
from gui.hub import Hub
from shoveler.service.programs import program_command

log = logging.getLogger("tally.runner")

START_SECONDS = 30.0
END_SECONDS = 10.0
LOOK_SECONDS = 0.02
PREFIX = "tally-clients-"
"""How the names of the directories of agents begin that nobody keeps."""


def _beside(lab: LabState) -> list[str]:
    """The options of an agent beside all servers of a lab, its shovelers and its collector."""
    words = ["--role", "server"]
    for server in lab.servers:
        words += ["--server", server.url]
    for process in lab.processes:
        if process.metrics and process.kind in ("shoveler", "collector"):
            words += ["--daemon", process.metrics]
    return words


class LocalClientsError(Exception):
    """The agents could not be started; one sentence says why."""


@dataclass(frozen=True, slots=True)
class HandedClients:
    """Agents that another program takes over."""

    directory: Path
    kept: bool
    names: dict[str, str]
    """Each with the short name that plans may use."""
    label: str
    processes: dict[str, Owner]


class _Agent:
    """The process of an agent, ours or taken over: there is no other way than to look whether the latter has ended."""

    def __init__(self, process: Owner, child: subprocess.Popen[bytes] | None = None) -> None:
        self.process = process
        self._child = child

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None if self._child is not None else self.process.alive()

    @property
    def exit_code(self) -> int | None:
        return self._child.returncode if self._child is not None else None

    def tell(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal, to its workers as well with `group`; nothing happens if it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.pid, number)

    async def ended(self) -> None:
        while self.running:  # noqa: ASYNC110 - a process that is not our child tells nobody
            await asyncio.sleep(LOOK_SECONDS)

    def let_go(self) -> None:
        """It goes on without us."""
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # or Python would complain of a child that still runs


class LocalClients:
    """Use as ``async with LocalClients(hub, 2, key=secret)``. Each agent has its own directory and log file.

    `directory` keeps journals and logs (a temporary one, removed at the end, when None): with the same directory,
    agents that died with requests under way report them in the next run, so their names are ``c1``, ``c2`` … each time.
    Without it no name is used twice: an agent of an earlier program that is still there for a moment cannot be mistaken
    for one of ours, nor keep it from joining. Plans can call them ``c1``, ``c2`` … all the same: it is their label.
    `lab`: one more agent stands beside all its servers."""

    def __init__(
        self,
        hub: Hub,
        count: int,
        *,
        key: str,
        directory: Path | None = None,
        prefix: str = "c",
        label: str = "",
        lab: LabState | None = None,
    ) -> None:
        self._hub = hub
        self._key = key
        self._kept = directory is not None
        self._directory = directory or Path()
        self._label = label
        mark = "" if directory is not None else f"-{secrets.token_hex(2)}"
        self._short = {f"{prefix}{number}{mark}": f"{prefix}{number}" for number in range(1, count + 1)}
        self.names = list(self._short)
        """The clients."""
        self._beside = {f"lab{mark}": _beside(lab)} if lab is not None and lab.servers else {}
        """The options of the agent beside the servers of a lab, by its name."""
        self._agents: dict[str, _Agent] = {}
        self._logs: dict[str, IO[bytes]] = {}
        self._adopted = False
        self._gone = False

    @classmethod
    def adopted(cls, hub: Hub, handed: HandedClients) -> LocalClients:
        """The agents that another program has let go; use the result as any other. Those that have died meanwhile are
        started again."""
        made = cls(hub, 0, key="", directory=handed.directory, label=handed.label)
        made._kept = handed.kept
        made._short = dict(handed.names)
        made.names = list(handed.names)
        made._agents = {name: _Agent(process) for name, process in handed.processes.items()}
        made._adopted = True
        return made

    async def __aenter__(self) -> Self:
        """Start them all and wait until they are up. Raises LocalClientsError."""
        if self._adopted:
            self._be_owner(os.getpid())
        else:
            self._make_directory()
        try:
            for name in (*self.names, *self._beside):
                if name not in self._agents or not self._agents[name].running:
                    await self.start(name)
            if not self._adopted:  # those that were taken over come when they try again
                await self._all_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    def _make_directory(self) -> None:
        if not self._kept:
            clear_up_after_others(Path(tempfile.gettempdir()), PREFIX)
            self._directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._be_owner(os.getpid())
        if not self._kept:
            (self._directory / TEMPORARY).touch()
        key_file = self._directory / "key"
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._key + "\n")

    async def __aexit__(self, *_: object) -> None:
        """End them: ask first, then kill. Not those that were let go."""
        if not self._gone:
            await asyncio.gather(*(self._end(agent) for agent in self._agents.values()))
        for file in self._logs.values():
            file.close()
        if not self._kept and not self._gone:
            shutil.rmtree(self._directory, ignore_errors=True)

    def let_go(self, to: int) -> HandedClients:
        """From now on they belong to the process `to`, and are no longer ended here."""
        self._gone = True
        self._be_owner(to)
        handed = {name: agent.process for name, agent in self._agents.items()}
        for agent in self._agents.values():
            agent.let_go()
        return HandedClients(self._directory, self._kept, dict(self._short), self._label, handed)

    def _be_owner(self, pid: int) -> None:
        Owner.of(pid).write(self._directory / "owner")

    @property
    def server_agent(self) -> str:
        """The name of the agent beside a lab's servers; empty without one."""
        return next(iter(self._beside), "")

    def pids(self) -> dict[str, int]:
        """The running agents."""
        return {name: agent.pid for name, agent in self._agents.items() if agent.running}

    async def start(self, name: str) -> None:
        """Start one agent."""
        arguments = [
            *program_command("tally-agent"),
            *("--hub", self._hub.local_address),
            *(self._beside.get(name) or ("--role", "client")),
            *("--name", name),
            *("--key-file", str(self._directory / "key")),
            *("--state", str(self._directory / name)),
            *("--owner", str(self._directory / "owner")),
            *(("--pin", self._hub.pin) if self._hub.pin else ("--insecure",)),
            *(("--label", self._label) if self._label else ()),
            *(("--label", self._short[name]) if self._short.get(name, name) != name else ()),
        ]
        if name not in self._logs:
            self._logs[name] = (self._directory / f"{name}.log").open("ab")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TALLY_")}
        try:
            # Not asyncio's: it kills its children when the program ends, and these may have been handed over.
            child = subprocess.Popen(  # noqa: ASYNC220 - as quick as asyncio's, which calls it
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=self._logs[name],
                stderr=self._logs[name],
                env=environment,
                # Ctrl-C in a terminal is for us; we stop the agents ourselves.
                start_new_session=True,
            )
        except OSError as error:
            raise LocalClientsError(f"{arguments[0]} cannot be started: {error.strerror}.") from error
        self._agents[name] = _Agent(Owner.of(child.pid), child)

    async def kill(self, name: str, lasts: float) -> str:
        """The fault ``kill-agent``: end an agent without warning, and start it again after `lasts` seconds."""
        agent = self._agents.get(name)
        if agent is None or not agent.running:
            return f"{name} is not running."
        # Its workers must die with it, as they would if the machine failed.
        agent.tell(signal.SIGKILL, group=True)
        await agent.ended()
        await asyncio.sleep(lasts)
        await self.start(name)
        return f"{name} was killed, and started again after {lasts:g} s."

    async def _all_up(self) -> None:
        waiting = {*self.names, *self._beside}
        try:
            async with asyncio.timeout(START_SECONDS):
                while waiting:
                    waiting -= {view.name for view in self._hub.roster.agents if view.live}
                    for name in waiting:
                        agent = self._agents[name]
                        if not agent.running:
                            code, words = agent.exit_code, self._last_words(name)
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
    async def _end(agent: _Agent) -> None:
        agent.tell(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await agent.ended()
        except TimeoutError:
            log.warning("! the agent with pid %d did not end; killing it", agent.pid)
            agent.tell(signal.SIGKILL, group=True)
            await agent.ended()
