"""The status bar and the text beside the run button, from what a workspace says of itself."""

from __future__ import annotations

from gui.report import numbers
from gui.runner.workspace import Workspace
from gui.widgets.frame import StatusPart


def status_parts(workspace: Workspace | None) -> tuple[StatusPart, ...]:
    """Hub, agents, bus, and how many records wait."""
    if workspace is None:
        return (
            StatusPart("ring", "hub not started", "text3"),
            StatusPart("fleet", "agents none"),
            StatusPart("ring", "bus not set", "text3"),
            StatusPart("queue", f"records waiting {numbers.count(None)}"),
        )
    if workspace.other:
        return (StatusPart("ring", f"{workspace.other} has this workspace; its run is shown here", "warn"),)
    if workspace.remote and not workspace.connected:
        text = f"{workspace.remote} is away; trying again. What is shown is from before"
        return (StatusPart("warn", text, "warn"),)
    hub, state = workspace.hub, workspace.records_state
    up = sum(agent.live for agent in hub.roster.agents)
    missing = sum(agent.state == "missing" for agent in hub.roster.agents)
    waiting = state.depths[0] if state.depths else None
    parts = [StatusPart("lock" if hub.pin else "wire", f"hub {workspace.remote or hub.address}")]
    if workspace.remote:
        why = workspace.why_not("operator")
        parts.append(StatusPart("eye", "observer", "warn", why) if why else StatusPart("key", "operator", "ok"))
    if hub.pin:
        parts.append(StatusPart("key", f"{hub.pin[:11]}…{hub.pin[-4:]}", "text3", hub.pin))
    words = f"agents {up} up" + (f", {missing} missing" if missing else "")
    parts.append(StatusPart("fleet", words, "warn" if missing else "text2"))
    bus = _without_secret(workspace.bus_shown)
    if not bus:
        parts.append(StatusPart("ring", "bus not set", "text3"))
    elif state.connected:
        parts.append(StatusPart("dot", f"bus {bus}", "ok"))
    else:
        parts.append(StatusPart("warn", f"bus {bus} away", "warn", state.trouble))
    parts.append(StatusPart("queue", f"records waiting {numbers.count(waiting)}"))
    return tuple(parts)


def run_text(workspace: Workspace) -> str:
    """Which run is under way, and how much of all its tests is requested."""
    latest = workspace.progress.latest
    share = f" · {100 * latest.run_requested // latest.run_total} %" if latest.run_total else ""
    return f"Run {latest.run}{share}" if latest.run is not None else "starting"


def runs_elsewhere(workspace: Workspace) -> bool:
    """Whether another program has a run under way in this workspace."""
    latest = workspace.progress.latest
    return bool(latest.owner) and latest.outcome == "running"


def _without_secret(bus: str) -> str:
    if "://" not in bus:
        return bus
    scheme, _, rest = bus.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0].rstrip('/')}"
