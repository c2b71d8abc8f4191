"""One run: carries out what `gui.campaign` decides, for every repeat of every test of a plan.

For each repeat: tell the clients to start, hand out its rounds (requests are in the database before an agent hears of
them), wait until all is reported, settle, score. The events of hub and bus come in through plain methods that return at
once; one task takes them in order, feeds them to the state machine and carries out its commands.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agent.messages import (
    Abort,
    Done,
    EndRepeat,
    LabState,
    Line,
    RepeatDone,
    RepeatReady,
    Request,
    Round,
    RoundDone,
    Sample,
    Silence,
    StartRepeat,
)
from gui.campaign.assign import Assigner
from gui.campaign.draw import Draw, draw_round
from gui.campaign.holdups import HeldUp, Relieved, Waiting
from gui.campaign.plan import Fault, File, Plan, Test
from gui.campaign.preview import DEFAULT_BYTES, offered_rate, request_seconds
from gui.campaign.repeat import AbortJobs, Command, End, HandOut, Note, Repeat, Settle, Start, State
from gui.campaign.selection import Client, Server, choose_clients, choose_servers
from gui.campaign.settle import ALIVE, Settled, SettleView
from gui.campaign.settle import Settle as Settling
from gui.hub import AgentView, Hub
from gui.reconcile import (
    STATES,
    LiveCounts,
    TestFigures,
    conclusion_of_run,
    figures,
    restate,
    run_figures,
    score,
    summary,
)
from gui.runner.consume import ConsumerState, Drain
from gui.runner.intake import StatusIntake
from gui.runner.lab import LabMissing, cannot, inject
from gui.runner.live import Live, Measured
from gui.runner.local_clients import LocalClients
from gui.runner.outlook import Outlook, Work
from gui.runner.probes import Probes
from gui.runner.progress import (
    MAX_MARKERS,
    RING_SECONDS,
    Marker,
    Outcome,
    Phase,
    RunProgress,
    SamplePoint,
    Severity,
    StepState,
)
from gui.runner.resolve import Catalogues, RunRefused, present_clients, reached_twice
from gui.store import MarkerRow, NewRequest, SampleRow, ScoringEntry, ServerEntry, Store, StoreError, TestSpec
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

LOOK_SECONDS = 0.5
BEAT_OFFSET = 0.3
"""Points of the time axis are made so long after each whole second, when most clients have told of it."""
LOOK_LIMIT = 60.0
SETTLE_LOOK = 0.25
ROUND_REQUESTS = 5000
ROUND_BYTES = 2 * 2**20
"""Limits of one Round message, well below what an agent takes."""
WRITE_DIRECTORY = "/store/write"
ABORTED_SETTLE = 2.0
SILENCE_LIMIT, SILENCE_TIMEOUTS = 60.0, 3.0
"""The least number of seconds, and of the plan's timeouts, that servers which do not answer have in the end."""
STATUS_SECONDS = 3.0
"""How long a run waits for what the daemons say before its first request, and after its last."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `tests` are the figures of those tests that were scored, in the order of the plan."""

    run: int
    outcome: Outcome
    message: str
    tests: tuple[TestFigures, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: done and passed; 1: everything else."""
        return 0 if self.outcome == "passed" else 1


class Host(Protocol):
    """What a run finds around it."""

    store: Store
    hub: Hub
    lab: LabState | None
    statuses: StatusIntake
    records_state: ConsumerState
    local_clients: LocalClients | None
    probes: Probes

    def servers(self) -> list[Server]: ...
    def quiet_seconds(self) -> float: ...
    def hold_seconds(self) -> float: ...
    async def ask_for_status(self, seconds: float, *, both: bool = False) -> None: ...
    def drain_records(self) -> Drain | None: ...
    def client_wait(self) -> float: ...
    def blocking(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]: ...
    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None: ...
    def changed(self) -> None: ...


@dataclass(slots=True)
class _Resolved:
    """A test with everything found out: which servers, clients and files."""

    number: int
    test: Test
    servers: list[Server]
    clients: list[Client] = field(default_factory=list)
    files: tuple[File, ...] = ()


@dataclass(slots=True)
class _Repeat:
    """The repeat under way."""

    id: int
    job: str
    number: int
    resolved: _Resolved
    machine: Repeat
    live: Live
    counts: LiveCounts
    assigner: Assigner
    server_ids: dict[str, int]
    base: dict[str, int] = field(default_factory=dict)
    """By shoveler, the last number that it had taken before the first request, as far as that was told."""
    opened: float = field(default_factory=time.time)
    """When it began: clients are told to start their workers."""
    began: float = 0.0
    """When its first round was handed out."""
    done: float | None = None
    """When its last round was over."""
    undone: dict[str, dict[int, list[Round]]] = field(default_factory=dict)
    """What was handed out and not reported as done, by client and round: said again after a cut."""
    stored: dict[tuple[str, str], int] = field(default_factory=dict)
    """Last stored line by (client, journal)."""
    ends: dict[str, str] = field(default_factory=dict)
    """The journal that a client's RepeatDone spoke of."""
    first_round: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after each look at the database."""
    unstored: list[Measured] = field(default_factory=list)
    """Seconds of the time axis that are not in the database yet."""
    measured: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there are some."""


class RunSession:
    """See the module. `run` once."""

    def __init__(self, host: Host, plan: Plan, *, text: str, files: str | None, directory: Path) -> None:
        self._host = host
        self._store = host.store
        self._hub = host.hub
        self._plan = plan
        self._text = text
        self._catalogues = Catalogues(host.probes, host.lab, text=files, directory=directory)
        self._token = secrets.token_hex(4)
        """Makes the names of written files new."""
        self._run: int | None = None
        self._phase: Phase = "preparing"
        self._message = ""
        self._outcome: Outcome = "running"
        self._started = time.time()
        self._current: _Repeat | None = None
        self._stopping = False
        self._hurry = False
        self._broken = ""
        self._incomplete: list[str] = []
        """What was not asked for, since servers did not answer; a sentence for each repeat."""
        # Unbounded, since the hub must never wait for a run; it holds a few small messages for each agent and round.
        self._events: asyncio.Queue[Callable[[_Repeat, float], list[Command]]] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._markers: deque[Marker] = deque(maxlen=MAX_MARKERS)
        self._unsaved: list[Marker] = []
        self._series: dict[str, str] = {}
        """Names of all servers so far, by URL, in the order in which they stand in every `SamplePoint`."""
        self._past: tuple[SamplePoint, ...] = ()
        """The time axis of the repeats that are over."""
        self._outlook = Outlook([])
        self._over = asyncio.Event()
        self._scored = 0
        self.counting: int | None = None
        """The repeat whose records are awaited; those of any other are late ones."""

    # ---- what hub, bus and owner tell; all return at once

    def stop(self) -> None:
        """Finish the round, settle, end. Told a second time while it settles: do not wait any longer."""
        self._hurry = self._hurry or (self._stopping and self._phase == "settling")
        self._stopping = True
        self._wake.set()
        self._events.put_nowait(lambda repeat, now: repeat.machine.stop(now))

    def abort(self) -> None:
        """End at once."""
        self._stopping = self._hurry = True
        self._wake.set()
        self._events.put_nowait(lambda repeat, now: repeat.machine.abort(now))

    async def wait(self) -> None:
        """Wait until the run is over."""
        await self._over.wait()

    def agent_up(self, agent: AgentView) -> None:
        """An agent's session began, or it is heard of again."""
        self._wake.set()
        if self._current is not None:
            self._current.live.back(agent.id, time.time())
        self._events.put_nowait(lambda repeat, now: self._back(repeat, agent, now))

    def agent_missing(self, agent: AgentView) -> None:
        """An agent is missing."""
        if self._current is not None:
            self._current.live.missing(agent.id, time.time())
        self._events.put_nowait(lambda repeat, now: self._missing(repeat, agent, now))

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        """A client agent tells about its work. Words about another job (an earlier repeat) are passed over."""
        repeat = self._current
        if repeat is None or getattr(message, "job", "") != repeat.job:
            return
        match message:
            case Sample():
                repeat.live.sample(agent.id, message, time.time(), agent.clock_offset)
                if message.silence is not None or repeat.machine.waits_for_servers(agent.id):
                    silence = message.silence or Silence(0, {})
                    self._events.put_nowait(lambda repeat, now: _silence(repeat, agent.id, silence, now))
            case RepeatReady(error=error):
                (repeat.live.ended if error else repeat.live.ready)(agent.id, time.time())
                self._events.put_nowait(lambda repeat, now: repeat.machine.ready(agent.id, now, error))
            case RoundDone(round=number):
                self._events.put_nowait(lambda repeat, now: self._round_done(repeat, agent.id, number, now))
            case RepeatDone():
                repeat.live.ended(agent.id, time.time())
                self._events.put_nowait(lambda repeat, now: self._repeat_done(repeat, agent.id, message, now))
            case _:
                log.debug("! %s is not a run's business", type(message).__name__)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        """Journal lines of an agent are in the database."""
        repeat = self._current
        if repeat is None:
            return
        repeat.stored[agent_id, journal] = last
        repeat.live.reported(agent_id, sum(1 for line in lines if isinstance(line, Done) and line.job == repeat.job))
        if repeat.ends.get(agent_id) == journal:
            self._events.put_nowait(lambda repeat, now: self._stored(repeat, agent_id, journal, now))

    @property
    def job(self) -> str:
        """The job under way, whose reports this run takes; empty when there is none."""
        return self._current.job if self._current is not None and self.counting is not None else ""

    @property
    def number(self) -> int | None:
        """The run's number; None before it has one."""
        return self._run

    @property
    def job_prefix(self) -> str | None:
        """What the jobs of this run begin with; None before it has a number."""
        return None if self._run is None else f"{self._run}."

    # ---- the run

    async def run(self) -> RunResult:
        """Carry the plan out. Raises RunRefused, SelectionError or CatalogueError before a run was begun."""
        try:
            return await self._run_all()
        finally:
            self._over.set()

    async def _run_all(self) -> RunResult:
        resolved = [
            _Resolved(number, test, choose_servers(test.servers, self._host.servers()))
            for number, test in enumerate(self._plan.tests, 1)
        ]
        faults = [fault for test in self._plan.tests for fault in test.faults]
        if reasons := cannot(faults, self._host.lab, local_clients=self._host.local_clients is not None):
            raise RunRefused(" ".join(reasons))
        for one in resolved:
            one.clients = await self._clients(one.test)
        for one in resolved:
            one.files = await self._files(one)
        chosen = {server.url: server for one in resolved for server in one.servers}
        for sentence in await reached_twice(chosen.values()):
            self._host.problem("warning", "servers", sentence)
        self._outlook = Outlook([_work(one) for one in resolved])
        self._show("preparing", "writing the run into the database")
        self._run = run = await self._create_run(resolved)
        try:
            for one in resolved:
                for number in range(1, one.test.repeats + 1):
                    if self._stopping or self._broken:
                        break
                    await self._do_repeat(one, number)
        except (StoreError, RunRefused) as error:
            log.exception("! the run cannot go on")
            self._broken = f"The run ended before its time: {error}"
            self._host.problem("error", f"run {run}", self._broken)
        finally:
            self._host.statuses.end_run()
        return await self._conclude()

    async def _create_run(self, resolved: Sequence[_Resolved]) -> int:
        specs = [_spec(one) for one in resolved]
        agents = {client.id: client for one in resolved for client in one.clients}
        views = [view for client_id in agents if (view := self._hub.roster.find(client_id)) is not None]
        run: int = await self._host.blocking(
            self._store.create_run,
            name=self._plan.name,
            plan_text=self._text,
            settle=self._plan.settle,
            tests=specs,
            now=time.time(),
            environment={
                "host": socket.gethostname(),
                "hub": self._hub.address,
                "lab": bool(self._host.lab),
                "broker": self._host.lab.broker if self._host.lab else "",
                "servers": len({server.url for one in resolved for server in one.servers}),
                "clients": [_facts(view) for view in views],
                "files": [len(one.files) for one in resolved],
            },
            versions={
                "tally": version("xrootd-tally"),
                "python": platform.python_version(),
                "agents": sorted({view.version for view in views}),
                "xrootd": sorted({view.xrootd for view in views if view.xrootd}),
            },
        )
        now = time.time()
        await self._host.blocking(self._store.set_run, run, state="running", started=now)
        self._show("preparing", "asking shovelers and collectors how far they are")
        await self._host.ask_for_status(STATUS_SECONDS, both=True)
        await self._host.blocking(self._store.mark_loaded, run)
        await self._host.blocking(self._host.statuses.begin_run, run)
        return run

    async def _conclude(self) -> RunResult:
        assert self._run is not None
        self._outlook.give_up()
        # Of the newest scorings: late records of an earlier repeat may have come while a later one ran.
        rows: list[TestFigures] = await self._host.blocking(run_figures, self._store, self._run)
        outcome: Outcome = STATES[conclusion_of_run([row.conclusion for row in rows])]
        message = summary(rows)
        if self._broken:
            outcome, message = "error", self._broken
        elif self._incomplete:
            message = " ".join([message, *self._incomplete])
        elif self._stopping and outcome != "passed":  # else it was too late to cut anything short
            outcome = "aborted" if self._hurry else "stopped"
            message = f"The run was {outcome} after {self._scored} of {_repeats(self._plan)} repeats."
        self._outcome = outcome
        self._show("done", message)
        try:
            await self._save_markers()
            await self._host.blocking(self._store.set_run, self._run, state=outcome, message=message, ended=time.time())
            # What was scored again since the figures were read.
            await self._host.blocking(restate, self._store, self._run)
        except StoreError as error:
            log.exception("! the end of the run could not be written down")
            outcome, message = "error", f"The end of the run could not be written down: {error}"
        scored = tuple(row for row in rows if row.repeats)
        return RunResult(self._run, outcome, message, scored, time.time() - self._started)

    # ---- before the first request

    async def _clients(self, test: Test) -> list[Client]:
        """Wait until the plan's clients are here. Raises RunRefused."""
        deadline = time.monotonic() + self._host.client_wait()
        while True:
            chosen = choose_clients(test.who.clients, present_clients(self._hub))
            if isinstance(chosen, list):
                return chosen
            if self._stopping:
                raise RunRefused("The run was stopped before it began.")
            self._show("waiting_clients", chosen)
            self._wake.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._wake.wait()
            except TimeoutError:
                raise RunRefused(f"The clients did not come: still {chosen}.") from None

    async def _files(self, one: _Resolved) -> tuple[File, ...]:
        """The catalogue of a test. Raises RunRefused or CatalogueError."""
        server, client = one.servers[0], one.clients[0]
        if one.test.files.dir is not None:
            self._show("preparing", f"{client.name} lists {one.test.files.dir} on {server.name}")
        files = await self._catalogues.find(one.test, server, client)
        while self._catalogues.remarks:
            self._host.problem("warning", "files", self._catalogues.remarks.pop(0))
        return files

    # ---- one repeat

    async def _do_repeat(self, one: _Resolved, number: int) -> None:
        test = one.test
        assert self._run is not None
        clients = await self._clients(test)  # those of the last repeat may have gone since
        repeat_id: int = await self._host.blocking(self._store.start_repeat, self._run, one.number, number, time.time())
        server_ids: dict[str, int] = await self._host.blocking(
            self._store.put_servers, [ServerEntry(server.url, server.name, server.labels) for server in one.servers]
        )
        self._series |= {server.url: server.name for server in one.servers if server.url not in self._series}
        names = {client.id: client.name for client in clients}
        average = sum(file.size for file in one.files) / len(one.files) if one.files else 0.0
        machine = Repeat(
            names,
            [server.url for server in one.servers],
            rounds=test.rounds,
            wait=test.wait,
            silence_limit=silence_limit(test),
            end_limit=60.0 + 4 * request_seconds(test.workload, average),
        )
        repeat = _Repeat(
            id=repeat_id,
            job=f"{self._run}.{one.number}.{number}",
            number=number,
            resolved=replace(one, clients=clients),
            machine=machine,
            live=Live([(server.name, server.url) for server in one.servers], tuple(self._series)),
            counts=LiveCounts(self._store, repeat_id),
            assigner=Assigner(test.who.slots),
            server_ids=server_ids,
            base={
                taker.id: max(last for _, last in taker.positions.values())
                for taker in self._host.statuses.takers(time.time() - ALIVE)
            },
        )
        for client in clients:
            repeat.live.client(client.id, client.name)
        while not self._events.empty():  # what came before is about another repeat
            self._events.get_nowait()
        if self._current is not None:
            self._past = (*self._past, *self._current.live.samples)[-RING_SECONDS:]
        self._current = repeat
        self._outlook.begin(one.number, number)
        self.counting = repeat_id
        self._mark("phase", f"test {one.number}, repeat {number}")
        helpers = [
            start_task(self._count(repeat), f"count {repeat.job}"),
            start_task(self._beat(repeat), f"beat {repeat.job}"),
            start_task(self._store_measured(repeat), f"measured {repeat.job}"),
            start_task(self._faults(repeat), f"faults {repeat.job}"),
        ]
        try:
            await self._drive(repeat)
            settled = await self._settle(repeat)
        except BaseException:
            for name in names:
                self._hub.send(name, Abort(job=repeat.job))
            raise
        finally:
            for helper in helpers:
                helper.cancel()
            for outcome in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("! a helper of %s failed", repeat.job, exc_info=outcome)
                    self._host.problem("warning", f"run {self._run}", f"A part of the run failed: {outcome}")
        await self._score(repeat, settled)

    async def _score(self, repeat: _Repeat, settled: Settled) -> None:
        self._show("reconciling", "comparing what was asked with what was recorded")
        now = time.time()
        repeat.unstored += repeat.live.finish(now)  # the curves end where the figures do
        await self._store_samples(repeat)
        await self._host.blocking(
            self._store.set_repeat,
            repeat.id,
            state="stopped" if repeat.machine.outcome != "complete" or self._hurry else "settled",
            ended=repeat.done,
            settled=now,
            complete=settled.complete,
            reason=settled.reason,
        )
        entry: ScoringEntry = await self._host.blocking(score, self._store, repeat.id, "settle", now)
        self._scored += 1
        self.counting = None
        self._outlook.finish(
            repeat.resolved.number,
            repeat.number,
            _step(repeat.resolved, entry),
            took=time.time() - repeat.opened,
            worked=(repeat.done or now) - (repeat.began or repeat.done or now),
            handed=repeat.live.requested,
        )
        log.info(
            "= %s: %d of %d matched, %d missing; settled after %.1f s: %s",
            repeat.job,
            entry.good,
            entry.counted,
            entry.missing,
            settled.seconds,
            settled.reason,
        )

    async def _drive(self, repeat: _Repeat) -> None:
        """Run the state machine until it is time to settle."""
        loop = asyncio.get_running_loop()
        machine = repeat.machine
        await self._carry_out(repeat, machine.begin(loop.time()))
        for client in machine.clients:
            view = self._hub.roster.find(client)
            if view is None or not view.live:
                await self._carry_out(repeat, machine.missing(client, loop.time()))
        while machine.state is not State.SETTLING:
            self._show_state(repeat)
            event = await self._next_event(machine.deadline)
            now = loop.time()
            await self._carry_out(repeat, event(repeat, now) if event else machine.advance(now))
        repeat.done = time.time()
        repeat.live.over(repeat.done)
        if machine.given_up:
            names = ", ".join(self._named(repeat, server) for server in machine.given_up)
            text = f"Test {repeat.resolved.number}, repeat {repeat.number} is not complete: {names} did not answer."
            self._incomplete.append(text)
            self._mark("held", text)
        if machine.outcome == "failed":
            self._broken = "The run ended because its clients could not go on; the problems say why."

    async def _next_event(self, deadline: float | None) -> Callable[[_Repeat, float], list[Command]] | None:
        """The next event, or None when the deadline (of the loop's clock) came first."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._events.get()
        except TimeoutError:
            return None

    async def _carry_out(self, repeat: _Repeat, commands: list[Command]) -> None:
        waiting = deque(commands)
        test = repeat.resolved.test
        while waiting:
            match waiting.popleft():
                case Start(clients):
                    order = StartRepeat(
                        job=repeat.job, workload=test.workload, slots=test.who.slots, timeout=test.timeout
                    )
                    for client in clients:
                        self._hub.send(client, order)
                case HandOut(number, clients, parts):
                    waiting.extend(await self._hand_out(repeat, number, clients, parts))
                case End(clients):
                    for client in clients:
                        self._hub.send(client, EndRepeat(job=repeat.job))
                case AbortJobs(clients):
                    for client in clients:
                        self._hub.send(client, Abort(job=repeat.job))
                case Note(severity, text):
                    shown = self._named(repeat, text)
                    self._mark("agent", shown)
                    if severity != "info":
                        self._host.problem(severity, f"run {self._run}", shown)
                case HeldUp() | Relieved() as command:
                    self._tell_of_server(repeat, command)
                case Settle():
                    pass  # `_drive` sees it in the state

    def _tell_of_server(self, repeat: _Repeat, command: HeldUp | Relieved) -> None:
        """A server that does not answer is a problem as long as it lasts; the run keeps when and for how long."""
        name = self._named(repeat, command.server)
        where = f"server {name}"
        match command:
            case HeldUp(client=client, requests=requests, seconds=seconds, others=others, last=last, reached=reached):
                who = self._named(repeat, client)
                text = (
                    f"calls of {who} to {name} have not come back for {seconds:.0f} s, although the server answers: "
                    if reached
                    else f"{name} has not answered {who} for {seconds:.0f} s: "
                ) + f"{requests:,} request{'s wait' if requests != 1 else ' waits'}"
                if others:
                    text += f"; the run goes on with the other {f'{others} servers' if others > 1 else 'server'}."
                else:
                    text += ", and there is no other server to go on with."
                if last:
                    text += " This is not said of it again in this repeat."
                self._mark("hold", text)
                self._host.problem("warning", where, text)
            case Relieved(requests=requests, seconds=seconds, reached=reached):
                text = (
                    f"calls to {name} did not come back for {seconds:.0f} s, although the server answered; "
                    if reached
                    else f"{name} did not answer for {seconds:.0f} s; "
                ) + f"{requests:,} request{'s' if requests != 1 else ''} had to wait."
                self._mark("held", text)
                self._host.problem("warning", where, "")

    async def _hand_out(
        self, repeat: _Repeat, number: int, clients: Sequence[str], parts: Mapping[str, int]
    ) -> list[Command]:
        """Draw, assign, write down, send. In a thread, since a round may have many thousands of requests."""
        handed: dict[str, list[Round]] = await self._host.blocking(self._prepare_round, repeat, number, clients, parts)
        if not repeat.began:
            repeat.began = time.time()
            repeat.first_round.set()
        self._mark("round", f"round {number}")
        for client, rounds in handed.items():
            repeat.undone.setdefault(client, {})[number] = rounds
            repeat.live.handed(client, sum(len(part.requests) for part in rounds))
            for part in rounds:
                self._hub.send(client, part)
        return repeat.machine.handed(number, handed, parts, asyncio.get_running_loop().time())

    def _prepare_round(
        self, repeat: _Repeat, number: int, clients: Sequence[str], parts: Mapping[str, int]
    ) -> dict[str, list[Round]]:
        """In a thread: the messages of a round by client; its requests are in the database when it returns."""
        one, assigner = repeat.resolved, repeat.assigner
        # A server without a part keeps its place, by which the others' requests go round the clients.
        draws = {
            server.url: self._draw(repeat, place, parts[server.url]) if server.url in parts else []
            for place, server in enumerate(one.servers)
        }
        assigned = assigner.round(draws, clients)
        uses = assigner.missing_tags(assigned)
        assigner.supply(uses, self._store.allocate_tags(len(uses)))
        identities = {client: self._identity(client) for client in clients}
        new: list[NewRequest] = []
        requests: dict[str, list[Request]] = {}
        for request in assigned:
            use, tag = request.use, assigner.tag(request)
            new.append(
                NewRequest(tag, request.path, use.server, identities[use.agent], use.slot, request.size, request.seed)
            )
            requests.setdefault(use.agent, []).append(
                Request(tag, use.slot, use.server, request.path, request.size, request.seed)
            )
        self._store.add_requests(repeat.id, number, new, time.time())
        return {client: list(_rounds(repeat.job, number, own)) for client, own in requests.items()}

    def _draw(self, repeat: _Repeat, place: int, number: int) -> list[Draw]:
        """Part `number` of what is asked of the server at this place: the same in whichever round it is asked."""
        one, test = repeat.resolved, repeat.resolved.test
        files: Sequence[File] = one.files
        count = test.round_size(number)
        if test.workload.kind == "write":
            directory = (test.files.dir or WRITE_DIRECTORY).rstrip("/")
            size = test.workload.bytes or DEFAULT_BYTES
            stem = f"{directory}/{self._token}-{one.number}-{repeat.number}-{place + 1}-{number}"
            files = [File(f"{stem}-{file}", size) for file in range(1, count + 1)]
        return draw_round(
            files, count, seed=test.seed, test=one.number, repeat=repeat.number, server=place, number=number
        )

    def _identity(self, client: str) -> str:
        view = self._hub.roster.find(client)
        assert view is not None
        return f"{view.kid}/{view.name}"

    # ---- events, one after the other

    def _back(self, repeat: _Repeat, agent: AgentView, now: float) -> list[Command]:
        if agent.id not in repeat.machine.clients:
            return []
        has_job = repeat.job in agent.jobs
        commands = repeat.machine.back(agent.id, now, has_job=has_job)
        if has_job:
            for rounds in repeat.undone.get(agent.id, {}).values():
                for part in rounds:
                    self._hub.send(agent.id, part)
        return commands

    def _missing(self, repeat: _Repeat, agent: AgentView, now: float) -> list[Command]:
        view = self._hub.roster.find(agent.id)
        if view is not None and view.live:
            return []  # it has come back while this event waited
        return repeat.machine.missing(agent.id, now)

    def _round_done(self, repeat: _Repeat, client: str, number: int, now: float) -> list[Command]:
        repeat.undone.get(client, {}).pop(number, None)
        return repeat.machine.round_done(client, number, now)

    def _repeat_done(self, repeat: _Repeat, client: str, message: RepeatDone, now: float) -> list[Command]:
        repeat.ends[client] = message.journal
        commands = repeat.machine.repeat_done(client, message.journal_last, now)
        return commands + self._stored(repeat, client, message.journal, now)

    def _stored(self, repeat: _Repeat, client: str, journal: str, now: float) -> list[Command]:
        return repeat.machine.stored(client, repeat.stored.get((client, journal), 0), now)

    def _named(self, repeat: _Repeat, text: str) -> str:
        """A sentence of the state machine with names instead of public ids and addresses."""
        for client in repeat.resolved.clients:
            text = text.replace(client.id, client.name)
        # The longest first: an address may begin like another one.
        for server in sorted(repeat.resolved.servers, key=lambda server: -len(server.url)):
            text = text.replace(server.url, server.name)
        return text

    # ---- settling

    async def _settle(self, repeat: _Repeat) -> Settled:
        """Wait for monitoring. Late words of agents are still taken."""
        began = repeat.done or time.time()
        loop = asyncio.get_running_loop()
        limit = self._plan.settle
        if repeat.machine.outcome == "aborted":
            limit = min(limit, ABORTED_SETTLE)
        self._show("settling", "counting what was recorded")
        repeat.looked.clear()  # counts from before the last request say nothing
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                await repeat.looked.wait()
        except TimeoutError:
            repeat.machine.settled()
            return Settled(False, time.time() - began, "the database could not be read")
        settling = Settling(
            began=began,
            limit=limit,
            hold=self._host.hold_seconds(),
            quiet=self._host.quiet_seconds(),
            base=repeat.base,
        )
        drain: Drain | None = None
        async with asyncio.TaskGroup() as questions:
            while True:
                if self._hurry:
                    settling.hurry()
                step = settling.look(self._settle_view(repeat, drain))
                if isinstance(step, Settled):
                    break
                if step.want == "ask":
                    questions.create_task(self._host.ask_for_status(0.0), name=f"ask {repeat.job}")
                elif step.want == "drain":
                    drain = self._host.drain_records()
                self._show("settling", step.reason)
                again = loop.time() + max(0.02, min(SETTLE_LOOK, step.again - time.time()))
                event = await self._next_event(again)
                if event is not None:
                    await self._carry_out(repeat, event(repeat, loop.time()))
        repeat.machine.settled()
        await self._host.ask_for_status(STATUS_SECONDS if not self._hurry else 0.5)  # the evidence is of after the last
        return step

    def _settle_view(self, repeat: _Repeat, drain: Drain | None) -> SettleView:
        now = time.time()
        totals = repeat.live.totals
        assert totals is not None
        depths = self._host.records_state.depths
        since = self._started - ALIVE
        return SettleView(
            now=now,
            looked=totals.t,
            unrecorded=max(0, totals.unrecorded - self._never(repeat)),
            unequal=totals.wrong,
            last_record=totals.last_record,
            takers=self._host.statuses.takers(since),
            readers=self._host.statuses.readers(since),
            strangers=totals.unrecorded > 0 and self._host.statuses.strangers(since),
            queued=depths[1] if len(depths) > 1 else None,
            drained=drain is not None and drain.done.is_set(),
        )

    def _never(self, repeat: _Repeat) -> int:
        """Requests that will never be done: handed to clients that lost their workers, and not begun by then.

        Such a client has reported all that it had begun once its whole journal is here."""
        count = 0
        for client in repeat.machine.lost:
            view = self._hub.roster.find(client)
            if view is not None and view.live and view.journal_stored >= view.journal_last:
                count += repeat.live.unreported(client)
        return count

    # ---- beside it

    async def _count(self, repeat: _Repeat) -> None:
        """Look at the database twice a second (less often when a look takes long)."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                repeat.live.counted(await self._host.blocking(repeat.counts.look, time.time()))
                repeat.looked.set()
            except StoreError as error:
                self._host.problem("warning", "live counts", f"The counts stand still: {error}")
            else:
                self._host.problem("warning", "live counts", "")
            self._host.changed()
            taken = loop.time() - began
            await asyncio.sleep(max(LOOK_SECONDS - taken, taken))

    async def _beat(self, repeat: _Repeat) -> None:
        """Keep the time axis, once a second, whatever the database does: nothing in here waits for it."""
        while True:
            await asyncio.sleep(1.0 - (time.time() - BEAT_OFFSET) % 1.0)
            repeat.unstored += repeat.live.tick(time.time())
            if repeat.unstored:
                repeat.measured.set()
            self._host.changed()

    async def _store_measured(self, repeat: _Repeat) -> None:
        """Store what the beats have brought, as soon as the database takes it. Until then it waits in memory: some 50
        small values a second for 50 servers."""
        while True:
            await repeat.measured.wait()
            repeat.measured.clear()
            try:
                await self._store_samples(repeat)
                await self._save_markers()
            except StoreError as error:
                self._host.problem("warning", "time axis", f"The time axis of the run is not stored yet: {error}")
            else:
                self._host.problem("warning", "time axis", "")

    async def _store_samples(self, repeat: _Repeat) -> None:
        """Raises StoreError; what was not stored then is stored by the next call."""
        waiting, repeat.unstored = repeat.unstored, []
        try:
            if waiting:
                rows = [_sample_row(one, repeat.server_ids[one.url]) for one in waiting]
                await self._host.blocking(self._store.add_samples, repeat.id, rows)
        except StoreError:
            repeat.unstored = waiting + repeat.unstored
            raise

    async def _save_markers(self) -> None:
        assert self._run is not None
        while self._unsaved:
            marker = self._unsaved[0]
            await self._host.blocking(self._store.add_marker, self._run, MarkerRow(marker.t, marker.kind, marker.text))
            self._unsaved.pop(0)

    async def _faults(self, repeat: _Repeat) -> None:
        """Break things when the plan says so."""
        await repeat.first_round.wait()
        async with asyncio.TaskGroup() as tasks:
            for fault in repeat.resolved.test.faults:
                tasks.create_task(self._fault(repeat, fault), name=f"fault {fault.do}")

    async def _fault(self, repeat: _Repeat, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, repeat.began + fault.at - time.time()))
        self._mark("fault", fault.text)
        self._host.changed()
        try:
            text = await self._inject(fault)
        except LabMissing as error:
            self._host.problem("error", f"fault {fault.do}", str(error))
        else:
            self._mark("fault", text)

    async def _inject(self, fault: Fault) -> str:
        if fault.do == "kill-agent":
            assert self._host.local_clients is not None  # else the run is refused
            return await self._host.local_clients.kill(self._host.local_clients.names[0], fault.lasts)
        assert self._host.lab is not None
        return await inject(Path(self._host.lab.directory), fault)

    # ---- what is shown

    def _mark(self, kind: Any, text: str) -> None:
        marker = Marker(time.time(), kind, text)
        self._markers.append(marker)
        self._unsaved.append(marker)

    def _show(self, phase: Phase, message: str) -> None:
        if (phase, message) != (self._phase, self._message):
            self._phase, self._message = phase, message
            self._host.changed()

    def _show_state(self, repeat: _Repeat) -> None:
        machine = repeat.machine
        names = {client.id: client.name for client in repeat.resolved.clients}
        awaited = ", ".join(names[client] for client in machine.awaited[:5])
        match machine.state:
            case State.STARTING:
                self._show("starting", f"waiting for the workers of {awaited}")
            case State.ROUND if not awaited:
                self._show("round", "waiting for a client")
            case State.ROUND:
                self._show("round", f"round {machine.round} of {machine.rounds}{self._silent(repeat)}")
            case State.PAUSE:
                self._show("pause", f"round {machine.round} of {machine.rounds} is done{self._silent(repeat)}")
            case State.HELD:
                self._show("round", f"all other servers are done{self._silent(repeat)}")
            case State.ENDING:
                self._show("ending", f"waiting for the last reports of {awaited}")
            case _:
                pass

    def _silent(self, repeat: _Repeat) -> str:
        """The servers that do not answer, as the end of a sentence."""
        names = [self._named(repeat, server) for server in repeat.machine.silent]
        if not names:
            return ""
        verb = "does" if len(names) == 1 else "do"
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"; {', '.join(names[:3])}{more} {verb} not answer"

    def snapshot(self, now: float) -> RunProgress:
        """How the run stands."""
        base = RunProgress(
            t=now,
            run=self._run,
            plan=self._plan.name,
            phase=self._phase,
            outcome=self._outcome,
            message=self._message,
            tests=len(self._plan.tests),
            started=self._started,
            markers=tuple(self._markers),
            steps=self._outlook.steps,
            run_total=self._outlook.total,
            run_requested=self._outlook.handed,
            series=tuple(self._series.values()),
        )
        repeat = self._current
        if repeat is None:
            return base
        test, machine, totals = repeat.resolved.test, repeat.machine, repeat.live.totals
        total = len(repeat.resolved.servers) * test.files_per_server
        elapsed = (repeat.done or now) - repeat.began if repeat.began else 0.0
        views = {client: self._hub.roster.find(client) for client in repeat.live.clients}
        base = replace(
            base,
            test=repeat.resolved.number,
            repeat=repeat.number,
            repeats=test.repeats,
            round=machine.round,
            rounds=machine.rounds,
            total=total,
            offered_rate=offered_rate(total, test.per_round * len(repeat.resolved.servers), test.wait) or 0.0,
            servers=repeat.live.server_rows(now),
            clients=tuple(
                repeat.live.client_row(client, state=view.state if view else "missing", cpu=view.cpu if view else 0.0)
                for client, view in views.items()
            ),
            samples=(*self._past, *repeat.live.samples)[-RING_SECONDS:],
        )
        if totals is None:
            return base
        done = totals.read + totals.failed
        left = elapsed * (total - done) / done if done and repeat.done is None else None
        over = self.counting is None
        return replace(
            base,
            run_requested=self._outlook.handed + (0 if over else totals.requested),
            run_eta=self._outlook.left(
                elapsed=now - repeat.opened,
                work_left=left if repeat.done is None else 0.0,
                done=0 if over else done,
                worked=0.0 if over else elapsed,
            ),
            requested=totals.requested,
            read=totals.read,
            recorded=totals.recorded,
            failed=totals.failed,
            wrong=totals.wrong,
            duplicate=totals.duplicate,
            pending=totals.pending,
            gap=totals.gap,
            gap_oldest=max(0.0, now - totals.gap_oldest) if totals.gap_oldest is not None else 0.0,
            achieved_rate=done / elapsed if elapsed > 0 else 0.0,
            eta=left,
        )


