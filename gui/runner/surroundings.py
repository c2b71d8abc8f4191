"""What is written down of the surroundings when a run begins: kernel values of this machine, the servers' agents.

Kept with the run, so that a later one can be compared with it; what cannot be read is left out, not guessed.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from gui.hub.roster import AgentView

KERNEL = (
    "net.core.rmem_max",
    "net.core.rmem_default",
    "net.core.netdev_max_backlog",
    "net.ipv4.udp_mem",
    "net.ipv4.ipfrag_time",
    "net.core.somaxconn",
    "fs.file-max",
)
"""Values that have a bearing on datagrams and connections, by their names for ``sysctl``."""
LONGEST = 4000
"""Characters of a configuration line that are kept."""


def kernel_values(root: Path = Path("/proc/sys")) -> dict[str, str]:
    """The kernel of this machine and the values of `KERNEL` that can be read."""
    found = {"release": platform.release()}
    for name in KERNEL:
        try:
            found[name] = " ".join((root / name.replace(".", "/")).read_text("ascii").split())
        except (OSError, ValueError):
            continue  # another system, or not allowed
    return found


def server_facts(views: Iterable[AgentView], servers: Collection[str]) -> list[dict[str, Any]]:
    """What the agents beside these servers (URLs) say of them."""
    return [
        _facts(view, url)
        for view in sorted(views, key=lambda view: view.name)
        if view.role == "server"
        for url in view.servers
        if url in servers
    ]


def _facts(view: AgentView, url: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": view.name,
        "host": view.host,
        "server": url,
        "agent": view.version,
        "platform": view.platform,
        "xrootd": view.xrootd,
        "clock_offset": view.clock_offset,
    }
    report = view.reports.get(url)
    if report is not None:
        facts |= {
            "xrootd": report.xrootd or view.xrootd,
            "site": report.site,
            "instance": report.instance,
            "mtu": report.mtu or None,
            "udp_drops": report.udp_drops,
            "monitoring": report.monitor_line[:LONGEST],
            "findings": len(report.findings),
        }
    return facts
