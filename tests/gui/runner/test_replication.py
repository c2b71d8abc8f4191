"""A copy of a remote hub's results: the same as there, and only what has changed is fetched."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gui.hub import HubOptions
from gui.hub.keys import new_key
from gui.hub.operate import PROTOCOL, Query
from gui.report import build
from gui.report.document import json_report
from gui.runner import replication
from gui.runner.hublink import RemoteError
from gui.runner.remote import Credentials, RemoteHub
from gui.runner.replication import HubCopy, copy_file, of_runs
from gui.store import Store


def observer(workspace: Any) -> Credentials:
    key = new_key(["observer"], time.time(), sub="anna")
    workspace.store.put_key(key)
    return Credentials(key.secret, key.kid, "anna", pin=workspace.hub.pin, scope="observer")


@pytest.fixture
def tls(stage: Any) -> HubOptions:
    return HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, heartbeat=0.2)


def report(store: Store, run: int) -> bytes:
    return json_report(build(store, run))


async def test_an_observer_has_the_same_report_and_no_secret(stage: Any, tls: HubOptions) -> None:
    stage.monitoring.lose = lambda done: done.path.endswith("3")
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1", "c2", fail=lambda request: request.path.endswith("5"))
        first, second = await stage.run(), await stage.run()
        async with RemoteHub.open(workspace.hub.local_address, observer(workspace)) as hub:
            copy = await HubCopy.open(hub, stage.directory)
            changed = await copy.renew(of_runs("known", "run", "details", "day"))
            assert {f"run {first.run}", f"details {second.run}", "known"} <= changed
            with Store(copy.file, read_only=True) as mine:
                for run in (first.run, second.run):
                    assert report(mine, run) == report(workspace.store, run)
                (repeat,) = workspace.store.repeats(first.run)
                assert list(mine.requests(repeat.id)) == list(workspace.store.requests(repeat.id))
                assert mine.usage("server") == workspace.store.usage("server")
                assert mine.keys() == []
                assert mine.audits() == []
            assert await copy.renew(of_runs("known", "run", "details", "day")) == set()
            await copy.close()
        everything = copy.file.read_bytes()
        assert stage.secret.encode() not in everything


async def test_what_changes_comes_again_and_what_is_deleted_goes(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1")
        first, second = await stage.run(), await stage.run()
        async with RemoteHub.open(workspace.hub.local_address, observer(workspace)) as hub:
            copy = await HubCopy.open(hub, stage.directory)
            await copy.renew(of_runs("known", "run"))
            workspace.store.add_note(second.run, "anna", "looks fine", time.time())
            assert await copy.renew(of_runs("known", "run")) == {f"run {second.run}"}
            workspace.store.delete_run(first.run)
            await copy.renew(of_runs("run"))
            with Store(copy.file, read_only=True) as mine:
                assert [run.id for run in mine.runs()] == [second.run]
                assert [note.text for note in mine.notes(second.run)] == ["looks fine"]
            await copy.close()


async def test_a_connection_that_breaks_leaves_the_copy_as_it_was(
    stage: Any, tls: HubOptions, monkeypatch: Any
) -> None:
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1")
        run = (await stage.run()).run
        async with RemoteHub.open(workspace.hub.local_address, observer(workspace)) as hub:
            copy = await HubCopy.open(hub, stage.directory)
            await copy.renew(of_runs("known", "run", "details"))
            before = copy._replica.versions()
            workspace.store.add_note(run, "anna", "more", time.time())
            ask = hub.query

            async def breaks(query: Query) -> Any:
                if query.what == "rows" and query.table == "note":
                    raise RemoteError("The connection to the hub broke.")
                return await ask(query)

            monkeypatch.setattr(hub, "query", breaks)
            with pytest.raises(RemoteError, match="broke"):
                await copy.renew(of_runs("run"))
            assert copy._replica.versions() == before
            monkeypatch.setattr(hub, "query", ask)
            assert await copy.renew(of_runs("run")) == {f"run {run}"}
            await copy.close()


async def test_slices_go_through_large_tables(stage: Any, tls: HubOptions, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.runner.replication.SLICE_ROWS", 5)
    monkeypatch.setattr("gui.store.replica.SLICE_BYTES", 300)
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1")
        run = (await stage.run()).run
        async with RemoteHub.open(workspace.hub.local_address, observer(workspace)) as hub:
            asked: list[Query] = []
            ask = hub.query

            async def count(query: Query) -> Any:
                asked.append(query)
                return await ask(query)

            monkeypatch.setattr(hub, "query", count)
            copy = await HubCopy.open(hub, stage.directory)
            await copy.renew(of_runs("known", "run", "details"))
            with Store(copy.file, read_only=True) as mine:
                assert report(mine, run) == report(workspace.store, run)
            await copy.close()
            assert sum(query.table == "request" for query in asked) >= 3


async def test_what_is_in_no_part_cannot_be_asked_for(stage: Any, tls: HubOptions) -> None:
    async with (
        stage.open(hub=tls) as workspace,
        RemoteHub.open(workspace.hub.local_address, observer(workspace)) as hub,
    ):
        for table in ("signing_key", "invitation", "meta", "audit", "journal", "spent_token", "request"):
            with pytest.raises(RemoteError, match=f"There is no table '{table}' in known"):
                await hub.query(Query(id=0, what="rows", kind="known", table=table))
        with pytest.raises(RemoteError, match="There is no run 7"):
            await hub.query(Query(id=0, what="rows", kind="run", numbers=(7,), table="run"))
        with pytest.raises(RemoteError, match="A key of agent has 1 values, not 2"):
            await hub.query(Query(id=0, what="rows", kind="known", table="agent", after=(1, 2)))


@pytest.mark.parametrize(("older", "says"), [(True, "an older .* update the hub"), (False, "a newer .* update this")])
async def test_a_hub_of_another_time_is_refused(
    stage: Any, tls: HubOptions, monkeypatch: Any, older: bool, says: str
) -> None:
    async with stage.open(hub=tls) as workspace:
        me = observer(workspace)
        monkeypatch.setattr("gui.hub.operators.PROTOCOL", PROTOCOL + (-1 if older else 1))
        async with RemoteHub.open(workspace.hub.local_address, me) as hub:
            with pytest.raises(RemoteError, match=says):
                await HubCopy.open(hub, stage.directory)
        monkeypatch.setattr("gui.hub.operators.PROTOCOL", PROTOCOL)
        monkeypatch.setattr(replication, "HEAD", "9999" if older else "0001")
        async with RemoteHub.open(workspace.hub.local_address, me) as hub:
            with pytest.raises(RemoteError, match=says):
                await HubCopy.open(hub, stage.directory)


def test_the_file_of_a_copy_is_named_by_its_hub_and_nothing_else(tmp_path: Any) -> None:
    one = copy_file(tmp_path, "wss://hub.example:8765", "../../x")
    assert one.parent == tmp_path / "hubs"
    assert one.name.startswith("hub.example-8765-")
    assert one != copy_file(tmp_path, "wss://hub.example:8765", "y")
