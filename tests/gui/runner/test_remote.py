"""A hub somewhere else, over its real door: TLS with a pin, an operator's key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from agent.messages import CredentialError
from gui.hub import Command, HubOptions, keys
from gui.hub.keys import new_key
from gui.runner.hublink import RemoteError
from gui.runner.remote import Credentials, RemoteHub


@pytest.fixture
def tls(stage: Any) -> HubOptions:
    return HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, heartbeat=0.2)


def credentials(workspace: Any, scope: str = "operator") -> Credentials:
    """A new key of this workspace."""
    key = new_key([scope], time.time(), sub="anna")
    workspace.store.put_key(key)
    return Credentials(key.secret, key.kid, "anna", pin=workspace.hub.pin, scope=scope)


async def test_a_plan_is_run_from_elsewhere(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1", "c2")
        seen: list[Any] = []
        async with RemoteHub.open(workspace.hub.local_address, credentials(workspace)) as hub:
            await stage.until(lambda: len(hub.agents) == 2)
            assert {agent.name for agent in hub.agents} == {"c1", "c2"}
            text = stage.plan_text.replace('wait = "0s"', 'wait = "0.5s"')
            result = await hub.run(text, files=stage.files, on_progress=seen.append)
            assert (result.outcome, result.exit_code, result.tests[0].matched) == ("passed", 0, 12)
            await stage.until(lambda: hub.progress.phase == "done")
            assert hub.progress.recorded == 12
            assert hub.progress.servers == workspace.progress.latest.servers
        assert any(progress.phase in ("round", "pause") for progress in seen)
        assert workspace.store.run(result.run).plan_text == text


async def test_what_the_hub_refuses_comes_as_a_sentence(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        me = credentials(workspace)
        async with RemoteHub.open(workspace.hub.local_address, me) as hub:
            with pytest.raises(RemoteError, match="line 1: this is not TOML"):
                await hub.run("no plan")
            with pytest.raises(RemoteError, match="No run is under way"):
                await hub.stop()
            join = await hub.ask(Command(id=0, do="invite", role="client"))
            assert join["join"]
        for wrong, says in (
            (replace(me, secret="x" * 40), "not signed with a key"),
            (replace(me, name="bob"), "belongs to anna"),
            (replace(me, pin="sha256:" + "0" * 64), "shows another key"),
            (replace(me, pin=""), "is not trusted .* give the hub's pin with --pin"),
        ):
            with pytest.raises(RemoteError, match=says):
                async with RemoteHub.open(workspace.hub.local_address, wrong):
                    pass


async def test_an_observer_looks_on(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        await stage.join("c1")
        async with RemoteHub.open(workspace.hub.local_address, credentials(workspace, "observer")) as hub:
            with pytest.raises(RemoteError, match="look on only"):
                await hub.run(stage.plan_text, files=stage.files)
            await stage.run()
            await stage.until(lambda: hub.progress.outcome == "passed")


async def test_a_run_goes_on_while_the_connection_is_broken(stage: Any, tls: HubOptions, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.runner.remote.delays", lambda *_: iter([0.05] * 100))
    async with stage.open(hub=tls) as workspace:
        (c1,) = await stage.join("c1", hold=lambda request: True)
        async with RemoteHub.open(workspace.hub.local_address, credentials(workspace)) as hub:
            running = stage.spawn(hub.run(stage.plan_text, files=stage.files))
            await stage.until(lambda: c1.held and hub.progress.phase == "round")
            first = hub._socket
            first.transport.abort()
            await stage.until(lambda: hub._socket not in (None, first))
            c1.hold = lambda request: False
            await c1.release()
            result = await running
            assert (result.outcome, result.tests[0].matched) == ("passed", 12)


async def test_stop_from_elsewhere(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        (c1,) = await stage.join("c1", hold=lambda request: True)
        async with RemoteHub.open(workspace.hub.local_address, credentials(workspace)) as hub:
            running = stage.spawn(hub.run(stage.plan_text, files=stage.files))
            await stage.until(lambda: c1.held)
            await hub.abort()
            assert (await running).outcome == "aborted"


async def test_a_hub_that_is_stopped_for_good(stage: Any, tls: HubOptions) -> None:
    async with stage.open(hub=tls) as workspace:
        (c1,) = await stage.join("c1", hold=lambda request: True)
        me = credentials(workspace)
        async with RemoteHub.open(workspace.hub.local_address, me) as hub:
            running = stage.spawn(hub.run(stage.plan_text, files=stage.files))
            await stage.until(lambda: c1.held)
            await asyncio.to_thread(keys.revoke_key, workspace.store, me.kid, time.time())  # as `tally key revoke`
            with pytest.raises(RemoteError, match="The hub ended the session: the key was revoked"):
                await running


@pytest.mark.parametrize("url", ["http://h", "wss://", "wss://h/path", "ws://127.0.0.1:1", "ws://h:1", "h:x"])
async def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(CredentialError):
        async with RemoteHub.open(url, Credentials("x" * 40, "k", "anna")):
            pass


async def test_plain_text_on_this_machine_only(stage: Any) -> None:
    async with stage.open() as workspace:
        me = credentials(workspace)
        async with RemoteHub.open(workspace.hub.local_address, me, insecure=True) as hub:
            await stage.until(lambda: hub.progress is not None)
        assert me.secret not in repr(me)
    with pytest.raises(RemoteError, match="cannot be reached"):
        async with RemoteHub.open("ws://127.0.0.1:9", me, insecure=True):
            pass
