"""A workspace on the local bus, client agents that make no requests but say so, and a monitoring that they tell.

The agents speak the real protocol through the agent's own connection code; the "monitoring" publishes a record for each
request that an agent reports, through the real bus. Both have faults to dial in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from agent.connection import Session, Trust, join, parse_hub
from agent.messages import (
    Abort,
    CatalogueFile,
    Done,
    EndRepeat,
    Heartbeat,
    Journal,
    Probe,
    Probed,
    Register,
    Renew,
    RepeatDone,
    RepeatReady,
    Request,
    Round,
    Sample,
    ServerSample,
    Silence,
    Started,
    StartRepeat,
    Welcome,
    sign_token,
)
from gui.campaign.planfile import parse_plan
from gui.hub import HubOptions
from gui.runner import RunProgress, Workspace, WorkspaceOptions
from gui.runner.handover import HandedRun
from shoveler.bus import Outgoing, open_publisher, parse_bus_address
from shoveler.service import CollectorStatus, Position, Progress, ShovelerStatus, encode_status, routing_key
from shoveler.service.status import ShovelerSender

SECRET = "the shared key of these tests, long enough to be one"
FILES = "".join(f"/store/f{number:02d} {1000 + number}\n" for number in range(20))
PLAN = """
name = "p"
settle = "10s"
[[test]]
servers = ["root://s1:1094", "root://s2:1094"]
files_per_server = 6
per_round = 4
wait = "0s"
repeats = 1
[test.files]
list = "files.txt"
[test.who]
slots = 2
"""


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """Instead of the window's fixture of this name: no Qt and no X server here."""


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for a condition, with a deadline that also a machine with much else to do meets."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a poll with a deadline, for any condition
            await asyncio.sleep(0.01)


class Monitoring:
    """Publishes what servers, shoveler and collector would say of each request. `lose`, `change`: faults by path."""

    def __init__(self, bus: Path) -> None:
        self._address = parse_bus_address(str(bus))
        self._publisher = open_publisher(self._address, exchange="xrd-records", writer="collector")
        self._statuses = open_publisher(self._address, exchange="tally-status", writer="shoveler")
        self.lose: Callable[[Done], bool] = lambda done: False
        self.change: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda record: [record]
        self.lost: list[Done] = []
        self._number = 0

    def record(self, done: Done, server: str) -> dict[str, Any]:
        """The record of a request."""
        self._number += 1
        access = blake2b(f"{done.tag}/{done.path}/{self._number}".encode(), digest_size=16).hexdigest()
        return {
            "kind": "file",
            "schema": 1,
            "record_id": f"{access}.f",
            "access_id": access,
            "final": True,
            "server_id": str(abs(hash(server)) % 2**40),
            "stod": 1_700_000_000,
            "file_id": self._number,
            "server_hostname": server,
            "session_tag": done.tag,
            "filename": done.path,
            "read": done.read_asked,
            "readv": done.readv_asked,
            "write": done.written,
            "start_time": int(done.t_open),
            "end_time": int(done.t_close),
        }

    def saw(self, done: Done, server: str) -> None:
        """A request was made."""
        if not done.ok:
            return
        if self.lose(done):
            self.lost.append(done)
            return
        for record in self.change(self.record(done, server)):
            self.publish(record)

    def find(self) -> None:
        """What was lost comes after all."""
        for done in self.lost:
            self.publish(self.record(done, "late"))
        self.lost.clear()

    def publish(self, record: dict[str, Any]) -> None:
        self._publisher.send([Outgoing(msgspec.json.encode(record), record["record_id"], "file.vo")])
        self._publisher.outcomes(5)

    def status(self, *, taken: int, seen: int) -> None:
        """The shoveler tells how many datagrams it has taken, the collector how many it has seen."""
        now = time.time()
        position = Position(first=1, received_upto=taken, confirmed_upto=taken)
        head: dict[str, Any] = {"started": 1.0, "t": now, "host": "h", "version": "1"}
        messages = (
            ShovelerStatus(id="sp1", senders={"127.0.0.1:9": ShovelerSender(received=taken)},
                           positions={"g": position}, **head),
            CollectorStatus(id="c1", positions={"g": Progress(seen_upto=seen)}, **head),
        )  # fmt: skip
        self._statuses.send([Outgoing(encode_status(m), f"{m.id}-{now}", routing_key(m)) for m in messages])
        self._statuses.outcomes(5)

    def close(self) -> None:
        self._publisher.close()
        self._statuses.close()


