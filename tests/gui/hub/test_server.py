"""Joining and sessions, spoken by hand. Names like A3 are the rows of the weaknesses found in the first prototype."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest

from agent.messages import (
    Acknowledge,
    Ask,
    Done,
    Goodbye,
    Heartbeat,
    Journal,
    Notice,
    RoundDone,
    Sample,
    ServerReport,
    ServerSample,
    Started,
    Welcome,
    decode_join_string,
    sign_token,
)
from gui.hub import Hub, HubError, HubOptions, public_id
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


# ---------------------------------------------------------------- the two steps


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


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (None, "A token is needed"),
        ("", "holds no token"),
        ("Bearer", "holds no token"),
        ("Bearer ", "holds no token"),
        ("Basic abc", "holds no token"),
        ("Bearer xyz", "not a JWT"),
        ("Bearer a.b.c", "not a JWT"),
    ],
)
async def test_no_token_or_a_bad_one_is_a_401_with_the_hubs_time_a1_a3_a11(place: Any, header: Any, says: str) -> None:
    for target in ("/register",):
        status, body = await place.refused(target, header)
        assert status == 401
        assert says in body
        assert re.search(r"the hub's time is \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.$", body)
        assert body.count(". ") == 0, "one sentence"


@pytest.mark.parametrize("target", ["/agent", "/operate", "/agent?client_id=", "/agent?client_id=guessed"])
async def test_no_session_without_a_registration_a1_a11(place: Any, target: str) -> None:
    status, body = await place.refused(target)
    assert (status, "client_id" in body) == (401, True)
    status, _ = await place.refused(target, f"Bearer {place.token()}")
    assert status == 401, "a token alone opens no session"


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"scope": "anything"}, 401, "scope is unknown"),  # A7
        ({"scope": ""}, 401, "no scope"),
        ({"scope": "observer"}, 403, "does not allow the scope observer"),
        ({"scope": "operator"}, 403, "does not allow the scope operator"),
        ({"scope": "join"}, 403, "does not allow the scope join"),
        ({"sub": "a b"}, 401, "not a name"),
        ({"sub": "<img src=x>"}, 401, "not a name"),  # A4
        ({"sub": "x" * 65}, 401, "not a name"),
        ({"lifetime": 3601}, 401, "longer than 3600 s"),
        ({"lifetime": -5}, 401, "negative"),
        ({"key": "another key that is long enough, too"}, 401, "not signed with a key"),
        ({"kid": "nobody"}, 401, "not signed with a key"),
        ({"now": time.time() - 900}, 401, "has expired"),
        ({"now": time.time() + 900}, 401, "from the future"),
    ],
)
async def test_each_claim_of_a_token_counts(place: Any, changes: Any, status: int, says: str) -> None:
    got, body = await place.refused("/register", f"Bearer {place.token(**changes)}")
    assert (got, says in body) == (status, True), body
    assert place.store.spent == {}, "a refused token is not spent"


@pytest.mark.parametrize("missing", ["aud", "sub", "scope", "iat", "exp", "jti"])
async def test_an_incomplete_token_is_refused(place: Any, missing: str) -> None:
    now = int(time.time())
    claims = {"aud": "xrootd-tally", "sub": "c1", "scope": "agent:client", "iat": now, "exp": now + 60, "jti": "j"}
    del claims[missing]
    status, body = await place.refused("/register", f"Bearer {jwt.encode(claims, place.secret, algorithm='HS256')}")
    assert (status, missing in body or missing == "aud") == (401, True), body


async def test_other_algorithms_and_audiences_are_refused(place: Any) -> None:
    now = int(time.time())
    claims = {"aud": "xrootd-tally", "sub": "c1", "scope": "agent:client", "iat": now, "exp": now + 60, "jti": "j"}
    for text in (
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, place.secret + "x" * 64, algorithm="HS512"),
        jwt.encode({**claims, "aud": "somebody-else"}, place.secret, algorithm="HS256"),
    ):
        assert (await place.refused("/register", f"Bearer {text}"))[0] == 401


async def test_leeway_of_ten_seconds(place: Any) -> None:
    place.clock.advance(305)
    await place.register(place.token(now=place.clock.now - 305))
    status, _ = await place.refused("/register", f"Bearer {place.token(now=place.clock.now - 311)}")
    assert status == 401


async def test_a_token_is_good_once(place: Any) -> None:
    text = place.token()
    await place.register(text)
    status, body = await place.refused("/register", f"Bearer {text}")
    assert (status, "used before" in body) == (403, True)


async def test_two_at_once_with_the_same_token_get_in_once(place: Any) -> None:
    text = place.token()
    outcomes = await asyncio.gather(*(place.register(text) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


async def test_a_client_id_opens_one_session_a6(place: Any) -> None:
    client_id = await place.register()
    first = await place.open(f"/agent?client_id={client_id}")
    assert isinstance(await first.hear(), Welcome)
    status, body = await place.refused(f"/agent?client_id={client_id}")
    assert (status, "used already" in body) == (401, True)
    assert [view.state for view in place.hub.roster.agents] == ["up"], "the first one is untouched"


async def test_a_client_id_is_good_for_thirty_seconds(place: Any) -> None:
    client_id = await place.register()
    place.clock.advance(30.5)
    status, body = await place.refused(f"/agent?client_id={client_id}")
    assert (status, "expired" in body) == (401, True)


async def test_an_agents_words_cannot_take_anothers_place_a5(place: Any) -> None:
    """A client_id, or anything else that is not declared, in a registration changes nothing."""
    agent = await place.open("/register", f"Bearer {place.token()}")
    await agent.say('{"type":"register","role":"client","version":"1","host":"h","client_id":"SPOOFED","id":"x"}')
    answer = await agent.hear()
    assert answer.client_id != "SPOOFED"
    session = await place.open(f"/agent?client_id={answer.client_id}")
    assert (await session.hear()).public_id == public_id("shared", "c1")


async def test_the_role_must_be_that_of_the_token_a7(place: Any) -> None:
    agent = await place.open("/register", f"Bearer {place.token(scope='agent:server')}")
    await agent.say(place.details(role="client"))
    goodbye = await agent.hear()
    assert isinstance(goodbye, Goodbye)
    assert "does not allow the role client" in goodbye.reason
    assert (await agent.closed())[0] == 1008


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"register"}', '{"type":"heartbeat","t":1}', "x" * 5000, "[" * 100_000]
)
async def test_a_registration_that_cannot_be_read_is_answered(place: Any, text: str) -> None:
    agent = await place.open("/register", f"Bearer {place.token()}")
    await agent.say(text)
    goodbye = await agent.hear()
    assert isinstance(goodbye, Goodbye)
    assert "could not be read" in goodbye.reason


# ---------------------------------------------------------------- other refusals


async def test_no_common_subprotocol_is_a_426(place: Any) -> None:
    status, body = await place.refused("/register", f"Bearer {place.token()}", subprotocols=["tally.9"])
    assert (status, "tally.1" in body) == (426, True)
    status, _ = await place.refused("/register", f"Bearer {place.token()}", subprotocols=None)
    assert status == 426
    assert place.store.spent == {}, "the token may still be used"


async def test_other_paths_are_a_404(place: Any) -> None:
    assert (await place.refused("/"))[0] == 404
    assert (await place.refused("/getclients"))[0] == 404


async def test_sixty_refused_tries_a_minute_then_429_but_never_for_a_good_token(place: Any) -> None:
    for _ in range(60):
        assert (await place.refused("/register"))[0] == 401
    assert (await place.refused("/register"))[0] == 429
    assert (await place.refused("/agent?client_id=guess"))[0] == 429
    await place.join("c1")
    place.clock.advance(61)
    assert (await place.refused("/register"))[0] == 401


async def test_insecure_is_for_loopback_only(place: Any, tmp_path: Any) -> None:
    with pytest.raises(HubError, match="on this machine only"):
        await Hub(place.store, HubOptions(directory=tmp_path, host="0.0.0.0", port=0, insecure=True)).__aenter__()


async def test_a_port_in_use_is_one_sentence(place: Any, tmp_path: Any) -> None:
    options = HubOptions(directory=tmp_path, host="127.0.0.1", port=place.hub.port, insecure=True)
    with pytest.raises(HubError, match="cannot listen on"):
        await Hub(place.store, options).__aenter__()


async def test_a_database_that_fails_refuses_for_now_and_says_so(place: Any) -> None:
    place.store.broken = OSError("disk on fire")
    status, _ = await place.refused("/register", f"Bearer {place.token()}")
    assert status == 503
    assert "disk on fire" in place.heard.problems[0]
    place.store.broken = None
    await place.join("c1")


# ---------------------------------------------------------------- names


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
    import gui.hub.server

    await place.join("c1")
    monkeypatch.setattr(gui.hub.server, "peer", lambda connection: "203.0.113.9")
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


# ---------------------------------------------------------------- invitations, revoking, rotating


async def test_an_invitation_makes_a_personal_key_once(place: Any) -> None:
    issued, text = await place.hub.invite("client", ttl=3600, uses=1)
    invitation = decode_join_string(text)
    assert invitation.hub == place.hub.address
    client_id = await place.register(invitation.token, place.details(name="c5"))
    agent = await place.open(f"/agent?client_id={client_id}")
    welcome = await agent.hear()
    personal = welcome.personal_key
    assert personal is not None
    # From now on it signs its own tokens…
    await agent.socket.close()
    again = await place.register(sign_token(personal.secret, sub="c5", scope="agent:client", kid=personal.kid))
    session = await place.open(f"/agent?client_id={again}")
    assert (await session.hear()).public_id == welcome.public_id
    # … and the invitation is used up.
    status, body = await place.refused("/register", f"Bearer {invitation.token}")
    assert (status, "used up" in body) == (403, True)
    assert place.store.invitation_rows[issued.id].used == 1


async def test_two_that_race_for_one_use_get_one_session(place: Any) -> None:
    _, text = await place.hub.invite("client", uses=1)
    bearer = decode_join_string(text).token
    ids = [await place.register(bearer, place.details(name=name)) for name in ("c5", "c6")]
    heard = [await (await place.open(f"/agent?client_id={client_id}")).hear() for client_id in ids]
    assert [type(message) for message in heard] == [Welcome, Goodbye]


async def test_an_invitation_is_for_its_role_needs_a_name_and_can_be_revoked(place: Any) -> None:
    issued, text = await place.hub.invite("server", uses=5)
    bearer = decode_join_string(text).token
    for said, why in (
        (place.details(name="c5"), "for the role server"),
        (place.details(role="server"), "name is needed"),
    ):
        agent = await place.open("/register", f"Bearer {bearer}")
        await agent.say(said)
        assert why in (await agent.hear()).reason
    await place.hub.revoke_invitation(issued.id)
    status, body = await place.refused("/register", f"Bearer {bearer}")
    assert (status, "revoked" in body) == (403, True)


async def test_a_name_that_joined_cannot_be_taken_by_invitation(place: Any) -> None:
    _, text = await place.hub.invite("client", uses=2)
    bearer = decode_join_string(text).token
    client_id = await place.register(bearer, place.details(name="c5"))
    first = await place.open(f"/agent?client_id={client_id}")
    await first.hear()
    await first.socket.close()
    await place.until(lambda: place.hub.roster.agents[0].state == "missing")
    agent = await place.open("/register", f"Bearer {bearer}")
    await agent.say(place.details(name="c5"))
    assert "belongs to an agent that has joined" in (await agent.hear()).reason


async def test_revoking_closes_the_session_and_keeps_it_out(place: Any) -> None:
    _, text = await place.hub.invite("client")
    client_id = await place.register(decode_join_string(text).token, place.details(name="c5"))
    agent = await place.open(f"/agent?client_id={client_id}")
    welcome = await agent.hear()
    await place.hub.revoke_agent(welcome.public_id)
    assert await agent.hear() == Goodbye(reason="the agent's key was revoked", again=False)
    key = welcome.personal_key
    status, body = await place.refused(
        "/register", f"Bearer {sign_token(key.secret, sub='c5', scope='agent:client', kid=key.kid)}"
    )
    assert (status, "revoked" in body) == (403, True)


async def test_revoking_by_another_process_is_noticed(place: Any) -> None:
    key = new_key(["agent:client"], place.clock.now, sub="c5")
    place.store.put_key(key)
    client_id = await place.register(place.token(key=key.secret, kid=key.kid, sub="c5"))
    agent = await place.open(f"/agent?client_id={client_id}")
    await agent.hear()
    place.store.put_key(replace(key, state="revoked"))
    assert "revoked" in (await agent.hear()).reason


async def test_a_shared_key_agent_can_only_be_shut_out_by_rotation(place: Any) -> None:
    agent, welcome = await place.join("c1")
    with pytest.raises(ValueError, match="rotate that"):
        await place.hub.revoke_agent(welcome.public_id)
    fresh = await place.hub.rotate_shared_key(60)
    await place.register(place.token())  # the old key, within the grace
    await place.register(place.token(key=fresh.secret))
    place.clock.advance(61)
    await place.register(place.token(key=fresh.secret, now=place.clock.now))
    status, body = await place.refused("/register", f"Bearer {place.token(now=place.clock.now)}")
    assert (status, "replaced by a new one" in body) == (403, True)
    assert place.hub.send(welcome.public_id, Ask(what="time")), "its session was not cut"
    assert await agent.hear() == Ask(what="time")


# ---------------------------------------------------------------- sessions


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
    await agent.say(RoundDone(job=JOB, round=1, seconds=0.5))
    await place.until(lambda: len(place.heard.messages) == 2)
    assert place.heard.lines == ["up c1", "c1: Sample", "c1: RoundDone"]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "null",
        '{"type":"no such"}',
        '{"type":"heartbeat"}',
        '{"type":"heartbeat","t":-1}',
        '{"type":"heartbeat","t":1,"cpu":1e9}',
        '{"type":"round_done","job":"x","round":1,"seconds":0}',
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
    assert place.hub.roster.agents[0].report.answering
    assert place.heard.problems == ["agent s1: <b>look</b>"]
    await agent.say(Journal(journal="j", lines=lines(1, 2)))
    assert "role client" in (await agent.hear()).reason


async def test_stopping_the_hub_says_goodbye_and_come_again(mortal_place: Any) -> None:
    agent, _ = await mortal_place.join("c1")
    await mortal_place.stop()
    assert await agent.hear() == Goodbye(reason="the hub is being stopped", again=True)


# ---------------------------------------------------------------- journals


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
    session = next(iter(place.hub._sessions.values()))
    await place.until(lambda: session.blocked)
    place.clock.advance(60)
    place.hub.check_heartbeats()
    assert place.hub.roster.agents[0].state == "up"
    place.store.broken = None
    last = 0
    while last < 2 * total:
        last = (await agent.hear()).n