def _silence(repeat: _Repeat, client: str, silence: Silence, now: float) -> list[Command]:
    servers = {url: Waiting(part.requests, part.seconds, part.reached) for url, part in silence.servers.items()}
    return repeat.machine.silence(client, silence.round, servers, silence.others, now)


def silence_limit(test: Test) -> float:
    """How long a repeat waits for servers that do not answer when nothing else is left to do."""
    return max(SILENCE_LIMIT, SILENCE_TIMEOUTS * test.timeout)


def _rounds(job: str, number: int, requests: Sequence[Request]) -> Iterator[Round]:
    """The messages of a client's part of a round."""
    part: list[Request] = []
    size = 0
    for request in requests:
        part.append(request)
        size += 120 + len(request.path.encode()) + len(request.server)
        if len(part) == ROUND_REQUESTS or size >= ROUND_BYTES:
            yield Round(job=job, round=number, requests=part, more=True)
            part, size = [], 0
    yield Round(job=job, round=number, requests=part)


def _spec(one: _Resolved) -> TestSpec:
    test = one.test
    return TestSpec(
        servers=len(one.servers),
        files_per_server=test.files_per_server,
        per_round=test.per_round,
        wait=test.wait,
        repeats=test.repeats,
        seed=test.seed,
        pass_at=test.pass_at,
        name=test.name,
        workload=test.workload,
    )


