"""A hub on a free loopback port, its store in memory with faults to dial in, and agents that speak by hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

from agent.messages import (
    SUBPROTOCOL,
    Heartbeat,
    Register,
    Registered,
    Welcome,
    decode_from_hub,
    encode,
    sign_token,
)
from gui.hub import Hub, HubListener, HubOptions
from gui.hub.keys import shared_key
from gui.hub.persistence import AuditEntry, Hold, HoldKind, Issued, JournalBatch, Key, Sighting, SignIn, Spend
from gui.hub.signin.provider import SignInOptions
from gui.store import Store, parse_database
from tests.browsers import Browser
from tests.gui.workspaces import postgres_server
from tests.standins import GitHubStandIn, User

__all__ = ["postgres_server"]

SHARED = "the shared key of these tests, long enough to be one"
OFFERED = [Subprotocol(SUBPROTOCOL)]


class MemoryStore:
    """A `HubStore` in memory. `broken`, when set, is raised by every call; `slow` seconds pass in each."""

    def __init__(self) -> None:
        self.changes = 0
        self.key_rows: dict[str, Key] = {}
        self.invitation_rows: dict[str, Issued] = {}
        self.hold_rows: dict[tuple[str, str], Hold] = {}
        self.sign_in_rows: dict[str, SignIn] = {}
        self.spent: dict[str, float] = {}
        self.lines: dict[tuple[str, str], dict[int, Any]] = {}
        self.aheads: list[float] = []
        self.tags = 0
        self.seen: list[str] = []
        self.audit: list[AuditEntry] = []
        self.broken: Exception | None = None
        self.slow = 0.0
        self.put_key(shared_key(time.time(), SHARED))

    def _fault(self) -> None:
        if self.slow:
            time.sleep(self.slow)
        if self.broken:
            raise self.broken

    def credentials_version(self) -> str:
        self._fault()
        return str(self.changes)

    def keys(self) -> list[Key]:
        self._fault()
        return list(self.key_rows.values())

    def put_key(self, key: Key) -> None:
        self._fault()
        self.changes += 1
        self.key_rows[key.kid] = key

    def invitations(self) -> list[Issued]:
        self._fault()
        return list(self.invitation_rows.values())

    def put_invitation(self, invitation: Issued) -> None:
        self._fault()
        self.changes += 1
        self.invitation_rows[invitation.id] = invitation

    def redeem(self, invitation_id: str, key: Key, now: float) -> bool:
        self._fault()
        row = self.invitation_rows.get(invitation_id)
        if row is None or row.revoked or row.used >= row.uses or row.expires <= now:
            return False
        self.invitation_rows[invitation_id] = replace(row, used=row.used + 1)
        self.changes += 1
        self.key_rows[key.kid] = key
        return True

    def holds(self) -> list[Hold]:
        self._fault()
        return list(self.hold_rows.values())

    def put_hold(self, hold: Hold) -> None:
        self._fault()
        self.changes += 1
        self.hold_rows[hold.identity, hold.what] = hold

    def lift_hold(self, identity: str, what: HoldKind) -> bool:
        self._fault()
        self.changes += 1
        return self.hold_rows.pop((identity, what), None) is not None

    def sign_ins(self) -> list[SignIn]:
        self._fault()
        return list(self.sign_in_rows.values())

    def put_sign_in(self, sign_in: SignIn, key: Key) -> bool:
        self._fault()
        if key.kid in self.key_rows and self.key_rows[key.kid].state == "revoked" and key.state != "revoked":
            return False
        self.sign_in_rows[sign_in.kid], self.key_rows[key.kid] = sign_in, key
        return True

    def forget_sign_ins(self, kids: Sequence[str]) -> None:
        self._fault()
        for kid in kids:
            self.sign_in_rows.pop(kid, None)
            self.key_rows.pop(kid, None)

    def spend_tokens(self, spends: Sequence[Spend], now: float) -> list[bool]:
        self._fault()
        answers = []
        for spend in spends:
            answers.append(spend.jti not in self.spent)
            self.spent[spend.jti] = spend.expires
        return answers

    def journal_position(self, agent: str, journal: str) -> int:
        self._fault()
        return max(self.lines.get((agent, journal), {0: None}))

    def store_journal(self, batches: Sequence[JournalBatch]) -> None:
        self._fault()
        for batch in batches:
            self.aheads.append(batch.ahead)
            kept = self.lines.setdefault((batch.agent, batch.journal), {})
            for line in batch.lines:
                kept.setdefault(line.n, line)

    def see_agents(self, seen: Sequence[Sighting], now: float) -> None:
        self._fault()
        self.seen += [one.identity for one in seen]

    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        self._fault()
        self.audit.extend(entries)

    def allocate_tags(self, count: int) -> list[str]:
        first = self.tags
        self.tags += count
        return [f"t{number:07d}" for number in range(first, self.tags)]


class Heard(HubListener):
    """Writes down what the hub tells, as lines of a transcript."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.problems: list[str] = []
        self.messages: list[Any] = []
        self.stored: list[tuple[str, int, int]] = []
        self.turned_away: list[tuple[str, str]] = []

    def refused(self, address: str, text: str) -> None:
        self.turned_away.append((address, text))

    def agent_up(self, agent: Any) -> None:
        self.lines.append(f"up {agent.name} {','.join(agent.jobs)}".strip())

    def agent_missing(self, agent: Any) -> None:
        self.lines.append(f"missing {agent.name}")

    def agent_message(self, agent: Any, message: Any) -> None:
        self.lines.append(f"{agent.name}: {type(message).__name__}")
        self.messages.append(message)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Any]) -> None:
        self.stored.append((journal, last, len(lines)))

    def problem(self, where: str, text: str) -> None:
        self.problems.append(f"{where}: {text}")


