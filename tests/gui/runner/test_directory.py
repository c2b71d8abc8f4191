"""Servers that a person lists in a workspace: kept, chosen by plans, taken off, suggested."""

from __future__ import annotations

from typing import Any

from gui.campaign.selection import Server
from gui.runner.directory import servers_of_records
from gui.store import PERSON, ServerEntry, Store
from tests.gui.runner.test_workspace import Done


async def test_a_list_is_kept_with_the_workspace_and_plans_choose_from_it(stage: Any) -> None:
    async with stage.open() as workspace:
        found = await workspace.directory.add("s02 root://x2.example.org site-b\nx1.example.org\nfoo bar")
        assert [str(wrong)[:7] for wrong in found.wrong] == ["Line 3:"]
        assert [server.name for server in workspace.servers()] == ["s02", "x1.example.org"]
    async with stage.open() as workspace:
        assert workspace.servers()[0] == Server("s02", "root://x2.example.org:1094", ("site-b",))
        again = await workspace.directory.add("other root://x2.example.org:1094", workspace.servers())
        assert again.servers == ()
        assert "already in the list as s02" in str(again.wrong[0])
        await workspace.directory.remove(["root://x2.example.org:1094"])
        assert [server.name for server in workspace.servers()] == ["x1.example.org"]


async def test_neither_a_run_nor_a_bundle_takes_a_server_off_the_list(stage: Any) -> None:
    async with stage.open() as workspace:
        await workspace.directory.add("mine root://x.example.org")
        url = "root://x.example.org:1094"
        for other in (ServerEntry(url, "x", ("a",), "bundle"), ServerEntry(url, "y", (), "")):
            await workspace.blocking(workspace.store.put_servers, [other])
        rows = await workspace.blocking(workspace.store.servers)
        assert [(row.name, row.labels, row.source) for row in rows] == [("mine", (), PERSON)]


async def test_servers_of_agents_and_of_records_are_suggested_until_they_are_listed(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        for name, port in (("xrd7.example.org", 1094), ("XRD8.example.org", 2094), ("", 0)):
            record = stage.monitoring.record(Done(port), "s") | {"server_hostname": name, "port": port}
            stage.monitoring.publish(record)
        await stage.until(lambda: workspace.foreign == 3)
        agent = Server("a1", "root://xrd9.example.org:1094")
        offered = await workspace.directory.suggest([agent])
        assert [(one.server.name, one.server.url, one.source) for one in offered][:3] == [
            ("a1", "root://xrd9.example.org:1094", "agent"),
            ("xrd7.example.org", "root://xrd7.example.org:1094", "records"),
            ("xrd8.example.org:2094", "root://xrd8.example.org:2094", "records"),
        ]
        await workspace.directory.add("xrd7.example.org")
        left = await workspace.directory.suggest([agent])
        assert "root://xrd7.example.org:1094" not in [one.server.url for one in left]


def test_what_a_datagram_says_is_no_address_by_itself(tmp_path, monkeypatch) -> None:
    with Store(tmp_path / "w.db") as store:
        facts: list[dict[str, Any]] = [
            {"server_hostname": "evil/../x", "port": 1094},
            {"server_hostname": "u@h", "port": 1094},
            {"server_hostname": "a b", "port": 1},
            {"port": 1094},
            {"server_hostname": "good", "port": "1094"},
        ]
        monkeypatch.setattr(store, "origin_facts", lambda: facts)
        assert servers_of_records(store) == []
