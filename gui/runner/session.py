"""One run: every repeat of every test of a plan, from resolving it to its result.

`session` prepares, starts and concludes the run, and scores each repeat; another program may go on with it
(`handover`). `driver` carries a repeat out: it feeds the
`events` of hub and bus to the state machine of `gui.campaign.repeat`, one by one, and executes its commands; `rounds`
draws and stores what is handed out, before an agent receives it. The `recorder` (counts, time axis) and the `faults` of
the plan run beside it. All share `current.CurrentRepeat`; `snapshots.Board` is what is shown of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from agent.messages import (
    HTTP,
    Abort,
)
from gui.campaign.assign import Assigner
from gui.campaign.doors import not_over_http, protocols_of
from gui.campaign.limits import limits_of
from gui.campaign.plan import File, Plan, Test
from gui.campaign.repeat import Repeat
from gui.campaign.selection import Client, choose_clients, choose_servers
from gui.campaign.settle import ALIVE, Settled
from gui.hub import AgentView
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
from gui.reconcile.foreign import KEY as FOREIGN
from gui.reconcile.foreign import kept as kept_faults
from gui.runner import kept as kept_run
from gui.runner import lasting
from gui.runner.checklist import Check, kept
from gui.runner.credentials import Credentials
from gui.runner.current import CurrentRepeat, ResolvedTest
from gui.runner.driver import STATUS_SECONDS, Driver, HandedOverError, not_complete
from gui.runner.events import Events
from gui.runner.faults import Faults
from gui.runner.handover import HandedRun
from gui.runner.host import Host
from gui.runner.identity import identify
from gui.runner.lab import cannot
from gui.runner.live import Live
from gui.runner.outlook import Outlook, Work
from gui.runner.progress import (
    Outcome,
    StepState,
)
from gui.runner.recorder import Recorder
from gui.runner.refusal import RunRefusedError
from gui.runner.resolve import Catalogues, present_clients, reached_twice
from gui.runner.snapshots import Board
from gui.runner.surroundings import kernel_values, server_facts
from gui.store import ScoringEntry, ServerEntry, StoreError, TestSpec
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

REJOIN_SECONDS = 30.0
"""How long clients have to join again after another program has gone on with a run; then they count as missing."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `tests` are the figures of the scored tests, in the order of the plan."""

    run: int
    outcome: Outcome
    message: str
    tests: tuple[TestFigures, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: done and passed; 1: everything else."""
        return 0 if self.outcome == "passed" else 1


class RunSession:
    """See the module. `run` once."""

    def __init__(
        self,
        host: Host,
        plan: Plan,
        *,
        text: str,
        files: str | None,
        directory: Path,
        checks: Sequence[Check] = (),
        wait: float | None = None,
        taken: HandedRun | None = None,
    ) -> None:
        """`checks` were made before the run; `wait`: how long to wait for clients, if not as `host` says; `taken`: the
        run of another program, to go on with."""
        self._host = host
        self._store = host.store
        self._hub = host.hub
        self._plan = plan
        self._text = text
        self._checks = tuple(checks)
        self._client_wait = wait
        self._files_text, self._directory = files, directory
        self._credentials = Credentials(host.lab, directory)
        self._catalogues = Catalogues(host.probes, host.lab, self._credentials, text=files, directory=directory)
        self._wake = asyncio.Event()
        self._events = Events(self._wake.set)
        self._board = Board(plan, host.hub.roster, host.changed)
        self._driver = Driver(host, self._board, self._events, self._credentials, limit=plan.settle)
        self._recorder = Recorder(host.store, self._board, host.blocking, host.problem)
        self._stopping = False
        self._broken = ""
        self._interrupted = False
        self._unable = False
        """It broke because its clients could not go on."""
        self._incomplete: list[str] = []
        """What was not requested because servers did not answer; a sentence for each repeat."""
        self._over = asyncio.Event()
        self._resolved: list[ResolvedTest] = []
        self._scored: set[tuple[int, int]] = set()
        """(test, repeat) that are over."""
        self._restarted = taken is not None and taken.restarted
        """The program that began this run was killed, or stopped with its hub."""
        self._news = asyncio.Event()
        """Something was decided that is to be kept, see `kept`."""
        self.handing_over = False
        """Another program goes on with this run."""
        if taken is not None and taken.number is not None:
            self._resume(taken)
        self.snapshot = self._board.snapshot
        # Called by hub, bus and owner; all return at once.
        self.agent_up = self._events.agent_up
        self.agent_missing = self._events.agent_missing
        self.agent_message = self._events.agent_message
        self.journal_stored = self._events.journal_stored

    def stop(self) -> None:
        """Finish the round, settle, end. A second call while settling ends the wait."""
        self._driver.hurry = self._driver.hurry or (self._stopping and self._board.phase == "settling")
        self._stopping = True
        self._news.set()
        self._events.stop(at_once=False)

    @property
    def restarted(self) -> bool:
        """Whether the program that began this run was killed, or stopped with its hub."""
        return self._restarted

    @property
    def paused(self) -> bool:
        """Whether nothing is handed out until it is resumed."""
        return self._board.paused

    def pause(self, *, on: bool, by: str = "") -> None:
        """Hand nothing out until it is resumed (`on` False); what was handed out is made. `by`: who asked for it."""
        self._board.paused = on
        self._board.mark("phase", ("paused" if on else "resumed") + (f" by {by}" if by else ""))
        self._news.set()
        self._events.pause(on=on)
        self._host.changed()

    def interrupt(self) -> None:
        """End at once, since this program ends, and no other can go on with the run."""
        self._interrupted = True
        self.abort()

    def abort(self) -> None:
        """End at once."""
        self._stopping = self._driver.hurry = True
        self._news.set()
        self._events.stop(at_once=True)

    def hand_over(self) -> None:
        """Leave the run as it is, as soon as nothing is half done: another program goes on with it. `run` then raises
        HandedOverError. Scoring a repeat is finished first, and the run may be over by then."""
        self.handing_over = True
        self._events.hand_over()

    def handed(self) -> HandedRun:
        """The run for the other program; call when the hub has ended, so that nothing comes after."""
        repeat = self._board.current
        whole = HandedRun(self._plan, self._text, self._files_text, self._directory)
        if self._board.run is None:
            return whole
        return replace(
            whole,
            number=self._board.run,
            resolved=tuple(self._resolved),
            scored=frozenset(self._scored),
            repeat=None if repeat is None else repeat.kept(),
            unread=self._events.unread(),
            board=self._board.kept(),
            incomplete=tuple(self._incomplete),
            stopping=self._stopping,
            hurry=self._driver.hurry,
        )

    def _resume(self, taken: HandedRun) -> None:
        assert taken.number is not None
        assert taken.board is not None
        repeat = None
        if taken.repeat is not None:  # its counts are read anew: everything that they count is in the database
            repeat = CurrentRepeat.of(taken.repeat, LiveCounts(self._store, taken.repeat["id"]))
        self._board.resume(taken.number, taken.board, repeat)
        self._events.resume(repeat, taken.unread)
        self._resolved, self._scored = list(taken.resolved), set(taken.scored)
        self._incomplete = list(taken.incomplete)
        self._stopping, self._driver.hurry = taken.stopping, taken.hurry

    async def wait(self) -> None:
        """Wait until the run is over."""
        await self._over.wait()

    @property
    def job(self) -> str:
        """The job under way, whose reports this run handles; empty if there is none."""
        return self._board.current.job if self._board.current is not None and self.counting is not None else ""

    @property
    def counting(self) -> int | None:
        """The repeat whose records are awaited; records of other repeats are late."""
        return self._board.counting

    @property
    def number(self) -> int | None:
        """The run's number; None before it has one."""
        return self._board.run

    @property
    def job_prefix(self) -> str | None:
        """The common prefix of this run's jobs; None before it has a number."""
        return None if self._board.run is None else f"{self._board.run}."

    # ---- the run

    async def run(self) -> RunResult:
        """Carry the plan out. Raises RunRefusedError, SelectionError or CatalogueError before a run was started."""
        try:
            return await self._run_all()
        except HandedOverError:
            await self._save_what_is_shown()
            raise
        finally:
            self._over.set()

    async def _save_what_is_shown(self) -> None:
        """The last second of the time axis: the next program may have nothing but the database."""
        try:
            if self._board.current is not None:
                await self._recorder.store_samples(self._board.current)
            if self._board.run is not None:
                await self._recorder.save_markers()
        except StoreError as error:
            self._host.problem("warning", "time axis", f"The last second of the run could not be stored: {error}")

    async def _run_all(self) -> RunResult:
        if self._board.run is None:
            await self._prepare()
        else:
            await self._host.blocking(self._host.statuses.begin_run, self._board.run)
            by = "the hub was restarted, and" if self._restarted else "another program"
            self._board.mark("phase", f"{by} goes on with the run")
        run = self._board.run
        assert run is not None
        keeping = start_task(self._keep_news(), f"keep run {run}")
        try:
            for one in self._resolved:
                for number in range(1, one.test.repeats + 1):
                    if (one.number, number) in self._scored:
                        continue
                    if (self._stopping or self._broken) and self._begun(one, number) is None:
                        break
                    if self.handing_over:
                        raise HandedOverError
                    await self._do_repeat(one, number)
        except (StoreError, RunRefusedError) as error:
            log.exception("! the run cannot continue")
            self._broken = f"The run ended early: {error}"
            self._host.problem("error", f"run {run}", self._broken)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            self._host.statuses.end_run()
        return await self._conclude()

    # ---- what another program needs to go on, when this one is killed

    @property
    def can_be_gone_on_with(self) -> bool:
        """Whether another program could: clients that were started on this machine end with us."""
        return self._board.run is not None and self._host.local_clients is None

    async def _keep_plan(self, run: int) -> None:
        if self.can_be_gone_on_with:
            await self._host.blocking(kept_run.keep_plan, self._store, run, self._resolved)
            await self._keep_now()

    async def _keep_now(self) -> None:
        run, repeat = self._board.run, self._board.current
        assert run is not None
        now = kept_run.KeptNow(
            kept_run.SCHEMA,
            run,
            paused=self._board.paused,
            ending=("abort" if self._driver.hurry else "stop") if self._stopping else "",
            incomplete=list(self._incomplete),
        )
        if repeat is not None and self.counting is not None:
            now = msgspec.structs.replace(
                now,
                repeat=repeat.id,
                clients=repeat.resolved.clients,
                base=repeat.base,
                injected=sorted(repeat.injected),
                began=repeat.began,
            )
        await self._host.blocking(kept_run.keep_now, self._store, now)

    async def _keep_news(self) -> None:
        """Keep what was decided, until cancelled."""
        while self.can_be_gone_on_with:
            await self._news.wait()
            self._news.clear()
            with contextlib.suppress(StoreError):  # the next one keeps it, too
                await self._keep_now()

    async def _prepare(self) -> None:
        resolved = [
            ResolvedTest(number, test, choose_servers(test.servers, self._host.servers()))
            for number, test in enumerate(self._plan.tests, 1)
        ]
        faults = [fault for test in self._plan.tests for fault in test.faults]
        if reasons := cannot(faults, self._host.lab, local_clients=self._host.local_clients is not None):
            raise RunRefusedError(" ".join(reasons))
        for one in resolved:
            one.clients = await self._clients(one.test)
        for one in resolved:
            one.files = await self._files(one)
            one.own = await self._identified(one)
        chosen = {server.url: server for one in resolved for server in one.servers}
        for sentence in await reached_twice(chosen.values()):
            self._host.problem("warning", "servers", sentence)
        if self.handing_over:
            raise HandedOverError
        self._resolved = resolved
        self._board.outlook = Outlook([work_of(one) for one in resolved])
        self._board.show("preparing", "storing the run in the database")
        self._board.run = await self._create_run(resolved)
        await self._keep_plan(self._board.run)

    async def _create_run(self, resolved: Sequence[ResolvedTest]) -> int:
        specs = [_spec(one) for one in resolved]
        foreign = await lasting.faults_at_start(self._host)
        if foreign and self._host.lab is not None:
            text = f"{lasting.sentence(foreign)} This run begins with it, and its result will say so."
            self._host.problem("warning", "lab", text, lasting.remedy(self._host.lab, foreign))
        agents = {client.id: client for one in resolved for client in one.clients}
        views = [view for client_id in agents if (view := self._hub.roster.find(client_id)) is not None]
        run: int = await self._host.blocking(
            self._store.create_run,
            name=self._plan.name,
            plan_text=self._text,
            settle=self._plan.settle,
            tests=specs,
            now=time.time(),
            environment=self._host.intervals()
            | {
                "host": socket.gethostname(),
                "hub": self._hub.address,
                "lab": bool(self._host.lab),
                "broker": self._host.lab.broker if self._host.lab else "",
                "servers": len({server.url for one in resolved for server in one.servers}),
                "clients": [_facts(view) for view in views],
                "server_agents": server_facts(
                    self._hub.roster.agents, {server.url for one in resolved for server in one.servers}
                ),
                "kernel": kernel_values(),
                "files": [len(one.files) for one in resolved],
            }
            | ({"preflight": kept(self._checks)} if self._checks else {})
            | ({FOREIGN: kept_faults(foreign)} if foreign else {}),
            versions={
                "tally": version("xrootd-tally"),
                "python": platform.python_version(),
                "agents": sorted({view.version for view in views}),
                "xrootd": sorted({view.xrootd for view in views if view.xrootd}),
            },
        )
        now = time.time()
        await self._host.blocking(self._store.set_run, run, state="running", started=now)
        self._board.show("preparing", "asking shovelers and collectors how far they are")
        await self._host.ask_for_status(STATUS_SECONDS, both=True)
        await self._host.blocking(self._store.mark_loaded, run)
        await self._host.blocking(self._host.statuses.begin_run, run)
        return run

    async def _conclude(self) -> RunResult:
        run = self._board.run
        assert run is not None
        self._board.outlook.give_up()
        # From the newest scorings: late records of an earlier repeat may have arrived while a later one ran.
        rows: list[TestFigures] = await self._host.blocking(run_figures, self._store, run)
        outcome: Outcome = STATES[conclusion_of_run([row.conclusion for row in rows])]
        message = summary(rows)
        if self._broken:
            outcome, message = "error", self._broken
            if self._restarted and self._unable:
                outcome = "interrupted"
        elif self._incomplete:
            message = " ".join([message, *self._incomplete])
        elif self._stopping and outcome != "passed":  # otherwise it was too late to shorten anything
            outcome = "interrupted" if self._interrupted else "aborted" if self._driver.hurry else "stopped"
            message = f"The run was {outcome} after {len(self._scored)} of {_repeats(self._plan)} repeats."
        self._board.outcome = outcome
        self._board.show("done", message)
        try:
            await self._recorder.save_markers()
            await self._host.blocking(self._store.set_run, run, state=outcome, message=message, ended=time.time())
            await self._host.blocking(kept_run.forget, self._store, run)
            # What was scored again since the figures were read.
            await self._host.blocking(restate, self._store, run)
        except StoreError as error:
            log.exception("! the end of the run could not be stored")
            outcome, message = "error", f"The end of the run could not be stored: {error}"
        scored = tuple(row for row in rows if row.repeats)
        return RunResult(run, outcome, message, scored, time.time() - self._board.started)

    # ---- before the first request

    async def _clients(self, test: Test) -> list[Client]:
        """Wait until the plan's clients are connected. Raises RunRefusedError."""
        wait = self._host.client_wait() if self._client_wait is None else self._client_wait
        deadline = time.monotonic() + wait
        while True:
            chosen = choose_clients(test.who.clients, present_clients(self._hub))
            if isinstance(chosen, list):
                return chosen
            if self._stopping:
                raise RunRefusedError("The run was stopped before it began.")
            if self.handing_over:
                raise HandedOverError
            self._board.show("waiting_clients", chosen)
            self._wake.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._wake.wait()
            except TimeoutError:
                raise RunRefusedError(f"Not all clients have connected: still {chosen}.") from None

    async def _identified(self, one: ResolvedTest) -> frozenset[str]:
        """Servers that are asked over HTTP and report nothing of a client. Raises RunRefusedError."""
        if text := not_over_http(one.test, one.servers):
            raise RunRefusedError(text)
        if not set(HTTP).intersection(protocols_of(one.test, one.servers)):
            return frozenset()
        self._board.show("preparing", "asking servers how clients over HTTP are recognised")
        auth = await self._credentials.read(one.servers, one.test.auth)
        found = await identify(self._host.probes, one.clients, one.test, one.servers, auth)
        if problem := next((identity.problem for identity in found if identity.problem), ""):
            raise RunRefusedError(problem)
        return frozenset(identity.server.url for identity in found if identity.own)

    async def _files(self, one: ResolvedTest) -> tuple[File, ...]:
        """The catalogue of a test. Raises RunRefusedError or CatalogueError."""
        server, client = one.servers[0], one.clients[0]
        if one.test.files.dir is not None:
            self._board.show("preparing", f"{client.name} lists {one.test.files.dir} on {server.name}")
        files = await self._catalogues.find(one.test, server, client)
        while self._catalogues.remarks:
            self._host.problem("warning", "files", self._catalogues.remarks.pop(0))
        return files

    # ---- one repeat

    async def _do_repeat(self, one: ResolvedTest, number: int) -> None:
        begun = self._begun(one, number)
        if begun is not None:
            await self._carry_through(begun, taken=True)
            return
        repeat = await self._begin_repeat(one, number)
        self._events.begin(repeat)
        if self.handing_over:  # the event was one of the last repeat
            self._events.hand_over()
        self._board.begin(repeat)
        if self.can_be_gone_on_with:
            await self._keep_now()  # before the first request is handed out
        await self._carry_through(repeat)

    def _begun(self, one: ResolvedTest, number: int) -> CurrentRepeat | None:
        """The repeat, if another program has carried it out up to here."""
        begun = self._board.current
        return begun if begun is not None and (begun.resolved.number, begun.number) == (one.number, number) else None

    async def _begin_repeat(self, one: ResolvedTest, number: int) -> CurrentRepeat:
        test = one.test
        run, series = self._board.run, self._board.series
        assert run is not None
        clients = await self._clients(test)  # those of the last repeat may have left since
        repeat_id: int = await self._host.blocking(self._store.start_repeat, run, one.number, number, time.time())
        server_ids: dict[str, int] = await self._host.blocking(
            self._store.put_servers, [ServerEntry(server.url, server.name, server.labels) for server in one.servers]
        )
        series |= {server.url: server.name for server in one.servers if server.url not in series}
        names = {client.id: client.name for client in clients}
        machine = Repeat(
            names,
            [server.url for server in one.servers],
            rounds=test.rounds,
            wait=test.wait,
            barrier=test.barrier,
            limits=limits_of(test, one.files),
        )
        machine.paused = self._board.paused
        repeat = CurrentRepeat(
            id=repeat_id,
            job=f"{self._board.run}.{one.number}.{number}",
            number=number,
            resolved=replace(one, clients=clients),
            machine=machine,
            live=Live([(server.name, server.url) for server in one.servers], tuple(series)),
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
        return repeat

    async def _carry_through(self, repeat: CurrentRepeat, *, taken: bool = False) -> None:
        faults = Faults(self._host.lab, self._host.local_clients, self._board, self._host.problem, began=self._news.set)
        helpers = [
            start_task(self._recorder.count(repeat), f"count {repeat.job}"),
            start_task(self._recorder.beat(repeat), f"beat {repeat.job}"),
            start_task(self._recorder.store_measured(repeat), f"measured {repeat.job}"),
            start_task(faults.run(repeat), f"faults {repeat.job}"),
        ]
        try:
            if taken:
                await self._rejoined(repeat)
            await self._driver.drive(repeat)
            if (text := not_complete(repeat)) and text not in self._incomplete:
                self._incomplete.append(text)
                self._news.set()
            if repeat.machine.outcome == "failed":
                self._unable = True
                self._broken = "The run ended because its clients could not continue; see the problems for the reason."
            settled = await self._driver.settle(repeat)
        except HandedOverError:
            raise
        except BaseException:
            for name in repeat.machine.clients:
                self._hub.send(name, Abort(job=repeat.job))
            raise
        finally:
            for helper in helpers:
                helper.cancel()
            for outcome in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("! a helper of %s failed", repeat.job, exc_info=outcome)
                    self._host.problem("warning", f"run {self._board.run}", f"A part of the run failed: {outcome}")
        await self._score(repeat, settled)

    async def _rejoined(self, repeat: CurrentRepeat) -> None:
        """Wait until the clients have joined again, whose session with the other program has ended. Those that do not
        count as missing."""
        awaited = repeat.machine.present if repeat.done is None else ()
        deadline = time.monotonic() + REJOIN_SECONDS
        while any((view := self._hub.roster.find(one)) is None or not view.live for one in awaited):
            if self._stopping or self.handing_over or time.monotonic() >= deadline:
                break
            self._board.show("starting", "waiting for the clients to join again")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._wake.wait()
        self._events.look_for(awaited)

    async def _score(self, repeat: CurrentRepeat, settled: Settled) -> None:
        self._board.show("reconciling", "comparing what was asked with what was recorded")
        now = time.time()
        repeat.unstored += repeat.live.finish(now)  # the curves end at the same time as the figures
        await self._recorder.store_samples(repeat)
        await self._host.blocking(
            self._store.set_repeat,
            repeat.id,
            state="stopped" if repeat.machine.outcome != "complete" or self._driver.hurry else "settled",
            ended=repeat.done,
            settled=now,
            complete=settled.complete,
            reason=settled.reason,
        )
        entry: ScoringEntry = await self._host.blocking(score, self._store, repeat.id, "settle", now)
        self._scored.add((repeat.resolved.number, repeat.number))
        self._board.counting = None
        self._board.outlook.finish(
            repeat.resolved.number,
            repeat.number,
            step_of_repeat(repeat.resolved, entry),
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


def _spec(one: ResolvedTest) -> TestSpec:
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
        workload=test.workloads[0],
        mix=test.workloads if test.mix else (),
    )


def work_of(one: ResolvedTest) -> Work:
    """A test as input for `Outlook`."""
    test = one.test
    return Work(
        name=test.name or f"{len(one.servers)} × {test.files_per_server}",
        requests=len(one.servers) * test.files_per_server,
        pauses=(test.rounds - 1) * test.wait,
        repeats=test.repeats,
    )


def step_of_repeat(one: ResolvedTest, entry: ScoringEntry) -> StepState:
    """The outcome of a repeat by itself, whatever becomes of the others."""
    match figures(replace(_spec(one), repeats=1), [entry]).conclusion:
        case "pass":
            return "passed"
        case "fail":
            return "failed"
        case _:
            return "ended"


def _facts(view: AgentView) -> dict[str, Any]:
    return {
        "name": view.name,
        "host": view.host,
        "version": view.version,
        "platform": view.platform,
        "cpus": view.cpus,
        "xrootd": view.xrootd,
        "curl": view.curl,
        "clock_offset": view.clock_offset,
        "rtt": view.rtt,
    }


def _repeats(plan: Plan) -> int:
    return sum(test.repeats for test in plan.tests)
