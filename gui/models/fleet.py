"""What the Fleet page shows about a server, gathered from all sources. No toolkit.

A server may be known from the lab, from an address in a plan, from an agent beside it, and from the senders that
shovelers and collectors report. `fleet_servers` joins these into one row per server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.messages import Finding, ServerReport
from gui.campaign.selection import server_place
from gui.hub.roster import AgentView
from gui.models import figures


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server as the directory or the lab names it."""

    name: str
    url: str
    source: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class SenderFigures:
    """What shoveler and collector report about a server's datagrams. Rates per second, sizes in bytes, ages in s."""

    rate: float | None = None
    last_minute: tuple[float, ...] = ()
    gaps: int | None = None
    oversize: int | None = None
    shoveler: str = ""
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class FleetServer:
    """One row. `state` is up, check, missing or waiting; `config` is what is wrong with its monitoring, or ok."""

    name: str
    url: str
    state: str
    source: str = ""
    site: str = ""
    instance: str = ""
    xrootd: str = ""
    config: str = ""
    findings: tuple[Finding, ...] = ()
    monitor_line: str = ""
    config_file: str = ""
    figures: SenderFigures = SenderFigures()
    agent: AgentView | None = None
    report: ServerReport | None = None


def fleet_servers(
    known: Sequence[KnownServer], agents: Sequence[AgentView], senders: Mapping[str, SenderFigures]
) -> list[FleetServer]:
    """One row per server, in the order of `known`, then the other server agents. `senders` is keyed by server URL."""
    beside: dict[str, AgentView] = {}
    for agent in agents:
        for url in agent.servers:
            if url not in beside or not beside[url].live:  # two agents may stand beside one server
                beside[url] = agent
    rows = [_row(server, beside.pop(server.url, None), senders.get(server.url)) for server in known]
    for url, agent in beside.items():
        name = agent.name if len(agent.servers) == 1 else server_place(url)
        rows.append(_row(KnownServer(name, url, "agent"), agent, senders.get(url)))
    return rows


def _row(server: KnownServer, agent: AgentView | None, sender: SenderFigures | None) -> FleetServer:
    report = agent.reports.get(server.url) if agent else None
    figures = sender or SenderFigures()
    findings = tuple(report.findings) if report else ()
    worst = next((f for severity in ("error", "warning") for f in findings if f.severity == severity), None)
    if agent is not None and not agent.live:
        state = "missing"
    elif worst is not None:
        state = "check"
    elif (agent is not None and report is not None and report.answering) or figures.last_seen is not None:
        state = "up"
    else:
        state = "waiting"
    return FleetServer(
        name=server.name,
        url=server.url,
        state=state,
        source=server.source,
        site=(report.site if report else "") or server.site,
        instance=report.instance if report else "",
        xrootd=report.xrootd if report else "",
        config="" if report is None else worst.what if worst else "ok",
        findings=findings,
        monitor_line=report.monitor_line if report else "",
        config_file=report.config_file if report else "",
        figures=figures,
        agent=agent,
        report=report,
    )


AGENT_STATES = {
    "up": ("dot", "ok"),
    "draining": ("drain", "info"),
    "missing": ("warn", "warn"),
    "disconnected": ("x", "mute"),
    "gone": ("ring", "mute"),
    "check": ("warn", "warn"),
    "waiting": ("ring", "mute"),
}
"""Icon and colour of each state of an agent or a server; the word is the state itself."""

COUNTED = ("up", "draining", "missing", "disconnected")
"""The states of clients that are counted apart."""


def count_words(agents: Sequence[AgentView]) -> str:
    """``3 up, 1 draining, 1 missing``; ``none`` without any."""
    counts = {state: sum(agent.state == state for agent in agents) for state in COUNTED}
    words = [f"{count} {state}" for state, count in counts.items() if count or (state == "up" and agents)]
    return ", ".join(words) or "none"


def state_word(agent: AgentView) -> str:
    """Its state; *drained* when it is draining and has nothing left to do."""
    return "drained" if agent.drained else agent.state


def ping_words(agent: AgentView, now: float) -> str:
    """What became of the last ping; empty if there was none."""
    if agent.pinged is None:
        return ""
    age = max(0.0, now - agent.pinged.t)
    answer = "no answer" if agent.pinged.rtt is None else figures.milliseconds(agent.pinged.rtt)
    return f"{answer}, {figures.age(age)}"


def shared_words(agent: AgentView) -> str:
    """Why it cannot be revoked alone, and what a hold means then; empty for an agent with a key of its own."""
    if not agent.shared_key:
        return ""
    return f"{agent.name} joined with the shared key: whoever has that can come back under another name."
