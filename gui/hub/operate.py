"""The protocol between the hub and a remote window or command, on ``/operate``.

    operator → hub   RegisterOperator (on /register), then Command, Query
    hub → operator   agent.messages.Registered (on /register), then OperatorWelcome, gui.hub.feed.Feed, Reply, Part,
                     agent.messages.Goodbye

Joining is the same as for agents (token, one-time id, session), with the scopes ``observer`` (the feed and queries) and
``operator`` (these and commands). The *feed* is what is new in each topic, at most five times a second; see `feed`. A
query is answered by the parts of a JSON document. The hub passes commands to whoever runs campaigns (`Conductor`) and
queries to whoever has the results (`Answerer`). docs/hub.md describes all of it for other programs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import Goodbye, Message, Short, Time, encode
from gui.hub.feed import Feed, Told, Topics
from gui.hub.limits import GOODBYE_SECONDS, SEND_SECONDS, SHOWN_OUT_SECONDS, limited
from gui.hub.session import NORMAL, POLICY_VIOLATION, shorten

log = logging.getLogger("tally.hub")

PROTOCOL = 2
"""Of this door. 2: copies of the database ("parts", "rows"), pausing."""
FEED_SECONDS = 0.2
MAX_PLAN = 1024 * 1024
MAX_UNDER_WAY = 32
"""Commands and queries of a session that are not answered yet; more are refused."""
PART = 256 * 1024
"""Characters of an answer in one message."""


KeyValue = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | Annotated[str, Meta(max_length=1024)]
"""A value of a primary key."""


class RegisterOperator(Message, frozen=True, tag="register_operator"):
    """First message on /register with an observer's or operator's token."""

    host: Short
    version: Short
    pid: Annotated[int, Meta(ge=0, le=2**53)] = 0


class OperatorWelcome(Message, frozen=True, tag="operator_welcome"):
    """First message on /operate. `may` are the scopes that this session has, `protocol` is what the hub knows."""

    public_id: Short
    hub_version: Short
    hub_time: Time
    may: list[str]
    protocol: int = 1


class Command(Message, frozen=True, tag="command"):
    """A command of the operator. "run" needs `plan` (TOML) and may include `files` (the text of its file list), and for
    how many seconds to `wait` for its clients (null: as long as the hub does by itself)."""

    id: Annotated[int, Meta(ge=0, le=2**53)]
    do: Literal[
        "run",
        "stop",
        "abort",
        "pause",
        "continue",
        "invite",
        "disconnect",
        "allow",
        "drain",
        "resume",
        "revoke",
        "ping",
    ]
    plan: Annotated[str, Meta(max_length=MAX_PLAN)] = ""
    files: Annotated[str, Meta(max_length=2 * MAX_PLAN)] = ""
    wait: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    agent: Annotated[str, Meta(max_length=64)] = ""
    """Public id of the agent that a command is about."""
    lasts: Annotated[float, Meta(ge=0, le=1e9)] | None = 0.0
    """"disconnect": for how many seconds the agent is kept out; 0: it may come back at once, None: until "allow"."""
    role: Literal["client", "server"] = "client"
    ttl: Annotated[float, Meta(ge=0, le=86400)] = 3600.0
    uses: Annotated[int, Meta(ge=0, le=10_000)] = 1


class Query(Message, frozen=True, tag="query"):
    """A question, which observers may ask as well: "runs" (newest first, those below `before` if it is not 0, at most
    `limit`), or of one `run` its "plan" or its "result". For a copy of the results (`gui.store.replica`): "parts" and
    their versions; "rows" of a `table` of the parts of this `kind` and these `numbers`, at most `limit`, `after` a
    key."""

    id: Annotated[int, Meta(ge=0, le=2**53)]
    what: Literal["runs", "plan", "result", "parts", "rows"]
    run: Annotated[int, Meta(ge=0, le=2**53)] = 0
    before: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    kind: Literal["known", "run", "details", "day"] = "known"
    numbers: Annotated[tuple[Annotated[int, Meta(ge=0, le=2**53)], ...], Meta(max_length=100)] = ()
    table: Annotated[str, Meta(max_length=64)] = ""
    after: Annotated[tuple[KeyValue, ...], Meta(max_length=8)] = ()


class Part(Message, frozen=True, tag="part"):
    """Part of the answer to the Query with this `id`: the texts of all parts, joined, are a JSON document. The last
    part has `more` False. A query that cannot be answered gets a Reply with `ok` False instead."""

    id: int
    text: str
    more: bool = False


class Reply(Message, frozen=True, tag="reply"):
    """Answer to the Command with this `id`. `text` is one sentence if it was not carried out."""

    id: int
    ok: bool
    text: str = ""
    value: Any = None


FromOperator = RegisterOperator | Command | Query
ToOperator = OperatorWelcome | Feed | Reply | Part | Goodbye
decode_from_operator: Callable[[str | bytes], FromOperator] = msgspec.json.Decoder(FromOperator).decode
decode_to_operator: Callable[[str | bytes], ToOperator] = msgspec.json.Decoder(ToOperator).decode

Conductor = Callable[[Command, str], Awaitable[Any]]
"""Carries out a command of the operator that is named, and returns the reply's value; raises CommandRefusedError with
one sentence."""
Answerer = Callable[[Query], Awaitable[bytes]]
"""Answers a query with a JSON document; raises CommandRefusedError with one sentence."""


class CommandRefusedError(Exception):
    """A command that is not carried out, or a query that has no answer; the text says why."""


class OperatorSession:
    """One operator's session. `spawn` starts a task that outlives it: a command continues when a laptop is closed."""

    def __init__(
        self,
        websocket: ServerConnection,
        topics: Topics,
        conduct: Callable[[Command, str], Awaitable[Any]],
        answer: Answerer,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        name: str,
        kid: str,
        scopes: tuple[str, ...],
    ) -> None:
        """`conduct` carries out a command of the operator that is named to it."""
        self.name = name
        self.kid = kid
        self._who = f"{name} with key {kid}"
        self._websocket = websocket
        self._topics = topics
        self._conduct = conduct
        self._answer = answer
        self._spawn = spawn
        self._may_command = "operator" in scopes
        self._under_way = 0
        self._ending = False

    async def run(self, welcome: OperatorWelcome) -> None:
        """Serve the session until it ends."""
        try:
            await self._send(welcome)
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(self._feeding(), name=f"feed to {self.name}")
                try:
                    async for raw in self._websocket:
                        await self._take(raw)
                finally:
                    feeding.cancel()
        except* ConnectionClosed:
            pass  # the usual end of a session

    async def close(self, reason: str, *, again: bool, code: int = NORMAL) -> None:
        """End the session with a reason, within `GOODBYE_SECONDS` whatever the other side does; one that is not to come
        again, within `SHOWN_OUT_SECONDS`. What it says meanwhile is not taken."""
        self._ending = True
        with limited(self._websocket, GOODBYE_SECONDS if again else SHOWN_OUT_SECONDS):
            try:
                await self._websocket.send(encode(Goodbye(reason=reason, again=again)), text=True)
            except ConnectionClosed:
                return
            await self._websocket.close(code, shorten(reason))

    async def _send(self, message: msgspec.Struct) -> None:
        with limited(self._websocket, SEND_SECONDS):
            await self._websocket.send(encode(message), text=True)

    async def _take(self, raw: str | bytes) -> None:
        if self._ending:
            return
        try:
            message = decode_from_operator(raw)
            if isinstance(message, RegisterOperator):
                raise msgspec.ValidationError("register_operator belongs on /register")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await self.close(f"A message could not be taken: {str(error)[:300]}", again=True, code=POLICY_VIOLATION)
            return
        if isinstance(message, Command) and not self._may_command:
            text = "This session may look on only: its token has the scope observer, and commands need operator."
            await self._reply(Reply(id=message.id, ok=False, text=text))
            return
        if self._under_way >= MAX_UNDER_WAY:
            text = f"{MAX_UNDER_WAY} commands and queries of this session have no answer yet; wait for one."
            await self._reply(Reply(id=message.id, ok=False, text=text))
            return
        # A run takes long; "stop" must be received meanwhile.
        self._under_way += 1
        what = message.do if isinstance(message, Command) else message.what
        self._spawn(self._carry_out(message), f"{what} for {self.name}")

    async def _carry_out(self, message: Command | Query) -> None:
        try:
            if isinstance(message, Command):
                log.info("< %s: %s", self.name, message.do)
                await self._reply(Reply(id=message.id, ok=True, value=await self._conduct(message, self._who)))
            else:
                await self._tell(message.id, await self._answer(message))
        except CommandRefusedError as refused:
            await self._reply(Reply(id=message.id, ok=False, text=str(refused)))
        finally:
            self._under_way -= 1

    async def _tell(self, query: int, document: bytes) -> None:
        text = document.decode()
        try:
            for begin in range(0, len(text), PART):
                end = begin + PART
                await self._send(Part(id=query, text=text[begin:end], more=end < len(text)))
        except ConnectionClosed:
            log.info("= %s was gone before the answer to its query", self.name)

    async def _reply(self, reply: Reply) -> None:
        try:
            await self._send(reply)
        except ConnectionClosed:
            log.info("= %s was gone before the answer to its command", self.name)

    async def _feeding(self) -> None:
        told: dict[str, Told] = {}
        changed = self._topics.watch()
        try:
            while True:
                await changed.wait()
                changed.clear()
                for feed in self._topics.since(told):
                    await self._send(feed)
                if self._topics.behind(told):
                    changed.set()
                await asyncio.sleep(FEED_SECONDS)
        finally:
            self._topics.unwatch(changed)
