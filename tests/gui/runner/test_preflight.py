"""The checklist before a big run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agent.messages import CatalogueFile, Probe, Probed
from gui.campaign.planfile import parse_plan
from gui.runner.preflight import Check, preflight
from shoveler.bus import Outgoing
from shoveler.service import ShovelerStatus, encode_status, routing_key
from shoveler.service.status import ShovelerSender

PLAN = """
name = "p"
[[test]]
servers = ["root://127.0.0.1:1094", "root://127.0.0.1:1095"]
files_per_server = 10
per_round = 10
[test.files]
list = "files.txt"
"""
FILES = "/store/a 7\n/store/b 7\n"


async def look(stage: Any, text: str = PLAN, files: str = FILES) -> dict[str, Check]:
    return {check.name: check async for check in preflight(stage.workspace, parse_plan(text), files=files)}


def hear(stage: Any, **received: int) -> None:
    """The shoveler tells how many datagrams it has had of each server (by port)."""
    now = time.time()
    senders = {f"127.0.0.1:{port[1:]}": ShovelerSender(received=count) for port, count in received.items()}
    message = ShovelerStatus(id="sp", started=1.0, t=now, host="h", version="1", senders=senders)
    stage.monitoring._statuses.send([Outgoing(encode_status(message), f"x{now}", routing_key(message))])
    stage.monitoring._statuses.outcomes(5)


async def test_all_is_well(stage: Any) -> None:
    async with stage.open() as workspace:
        (c1,) = await stage.join("c1", on_probe=lambda: hear(stage, p1=6, p2=6))
        hear(stage, p1=5, p2=5)
        await stage.until(lambda: workspace.records_state.connected and workspace.members())
        checks = await look(stage)
        assert {check.name: check.state for check in checks.values() if check.state != "ok"} == {"clients": "failed"}
        assert "no XRootD client library" in checks["clients"].text, "the agents of these tests have none"
        assert checks["answers"].text == "2 servers, XRootD v5.7."
        assert checks["sizes"].text == "4 files checked on 2 servers; all as stated."
        assert checks["datagrams"].text == "Datagrams of 2 servers reached a shoveler."
        assert checks["room"].text.startswith("20 requests take about ")
        assert workspace.store.runs() == []
        assert c1.requested == []


async def test_nothing_is_there(stage: Any) -> None:
    async with stage.open(bus=""):
        checks = await look(
            stage, PLAN.replace('servers = ["root://127.0.0.1:1094", "root://127.0.0.1:1095"]', "servers = 2")
        )
    assert {name: check.state for name, check in checks.items()} == {
        "bus": "failed",
        "queue": "skipped",
        "clients": "failed",
        "clocks": "skipped",
        "load": "skipped",
        "servers": "failed",
        "files": "skipped",
        "answers": "skipped",
        "sizes": "skipped",
        "datagrams": "skipped",
        "ttl": "ok",
        "room": "ok",
    }
    assert all(check.remedy for check in checks.values() if check.state == "failed")


async def test_files_that_differ_are_named(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1")
        checks = await look(stage, files="/store/a 8\n/store/b 7\n")
    assert checks["sizes"].state == "failed"
    assert checks["sizes"].text == "2 of 4 checked files differ."
    assert checks["sizes"].details[0].endswith("/store/a has 7 bytes, not 8")


async def test_servers_that_do_not_answer(stage: Any) -> None:
    def answer(question: Probe) -> list[Probed]:
        if question.server.endswith("1095"):
            return [Probed(question.id, question.server, False, error="connection refused")]
        files = [CatalogueFile(path, None, "no such file") for path in question.paths]
        return [Probed(question.id, question.server, True, "v5", files=files)]

    async with stage.open():
        await stage.join("c1", answer=answer)
        checks = await look(stage)
    assert checks["answers"].state == "failed"
    assert checks["answers"].details == ("127.0.0.1:1095 (root://127.0.0.1:1095): connection refused",)
    assert "is not there (no such file)" in checks["sizes"].details[0]


async def test_servers_that_are_not_heard_of(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.runner.preflight.DATAGRAM_SECONDS", 0.3)
    async with stage.open() as workspace:
        await stage.join("c1", on_probe=lambda: hear(stage, p1=6, p2=5))
        await stage.until(lambda: workspace.bus.status_state.connected)  # what is told before nobody hears
        hear(stage, p1=5, p2=5)
        await stage.until(lambda: workspace.members())
        checks = await look(stage)
    assert checks["datagrams"].state == "warning"
    assert checks["datagrams"].text == "No datagrams of 1 of 2 servers arrived within 0.3 s."
    assert "check-config" in checks["datagrams"].remedy


async def test_clocks_and_load(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", clock=5.0, cpu=95.0)
        await stage.until(lambda: (workspace.hub.roster.agents[0].clock_offset or 0) > 4)
        checks = await look(stage)
    assert checks["clocks"].details == ("c1: +5.0 s",)
    assert checks["load"].details == ("c1: 95 % of a core",)


async def test_plans_that_take_long_or_too_much(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    long = PLAN + '[test.workload]\nkind = "long"\nreads = 3\npause = "20h"\n'
    async with stage.open():
        checks = await look(stage, long)
    assert checks["ttl"].state == "warning"
    assert checks["room"].state == "failed"
