"""A hub on the real stores, SQLite and PostgreSQL: what outlasts a restart, and what other programs do meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.messages import Acknowledge, Goodbye, Journal, sign_token
from gui.hub import Hub, HubOptions, keys
from gui.hub.keys import new_key
from gui.store import Store
from tests.gui.hub.conftest import Clock, Heard, Place, RealStore, details, until
from tests.gui.hub.test_sessions import lines


class Hubs:
    """Hubs on one store, one after the other."""

    def __init__(self, store: RealStore, directory: Any) -> None:
        self.store, self.directory, self.clock = store, directory, Clock()

    def hub(self) -> Place:
        heard = Heard()
        options = HubOptions(directory=self.directory, host="127.0.0.1", port=0, insecure=True, version="test")
        hub = Hub(self.store, options, listener=heard, clock=self.clock.wall, monotonic=self.clock.monotonic)
        return Place(hub, self.store, heard, self.clock)


@pytest.fixture
def hubs(real_store: RealStore, tmp_path: Any) -> Hubs:
    return Hubs(real_store, tmp_path)


async def test_a_token_and_a_journal_are_remembered_over_a_restart(hubs: Hubs) -> None:
    bearer = sign_token("the shared key of these tests, long enough to be one", sub="c2", scope="agent:client")
    first = hubs.hub()
    async with first.hub, first.stack:
        await first.register(bearer)
        agent, welcome = await first.join("c1", journal="j1")
        assert welcome.acknowledged == 0
        await agent.say(Journal(journal="j1", lines=lines(1, 40)))
        assert await agent.hear() == Acknowledge(journal="j1", n=40)
    second = hubs.hub()
    async with second.hub, second.stack:
        assert await second.refused("/register", f"Bearer {bearer}") == (
            403,
            "The token was used before: its jti is known.",
        )
        _, welcome = await second.join("c1", journal="j1")
        assert welcome.acknowledged == 40


async def test_a_key_that_another_program_revokes_ends_its_session(hubs: Hubs, real_store: RealStore) -> None:
    """By another connection to the same database, as `tally key revoke` does."""
    place = hubs.hub()
    async with place.hub, place.stack:
        key = new_key(["agent:client"], place.clock.now, sub="c5")
        with Store(real_store.real.database.url.render_as_string(hide_password=False)) as other:
            other.put_key(key)
            client_id = await place.register(place.token(key=key.secret, kid=key.kid, sub="c5"))
            agent = await place.open(f"/agent?client_id={client_id}")
            await agent.hear()
            keys.revoke_key(other, key.kid, place.clock.now)
        assert await agent.hear() == Goodbye(reason="the agent's key was revoked", again=False)


async def test_one_use_of_an_invitation_lets_one_of_many_in(hubs: Hubs) -> None:
    place = hubs.hub()
    async with place.hub, place.stack:
        issued, _ = await place.hub.invite("client", uses=3)
        bearer = sign_token(issued.secret, sub=issued.id, scope="join", kid=issued.id)
        ids = [await place.register(bearer, details(name=f"c{number}")) for number in range(8)]
        agents = await asyncio.gather(*(place.open(f"/agent?client_id={one}") for one in ids))
        said = await asyncio.gather(*(agent.hear() for agent in agents))
        assert sum(getattr(one, "personal_key", None) is not None for one in said) == 3
        assert sum(key.sub is not None for key in hubs.store.real.keys()) == 3  # noqa: SIM118 - not a dict


async def test_holds_and_the_audit_log_are_there_after_a_restart(hubs: Hubs) -> None:
    first = hubs.hub()
    async with first.hub, first.stack:
        _, welcome = await first.join("c1")
        await first.hub.drain(welcome.public_id, "operator anna")
        assert (await first.refused("/register"))[0] == 401
    second = hubs.hub()
    async with second.hub, second.stack:
        agent, _ = await second.join("c1")
        assert (await agent.hear()).what == "drain"
        assert [hold.identity for hold in hubs.store.real.holds()] == ["shared/c1"]
    entries = [(entry.what, entry.who) for entry in hubs.store.real.audits()]
    for expected in (("started", first.hub.address), ("joined", "shared/c1"), ("drained", "shared/c1"),
                     ("refused", "127.0.0.1"), ("stopped", first.hub.address)):  # fmt: skip
        assert expected in entries


async def test_many_agents_at_once(hubs: Hubs) -> None:
    place = hubs.hub()
    async with place.hub, place.stack:
        joined = await asyncio.gather(*(place.join(f"c{number}", journal=f"j{number}") for number in range(40)))
        await asyncio.gather(
            *(agent.say(Journal(journal=f"j{n}", lines=lines(1, 10))) for n, (agent, _) in enumerate(joined))
        )
        heard = await asyncio.gather(*(agent.hear() for agent, _ in joined))
        assert heard == [Acknowledge(journal=f"j{number}", n=10) for number in range(40)]
        await until(lambda: len(hubs.store.real.agents()) == 40)
