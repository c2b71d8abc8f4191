"""The hub itself: takes connections, asks `tokens` and `admission` who may come in, and runs their sessions.

It never waits for the store in the event loop: every call goes through a few threads of its own. What agents say goes
to one `HubListener` (the runner); what the window shows comes from the `roster`.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.messages import (
    MAX_MESSAGE,
    SUBPROTOCOL,
    Ask,
    CredentialError,
    Goodbye,
    Heartbeat,
    Line,
    Notice,
    PersonalKey,
    Register,
    Registered,
    ServerReport,
    Welcome,
    decode_from_agent,
    encode,
)
from gui.hub import keys
from gui.hub.admission import Holder, Operator, RefusalRate, Registration, Registrations, check_name
from gui.hub.certificate import Identity, given_identity, own_identity
from gui.hub.commits import JournalWriter, Sightings, TokenSpender
from gui.hub.operate import (
    Command,
    CommandRefused,
    Conductor,
    OperatorSession,
    OperatorWelcome,
    RegisterOperator,
    Topics,
    decode_from_operator,
)
from gui.hub.persistence import SHARED, HubStore, Issued, JournalBatch, Key, Role, Spend
from gui.hub.roster import MAX_NOTICES, MISSED, AgentView, ClockOffset, Roster, public_id
from gui.hub.session import POLICY_VIOLATION, AgentSession, shorten
from gui.hub.tokens import Bearer, Refusal, UnknownKey, read_authorization

log = logging.getLogger("tally.hub")
# websockets reports peers that break off or talk nonsense with a traceback each; here that is everyday life.
_quiet = logging.getLogger("tally.hub.websockets")
_quiet.setLevel(logging.CRITICAL)

DEFAULT_LISTEN = ("0.0.0.0", 8765)  # noqa: S104 - agents come from other machines; TLS and tokens stand before all
FIRST_MESSAGE_SECONDS = 10.0
REFRESH_SECONDS = 2.0
RELOAD_SECONDS = 0.5
ANNOUNCE_SECONDS = 0.1
MAX_AGENTS = 10_000


class HubError(Exception):
    """The hub cannot be started; one sentence for a person."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a hub listens.

    `directory` keeps its key and certificate, unless `certificate` and `key` name an operator's own. `public` is the
    address that agents reach, for join strings (``HOST`` or ``HOST:PORT``); empty: this host's name."""

    directory: Path
    host: str = DEFAULT_LISTEN[0]
    port: int = DEFAULT_LISTEN[1]
    insecure: bool = False
    certificate: Path | None = None
    key: Path | None = None
    public: str = ""
    heartbeat: float = 2.0
    version: str = ""


class HubListener:
    """What a hub tells its owner, on the event loop; all methods must return at once. Override what you need."""

    def agent_up(self, agent: AgentView) -> None:
        """An agent's session began, or it is heard of again; `agent.jobs` says which workers it has."""

    def agent_missing(self, agent: AgentView) -> None:
        """An agent's session ended, or it has missed three heartbeats."""

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        """Sample, RoundDone, RepeatReady, RepeatDone or Probed from a client agent."""

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        """Journal lines are on disk up to `last`; `lines` are those that were new."""

    def problem(self, where: str, text: str) -> None:
        """Something a person should know; an empty text says that the trouble at `where` is over."""


class _Connection(ServerConnection):
    """A connection that remembers what was decided about its request."""

    admitted: Bearer | Registration | None = None


