"""Group commits: together, in order, and never acknowledged before they are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agent.messages import Started
from gui.hub import commits
from gui.hub.commits import JournalWriter, Sightings, TokenSpender
from gui.hub.persistence import JournalBatch, Sighting, Spend


class Ledger:
    """Counts transactions; waits for `open` before each."""

    def __init__(self) -> None:
        self.transactions: list[list[Any]] = []
        self.open = asyncio.Event()
        self.broken: Exception | None = None
        self.spent: set[str] = set()

    async def run(self, function: Any, *arguments: Any) -> Any:
        """As the hub does, without a thread."""
        await self.open.wait()
        return function(*arguments)

    def spend_tokens(self, spends: Sequence[Spend], now: float) -> list[bool]:
        if self.broken:
            raise self.broken
        self.transactions.append([spend.jti for spend in spends])
        fresh = []
        for spend in spends:
            fresh.append(spend.jti not in self.spent)
            self.spent.add(spend.jti)
        return fresh

    def journal_position(self, agent: str, journal: str) -> int:
        return 3

    def store_journal(self, batches: Sequence[JournalBatch]) -> None:
        if self.broken:
            raise self.broken
        self.transactions.append([(batch.agent, batch.lines[0].n, batch.lines[-1].n) for batch in batches])


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def batch(agent: str, first: int, last: int) -> JournalBatch:
    lines = [Started(n, "1.1.1", 1, "abcdefgh", "root://s", f"/{n}", 1.0) for n in range(first, last + 1)]
    return JournalBatch(agent, agent, "j", lines)


async def test_tokens_that_wait_are_spent_together(ledger: Ledger) -> None:
    spender = TokenSpender(ledger, ledger.run, lambda: 0.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(spender.run(), name="spend")
        answers = [tasks.create_task(spender.spend(Spend(f"t{n % 30}", 1.0)), name=f"{n}") for n in range(31)]
        await asyncio.sleep(0)
        ledger.open.set()
        await asyncio.wait(answers)
        running.cancel()
    assert sum(answer.result() for answer in answers) == 30
    assert len(ledger.transactions) <= 2


async def test_a_failure_reaches_those_who_wait_and_nobody_else(ledger: Ledger) -> None:
    ledger.open.set()
    ledger.broken = OSError("full")
    spender = TokenSpender(ledger, ledger.run, lambda: 0.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(spender.run(), name="spend")
        with pytest.raises(OSError, match="full"):
            await spender.spend(Spend("a", 1.0))
        ledger.broken = None
        assert await spender.spend(Spend("a", 1.0))
        running.cancel()


class Writer:
    """A JournalWriter and what it told."""

    def __init__(self, ledger: Ledger) -> None:
        self.stored: list[tuple[str, int, list[int]]] = []
        self.trouble: list[str] = []
        self.writer = JournalWriter(
            ledger,
            ledger.run,
            lambda batch, last, lines: self.stored.append((batch.agent, last, [line.n for line in lines])),
            self.trouble.append,
        )


async def test_lines_of_many_agents_in_one_transaction(ledger: Ledger) -> None:
    one = Writer(ledger)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(one.writer.run(), name="write")
        for number in range(10):
            await one.writer.put(batch(f"a{number}", 1, 2))
        assert one.stored == []
        ledger.open.set()
        await one.writer.flush()
        running.cancel()
    assert sum(len(transaction) for transaction in ledger.transactions) == 10
    assert len(ledger.transactions) <= 2
    assert [agent for agent, _, _ in one.stored] == [f"a{number}" for number in range(10)]


async def test_what_was_stored_before_is_not_told_again(ledger: Ledger) -> None:
    ledger.open.set()
    one = Writer(ledger)
    assert await one.writer.position("a", "j") == 3
    assert await one.writer.position("a", "") == 0
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(one.writer.run(), name="write")
        await one.writer.put(batch("a", 2, 5))
        await one.writer.put(batch("a", 4, 5))
        await one.writer.flush()
        running.cancel()
    assert one.stored == [("a", 5, [4, 5]), ("a", 5, [])]


async def test_a_store_that_fails_is_tried_until_it_works(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "RETRY_SECONDS", (0.0,))
    ledger.open.set()
    ledger.broken = OSError("full")
    one = Writer(ledger)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(one.writer.run(), name="write")
        await one.writer.put(batch("a", 1, 2))
        while len(one.trouble) < 3:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        assert one.stored == []
        ledger.broken = None
        await one.writer.flush()
        running.cancel()
    assert one.stored == [("a", 2, [1, 2])]
    assert "the agents keep them" in one.trouble[0]
    assert one.trouble[-1] == ""


async def test_a_bounded_number_waits_in_memory(ledger: Ledger) -> None:
    one = Writer(ledger)
    for number in range(commits.MAX_WAITING_BATCHES):
        await one.writer.put(batch("a", number + 1, number + 1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await one.writer.put(batch("a", 99, 99))


async def test_who_was_here_is_written_down_behind_everything_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "RETRY_SECONDS", (0.0,))
    seen: list[tuple[str, Any]] = []
    commits_made: list[int] = []

    class Directory:
        def see_agents(self, together: Sequence[Sighting], now: float) -> None:
            commits_made.append(len(together))
            if any(one.identity == "bad" for one in together):
                raise OSError("full")
            seen.extend((one.identity, one.facts) for one in together)

    sightings = Sightings(Directory(), ledger.run, lambda: 1.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sightings.run(), name="see")
        for identity, facts in (("a", {"v": 1}), ("bad", {}), ("b", {"v": 1}), ("b", {"v": 2})):
            sightings.see(identity, identity, "client", facts)
        ledger.open.set()
        while len(seen) < 2:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        running.cancel()
    assert seen == [("a", {"v": 1}), ("b", {"v": 2})], "one that fails keeps nobody else from it"
    assert commits_made == [3, 1, 1, 1], "all together, and each alone only where that fails"


async def test_a_position_that_is_known_needs_no_question(ledger: Ledger) -> None:
    one = Writer(ledger)
    ledger.open.set()
    assert await one.writer.position("a", "j") == 3
    ledger.open.clear()
    assert await one.writer.position("a", "j") == 3
