"""The hub itself: accepts connections, asks `tokens` and `admission` who may join, and runs the sessions.

It never waits for the store in the event loop: every call goes through its own few threads. What agents say goes to one
`HubListener` (the runner); what the window shows comes from the `roster`.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import ctypes
import functools
import logging
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from agent.messages import (
    MAX_MESSAGE,
    SUBPROTOCOL,
    Ask,
    CredentialError,
    Line,
    Register,
)
from gui.hub.admission import Operator, Registration
from gui.hub.audit import AuditLog
from gui.hub.certificate import Identity, given_identity, own_identity
from gui.hub.commits import JournalWriter, Sightings, TokenSpender
from gui.hub.entrance import Crowd, Entrance
from gui.hub.feed import Topics
from gui.hub.gate import Admitted, Gate, peer, turn_away
from gui.hub.keyring import Keyring
from gui.hub.limits import GOODBYE_SECONDS, abort_in
from gui.hub.listener import HubListener
from gui.hub.operate import Answerer, Command, CommandRefusedError, Conductor, Query
from gui.hub.operators import Operators
from gui.hub.pages import Page, Pages, Visit
from gui.hub.persistence import SHARED, Hold, HoldKind, HubStore, Issued, JournalBatch, Key, Role
from gui.hub.refusals import Refusals
from gui.hub.roster import AgentView, Pinged, Roster, agent_row, notices_row, report_rows
from gui.hub.sessions import Sessions
from gui.hub.tokens import AdmissionError, Bearer
from gui.hub.web.front import Front
from shoveler.service import Health
from shoveler.service.tasks import Tasks
from shoveler.values.addresses import host_port, is_loopback

log = logging.getLogger("tally.hub")
# websockets logs a traceback for each peer that disconnects or sends garbage; for a hub that is normal.
_quiet = logging.getLogger("tally.hub.websockets")
_quiet.setLevel(logging.CRITICAL)

DEFAULT_LISTEN = ("0.0.0.0", 8765)  # noqa: S104 - agents come from other machines; TLS and tokens stand before all
ANNOUNCE_SECONDS = 0.1
STORES = frozenset(("registrations", "keys", "journals"))
"""The parts of `Hub.health` without which nobody can join or is listened to."""
LAG_BEAT = 0.25
GIVE_BACK_SECONDS, MANY = 5.0, 100
"""How often to look, and how many connections must have ended, to give their memory back."""
OPEN_SECONDS = 10.0
"""How long a peer has for the TLS handshake, and then for its request."""
STOP_SECONDS = 6.0
"""How long stopping may take before what is still open is cut off."""
MAX_WAITING, MAX_WAITING_EACH = 1000, 200
BACKLOG = 1024
FILES = 16_384
"""Open files that a hub may need: each connection is one."""
TLS_BUFFER = 32 * 1024
"""asyncio reserves 256 KiB for each TLS connection, to read at most that much at a time: 256 MB for a thousand agents,
which send kilobytes (measured with 1,500 idle connections: 520 MB, and 105 MB with this)."""
asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER


class HubError(Exception):
    """The hub cannot be started; one sentence for the user."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a hub listens.

    `directory` is for its key and certificate, unless `certificate` and `key` name other files. `public` is the address
    that agents reach, for join strings (``HOST`` or ``HOST:PORT``); empty: this host's name."""

    directory: Path
    host: str = DEFAULT_LISTEN[0]
    port: int = DEFAULT_LISTEN[1]
    insecure: bool = False
    certificate: Path | None = None
    key: Path | None = None
    public: str = ""
    heartbeat: float = 2.0
    version: str = ""
    max_waiting: int = MAX_WAITING
    """Connections that have not signed in, in all; 0: any number."""
    max_waiting_each: int = MAX_WAITING_EACH
    """The same, from one address."""


@dataclass(frozen=True, slots=True)
class HubCounts:
    """What a hub has counted since it was started, and what is now; for metrics."""

    operators: int
    connections: int
    waiting: int
    """Of these, those that have not signed in."""
    joined: Mapping[str, int]
    """Sessions that were opened, by role: client, server, operator, observer."""
    refused: Mapping[str, int]
    """By reason."""
    lines: int
    """Journal lines that were stored."""
    lag: float
    """The most by which the event loop was late since this was last asked, in seconds."""


