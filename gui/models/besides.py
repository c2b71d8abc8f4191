"""What an agent beside a server reports of it, in words: for the checks of its page and for Fleet. No toolkit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.messages import Daemon, ServerReport, Throughput
from gui.models import figures
from gui.models.rows import UNKNOWN

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """A line of checks, log or history. `severity` decides icon and colour."""

    t: float | None
    severity: Severity
    what: str
    text: str


_WORDS = {"": "program", "shoveler": "shoveler", "collector": "collector"}


def checks_of_report(report: ServerReport, *, name: str = "") -> list[AgentEvent]:
    """All that was checked of one server. `name` is put in front of each, where there are several."""
    front = f"{name}: " if name else ""
    mtu = f"{figures.count(report.mtu)} bytes to the monitoring destination" if report.mtu else UNKNOWN
    unsent = f"{figures.count(report.udp_drops)} datagrams could not be sent by this host since it booted"
    answers = f"{report.server or 'the server'} {'answers' if report.answering else 'does not answer'}"
    rows: list[tuple[Severity, str, str]] = [
        ("info" if report.answering else "error", "server", answers),
        ("info", "throughput", throughput_words(report.throughput)),
        ("info", "mtu", mtu),
        ("warning" if report.udp_drops else "info", "kernel", unsent),
    ]
    for socket in report.sockets:
        dropped = f"{figures.count(socket.drops)} datagrams did not fit into the buffer of {socket.address}"
        rows.append(("warning" if socket.drops else "info", "kernel", dropped))
    rows += [("info" if one.healthy else "warning", _WORDS[one.kind], daemon_words(one)) for one in report.daemons]
    for found in report.findings:
        place = f" ({found.file or report.config_file}:{found.line})" if found.line else ""
        text = ": ".join(part for part in (found.what + place, found.why) if part)
        rows.append((found.severity, "configuration", f"{text} Instead: {found.fixed}" if found.fixed else text))
    return [AgentEvent(report.t, severity, what, front + text) for severity, what, text in rows]


def throughput_words(throughput: Throughput | None) -> str:
    """What a server says of its own throughput."""
    if throughput is None:
        return UNKNOWN
    links = f"{figures.count(throughput.connections)} connection{'' if throughput.connections == 1 else 's'}"
    if not throughput.seconds:
        total = f"{figures.size(throughput.sent_total)} sent, {figures.size(throughput.received_total)} received"
        return f"{total} since it started, {links}"
    words = f"{figures.size(throughput.sent)}/s sent, {figures.size(throughput.received)}/s received, {links}"
    return f"{words}, over {figures.duration(throughput.seconds)}"


def daemon_words(daemon: Daemon) -> str:
    """How a shoveler or collector is, with its counts."""
    counts = ", ".join(f"{figures.count(value)} {name}" for name, value in daemon.counts.items())
    how = "healthy" if daemon.healthy else daemon.problem or "not healthy"
    return ": ".join(part for part in (daemon.address, how) if part) + (f"; {counts}" if counts else "")


def daemons_word(report: ServerReport) -> str:
    """All daemons beside a server in a few words: ``shoveler ok, collector not``; empty without any."""
    return ", ".join(f"{_WORDS[one.kind]} {'ok' if one.healthy else 'not well'}" for one in report.daemons)
