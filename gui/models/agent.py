"""What the page of one agent shows: facts with their last ten minutes, checks, log and history. No toolkit."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gui.campaign.selection import server_place
from gui.hub.persistence import AuditEntry
from gui.hub.roster import AgentView
from gui.models import figures
from gui.models.besides import AgentEvent, checks_of_report
from gui.models.fleet import ping_words, state_word
from gui.models.rows import UNKNOWN
from gui.runner.progress import RunProgress

EVERY = 5.0
"""Seconds between two points of a trail."""
POINTS = 120
"""Points that are kept: ten minutes."""
RATE_POINTS = 3
"""Points over which the achieved rate is taken."""

BUSY_WORDS = "it may be what limits the test, not the servers"


@dataclass(slots=True)
class Trail:
    """The last ten minutes of one agent, as its heartbeats said."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    clock: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    unsent: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    requests: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))

    def add(self, now: float, agent: AgentView) -> None:
        """Take a point, at most every `EVERY` seconds; none of an agent that is not heard from."""
        if not agent.live or (self.times and now - self.times[-1] < EVERY):
            return
        self.times.append(now)
        self.cpu.append(agent.cpu)
        self.clock.append(1000 * (agent.clock_offset or 0.0))
        self.unsent.append(float(unsent(agent)))
        self.requests.append(float(agent.requests))

    def achieved(self) -> float | None:
        """Requests a second over the last points; None while there are too few, or after a restart."""
        if len(self.times) < 2:
            return None
        times, requests = list(self.times)[-1 - RATE_POINTS :], list(self.requests)[-1 - RATE_POINTS :]
        if any(later < earlier for earlier, later in itertools.pairwise(requests)):
            return None
        return (requests[-1] - requests[0]) / (times[-1] - times[0])

    def rates(self) -> tuple[float, ...]:
        """Requests a second between each two points."""
        pairs = zip(
            zip(self.times, self.requests, strict=True),
            list(zip(self.times, self.requests, strict=True))[1:],
            strict=False,
        )
        return tuple(max(0.0, (n1 - n0) / (t1 - t0)) for (t0, n0), (t1, n1) in pairs if t1 > t0)


@dataclass(frozen=True, slots=True)
class AgentFact:
    """A line of the page. `trail`: its last ten minutes, if it has any; `warn`: why it deserves a look."""

    name: str
    value: str
    trail: tuple[float, ...] = ()
    warn: str = ""


def unsent(agent: AgentView) -> int:
    """Lines of its journal that the hub has not stored yet."""
    return max(0, agent.journal_last - agent.journal_stored)


def libraries(agent: AgentView) -> str:
    """What an agent makes its requests with, or sits beside."""
    known = [f"XRootD {agent.xrootd}"] if agent.xrootd else []
    known += [f"libcurl {agent.curl}"] if agent.curl else []
    return ", ".join(known) or f"XRootD {UNKNOWN}"


def agent_facts(agent: AgentView, trail: Trail, progress: RunProgress | None, now: float) -> list[AgentFact]:
    """What is known of it; what was not reported is unknown."""
    live = agent.live
    state = state_word(agent) + (f": {agent.reason}" if agent.reason else "")
    rows = [
        AgentFact("State", state),
        AgentFact("Host", ", ".join(part for part in (agent.host, agent.platform) if part) or UNKNOWN),
        AgentFact("Version", f"{agent.version or UNKNOWN}, {libraries(agent)}"),
        AgentFact("Key", "the shared key" if agent.shared_key else agent.kid),
        AgentFact("Labels", ", ".join(agent.labels) or UNKNOWN),
        AgentFact("Address", agent.address or UNKNOWN),
        AgentFact("Session", _session(agent, now)),
        AgentFact("Round trip", figures.milliseconds(agent.rtt) if agent.rtt is not None else UNKNOWN),
        AgentFact("Ping", ping_words(agent, now) or UNKNOWN),
        AgentFact(
            "Clock", figures.milliseconds(agent.clock_offset, signed=True) if live else UNKNOWN, tuple(trail.clock)
        ),
    ]
    if agent.role == "server":
        return rows
    cores = f" of {100 * agent.cpus} %" if agent.cpus else ""
    cpu = f"{figures.per_cent(agent.cpu)}{cores}" if live else UNKNOWN
    lines = f"{figures.count(agent.journal_last)} lines, {figures.count(unsent(agent))} not stored yet"
    offered = _offered(agent, progress)
    share = UNKNOWN if offered is None else f"{figures.rate(offered)} requests/s, its share of the run"
    return [
        *rows,
        AgentFact("CPU", cpu, tuple(trail.cpu), BUSY_WORDS if agent.busy else ""),
        AgentFact("Journal", lines, tuple(trail.unsent)),
        AgentFact("Requests", figures.count(agent.requests)),
        AgentFact("Offered", share),
        AgentFact("Achieved", _achieved(trail), trail.rates()),
    ]


def _achieved(trail: Trail) -> str:
    achieved = trail.achieved()
    return UNKNOWN if achieved is None else f"{figures.rate(achieved)} requests/s"


def _session(agent: AgentView, now: float) -> str:
    if not agent.joined:
        return UNKNOWN
    age = figures.duration(max(0.0, now - agent.joined))
    return f"{age}, the {agent.sessions}. of this hub" if agent.sessions > 1 else age


def _offered(agent: AgentView, progress: RunProgress | None) -> float | None:
    """What the running repeat offers to this client."""
    if progress is None or progress.phase not in ("round", "pause"):
        return None
    return next((client.offered for client in progress.clients if client.public_id == agent.id), None)


def checks_of(agent: AgentView, server: str = "") -> list[AgentEvent]:
    """What an agent beside servers has checked: of this one (its URL), or of all that it reports of."""
    if server in agent.reports:
        return checks_of_report(agent.reports[server])
    several = len(agent.reports) > 1
    return [
        event
        for url, report in agent.reports.items()
        for event in checks_of_report(report, name=server_place(url) if several else "")
    ]


def beside_words(agent: AgentView, server: str = "") -> str:
    """Beside what a server agent runs."""
    if server in agent.servers:
        rest = len(agent.servers) - 1
        return f"beside {server}" + (f" and {figures.count(rest)} more" if rest else "")
    if len(agent.servers) > 1:
        return f"beside {figures.count(len(agent.servers))} servers"
    return f"beside {agent.server}" if agent.server else "server agent"


def log_of(agent: AgentView) -> list[AgentEvent]:
    """What the agent has said, the newest first."""
    return [AgentEvent(note.t, note.severity, "notice", note.text) for note in reversed(agent.notices)]


def history_of(entries: Sequence[AuditEntry]) -> list[AgentEvent]:
    """What the hub has written down of it, the newest first."""
    bad = ("refused", "revoked", "disconnected")
    return [AgentEvent(e.t, "warning" if e.what in bad else "info", e.what, e.text) for e in reversed(entries)]
