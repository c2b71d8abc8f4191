"""An open workspace: its database, a hub, and the consumers of its queues, composed and owned in one place.

    async with Workspace.open(WorkspaceOptions(database="scale.db", lab=DIR)) as workspace:
        result = await workspace.run(plan, on_progress=print)

While it is open, agents join, records are loaded as they arrive (also between runs; late ones are scored again), and
`progress` shows the current state. The command line and the window use it alike; it depends on neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent.messages import Abort, LabState, Line, Probed
from gui.campaign.plan import Plan
from gui.campaign.planfile import PlanError, format_plan, parse_plan
from gui.campaign.selection import Server, name_order
from gui.campaign.settle import quiet_time
from gui.hub import AgentView, Command, CommandRefusedError, Hub, HubListener, HubOptions
from gui.hub.keys import ensure_shared_key
from gui.hub.persistence import HUB_ADDRESS, HUB_PIN, Key
from gui.reconcile import rescore_late, score
from gui.runner import ownership
from gui.runner.ask import Asker
from gui.runner.consume import BusThread, ConsumerState, Drain, Watched
from gui.runner.intake import Loaded, Member, RecordIntake, StatusIntake, on_loop
from gui.runner.lab import lab_servers, read_lab
from gui.runner.local_clients import LocalClients
from gui.runner.probes import Probes
from gui.runner.progress import NewPoints, Problem, ProblemList, ProgressFeed, RunProgress, Severity
from gui.runner.queues import KEPT, queue_of, remember_queue, workspace_label
from gui.runner.resolve import RunRefusedError
from gui.runner.session import RunResult, RunSession
from gui.store import ServerEntry, Store, StoreError
from shoveler.bus import BusOptions, parse_address
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

Result = TypeVar("Result")

LATE_SECONDS = 2.0
BUS_SECONDS = 30.0
BUSY_SECONDS = 600.0
"""Maximum time to wait for another program that has locked the database: a backup or an import must not end a test."""


@dataclass(frozen=True, slots=True)
class WorkspaceOptions:
    """Where a workspace keeps and finds its data.

    `bus` is the bus URL that records come from; with a `lab` directory the lab's own is used when it is empty. With
    neither, agents can join but no plan can be run. `name` becomes part of the queue's name, see `queues`."""

    database: str | Path
    hub: HubOptions
    name: str = ""
    bus: str = ""
    bus_options: BusOptions = field(default_factory=BusOptions)
    lab: Path | None = None
    records_exchange: str = "xrd-records"
    status_exchange: str = "tally-status"
    packets_exchange: str = "shoveled-xrd"
    packets_queue: str = ""
    """The collector's input queue, whose depth counts for settling; empty if unknown."""
    shared_key: str | None = None
    """Text of the shared key; None: the one in the database, created if there is none."""
    forget_queue: bool = False
    """Remove the queue of records when the workspace is closed: for one that is not used again, as in the demo."""
    fstat_seconds: float = 5.0
    flush_seconds: float = 5.0
    client_wait: float = 600.0
    """Seconds that a run waits for its clients."""


