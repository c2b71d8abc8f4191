"""The protocol between the hub and a remote window or command, on ``/operate``.

    operator → hub   RegisterOperator (on /register), then Command
    hub → operator   agent.messages.Registered (on /register), then OperatorWelcome, Feed, Reply, agent.messages.Goodbye

Joining is the same as for agents (token, one-time id, session), with the scopes ``observer`` (the feed) and
``operator`` (the feed and commands). A *feed* message is the newest state of one topic, at most five per second for
each; states in between are skipped. For a topic that is too large to be sent whole each time
(`Topics.publish_parts_of`), each session gets what it does not have yet. The hub passes commands to whoever runs
campaigns (`Conductor`) and sends the answer back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import Goodbye, Message, Name, Short, Time, encode
from gui.hub.session import NORMAL, POLICY_VIOLATION, shorten

log = logging.getLogger("tally.hub")

FEED_SECONDS = 0.2
MAX_PLAN = 1024 * 1024


class RegisterOperator(Message, frozen=True, tag="register_operator"):
    """First message on /register with an observer's or operator's token."""

    host: Short
    version: Short
    pid: Annotated[int, Meta(ge=0, le=2**53)] = 0


class OperatorWelcome(Message, frozen=True, tag="operator_welcome"):
    """First message on /operate. `may` are the scopes that this session has."""

    public_id: Short
    hub_version: Short
    hub_time: Time
    may: list[str]


class Command(Message, frozen=True, tag="command"):
    """A command of the operator. "run" needs `plan` (TOML) and may include `files` (the text of its file list)."""

    id: Annotated[int, Meta(ge=0, le=2**53)]
    do: Literal["run", "stop", "abort", "invite", "disconnect", "allow", "drain", "resume", "revoke", "ping"]
    plan: Annotated[str, Meta(max_length=MAX_PLAN)] = ""
    files: Annotated[str, Meta(max_length=2 * MAX_PLAN)] = ""
    agent: Annotated[str, Meta(max_length=64)] = ""
    """Public id of the agent that a command is about."""
    lasts: Annotated[float, Meta(ge=0, le=1e9)] | None = 0.0
    """"disconnect": for how many seconds the agent is kept out; 0: it may come back at once, None: until "allow"."""
    role: Literal["client", "server"] = "client"
    ttl: Annotated[float, Meta(ge=0, le=86400)] = 3600.0
    uses: Annotated[int, Meta(ge=0, le=10_000)] = 1


class Reply(Message, frozen=True, tag="reply"):
    """Answer to the Command with this `id`. `text` is one sentence if it was not carried out."""

    id: int
    ok: bool
    text: str = ""
    value: Any = None


class Feed(Message, frozen=True, tag="feed"):
    """The newest state of a topic: "agents", "progress" or "result"."""

    topic: Name
    value: Any


FromOperator = RegisterOperator | Command
ToOperator = OperatorWelcome | Feed | Reply | Goodbye
decode_from_operator: Callable[[str | bytes], FromOperator] = msgspec.json.Decoder(FromOperator).decode
decode_to_operator: Callable[[str | bytes], ToOperator] = msgspec.json.Decoder(ToOperator).decode
_builtins = msgspec.to_builtins

Conductor = Callable[[Command], Awaitable[Any]]
"""Carries out a command and returns the reply's value; raises CommandRefusedError with one sentence."""


class CommandRefusedError(Exception):
    """A command that is not carried out; the text says why."""


Excerpt = Callable[[Any], tuple[Any, bool]]
"""Maps the newest state of a topic to the part that one session lacks, and whether more is left for later."""


@dataclass(slots=True)
class Told:
    """What one session has received: versions by topic, and what makes excerpts for it."""

    versions: dict[str, int] = field(default_factory=dict)
    excerpts: dict[str, Excerpt] = field(default_factory=dict)


class Topics:
    """The newest state of each topic, for all operators' sessions."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._makers: dict[str, Callable[[], Excerpt]] = {}
        self._changed: set[asyncio.Event] = set()

    def publish(self, topic: str, value: Any) -> None:
        """Replace the state of a topic. `value` is made of dataclasses, structs and plain values; it is not copied."""
        self._values[topic] = value
        self._versions[topic] = self._versions.get(topic, 0) + 1
        for event in self._changed:
            event.set()

    def watch(self) -> asyncio.Event:
        """An event that is set at each change; release it with `unwatch`."""
        event = asyncio.Event()
        event.set()
        self._changed.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Release an event."""
        self._changed.discard(event)

    def publish_parts_of(self, topic: str, make: Callable[[], Excerpt]) -> None:
        """Send each session excerpts of this topic; `make` is called once for each session."""
        self._makers[topic] = make

    def since(self, told: Told) -> list[Feed]:
        """What is newer than `told` (which is updated), as far as it fits into one message."""
        feeds = []
        for topic, version in self._versions.items():
            if told.versions.get(topic) == version:
                continue
            value, more = self._values[topic], False
            if topic in self._makers:
                if topic not in told.excerpts:
                    told.excerpts[topic] = self._makers[topic]()
                value, more = told.excerpts[topic](value)
            feeds.append(Feed(topic=topic, value=_builtins(value)))
            if not more:
                told.versions[topic] = version
        return feeds

    def behind(self, told: Told) -> bool:
        """Whether `since` has more to send."""
        return told.versions != self._versions


class OperatorSession:
    """One operator's session. `spawn` starts a task that outlives it: a command continues when a laptop is closed."""

    def __init__(
        self,
        websocket: ServerConnection,
        topics: Topics,
        conduct: Callable[[Command, str], Awaitable[Any]],
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
        self._spawn = spawn
        self._may_command = "operator" in scopes

    async def run(self, welcome: OperatorWelcome) -> None:
        """Serve the session until it ends."""
        try:
            await self._websocket.send(encode(welcome), text=True)
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
        """End the session with a reason."""
        try:
            await self._websocket.send(encode(Goodbye(reason=reason, again=again)), text=True)
        except ConnectionClosed:
            return
        await self._websocket.close(code, shorten(reason))

    async def _take(self, raw: str | bytes) -> None:
        try:
            message = decode_from_operator(raw)
            if not isinstance(message, Command):
                raise msgspec.ValidationError("register_operator belongs on /register")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await self.close(f"A message could not be taken: {str(error)[:300]}", again=True, code=POLICY_VIOLATION)
            return
        if not self._may_command:
            text = "This session may look on only: its token has the scope observer, and commands need operator."
            await self._reply(Reply(id=message.id, ok=False, text=text))
            return
        # A run takes long; "stop" must be received meanwhile.
        self._spawn(self._carry_out(message), f"{message.do} for {self.name}")

    async def _carry_out(self, command: Command) -> None:
        log.info("< %s: %s", self.name, command.do)
        try:
            value = await self._conduct(command, self._who)
        except CommandRefusedError as refused:
            await self._reply(Reply(id=command.id, ok=False, text=str(refused)))
        else:
            await self._reply(Reply(id=command.id, ok=True, value=value))

    async def _reply(self, reply: Reply) -> None:
        try:
            await self._websocket.send(encode(reply), text=True)
        except ConnectionClosed:
            log.info("= %s was gone before the answer to its command", self.name)

    async def _feeding(self) -> None:
        told = Told()
        changed = self._topics.watch()
        try:
            while True:
                await changed.wait()
                changed.clear()
                for feed in self._topics.since(told):
                    await self._websocket.send(encode(feed), text=True)
                if self._topics.behind(told):
                    changed.set()
                await asyncio.sleep(FEED_SECONDS)
        finally:
            self._topics.unwatch(changed)
