"""The list of agents: one immutable `AgentView` for each, with notifications of changes.

A view is replaced, never changed, so that it can be kept. Changes are announced at most ten times a second, all at
once, on the event loop; a reader that paints on its own beat only needs `Roster.agents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal

import msgspec

from agent.messages import MAX_SERVERS, Finding, Notice, ServerReport
from gui.hub.persistence import SHARED, Role

AgentState = Literal["up", "draining", "missing", "gone", "disconnected"]
"""``disconnected``: an operator keeps it out for a time. ``gone``: it left with the hub."""
MISSED = 3
"""Number of missed heartbeats after which an agent counts as missing."""
MAX_NOTICES, NOTICES_TEXT = 50, 16 * 1024
"""Of one agent: how many notices are kept, and how much text in all."""
REPORT_TEXT, REPORTS_TEXT = 64 * 1024, 1024 * 1024
"""How much text is kept of one report, and of all reports of an agent. A hundred long findings are half of the
first."""
MAX_URL = 256
"""Characters of a server's URL."""
BUSY = 90
"""Per cent of all its cores, or of one core by one of its processes, from which on a client may be what limits a
test."""


def public_id(kid: str, sub: str) -> str:
    """What people, logs and other agents see instead of an identity: stable across reconnects, derived by SHA-256."""
    return sha256(f"{kid}/{sub}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Pinged:
    """What became of a ping: when it was asked, and the seconds until it was answered (None: no answer)."""

    t: float
    rtt: float | None = None
    clock_offset: float | None = None


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent at one moment. Texts come from the agent: show them as plain text. Times are Unix seconds."""

    id: str
    """Its public id."""
    kid: str
    name: str
    role: Role
    state: AgentState
    host: str = ""
    version: str = ""
    platform: str = ""
    xrootd: str = ""
    curl: str = ""
    """Version of libcurl, of a client that can make HTTP requests."""
    servers: tuple[str, ...] = ()
    """The servers beside it (URLs), of a server agent."""
    pid: int = 0
    cpus: int = 0
    labels: tuple[str, ...] = ()
    address: str = ""
    joined: float = 0.0
    """When its current or last session began."""
    last_seen: float = 0.0
    sessions: int = 1
    rtt: float | None = None
    """Round-trip time in seconds."""
    clock_offset: float | None = None
    """Seconds by which its clock is ahead of the hub's."""
    cpu: float = 0.0
    """Per cent of one core."""
    busiest: float = 0.0
    """The same of the one of its processes that uses most."""
    memory: int = 0
    requests: int = 0
    journal: str = ""
    journal_last: int = 0
    """Lines in its journal, as reported by the agent."""
    journal_stored: int = 0
    jobs: tuple[str, ...] = ()
    reports: Mapping[str, ServerReport] = field(default_factory=dict)
    """What it reports of each server, by URL."""
    notices: tuple[Notice, ...] = ()
    reason: str = ""
    """Why it is missing, gone or disconnected."""
    pinged: Pinged | None = None
    """The last ping that somebody asked for."""

    @property
    def live(self) -> bool:
        """Whether it has a session and is heard from."""
        return self.state in ("up", "draining")

    @property
    def server(self) -> str:
        """The first server beside it; empty if there is none."""
        return self.servers[0] if self.servers else ""

    @property
    def busy(self) -> bool:
        """Whether it may be what limits a test: it uses nearly all cores of its host, or one of its processes nearly
        all of a core."""
        return self.live and (self.cpu >= BUSY * max(1, self.cpus) or self.busiest >= BUSY)

    @property
    def identity(self) -> str:
        """``KID/SUB``, as in the store and in the audit log."""
        return f"{self.kid}/{self.name}"

    @property
    def drained(self) -> bool:
        """Whether it is draining, and has nothing left to do."""
        return self.state == "draining" and not self.jobs

    @property
    def shared_key(self) -> bool:
        """Whether it joined with the shared key: only rotating that key can exclude it."""
        return self.kid == SHARED


def servers_in(urls: Iterable[str]) -> tuple[str, ...]:
    """The servers that an agent names, without those that can be none: what it sends to operators stays small."""
    return tuple(dict.fromkeys(url for url in urls if url and len(url) <= MAX_URL and url.isprintable()))


def with_report(view: AgentView, report: ServerReport) -> AgentView:
    """The view with what its agent reports of one server: of bounded length, and of so many servers as one agent may
    stand beside (those it has reported last)."""
    url = next(iter(servers_in([report.server])), view.server)
    reports = {known: one for known, one in view.reports.items() if known != url}
    while len(reports) >= MAX_SERVERS:
        del reports[next(iter(reports))]
    room = min(REPORT_TEXT, REPORTS_TEXT // (len(reports) + 1))
    reports[url] = shortened(report, room)
    servers = view.servers if url in view.servers else (*(one for one in view.servers if one in reports), url)
    return replace(view, reports=reports, servers=servers)


def shortened(report: ServerReport, room: int = REPORT_TEXT) -> ServerReport:
    """The report with so much text at most; whatever agents send, what the hub keeps of each and sends to operators is
    bounded. Of findings that do not fit, a last one says how many they are."""
    left = room - len(report.monitor_line) - len(report.config_file) - len(report.server)
    daemons, sockets = [], []
    for daemon in report.daemons:
        left -= len(daemon.address) + len(daemon.problem) + sum(len(name) + 8 for name in daemon.counts)
        daemons += [daemon] if left >= 0 else []
    for socket in report.sockets:
        left -= len(socket.address) + 16
        sockets += [socket] if left >= 0 else []
    kept = 0
    for finding in report.findings:
        left -= sum(len(text) for text in (finding.what, finding.why, finding.fixed, finding.file))
        if left < 0:
            break
        kept += 1
    findings = report.findings
    if kept < len(findings):
        rest = Finding(
            "warning",
            f"{len(findings) - kept} more findings are left out",
            "the report is too long; `tally-agent check-config` beside the server shows all",
        )
        findings = [*findings[:kept], rest]
    if (findings, daemons, sockets) == (report.findings, report.daemons, report.sockets):
        return report
    return msgspec.structs.replace(report, findings=findings, daemons=daemons, sockets=sockets)


def newest_notices(notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
    """The newest of these, of bounded number and length; at least one."""
    kept, text = 0, 0
    for notice in reversed(notices[-MAX_NOTICES:]):
        text += len(notice.text)
        if kept and text > NOTICES_TEXT:
            break
        kept += 1
    return notices[len(notices) - kept :]


def agent_row(view: AgentView) -> dict[str, Any]:
    """What the operators' feed has of an agent in "agents": all but what may be large."""
    row: dict[str, Any] = msgspec.to_builtins(replace(view, reports={}, notices=()))
    del row["reports"], row["notices"]
    return row


def report_rows(agents: Iterable[AgentView]) -> dict[str, ServerReport]:
    """The rows of "reports": by public id and URL of a server, what its agent reports of it."""
    return {f"{view.id} {url}": report for view in agents for url, report in view.reports.items()}


def notices_row(notices: tuple[Notice, ...]) -> dict[str, Any]:
    """What a row of "notices" has: all notices of one agent."""
    return {"notices": msgspec.to_builtins(notices)}


@dataclass(slots=True)
class Roster:
    """All agents since the hub started. `soon`, passed in, runs a function a little later on the event loop."""

    soon: Callable[[Callable[[], None]], None]
    _agents: dict[str, AgentView] = field(default_factory=dict)
    _listeners: list[Callable[[tuple[AgentView, ...]], None]] = field(default_factory=list)
    _announcing: bool = False
    version: int = 0
    """Grows with every change."""

    @property
    def agents(self) -> tuple[AgentView, ...]:
        """All views, in the order of joining."""
        return tuple(self._agents.values())

    def find(self, agent_id: str) -> AgentView | None:
        """The agent with this public id."""
        return self._agents.get(agent_id)

    def put(self, view: AgentView) -> None:
        """A new or changed agent."""
        self._agents[view.id] = view
        self._changed()

    def forget(self, agent_id: str) -> None:
        """Remove an agent from the list."""
        if self._agents.pop(agent_id, None) is not None:
            self._changed()

    def subscribe(self, listener: Callable[[tuple[AgentView, ...]], None]) -> Callable[[], None]:
        """Call `listener` with all views after changes. Call the result to unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _changed(self) -> None:
        self.version += 1
        if self._listeners and not self._announcing:
            self._announcing = True
            self.soon(self._announce)

    def _announce(self) -> None:
        self._announcing = False
        agents = self.agents
        for listener in tuple(self._listeners):
            listener(agents)


class ClockOffset:
    """Estimates how far an agent's clock is ahead, from its heartbeats: the fastest one is the most accurate.

    The transit time is half the shortest round trip: longer ones are due to a busy event loop, not to the network."""

    def __init__(self) -> None:
        self._seen: list[float] = []
        self._trips: list[float] = []

    def heartbeat(self, theirs: float, ours: float, rtt: float | None) -> float:
        """`theirs`: time in the heartbeat, `ours`: when it arrived, both Unix seconds; `rtt`: the last round trip."""
        self._seen = [*self._seen[-9:], theirs - ours]
        if rtt is not None:
            self._trips = [*self._trips[-9:], rtt]
        return max(self._seen) + min(self._trips, default=0.0) / 2
