"""One session by itself; what it says on the wire is in test_server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.messages import Acknowledge, Ask, Journal, Started
from gui.hub import session
from gui.hub.session import shorten


@pytest.mark.parametrize(
    ("reason", "length"), [("", 0), ("x" * 123, 123), ("x" * 124, 123), ("ü" * 100, 123), ("x" + "ü" * 100, 122)]
)
def test_a_reason_fits_a_close_frame(reason: str, length: int) -> None:
    short = shorten(reason)
    assert len(short.encode()) == length
    assert short == reason or short.endswith("…")


async def test_an_agent_that_does_not_read_is_let_go_and_holds_up_nobody(place: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(session, "MAX_OUTBOX", 50)
    await place.join("c2")
    agent, welcome = await place.join("c1")
    agent.socket.transport.pause_reading()
    text = "x" * 100_000
    sent = 0
    while place.hub.send(welcome.public_id, Acknowledge(journal=text, n=1)):
        sent += 1
        assert sent < 10_000
        if sent % 10 == 0:
            await place.until(lambda: True)
    await place.until(lambda: {view.name: view.state for view in place.hub.roster.agents}["c1"] == "missing")
    assert place.hub.roster.find(welcome.public_id).reason == "the agent reads too slowly"
    assert not place.hub.send(welcome.public_id, Ask(what="time"))
    assert {view.name: view.live for view in place.hub.roster.agents}["c2"]


async def test_the_time_that_an_agent_waited_for_our_database_is_not_held_against_it(
    place: Any, monkeypatch: Any
) -> None:
    """Its heartbeats of that time are still unread when the wait ends: from then on it is silent, not before."""
    stored = asyncio.Event()

    async def blocked(batch: Any) -> None:
        await stored.wait()

    monkeypatch.setattr(place.hub._sessions, "journal_lines", blocked)
    agent, _ = await place.join("c1", journal="j1")
    live = next(iter(place.hub._sessions.live()))
    await agent.say(Journal(journal="j1", lines=[Started(1, "1.1.1", 0, "tagaaaaa", "root://s:1094", "/a", 100.0)]))
    await place.until(lambda: live.blocked)
    place.clock.advance(60)
    place.hub.check_heartbeats()
    assert [view.state for view in place.hub.roster.agents] == ["up"], "while it waits"
    stored.set()
    await place.until(lambda: not live.blocked)
    place.hub.check_heartbeats()
    assert [view.state for view in place.hub.roster.agents] == ["up"], "when its wait has just ended"
    place.clock.advance(60)
    place.hub.check_heartbeats()
    assert [view.state for view in place.hub.roster.agents] == ["missing"], "a minute later it is silent"
