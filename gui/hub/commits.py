"""Group commits: what arrives while the database is busy is stored together, without waiting in the event loop.

`TokenSpender` answers each registration once its token is stored as spent; `JournalWriter` acknowledges lines once they
are on disk. Both call the store in a thread. When the store fails, a registration is refused for now, and journal
lines stay in memory, unacknowledged, until it works again; the queue is bounded and sessions wait for room, so that
the agents keep the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from agent.messages import Line
from gui.hub.persistence import AgentDirectory, JournalBatch, JournalSink, Sighting, Spend, TokenLedger

log = logging.getLogger("tally.hub")

MAX_WAITING_BATCHES = 64
"""Maximum number of journal messages in memory. Each has at most 4 MiB, usually far less; 64 keep a commit busy for a
second."""
MAX_LINES_PER_COMMIT = 20_000
MAX_SIGHTINGS_PER_COMMIT = 200
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
MAX_POSITIONS = 20_000


class RunBlocking(Protocol):
    """Runs a blocking function in a thread."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...


class TokenSpender:
    """Stores tokens as spent, many in one transaction."""

    def __init__(self, ledger: TokenLedger, run_blocking: RunBlocking, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._run_blocking = run_blocking
        self._clock = clock
        self._waiting: list[tuple[Spend, asyncio.Future[bool]]] = []
        self._arrived = asyncio.Event()

    async def spend(self, spend: Spend) -> bool:
        """Store a token as spent; False if it was spent before. Raises what the store raises."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((spend, answer))
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """The task that commits; cancel it to stop."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            try:
                fresh = await self._run_blocking(
                    self._ledger.spend_tokens, [spend for spend, _ in batch], self._clock()
                )
            except Exception as error:  # noqa: BLE001 - whatever the store raises must reach those who wait
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), good in zip(batch, fresh, strict=True):
                if not answer.done():
                    answer.set_result(good)


class Sightings:
    """Stores which agents have connected, behind everything else: nobody waits for it.

    All that have come meanwhile are stored together: of a thousand agents that connect at once, each would otherwise
    put a transaction, and its wait for the disk, between the registrations of the others."""

    def __init__(self, directory: AgentDirectory, run_blocking: RunBlocking, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._run_blocking = run_blocking
        self._clock = clock
        self._waiting: dict[str, Sighting] = {}
        self._arrived = asyncio.Event()

    def see(self, identity: str, name: str, role: str, facts: Mapping[str, Any]) -> None:
        """An agent opened a session; only its newest facts count."""
        self._waiting[identity] = Sighting(identity, name, role, facts)
        self._arrived.set()

    async def run(self) -> None:
        """The task that writes; cancel it to stop."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            seen, self._waiting = list(self._waiting.values()), {}
            for start in range(0, len(seen), MAX_SIGHTINGS_PER_COMMIT):
                await self._store(seen[start : start + MAX_SIGHTINGS_PER_COMMIT])

    async def _store(self, seen: Sequence[Sighting]) -> None:
        """Store these; what cannot be stored keeps nobody else from it."""
        try:
            await self._run_blocking(self._directory.see_agents, seen, self._clock())
        except Exception:
            if len(seen) > 1:
                for one in seen:
                    await self._store([one])
                return
            # Only the list of agents is incomplete; others report a full disk.
            log.exception("! %s was not stored in the list of agents", seen[0].identity)
            await asyncio.sleep(RETRY_SECONDS[-1])


class JournalWriter:
    """Stores the journal lines of all agents, in order of arrival.

    `stored(batch, last, lines)` is called on the loop after each commit: the number of the last stored line, and the
    lines that were new (a resent line is announced once). `trouble(text)` is called when the store fails, with ""
    when it works again."""

    def __init__(
        self,
        sink: JournalSink,
        run_blocking: RunBlocking,
        stored: Callable[[JournalBatch, int, Sequence[Line]], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._sink = sink
        self._run_blocking = run_blocking
        self._stored = stored
        self._trouble = trouble
        self._queue: asyncio.Queue[JournalBatch] = asyncio.Queue(MAX_WAITING_BATCHES)
        self._positions: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.lines = 0
        """Stored so far; lines that came again are counted once."""

    async def position(self, agent: str, journal: str) -> int:
        """The last stored line of an agent's journal. Raises what the store raises."""
        if not journal:
            return 0
        known = self._positions.get((agent, journal))
        if known is not None:  # everything that is stored goes through here
            return known
        last = int(await self._run_blocking(self._sink.journal_position, agent, journal))
        self._remember(agent, journal, last)
        return last

    async def put(self, batch: JournalBatch) -> None:
        """Queue lines to be stored; waits while the queue is full."""
        await self._queue.put(batch)

    async def run(self) -> None:
        """The task that commits; cancel it to stop. Call `flush` first so that nothing in memory is lost."""
        while True:
            batches = [await self._queue.get()]
            lines = len(batches[0].lines)
            while lines < MAX_LINES_PER_COMMIT and not self._queue.empty():
                batches.append(self._queue.get_nowait())
                lines += len(batches[-1].lines)
            await self._commit(batches)
            for _ in batches:
                self._queue.task_done()

    async def flush(self) -> None:
        """Wait until everything that was put is stored."""
        await self._queue.join()

    async def _commit(self, batches: list[JournalBatch]) -> None:
        tries = 0
        while True:
            try:
                await self._run_blocking(self._sink.store_journal, batches)
                break
            except Exception as error:
                if not tries:
                    log.exception("! journal lines cannot be stored; they stay unacknowledged")
                self._trouble(f"Journal lines cannot be stored ({error}); the agents keep them until it works again.")
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
        if tries:
            log.warning("= journal lines are stored again")
            self._trouble("")
        for batch in batches:
            known = self._positions.get((batch.agent, batch.journal), 0)
            last = max(known, batch.lines[-1].n)
            self._remember(batch.agent, batch.journal, last)
            fresh = [line for line in batch.lines if line.n > known]
            self.lines += len(fresh)
            self._stored(batch, last, fresh)

    def _remember(self, agent: str, journal: str, last: int) -> None:
        key = (agent, journal)
        self._positions[key] = max(last, self._positions.get(key, 0))
        self._positions.move_to_end(key)
        while len(self._positions) > MAX_POSITIONS:
            self._positions.popitem(last=False)
