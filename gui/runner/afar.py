"""The workspace of a remote hub, as a window finds an open one: it reads a copy of the hub's results, shows what the
hub tells, and sends orders there.

    the hub's feed ──► mirror ──► roster, progress, members, servers      (live)
    its parts      ──► copy in the data directory ──► store               (everything that is read)
    run, stop, pause, drain, revoke …  ──► commands                       (with an operator's key)

`RemoteWorkspace` has the attributes of `gui.runner.workspace.Workspace` that pages use. What is only of the machine of
the hub (its bus, its lab, its keys, its settings) is not here: pages about that show that no workspace is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from gui.campaign.plan import Plan
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Server
from gui.hub import AgentView, Command, HubOptions
from gui.runner.checklist import Check
from gui.runner.consume import ConsumerState
from gui.runner.errors import EXPECTED
from gui.runner.hublink import RemoteError
from gui.runner.intake import Member
from gui.runner.options import WorkspaceOptions
from gui.runner.problems import ProblemList
from gui.runner.progress import Problem, ProgressFeed, RunProgress, Severity
from gui.runner.remote import Credentials, RemoteHub, file_lists
from gui.runner.replication import HubCopy, of_runs
from gui.runner.session import RunResult
from gui.runner.threads import Threads
from gui.store import Store
from shoveler.service.tasks import Tasks, start_task

log = logging.getLogger("tally.runner")

LOOK_SECONDS = 1.0
RENEW_SECONDS = 5.0
"""How often it is asked what has changed in the results; at the end of a run, at once."""

Need = Literal["operator", "here"]
"""What something needs that changes anything: an operator's key, or the machine of the hub."""


class RemoteAgents:
    """The hub's roster, and what can be done with its agents. Calls raise RemoteError."""

    def __init__(self, hub: RemoteHub) -> None:
        self._hub = hub
        self._agents: tuple[AgentView, ...] = ()
        self.version = 0
        """Grows with every change."""

    @property
    def agents(self) -> tuple[AgentView, ...]:
        """All views, as last told."""
        return self._agents

    def find(self, agent_id: str) -> AgentView | None:
        """The agent with this public id."""
        return next((view for view in self._agents if view.id == agent_id), None)

    def look(self) -> None:
        """Take what the hub has told."""
        agents = self._hub.agents
        if agents != self._agents:
            self._agents = agents
            self.version += 1


class FarHub:
    """The hub, with the calls of `gui.hub.Hub` that pages make. They raise RemoteError."""

    def __init__(self, hub: RemoteHub) -> None:
        self._hub = hub
        self.roster = RemoteAgents(hub)

    @property
    def address(self) -> str:
        """Where agents join it."""
        return self._hub.mirror.surroundings.hub or self._hub.url

    @property
    def pin(self) -> str:
        """``sha256:HEX`` of its public key; empty without TLS."""
        return self._hub.mirror.surroundings.pin

    async def ping(self, agent: str) -> object:
        """Whether an agent answers within 5 s; the roster has it as well."""
        return await self._ask(do="ping", agent=agent)

    async def drain(self, agent: str) -> None:
        """Give an agent no new rounds until `resume`."""
        await self._ask(do="drain", agent=agent)

    async def resume(self, agent: str) -> None:
        """Take `drain` back."""
        await self._ask(do="resume", agent=agent)

    async def keep_out(self, agent: str, seconds: float | None) -> None:
        """End an agent's session, and refuse it for so long, or (None) until `allow`."""
        await self._ask(do="disconnect", agent=agent, lasts=seconds)

    async def allow(self, agent: str) -> None:
        """Take `keep_out` back."""
        await self._ask(do="allow", agent=agent)

    async def revoke_agent(self, agent: str) -> None:
        """Disable an agent's personal key and close its session."""
        await self._ask(do="revoke", agent=agent)

    async def invite(self, role: str, *, ttl: float, uses: int) -> tuple[str, str]:
        """A new invitation: its id, and its join string."""
        made = await self._ask(do="invite", role=role, ttl=ttl, uses=uses)
        return str(made["id"]), str(made["join"])

    async def _ask(self, **fields: Any) -> Any:
        return await self._hub.ask(Command(id=0, **fields))


