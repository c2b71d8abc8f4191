"""Who is let in, spoken by hand. Names like A3 are the rows of the weaknesses found in the first prototype."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import jwt
import pytest

from agent.messages import (
    Goodbye,
    Welcome,
)
from gui.hub import public_id


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
        jwt.encode(claims, None, algorithm="none"),  # type: ignore[arg-type]
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


async def test_a_database_that_fails_refuses_for_now_and_says_so(place: Any) -> None:
    place.store.broken = OSError("disk on fire")
    status, _ = await place.refused("/register", f"Bearer {place.token()}")
    assert status == 503
    assert "disk on fire" in place.heard.problems[0]
    place.store.broken = None
    await place.join("c1")