def _work(one: _Resolved) -> Work:
    """A test as `Outlook` sees it."""
    test = one.test
    return Work(
        name=test.name or f"{len(one.servers)} × {test.files_per_server}",
        requests=len(one.servers) * test.files_per_server,
        pauses=(test.rounds - 1) * test.wait,
        repeats=test.repeats,
    )


def _step(one: _Resolved, entry: ScoringEntry) -> StepState:
    """How a repeat came out, by itself."""
    match figures(_spec(one), [entry]).conclusion:
        case "pass":
            return "passed"
        case "fail":
            return "failed"
        case _:
            return "ended"


def _sample_row(one: Measured, server: int) -> SampleRow:
    """A second of a server as it is stored."""
    counts = one.counts
    return SampleRow(
        one.second,
        server,
        requested=counts.requested if counts else None,
        read=counts.read if counts else None,
        recorded=counts.recorded if counts else None,
        failed=counts.failed if counts else None,
        bytes_read=one.bytes_read,
        bytes_recorded=counts.bytes_recorded if counts else None,
    )


def _facts(view: AgentView) -> dict[str, Any]:
    return {
        "name": view.name,
        "host": view.host,
        "version": view.version,
        "platform": view.platform,
        "cpus": view.cpus,
        "xrootd": view.xrootd,
        "clock_offset": view.clock_offset,
        "rtt": view.rtt,
    }


def _repeats(plan: Plan) -> int:
    return sum(test.repeats for test in plan.tests)