class Hub:
    """Use as ``async with Hub(store, options) as hub``. All methods belong to the event loop it was entered in."""

    def __init__(
        self,
        store: HubStore,
        options: HubOptions,
        *,
        listener: HubListener | None = None,
        conductor: Conductor | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.listener = listener or HubListener()
        self.conductor = conductor
        self.topics = Topics()
        self.roster = Roster(soon=self._soon)
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._book = keys.KeyBook({}, {})
        self._book_read = float("-inf")
        self._reloading: asyncio.Task[None] | None = None
        self._registrations = Registrations()
        self._rate = RefusalRate()
        self._sessions: dict[str, AgentSession] = {}
        """By public id; and by name, since no two agents of the same name are live."""
        self._by_name: dict[str, AgentSession] = {}
        self._operators: set[OperatorSession] = set()
        self._commands: set[asyncio.Task[None]] = set()
        """What operators asked for and is being done."""
        self._offsets: dict[str, ClockOffset] = {}
        self._spender = TokenSpender(store, self.run_blocking, clock)
        self._writer = JournalWriter(store, self.run_blocking, self._journal_stored, self._journal_trouble)
        self._sightings = Sightings(store, self.run_blocking, clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._serving: set[asyncio.Task[Any]] = set()
        self._identity: Identity | None = None
        self._server: Server | None = None
        self._closing = False

    # ---- start and end

    async def __aenter__(self) -> Self:
        """Listen. Raises HubError (address in use, not loopback…), CertificateError, and what the store raises."""
        options = self.options
        self._loop = asyncio.get_running_loop()
        if options.insecure and not is_loopback(options.host):
            raise HubError(
                f"Without TLS a hub listens on this machine only, and {options.host} is not: use 127.0.0.1, or TLS."
            )
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="hub-store")
        try:
            await self._load_book()
            if not options.insecure:
                self._identity = await self.run_blocking(self._find_identity)
            context = self._identity.context() if self._identity else None
            self._server = await serve(
                self._handle,
                options.host or None,
                options.port,
                ssl=context,
                process_request=self._admit,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=MAX_MESSAGE,
                max_queue=4,
                open_timeout=10,
                close_timeout=2,
                ping_interval=10,
                ping_timeout=20,
                server_header=None,
                logger=_quiet,
                create_connection=_Connection,
                backlog=1024,
            )
        except OSError as error:
            self._threads.shutdown(wait=False)
            reason = error.strerror or str(error)
            raise HubError(f"The hub cannot listen on {options.host}:{options.port}: {reason}.") from error
        except BaseException:
            self._threads.shutdown(wait=False)
            raise
        for name, work in (
            ("hub spends tokens", self._spender.run()),
            ("hub stores journals", self._writer.run()),
            ("hub writes down agents", self._sightings.run()),
            ("hub watches agents", self._watch()),
            ("hub reads keys", self._refresh()),
        ):
            self._tasks.append(self._loop.create_task(work, name=name))
        log.info("= hub listens on %s", self.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye to everybody, store what is in memory, stop."""
        self._closing = True  # from here on, nobody is let in
        assert self._server is not None
        for session in tuple(self._sessions.values()):
            session.goodbye("the hub is being stopped", again=True, code=1001)
        for command in tuple(self._commands):
            command.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)
        for operator in tuple(self._operators):
            await operator.close("the hub is being stopped", again=True, code=1001)
        await self._within(2.0, self._writer.flush())
        self._server.close()
        if not await self._within(3.0, self._server.wait_closed()):
            # Sessions that wait for a database which does not answer.
            for task in tuple(self._serving):
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
        if self._reloading is not None:
            self._tasks.append(self._reloading)
        for work in self._tasks:
            work.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("! a task of the hub had failed", exc_info=outcome)
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        log.info("= hub stopped")

    @staticmethod
    async def _within(seconds: float, work: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError:
            return False
        return True

    # ---- what the owner asks

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def address(self) -> str:
        """``wss://HOST:PORT`` as agents on other machines should use it."""
        scheme = "ws" if self.options.insecure else "wss"
        public = self.options.public
        if public and (":" not in public or public.endswith("]")):
            public = f"{public}:{self.port}"
        if not public:
            host = self.options.host
            if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
                host = socket.gethostname()
            public = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        return f"{scheme}://{public}"

    @property
    def local_address(self) -> str:
        """The same for programs on this machine."""
        scheme = "ws" if self.options.insecure else "wss"
        host = self.options.host
        if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
            host = "127.0.0.1"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    @property
    def pin(self) -> str:
        """``sha256:HEX`` of the public key; empty without TLS."""
        return self._identity.pin if self._identity else ""

    def send(self, agent_id: str, message: msgspec.Struct) -> bool:
        """Send to an agent, in order; False when it has no session now."""
        session = self._sessions.get(agent_id)
        return session is not None and session.send(message)

    def disconnect(self, agent_id: str, reason: str, *, again: bool = True) -> bool:
        """End an agent's session; with `again` it comes back by itself."""
        session = self._sessions.get(agent_id)
        if session is None:
            return False
        session.goodbye(reason, again=again)
        return True

    async def invite(self, role: Role, *, ttl: float = 3600.0, uses: int = 1) -> tuple[Issued, str]:
        """A new invitation and its join string. Raises CredentialError."""
        issued: tuple[Issued, str] = await self.run_blocking(
            functools.partial(
                keys.invite,
                self._store,
                role=role,
                now=self._clock(),
                ttl=ttl,
                uses=uses,
                hub=self.address,
                pin=self.pin,
            )
        )
        await self._load_book()
        return issued

    async def revoke_invitation(self, invitation_id: str) -> Issued:
        """Nobody can join with it any more. Raises CredentialError."""
        issued: Issued = await self.run_blocking(keys.revoke_invitation, self._store, invitation_id)
        await self._load_book()
        return issued

    async def revoke_agent(self, agent_id: str) -> None:
        """Disable an agent's personal key and close its session. Raises CredentialError for a shared-key agent."""
        view = self.roster.find(agent_id)
        if view is None:
            raise CredentialError(f"There is no agent {agent_id}.")
        if view.kid == SHARED:
            raise CredentialError(
                f"{view.name} joined with the shared key; rotate that to shut it out, with all others that use it."
            )
        await self.revoke_key(view.kid)

    async def revoke_key(self, kid: str) -> Key:
        """Disable a key; sessions of its owners are closed. Raises CredentialError."""
        key: Key = await self.run_blocking(keys.revoke_key, self._store, kid, self._clock())
        await self._load_book()
        return key

    async def rotate_shared_key(self, grace: float) -> Key:
        """A new shared key; the old one opens new registrations for `grace` more seconds. Sessions stay."""
        key: Key = await self.run_blocking(keys.rotate_shared_key, self._store, self._clock(), grace)
        await self._load_book()
        return key

    def _soon(self, call: Callable[[], None]) -> None:
        self._loop.call_later(ANNOUNCE_SECONDS, call)

    def run_blocking(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Run a store call in a thread of the hub's."""
        return self._loop.run_in_executor(self._threads, functools.partial(function, *arguments))

    # ---- before a connection is opened: who may come in

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, _Connection)
        address = peer(connection)
        now = self._clock()
        try:
            connection.admitted = await self._admitted(request, address, now)
        except Refusal as refusal:
            answer = self._rate.count(address, refusal, now) if refusal.status in (401, 403) else refusal
            log.info("! %s refused with %d: %s", address, answer.status, refusal.text)
            response = connection.respond(HTTPStatus(answer.status), answer.body(now) + "\n")
            if answer.status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="xrootd-tally"'
            if answer.status == 429:
                response.headers["Retry-After"] = "60"
            if answer.status == 426:
                response.headers["Upgrade"] = "websocket"
            return response
        return None

    async def _admitted(self, request: Request, address: str, now: float) -> Bearer | Registration:
        """What the request is good for. Raises Refusal."""
        parts = urlsplit(request.path)
        if parts.path not in ("/register", "/agent", "/operate"):
            raise Refusal(404, "This is a Tally hub; agents come to /register and /agent, operators to /operate.")
        if self._closing:
            raise Refusal(503, "The hub is being stopped.")
        offered = [
            word.strip() for text in request.headers.get_all("Sec-WebSocket-Protocol") for word in text.split(",")
        ]
        if offered and SUBPROTOCOL not in offered:
            raise Refusal(426, f"This hub speaks the subprotocol {SUBPROTOCOL}, and none that was offered.")
        if parts.path == "/register":
            bearer = read_authorization(_authorization(request), await self._fresh_book(request), now)
            self._check_scopes(bearer)
            if bearer.invitation is None and not _operating(bearer):
                check_name(bearer, bearer.sub, address, self._holder)
            if not offered:
                raise _no_subprotocol()
            await self._spend(bearer)
            return bearer
        if not offered and "client_id" not in parse_qs(parts.query):
            raise Refusal(401, "A client_id is needed: register first, then open /agent?client_id=ID.")
        if not offered:
            raise _no_subprotocol()
        client_id = parse_qs(parts.query).get("client_id", [""])[0]
        registration = self._registrations.take(client_id, now)
        if _operating(registration.bearer) != (parts.path == "/operate"):
            raise Refusal(403, f"This registration is not for {parts.path}.")
        return registration

    @staticmethod
    def _check_scopes(bearer: Bearer) -> None:
        kinds = {"agent" if scope.startswith("agent:") else scope for scope in bearer.scopes}
        if "operator" in kinds:
            kinds.discard("observer")
        if len(kinds) != 1:
            raise Refusal(403, "A token is for an agent, an operator or joining; not for several of them.")

    async def _fresh_book(self, request: Request) -> keys.KeyBook:
        """The keys; read anew first when this token is signed with one that is not known (made by another process)."""
        try:
            read_authorization(_authorization(request), self._book, self._clock())
        except UnknownKey:
            if self._reloading is None or self._reloading.done():
                self._reloading = self._loop.create_task(self._reload_soon(), name="hub reads keys for a token")
            await asyncio.shield(self._reloading)
        except Refusal:
            pass  # it is refused in a moment, by the same check
        return self._book

    async def _reload_soon(self) -> None:
        """At most twice a second, however many tokens of unknown keys come."""
        await asyncio.sleep(RELOAD_SECONDS - min(RELOAD_SECONDS, self._monotonic() - self._book_read))
        try:
            await self._load_book()
        except Exception as error:
            log.exception("! the keys cannot be read")
            self.listener.problem("keys", f"The keys cannot be read from the database: {error}")

    async def _spend(self, bearer: Bearer) -> None:
        if bearer.invitation is not None:
            return  # good for several uses, which are counted when the session opens
        try:
            fresh = await self._spender.spend(Spend(f"{bearer.kid}/{bearer.jti}", bearer.expires))
        except Exception as error:
            log.exception("! the database did not remember a token")
            self.listener.problem("hub", f"Nobody can register, because the database fails: {error}")
            raise Refusal(503, "The hub's database does not answer; try again.") from error
        if not fresh:
            raise Refusal(403, "The token was used before: its jti is known.")

    def _holder(self, name: str) -> Holder | None:
        session = self._by_name.get(name)
        if session is None or session.ending:
            return None
        return Holder(session.kid, session.address, self._is_fresh(session))

    def _is_fresh(self, session: AgentSession) -> bool:
        return session.blocked or self._monotonic() - session.heard <= MISSED * self.options.heartbeat

    # ---- opened connections

    async def _handle(self, websocket: ServerConnection) -> None:
        assert isinstance(websocket, _Connection)
        admitted = websocket.admitted
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            if isinstance(admitted, Bearer):
                await self._register(websocket, admitted)
            elif admitted is not None and isinstance(admitted.details, Operator):
                await self._operate(websocket, admitted, admitted.details)
            elif admitted is not None and isinstance(admitted.details, Register):
                await self._serve_agent(websocket, admitted, admitted.details)
        except ConnectionClosed:
            log.debug("= %s is gone", peer(websocket))
        except Exception as error:
            # One session's trouble, even if it is our own fault, must not be anybody else's.
            log.exception("! a session failed")
            self.listener.problem("hub", f"A session ended because of an error in the hub: {error}")
            await _turn_away(websocket, "The hub failed in this session; see its log.", again=True)
        finally:
            self._serving.discard(task)

    async def _register(self, websocket: ServerConnection, bearer: Bearer) -> None:
        """The first message of a registration, and its answer."""
        address = peer(websocket)
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                raw = await websocket.recv()
            details, name = self._read_details(raw, bearer)
            if isinstance(details, Register):
                check_name(bearer, name, address, self._holder)
                self._check_invited_name(bearer, name)
        except TimeoutError:
            await _turn_away(websocket, f"No registration came in {FIRST_MESSAGE_SECONDS:g} s.", again=True)
            return
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await _turn_away(websocket, f"The registration could not be read: {str(error)[:300]}", again=False)
            return
        except Refusal as refusal:
            self._rate.count(address, refusal, self._clock())
            await _turn_away(websocket, refusal.text, again=False)
            return
        client_id = self._registrations.add(bearer, name, details, address, self._clock())
        await websocket.send(encode(Registered(client_id=client_id)), text=True)
        await websocket.close()

    @staticmethod
    def _read_details(raw: str | bytes, bearer: Bearer) -> tuple[Register | Operator, str]:
        if _operating(bearer):
            message = decode_from_operator(raw)
            if not isinstance(message, RegisterOperator):
                raise msgspec.ValidationError(f"expected register_operator, not {type(message).__name__}")
            return Operator(bearer.sub, message.host, message.version), bearer.sub
        details = decode_from_agent(raw)
        if not isinstance(details, Register):
            raise msgspec.ValidationError(f"expected register, not {type(details).__name__}")
        if bearer.invitation is not None:
            if details.role != bearer.role:
                raise Refusal(403, f"The invitation is for the role {bearer.role}, not {details.role}.")
            if not details.name:
                raise Refusal(403, "A name is needed to join by invitation.")
            return details, details.name
        if f"agent:{details.role}" not in bearer.scopes:
            raise Refusal(403, f"The token's scope does not allow the role {details.role}.")
        return details, bearer.sub

    def _check_invited_name(self, bearer: Bearer, name: str) -> None:
        if bearer.invitation is None:
            return
        owner = [key for key in self._book.keys.values() if key.sub == name and key.state == "active"]
        if owner:
            raise Refusal(
                403, f"The name {name} belongs to an agent that has joined; choose another, or revoke that one."
            )

    # ---- agents

    async def _serve_agent(self, websocket: ServerConnection, registration: Registration, details: Register) -> None:
        """An agent's session, from the first word to the last."""
        bearer, name = registration.bearer, registration.name
        try:  # again, since another may have come in between the two steps
            check_name(bearer, name, registration.address, self._holder)
        except Refusal as refusal:
            await _turn_away(websocket, refusal.text, again=True)
            return
        kid, personal = bearer.kid, None
        if bearer.invitation is not None:
            key = await self._redeem(bearer.invitation, name, details.role)
            if key is None:
                await _turn_away(websocket, "The invitation was used up, revoked or has expired.", again=False)
                return
            kid, personal = key.kid, PersonalKey(kid=key.kid, secret=key.secret)
        elif not self._still_allowed(bearer):
            await _turn_away(websocket, "The key was revoked.", again=False)
            return
        agent_id = public_id(kid, name)
        session = AgentSession(
            websocket,
            self,
            self._monotonic,
            agent_id=agent_id,
            kid=kid,
            name=name,
            details=details,
            address=registration.address,
        )
        try:
            acknowledged = await self._writer.position(session.identity, details.journal)
        except Exception as error:
            log.exception("! the database does not know how far a journal is stored")
            self.listener.problem("hub", f"{name} cannot open its session, because the database fails: {error}")
            await _turn_away(websocket, "The hub's database does not answer; try again.", again=True)
            return
        self._make_room(session)
        self._sessions[agent_id] = self._by_name[name] = session
        self._offsets[agent_id] = ClockOffset()
        self._enlist(session, acknowledged)
        self._sightings.see(session.identity, name, details.role, msgspec.to_builtins(details))
        welcome = Welcome(
            public_id=agent_id,
            hub_version=self.options.version,
            hub_time=self._clock(),
            heartbeat=self.options.heartbeat,
            journal=details.journal,
            acknowledged=acknowledged,
            personal_key=personal,
        )
        reason = "the session failed"
        try:
            reason = await session.run(welcome)
        finally:
            session.ending = session.ending or reason
            if self._by_name.get(name) is session:
                del self._by_name[name]
            if self._sessions.get(agent_id) is session:
                del self._sessions[agent_id]
                self._gone(agent_id, reason)

    def _still_allowed(self, bearer: Bearer) -> bool:
        """A key that was revoked between the two steps of joining opens no session."""
        return bearer.key is None or self._book.keys.get(bearer.key.kid, bearer.key).state != "revoked"

    async def _redeem(self, issued: Issued, name: str, role: Role) -> Key | None:
        now = self._clock()
        key = keys.new_key((f"agent:{role}",), now, sub=name)
        good: bool = await self.run_blocking(self._store.redeem, issued.id, key, now)
        await self._load_book()
        return key if good else None

    def _make_room(self, session: AgentSession) -> None:
        """Replace the old session of this identity, and a shared-key one that has a personal key's name."""
        other = self._by_name.get(session.name)
        if other is not None and other.agent_id == session.agent_id:
            other.goodbye("replaced by a new session of the same agent", again=False)
        elif other is not None:
            other.goodbye(f"the name {session.name} now belongs to another agent", again=True)

    def _enlist(self, session: AgentSession, acknowledged: int) -> None:
        details, now = session.details, self._clock()
        old = self.roster.find(session.agent_id)
        view = AgentView(
            id=session.agent_id,
            kid=session.kid,
            name=session.name,
            role=details.role,
            state="up",
            host=details.host,
            version=details.version,
            platform=details.platform,
            xrootd=details.xrootd,
            server=details.server,
            pid=details.pid,
            cpus=details.cpus,
            labels=tuple(details.labels),
            address=session.address,
            joined=now,
            last_seen=now,
            sessions=old.sessions + 1 if old else 1,
            journal=details.journal,
            journal_last=details.journal_last,
            journal_stored=acknowledged,
            report=old.report if old else None,
            notices=old.notices if old else (),
        )
        self.roster.put(view)
        if len(self.roster.agents) > MAX_AGENTS:
            gone = [other for other in self.roster.agents if other.id not in self._sessions]
            if gone:
                self.roster.forget(min(gone, key=lambda other: other.last_seen).id)
        log.info("= %s (%s) is up from %s", view.id, view.name, view.address)

    def _gone(self, agent_id: str, reason: str) -> None:
        view = self.roster.find(agent_id)
        if view is None:
            return
        self._offsets.pop(agent_id, None)
        log.info("= %s (%s) is gone: %s", view.id, view.name, reason)
        closed = replace(view, state="missing" if not self._closing else "gone", reason=reason, jobs=())
        self.roster.put(closed)
        self.listener.agent_missing(closed)

    async def _watch(self) -> None:
        """Find those who have missed their heartbeats."""
        while True:
            await asyncio.sleep(self.options.heartbeat / 2)
            self.check_heartbeats()

    def check_heartbeats(self) -> None:
        """Mark agents as missing that were not heard of for three heartbeats."""
        for session in tuple(self._sessions.values()):
            view = self.roster.find(session.agent_id)
            if view is not None and view.live and not self._is_fresh(session):
                silent = replace(view, state="missing", reason=f"{MISSED} heartbeats missed")
                log.warning("! %s (%s) has missed %d heartbeats", view.id, view.name, MISSED)
                self.roster.put(silent)
                self.listener.agent_missing(silent)

    # ---- what sessions tell (SessionOwner)

    def heartbeat(self, session: AgentSession, message: Heartbeat) -> None:
        """An agent is alive, and how it is."""
        view = self.roster.find(session.agent_id)
        if view is None or self._sessions.get(session.agent_id) is not session:
            return
        now, rtt = self._clock(), session.round_trip()
        was_live = view.live
        view = replace(
            view,
            state="draining" if message.draining else "up",
            reason="",
            last_seen=now,
            rtt=rtt,
            clock_offset=self._offsets[session.agent_id].heartbeat(message.t, now, rtt),
            cpu=message.cpu,
            memory=message.memory,
            requests=message.requests,
            journal=message.journal or view.journal,
            journal_last=message.journal_last or view.journal_last,
            jobs=tuple(message.jobs),
        )
        self.roster.put(view)
        if session.heartbeats == 1 or not was_live:
            self.listener.agent_up(view)

    def report(self, session: AgentSession, message: ServerReport) -> None:
        """What a server agent sees beside its server."""
        view = self.roster.find(session.agent_id)
        if view is not None:
            self.roster.put(replace(view, report=message, server=message.server or view.server))

    def notice(self, session: AgentSession, message: Notice) -> None:
        """Words of an agent for people."""
        view = self.roster.find(session.agent_id)
        if view is not None:
            self.roster.put(replace(view, notices=(*view.notices, message)[-MAX_NOTICES:]))
            if message.severity != "info":
                self.listener.problem(f"agent {view.name}", message.text)

    def agent_message(self, session: AgentSession, message: msgspec.Struct) -> None:
        """Everything that is the owner's business."""
        view = self.roster.find(session.agent_id)
        if view is not None and self._sessions.get(session.agent_id) is session:
            self.listener.agent_message(view, message)

    async def journal_lines(self, batch: JournalBatch) -> None:
        """Lines to be stored. What is known of the agent's clock goes with them."""
        view = self.roster.find(public_id(*batch.agent.split("/", 1)))
        ahead = view.clock_offset if view is not None else None
        await self._writer.put(replace(batch, ahead=ahead or 0.0))

    def _journal_stored(self, batch: JournalBatch, last: int, lines: Sequence[Line]) -> None:
        agent_id = public_id(*batch.agent.split("/", 1))
        session = self._sessions.get(agent_id)
        if session is not None:
            session.acknowledge(batch.journal, last)
        view = self.roster.find(agent_id)
        if view is not None:
            self.roster.put(replace(view, journal_stored=last))
        self.listener.journal_stored(agent_id, batch.journal, last, lines)

    def _journal_trouble(self, text: str) -> None:
        self.listener.problem("journals", text)

    # ---- operators

    async def _operate(self, websocket: ServerConnection, registration: Registration, details: Operator) -> None:
        bearer = registration.bearer
        session = OperatorSession(
            websocket,
            self.topics,
            self._conduct,
            self._spawn,
            name=f"{details.name} on {details.host}",
            scopes=bearer.scopes,
        )
        session.kid = bearer.kid
        self._operators.add(session)
        self.topics.publish("agents", self.roster.agents)
        unsubscribe = self.roster.subscribe(lambda agents: self.topics.publish("agents", agents))
        log.info("= operator %s from %s", session.name, registration.address)
        try:
            await session.run(
                OperatorWelcome(
                    public_id=public_id(bearer.kid, bearer.sub),
                    hub_version=self.options.version,
                    hub_time=self._clock(),
                    may=list(bearer.scopes),
                )
            )
        finally:
            unsubscribe()
            self._operators.discard(session)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(work, name=name)
        self._commands.add(task)
        task.add_done_callback(self._command_done)

    def _command_done(self, task: asyncio.Task[None]) -> None:
        self._commands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("! %s failed", task.get_name(), exc_info=error)
            self.listener.problem("hub", f"A command failed because of an error in the hub: {error}")

    async def _conduct(self, command: Command) -> Any:
        """Commands about agents are the hub's own; all others are its owner's."""
        try:
            match command.do:
                case "invite":
                    issued, text = await self.invite(command.role, ttl=command.ttl, uses=command.uses)
                    return {"id": issued.id, "join": text, "expires": issued.expires}
                case "revoke":
                    await self.revoke_agent(command.agent)
                    return None
                case "disconnect":
                    done = self.disconnect(command.agent, "an operator asked for it")
                case "drain" | "resume":
                    done = self.ask(command.agent, command.do)
                case _:
                    if self.conductor is None:
                        raise CommandRefused("This hub runs no campaigns.")
                    return await self.conductor(command)
        except CredentialError as error:
            raise CommandRefused(str(error)) from error
        if not done:
            raise CommandRefused(f"There is no session of an agent {command.agent}.")
        return None

    def ask(self, agent_id: str, what: Any) -> bool:
        """Ask an agent for the time, to drain, to resume or for its report; False when it has no session."""
        return self.send(agent_id, Ask(what=what))

    # ---- keys

    def _find_identity(self) -> Identity:
        options = self.options
        if options.certificate is not None:
            return given_identity(options.certificate, options.key or options.certificate)
        names = [name for name in (options.host, options.public.rpartition(":")[0] or options.public) if name]
        return own_identity(options.directory, names)

    async def _load_book(self) -> None:
        """Read keys and invitations, and close the sessions of revoked keys."""
        rows = await self.run_blocking(lambda: (self._store.keys(), self._store.invitations()))
        self._book_read = self._monotonic()
        book = keys.KeyBook.of(*rows)
        if book == self._book:
            return
        self._book = book
        for session in tuple(self._sessions.values()):
            key = book.keys.get(session.kid)
            if session.kid != SHARED and (key is None or key.state == "revoked"):
                session.goodbye("the agent's key was revoked", again=False)
        for operator in tuple(self._operators):
            key = book.keys.get(operator.kid)
            if key is None or key.state == "revoked":
                await operator.close("the key was revoked", again=False)

    async def _refresh(self) -> None:
        """Notice what other processes (``tally key``, ``tally invite``) change in the database."""
        failing = False
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self._load_book()
            except Exception as error:
                if not failing:
                    log.exception("! the keys cannot be read")
                    self.listener.problem("keys", f"The keys cannot be read from the database: {error}")
                failing = True
            else:
                if failing:
                    self.listener.problem("keys", "")
                failing = False


def peer(connection: ServerConnection) -> str:
    """The other side's address, without its port."""
    remote = connection.remote_address
    text = str(remote[0]) if isinstance(remote, tuple) else "?"
    return text.removeprefix("::ffff:")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _operating(bearer: Bearer) -> bool:
    return "operator" in bearer.scopes or "observer" in bearer.scopes


def _authorization(request: Request) -> str | None:
    found = request.headers.get_all("Authorization")
    if len(found) > 1:
        raise Refusal(401, "There is more than one Authorization header.")
    return found[0] if found else None


def _no_subprotocol() -> Refusal:
    return Refusal(426, f"Offer the subprotocol {SUBPROTOCOL}; nothing else is spoken here.")


async def _turn_away(websocket: ServerConnection, reason: str, *, again: bool) -> None:
    try:
        await websocket.send(encode(Goodbye(reason=reason, again=again)), text=True)
        await websocket.close(POLICY_VIOLATION, shorten(reason))
    except ConnectionClosed:
        log.debug("= %s left before it heard: %s", peer(websocket), reason)
