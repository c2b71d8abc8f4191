"""The server agent in session with its hub: it reports what it sees, and changes nothing on the servers."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from agent.connection import Session
from agent.host import Load, describe
from agent.messages import (
    MAX_SERVERS,
    Ask,
    Daemon,
    Finding,
    FromHub,
    Heartbeat,
    Register,
    ServerReport,
    UdpSocket,
    Welcome,
)
from agent.server import surround
from agent.server.check import Checked, follow, judged_here, text_of
from agent.server.configfile import Reading, readings
from agent.server.daemons import ask_daemons
from agent.server.lint import release_in, server_port
from agent.server.statistics import Pace, counters_in
from agent.server.summaries import Summaries, listen
from agent.workloads.inquiry import Heard
from shoveler.service import Address

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
"""How often the agent checks its servers; when there are many, so much for each."""
SECONDS_EACH: Final = 0.1
REPORT_SECONDS: Final = 60.0
"""How often it reports of each even if nothing has changed."""
MAX_FINDINGS: Final = 100
LEAST_MOVED: Final = 4096
"""Bytes that a server must have moved for its figures to be news; our own questions are less."""


class Beside(NamedTuple):
    """A server to stand beside: its root:// URL and its configuration file. What is not given is taken from the running
    xrootd, at each check, because a server may be started after its agent."""

    server: str = ""
    config: Path | None = None


class _Sight(NamedTuple):
    """What is found on the machine before the server itself is asked."""

    server: str
    """Its root:// URL."""
    instance: str
    config: Path | None
    read: list[Reading]
    """The readings of `config`; none when it cannot be read."""
    problem: Finding | None


class _Around(NamedTuple):
    """What is the same for all servers in one look."""

    unsent: int
    sockets: Sequence[tuple[surround.IpAddress, int, UdpSocket]]
    daemons: list[Daemon]