class RemoteWorkspace:
    """See the module; made by `RemoteWorkspace.open`. Belongs to the event loop."""

    def __init__(self, hub: RemoteHub, copy: HubCopy, store: Store) -> None:
        loop = asyncio.get_running_loop()
        self._remote = hub
        self._copy = copy
        self.remote = hub.url
        """The hub's address: what tells this from a workspace of this machine."""
        self.store = store
        self.hub = FarHub(hub)
        self.other = ""
        self.lab = None
        self.local_clients = None
        self.sign_in = None
        packets = hub.mirror.surroundings.packets_queue
        self.options = WorkspaceOptions(
            database=hub.url, hub=HubOptions(directory=copy.file.parent), packets_queue=packets
        )
        self.problems = ProblemList()
        self.free = asyncio.Event()
        """Set when the hub has ended the session for good; `ended` says why."""
        self.results_changed: Callable[[], object] = lambda: None
        """Called when the copy has something new."""
        self._threads = Threads()
        self.blocking = self._threads.blocking
        self.progress = ProgressFeed(self._snapshot, loop.call_later, time.time)
        self._orders = Tasks(log, self._failed)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended_run: int | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, credentials: Credentials, data: Path, *, insecure: bool = False
    ) -> AsyncIterator[RemoteWorkspace]:
        """Connect, and copy the list of runs. Raises RemoteError, CredentialError or StoreError."""
        async with RemoteHub.open(url, credentials, insecure=insecure) as hub:
            copy = await HubCopy.open(hub, data)
            try:
                await copy.renew(of_runs("known", "run", "day"))
                await hub.told("run", "agents", "pipeline")
                store = await asyncio.to_thread(Store, copy.file, read_only=True)
                workspace = cls(hub, copy, store)
                try:
                    workspace._start()
                    yield workspace
                finally:
                    await workspace._stop()
            finally:
                await copy.close()

    def _start(self) -> None:
        self.hub.roster.look()
        unsubscribe = self._remote.subscribe_all(self._told)
        self._unsubscribe = unsubscribe
        self._tasks = [start_task(self._watch(), "watch the hub"), start_task(self._renew(), "copy results")]
        self.progress.publish()

    async def _stop(self) -> None:
        self._unsubscribe()
        await self._orders.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._threads.close()
        await asyncio.to_thread(self.store.close)

    # ---- what is allowed

    def why_not(self, need: Need) -> str:
        """Why something that changes anything cannot be done from here, in a sentence; empty if it can."""
        if need == "here":
            return f"This is kept at {self.remote}, and can be changed only where that hub runs."
        if not self._remote.may_command:
            return f"You look on at {self.remote} with an observer's key; this needs an operator's."
        return ""

    @property
    def ended(self) -> str:
        """Why the hub has ended the session for good; empty: it has not."""
        return self._remote.ended

    # ---- what the hub tells

    def _told(self) -> None:
        self.hub.roster.look()
        if (ended := self._remote.mirror.ended) != self._ended_run:
            self._ended_run = ended
            self._news.set()
        self.progress.touch()

    async def _watch(self) -> None:
        """Say when the connection breaks, and when it is there again."""
        away: float | None = None
        while not self.ended:
            if self._remote.connected:
                if away is not None:
                    self._news.set()
                away = None
                self.problem("warning", "hub", "")
            elif away is None:
                away = time.time()
                text = f"The connection to {self.remote} broke; what is shown is from before, and it is tried again."
                self.problem("warning", "hub", text, "The run goes on at the hub meanwhile.")
            await asyncio.sleep(LOOK_SECONDS)
        self.free.set()

    async def _renew(self) -> None:
        """Keep the copy up to date, but for the details of runs: those are fetched when they are looked at."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._news.wait()
            self._news.clear()
            if not self._remote.connected:
                continue
            try:
                changed = await self._copy.renew(of_runs("known", "run", "day"))
            except EXPECTED as error:
                if self._remote.connected:
                    self.problem("warning", "results", f"The results of the hub cannot be copied: {error}")
            else:
                self.problem("warning", "results", "")
                if changed:
                    self.results_changed()

    async def have(self, run: int) -> None:
        """Have everything of a run in the copy, as far as the hub can be reached now."""
        try:
            await self._copy.renew(of_runs("known", "run", "details", run=run))
        except EXPECTED as error:
            self.problem("warning", "results", f"Run {run} may be shown as it was before: {error}")

    def _snapshot(self) -> RunProgress:
        told = self._remote.mirror.progress()
        return replace(told, t=time.time(), problems=(*self.problems.all(), *told.problems))

    # ---- what pages find

    @property
    def label(self) -> str:
        """The displayed name."""
        return f"{self._remote.mirror.surroundings.label or 'workspace'} at {self.remote.partition('://')[2]}"

    @property
    def connected(self) -> bool:
        """Whether the hub can be reached now."""
        return self._remote.connected

    @property
    def latest(self) -> RunProgress:
        """The newest snapshot of the run."""
        return self.progress.latest

    @property
    def running(self) -> bool:
        """Whether a run is under way there."""
        told = self._remote.progress
        return told.phase not in ("idle", "done") and told.outcome == "running"

    @property
    def runs(self) -> Any:
        """There is no run of this program."""
        return SimpleNamespace(session=None)

    @property
    def records_state(self) -> ConsumerState:
        """How it stands with the hub's queue of records."""
        told = self._remote.mirror.surroundings
        return ConsumerState(connected=told.connected, trouble=told.trouble, depths=tuple(told.depths))

    @property
    def bus(self) -> Any:
        """The hub's bus, as far as it tells of it."""
        told = self._remote.mirror.surroundings
        return SimpleNamespace(queue=told.queue, there=bool(told.bus), address=told.bus)

    @property
    def directory(self) -> Any:
        """The servers that are known there."""
        return SimpleNamespace(listed=self._remote.mirror.known)

    @property
    def loaded(self) -> int:
        """Records that the hub has loaded since it was started."""
        return self._remote.mirror.surroundings.loaded

    @property
    def last_load(self) -> float | None:
        """When it loaded the last of them."""
        return self._remote.mirror.surroundings.last_load

    @property
    def bus_shown(self) -> str:
        """The hub's bus, without a password; empty: none is named."""
        return self._remote.mirror.surroundings.bus

    @property
    def database_shown(self) -> tuple[str, str]:
        """Where the hub's database is, and of which kind."""
        told = self._remote.mirror.surroundings
        return told.database, told.database_kind

    def members(self) -> tuple[Member, ...]:
        """The shovelers and collectors that the hub has heard from."""
        return self._remote.mirror.members

    def servers(self) -> list[Server]:
        """The servers that a plan can choose from."""
        return list(self._remote.mirror.known)

    def agent_servers(self) -> list[Server]:
        """Those beside which an agent runs are among the known ones."""
        return []

    async def ask_for_status(self, seconds: float) -> None:
        """The hub asks its daemons by itself."""

    def changed(self) -> None:
        """Something shown has changed."""
        self.progress.touch()

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None:
        """Show a problem; an empty text removes those of this place."""
        if text:
            self.problems.add(Problem(time.time(), severity, where, text, remedy))
        else:
            self.problems.over(where)
        self.progress.touch()

    # ---- orders

    async def run(
        self,
        plan: Plan,
        *,
        text: str = "",
        files: str | None = None,
        directory: Path | None = None,
        checks: Sequence[Check] = (),  # noqa: ARG002 - they were made here, for another machine
    ) -> RunResult:
        """Have the hub run a plan; its file list is read here. Raises RemoteError."""
        text = text or format_plan(plan)
        lists = files if files is not None else await asyncio.to_thread(file_lists, text, directory or Path())
        return await self._remote.run(text, files=lists)

    def stop(self) -> bool:
        """Let the run finish its round, settle, and end. False if there is none."""
        return self._order(self._remote.stop(), "stop the run")

    def abort(self) -> bool:
        """End the run at once. False if there is none."""
        return self._order(self._remote.abort(), "abort the run")

    def pause(self, *, on: bool) -> None:
        """Hand nothing out until the run is resumed (`on` False)."""
        self._order(self._remote.pause(on=on), "pause the run" if on else "resume the run")

    def _order(self, work: Coroutine[Any, Any, None], name: str) -> bool:
        if not self.running:
            work.close()
            return False
        self._orders.start(self._carried_out(work, name), name)
        return True

    async def _carried_out(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except RemoteError as error:
            self.problem("error", name, str(error))
        else:
            self.problem("error", name, "")

    def _failed(self, name: str, error: Exception) -> None:
        self.problem("error", name, f"Internal error: {error!r}")
