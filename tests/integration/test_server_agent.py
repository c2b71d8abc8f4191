"""One agent beside all servers of a lab: what Fleet and preflight have of real servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gui.models.fleet import fleet_servers
from gui.pages.fleet.presenter import known_servers
from gui.runner.demo import Demo, DemoOptions
from gui.runner.preflight import preflight
from gui.runner.workspace import Workspace

pytestmark = [pytest.mark.xrootd]


def rows(workspace: Workspace) -> dict[str, str]:
    """The servers that an agent reports of, each with what is wrong with its configuration."""
    servers = fleet_servers(known_servers(workspace), workspace.hub.roster.agents, {})
    return {server.name: server.config for server in servers if server.report is not None}


async def test_one_agent_stands_beside_all_servers_of_a_lab(tmp_path: Path) -> None:
    options = DemoOptions(database=tmp_path / "w.db", servers=3, files=4, rate=2, clients=1, bus=str(tmp_path / "bus"))
    async with Demo.open(options, lambda _stage: None) as demo:
        workspace = demo.workspace
        async with asyncio.timeout(120):
            while len(rows(workspace)) < 3:  # noqa: ASYNC110 - the roster tells listeners, not tests
                await asyncio.sleep(0.1)
        assert rows(workspace) == {"s01": "ok", "s02": "ok", "s03": "ok"}
        (agent,) = [view for view in workspace.hub.roster.agents if view.role == "server"]
        for report in agent.reports.values():
            assert report.answering
            assert report.xrootd
            assert report.config_file.endswith(".cfg")
            assert {daemon.kind for daemon in report.daemons} == {"shoveler", "collector"}
            assert all(daemon.healthy for daemon in report.daemons)
            assert report.sockets, "the shoveler's socket is on this machine"
        checks = {check.name: check async for check in preflight(workspace, demo.plan)}
        assert (checks["config"].state, checks["config"].figure) == ("ok", "3 of 3")
        result = await workspace.run(demo.plan, text=demo.text)
        assert result.outcome == "passed", result.message
