"""Invitations, revoking and rotating, and how a running hub hears of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from agent.messages import (
    Ask,
    Goodbye,
    Welcome,
    decode_join_string,
    sign_token,
)
from gui.hub import keys
from gui.hub.keys import new_key


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
    keys.revoke_invitation(place.store, issued.id, time.time())
    await place.hub._keyring.load()
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
    fresh = keys.rotate_shared_key(place.store, place.clock.now, 60)
    await place.hub._keyring.load()
    await place.register(place.token())  # the old key, within the grace
    await place.register(place.token(key=fresh.secret))
    place.clock.advance(61)
    await place.register(place.token(key=fresh.secret, now=place.clock.now))
    status, body = await place.refused("/register", f"Bearer {place.token(now=place.clock.now)}")
    assert (status, "replaced by a new one" in body) == (403, True)
    assert place.hub.send(welcome.public_id, Ask(what="time")), "its session was not cut"
    assert await agent.hear() == Ask(what="time")
