"""A remote hub: watching it and giving it plans to run, for ``tally run --hub`` and a remote window.

    me = Credentials(secret, kid="k-…", name="anna", pin="sha256:…")
    async with RemoteHub.open("wss://hub.example:8765", me) as hub:
        result = await hub.run(text, files=list_text, on_progress=show)

A broken connection is re-established; the run continues meanwhile, since it runs on the hub. As with agents, the
certificate is compared with the pin before a token is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import (
    Goodbye,
    Registered,
    decode_from_hub,
    encode,
    sign_token,
)
from gui.campaign.planfile import parse_plan
from gui.hub.feed import Feed
from gui.hub.operate import (
    PROTOCOL,
    Command,
    OperatorWelcome,
    Part,
    Query,
    RegisterOperator,
    Reply,
    decode_to_operator,
)
from gui.hub.roster import AgentView
from gui.runner.hublink import OPEN_SECONDS, HubLink, RemoteError
from gui.runner.mirror import PROGRESS, Mirror
from gui.runner.progress import RunProgress
from gui.runner.session import RunResult
from shoveler.service import delays
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

COMMAND_SECONDS = 60.0
TOLD_SECONDS = 30.0
NOT_AN_OPERATOR = "The key does not allow the scope operator."
"""What a hub says of an observer's key (`gui.hub.tokens`)."""


class RunLostError(RemoteError):
    """A run that the hub has started cannot be followed to its end."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our identity for the hub: a key with the scope ``operator`` or ``observer``, from ``tally key create`` there.
    `scope` empty: the most that the key allows."""

    secret: str
    kid: str
    name: str
    pin: str = ""
    ca_file: Path | None = None
    scope: str = ""

    def __repr__(self) -> str:
        return f"Credentials(kid={self.kid!r}, name={self.name!r}, scope={self.scope!r})"


