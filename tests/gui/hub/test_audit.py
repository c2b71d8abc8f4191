"""The hub's record of who came and went: merged, bounded, and in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agent.messages import Goodbye
from gui.hub import audit
from gui.hub.account import account
from gui.hub.audit import MAX_REFUSED, AuditLog, WaitingEntries
from gui.hub.persistence import AuditEntry


def test_equal_entries_become_one_that_says_how_often() -> None:
    waiting = WaitingEntries()
    waiting.add("refused", "192.0.2.7", "no", 1.0)
    waiting.add("joined", "shared/c1", "client", 2.0)
    waiting.add("refused", "192.0.2.7", "no", 3.0)
    assert waiting.take(4.0) == [
        AuditEntry(1.0, "refused", "192.0.2.7", "no (2 times)"),
        AuditEntry(2.0, "joined", "shared/c1", "client"),
    ]
    assert waiting.take(5.0) == []


def test_a_flood_of_refusals_is_counted_and_hides_nobody_who_joins() -> None:
    waiting = WaitingEntries()
    for number in range(1000):
        waiting.add("refused", f"address {number}", "no", 1.0)
    waiting.add("joined", "shared/c1", "client", 2.0)
    entries = waiting.take(3.0)
    assert len(entries) == MAX_REFUSED + 2
    assert entries[-2:] == [
        AuditEntry(2.0, "joined", "shared/c1", "client"),
        AuditEntry(3.0, "refused", "", f"and {1000 - MAX_REFUSED} more"),
    ]


async def test_a_store_that_fails_is_tried_again_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAUSE_SECONDS", 0.0)
    tries: list[Sequence[AuditEntry]] = []

    class Store:
        def add_audit(self, entries: Sequence[AuditEntry]) -> None:
            tries.append(entries)
            if len(tries) < 3:
                raise OSError("full")

    async def run(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    kept = AuditLog(Store(), run, lambda: 1.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(kept.run(), name="audit")
        kept.add("joined", "shared/c1", "client")
        while len(tries) < 3:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        running.cancel()
    assert tries == [[AuditEntry(1.0, "joined", "shared/c1", "client")]] * 3


async def test_the_hub_writes_who_joined_was_refused_and_was_revoked_and_its_end(mortal_place: Any) -> None:
    place = mortal_place
    status, said = await place.refused("/register", "Bearer xyz")
    assert status == 401
    issued, _ = await place.hub.invite("client")
    await place.join()
    client_id = await place.register(
        place.token(key=issued.secret, kid=issued.id, sub="join", scope="join"), place.details(name="c2")
    )
    invited = await place.open(f"/agent?client_id={client_id}")
    kid = (await invited.hear()).personal_key.kid
    await place.hub.revoke_agent(next(agent.id for agent in place.hub.roster.agents if agent.name == "c2"))
    while not isinstance(await invited.hear(), Goodbye):
        pass
    address = place.hub.address
    await place.stop()
    kept = [(entry.what, entry.who, entry.text) for entry in place.store.audit]
    kept.remove(("revoked", kid, f"by the operator of this machine, account {account()}"))  # written at once
    assert kept == [
        ("started", address, "version test, without TLS"),
        ("refused", "127.0.0.1", f"{said.partition('; the hub')[0]}."),
        ("joined", "shared/c1", "client agent on h from 127.0.0.1"),
        ("joined", f"{kid}/c2", f"client agent on h from 127.0.0.1, by the invitation {issued.id}"),
        ("revoked", kid, "nothing that is signed with this key is accepted any more"),
        ("stopped", address, ""),
    ]
