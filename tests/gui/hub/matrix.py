"""Every way to join a hub, rightly or not, and its answer: the table in docs/hub.md, whose rows `test_matrix` tries.

python -m tests.gui.hub.matrix          prints the table
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from websockets.exceptions import InvalidStatus

from agent.messages import MAX_MESSAGE, Goodbye, Heartbeat, Registered, Welcome
from gui.hub import keys
from gui.hub.operate import OperatorWelcome, RegisterOperator, decode_to_operator
from gui.hub.persistence import Hold, Key
from tests.gui.hub.conftest import Agent, Place, details, token

IN = "let in"


@dataclass(frozen=True, slots=True)
class Case:
    """`answer`: an HTTP status, "goodbye" (after the connection was opened), "closed" or "let in"; `reason` as in the
    metrics."""

    group: str
    words: str
    answer: str
    reason: str
    act: Callable[[Place], Awaitable[str]]
    """Does it, and returns the answer that was seen."""


CASES: list[Case] = []
_group = ""


def case(words: str, answer: str | int, reason: str = "") -> Any:
    """Declare a case; the function returns what was seen."""

    def declare(act: Callable[[Place], Awaitable[str]]) -> Callable[[Place], Awaitable[str]]:
        CASES.append(Case(_group, words, str(answer), reason, act))
        return act

    return declare


def group(name: str) -> None:
    global _group
    _group = name


# ---- how it is tried


async def register(place: Place, bearer: str | None, said: Any = None, **options: Any) -> str:
    """Both steps, with this header and first message; returns the answer."""
    try:
        agent = await place.open("/register", bearer, **options)
    except InvalidStatus as refusal:
        return str(refusal.response.status_code)
    await agent.say(details() if said is None else said)
    return await finish(place, agent)


async def finish(place: Place, agent: Agent) -> str:
    """The rest of a join, from the answer to the first message on."""
    answer = await agent.hear()
    if isinstance(answer, Goodbye):
        return "goodbye"
    assert isinstance(answer, Registered), answer
    return await session(place, answer.client_id)


async def session(place: Place, client_id: str, door: str = "/agent") -> str:
    """Open a session with this id; returns the answer."""
    try:
        agent = await place.open(f"{door}?client_id={client_id}")
    except InvalidStatus as refusal:
        return str(refusal.response.status_code)
    raw = await agent.socket.recv()
    welcome = decode_to_operator(raw) if door == "/operate" else None
    if welcome is not None:
        return IN if isinstance(welcome, OperatorWelcome) else "goodbye"
    assert isinstance(raw, str)
    return IN if json.loads(raw)["type"] == Welcome.__struct_config__.tag else "goodbye"


async def with_token(place: Place, **changes: Any) -> str:
    return await register(place, f"Bearer {token(now=place.clock.now, **changes)}")


def claims(place: Place, **changes: Any) -> str:
    """A token signed with the shared key, with these claims changed; None: left out."""
    import jwt

    now = int(place.clock.now)
    values: dict[str, Any] = {"aud": "xrootd-tally", "sub": "c1", "scope": "agent:client", "iat": now, "exp": now + 300,
                              "jti": token_hex(8)}  # fmt: skip
    head = changes.pop("head", {})
    algorithm = changes.pop("algorithm", "HS256")
    values |= changes
    present = {name: value for name, value in values.items() if value is not None}
    key = "" if algorithm == "none" else place.secret * (2 if algorithm == "HS512" else 1)
    return f"Bearer {jwt.encode(present, key, algorithm=algorithm, headers=head or None)}"


def put(place: Place, **changes: Any) -> Key:
    """A named key for c5."""
    key = replace(keys.new_key(["agent:client"], place.clock.now, sub="c5", kid="site-a"), **changes)
    place.store.put_key(key)
    return key


async def by_key(place: Place, key: Key, **changes: Any) -> str:
    return await with_token(place, **{"key": key.secret, "kid": key.kid, "sub": "c5", **changes})


async def invited(place: Place, *, ttl: float = 600, uses: int = 1) -> tuple[Any, str]:
    """An invitation for a client, and its bearer."""
    issued, _ = await place.hub.invite("client", ttl=ttl, uses=uses)
    bearer = token(key=issued.secret, kid=issued.id, sub=issued.id, scope="join", now=place.clock.now)
    return issued, f"Bearer {bearer}"


# ---- the cases

group("the token")


@case("no Authorization header", 401, "no_token")
async def _(place: Place) -> str:
    return await register(place, None)


@case("another kind of authorization", 401, "no_token")
async def _(place: Place) -> str:
    return await register(place, "Basic YTpi")


@case("`Bearer` without a token", 401, "no_token")
async def _(place: Place) -> str:
    return await register(place, "Bearer ")


@case("two Authorization headers", 401, "no_token")
async def _(place: Place) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.hub.port)
    twice = "".join(f"Authorization: Bearer {token(now=place.clock.now)}\r\n" for _ in range(2))
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tally.1\r\n"
    writer.write(f"GET /register HTTP/1.1\r\nHost: h\r\n{upgrade}{twice}\r\n".encode())
    first = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return first.decode().split()[1]


@case("what is no JWT", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, "Bearer abc.def")


@case("algorithm `none`", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, algorithm="none"))


@case("algorithm HS512", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, algorithm="HS512"))


@case("a `kid` that is no text", 401, "bad_token")
async def _(place: Place) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":7}').decode().rstrip("=")
    return await register(place, f"Bearer {head}.e30.AAAA")


@case("signed with a key that the hub does not know", 401, "unknown_key")
async def _(place: Place) -> str:
    return await with_token(place, key="x" * 40)


@case("a `kid` that the hub does not know", 401, "unknown_key")
async def _(place: Place) -> str:
    return await with_token(place, kid="site-b")


@case("signed with the shared key and named `shared`", 401, "unknown_key")
async def _(place: Place) -> str:
    return await with_token(place, kid="shared")


@case("no audience", 401, "audience")
async def _(place: Place) -> str:
    return await register(place, claims(place, aud=None))


@case("another audience", 401, "audience")
async def _(place: Place) -> str:
    return await register(place, claims(place, aud="xrootd"))


@case("our audience among others", IN)
async def _(place: Place) -> str:
    return await register(place, claims(place, aud=["xrootd", "xrootd-tally"]))


@case("no `exp`", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, exp=None))


@case("an `iat` that is no number", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, iat="now"))


@case("expired 11 s ago", 401, "expired")
async def _(place: Place) -> str:
    return await register(place, claims(place, iat=place.clock.now - 311, exp=place.clock.now - 11))


@case("expired 9 s ago", IN)
async def _(place: Place) -> str:
    return await register(place, claims(place, iat=place.clock.now - 309, exp=place.clock.now - 9))


@case("from 11 s in the future", 401, "clock")
async def _(place: Place) -> str:
    return await register(place, claims(place, iat=place.clock.now + 11))


@case("from 9 s in the future", IN)
async def _(place: Place) -> str:
    return await register(place, claims(place, iat=place.clock.now + 9))


@case("`nbf` in the future", 401, "clock")
async def _(place: Place) -> str:
    return await register(place, claims(place, nbf=place.clock.now + 60))


@case("good for 3,601 s", 401, "lifetime")
async def _(place: Place) -> str:
    now = int(place.clock.now)
    return await register(place, claims(place, iat=now, exp=now + 3601))


@case("good for 3,600 s", IN)
async def _(place: Place) -> str:
    now = int(place.clock.now)
    return await register(place, claims(place, iat=now, exp=now + 3600))


@case("`exp` before `iat`", 401, "lifetime")
async def _(place: Place) -> str:
    now = int(place.clock.now)
    return await register(place, claims(place, iat=now, exp=now - 5))


@case("no `sub`", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, sub=None))


@case("a `sub` with a slash", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, sub="../c1"))


@case("a `sub` of 65 characters", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, sub="c" * 65))


@case("no `jti`", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, jti=None))


@case("a `jti` of 257 characters", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, jti="j" * 257))


@case("the same token a second time", 403, "replayed")
async def _(place: Place) -> str:
    bearer = claims(place)
    assert await register(place, bearer) == IN
    return await register(place, bearer)


group("the scope")


@case("no scope", 401, "bad_token")
async def _(place: Place) -> str:
    return await register(place, claims(place, scope=None))


@case("an unknown scope", 401, "scope")
async def _(place: Place) -> str:
    return await register(place, claims(place, scope="root"))


@case("scopes of an agent and of an operator", 403, "scope")
async def _(place: Place) -> str:
    key = put(place, scopes=("agent:client", "operator"))
    return await by_key(place, key, scope="agent:client operator")


@case("`operator` with the shared key", 403, "scope")
async def _(place: Place) -> str:
    return await with_token(place, scope="operator")


@case("`agent:client`, and registers as a server", "goodbye", "role")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", details(role="server"))


@case("`agent:client agent:server`, and registers as a server", IN)
async def _(place: Place) -> str:
    bearer = f"Bearer {token(scope='agent:client agent:server')}"
    return await register(place, bearer, details(role="server"))


group("the key")


@case("a named key", IN)
async def _(place: Place) -> str:
    return await by_key(place, put(place))


@case("a key that was revoked", 403, "revoked")
async def _(place: Place) -> str:
    return await by_key(place, put(place, state="revoked"))


@case("a key that is revoked between the two steps", "goodbye", "revoked")
async def _(place: Place) -> str:
    key = put(place)
    bearer = token(key=key.secret, kid=key.kid, sub="c5", now=place.clock.now)
    client_id = await place.register(bearer)
    await place.hub._keyring.revoke(key.kid)
    return await session(place, client_id)


@case("the shared key before, within its grace", IN)
async def _(place: Place) -> str:
    keys.rotate_shared_key(place.store, place.clock.now, 60)
    await place.hub._keyring.load()
    return await with_token(place)


@case("the shared key before, after its grace", 403, "replaced")
async def _(place: Place) -> str:
    keys.rotate_shared_key(place.store, place.clock.now, 60)
    await place.hub._keyring.load()
    place.clock.advance(61)
    return await with_token(place)


@case("a key that is for another name", 403, "name")
async def _(place: Place) -> str:
    return await by_key(place, put(place), sub="c6")


group("the name")


@case("its own name again: the new session replaces the old one", IN)
async def _(place: Place) -> str:
    await place.join("c1")
    return await with_token(place)


@case("a name that another key uses now", 403, "name")
async def _(place: Place) -> str:
    key = put(place)
    client_id = await place.register(token(key=key.secret, kid=key.kid, sub="c5", now=place.clock.now))
    agent = await place.open(f"/agent?client_id={client_id}")
    await agent.say(Heartbeat(t=place.clock.now))
    await agent.hear()
    return await with_token(place, sub="c5")


@case("a personal key takes its name from a shared-key agent", IN)
async def _(place: Place) -> str:
    await place.join("c5")
    return await by_key(place, put(place))


@case("a name whose holder is disconnected by an operator", 403, "disconnected")
async def _(place: Place) -> str:
    hold = Hold("shared/c1", "disconnect", "client", place.clock.now, place.clock.now + 600)
    await place.hub._keyring.hold(hold)
    return await with_token(place)


@case("the same, when its time is over", IN)
async def _(place: Place) -> str:
    hold = Hold("shared/c1", "disconnect", "client", place.clock.now, place.clock.now + 600)
    await place.hub._keyring.hold(hold)
    place.clock.advance(601)
    return await with_token(place)


group("the invitation")


@case("an invitation and a name", IN)
async def _(place: Place) -> str:
    return await register(place, (await invited(place))[1], details(name="c9"))


@case("without a name", "goodbye", "name")
async def _(place: Place) -> str:
    return await register(place, (await invited(place))[1], details())


@case("for another role", "goodbye", "role")
async def _(place: Place) -> str:
    return await register(place, (await invited(place))[1], details(name="c9", role="server"))


@case("with the name of an agent that has joined", "goodbye", "name")
async def _(place: Place) -> str:
    put(place)
    await place.hub._keyring.load()
    return await register(place, (await invited(place))[1], details(name="c5"))


@case("used up", 403, "invitation")
async def _(place: Place) -> str:
    _, bearer = await invited(place)
    assert await register(place, bearer, details(name="c9")) == IN
    return await register(place, bearer, details(name="c10"))


@case("used up between the two steps", "goodbye", "invitation")
async def _(place: Place) -> str:
    _, bearer = await invited(place)
    client_id = await place.register(bearer.removeprefix("Bearer "), details(name="c9"))
    assert await register(place, bearer, details(name="c10")) == IN
    return await session(place, client_id)


@case("revoked", 403, "revoked")
async def _(place: Place) -> str:
    issued, bearer = await invited(place)
    keys.revoke_invitation(place.store, issued.id, place.clock.now)
    await place.hub._keyring.load()
    return await register(place, bearer, details(name="c9"))


@case("expired", 401, "invitation")
async def _(place: Place) -> str:
    issued, _ = await invited(place, ttl=10)
    place.clock.advance(25)
    bearer = token(key=issued.secret, kid=issued.id, sub=issued.id, scope="join", now=place.clock.now)
    return await register(place, f"Bearer {bearer}", details(name="c9"))


@case("with the scope of an agent", 403, "scope")
async def _(place: Place) -> str:
    issued, _ = await invited(place)
    bearer = token(key=issued.secret, kid=issued.id, sub="c9", scope="agent:client", now=place.clock.now)
    return await register(place, f"Bearer {bearer}", details(name="c9"))


group("the first message")


@case("no JSON", "goodbye", "message")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", "{")


@case("nested a hundred thousand deep", "goodbye", "message")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", '{"type":"register","x":' + "[" * 100_000)


@case("another message", "goodbye", "message")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", Heartbeat(t=1.0))


@case("a text that is too long for its field", "goodbye", "message")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", details(host="h" * 257))


@case("that of an operator, with an agent's token", "goodbye", "message")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", RegisterOperator(host="h", version="1"))


@case("more than 4 MiB", "closed")
async def _(place: Place) -> str:
    agent = await place.open("/register", f"Bearer {token()}")
    await agent.say(b'{"type":"register","x":"' + b"x" * MAX_MESSAGE + b'"}')
    code, _ = await agent.closed()
    return "closed" if code == 1009 else str(code)


group("the session")


@case("no client_id", 401, "client_id")
async def _(place: Place) -> str:
    return str((await place.refused("/agent"))[0])


@case("an id that nobody was given", 401, "client_id")
async def _(place: Place) -> str:
    return await session(place, "guess")


@case("an id a second time", 401, "client_id")
async def _(place: Place) -> str:
    client_id = await place.register()
    assert await session(place, client_id) == IN
    return await session(place, client_id)


@case("an id after 31 s", 401, "client_id")
async def _(place: Place) -> str:
    client_id = await place.register()
    place.clock.advance(31)
    return await session(place, client_id)


@case("an agent's id on /operate", 403, "path")
async def _(place: Place) -> str:
    return await session(place, await place.register(), "/operate")


@case("an operator's id on /agent", 403, "path")
async def _(place: Place) -> str:
    key = put(place, scopes=("operator",))
    bearer = token(key=key.secret, kid=key.kid, sub="c5", scope="operator", now=place.clock.now)
    return await session(place, await place.register(bearer, RegisterOperator(host="h", version="1")))


@case("an operator's id on /operate", IN)
async def _(place: Place) -> str:
    key = put(place, scopes=("operator",))
    bearer = token(key=key.secret, kid=key.kid, sub="c5", scope="operator", now=place.clock.now)
    return await session(place, await place.register(bearer, RegisterOperator(host="h", version="1")), "/operate")


group("around it")


@case("no subprotocol", 426, "subprotocol")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", subprotocols=None)


@case("another subprotocol", 426, "subprotocol")
async def _(place: Place) -> str:
    return await register(place, f"Bearer {token()}", subprotocols=["tally.9"])


@case("another path", 404, "path")
async def _(place: Place) -> str:
    return str((await place.refused("/getclients"))[0])


@case("the 61st refused try of an address within a minute", 429, "too_often")
async def _(place: Place) -> str:
    for _ in range(60):
        assert await register(place, None) == "401"
    return await register(place, None)


@case("a good token after that", IN)
async def _(place: Place) -> str:
    for _ in range(61):
        await register(place, None)
    return await with_token(place)


@case("the hub's database fails", 503, "database")
async def _(place: Place) -> str:
    place.store.broken = OSError("disk full")
    try:
        return await with_token(place)
    finally:
        place.store.broken = None


@case("the hub is being stopped", 503, "stopping")
async def _(place: Place) -> str:
    place.hub._gate.closing = True
    try:
        return await with_token(place)
    finally:
        place.hub._gate.closing = False


# ---- the table


def table() -> str:
    """The table of the documents."""
    lines = ["| what is tried | answer | reason |", "|---|---|---|"]
    last = ""
    for one in CASES:
        if one.group != last:
            lines.append(f"| **{one.group}** | | |")
            last = one.group
        lines.append(f"| {one.words} | {one.answer} | {f'`{one.reason}`' if one.reason else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
