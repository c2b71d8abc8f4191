"""One agent's session: reads and checks its messages, sends ours in order, and never waits for anything else.

A message that cannot be decoded, or that this role may not send, ends the session with a reason. What an agent does not
read accumulates in its outbox; if that is full, the session ends too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import (
    Acknowledge,
    Ask,
    Goodbye,
    Heartbeat,
    Journal,
    Notice,
    Register,
    ServerReport,
    Welcome,
    decode_from_agent,
    encode,
)
from gui.hub.limits import GOODBYE_SECONDS, SEND_SECONDS, SHOWN_OUT_SECONDS, abort_in, limited
from gui.hub.persistence import JournalBatch

log = logging.getLogger("tally.hub")

MAX_OUTBOX = 2000
POLICY_VIOLATION = 1008
TOO_SLOW = 1013
NORMAL = 1000


class SessionOwner(Protocol):
    """The callbacks of a session to the hub. All but `journal_lines` return at once."""

    def heartbeat(self, session: AgentSession, message: Heartbeat) -> None: ...
    def report(self, session: AgentSession, message: ServerReport) -> None: ...
    def notice(self, session: AgentSession, message: Notice) -> None: ...
    def agent_message(self, session: AgentSession, message: msgspec.Struct) -> None: ...
    async def journal_lines(self, batch: JournalBatch) -> None: ...


class BadMessageError(Exception):
    """The agent sent an invalid message; the text is the reason for ending its session."""


class AgentSession:
    """A session from its Welcome on. `heard`: when (monotonic) the last message arrived; `blocked`: it waits for us."""

    def __init__(
        self,
        websocket: ServerConnection,
        owner: SessionOwner,
        monotonic: Callable[[], float],
        *,
        agent_id: str,
        kid: str,
        name: str,
        details: Register,
        address: str,
    ) -> None:
        self.agent_id = agent_id
        self.kid = kid
        self.name = name
        self.details = details
        self.address = address
        self.began = monotonic()
        self.heard = self.began
        self.heartbeats = 0
        self.blocked = False
        self.told_to_drain = False
        self.ending = ""
        """Why we are ending it; empty otherwise."""
        self._websocket = websocket
        self._owner = owner
        self._monotonic = monotonic
        self._journal = details.journal
        self._received = 0
        self._outbox: asyncio.Queue[msgspec.Struct | None] = asyncio.Queue(MAX_OUTBOX)
        self._beat = asyncio.Event()
        self._close: tuple[int, str] = (NORMAL, "")

    @property
    def identity(self) -> str:
        """``KID/SUB``, which identifies the agent in the store."""
        return f"{self.kid}/{self.name}"

    def send(self, message: msgspec.Struct) -> bool:
        """Queue a message; False if the session is ending."""
        if self.ending:
            return False
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("! %s reads too slowly; its session is closed", self.agent_id)
            self.ending = "the agent reads too slowly"
            self._websocket.transport.abort()  # its outbox is full, so a Goodbye would never arrive
            return False
        return True

    def goodbye(self, reason: str, *, again: bool, code: int = NORMAL) -> None:
        """End the session after the queued messages are sent."""
        if self.ending:
            return
        self.send(Goodbye(reason=reason, again=again))
        if not self.ending:
            self.ending = reason
            self._close = (code, reason)
            # An agent that reads nothing would keep the session open until TCP times out.
            abort_in(self._websocket, GOODBYE_SECONDS if again else SHOWN_OUT_SECONDS)
            try:
                self._outbox.put_nowait(None)
            except asyncio.QueueFull:
                self._websocket.transport.abort()

    def drain(self, *, on: bool) -> None:
        """Tell the agent to take no new jobs, or that it may again; only what it does not know yet."""
        if on != self.told_to_drain:
            self.told_to_drain = on
            self.send(Ask(what="drain" if on else "resume"))

    async def ping(self) -> float:
        """The seconds until the agent's side answers a ping; returns when its next heartbeat has come as well. Raises
        ConnectionClosed when the session ends meanwhile; put a time limit around it."""
        self._beat.clear()
        self.send(Ask(what="time"))
        answered: float = await (await self._websocket.ping())
        await self._beat.wait()
        return answered

    async def run(self, welcome: Welcome, *, drain: bool = False) -> str:
        """Serve the session until it ends; returns the reason as a sentence fragment. `drain`: it is held so."""
        self._received = welcome.acknowledged
        self.send(welcome)
        self.drain(on=drain)
        reason = "the connection was lost"
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._sending(), name=f"send to {self.agent_id}")
            try:
                async for raw in self._websocket:
                    self.heard = self._monotonic()
                    await self._take(raw)
                reason = "the agent closed the session"
            except BadMessageError as error:
                log.warning("! %s sent an invalid message: %s", self.agent_id, error)
                reason = f"a message could not be taken: {error}"
                self.goodbye(f"A message could not be taken: {error}", again=True, code=POLICY_VIOLATION)
                await sender
            except ConnectionClosed:
                pass  # the usual end of a lost connection; `reason` says so
            finally:
                sender.cancel()
        return self.ending or reason

    async def _take(self, raw: str | bytes) -> None:
        try:
            message = decode_from_agent(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadMessageError(str(error)[:300]) from None
        match message:
            case Heartbeat():
                self.heartbeats += 1
                self._owner.heartbeat(self, message)
                self._beat.set()
            case Journal():
                await self._take_journal(message)
            case ServerReport():
                self._owner.report(self, message)
            case Notice():
                self._owner.notice(self, message)
            case Register():
                raise BadMessageError("register belongs on /register")
            case _:
                if self.details.role != "client":
                    raise BadMessageError("only an agent of role client may send this")
                self._owner.agent_message(self, message)

    async def _take_journal(self, message: Journal) -> None:
        if self.details.role != "client":
            raise BadMessageError("only an agent of role client has a journal")
        if not message.lines:
            return
        if not message.journal:
            raise BadMessageError("journal lines need the id of their journal")
        if message.journal != self._journal:  # it started a new one within the session
            self._journal, self._received = message.journal, message.lines[0].n - 1
        numbers = [line.n for line in message.lines]
        if numbers[0] > self._received + 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise BadMessageError(
                f"journal lines should go on from {self._received + 1} without holes, not {numbers[0]}…{numbers[-1]}"
            )
        self._received = max(self._received, numbers[-1])
        batch = JournalBatch(self.identity, self.name, message.journal, message.lines)
        self.blocked = True  # its heartbeats are not read while we wait here; the agent is not to blame
        try:
            await self._owner.journal_lines(batch)
        finally:
            self.blocked = False
            self.heard = self._monotonic()

    def acknowledge(self, journal: str, last: int) -> None:
        """Acknowledge the agent's lines up to `last` as stored."""
        self.send(Acknowledge(journal=journal, n=last))

    async def _sending(self) -> None:
        try:
            await self._websocket.ping()  # its answer sets `latency`
            while (message := await self._outbox.get()) is not None:
                with limited(self._websocket, SEND_SECONDS):
                    await self._websocket.send(encode(message), text=True)
            await self._websocket.close(self._close[0], shorten(self._close[1]))
        except ConnectionClosed:
            pass  # the reading side has the reason

    def round_trip(self) -> float | None:
        """The last round-trip time that a ping measured, in seconds."""
        return self._websocket.latency or None


def shorten(reason: str) -> str:
    """A reason that fits a websocket's close frame (123 bytes of UTF-8)."""
    data = reason.encode()
    return reason if len(data) <= 123 else data[:120].decode(errors="ignore") + "…"
