"""The server agent in session with its hub: it reports what it sees, and changes nothing on the server."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from agent.connection import Session
from agent.host import Load, describe
from agent.messages import Ask, Finding, FromHub, Heartbeat, Register, ServerReport, Welcome
from agent.server import surround
from agent.server.check import Checked, follow, judged_here, text_of
from agent.server.configfile import Reading, readings
from agent.server.lint import release_in, server_port

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
"""How often the agent checks its server."""
REPORT_SECONDS: Final = 60.0
"""How often it reports even if nothing has changed."""
MAX_FINDINGS: Final = 100


class _Sight(NamedTuple):
    """What is found on the machine before the server itself is asked."""

    server: str
    """Its root:// URL."""
    instance: str
    config: Path | None
    read: list[Reading]
    """The readings of `config`; none when it cannot be read."""
    problem: Finding | None


class ServerRole:
    """The server agent: a `agent.connection.Role`.

    `server` is the root:// URL of the server, `config` its configuration file; what is not given is taken from the
    running xrootd, at each check, because a server may be started after its agent."""

    def __init__(
        self,
        *,
        name: str,
        labels: list[str],
        server: str,
        config: Path | None,
        on_welcome: Callable[[Welcome], None] | None = None,
    ) -> None:
        self._name = name
        self._labels = labels
        self._server = server
        self._config = config
        self._on_welcome = on_welcome
        self._load = Load()
        self._last: ServerReport | None = None
        self._wanted = asyncio.Event()
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Never set: no failure stops this role."""

    # ------------------------------------------------------------ what the link needs from a role

    def details(self) -> Register:
        last = self._last
        return describe(
            role="server",
            name=self._name,
            labels=self._labels,
            server=last.server if last else self._server,
            xrootd=last.xrootd if last else "",
        )

    def heartbeat(self) -> Heartbeat:
        cpu, memory = self._load.measure([])
        return Heartbeat(t=time.time(), cpu=cpu, memory=memory)

    def figures(self) -> dict[str, float]:
        """The metrics, by name."""
        return {"server_answering": float(bool(self._last and self._last.answering))}

    def welcomed(self, welcome: Welcome) -> None:
        if self._on_welcome is not None:
            self._on_welcome(welcome)

    async def attend(self, session: Session) -> None:
        said: ServerReport | None = None
        while True:
            self._wanted.clear()
            report = await self.look()
            if said is None or _differ(report, said) or report.t - said.t >= REPORT_SECONDS or self._wanted.is_set():
                await session.send(report)
                said = report
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wanted.wait()
                said = None  # requested: answered whether or not anything has changed
            except TimeoutError:
                pass  # the usual case: time for the next check

    async def obey(self, message: FromHub, session: Session) -> None:
        match message:
            case Ask("report"):
                self._wanted.set()
            case Ask():
                await session.send(self.heartbeat())
            case _:
                _log.debug("! %s is not a message for a server agent", type(message).__name__)

    async def drain(self, seconds: float) -> None:
        """Nothing is ever in progress."""

    async def delivered(self) -> None:
        """Reports are about the present; there is nothing to deliver later."""

    async def close(self) -> None:
        """No tasks of its own."""

    # ------------------------------------------------------------ looking

    async def look(self) -> ServerReport:
        """The current state; takes up to `surround.ANSWER_SECONDS` if the server does not answer."""
        sight = await asyncio.to_thread(self._look_around)
        answer = await surround.ask(sight.server)
        report = await asyncio.to_thread(_judge, sight, answer)
        last = self._last
        if last is not None and last.answering != answer.answering:
            _log.warning("= %s %s", report.server, "answers again" if answer.answering else "no longer answers")
        self._last = report
        return report

    def _look_around(self) -> _Sight:
        """What can be seen without asking the server. Blocks."""
        running = self._mine(surround.running_servers())
        config = self._config or (running.config if running else None)
        read: list[Reading] = []
        problem = None
        if config is None:
            problem = Finding(
                "warning",
                "No running xrootd with a configuration file was found on this machine.",
                "Start it, or give its file with --xrootd-config.",
            )
        else:
            try:
                read = readings(
                    text_of(config),
                    follow,
                    host=socket.getfqdn() if running else None,
                    instance=(running.instance or "anon") if running else None,
                    environment=surround.environment(running.pid) if running else None,
                )
            except OSError as error:
                problem = Finding(
                    "warning",
                    f"The server's configuration {config} cannot be read: {error.strerror}.",
                    "Let the agent's account read it, or give another file with --xrootd-config.",
                )
        port = server_port(read[0].directives) if read else 1094
        server = self._server or f"root://{socket.getfqdn()}:{port}"
        return _Sight(server, running.instance if running else "", config, read, problem)

    def _mine(self, servers: list[surround.Running]) -> surround.Running | None:
        """The process that is our server: the one with our file, or on our port, or the only one there is."""
        if self._config is not None:
            return next((one for one in servers if one.config == self._config), None)
        if self._server:
            port = urlsplit(self._server).port or 1094
            found = next((one for one in servers if surround.listens_on(one.pid, port)), None)
            if found is not None:
                return found
        return servers[0] if len(servers) == 1 else None


def _judge(sight: _Sight, answer: surround.Answer) -> ServerReport:
    """What was seen, checked for the release that the server reports. Blocks."""
    checked = judged_here(sight.read, release=release_in(answer.version)) if sight.read else Checked([], None, "", 1094)
    silent = [Finding("error" if not answer.answering else "info", answer.problem[:2000])] if answer.problem else []
    unread = [sight.problem] if sight.problem else []
    line = checked.line
    return ServerReport(
        t=time.time(),
        server=sight.server,
        answering=answer.answering,
        xrootd=answer.version,
        site=checked.site[:256],
        instance=sight.instance[:256],
        config_file=str(sight.config or "")[:4096],
        monitor_line=line.text[:2000] if line else "",
        findings=[*silent, *unread, *checked.findings][:MAX_FINDINGS],
        udp_drops=surround.unsent_datagrams(),
        mtu=min((surround.path_mtu(d.host) for d in line.destinations), default=0) if line else 0,
    )


def _differ(one: ServerReport, other: ServerReport) -> bool:
    """Whether anything changed except the time and the running counts."""
    return (one.server, one.answering, one.xrootd, one.config_file, one.monitor_line, one.findings, one.mtu) != (
        other.server, other.answering, other.xrootd, other.config_file, other.monitor_line, other.findings, other.mtu,
    )  # fmt: skip