class Workspace:
    """See the module; made by `Workspace.open`. Methods belong to the event loop; the store is for threads."""

    def __init__(self, options: WorkspaceOptions, store: Store, lab: LabState | None) -> None:
        self.options = options
        self.store = store
        self.lab = lab
        self.problems = ProblemList()
        self.local_clients: LocalClients | None = None
        """Clients that the owner started on this machine; the fault kill-agent acts on them."""
        self.hub = Hub(
            store,
            replace(options.hub, version=options.hub.version or version("xrootd-tally")),
            listener=_Listener(self),
            conductor=self._command,
        )
        self.hub.topics.publish_parts_of("progress", NewPoints)
        self.probes = Probes(self.hub)
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="runner")
        self._at_work: set[Future[Any]] = set()
        self.progress = ProgressFeed(self._snapshot, self._loop.call_later, time.time)
        self.records_queue = ""
        """The queue that records are taken from; empty without a bus."""
        self.records_state = ConsumerState()
        self.status_state = ConsumerState()
        self.foreign = 0
        """Records of others that were loaded since the workspace was opened."""
        self.late = 0
        self._connected = asyncio.Event()
        self._records: BusThread | None = None
        self._statuses: BusThread | None = None
        self._asker: Asker | None = None
        self._session: RunSession | None = None
        self._late_wanted = asyncio.Event()
        self._late_jobs: set[str] = set()
        """Jobs for which journal lines arrived after their repeat was over."""
        self._tasks: list[asyncio.Task[None]] = []
        self._holding = False
        self.intake = RecordIntake(store, on_loop(self._loop, self._loaded))
        self._spoke = asyncio.Event()
        self.statuses = StatusIntake(store, on_loop(self._loop, self._status_came))

    # ---- opening and closing

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, options: WorkspaceOptions) -> AsyncIterator[Workspace]:
        """Open everything; close it at the end.

        Raises StoreError, LabMissingError, HubError, CertificateError, CredentialError or BusError (an address that
        cannot be read); a broker that cannot be reached now is a problem in `progress`, not an error."""
        lab = await asyncio.to_thread(read_lab, options.lab) if options.lab is not None else None
        store = await _to_the_end(Store, options.database, undo=Store.close)
        try:
            await _to_the_end(ensure_shared_key, store, time.time(), options.shared_key)
            workspace = cls(options, store, lab)
            async with workspace.hub:
                try:
                    await workspace._start()
                    yield workspace
                finally:
                    await workspace._stop()
        finally:
            await asyncio.to_thread(store.close)

    async def _start(self) -> None:
        self.store.database.on_busy = on_loop(self._loop, self._database_busy)
        self.store.database.patience = BUSY_SECONDS
        url = self.options.bus or (self.lab.bus if self.lab else "")
        if url:
            address = parse_address(url)
            queue = address.queue or await self.blocking(queue_of, self.store, self.label)
            records_exchange = address.exchange or (
                self.lab.records_exchange if self.lab else self.options.records_exchange
            )
            packets_queue = self.lab.packets_queue if self.lab else self.options.packets_queue
            packets_exchange = self.lab.packets_exchange if self.lab else self.options.packets_exchange
            if not self.options.forget_queue and not address.queue:
                await self.blocking(remember_queue, self.store, queue, records_exchange, url)
            self.records_queue = queue
            self._records = BusThread(
                f"records of {self.label}",
                address,
                exchange=records_exchange,
                queue=queue,
                handle=self.intake,
                changed=on_loop(self._loop, self._records_changed),
                options=self.options.bus_options,
                keep_queue=KEPT,
                watch=[Watched(packets_queue, packets_exchange)] if packets_queue else [],
                forget_queue=self.options.forget_queue,
            )
            self._statuses = BusThread(
                f"status of {self.label}",
                address,
                exchange=self.lab.status_exchange if self.lab else self.options.status_exchange,
                queue=f"{queue}.status",
                handle=self.statuses,
                changed=on_loop(self._loop, self._status_changed),
                options=self.options.bus_options,
                forget_queue=True,
            )
            self._records.start()
            self._statuses.start()
            self._asker = Asker(
                address,
                exchange=self.lab.status_exchange if self.lab else self.options.status_exchange,
                writer=f"{queue}.ask",
                options=self.options.bus_options,
            )
        left_open = await self._take_over()
        if self._holding:  # invitations must not point to the hub of a program that does not own the workspace
            for setting, value in ((HUB_ADDRESS, self.hub.address), (HUB_PIN, self.hub.pin)):
                await self.blocking(self.store.put_setting, setting, value)
        if self.lab:
            servers = [ServerEntry(server.url, server.name, server.labels, "lab") for server in lab_servers(self.lab)]
            await self.blocking(self.store.put_servers, servers)
        self._tasks = [
            start_task(self._score_late(left_open), "score late records"),
            start_task(self._hold(), "hold the workspace"),
        ]

    async def _stop(self) -> None:
        self.store.database.patience = 0.0
        if self._session is not None:
            self._session.abort()
            await self._session.wait()
        threads = [thread for thread in (self._records, self._statuses) if thread is not None]
        for thread, ended in zip(
            threads, await asyncio.gather(*(asyncio.to_thread(thread.stop) for thread in threads)), strict=True
        ):
            if not ended:
                log.error("! %s did not end in time", thread.name)
        if self._asker is not None:
            await asyncio.to_thread(self._asker.close)
        for work in self._tasks:
            work.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("! a task of the workspace had failed", exc_info=outcome)
        if self._holding:
            try:
                await self.blocking(ownership.release, self.store)
            except StoreError:
                log.exception("! the workspace could not be released")
        await asyncio.to_thread(self._threads.shutdown, wait=True)

    def _database_busy(self, busy: bool) -> None:
        text = f"Another program has locked {self.store.database.shown}; storing waits for it."
        self.problem("warning", "locked", text if busy else "", "Close the other program, or let it finish.")

    # ---- ownership

    async def _take_over(self) -> list[int]:
        """Take the workspace unless another program holds it; returns the runs that its last owner left open."""
        other = await self.blocking(ownership.claim, self.store, time.time())
        if other:
            text = f"{other} also has this workspace open; only one program at a time can run tests."
            self.problem("warning", "workspace", text, "Close the other one, or use another workspace.")
            return []
        self._holding = True
        return list(await self.blocking(ownership.left_open, self.store))

    async def _hold(self) -> None:
        """Tell others that the workspace is in use."""
        while self._holding:
            await asyncio.sleep(ownership.BEAT_SECONDS)
            try:
                await self.blocking(ownership.hold, self.store, time.time())
            except StoreError as error:
                self.problem("warning", "workspace", f"The database does not answer: {error}")
            else:
                self.problem("warning", "workspace", "")

    # ---- called by the owner

    @property
    def label(self) -> str:
        """The displayed name of this workspace."""
        return workspace_label(str(self.options.database), self.options.name)

    @property
    def shared_key(self) -> Key:
        """The current shared key, for agents that are started on this machine. Blocking."""
        return ensure_shared_key(self.store, time.time())

    @property
    def has_bus(self) -> bool:
        """Whether there is a bus to take records from."""
        return self._records is not None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._session is not None

    def blocking(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]:
        """Run a store call in a thread. Cancelling the wait does not stop the thread; see `_let_finish`."""
        work = self._threads.submit(function, *arguments, **named)
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)
        return asyncio.wrap_future(work, loop=self._loop)

    async def _let_finish(self) -> None:
        """Wait until all current database work in threads is done."""
        await asyncio.to_thread(wait, tuple(self._at_work))

    def servers(self) -> list[Server]:
        """The servers that a plan can choose from: the lab's, and those with a server agent."""
        found = {server.url: server for server in (lab_servers(self.lab) if self.lab else [])}
        for view in self.hub.roster.agents:
            if view.role == "server" and view.server and view.server not in found:
                found[view.server] = Server(view.name, view.server, view.labels)
        return sorted(found.values(), key=lambda server: name_order(server.name))

    def quiet_seconds(self) -> float:
        """Seconds without a new record that count as quiet."""
        if self.lab:
            return quiet_time(self.lab.fstat_seconds, self.lab.flush_seconds)
        return quiet_time(self.options.fstat_seconds, self.options.flush_seconds)

    def hold_seconds(self) -> float:
        """Maximum seconds that servers hold a close back: the ``fstat`` interval plus the flush time of a buffer."""
        if self.lab:
            return self.lab.fstat_seconds + self.lab.flush_seconds
        return self.options.fstat_seconds + self.options.flush_seconds

    async def ask_for_status(self, seconds: float, *, both: bool = False) -> None:
        """Ask all daemons for their status, and wait at most `seconds` for answers from the known ones. `both`: also
        wait until a shoveler and a collector are known."""
        asked = time.time()
        if self._asker is None or not await self.blocking(self._asker.ask):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.statuses.heard_since(asked, both=both):
                    self._spoke.clear()
                    await self._spoke.wait()

    def drain_records(self) -> Drain | None:
        """Find out when all records that are in our queue now are loaded."""
        return self._records.drain() if self._records is not None else None

    def client_wait(self) -> float:
        """Seconds that a run waits for its clients."""
        return self.options.client_wait

    def changed(self) -> None:
        """Something shown in `progress` has changed."""
        self.progress.touch()

    async def run(
        self,
        plan: Plan,
        *,
        text: str = "",
        files: str | None = None,
        directory: Path | None = None,
        on_progress: Callable[[RunProgress], None] | None = None,
    ) -> RunResult:
        """Carry a plan out and keep its results.

        `text` is the plan's own TOML (with comments), to be stored; `files` is the text of its file list, which is read
        from `directory` (default: the working directory) if not given. Raises RunRefusedError, SelectionError or
        CatalogueError before the first request to a server; later errors become the outcome of the result."""
        if self._session is not None:
            raise RunRefusedError("A run is under way in this workspace; stop it first.")
        await self._records_ready()
        self._session = session = RunSession(
            self, plan, text=text or format_plan(plan), files=files, directory=directory or Path()
        )
        unsubscribe = self.progress.subscribe(on_progress) if on_progress else None
        try:
            result = await session.run()
            self.hub.topics.publish("result", result)
            return result
        except asyncio.CancelledError:  # Ctrl-C: the program ends, but must not leave the run open
            if session.number is not None:
                try:
                    await asyncio.shield(self._close_stopped(session.number))
                except StoreError:
                    log.exception("! the run that was stopped could not be closed; the next start does it")
            raise
        finally:
            self.progress.publish()  # its end, for subscribers
            self._session = None
            if unsubscribe:
                unsubscribe()

    async def _close_stopped(self, run: int) -> None:
        await self._let_finish()  # a round that is being stored belongs to the run; a scoring under way is completed
        await self.blocking(ownership.close_run, self.store, run, time.time(), ownership.STOPPED)

    def stop(self) -> bool:
        """Let the run finish its round, settle, and end. False if there is none."""
        if self._session is None:
            return False
        self._session.stop()
        return True

    def abort(self) -> bool:
        """End the run at once: requests under way are interrupted. False if there is none."""
        if self._session is None:
            return False
        self._session.abort()
        return True

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None:
        """Show a problem; an empty text removes those of this place."""
        if text:
            self.problems.add(Problem(time.time(), severity, where, text, remedy))
        else:
            self.problems.over(where)
        self.progress.touch()

    def members(self) -> tuple[Member, ...]:
        """The shovelers and collectors that were heard from, with their last status messages."""
        return self.statuses.members

    # ---- records

    async def _records_ready(self) -> None:
        """The queue must be bound before the first request. Raises RunRefusedError."""
        if self._records is None:
            raise RunRefusedError("There is no bus to take records from: give one with --bus, or start a lab.")
        try:
            async with asyncio.timeout(BUS_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            why = self.records_state.trouble or f"no answer within {BUS_SECONDS:g} s."
            raise RunRefusedError(f"The records cannot be taken from the bus: {why}") from None

    def _records_changed(self, state: ConsumerState) -> None:
        self.records_state = state
        if state.connected:
            self._connected.set()
        else:
            self._connected.clear()
        self.problem("error" if state.refused else "warning", "records", state.trouble)

    def _status_changed(self, state: ConsumerState) -> None:
        self.status_state = state
        self.problem("warning", "status messages", state.trouble)

    def _status_came(self) -> None:
        self._spoke.set()
        self.progress.touch()

    def _loaded(self, loaded: Loaded) -> None:
        self.foreign += loaded.result.foreign
        for text in loaded.result.problems:
            self.problem("warning", "records", text)
        counting = self._session.counting if self._session else None
        if any(repeat != counting for repeat in loaded.result.repeats):
            self._late_wanted.set()
        self.progress.touch()

    async def _score_late(self, left_open: Sequence[int]) -> None:
        """Score repeats again that got records after settling, including those of runs before this program started."""
        for run in left_open:
            try:
                await self.blocking(ownership.close_run, self.store, run, time.time())
            except StoreError as error:
                self.problem("warning", f"run {run}", f"This run was left open and could not be closed: {error}")
        try:
            await self.blocking(self.store.remove_left_runs, time.time())
        except StoreError as error:
            self.problem("warning", "imports", f"Leftovers of an interrupted import could not be removed: {error}")
        while True:
            try:
                jobs, self._late_jobs = self._late_jobs, set()
                await self.blocking(self._score_jobs, jobs)
                entries = await self.blocking(rescore_late, self.store, time.time())
                self.late += sum(entry.late for entry in entries)
            except StoreError as error:
                log.exception("! late records could not be scored")
                self._late_jobs |= jobs
                self.problem("warning", "late records", f"Late records could not be scored: {error}")
            else:
                self.problem("warning", "late records", "")
            await self._late_wanted.wait()
            self._late_wanted.clear()
            await asyncio.sleep(LATE_SECONDS)  # several usually arrive together

    def _score_jobs(self, jobs: set[str]) -> None:
        """In a thread: score repeats again whose clients reported after settling."""
        for job in jobs:
            run, test, number = map(int, job.split("."))
            if max(run, test, number) >= 2**63:
                continue  # agents send untrusted data; no database has a row of this number
            for repeat in self.store.repeats(run):
                if (repeat.test_number, repeat.number) == (test, number) and self.store.scorings(repeat.id):
                    score(self.store, repeat.id, "late", time.time())

    # ---- progress

    def _snapshot(self) -> RunProgress:
        now = time.time()
        base = RunProgress(t=now) if self._session is None else self._session.snapshot(now)
        if self._session is None and self.progress.latest.run is not None:
            base = replace(self.progress.latest, t=now)  # the end of the last run stays visible
        depths = self.records_state.depths
        snapshot = replace(
            base,
            late=self.late,
            foreign=self.foreign,
            queue=depths[0] if depths else None,
            problems=self.problems.all(),
        )
        self.hub.topics.publish("progress", snapshot)
        return snapshot

    # ---- called by the hub

    def agent_up(self, agent: AgentView) -> None:
        """An agent is here (again)."""
        running = self._session.job_prefix if self._session else None
        for job in agent.jobs:
            if running is None or not job.startswith(running):
                # Work of a run that ended without it, or with the program that started it. Its journal is still stored.
                self.hub.send(agent.id, Abort(job=job))
        if self._session is not None:
            self._session.agent_up(agent)
        self.progress.touch()

    def agent_missing(self, agent: AgentView) -> None:
        """An agent is missing."""
        if self._session is not None:
            self._session.agent_missing(agent)
        self.progress.touch()

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        """A client agent says something about its work."""
        if isinstance(message, Probed):
            self.probes.answered(message)
        elif self._session is not None:
            self._session.agent_message(agent, message)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        """Journal lines are in the database."""
        late = {line.job for line in lines} - {self._session.job if self._session else ""}
        if late:
            self._late_jobs |= late
            self._late_wanted.set()
        if self._session is not None:
            self._session.journal_stored(agent_id, journal, last, lines)
        self.progress.touch()

    async def _command(self, command: Command) -> Any:
        """Carry out a command of a remote operator. Raises CommandRefusedError."""
        match command.do:
            case "run":
                return await self._run_for_operator(command)
            case "stop":
                done = self.stop()
            case "abort":
                done = self.abort()
            case _:
                raise CommandRefusedError(f"The command {command.do} is not known here.")
        if not done:
            raise CommandRefusedError("No run is under way.")
        return None

    async def _run_for_operator(self, command: Command) -> Any:
        if self._session is not None:
            raise CommandRefusedError("A run is under way; stop it first.")
        try:
            plan = parse_plan(command.plan)
            result = await self.run(plan, text=command.plan, files=command.files or None)
        except (PlanError, RunRefusedError, ValueError) as error:
            raise CommandRefusedError(str(error)) from error
        return msgspec.to_builtins(result)


async def _to_the_end(
    function: Callable[..., Result], *arguments: Any, undo: Callable[[Result], object] | None = None
) -> Result:
    """Run it in a thread. If we are cancelled meanwhile, wait until it has ended and `undo` its result: no thread may
    still use the database when it is opened or closed next."""
    work = asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if undo is not None and work.exception() is None:
            await asyncio.to_thread(undo, work.result())
        raise


class _Listener(HubListener):
    """Passes on the hub's events."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def agent_up(self, agent: AgentView) -> None:
        self._workspace.agent_up(agent)

    def agent_missing(self, agent: AgentView) -> None:
        self._workspace.agent_missing(agent)

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        self._workspace.agent_message(agent, message)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        self._workspace.journal_stored(agent_id, journal, last, lines)

    def problem(self, where: str, text: str) -> None:
        self._workspace.problem("warning", where, text)
