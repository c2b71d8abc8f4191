"""What the page shows, as values. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gui.campaign.selection import name_order
from gui.hub import AgentView
from gui.models.fleet import FleetServer
from gui.runner.progress import RunProgress, SamplePoint
from gui.statuspage.history import History

MAX_CLIENTS = 12
MAX_NOTED = 8
MAX_EVENTS = 6
MAX_CELLS = 600


@dataclass(frozen=True, slots=True)
class Status:
    """All that the page shows, at one moment."""

    now: float
    workspace: str
    progress: RunProgress
    agents: Sequence[AgentView]
    servers: Sequence[FleetServer]
    history: History
    trouble: str = ""
    """Why what is shown may be old; empty when it is not."""

    @property
    def clients(self) -> list[AgentView]:
        """The clients by name; where there are too many to show, those that are not up first."""
        clients = [agent for agent in self.agents if agent.role == "client" and agent.state != "gone"]
        many = len(clients) > MAX_CLIENTS
        return sorted(clients, key=lambda agent: (many and agent.state == "up", name_order(agent.name)))

    @property
    def cells(self) -> list[ServerCell]:
        """The servers, in their order."""
        silent = {row.url: row.silent_since for row in self.progress.servers if row.silent_since is not None}
        running = self.progress.outcome == "running"
        return [_cell(server, silent.get(server.url) if running else None, self.now) for server in self.servers]

    @property
    def runs(self) -> bool:
        """Whether a run is under way."""
        return self.progress.run is not None and self.progress.outcome == "running" and self.progress.phase != "idle"


@dataclass(frozen=True, slots=True)
class ServerCell:
    """A server: its state, and what is said of it when it is not up."""

    name: str
    state: str
    note: str = ""


def _cell(server: FleetServer, silent: float | None, now: float) -> ServerCell:
    agent = server.agent
    if silent is not None:
        return ServerCell(server.name, "silent", f"no answer for {max(0, round(now - silent))} s")
    if server.state == "check":
        return ServerCell(server.name, "check", server.config)
    if agent is not None and agent.state in ("draining", "disconnected"):
        return ServerCell(server.name, agent.state, agent.reason)
    if server.state == "missing":
        return ServerCell(server.name, "missing", (agent.reason if agent else "") or "its agent is not heard from")
    return ServerCell(server.name, server.state)


SERVER_STATES = {
    "up": ("dot", "ok", "up"),
    "check": ("warn", "warn", "to check"),
    "silent": ("clock", "bad", "silent"),
    "missing": ("warn", "warn", "missing"),
    "draining": ("drain", "info", "draining"),
    "disconnected": ("x", "mute", "disconnected"),
    "waiting": ("ring", "mute", "not heard from"),
}
"""Icon, colour and word of each state of a server, in the order in which they are counted."""


def counted(states: Sequence[str], order: Sequence[str]) -> list[tuple[str, int]]:
    """How many are in each state, in this order; only states that occur, and the first one always."""
    counts = Counter(states)
    return [(state, counts[state]) for state in order if counts[state] or (state == order[0] and states)]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened during the run."""

    t: float
    icon: str
    colour: str
    text: str


_KINDS = {"fault": ("zap", "warn"), "agent": ("warn", "warn"), "phase": ("flag", "info")}
_SEVERITIES = {"error": ("bad", "bad"), "warning": ("warn", "warn"), "info": ("info", "info")}


def happenings(progress: RunProgress) -> list[Happening]:
    """The newest events and problems, newest first; rounds are too many."""
    found = [
        Happening(marker.t, *_KINDS.get(marker.kind, ("warn", "warn")), marker.text)
        for marker in progress.markers
        if marker.kind != "round"
    ]
    found += [
        Happening(one.t, *_SEVERITIES[one.severity], f"{one.text}{f' ({one.count} times)' if one.count > 1 else ''}")
        for one in progress.problems
    ]
    return sorted(found, key=lambda one: one.t, reverse=True)[:MAX_EVENTS]


def throughput(progress: RunProgress) -> float | None:
    """Bytes per second over all servers, of the newest second that all clients have reported; None: not known."""
    for point in reversed(progress.samples[-10:]):
        rates = [rate for rate in point.rates if rate is not None]
        if rates and not point.missing:
            return sum(rates)
    return None


def of_this_repeat(progress: RunProgress) -> list[SamplePoint]:
    """The seconds of the repeat under way whose counts are known: counts begin anew with each repeat."""
    found: list[SamplePoint] = []
    for point in progress.samples:
        if point.requested is None or point.read is None or point.recorded is None:
            continue
        if found and point.requested < (found[-1].requested or 0):
            found.clear()
        found.append(point)
    return found
