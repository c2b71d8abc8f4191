"""A program signs in and out: both sides of /signin, with the stand-in for GitHub as the provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.messages import Goodbye, Registered, encode
from gui.hub.operate import OperatorWelcome, RegisterOperator, decode_to_operator
from gui.hub.signin import device
from gui.hub.signin.messages import EnterCode, PersonalKey, SignedOut, SignIn, SignOut, decode_to_person
from tests.standins import GitHubStandIn, User

HELLO = SignIn(host="laptop", version="1")


@pytest.fixture(autouse=True)
def fast(place: Any) -> None:
    """The provider's seconds pass quickly."""
    place.hub._front._door._device._unit = lambda: 0.02


async def asked(hub: Any, message: Any = HELLO, bearer: str | None = None) -> Any:
    program = await hub.open("/signin", bearer)
    await program.say(message if isinstance(message, str | bytes) else encode(message))
    return program


async def hear(program: Any) -> Any:
    async with asyncio.timeout(60):
        return decode_to_person(await program.socket.recv())


async def signed_in(hub: Any, github: GitHubStandIn) -> PersonalKey:
    program = await asked(hub)
    assert isinstance(await hear(program), EnterCode)
    github.enter()
    key = await hear(program)
    assert isinstance(key, PersonalKey), key
    return key


def token_of(hub: Any, key: PersonalKey, scope: str = "observer") -> str:
    return f"Bearer {hub.token(key=key.secret, kid=key.kid, sub=key.name, scope=scope)}"


async def observing(hub: Any, key: PersonalKey) -> Any:
    """An open session of this key."""
    register = await hub.open("/register", token_of(hub, key))
    await register.say(RegisterOperator(host="laptop", version="1"))
    registered = await register.hear()
    assert isinstance(registered, Registered)
    session = await hub.open(f"/operate?client_id={registered.client_id}")
    assert isinstance(decode_to_operator(await session.socket.recv()), OperatorWelcome)
    return session


async def test_a_code_then_a_key(hub: Any, github: GitHubStandIn) -> None:
    program = await asked(hub)
    code = await hear(program)
    assert (code.provider, code.code, code.address) == ("GitHub", "WDJB-MJHT", f"{github.address}/login/device")
    github.enter("slow")
    key = await hear(program)
    assert (key.name, key.scopes, key.login, key.provider) == ("ada", ["observer"], "ada", "GitHub")
    assert key.expires == hub.clock.now + 12 * 3600
    assert await program.closed() == (1000, "signed in")
    await observing(hub, key)
    assert (await hub.refused("/register", token_of(hub, key, "operator")))[0] == 403


async def test_the_providers_token_never_leaves_the_hub(hub: Any, github: GitHubStandIn) -> None:
    key = await signed_in(hub, github)
    (token,) = github.tokens
    assert token not in str(encode(key))
    assert token not in str(hub.store.sign_in_rows)


async def test_who_is_not_named(hub: Any, github: GitHubStandIn) -> None:
    github.person = User("mallory", 9)
    program = await asked(hub)
    await hear(program)
    github.enter()
    goodbye = await hear(program)
    assert isinstance(goodbye, Goodbye)
    assert "mallory (GitHub, subject 9) is named by no list of this hub; ask whoever runs it." in goodbye.reason
    assert not goodbye.again
    assert hub.store.sign_in_rows == {}


async def test_declined(hub: Any, github: GitHubStandIn) -> None:
    program = await asked(hub)
    await hear(program)
    github.enter("declined")
    assert "the sign-in was declined there" in (await hear(program)).reason


async def test_nobody_types_the_code(hub: Any, github: GitHubStandIn) -> None:
    hub.hub._front._door._device._unit = lambda: 0.0
    program = await asked(hub)
    await hear(program)
    assert (await hear(program)).reason == "The code was not entered in time; begin again."
    assert github.asked.count("POST /login/oauth/access_token") == 900


async def test_a_program_that_leaves_gets_no_key_and_the_provider_is_not_asked_on(
    hub: Any, github: GitHubStandIn
) -> None:
    program = await asked(hub)
    await hear(program)
    await program.socket.close()
    github.enter()
    await hub.until(lambda: not hub.hub._serving)
    assert hub.store.sign_in_rows == {}


async def test_a_provider_that_is_away_for_a_moment(hub: Any, github: GitHubStandIn) -> None:
    program = await asked(hub)
    await hear(program)
    github.away = True
    await hub.until(lambda: github.asked.count("POST /login/oauth/access_token") > 2)
    github.away = False
    github.enter()
    assert isinstance(await hear(program), PersonalKey)


async def test_a_provider_that_is_away_from_the_beginning(hub: Any, github: GitHubStandIn) -> None:
    github.away = True
    assert (await hear(await asked(hub))).reason == "GitHub answered 503 to a sign-in; try again later."


async def test_a_hub_that_trusts_nobody(place: Any) -> None:
    program = await place.open("/signin")
    await program.say(HELLO)
    assert "its settings name no provider in [signin]" in (await hear(program)).reason


async def test_signing_out_ends_the_session_at_once(hub: Any, github: GitHubStandIn) -> None:
    key = await signed_in(hub, github)
    session = await observing(hub, key)
    program = await asked(hub, SignOut(), token_of(hub, key))
    assert isinstance(await hear(program), SignedOut)
    await session.closed()
    assert (await hub.refused("/register", token_of(hub, key)))[0] == 403
    await hub.until(lambda: github.tokens == {})


async def test_signing_out_needs_the_key(hub: Any, github: GitHubStandIn) -> None:
    key = await signed_in(hub, github)
    assert "send a token that is signed with the personal key" in (await hear(await asked(hub, SignOut()))).reason
    other = f"Bearer {hub.token(key='x' * 40, kid=key.kid, sub=key.name, scope='observer')}"
    assert (await hub.refused("/signin", other))[0] == 401
    shared = f"Bearer {hub.token()}"
    assert "belongs to no sign-in" in (await hear(await asked(hub, SignOut(), shared))).reason
    assert hub.hub.people.good(key.kid)


async def test_a_page_cannot_begin_one(hub: Any) -> None:
    """A page of another site would get the code, and with luck a key."""
    with pytest.raises(Exception, match="403"):
        await hub.open("/signin", additional={"Origin": "https://evil.example"})


@pytest.mark.parametrize("message", ["", "{}", '{"type": "sign_in"}', "[]", b"\x00", "x" * 1000])
async def test_what_is_no_request(hub: Any, message: Any) -> None:
    assert "could not be read" in (await hear(await asked(hub, message))).reason


async def test_one_address_cannot_keep_the_provider_busy(hub: Any, github: GitHubStandIn) -> None:
    programs = [await asked(hub) for _ in range(device.MAX_OF_ONE)]
    for program in programs:
        assert isinstance(await hear(program), EnterCode)
    assert "Too many sign-ins are under way" in (await hear(await asked(hub))).reason
    await programs[0].socket.close()
    await hub.until(lambda: hub.hub._front._door._device._of.total() < device.MAX_OF_ONE)
    assert isinstance(await hear(await asked(hub)), EnterCode)


async def test_a_silent_program(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FIRST_SECONDS", 0.05)
    program = await hub.open("/signin")
    assert (await hear(program)).reason == "Nothing was asked within 0.05 s."
