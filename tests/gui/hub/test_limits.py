"""Peers that stop reading, stop speaking or never begin: they hold up nobody, cannot stay when they must go, and the
hub can be stopped beside them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection

from agent.messages import Request, Round, StartRepeat, Workload
from gui.hub import limits
from gui.hub.keys import new_key
from gui.hub.operate import RegisterOperator
from tests.gui.hub.conftest import OFFERED, Agent, Place

STOPPING = 10.0
"""Seconds that a hub has to stop."""


class Deaf(Agent):
    """A connection that reads nothing any more; its window is small, so that little fits between the two."""


async def deaf(place: Place, target: str) -> Deaf:
    """A websocket that stops reading once it is open."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", place.hub.port))
    websocket = await connect(
        place.hub.local_address + target, sock=plain, subprotocols=OFFERED, proxy=None, compression=None, max_size=2**24
    )
    websocket.transport.pause_reading()
    place.stack.callback(websocket.transport.abort)
    return Deaf(websocket)


async def plain(place: Place, text: bytes) -> None:
    """A connection on which nothing but this is said."""
    _, writer = await asyncio.open_connection("127.0.0.1", place.hub.port)
    writer.write(text)
    place.stack.callback(writer.close)


def full(place: Place) -> list[ServerConnection]:
    """The connections of the hub to whom nothing more can be written."""
    return [
        connection
        for server in place.hub._servers
        for connection in server.all_connections
        if connection.transport.get_write_buffer_size() > 64 * 1024
    ]


async def deaf_operator(place: Place, scope: str = "operator") -> str:
    """An operator that stopped reading in the middle of the feed; returns the name of its key."""
    key = new_key([scope], place.clock.now, sub="anna")
    place.store.put_key(key)
    token = place.token(key=key.secret, kid=key.kid, sub="anna", scope=scope)
    client_id = await place.register(token, RegisterOperator(host="desk", version="1"))
    await deaf(place, f"/operate?client_id={client_id}")
    before = len(full(place))
    rows = {str(number): {"text": "x" * 1_000_000} for number in range(30)}
    place.hub.topics.publish("run", lambda: rows)
    await place.until(lambda: len(full(place)) > before)
    return key.kid


async def deaf_observer(place: Place) -> str:
    return await deaf_operator(place, "observer")


async def deaf_agent(place: Place, name: str = "deaf") -> str:
    """An agent with a key of its own that stopped reading in the middle of a round."""
    key = new_key(["agent:client"], place.clock.now, sub=name)
    place.store.put_key(key)
    client_id = await place.register(place.token(key=key.secret, kid=key.kid, sub=name), place.details())
    await deaf(place, f"/agent?client_id={client_id}")
    await place.until(lambda: any(view.name == name for view in place.hub.roster.agents))
    (view,) = (view for view in place.hub.roster.agents if view.name == name)
    place.hub.send(view.id, StartRepeat(job="1.1.1", workload=Workload(), slots=1))
    requests = [Request("tag00001", 0, "root://s1//", f"/{n:0200}", 1, 1) for n in range(10_000)]
    before = len(full(place))
    for _ in range(5):
        place.hub.send(view.id, Round(job="1.1.1", round=1, requests=requests))
    await place.until(lambda: len(full(place)) > before)
    return key.kid


async def half_a_message(place: Place) -> str:
    """An agent that stopped in the middle of a message."""
    agent, _ = await place.join("half")
    agent.socket.transport.write(b"\x81\xfe\xff\xff\x00\x00\x00\x00{")
    return ""


async def silent_registration(place: Place) -> str:
    """A registration without its first message."""
    await place.open("/register", f"Bearer {place.token(sub='silent')}")
    return ""


async def silent(place: Place) -> str:
    """A connection on which nothing is said."""
    await plain(place, b"")
    return ""


async def half_a_request(place: Place) -> str:
    """A connection that stopped in the middle of its request."""
    await plain(place, b"GET /register HTTP/1.1\r\nHost:")
    return ""


KINDS: tuple[Callable[[Place], Awaitable[str]], ...] = (
    deaf_operator,
    deaf_observer,
    deaf_agent,
    half_a_message,
    silent_registration,
    silent,
    half_a_request,
)


@contextlib.asynccontextmanager
async def loop_is_free() -> AsyncIterator[None]:
    """The event loop has a turn all the time, so nothing in the block waits in it."""
    late: list[float] = []

    async def beat() -> None:
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - due)

    task = asyncio.get_running_loop().create_task(beat(), name="beat")
    yield
    task.cancel()
    assert max(late) < 5.0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_the_hub_stops_beside_a_peer_that_stalls(mortal_place: Any, kind: Any, caplog: Any) -> None:
    await kind(mortal_place)
    await mortal_place.join("c1")
    began = time.monotonic()
    await mortal_place.stop()
    assert time.monotonic() - began < STOPPING
    await mortal_place.until(lambda: mortal_place.hub._entrance.open == 0)
    caplog.clear()


async def test_the_hub_stops_beside_several_of_each_kind(mortal_place: Any, caplog: Any) -> None:
    for number in range(4):
        mortal_place.clock.now = time.time()  # for the tokens
        for kind in (deaf_operator, half_a_request, silent):
            await kind(mortal_place)
        await deaf_agent(mortal_place, f"deaf{number}")
        await mortal_place.open("/register", f"Bearer {mortal_place.token(sub=f's{number}')}")
    agents = [(await mortal_place.join(f"c{number}"))[0] for number in range(10)]
    began = time.monotonic()
    async with loop_is_free():
        await mortal_place.stop()
    assert time.monotonic() - began < STOPPING
    for agent in agents:
        assert (await agent.hear()).reason == "the hub is being stopped", "the others have heard why"
    caplog.clear()


@pytest.mark.parametrize("kind", [deaf_operator, deaf_observer, deaf_agent], ids=lambda kind: kind.__name__)
async def test_a_peer_that_reads_nothing_is_shown_out_when_its_key_is_revoked(
    place: Any, kind: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """And so is another at the same time, whom it does not hold up."""
    kid = await kind(place)
    other = await deaf_operator(place)
    _, welcome = await place.join("c1")
    (stuck, *_) = connections = full(place)
    assert len(connections) == 2
    began = time.monotonic()
    for one in (kid, other):
        place.store.put_key(replace(place.store.key_rows[one], state="revoked"))
    await place.hub._keyring.load()
    await place.until(lambda: not full(place))
    assert time.monotonic() - began < 5.0
    assert stuck.close_code is not None
    assert place.hub.roster.find(welcome.public_id).live
    caplog.clear()


@pytest.mark.parametrize("kind", [deaf_operator, deaf_agent], ids=lambda kind: kind.__name__)
async def test_who_reads_nothing_is_cut_off_in_the_end(
    place: Any, kind: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr("gui.hub.operate.SEND_SECONDS", 0.5)
    monkeypatch.setattr("gui.hub.session.SEND_SECONDS", 0.5)
    await kind(place)
    await place.until(lambda: not full(place))
    assert "its connection is aborted" in caplog.text
    caplog.clear()


async def test_a_block_that_is_in_time_aborts_nothing(place: Any) -> None:
    agent, _ = await place.join("c1")
    (connection,) = (one for server in place.hub._servers for one in server.all_connections)
    with limits.limited(connection, 0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # longer than the limit, which is over
    place.hub.ask(place.hub.roster.agents[0].id, "time")
    assert (await agent.hear()).what == "time"
