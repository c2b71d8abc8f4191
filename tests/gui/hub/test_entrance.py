"""Connections before sign-in: how many may wait, who must go for whom, and that an honest one always gets in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.connection import Trust, join, parse_hub
from agent.messages import Register, sign_token
from gui.hub import Hub, HubOptions
from gui.hub.entrance import PATIENCE, Entrance, counted_address


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Door:
    """A listening socket, and connections to it from chosen loopback addresses."""

    def __init__(self, in_all: int, each: int) -> None:
        self.clock, self.refused = Clock(), list[tuple[str, str]]()
        self.entrance = Entrance(in_all, each, monotonic=self.clock, refused=self._refuse)
        self.inside: list[socket.socket] = []
        self.outside: list[socket.socket] = []

    def _refuse(self, address: str, reason: str) -> None:
        self.refused.append((address, reason))

    async def __aenter__(self) -> Door:
        (self.listening,) = await self.entrance.listen("127.0.0.1", 0, 100)
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in (*self.inside, *self.outside, self.listening):
            one.close()

    def come(self, address: str = "127.0.0.1", seconds: float = 0.0) -> socket.socket:
        """Connect from this address; what may stay is in `inside`."""
        self.clock.now += seconds
        ours = socket.socket()
        self.outside.append(ours)
        ours.settimeout(60)
        ours.bind((address, 0))
        ours.connect(self.listening.getsockname())
        while True:
            try:
                self.inside.append(self.listening.accept()[0])
            except BlockingIOError:
                return ours


def is_over(ours: socket.socket) -> bool:
    """Whether the hub has ended this connection."""
    ours.setblocking(False)
    try:
        return ours.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


async def test_from_one_address_only_so_many_may_wait() -> None:
    async with Door(10, 2) as door:
        first = [door.come("127.0.0.2") for _ in range(3)]
        other = door.come("127.0.0.3")
        assert [is_over(one) for one in (*first, other)] == [False, False, True, False]
        assert door.refused == [("127.0.0.2", "too_many_from_address")]
        assert door.entrance.waiting == 3
        door.inside[0].close()
        assert not is_over(door.come("127.0.0.2")), "a place is free again"


async def test_who_has_signed_in_no_longer_counts() -> None:
    async with Door(10, 1) as door:
        door.come()
        door.entrance.signed_in(door.inside[0].fileno())
        assert (door.entrance.waiting, door.entrance.open) == (0, 1)
        assert not is_over(door.come())
        door.inside[0].close()
        assert (door.entrance.waiting, door.entrance.open) == (1, 1)


async def test_the_oldest_of_those_with_most_goes_for_a_new_one_when_it_has_waited_long() -> None:
    async with Door(4, 3) as door:
        honest = door.come("127.0.0.9")
        idle = [door.come("127.0.0.2") for _ in range(3)]
        assert is_over(door.come("127.0.0.3")), "nobody has waited long"
        assert not is_over(door.come("127.0.0.3", seconds=PATIENCE))
        assert [is_over(one) for one in (honest, *idle)] == [False, True, False, False]
        assert door.refused == [("127.0.0.3", "too_many"), ("127.0.0.2", "too_many")]
        assert door.entrance.waiting == 4


async def test_no_limit() -> None:
    async with Door(0, 0) as door:
        assert not any(is_over(one) for one in [door.come() for _ in range(20)][-3:])


async def test_cut_ends_all() -> None:
    async with Door(0, 0) as door:
        ours = [door.come() for _ in range(3)]
        door.entrance.cut()
        assert all(is_over(one) for one in ours)
        for one in door.inside:
            one.close()
        assert (door.entrance.open, door.entrance.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("text", "counts_as"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("what", "what"),
    ],
)
def test_what_an_address_counts_as(text: str, counts_as: str) -> None:
    assert counted_address(text) == counts_as


async def test_an_empty_host_listens_on_every_address() -> None:
    entrance = Entrance(0, 0, monotonic=Clock(), refused=lambda *_: None)
    sockets = await entrance.listen("", 0, 10)
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert {one.family for one in sockets} <= {socket.AF_INET, socket.AF_INET6}
        with socket.create_connection(("127.0.0.1", sockets[0].getsockname()[1]), 60):
            pass
    finally:
        for one in sockets:
            one.close()


# ---------------------------------------------------------------- at a hub


@contextlib.asynccontextmanager
async def idle(port: int, count: int, address: str = "127.0.0.1") -> AsyncIterator[list[Any]]:
    """Connections that say nothing."""
    made = [await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)) for _ in range(count)]
    try:
        yield made
    finally:
        for _, writer in made:
            writer.transport.abort()


async def test_honest_agents_join_beside_idle_connections(
    memory_store: Any, shared_secret: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS, though idle connections take every place there is."""
    monkeypatch.setattr("gui.hub.audit.PAUSE_SECONDS", 0.1)
    options, clock = HubOptions(tmp_path, "127.0.0.1", 0, max_waiting=40, max_waiting_each=30), Clock()
    async with (
        Hub(memory_store, options, monotonic=clock) as hub,
        idle(hub.port, 25, "127.0.0.2"),
        idle(hub.port, 25, "127.0.0.3"),
    ):
        await until(lambda: hub._entrance.waiting == 40)
        clock.now += PATIENCE
        address = parse_hub(hub.local_address, insecure=False)
        for name in ("c1", "c2"):
            token = sign_token(shared_secret, sub=name, scope="agent:client")
            session = await join(
                address, Trust(address, pin=hub.pin), token, Register(role="client", version="1", host="h")
            )
            assert session.welcome.acknowledged == 0
            await session.close(1000, "")
        assert hub._entrance.waiting <= 40
        await until(lambda: any("in all have not signed in" in entry.text for entry in memory_store.audit))


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.01)
