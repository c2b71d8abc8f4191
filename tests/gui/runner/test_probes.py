"""Questions to client agents, and their answers in parts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.messages import Probe, Probed
from gui.campaign.selection import Client
from gui.runner.probes import ProbeError, Probes


class Sending:
    """A hub that only sends, and says whether it could."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Probe]] = []
        self.there = True

    def send(self, agent_id: str, message: Any) -> bool:
        self.sent.append((agent_id, message))
        return self.there


C1 = Client("c1", "i1")


async def test_answers_find_their_questions() -> None:
    hub = Sending()
    probes = Probes(hub)  # type: ignore[arg-type]
    first, second = probes.ask(C1, Probe(0, "root://a")), probes.ask(C1, Probe(0, "root://b"))
    heard: list[str] = []

    async def listen(answers: Any) -> None:
        heard.extend([part.server async for part in answers])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen(first), name="first")
        tasks.create_task(listen(second), name="second")
        while len(hub.sent) < 2:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        numbers = {message.server: message.id for _, message in hub.sent}
        assert len(set(numbers.values())) == 2
        probes.answered(Probed(numbers["root://b"], "root://b", True))
        probes.answered(Probed(numbers["root://a"], "root://a", True, more=True))
        probes.answered(Probed(999, "root://x", True))
        probes.answered(Probed(numbers["root://a"], "root://a", True))
    assert sorted(heard) == ["root://a", "root://a", "root://b"]


async def test_who_is_gone_or_does_not_answer() -> None:
    hub = Sending()
    probes = Probes(hub)  # type: ignore[arg-type]
    with pytest.raises(ProbeError, match="c1 did not answer within"):
        [part async for part in probes.ask(C1, Probe(0, "root://a"), seconds=0.01)]
    hub.there = False
    with pytest.raises(ProbeError, match="c1 is no longer connected"):
        [part async for part in probes.ask(C1, Probe(0, "root://a"))]
    probes.answered(Probed(1, "root://a", True))
