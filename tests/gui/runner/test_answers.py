"""Queries of remote windows: runs, plans and results, also for an observer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gui.hub import HubOptions
from gui.hub.keys import new_key
from gui.hub.operate import Query
from gui.report.document import SCHEMA
from gui.runner.hublink import RemoteError
from gui.runner.remote import Credentials, RemoteHub


async def test_an_observer_reads_runs_plans_and_results(stage: Any) -> None:
    options = HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, heartbeat=0.2)
    async with stage.open(hub=options) as workspace:
        await stage.join("c1")
        first = await stage.run()
        second = await stage.run()
        key = new_key(["observer"], time.time(), sub="anna")
        workspace.store.put_key(key)
        me = Credentials(key.secret, key.kid, "anna", pin=workspace.hub.pin, scope="observer")
        async with RemoteHub.open(workspace.hub.local_address, me) as hub:
            runs = await hub.query(Query(id=0, what="runs"))
            assert [(run["run"], run["state"], run["matched"], run["counted"]) for run in runs] == [
                (second.run, "passed", 12, 12),
                (first.run, "passed", 12, 12),
            ]
            assert [run["run"] for run in await hub.query(Query(id=0, what="runs", limit=1))] == [second.run]
            assert [run["run"] for run in await hub.query(Query(id=0, what="runs", before=second.run))] == [first.run]
            plan = await hub.query(Query(id=0, what="plan", run=first.run))
            assert plan["plan"] == workspace.store.run(first.run).plan_text
            result = await hub.query(Query(id=0, what="result", run=first.run))
            assert (result["schema"], result["run"]["id"], result["conclusion"]) == (SCHEMA, first.run, "pass")
            with pytest.raises(RemoteError, match="There is no run 99"):
                await hub.query(Query(id=0, what="result", run=99))
            await stage.until(lambda: hub.mirror.surroundings.label == workspace.label)
            assert hub.mirror.surroundings.pin == workspace.hub.pin
            assert [server.url for server in hub.mirror.known] == [server.url for server in workspace.servers()]


async def test_a_run_that_cannot_be_read_is_listed(stage: Any, monkeypatch: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        done = await stage.run()

        def broken(*_: Any) -> Any:
            raise ValueError("figures that contradict each other")

        monkeypatch.setattr("gui.runner.answers.run_figures", broken)
        (row,) = await _ask(workspace, Query(id=0, what="runs"))
        assert (row["run"], row["state"], row["counted"]) == (done.run, "passed", None)


async def _ask(workspace: Any, query: Query) -> Any:
    import json

    return json.loads(await workspace.hub.answerer(query))
