"""`--metrics` of a hub: what Prometheus reads, over HTTP, beside a real run."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from agent.connection import RefusedError, Trust, join, parse_hub
from agent.messages import Register, sign_token
from gui.hub import HubError
from gui.runner import Workspace
from shoveler.values.addresses import host_port


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def stranger() -> Register:
    return Register(role="client", version="1", host="h")


async def test_metrics_of_a_hub_with_a_run(stage: Any) -> None:
    async with stage.open(metrics="127.0.0.1:0") as workspace:
        (c1,) = await stage.join("c1", hold=lambda request: True)
        address = parse_hub(workspace.hub.local_address, insecure=True)
        with pytest.raises(RefusedError):
            await join(address, Trust(address), sign_token("x" * 40, sub="c2", scope="agent:client"), stranger())
        running = stage.spawn(stage.run())
        await stage.until(lambda: c1.held and workspace.latest.requested > 0)
        found = samples((await asyncio.to_thread(get, f"http://{workspace.metrics}/metrics"))[1])
        assert found['tally_hub_agents{role="client",state="up"}'] == 1
        assert found['tally_hub_joins_total{role="client"}'] == 1
        assert [name for name in found if name.startswith("tally_hub_build_info{")]
        assert found["tally_hub_connections_waiting"] == 0
        assert found["tally_hub_connections"] == 1
        assert found['tally_hub_refused_total{reason="unknown_key"}'] == 1
        assert found["tally_run"] == workspace.latest.run
        assert found['tally_run_requests{state="requested"}'] == workspace.latest.requested
        assert found["tally_hub_loop_lag_seconds"] >= 0
        c1.hold = lambda request: False
        await c1.release()
        await running
        found = samples((await asyncio.to_thread(get, f"http://{workspace.metrics}/metrics"))[1])
        assert found["tally_run"] == 0
        assert found["tally_hub_journal_lines_total"] == 24
        assert found["tally_records_loaded_total"] >= 12
        assert found["process_resident_memory_bytes"] > 0
        status, body = await asyncio.to_thread(get, f"http://{workspace.metrics}/healthz")
        assert (status, json.loads(body)) == (200, {"ok": True, "problems": {}})
        workspace.problem("warning", "records", "the broker is away")
        status, body = await asyncio.to_thread(get, f"http://{workspace.metrics}/healthz")
        assert (status, json.loads(body)["problems"]) == (503, {"records": "the broker is away"})
        hub = f"http://{host_port('127.0.0.1', workspace.hub.port)}"
        assert (await asyncio.to_thread(get, f"{hub}/healthz"))[0] == 200, "agents can join without a broker"
        assert (await asyncio.to_thread(get, f"{hub}/metrics"))[0] == 404, "not on the internet"


async def test_an_address_in_use_is_one_sentence(stage: Any) -> None:
    async with stage.open(metrics="127.0.0.1:0") as workspace:
        taken = workspace.metrics
        with pytest.raises(HubError, match=f"annot serve metrics on {taken}: Address already in use"):
            async with Workspace.open(replace(workspace.options, database=stage.directory / "other.db", metrics=taken)):
                pass