@dataclass
class Clock:
    """Unix time and monotonic time that move by hand."""

    now: float = field(default_factory=time.time)
    mono: float = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.mono

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.mono += seconds


async def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a poll with a deadline, for any condition
            await asyncio.sleep(0.005)


def token(**changes: Any) -> str:
    """A good token of the agent c1, with some changes."""
    values: dict[str, Any] = {"key": SHARED, "sub": "c1", "scope": "agent:client", **changes}
    return sign_token(values.pop("key"), **values)


def details(**changes: Any) -> Register:
    return Register(**{"role": "client", "version": "1", "host": "h", **changes})


class Agent:
    """An agent's connection, spoken by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else encode(message), text=True)

    async def hear(self) -> Any:
        async with asyncio.timeout(60):
            return decode_from_hub(await self.socket.recv())

    async def closed(self) -> tuple[int, str]:
        """Close code and reason, once the hub has closed."""
        async with asyncio.timeout(60):
            await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""


class Place:
    """A running hub and how to reach it."""

    token = staticmethod(token)
    details = staticmethod(details)
    until = staticmethod(until)

    async def stop(self) -> None:
        """End the hub (of a `mortal_place`)."""
        await self.hub.__aexit__()

    secret = SHARED

    def __init__(self, hub: Hub, store: Any, heard: Heard, clock: Clock) -> None:
        self.hub, self.store, self.heard, self.clock = hub, store, heard, clock
        self.stack = contextlib.AsyncExitStack()
        self.context: ssl.SSLContext | None = None

    async def open(self, target: str, bearer: str | None = None, **options: Any) -> Agent:
        headers = {} if bearer is None else {"Authorization": bearer}
        headers |= options.pop("additional", {})
        options.setdefault("subprotocols", OFFERED)
        socket = await connect(
            self.hub.local_address + target,
            additional_headers=headers,
            ssl=self.context,
            proxy=None,
            compression=None,
            max_size=2**24,
            close_timeout=1,
            **options,
        )
        self.stack.push_async_callback(self._leave, socket)
        return Agent(socket)

    @staticmethod
    async def _leave(socket: ClientConnection) -> None:
        if socket.state is State.OPEN:
            await socket.close()

    async def refused(self, target: str, bearer: str | None = None, **options: Any) -> tuple[int, str]:
        """Status and body of a refusal."""
        with pytest.raises(InvalidStatus) as caught:
            await self.open(target, bearer, **options)
        return caught.value.response.status_code, caught.value.response.body.decode().rstrip("\n")

    async def register(self, text: str | None = None, said: Any = None) -> str:
        """The client_id of a new registration."""
        agent = await self.open("/register", f"Bearer {text or token()}")
        await agent.say(said or details())
        answer = await agent.hear()
        assert isinstance(answer, Registered), answer
        assert answer.expires_in == 30
        await agent.closed()
        return answer.client_id

    async def join(self, name: str = "c1", *, jobs: Sequence[str] = (), **changes: Any) -> tuple[Agent, Welcome]:
        """A whole join with the shared key; the agent has said its first heartbeat."""
        role = changes.get("role", "client")
        told = len(self.heard.lines)
        client_id = await self.register(token(sub=name, scope=f"agent:{role}"), details(**changes))
        agent = await self.open(f"/agent?client_id={client_id}")
        welcome = await agent.hear()
        assert isinstance(welcome, Welcome), welcome
        await agent.say(Heartbeat(t=self.clock.now, jobs=list(jobs)))
        await until(lambda: any(line.startswith(f"up {name}") for line in self.heard.lines[told:]))
        return agent, welcome


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """Instead of the window's fixture of this name: no Qt and no X server here."""


