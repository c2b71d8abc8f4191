"""Agents' sessions: names, messages, heartbeats and journals, spoken by hand. Names like A8 are the rows of the
weaknesses found in the first prototype."""

from __future__ import annotations

from typing import Any

import pytest

from agent.messages import (
    Acknowledge,
    Ask,
    Done,
    Goodbye,
    Heartbeat,
    Journal,
    Notice,
    RepeatReady,
    Sample,
    ServerReport,
    ServerSample,
    Started,
    Welcome,
)
from gui.hub import public_id
from gui.hub.keys import new_key

JOB = "1.1.1"


def lines(first: int, last: int) -> list[Any]:
    """Journal lines of these numbers."""
    made: list[Any] = []
    for n in range(first, last + 1):
        if n % 2:
            made.append(Started(n, JOB, 1, "abcdefgh", "root://s:1094", f"/f{n}", 1.0))
        else:
            made.append(Done(n, JOB, "abcdefgh", f"/f{n - 1}", True, 1.0, 2.0, 9, 9, 0, 0, 0, 1, 0, 0))
    return made


async def test_a_new_session_replaces_the_old_one_a9(place: Any) -> None:
    old, _ = await place.join("c1")
    new, _ = await place.join("c1")
    goodbye = await old.hear()
    assert goodbye == Goodbye(reason="replaced by a new session of the same agent", again=False)
    assert len(place.hub.roster.agents) == 1
    assert place.hub.roster.agents[0].sessions == 2
    assert place.hub.send(place.hub.roster.agents[0].id, Ask(what="time"))
    assert await new.hear() == Ask(what="time")
    assert "missing c1" not in place.heard.lines


async def test_a_shared_key_name_that_is_live_elsewhere_is_refused_until_it_is_silent(
    place: Any, monkeypatch: Any
) -> None:
    import gui.hub.gate

    await place.join("c1")
    monkeypatch.setattr(gui.hub.gate, "peer", lambda connection: "203.0.113.9")
    status, body = await place.refused("/register", f"Bearer {place.token()}")
    assert (status, "in use from another address" in body) == (403, True)
    place.clock.advance(6.5)
    await place.register()


async def test_a_personal_key_takes_its_name_from_a_shared_key_agent(place: Any) -> None:
    key = new_key(["agent:client"], place.clock.now, sub="c1")
    squatter, _ = await place.join("c1")
    place.store.put_key(key)
    client_id = await place.register(place.token(key=key.secret, kid=key.kid))
    owner = await place.open(f"/agent?client_id={client_id}")
    assert isinstance(await owner.hear(), Welcome)
    assert await squatter.hear() == Goodbye(reason="the name c1 now belongs to another agent", again=True)
    status, body = await place.refused("/register", f"Bearer {place.token()}")
    assert (status, "in use by another agent" in body) == (403, True)
    status, body = await place.refused("/register", f"Bearer {place.token(key=key.secret, kid=key.kid, sub='c2')}")
    assert (status, "belongs to c1" in body) == (403, True)


async def test_two_that_race_for_a_name_do_not_both_get_it(place: Any) -> None:
    key = new_key(["agent:client"], place.clock.now, sub="c1")
    place.store.put_key(key)
    shared = await place.register()
    own = await place.register(place.token(key=key.secret, kid=key.kid))
    owner = await place.open(f"/agent?client_id={own}")
    assert isinstance(await owner.hear(), Welcome)
    late = await place.open(f"/agent?client_id={shared}")
    assert "in use by another agent" in (await late.hear()).reason


async def test_heartbeats_tell_how_an_agent_is(place: Any) -> None:
    agent, welcome = await place.join("c1")
    await agent.say(Heartbeat(t=place.clock.now + 3, cpu=42.5, requests=7, jobs=[JOB], draining=True))
    await place.until(lambda: place.hub.roster.agents[0].state == "draining")
    view = place.hub.roster.find(welcome.public_id)
    assert (view.cpu, view.requests, view.jobs) == (42.5, 7, (JOB,))
    assert view.clock_offset == pytest.approx(3, abs=0.1)
    assert 0 < view.rtt < 1


async def test_three_missed_heartbeats_make_it_missing_and_one_brings_it_back_a8(place: Any) -> None:
    agent, _ = await place.join("c1")
    place.clock.advance(5.9)
    place.hub.check_heartbeats()
    assert place.hub.roster.agents[0].state == "up"
    place.clock.advance(0.2)
    place.hub.check_heartbeats()
    assert place.hub.roster.agents[0].state == "missing"
    await agent.say(Heartbeat(t=1, jobs=[JOB]))
    await place.until(lambda: place.hub.roster.agents[0].state == "up")
    assert place.heard.lines == ["up c1", "missing c1", f"up c1 {JOB}"]


async def test_messages_reach_the_owner_in_order(place: Any) -> None:
    agent, _ = await place.join("c1")
    await agent.say(Sample(job=JOB, t=1, servers={"root://s:1094": ServerSample(1, 2, 3, 4)}))
    await agent.say(RepeatReady(job=JOB))
    await place.until(lambda: len(place.heard.messages) == 2)
    assert place.heard.lines == ["up c1", "c1: Sample", "c1: RepeatReady"]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "null",
        '{"type":"no such"}',
        '{"type":"heartbeat"}',
        '{"type":"heartbeat","t":-1}',
        '{"type":"heartbeat","t":1,"cpu":1e9}',
        '{"type":"repeat_ready","job":"x"}',
        '{"type":"register","role":"client","version":"1","host":"h"}',
        b"\xff\xfe",
        '{"type":"heartbeat","t":1,"x":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
