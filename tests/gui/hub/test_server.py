"""Beginning, joining in two steps, and the end."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import pytest

from agent.messages import (
    Goodbye,
)
from gui.hub import Hub, HubError, HubOptions, public_id, server


async def test_an_agent_joins_in_two_steps_and_is_welcomed(place: Any) -> None:
    agent, welcome = await place.join("c1", host="worker-7", labels=["EU"])
    assert welcome.public_id == public_id("shared", "c1")
    assert (welcome.heartbeat, welcome.hub_version, welcome.acknowledged) == (2.0, "test", 0)
    assert welcome.hub_time == place.clock.now
    (view,) = place.hub.roster.agents
    assert (view.name, view.role, view.state, view.host, view.labels) == ("c1", "client", "up", "worker-7", ("EU",))
    assert place.heard.lines == ["up c1"]
    await place.until(lambda: place.store.seen == ["shared/c1"])
    await agent.socket.close()
    await place.until(lambda: place.heard.lines[-1] == "missing c1")
    assert place.hub.roster.agents[0].state == "missing"


async def test_insecure_is_for_loopback_only(place: Any, tmp_path: Any) -> None:
    with pytest.raises(HubError, match="on this machine only"):
        await Hub(place.store, HubOptions(directory=tmp_path, host="0.0.0.0", port=0, insecure=True)).__aenter__()


async def test_a_port_in_use_is_one_sentence(place: Any, tmp_path: Any) -> None:
    options = HubOptions(directory=tmp_path, host="127.0.0.1", port=place.hub.port, insecure=True)
    with pytest.raises(HubError, match="cannot listen on"):
        await Hub(place.store, options).__aenter__()


async def test_stopping_the_hub_says_goodbye_and_come_again(mortal_place: Any) -> None:
    agent, _ = await mortal_place.join("c1")
    address = mortal_place.hub.address
    await mortal_place.stop()
    assert mortal_place.hub.address == address  # the status bar shows it until the workspace is closed
    assert await agent.hear() == Goodbye(reason="the hub is being stopped", again=True)


async def test_memory_is_given_back_when_many_connections_have_ended(place: Any, monkeypatch: Any) -> None:
    given: list[int] = []
    monkeypatch.setattr(server, "trim_memory", lambda: given.append(1))
    monkeypatch.setattr(server, "GIVE_BACK_SECONDS", 0.05)
    monkeypatch.setattr(server, "MANY", 3)
    beside = place.hub._tasks.start(place.hub._give_back(), "gives back")
    agents = [(await place.join(f"c{number}"))[0] for number in range(4)]
    most = place.hub.counts().connections
    assert most >= 4
    await asyncio.sleep(0.2)
    assert not given
    for agent in agents:
        await agent.socket.close()
    await place.until(lambda: given)
    beside.cancel()


def test_giving_memory_back_and_files_never_fail() -> None:
    server.trim_memory()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    server.allow_files(before[0])
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    server.allow_files(10**9)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