class ServerRole:
    """The server agent: a `agent.connection.Role`.

    `beside`: its servers; none: all that run on this machine with a configuration file. `daemons`: where the shovelers
    and collectors beside them serve their metrics. `summaries`: where the servers' summary reports may come."""

    def __init__(
        self,
        *,
        name: str,
        labels: list[str],
        beside: Sequence[Beside] = (),
        daemons: Sequence[Address] = (),
        summaries: Address | None = None,
        on_welcome: Callable[[Welcome], None] | None = None,
    ) -> None:
        self._name = name
        self._labels = labels
        self._beside = list(beside)
        self._daemons = list(daemons)
        self._summaries_at = summaries
        self._summaries = Summaries(time.monotonic)
        self._receiving: asyncio.DatagramTransport | None = None
        self._on_welcome = on_welcome
        self._load = Load()
        self._paces: dict[str, Pace] = {}
        self._last: dict[str, ServerReport] = {}
        """The last report of each server, in their order."""
        self._wanted = asyncio.Event()
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Set to one sentence when this agent cannot do its work: the address for summary reports is taken."""

    # ------------------------------------------------------------ what the link needs from a role

    def details(self) -> Register:
        servers = list(self._last) or [one.server for one in self._beside if one.server]
        first = servers[0] if servers else ""
        return describe(
            role="server",
            name=self._name,
            labels=self._labels,
            server=first,
            servers=servers,
            xrootd=self._last[first].xrootd if first in self._last else "",
        )

    def heartbeat(self) -> Heartbeat:
        used = self._load.measure([])
        return Heartbeat(t=time.time(), cpu=used.cpu, busiest=used.busiest, memory=used.memory)

    def figures(self) -> dict[str, float]:
        """The metrics, by name."""
        answering = sum(report.answering for report in self._last.values())
        return {
            "server_answering": float(bool(self._last) and answering == len(self._last)),
            "servers": len(self._last),
            "servers_answering": answering,
        }

    def welcomed(self, welcome: Welcome) -> None:
        if self._on_welcome is not None:
            self._on_welcome(welcome)

    async def attend(self, session: Session) -> None:
        await self._receive_summaries()
        said: dict[str, ServerReport] = {}
        while True:
            self._wanted.clear()

            async def tell(report: ServerReport) -> None:
                known = said.get(report.server)
                if known is None or self._is_news(report, known):
                    await session.send(report)
                    said[report.server] = report

            await self.look(tell)
            try:
                async with asyncio.timeout(max(LOOK_SECONDS, SECONDS_EACH * len(self._last))):
                    await self._wanted.wait()
                said.clear()  # requested: answered whether or not anything has changed
            except TimeoutError:
                pass  # the usual case: time for the next check

    def _is_news(self, report: ServerReport, known: ServerReport) -> bool:
        return (
            _differ(report, known)
            or report.t - known.t >= REPORT_SECONDS
            or (report.throughput is not None and self._paces[report.server].moved(known.throughput, LEAST_MOVED))
        )

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
        """Give the address for summary reports back."""
        if self._receiving is not None:
            self._receiving.close()

    # ------------------------------------------------------------ looking

    async def look(self, tell: Callable[[ServerReport], Awaitable[None]] | None = None) -> list[ServerReport]:
        """The current state of all servers; each is told as soon as it is known, and all are returned. Servers that do
        not answer are waited for up to `surround.ANSWER_SECONDS`."""
        sights = {sight.server: sight for sight in await asyncio.to_thread(self._look_around)}
        around = _Around(
            surround.unsent_datagrams(),
            await asyncio.to_thread(surround.udp_sockets),
            await ask_daemons(self._daemons),
        )
        for gone in self._last.keys() - sights.keys():
            del self._last[gone]
            self._paces.pop(gone, None)
        found = []
        async with aclosing(surround.ask(list(sights))) as answers:
            async for heard in answers:
                self._take_counters(heard)
                throughput = self._paces[heard.server].throughput if heard.server in self._paces else None
                report = await asyncio.to_thread(_judge, sights[heard.server], heard, around)
                report = replace(report, throughput=throughput)
                self._note(report)
                found.append(report)
                if tell is not None:
                    await tell(report)
        return found

    def _note(self, report: ServerReport) -> None:
        last = self._last.get(report.server)
        if last is not None and last.answering != report.answering:
            _log.warning("= %s %s", report.server, "answers again" if report.answering else "no longer answers")
        self._last[report.server] = report

    def _take_counters(self, heard: Heard) -> None:
        pace = self._paces.setdefault(heard.server, Pace())
        now = time.monotonic()
        counters = counters_in(heard.counters)
        if counters is not None:
            pace.take(counters, now)
            return
        came = self._summaries.of(pace.process, urlsplit(heard.server).port or 1094)
        if came is not None:
            pace.take(came[1], came[0], by_report=True)

    async def _receive_summaries(self) -> None:
        if self._summaries_at is None or self._receiving is not None or self.broken.done():
            return
        try:
            self._receiving = await listen(self._summaries_at, self._summaries)
        except OSError as error:
            self.broken.set_result(
                f"Summary reports cannot be received at {self._summaries_at}: {error.strerror}; name another address "
                "with --summaries."
            )

    def _look_around(self) -> list[_Sight]:
        """What can be seen without asking the servers. Blocks."""
        processes = _Processes(surround.running_servers(), surround.listeners())
        beside = self._beside or [Beside(config=one.config) for one in processes.all if one.config] or [Beside()]
        return [self._sight(one, processes.of(one)) for one in beside[:MAX_SERVERS]]

    def _sight(self, one: Beside, running: surround.Running | None) -> _Sight:
        config = one.config or (running.config if running else None)
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
                read = _read(config, running)
            except OSError as error:
                problem = Finding(
                    "warning",
                    f"The server's configuration {config} cannot be read: {error.strerror}.",
                    "Let the agent's account read it, or give another file with --xrootd-config.",
                )
        port = server_port(read[0].directives) if read else 1094
        server = one.server or f"root://{socket.getfqdn()}:{port}"
        return _Sight(server, running.instance if running else "", config, read, problem)


def _read(config: Path, running: surround.Running | None) -> list[Reading]:
    return readings(
        text_of(config),
        follow,
        host=socket.getfqdn() if running else None,
        instance=(running.instance or "anon") if running else None,
        environment=surround.environment(running.pid) if running else None,
    )


class _Processes:
    """The xrootds of this machine, and which of them is which server."""

    def __init__(self, running: Sequence[surround.Running], listening: Mapping[int, set[int]]) -> None:
        self.all = running
        self._listening = listening
        self._saying: dict[int, surround.Running] | None = None

    def of(self, one: Beside) -> surround.Running | None:
        """The process with this file, or at this port, or whose file names this port (where we may not see who
        listens), or the only one there is."""
        if one.config is not None:
            return next((process for process in self.all if process.config == one.config), None)
        if one.server:
            port = urlsplit(one.server).port or 1094
            at_port = self._listening.get(port, set())
            found = next((process for process in self.all if process.pid in at_port), None)
            found = found or (None if at_port else self._by_files().get(port))
            if found is not None:
                return found
        return self.all[0] if len(self.all) == 1 else None

    def _by_files(self) -> dict[int, surround.Running]:
        if self._saying is None:
            self._saying = {}
            for process in self.all:
                try:
                    if process.config is not None:
                        self._saying[server_port(_read(process.config, process)[0].directives)] = process
                except OSError:
                    continue  # we may not read it
        return self._saying


def _judge(sight: _Sight, heard: Heard, around: _Around) -> ServerReport:
    """What was seen, checked for the release that the server reports. Blocks."""
    checked = judged_here(sight.read, release=release_in(heard.version)) if sight.read else Checked([], None, "", 1094)
    silent = [Finding("error" if not heard.answering else "info", heard.problem[:2000])] if heard.problem else []
    unread = [sight.problem] if sight.problem else []
    line = checked.line
    return ServerReport(
        t=time.time(),
        server=sight.server,
        answering=heard.answering,
        xrootd=heard.version,
        site=checked.site[:256],
        instance=sight.instance[:256],
        config_file=str(sight.config or "")[:4096],
        monitor_line=line.text[:2000] if line else "",
        findings=[*silent, *unread, *checked.findings][:MAX_FINDINGS],
        udp_drops=around.unsent,
        mtu=min((surround.path_mtu(d.host) for d in line.destinations), default=0) if line else 0,
        sockets=surround.sockets_at(line.destinations, around.sockets)[:64] if line else [],
        daemons=around.daemons,
    )


def _differ(one: ServerReport, other: ServerReport) -> bool:
    """Whether anything changed except the time and the running counts; what a kernel dropped is more than a count."""
    return _standing(one) != _standing(other)


def _standing(report: ServerReport) -> tuple[object, ...]:
    return (
        report.server, report.answering, report.xrootd, report.config_file, report.monitor_line, report.findings,
        report.mtu, [(one.address, one.drops) for one in report.sockets],
        [(one.address, one.kind, one.healthy, one.problem) for one in report.daemons],
    )  # fmt: skip