class Hub:
    """Use as ``async with Hub(store, options) as hub``. All methods belong to the event loop it was entered in."""

    def __init__(
        self,
        store: HubStore,
        options: HubOptions,
        *,
        listener: HubListener | None = None,
        conductor: Conductor | None = None,
        answerer: Answerer | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.listener = listener or HubListener()
        self.conductor = conductor
        self.answerer = answerer
        self.topics = Topics()
        self.pages = Pages()
        self.health = Health()
        self.pages.add("/healthz", self._healthz)
        self.roster = Roster(soon=self._soon)
        trouble = functools.partial(self._trouble, "registrations")
        self._audit = AuditLog(store, self._run_blocking, clock)
        self._keyring = Keyring(
            store,
            self._run_blocking,
            self._audit,
            clock=clock,
            monotonic=monotonic,
            changed=self._keys_changed,
            trouble=functools.partial(self._trouble, "keys"),
        )
        self._spender = TokenSpender(store, self._run_blocking, clock)
        self._writer = JournalWriter(
            store, self._run_blocking, self._journal_stored, functools.partial(self._trouble, "journals")
        )
        self._sightings = Sightings(store, self._run_blocking, clock)
        self._refusals = Refusals(self._audit, self.listener)
        self._sessions = Sessions(
            self._keyring,
            self._writer,
            self._sightings,
            self._audit,
            self._refusals,
            self.roster,
            self.listener,
            heartbeat=options.heartbeat,
            version=options.version,
            clock=clock,
            monotonic=monotonic,
        )
        self._operators = Operators(
            self._keyring,
            self.topics,
            self._conduct,
            self._answer,
            self.listener,
            self._audit,
            self._refusals,
            version=options.version,
            clock=clock,
        )
        self._gate = Gate(
            self._keyring,
            self._spender,
            self._refusals,
            pages=self.pages,
            holder=self._sessions.holder,
            clock=clock,
            trouble=trouble,
        )
        self._entrance = Entrance(
            options.max_waiting, options.max_waiting_each, monotonic=monotonic, refused=self._shut_out
        )
        self._front = Front(
            store,
            self._keyring,
            self._audit,
            self._refusals,
            self._run_blocking,
            pages=self.pages,
            gate=self._gate.admit,
            operating=self._operators.keys,
            over=self._keys_changed,
            directory=options.directory,
            address=lambda: self.address,
            clock=clock,
            trouble=functools.partial(self.listener.problem, "sign-in"),
        )
        self.people, self.board = self._front.people, self._front.board
        self._around = AsyncExitStack()
        self._clock = clock
        self._tasks = Tasks(log)
        self._serving: set[asyncio.Task[Any]] = set()
        self._identity: Identity | None = None
        self._servers: list[Server] = []
        self._port = options.port
        self._lag = 0.0

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
            await self._keyring.load()
            await self._around.enter_async_context(self._front.running())
            if not options.insecure:
                self._identity = await self._run_blocking(self._find_identity)
            context = self._identity.context() if self._identity else None
            allow_files(FILES)
            sockets = await self._entrance.listen(options.host, options.port, BACKLOG)
            self._servers = [await self._serve(one, context) for one in sockets]
        except OSError as error:
            await self._around.aclose()
            self._threads.shutdown(wait=False)
            reason = error.strerror or str(error)
            raise HubError(f"The hub cannot listen on {options.host}:{options.port}: {reason}.") from error
        except BaseException:
            await self._around.aclose()
            self._threads.shutdown(wait=False)
            raise
        self._port = int(sockets[0].getsockname()[1])
        for name, work in (
            ("hub spends tokens", self._spender.run()),
            ("hub stores journals", self._writer.run()),
            ("hub writes down agents", self._sightings.run()),
            ("hub writes its audit log", self._audit.run()),
            ("hub watches agents", self._sessions.watch()),
            ("hub reads keys", self._keyring.run()),
            ("hub measures its lag", self._measure()),
            ("hub gives memory back", self._give_back()),
        ):
            self._tasks.start(work, name)
        log.info("= hub listens on %s", self.address)
        self._audit.add("started", self.address, f"version {options.version}, {self.pin or 'without TLS'}")
        self._publish_agents()
        self.roster.subscribe(lambda _: self._publish_agents())
        return self

    def _publish_agents(self) -> None:
        """For operators: the agents, and (since it may be large, and seldom changes) what each reports in words."""
        self.topics.publish("agents", lambda: {view.id: view for view in self.roster.agents}, fields=agent_row)
        self.topics.publish("reports", lambda: report_rows(self.roster.agents))
        self.topics.publish(
            "notices", lambda: {view.id: view.notices for view in self.roster.agents}, fields=notices_row
        )

    async def _serve(self, listening: socket.socket, context: ssl.SSLContext | None) -> Server:
        limits: dict[str, Any] = {}
        if context is not None:
            limits = {"ssl_handshake_timeout": OPEN_SECONDS, "ssl_shutdown_timeout": GOODBYE_SECONDS}
        return await serve(
            self._handle,
            sock=listening,
            ssl=context,
            process_request=self._front.admit,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_MESSAGE,
            max_queue=4,
            open_timeout=OPEN_SECONDS,
            close_timeout=GOODBYE_SECONDS,
            ping_interval=10,
            ping_timeout=20,
            server_header=None,
            logger=_quiet,
            create_connection=Admitted,
            backlog=BACKLOG,
            **limits,
        )

    async def __aexit__(self, *_: object) -> None:
        """Send everybody a Goodbye, store what is in memory, stop: within `STOP_SECONDS`, whatever peers do."""
        self._gate.closing = self._sessions.closing = True
        self._audit.add("stopped", self.address, "")
        self._sessions.goodbye("the hub is being stopped", code=1001)
        async with asyncio.TaskGroup() as leaving:
            leaving.create_task(self._operators.close("the hub is being stopped", code=1001), name="operators leave")
            leaving.create_task(self._front.close("the hub is being stopped", code=1001), name="pages leave")
            leaving.create_task(self._within(GOODBYE_SECONDS, self._writer.flush()), name="journals are stored")
        await self._around.aclose()
        for server in self._servers:
            server.close()
        left = not await self._within(STOP_SECONDS - 2 * GOODBYE_SECONDS, self._closed())
        self._entrance.cut()  # those that never came as far as a session, and peers that do not answer
        if left:
            for task in tuple(self._serving):  # also sessions that wait for a database that does not answer
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._within(1.0, self._closed())
        await self._tasks.close()
        await self._within(GOODBYE_SECONDS, self._audit.flush())
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        log.info("= hub stopped")

    async def _closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()

    @staticmethod
    async def _within(seconds: float, work: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError:
            return False
        return True

    # ---- called by the owner

    @property
    def port(self) -> int:
        """The port it listens on, or listened on before it was stopped."""
        return self._port

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
            public = host_port(host, self.port)
        return f"{scheme}://{public}"

    @property
    def local_address(self) -> str:
        """The address for programs on this machine."""
        scheme = "ws" if self.options.insecure else "wss"
        host = self.options.host
        if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
            host = "127.0.0.1"
        return f"{scheme}://{host_port(host, self.port)}"

    @property
    def page(self) -> str:
        """``https://HOST:PORT`` of the page for people, as browsers write it."""
        return self._front.origin

    @property
    def pin(self) -> str:
        """``sha256:HEX`` of the public key; empty without TLS."""
        return self._identity.pin if self._identity else ""

    def counts(self) -> HubCounts:
        """See `HubCounts`. Any thread may ask."""
        lag, self._lag = self._lag, 0.0
        return HubCounts(
            operators=len(self._operators),
            connections=self._entrance.open,
            waiting=self._entrance.waiting,
            joined=dict(self._sessions.joined) | dict(self._operators.joined),
            refused=dict(self._refusals.counts),
            lines=self._writer.lines,
            lag=lag,
        )

    async def _measure(self) -> None:
        """The task that measures how late the event loop is."""
        while True:
            due = self._loop.time() + LAG_BEAT
            await asyncio.sleep(LAG_BEAT)
            self._lag = max(self._lag, self._loop.time() - due)

    async def _give_back(self) -> None:
        """The task that gives memory back to the system after many connections have ended: the C library keeps what
        lies between things that are still in use (measured after 1,000 idle TLS connections: 65 MB)."""
        most = 0
        while True:
            await asyncio.sleep(GIVE_BACK_SECONDS)
            now = self._entrance.open
            if most - now >= MANY:
                await asyncio.to_thread(trim_memory)
                most = now
            most = max(most, now)

    def send(self, agent_id: str, message: msgspec.Struct) -> bool:
        """Send to an agent, in order; False if it has no session now."""
        session = self._sessions.find(agent_id)
        return session is not None and session.send(message)

    def disconnect(self, agent_id: str, reason: str, *, again: bool = True) -> bool:
        """End an agent's session; with `again` it reconnects by itself."""
        session = self._sessions.find(agent_id)
        if session is None:
            return False
        session.goodbye(reason, again=again)
        return True

    async def ping(self, agent_id: str) -> Pinged:
        """Whether an agent answers within 5 s; the roster has it as well. Raises CredentialError if there is none."""
        self._view(agent_id)
        return await self._sessions.ping(agent_id)

    async def drain(self, agent_id: str, by: str = "") -> None:
        """Give an agent no new rounds until `resume`, also after a restart. Raises CredentialError for a server agent,
        or none; `by` as in `keys.revoke_key`."""
        view = self._view(agent_id)
        if view.role != "client":
            raise CredentialError(f"{view.name} is a server agent: it has no rounds that could be drained.")
        await self._keyring.hold(Hold(view.identity, "drain", view.role, self._clock(), by=by))

    async def resume(self, agent_id: str, by: str = "") -> bool:
        """Take `drain` back; False if it was not so."""
        return await self._keyring.lift(self._view(agent_id).identity, "drain", by)

    async def keep_out(self, agent_id: str, seconds: float | None, by: str = "") -> None:
        """End an agent's session, and refuse it for so long, or (None) until `allow`. Raises CredentialError."""
        view, now = self._view(agent_id), self._clock()
        until = None if seconds is None else now + seconds
        await self._keyring.hold(Hold(view.identity, "disconnect", view.role, now, until, by))

    async def allow(self, agent_id: str, by: str = "") -> bool:
        """Take `keep_out` back; False if it was not so."""
        return await self._keyring.lift(self._view(agent_id).identity, "disconnect", by)

    def hold_of(self, view: AgentView, what: HoldKind) -> Hold | None:
        """What an operator has decided about this agent, if it holds now."""
        return self._keyring.held(view.identity, what)

    def _view(self, agent_id: str) -> AgentView:
        view = self.roster.find(agent_id)
        if view is None:
            raise CredentialError(f"There is no agent {agent_id}.")
        return view

    async def invite(self, role: Role, *, ttl: float = 3600.0, uses: int = 1) -> tuple[Issued, str]:
        """A new invitation and its join string. Raises CredentialError."""
        return await self._keyring.invite(role, ttl=ttl, uses=uses, hub=self.address, pin=self.pin)

    async def revoke_agent(self, agent_id: str, by: str = "") -> Key:
        """Disable an agent's personal key and close its session; `by` as in `keys.revoke_key`. Raises CredentialError
        for a shared-key agent."""
        view = self._view(agent_id)
        if view.kid == SHARED:
            raise CredentialError(
                f"{view.name} joined with the shared key; rotate that to shut it out, with all others that use it."
            )
        return await self._keyring.revoke(view.kid, by)

    def ask(self, agent_id: str, what: Any) -> bool:
        """Ask an agent for the time, to drain, to resume or for its report; False if it has no session."""
        return self.send(agent_id, Ask(what=what))

    def check_heartbeats(self) -> None:
        """Mark agents as missing that were not heard from for three heartbeats."""
        self._sessions.check_heartbeats()

    def _soon(self, call: Callable[[], None]) -> None:
        self._loop.call_later(ANNOUNCE_SECONDS, call)

    def _run_blocking(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Run a store call in a thread of the hub's."""
        return self._loop.run_in_executor(self._threads, functools.partial(function, *arguments))

    def _shut_out(self, address: str, reason: Crowd) -> None:
        what = "from its address" if reason == "too_many_from_address" else "in all"
        self._refusals.note(address, AdmissionError(429, reason, f"Too many connections {what} have not signed in."))

    def _trouble(self, where: str, text: str) -> None:
        """The store fails, or (no text) works again."""
        if text:
            self.health.problem(where, text)
        else:
            self.health.fine(where)
        self.listener.problem(where, text)

    def _healthz(self, _: Visit) -> Page:
        """Whether the hub can let anybody in and store what they say. Why not is for its own people, not for all."""
        well = not self.health.problems().keys() & STORES
        return Page(b'{"ok": true}\n' if well else b'{"ok": false}\n', "application/json", 200 if well else 503)

    # ---- opened connections

    async def _handle(self, websocket: ServerConnection) -> None:
        assert isinstance(websocket, Admitted)
        admitted = websocket.admitted
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        if isinstance(admitted, Registration) or websocket.of_somebody:
            self._entrance.signed_in(websocket.transport.get_extra_info("socket").fileno())
        try:
            if websocket.caller is not None:
                await websocket.caller(websocket)
            elif isinstance(admitted, Bearer):
                await self._gate.register(websocket, admitted)
            elif admitted is not None and isinstance(admitted.details, Operator):
                await self._operators.serve(websocket, admitted, admitted.details)
            elif admitted is not None and isinstance(admitted.details, Register):
                await self._sessions.serve(websocket, admitted, admitted.details)
        except ConnectionClosed:
            log.debug("= %s is gone", peer(websocket))
        except Exception as error:
            # An error in one session, even a bug of ours, must not affect the others.
            log.exception("! a session failed")
            self.listener.problem("hub", f"A session ended because of an error in the hub: {error}")
            await turn_away(websocket, "Internal error of the hub; see its log.", again=True)
        finally:
            self._serving.discard(task)
            abort_in(websocket, GOODBYE_SECONDS)  # websockets now takes leave, without a limit

    # ---- operators' commands

    async def _conduct(self, command: Command, operator: str) -> Any:
        """The hub carries out commands about agents; all others go to its owner."""
        try:
            match command.do:
                case "invite":
                    issued, text = await self.invite(command.role, ttl=command.ttl, uses=command.uses)
                    return {"id": issued.id, "join": text, "expires": issued.expires}
                case "revoke":
                    await self.revoke_agent(command.agent, f"operator {operator}")
                    return None
                case "disconnect" if command.lasts == 0:
                    done = self.disconnect(command.agent, "an operator asked for it")
                case "disconnect":
                    await self.keep_out(command.agent, command.lasts, f"operator {operator}")
                    return None
                case "drain":
                    await self.drain(command.agent, f"operator {operator}")
                    return None
                case "resume":
                    return await self.resume(command.agent, f"operator {operator}")
                case "allow":
                    return await self.allow(command.agent, f"operator {operator}")
                case "ping":
                    return msgspec.to_builtins(await self.ping(command.agent))
                case _:
                    if self.conductor is None:
                        raise CommandRefusedError("This hub runs no campaigns.")
                    return await self.conductor(command, f"operator {operator}")
        except CredentialError as error:
            raise CommandRefusedError(str(error)) from error
        if not done:
            raise CommandRefusedError(f"There is no session of an agent {command.agent}.")
        return None

    async def _answer(self, query: Query) -> bytes:
        if self.answerer is None:
            raise CommandRefusedError("This hub has no results.")
        return await self.answerer(query)

    # ---- called by the parts

    async def _keys_changed(self) -> None:
        self._sessions.end_revoked()
        self._sessions.obey_holds()
        await self._operators.end_revoked()
        await self._front.end_revoked()

    def _journal_stored(self, batch: JournalBatch, last: int, lines: Sequence[Line]) -> None:
        self._sessions.journal_stored(batch, last, lines)

    def _find_identity(self) -> Identity:
        options = self.options
        if options.certificate is not None:
            return given_identity(options.certificate, options.key or options.certificate)
        names = [name for name in (options.host, options.public.rpartition(":")[0] or options.public) if name]
        return own_identity(options.directory, names)


def allow_files(wanted: int) -> None:
    """Let this process open as many files, if the system allows it; 1,024 are usual, and few for a thousand agents."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def trim_memory() -> None:
    """Give free memory back to the system, where the C library has a function for it (glibc)."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