@pytest.fixture
def memory_store() -> MemoryStore:
    """A store in memory, which knows the shared key."""
    return MemoryStore()


@pytest.fixture
def shared_secret() -> str:
    """The text of that shared key."""
    return SHARED


class RealStore:
    """A workspace's store as it is; `broken`, when set, is raised by every call instead."""

    def __init__(self, store: Store) -> None:
        self.real = store
        self.broken: Exception | None = None
        store.put_key(shared_key(time.time(), SHARED))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self.broken:
                raise self.broken
            return method(*arguments, **named)

        return call


def _place(directory: Any, store: Any = None) -> Place:
    store, heard, clock = store or MemoryStore(), Heard(), Clock()
    options = HubOptions(directory=directory, host="127.0.0.1", port=0, insecure=True, version="test")
    hub = Hub(store, options, listener=heard, clock=clock.wall, monotonic=clock.monotonic)
    return Place(hub, store, heard, clock)


@pytest.fixture
async def place(tmp_path: Any) -> Any:
    """A hub without TLS, whose clocks stand still."""
    here = _place(tmp_path)
    async with here.hub, here.stack:
        yield here


@pytest.fixture
async def mortal_place(tmp_path: Any) -> Any:
    """The same; the test itself ends the hub, with `Place.stop`."""
    here = _place(tmp_path)
    await here.hub.__aenter__()
    async with here.stack:
        yield here


# ---- people


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    """A stand-in for GitHub; ada signs in, who is in a team."""
    with GitHubStandIn(person=User("ada", 7, ("Osg/monitoring",))).running() as running:
        yield running


@pytest.fixture
def trusting(github: GitHubStandIn) -> SignInOptions:
    """Settings of a hub that trusts the stand-in: ada observes, and all of a team operate."""
    return SignInOptions("github", github.client, github.secret, ("osg/operators",), ("ada",), github=github.address)


@pytest.fixture
async def hub(place: Any, trusting: SignInOptions) -> Any:
    """A hub that lets people in."""
    place.hub.options = replace(place.hub.options, public=f"127.0.0.1:{place.hub.port}")
    await place.hub.people.use(trusting)
    return place


@pytest.fixture
def browser(hub: Any) -> Browser:
    """A browser that has not signed in."""
    return Browser(hub)


@pytest.fixture(scope="session")
def new_workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file of a workspace that was just made, to be copied: making one takes a second."""
    file = tmp_path_factory.mktemp("workspace") / "new.db"
    Store(file).close()
    return file


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Any:
    """A function that returns the address of a new workspace on PostgreSQL, a copy of one that was just made."""
    engine = create_engine(parse_database(postgres_server), isolation_level="AUTOCOMMIT")
    address = postgres_server.rpartition("/")[0]
    numbers = itertools.count()

    def execute(command: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(command))

    name = f"hub_{token_hex(4)}"
    execute(f"CREATE DATABASE {name}")
    Store(f"{address}/{name}").close()

    def make() -> str:
        copy = f"{name}_{next(numbers)}"
        execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
        return f"{address}/{copy}"

    yield make
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def real_store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """A workspace's store on each kind of database, which knows the shared key."""
    address = tmp_path / "workspace.db"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("new_workspace"), address)
    else:
        address = request.getfixturevalue("new_database")()
    with Store(address) as store:
        yield RealStore(store)


@pytest.fixture
async def stored_place(tmp_path: Any, real_store: RealStore) -> Any:
    """A `place` with a real store."""
    here = _place(tmp_path, real_store)
    async with here.hub, here.stack:
        yield here