@dataclass
class FakeAgent:
    """A client agent whose requests succeed at once. Set `fail`, `hold`, `refuse` to make it behave otherwise."""

    name: str
    monitoring: Monitoring
    fail: Callable[[Request], bool] = lambda request: False
    hold: Callable[[Request], bool] = lambda request: False
    """Requests that it starts and does not finish until `release`."""
    ignore: Callable[[Request], bool] = lambda request: False
    """Requests that it does not even start."""
    silence: Silence | None = None
    """What its samples say of servers that do not answer."""
    refuse: str = ""
    """Why it cannot start workers."""
    silent: bool = False
    """It acts on nothing that it is told, and gives no heartbeats."""
    clock: float = 0.0
    """Seconds by which its clock is ahead."""
    cpu: float = 10.0
    on_probe: Callable[[], None] = lambda: None
    answer: Callable[[Probe], list[Probed]] | None = None
    """What it answers to a Probe, instead of finding everything there."""
    journal: str = "j1"
    lines: list[Any] = field(default_factory=list)
    jobs: dict[str, dict[int, list[Request]]] = field(default_factory=dict)
    ended: list[RepeatDone] = field(default_factory=list)
    held: list[tuple[str, Request]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    requested: list[Request] = field(default_factory=list)
    orders: list[StartRepeat] = field(default_factory=list)
    renewals: list[Renew] = field(default_factory=list)
    session: Session | None = None

    async def live(self, workspace: Workspace) -> None:
        """One session, until it ends."""
        hub = workspace.hub
        address = parse_hub(hub.local_address, insecure=not hub.pin)
        details = Register(
            role="client",
            version="fake",
            host="here",
            name=self.name,
            journal=self.journal,
            journal_last=len(self.lines),
        )
        token = sign_token(SECRET, sub=self.name, scope="agent:client")
        session = await join(address, Trust(address, pin=hub.pin), token, details)
        self.session = session
        try:
            await self._come_back(session.welcome)
            async with asyncio.TaskGroup() as tasks:
                beat = tasks.create_task(self._beat(session), name="beat")
                try:
                    while True:
                        await self._obey(await session.receive())
                finally:
                    beat.cancel()
        except* ConnectionClosed:
            pass  # the end of a session
        finally:
            self.session = None

    async def _beat(self, session: Session) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(session.welcome.heartbeat / 2)
                if not self.silent:
                    await session.send(self._heartbeat())

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(t=time.time() + self.clock, cpu=self.cpu, jobs=sorted(self.jobs), journal_last=len(self.lines))

    async def _come_back(self, welcome: Welcome) -> None:
        await self.say(self._heartbeat())
        unsaid = self.lines[welcome.acknowledged :]
        if unsaid:
            await self.say(Journal(self.journal, unsaid))
        for job in self.jobs:
            await self.say(RepeatReady(job))
        for done in self.ended:
            await self.say(done)

    async def say(self, message: Any) -> None:
        if self.session is not None:
            with contextlib.suppress(ConnectionClosed):
                await self.session.send(message)

    async def _obey(self, message: Any) -> None:
        self.told.append(type(message).__name__)
        if self.silent:
            return
        match message:
            case StartRepeat(job=job):
                if self.refuse:
                    await self.say(RepeatReady(job, error=self.refuse))
                    return
                self.jobs.setdefault(job, {})
                self.orders.append(message)
                await self.say(self._heartbeat())
                await self.say(RepeatReady(job))
            case Renew():
                self.renewals.append(message)
            case Round(job=job, round=number, requests=requests):
                if job not in self.jobs:
                    await self.say(RepeatReady(job, error="This agent has no workers for it."))
                    return
                known = {(r.tag, r.path) for asked in self.jobs[job].values() for r in asked}
                fresh = [r for r in requests if (r.tag, r.path) not in known]
                self.jobs[job].setdefault(number, []).extend(fresh)
                await self._work(job, number, fresh)
            case EndRepeat(job=job) | Abort(job=job):
                if self.jobs.pop(job, None) is None:
                    await self.say(RepeatReady(job, error="This agent has no such job."))
                    return
                done = RepeatDone(job, self.journal, len(self.lines))
                self.ended.append(done)
                await self.say(done)
            case Probe():
                self.on_probe()
                for part in (self.answer or found)(message):
                    await self.say(part)
            case _:
                pass

    async def _work(self, job: str, number: int, requests: list[Request]) -> None:
        first = len(self.lines)
        for request in requests:
            self.requested.append(request)
            if self.ignore(request):
                continue
            self.lines.append(
                Started(len(self.lines) + 1, job, number, request.tag, request.server, request.path, time.time())
            )
            if self.hold(request):
                self.held.append((job, request))
            else:
                self._done(job, request)
        await self.say(Journal(self.journal, self.lines[first:]))
        figures = {r.server: ServerSample(1000 * len(requests), len(requests), 0, 0) for r in requests}
        await self.say(Sample(job, time.time(), figures, silence=self.silence))

    def _done(self, job: str, request: Request) -> None:
        now = time.time()
        ok = not self.fail(request)
        size = request.size if ok else 0
        done = Done(
            len(self.lines) + 1,
            job,
            request.tag,
            request.path,
            ok,
            now,
            now,
            size,
            size,
            0,
            0,
            0,
            1,
            0,
            0,
            server=request.server,
            status=0 if ok else 3011,
            error="" if ok else "no such file",
        )
        self.lines.append(done)
        self.monitoring.saw(done, request.server)

    async def release(self) -> None:
        """Finish what was held."""
        first = len(self.lines)
        for job, request in self.held:
            self._done(job, request)
        self.held.clear()
        await self.say(Journal(self.journal, self.lines[first:]))

    async def cut(self) -> None:
        """Break the connection."""
        if self.session is not None:
            self.session._socket.transport.abort()

    def forget(self) -> None:
        """As after a restart: no jobs; what was started and not done is interrupted."""
        self.jobs.clear()
        self.ended.clear()
        for job, request in self.held:
            now = time.time()
            self.lines.append(
                Done(
                    len(self.lines) + 1,
                    job,
                    request.tag,
                    request.path,
                    False,
                    now,
                    now,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    error="the agent was restarted",
                    interrupted=True,
                )
            )
        self.held.clear()


def found(question: Probe) -> list[Probed]:
    """All paths are there, with 7 bytes each; a directory holds two files. In two parts."""
    files = [CatalogueFile(path, 7) for path in question.paths]
    if question.directory:
        files = [CatalogueFile(f"{question.directory}/a", 5), CatalogueFile(f"{question.directory}/b", 6)]
    number, server = question.id, question.server
    return [
        Probed(number, server, True, "v5.7", files=files[:1], more=True),
        Probed(number, server, True, "v5.7", files=files[1:]),
    ]


class Stage:
    """A workspace with agents and monitoring."""

    secret = SECRET
    plan_text = PLAN
    files = FILES
    until = staticmethod(until)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bus = directory / "bus"
        self.monitoring = Monitoring(self.bus)
        self.workspace: Workspace
        self.agents: dict[str, FakeAgent] = {}
        self.seen: list[RunProgress] = []
        self._living: dict[str, asyncio.Task[None]] = {}

    def options(self, **changes: Any) -> WorkspaceOptions:
        values: dict[str, Any] = {
            "database": self.directory / "w.db",
            "hub": HubOptions(directory=self.directory / "hub", host="127.0.0.1", port=0, insecure=True, heartbeat=0.2),
            "bus": str(self.bus),
            "shared_key": SECRET,
            "fstat_seconds": 0.05,
            "flush_seconds": 0.05,
            "client_wait": 10.0,
        }
        return WorkspaceOptions(**(values | changes))

    @contextlib.asynccontextmanager
    async def open(self, *, taken: HandedRun | None = None, **changes: Any) -> AsyncIterator[Workspace]:
        """Open the workspace; at the end the agents go, too."""
        async with Workspace.open(self.options(**changes), taken=taken) as workspace:
            self.workspace = workspace
            try:
                yield workspace
            finally:
                await self.leave(*self._living)

    async def join(self, *names: str, **changes: Any) -> list[FakeAgent]:
        """Agents of these names open a session (again)."""
        for name in names:
            agent = self.agents.setdefault(name, FakeAgent(name, self.monitoring))
            for key, value in changes.items():
                setattr(agent, key, value)
            told = len(agent.told)
            self._living[name] = asyncio.get_running_loop().create_task(agent.live(self.workspace), name=name)
            await until(lambda agent=agent: agent.session is not None)  # type: ignore[misc]
            assert told >= 0
        return [self.agents[name] for name in names]

    async def leave(self, *names: str) -> None:
        """The agents' sessions end."""
        for name in names:
            agent = self.agents[name]
            if agent.session is not None:
                await agent.session.close(1000, "bye")
            await self._living.pop(name)

    async def cut(self, name: str) -> None:
        """An agent's connection breaks."""
        await self.agents[name].cut()
        await self._living.pop(name)

    async def run(self, text: str = PLAN, **changes: Any) -> Any:
        """Run a plan to its end."""
        return await self.workspace.run(
            parse_plan(text), text=text, files=self.files, on_progress=self.seen.append, **changes
        )

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Do this beside the test."""
        return asyncio.get_running_loop().create_task(work, name="beside the test")

    def start(self, text: str = PLAN) -> asyncio.Task[Any]:
        """Begin to run a plan."""
        return asyncio.get_running_loop().create_task(self.run(text), name="the run")

    @property
    def now(self) -> RunProgress:
        """The newest snapshot."""
        return self.workspace.progress.latest


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A stage whose quiet time is short."""
    monkeypatch.setattr("gui.campaign.settle.MINIMUM_QUIET", 0.3)
    monkeypatch.setattr("gui.runner.recorder.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("gui.runner.consume.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("gui.runner.late.LATE_SECONDS", 0.05)
    made = Stage(tmp_path)
    try:
        yield made
    finally:
        made.monitoring.close()
