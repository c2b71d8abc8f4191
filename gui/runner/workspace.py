"""An open workspace: its database, a hub, and the consumers of its queues, composed and owned in one place.

    async with Workspace.open(WorkspaceOptions(database="scale.db", lab=DIR)) as workspace:
        result = await workspace.run(plan, on_progress=print)

While it is open, agents join, records are loaded as they arrive (also between runs; late ones are scored again), and
`progress` shows the current state. The command line and the window use it alike; it depends on neither.

Each job is a part of its own: `bus` takes records and status messages, `runs` has the run under way, `late` scores
again what arrives after settling, `reception` gets the hub's events, `conductor` the commands of remote operators,
`ownership` keeps other programs from running tests in the same database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from agent.messages import LabState
from gui.campaign.plan import Plan
from gui.campaign.selection import Server, is_normal, name_order, server_place
from gui.hub import Hub
from gui.hub.keys import ensure_shared_key
from gui.hub.persistence import HUB_ADDRESS, HUB_PIN, Key
from gui.runner.answers import Answers
from gui.runner.bus import WorkspaceBus
from gui.runner.checklist import Check
from gui.runner.conductor import RunConductor
from gui.runner.consume import ConsumerState, Drain
from gui.runner.directory import Directory
from gui.runner.driver import HandedOverError
from gui.runner.elsewhere import Elsewhere
from gui.runner.handover import HandedRun
from gui.runner.intake import Loaded, Member, RecordIntake, StatusIntake, on_loop
from gui.runner.lab import LabMissingError, lab_servers, read_lab
from gui.runner.late import LateScoring
from gui.runner.local_clients import LocalClients
from gui.runner.machine import database_address
from gui.runner.metrics import WorkspaceMetrics
from gui.runner.options import WorkspaceOptions
from gui.runner.orders import Orders, What
from gui.runner.ownership import Ownership, holder
from gui.runner.probes import Probes
from gui.runner.problems import OLD_SECONDS, ProblemList
from gui.runner.progress import Problem, ProgressFeed, RunProgress, Severity
from gui.runner.publishing import Surroundings, publish
from gui.runner.recall import recall
from gui.runner.reception import Reception
from gui.runner.refusal import RunRefusedError
from gui.runner.retention import Retention
from gui.runner.runs import Runs
from gui.runner.session import RunResult
from gui.runner.signin import SignInSettings
from gui.runner.threads import Threads, to_the_end
from gui.store import ServerEntry, Store, StoreError
from shoveler.service import redact
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

BUS_PARTS = ("records", "status messages", "locked")
"""Problems with what records come from and go to; they are part of the health that `--metrics` shows."""
RATE_SECONDS, LEAST_RATE_SECONDS = 60.0, 5.0
JOINS = "join"
"""The kind of source of the problems of those who are not let in."""
LOOK_SECONDS = 1.0
"""How often the run of another program is looked at."""
BUSY_SECONDS = 600.0
"""Maximum time to wait for another program that has locked the database: a backup or an import must not end a test."""


class Workspace:
    """See the module; made by `Workspace.open`. Methods belong to the event loop; the store is for threads."""

    def __init__(self, options: WorkspaceOptions, store: Store, lab: LabState | None, other: str = "") -> None:
        loop = asyncio.get_running_loop()
        self.options = options
        self.other = other
        """The program that has this workspace, while we only look on."""
        self.remote = ""
        """The address of the hub, if it is elsewhere (`afar`)."""
        self.connected = True
        """Whether that hub can be reached now."""
        self.results_changed: Callable[[], object] = lambda: None
        """Called when results have come from there."""
        self.free = asyncio.Event()
        """Set when that program has ended: open the workspace again, to have it."""
        self.store = store
        self.lab = lab
        self.problems = ProblemList()
        self.local_clients: LocalClients | None = None
        """Clients that the owner started on this machine; the fault kill-agent acts on them."""
        self._threads = Threads()
        self.blocking = self._threads.blocking
        self.progress = ProgressFeed(self._snapshot, loop.call_later, time.time)
        self.bus = WorkspaceBus(options, lab, store, self.blocking, self.problem)
        self.runs = Runs(self, self.bus, self._threads, self.progress)
        self.late_scoring = LateScoring(store, self.blocking, self.problem)
        self._ownership = Ownership(store, self.blocking, self.problem)
        self._orders = Orders(store, self.blocking, self._number_under_way, self._ordered)
        self._retention = Retention(store, self.blocking, self.problem, lambda: self.runs.session is not None)
        self.hub = Hub(
            store,
            replace(options.hub, version=options.hub.version or version("xrootd-tally")),
            listener=Reception(self),
            conductor=RunConductor(self.runs),
            answerer=Answers(store, self.blocking),
        )
        self.sign_in: SignInSettings | None = None
        """Whom the hub lets in by sign-in; None for a demonstration."""
        if options.settings_file is not None and options.secrets is not None:
            self.sign_in = SignInSettings(
                options.settings_file, options.secrets, self.hub.people, self.blocking, self.problem
            )
        self.probes = Probes(self.hub)
        self.directory = Directory(store, self.blocking)
        self.foreign = 0
        """Records of others that were loaded since the workspace was opened."""
        self.dropped = 0
        """Records that were dropped from our queue before they could be loaded, as noticed since then."""
        self.metrics = ""
        """Where metrics are served; empty: nowhere."""
        self.loaded = 0
        """Records of all kinds that came from the bus since then, those that were there already among them."""
        self.last_load: float | None = None
        """When the last of them were loaded."""
        self.intake = RecordIntake(store, on_loop(loop, self._loaded))
        self.statuses = StatusIntake(store, on_loop(loop, self._status_came))
        self._elsewhere: RunProgress | None = None
        """The run of the program that has this workspace."""
        self._opened = time.time()
        self._loads: deque[tuple[float, int]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ---- opening and closing

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, options: WorkspaceOptions, *, taken: HandedRun | None = None) -> AsyncIterator[Workspace]:
        """Open everything; close it at the end. `taken`: the run of a program that has closed this workspace, see
        `handover`; then call `go_on`.

        Raises StoreError, LabMissingError, HubError, CertificateError, CredentialError, SecretsError or BusError (an
        address that cannot be read); a broker that cannot be reached now is a problem in `progress`, not an error."""
        lab, missing = None, ""
        if options.lab is not None:
            try:
                lab = await asyncio.to_thread(read_lab, options.lab)
            except LabMissingError as error:
                if options.lab_must_be_up:
                    raise
                missing = str(error)
        store = await to_the_end(_open_store, options, undo=Store.close)
        try:
            await to_the_end(ensure_shared_key, store, time.time(), options.shared_key)
            other = await asyncio.to_thread(holder, store, time.time()) if options.beside else ""
            if other:  # its hub has the address; nobody is told of ours
                options = replace(options, hub=replace(options.hub, host="127.0.0.1", port=0, public=""))
            if options.go_on and taken is None and not other:
                taken = await asyncio.to_thread(_left_behind, store, time.time())
            workspace = cls(options, store, lab, other)
            if missing:
                workspace.problem("warning", "lab", missing, "Start it, or name another bus in Settings > Bus.")
            if taken is not None:  # before agents join, or they would be told to end its jobs
                workspace.runs.take(taken)
            with contextlib.closing(WorkspaceMetrics("" if other else options.metrics, workspace)) as metrics:
                workspace.metrics = metrics.address
                async with workspace.hub:
                    try:
                        await workspace._start()
                        yield workspace
                    finally:
                        await workspace._stop()
        finally:
            await asyncio.to_thread(store.close)

    async def _start(self) -> None:
        self.store.database.on_busy = on_loop(asyncio.get_running_loop(), self._database_busy)
        self.store.database.patience = BUSY_SECONDS
        await self.directory.load()
        if self.other:
            self._tasks = [start_task(self._look_on(), "look on")]
            return
        await self.bus.start(self.intake, self.statuses)
        left_open = await self._ownership.take_over()
        taken = self.runs.session.number if self.runs.session is not None else None
        if self._ownership.ours:  # invitations must not point to the hub of a program that does not own the workspace
            for setting, value in ((HUB_ADDRESS, self.hub.address), (HUB_PIN, self.hub.pin)):
                await self.blocking(self.store.put_setting, setting, value)
        await self._put_lab_servers()
        if self.sign_in is not None:
            await self.sign_in.read()
            self._tasks.append(start_task(self.sign_in.run(), "read the settings of the sign-in"))
        self._tasks += [
            start_task(self.late_scoring.run([run for run in left_open if run != taken]), "score late records"),
            start_task(self._ownership.keep(), "hold the workspace"),
            start_task(self._orders.hear(), "hear orders"),
        ]
        if self._ownership.ours:
            self._tasks.append(start_task(self._retention.run(), "remove old runs"))
        if self.runs.restarted:
            self._tasks.append(start_task(self._go_on_alone(), "go on with the run"))
        self.changed()

    async def _go_on_alone(self) -> None:
        """Carry out the run that the last program with this workspace left under way."""
        try:
            await self.go_on()
        except HandedOverError:
            log.info("= the run is left for the next program")

    async def _put_lab_servers(self) -> None:
        if self.lab:
            servers = [ServerEntry(server.url, server.name, server.labels, "lab") for server in lab_servers(self.lab)]
            await self.blocking(self.store.put_servers, servers)

    async def _look_on(self) -> None:
        """Show the run of the program that has this workspace, until that ends."""
        elsewhere, owner = Elsewhere(self.store), self.other
        while True:
            try:
                self._elsewhere = await self.blocking(elsewhere.look, time.time(), owner)
                gone = not await self.blocking(holder, self.store, time.time())
            except StoreError as error:
                self.problem("warning", "workspace", f"The database does not answer: {error}")
            else:
                self.problem("warning", "workspace", "")
                if gone:
                    self.free.set()
                    return
            await asyncio.sleep(LOOK_SECONDS)

    async def _stop(self) -> None:
        self.store.database.patience = 0.0
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self.runs.end(leave=self.options.go_on)
        await self.bus.stop()
        for work in self._tasks:
            work.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("! a task of the workspace had failed", exc_info=outcome)
        await self._ownership.give_back()
        await self._threads.close()

    # ---- called by the owner

    @property
    def label(self) -> str:
        """The displayed name of this workspace."""
        return self.options.label

    @property
    def shared_key(self) -> Key:
        """The current shared key, for agents that are started on this machine. Blocking."""
        return ensure_shared_key(self.store, time.time())

    @property
    def records_state(self) -> ConsumerState:
        """How it stands with the queue of records."""
        return self.bus.records_state

    @property
    def latest(self) -> RunProgress:
        """The newest snapshot of the run."""
        return self.progress.latest

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self.runs.session is not None

    async def use_bus(self, options: WorkspaceOptions) -> None:
        """Take records from the bus (or lab) that `options` name, without closing anything else.

        Raises RunRefusedError while a run is under way, LabMissingError, SecretsError and BusError (an address that
        cannot be read); the bus is then the one before."""
        if self.running:
            raise RunRefusedError("A run is under way, and takes its records from the bus of now; stop it first.")
        if self.other:
            raise RunRefusedError(f"{self.other} has this workspace, and takes its records; open it again there.")
        lab = await self.blocking(read_lab, options.lab) if options.lab is not None else None
        fresh = replace(
            self.options,
            bus=options.bus,
            bus_options=options.bus_options,
            lab=options.lab,
            records_exchange=options.records_exchange,
            status_exchange=options.status_exchange,
            packets_exchange=options.packets_exchange,
            packets_queue=options.packets_queue,
            secrets=options.secrets,
            queue_expires=options.queue_expires,
            queue_max=options.queue_max,
        )
        await self.bus.move(fresh, lab, self.intake, self.statuses)
        self.options, self.lab = fresh, lab
        await self._put_lab_servers()
        self.changed()

    async def run(
        self,
        plan: Plan,
        *,
        text: str = "",
        files: str | None = None,
        directory: Path | None = None,
        checks: Sequence[Check] = (),
        on_progress: Callable[[RunProgress], None] | None = None,
    ) -> RunResult:
        """Carry a plan out and keep its results; see `Runs.run`."""
        if self.other:
            raise RunRefusedError(
                f"{self.other} has this workspace, and one program at a time can run tests in it: wait until it has "
                "ended, or use another workspace."
            )
        return await self.runs.run(
            plan, text=text, files=files, directory=directory, checks=checks, on_progress=on_progress
        )

    async def go_on(self, on_progress: Callable[[RunProgress], None] | None = None) -> RunResult:
        """Carry out the run of the program that had this workspace before."""
        return await self.runs.go_on(on_progress)

    async def hand_over(self) -> bool:
        """Leave the run as it is, for another program; then close the workspace, and take `handed`. False if it was
        over before anything could be handed over."""
        session = self.runs.session
        if session is None:
            return False
        session.hand_over()
        await session.wait()
        if self.runs.session is not session:
            return False
        self.bus.leave_queue()
        return True

    def handed(self) -> HandedRun:
        """The run that is handed over, when the workspace is closed."""
        assert self.runs.session is not None
        return self.runs.session.handed()

    def stop(self) -> bool:
        """Let the run finish its round, settle, and end. False if there is none."""
        return self.runs.stop()

    def pause(self, *, on: bool, by: str = "") -> None:
        """Hand nothing out until the run is resumed (`on` False); what was handed out is made. Raises
        RunRefusedError."""
        self.runs.pause(on=on, by=by)

    def abort(self) -> bool:
        """End the run at once: requests under way are interrupted. False if there is none."""
        return self.runs.abort()

    def _number_under_way(self) -> int | None:
        return self.runs.session.number if self.runs.session is not None else None

    def _ordered(self, what: What, by: str) -> None:
        """Another program, which may write to our database, asks for it."""
        log.info("< %s, ordered by %s", what, by)
        match what:
            case "stop":
                self.stop()
            case "abort":
                self.abort()
            case "pause" | "resume":
                with contextlib.suppress(RunRefusedError):  # it is so already
                    self.pause(on=what == "pause", by=by)

    def why_not(self, need: Literal["operator", "here"]) -> str:
        """Why something that changes anything cannot be done from here, in a sentence; empty if it can. `need`: an
        operator's key of a remote hub, or the machine that has the database."""
        if self.other and need == "operator":
            return f"{self.other} has this workspace; wait until it has ended, or use `tally stop` and `tally pause`."
        return ""

    @property
    def bus_shown(self) -> str:
        """The bus that records come from, without a password; empty: none is named."""
        return redact(self.options.bus_url(self.lab))

    @property
    def database_shown(self) -> tuple[str, str]:
        """Where the database is, and of which kind."""
        database = self.store.database
        return database.shown, "SQLite" if database.is_sqlite else "PostgreSQL"

    async def have(self, run: int) -> None:
        """Have everything of a run in the store: it is there."""

    def members(self) -> tuple[Member, ...]:
        """The shovelers and collectors that were heard from, with their last status messages."""
        return self.statuses.members

    # ---- what a run finds around it

    def servers(self) -> list[Server]:
        """The servers that a plan can choose from: the lab's, those that a person listed, and those with an agent."""
        found = {server.url: server for server in (lab_servers(self.lab) if self.lab else [])}
        for server in (*self.directory.listed, *self.agent_servers()):
            found.setdefault(server.url, server)
        return sorted(found.values(), key=lambda server: name_order(server.name))

    def agent_servers(self) -> list[Server]:
        """The servers beside which an agent runs, or has run: each by its agent's name or, where that has several, by
        its host and port."""
        return [
            Server(view.name if len(view.servers) == 1 else server_place(url), url, view.labels)
            for view in self.hub.roster.agents
            for url in view.servers
            if is_normal(url)  # a text of the agent's
        ]

    def quiet_seconds(self) -> float:
        """Seconds without a new record that count as quiet."""
        return self.options.quiet_seconds(self.lab)

    def hold_seconds(self) -> float:
        """Maximum seconds that servers hold a close back: the ``fstat`` interval plus the flush time of a buffer."""
        return self.options.hold_seconds(self.lab)

    def intervals(self) -> dict[str, float]:
        """``fstat_seconds`` and ``flush_seconds`` of all servers; empty where nobody knows them: only a lab tells."""
        if self.lab is None:
            return {}
        return {"fstat_seconds": self.lab.fstat_seconds, "flush_seconds": self.lab.flush_seconds}

    def client_wait(self) -> float:
        """Seconds that a run waits for its clients."""
        return self.options.client_wait

    def drain_records(self) -> Drain | None:
        """Find out when all records that are in our queue now are loaded."""
        return self.bus.drain()

    async def ask_for_status(self, seconds: float, *, both: bool = False) -> None:
        """Ask all daemons for their status, and wait at most `seconds` for answers from the known ones. `both`: also
        wait until a shoveler and a collector are known."""
        await self.bus.ask_for_status(seconds, lambda asked: self.statuses.heard_since(asked, both=both))

    def changed(self) -> None:
        """Something shown in `progress` has changed."""
        self.progress.touch()

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None:
        """Show a problem; an empty text removes those of this place."""
        if where in BUS_PARTS:
            if text:
                self.hub.health.problem(where, text)
            else:
                self.hub.health.fine(where)
        if text:
            self.problems.add(Problem(time.time(), severity, where, text, remedy))
        else:
            self.problems.over(where)
        self.progress.touch()

    def join_refused(self, address: str, text: str) -> None:
        """Somebody was not let in. Shown while it happens, and for a while after."""
        self.problem("warning", f"{JOINS} from {address}", text)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(OLD_SECONDS, self._sweep_joins)

    def _sweep_joins(self) -> None:
        left = self.problems.quiet(JOINS, time.time() - OLD_SECONDS)
        self._sweeping = asyncio.get_running_loop().call_later(OLD_SECONDS / 10, self._sweep_joins) if left else None
        self.progress.touch()

    def loaded_rate(self) -> float | None:
        """Records per second that came from the bus in the last minute; None in the first seconds."""
        now = time.time()
        begin = max(self._opened, now - RATE_SECONDS)
        if now - begin < LEAST_RATE_SECONDS:
            return None
        return sum(count for t, count in self._loads if t >= begin) / (now - begin)

    # ---- what bus and database tell

    def _loaded(self, loaded: Loaded) -> None:
        result = loaded.result
        if loaded.dropped:
            self._records_dropped(loaded.dropped)
        self.foreign += result.foreign
        count = result.stored + result.repeated + result.foreign + result.other + result.sealed
        self.loaded += count
        self._loads.append((loaded.t, count))
        while self._loads[0][0] < loaded.t - RATE_SECONDS:
            self._loads.popleft()
        self.last_load = loaded.t
        for text in loaded.result.problems:
            self.problem("warning", "records", text)
        counting = self.runs.session.counting if self.runs.session else None
        if any(repeat != counting for repeat in loaded.result.repeats):
            self.late_scoring.records_came()
        self.progress.touch()

    def _records_dropped(self, count: int) -> None:
        self.dropped += count
        self.problems.over("queue")
        self.problem(
            "warning",
            "queue",
            f"{self.dropped:,} records were dropped from the queue of this workspace before they could be loaded: "
            "it was full, or had expired, while nobody took from it.",
            "Requests of that time may be called missing though they were recorded. A larger queue: Settings > Bus.",
        )

    def _status_came(self) -> None:
        self.bus.status_came()
        self.progress.touch()

    def _database_busy(self, busy: bool) -> None:
        text = f"Another program has locked {self.store.database.shown}; storing waits for it."
        self.problem("warning", "locked", text if busy else "", "Close the other program, or let it finish.")

    # ---- progress

    def _snapshot(self) -> RunProgress:
        now = time.time()
        session = self.runs.session
        base = RunProgress(t=now) if session is None else session.snapshot(now)
        if session is None and self.progress.latest.run is not None:
            base = replace(self.progress.latest, t=now)  # the end of the last run stays visible
        if self._elsewhere is not None:
            base = replace(self._elsewhere, t=now)
        depths = self.records_state.depths
        snapshot = replace(
            base,
            late=self.late_scoring.records,
            foreign=self.foreign,
            queue=depths[0] if depths else None,
            problems=self.problems.all(),
        )
        publish(self.hub.topics, snapshot, self._surroundings(), self.members(), self.servers)
        return snapshot

    def _surroundings(self) -> Surroundings:
        state, lab = self.records_state, self.lab
        shown, kind = self.database_shown
        return Surroundings(
            label=self.label,
            hub=self.hub.address,
            pin=self.hub.pin,
            version=self.hub.options.version,
            bus=self.bus_shown,
            queue=self.bus.queue,
            packets_queue=lab.packets_queue if lab is not None else self.options.packets_queue,
            database=shown,
            database_kind=kind,
            connected=state.connected,
            trouble=state.trouble,
            depths=state.depths,
            loaded=self.loaded,
            last_load=self.last_load,
        )


async def try_to_open(options: WorkspaceOptions) -> None:
    """Whether `Workspace.open` would find its lab and its database as they should be; raises the same errors. Nothing
    stays open: an open workspace is left only for one that can be opened."""
    if options.lab is not None:
        await asyncio.to_thread(read_lab, options.lab)
    store = await to_the_end(_open_store, options, undo=Store.close)
    await asyncio.to_thread(store.close)


def _left_behind(store: Store, now: float) -> HandedRun | None:
    """The run that was under way when the last program ended, if no other has this workspace. Blocking."""
    return None if holder(store, now) else recall(store, now)


def _open_store(options: WorkspaceOptions) -> Store:
    named = str(options.database)
    return Store(named if options.secrets is None else database_address(options.secrets, named))