class RemoteHub:
    """See the module; made by `RemoteHub.open`. `mirror` has all that the hub has told of itself; `progress` and
    `agents` are the newest from there."""

    def __init__(self, url: str, credentials: Credentials, *, insecure: bool) -> None:
        self._link = HubLink(url, pin=credentials.pin, ca_file=credentials.ca_file, insecure=insecure)
        self._url = self._link.url
        self._credentials = credentials
        self._scope = credentials.scope
        self._socket: ClientConnection | None = None
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._last_id = 0
        self._listeners: list[Callable[[RunProgress], None]] = []
        self._hearers: list[Callable[[], None]] = []
        self._parts: dict[int, list[str]] = {}
        self._changed = asyncio.Event()
        self._lost: RunLostError | None = None
        self.welcome: OperatorWelcome | None = None
        """What the hub said when it let us in last."""
        self.mirror = Mirror()
        self._ended_before: int | None = None
        """The run that had ended last when ours was asked for."""
        self.progress = RunProgress(t=time.time())

    @property
    def agents(self) -> tuple[AgentView, ...]:
        """The hub's roster."""
        return self.mirror.agents

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str, credentials: Credentials, *, insecure: bool = False) -> AsyncIterator[RemoteHub]:
        """Connect, and stay connected until the block ends. Raises RemoteError or CredentialError."""
        hub = cls(url, credentials, insecure=insecure)
        hub._socket = await hub._connect()
        task = start_task(hub._stay(), f"session with {url}")
        try:
            yield hub
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if hub._socket is not None:
                await hub._socket.close()

    @property
    def url(self) -> str:
        """``wss://HOST:PORT``."""
        return self._url

    @property
    def connected(self) -> bool:
        """Whether there is a session now; if not, one is tried again and again, unless `ended` says why not."""
        return self._socket is not None

    @property
    def ended(self) -> str:
        """Why the hub ended the session for good; empty: it has not."""
        return "" if self._lost is None else str(self._lost)

    @property
    def may_command(self) -> bool:
        """Whether this session may do more than look on."""
        return self.welcome is not None and "operator" in self.welcome.may

    async def told(self, *topics: str) -> None:
        """Wait until the hub has told all of these topics. Raises RemoteError."""
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                while not all(self.mirror.complete(topic) for topic in topics):
                    if self._lost is not None:
                        raise self._lost
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise RemoteError(f"The hub at {self._url} told nothing for {TOLD_SECONDS:g} s.") from None

    def must_be_of_our_time(self) -> None:
        """Raises RemoteError when the hub is too old or too new for copies of its results and for a window."""
        assert self.welcome is not None
        if self.welcome.protocol != PROTOCOL:
            raise other_version(self._url, self.welcome.hub_version, older=self.welcome.protocol < PROTOCOL)

    def subscribe(self, listener: Callable[[RunProgress], None]) -> Callable[[], None]:
        """Call `listener` with each snapshot that arrives. Call the result to unsubscribe."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def subscribe_all(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each message of the feed. Call the result to unsubscribe."""
        self._hearers.append(listener)
        return lambda: self._hearers.remove(listener) if listener in self._hearers else None

    async def run(
        self,
        plan: str,
        *,
        files: str = "",
        wait: float | None = None,
        on_progress: Callable[[RunProgress], None] | None = None,
    ) -> RunResult:
        """Have the hub run a plan (TOML, with the text of its file list), for whose clients it waits at most so many
        seconds; returns the result. Raises RemoteError.
        If the connection breaks meanwhile, the result is taken from the hub afterwards."""
        self._ended_before = self.mirror.ended
        unsubscribe = self.subscribe(on_progress) if on_progress else None
        try:
            reply = await self._ask(Command(id=self._next_id(), do="run", plan=plan, files=files, wait=wait), None)
        finally:
            if unsubscribe:
                unsubscribe()
        if isinstance(reply, RunResult):
            return reply
        return msgspec.convert(reply.value, RunResult)

    async def stop(self) -> None:
        """Let the run finish its round and settle. Raises RemoteError."""
        await self._ask(Command(id=self._next_id(), do="stop"), COMMAND_SECONDS)

    async def abort(self) -> None:
        """End the run at once. Raises RemoteError."""
        await self._ask(Command(id=self._next_id(), do="abort"), COMMAND_SECONDS)

    async def pause(self, *, on: bool = True) -> None:
        """Hand nothing out until the run is resumed (`on` False). Raises RemoteError."""
        await self._ask(Command(id=self._next_id(), do="pause" if on else "continue"), COMMAND_SECONDS)

    async def ask(self, command: Command) -> Any:
        """Send any other command (its `id` is chosen here); returns the value of the reply. Raises RemoteError."""
        reply = await self._ask(msgspec.structs.replace(command, id=self._next_id()), COMMAND_SECONDS)
        return reply.value if isinstance(reply, Reply) else None

    async def query(self, query: Query) -> Any:
        """Ask for results (the query's `id` is chosen here); returns the JSON document. Raises RemoteError."""
        reply = await self._ask(msgspec.structs.replace(query, id=self._next_id()), COMMAND_SECONDS)
        return msgspec.json.decode(reply.value) if isinstance(reply, Reply) else None

    # ---- commands

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _ask(self, command: Command | Query, seconds: float | None) -> Reply | RunResult:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[command.id] = answer
        socket = self._socket
        try:
            if socket is None:
                raise RemoteError(f"The hub at {self._url} is not connected now; try again.")
            await socket.send(encode(command), text=True)
            async with asyncio.timeout(seconds):
                reply = await self._answer(command, answer, socket)
        except TimeoutError:
            raise RemoteError(f"The hub did not answer within {seconds:g} s.") from None
        except ConnectionClosed as error:
            raise RemoteError("The connection to the hub broke while it was asked.") from error
        finally:
            self._replies.pop(command.id, None)
            self._parts.pop(command.id, None)
        if isinstance(reply, Reply) and not reply.ok:
            raise RemoteError(reply.text)
        return reply

    async def _answer(
        self, command: Command | Query, answer: asyncio.Future[Reply], socket: ClientConnection
    ) -> Reply | RunResult:
        """The reply; or, for a run whose session was lost, the result that the hub publishes."""
        while not answer.done():
            self._changed.clear()
            if self._lost is not None:
                raise self._lost
            if self._socket is not socket:  # a reply goes to the session that sent the command, which is gone
                if not isinstance(command, Command) or command.do != "run":
                    raise RemoteError("The connection to the hub broke before it answered.")
                result = self.mirror.result
                if result is not None and result.run == self.progress.run != self._ended_before:
                    return result
                if self._socket is not None and self.mirror.complete("run") and self.progress.run is None:
                    raise RunLostError("The hub was restarted during the run; its results tell how far it came.")
            await self._changed.wait()
        return answer.result()

    # ---- the connection

    async def _stay(self) -> None:
        while self._socket is not None:
            goodbye = await self._listen(self._socket)
            self._socket = None
            self.mirror.lost()
            if goodbye is not None and not goodbye.again:
                self._lost = RunLostError(f"The hub ended the session: {goodbye.reason}.")
            self._changed.set()
            if self._lost is None:
                self._socket = await self._come_back()
                self._changed.set()

    async def _come_back(self) -> ClientConnection:
        for wait in delays(1.0, 15.0):
            await asyncio.sleep(wait)
            try:
                return await self._connect()
            except RemoteError as error:
                log.warning("! %s", error)
        raise AssertionError("delays never end")

    async def _listen(self, socket: ClientConnection) -> Goodbye | None:
        try:
            async for raw in socket:
                match decode_to_operator(raw):
                    case Feed() as feed:
                        self._take(feed)
                    case Reply() as reply:
                        self._replied(reply)
                    case Part() as part:
                        texts = self._parts.setdefault(part.id, [])
                        texts.append(part.text)
                        if not part.more:
                            self._replied(Reply(id=part.id, ok=True, value="".join(self._parts.pop(part.id))))
                    case Goodbye() as goodbye:
                        return goodbye
                    case _:
                        pass  # a second welcome adds nothing
        except ConnectionClosed:
            log.debug("= the connection to %s broke", self._url)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("! %s sent an invalid message: %s", self._url, error)
            await socket.close(1008, "not a message of tally.1")
        return None

    def _take(self, feed: Feed) -> None:
        self.mirror.take(feed)
        if feed.topic in PROGRESS:
            self.progress = self.mirror.progress()
            for listener in tuple(self._listeners):
                listener(self.progress)
        for hearer in tuple(self._hearers):
            hearer()
        self._changed.set()

    def _replied(self, reply: Reply) -> None:
        answer = self._replies.get(reply.id)
        if answer is not None and not answer.done():
            answer.set_result(reply)
            self._changed.set()

    async def _connect(self) -> ClientConnection:
        """Both steps of joining. Raises RemoteError."""
        try:
            return await self._join(self._scope or "operator")
        except RemoteError as error:
            if self._scope or NOT_AN_OPERATOR not in str(error):
                raise
        self._scope = "observer"
        return await self._join(self._scope)

    async def _join(self, scope: str) -> ClientConnection:
        own = self._credentials
        token = sign_token(own.secret, sub=own.name, scope=scope, kid=own.kid)
        hello = RegisterOperator(host=gethostname(), version=version("xrootd-tally"))
        with self._link.told():
            async with asyncio.timeout(3 * OPEN_SECONDS):
                async with await self._link.open("/register", {"Authorization": f"Bearer {token}"}) as socket:
                    await socket.send(encode(hello), text=True)
                    registered = decode_from_hub(await socket.recv())
                if not isinstance(registered, Registered):
                    raise RemoteError(f"The hub does not let us in: {getattr(registered, 'reason', registered)}.")
                client_id = quote(registered.client_id, safe="")
                socket = await self._link.open(f"/operate?client_id={client_id}", {})
                welcome = decode_to_operator(await socket.recv())
        if not isinstance(welcome, OperatorWelcome):
            await socket.close()
            raise RemoteError(f"{self._url} does not answer as a hub does.")
        self.welcome = welcome
        return socket


def file_lists(text: str, directory: Path) -> str:
    """The text of the plan's file list, which a remote hub cannot read; empty if there is none. Blocking. Raises
    RemoteError and PlanError."""
    lists = {test.files.list for test in parse_plan(text).tests if test.files.list}
    if len(lists) > 1:
        raise RemoteError(
            "A plan for a remote hub can have only one file list; put tests with other file lists into separate plans."
        )
    for name in lists:
        try:
            return (directory / name).read_text("utf-8")
        except OSError as error:
            raise RemoteError(f"The file list {directory / name} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            raise RemoteError(f"The file list {directory / name} cannot be read: it is not UTF-8 text.") from None
    return ""


def other_version(url: str, theirs: str, *, older: bool) -> RemoteError:
    """What is said of a hub of another time."""
    what, which = ("an older", "the hub") if older else ("a newer", "this Tally")
    return RemoteError(
        f"The hub at {url} runs Tally {theirs} with {what} protocol or database than this one "
        f"({version('xrootd-tally')}): update {which}."
    )
