"""An agent is drained, or disconnected for a time; both are kept, and can be taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.messages import Ask, CredentialError, Goodbye, Heartbeat
from gui.hub import public_id
from gui.hub.holds import hold, lift, until_words
from gui.hub.persistence import Hold

C1 = public_id("shared", "c1")


def deeds(place: Any) -> list[tuple[str, str]]:
    return [
        (entry.what, entry.who) for entry in place.store.audit if entry.what not in ("joined", "started", "refused")
    ]


async def test_a_drained_agent_stays_drained_when_it_comes_again_until_it_is_resumed(place: Any) -> None:
    agent, _ = await place.join("c1")
    await place.hub.drain(C1, "anna")
    assert await agent.hear() == Ask(what="drain")
    await agent.socket.close()
    await place.until(lambda: place.hub.roster.find(C1).state == "missing")
    again, _ = await place.join("c1")
    assert await again.hear() == Ask(what="drain")
    assert await place.hub.resume(C1, "anna")
    assert await again.hear() == Ask(what="resume")
    assert not await place.hub.resume(C1)
    assert deeds(place) == [("drained", "shared/c1"), ("resumed", "shared/c1")]
    assert place.store.audit[-1].text == "by anna"


async def test_an_agent_that_was_resumed_while_it_was_away_is_told(place: Any) -> None:
    client_id = await place.register()
    agent = await place.open(f"/agent?client_id={client_id}")
    await agent.hear()
    await agent.say(Heartbeat(t=place.clock.now, draining=True))
    assert await agent.hear() == Ask(what="resume")


async def test_a_disconnected_agent_is_refused_with_the_reason_until_the_time_is_over(place: Any) -> None:
    agent, _ = await place.join("c1")
    await place.hub.keep_out(C1, 60, "anna")
    goodbye = await agent.hear()
    assert isinstance(goodbye, Goodbye)
    assert goodbye.again
    await place.until(lambda: place.hub.roster.find(C1).state == "disconnected")
    status, body = await place.refused("/register", f"Bearer {place.token()}")
    assert status == 403
    assert body.startswith("An operator has disconnected this agent until ")
    assert body == goodbye.reason == place.hub.roster.find(C1).reason
    place.clock.advance(61)
    place.hub.check_heartbeats()
    assert place.hub.roster.find(C1).state == "missing"
    await place.join("c1")
    assert place.hub.roster.find(C1).state == "up"


async def test_who_is_kept_out_until_allowed_is_listed_by_a_hub_that_has_never_seen_it(place: Any) -> None:
    hold(place.store, Hold("k-1/c9", "disconnect", "client", place.clock.now, None, "anna"))
    await place.hub._keyring.load()
    (view,) = place.hub.roster.agents
    assert (view.name, view.kid, view.state) == ("c9", "k-1", "disconnected")
    assert await place.hub.allow(view.id)
    assert place.hub.roster.find(view.id).state == "missing"
    assert deeds(place) == [("disconnected", "k-1/c9"), ("allowed", "k-1/c9")]


async def test_a_hold_that_comes_between_the_two_steps_of_joining_counts(place: Any) -> None:
    client_id = await place.register()
    hold(place.store, Hold("shared/c1", "disconnect", "client", place.clock.now))
    await place.hub._keyring.load()
    agent = await place.open(f"/agent?client_id={client_id}")
    assert "has disconnected this agent until it is allowed again" in (await agent.hear()).reason


async def test_who_is_unknown_and_server_agents_are_not_drained(place: Any) -> None:
    with pytest.raises(CredentialError, match="no agent"):
        await place.hub.drain("nobody")
    await place.join("s1", role="server")
    with pytest.raises(CredentialError, match="server agent"):
        await place.hub.drain(public_id("shared", "s1"))


async def test_a_ping_says_how_long_the_answer_took(place: Any) -> None:
    agent, _ = await place.join("c1")

    async def answer() -> None:
        assert await agent.hear() == Ask(what="time")
        await agent.say(Heartbeat(t=place.clock.now + 2))

    pinged, _ = await asyncio.gather(place.hub.ping(C1), answer())
    assert 0 <= pinged.rtt < 5
    assert pinged.clock_offset == pytest.approx(2, abs=0.5)
    assert place.hub.roster.find(C1).pinged == pinged


async def test_no_answer_is_an_answer_too(place: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.hub.sessions.PING_SECONDS", 0.05)
    agent, _ = await place.join("c1")
    assert (await place.hub.ping(C1)).rtt is None, "its heartbeat did not come"
    await agent.socket.close()
    await place.until(lambda: place.hub.roster.find(C1).state == "missing")
    assert (await place.hub.ping(C1)).rtt is None
    with pytest.raises(CredentialError):
        await place.hub.ping("nobody")


def test_holds_are_kept_by_agent_and_kind(memory_store: Any) -> None:
    first = hold(memory_store, Hold("a/b", "drain", "client", 1.0))
    hold(memory_store, Hold("a/b", "disconnect", "client", 2.0, 3.0))
    assert memory_store.holds() == [first, Hold("a/b", "disconnect", "client", 2.0, 3.0)]
    assert lift(memory_store, "a/b", "drain", 5.0)
    assert not lift(memory_store, "a/b", "drain", 5.0)
    assert until_words(Hold("a/b", "disconnect", "client", 0.0, 86400.0 * 2)).count("-") == 2