async def test_a_bad_message_ends_that_session_and_no_other(place: Any, bad: Any) -> None:
    other, _ = await place.join("c2")
    agent, _ = await place.join("c1")
    await agent.socket.send(bad)
    goodbye = await agent.hear()
    assert isinstance(goodbye, Goodbye)
    assert "could not be taken" in goodbye.reason
    code, reason = await agent.closed()
    assert (code, bool(reason)) == (1008, True)
    place.hub.send(public_id("shared", "c2"), Ask(what="time"))
    assert await other.hear() == Ask(what="time")


async def test_a_message_over_the_limit_ends_that_session(place: Any) -> None:
    agent, _ = await place.join("c1")
    await agent.say(" " * (4 * 1024 * 1024 + 1))
    assert (await agent.closed())[0] == 1009


async def test_a_server_agent_may_not_speak_as_a_client(place: Any) -> None:
    agent, _ = await place.join("s1", role="server", server="root://s1:1094")
    await agent.say(ServerReport(t=1, server="root://s1:1094", answering=True, findings=[]))
    await agent.say(Notice(severity="warning", text="<b>look</b>", t=1))
    await place.until(lambda: place.hub.roster.agents[0].notices)
    assert place.hub.roster.agents[0].reports["root://s1:1094"].answering
    assert place.heard.problems == ["agent s1: <b>look</b>"]
    await agent.say(Journal(journal="j", lines=lines(1, 2)))
    assert "role client" in (await agent.hear()).reason


async def test_lines_are_acknowledged_once_they_are_stored(place: Any) -> None:
    agent, _ = await place.join("c1", journal="j1")
    await agent.say(Journal(journal="j1", lines=lines(1, 4)))
    assert await agent.hear() == Acknowledge(journal="j1", n=4)
    assert sorted(place.store.lines["shared/c1", "j1"]) == [1, 2, 3, 4]
    assert place.heard.stored == [("j1", 4, 4)]


async def test_lines_are_stored_with_what_is_known_of_their_agents_clock(place: Any) -> None:
    """As its heartbeats told until then; another agent's clock is another's."""
    one, _ = await place.join("c1", journal="j1")
    other, _ = await place.join("c2", journal="j2")
    await one.say(Journal(journal="j1", lines=lines(1, 2)))
    assert await one.hear() == Acknowledge(journal="j1", n=2)
    await one.say(Heartbeat(t=place.clock.now + 7))
    await one.say(Journal(journal="j1", lines=lines(3, 4)))
    assert await one.hear() == Acknowledge(journal="j1", n=4)
    await other.say(Heartbeat(t=place.clock.now + 40))
    await other.say(Journal(journal="j2", lines=lines(1, 2)))
    assert await other.hear() == Acknowledge(journal="j2", n=2)
    assert place.store.aheads == pytest.approx([0, 7, 40], abs=0.1)


async def test_after_a_cut_the_agent_goes_on_where_the_hub_is(place: Any) -> None:
    agent, _ = await place.join("c1", journal="j1")
    await agent.say(Journal(journal="j1", lines=lines(1, 4)))
    await agent.hear()
    await agent.socket.close()
    agent, welcome = await place.join("c1", journal="j1", journal_last=8)
    assert (welcome.journal, welcome.acknowledged) == ("j1", 4)
    await agent.say(Journal(journal="j1", lines=lines(3, 8)))  # two of them again
    assert await agent.hear() == Acknowledge(journal="j1", n=8)
    assert place.heard.stored == [("j1", 4, 4), ("j1", 8, 4)], "a resent line is announced once"


async def test_a_hole_in_the_journal_ends_the_session(place: Any) -> None:
    agent, _ = await place.join("c1", journal="j1")
    await agent.say(Journal(journal="j1", lines=lines(1, 2)))
    await agent.hear()
    await agent.say(Journal(journal="j1", lines=lines(4, 5)))
    assert "go on from 3 without holes, not 4…5" in (await agent.hear()).reason


async def test_nothing_is_acknowledged_while_the_database_fails(place: Any, caplog: Any) -> None:
    agent, _ = await place.join("c1", journal="j1")
    place.store.broken = OSError("no space left")
    await agent.say(Journal(journal="j1", lines=lines(1, 2)))
    await place.until(lambda: place.heard.problems)
    assert "no space left" in place.heard.problems[0]
    await agent.say(Heartbeat(t=1, requests=77))
    await place.until(lambda: place.hub.roster.agents[0].requests == 77)
    place.store.broken = None
    assert await agent.hear() == Acknowledge(journal="j1", n=2)
    assert place.heard.problems[-1] == "journals: "


async def test_an_agent_that_waits_for_us_is_not_missing(place: Any) -> None:
    from gui.hub import commits

    agent, _ = await place.join("c1", journal="j1")
    place.store.broken = OSError("no space left")
    # More than one commit takes along, however many had arrived when it began, and a full queue behind it.
    total = 2 * (commits.MAX_WAITING_BATCHES + 1) + 10
    for first in range(1, 2 * total, 2):
        await agent.say(Journal(journal="j1", lines=lines(first, first + 1)))
    session = next(iter(place.hub._sessions.live()))
    await place.until(lambda: session.blocked)
    place.clock.advance(60)
    place.hub.check_heartbeats()
    assert place.hub.roster.agents[0].state == "up"
    place.store.broken = None
    last = 0
    while last < 2 * total:
        last = (await agent.hear()).n


async def test_a_hub_takes_a_bounded_number_of_agents(place: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.hub.sessions.MAX_AGENTS", 2)
    await place.join("c1")
    await place.join("c2")
    agent = await place.open(f"/agent?client_id={await place.register(place.token(sub='c3'))}")
    goodbye = await agent.hear()
    assert (goodbye.reason, goodbye.again) == ("This hub has 2 agents, as many as it takes.", True)
    await place.join("c2")  # its own session gives way
