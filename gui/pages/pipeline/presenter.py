"""Pipeline: what its parts report, where records wait, loading a file of records, and drills on a lab."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gui.models.fleet import KnownServer, fleet_servers
from gui.models.lost import LostRequests, read_lost
from gui.models.pipeline import Event, Facts, Pipeline, PipelineWatch, StageName
from gui.models.senders import SenderBook, sender_servers
from gui.pages.desk import Desk
from gui.runner.drills import DRILLS, Drill, Drills, why_not
from gui.runner.lab import LabMissingError
from gui.runner.loading import FileLoading, LoadEnd, LoadError, LoadLine
from gui.runner.workspace import Workspace

LEARN_SECONDS = 3.0
"""How often to ask the database which sender belongs to which server, until all are known."""
SIZE_SECONDS = 10.0
"""How often to ask the database for its size."""
STATUS_SECONDS = 2.0
LISTEN_SECONDS = 2.0
"""Maximum time to wait for the answers to Refresh."""


@dataclass(frozen=True, slots=True)
class DrillState:
    """A drill as shown: why it cannot be started (empty: it can), or how many seconds it still goes on."""

    drill: Drill
    why_not: str
    left: float | None
    busy: bool
    said: str
    """The lab's last answer."""


class Loads(Protocol):
    """The loading of one file, see `FileLoading`."""

    async def load(self, progressed: Callable[[LoadLine], None]) -> LoadEnd: ...
    def stop(self) -> None: ...


class PipelineView(Protocol):
    """The page."""

    def show_pipeline(self, pipeline: Pipeline, watch: PipelineWatch) -> None: ...
    def show_nothing(self) -> None: ...
    def show_drills(self, drills: tuple[DrillState, ...]) -> None: ...
    def show_lost(self, lost: LostRequests | None) -> None: ...
    def show_loading(self, name: str, read: int, size: int, records: int) -> None: ...
    def show_loaded(self, words: tuple[str, ...], *, bad: bool) -> None: ...


class PipelinePresenter:
    """See the module. `watch` goes on while another page is shown, so that nothing is missing from the lines."""

    def __init__(
        self,
        desk: Desk,
        page: PipelineView,
        clock: Callable[[], float] = time.time,
        loading: Callable[[str, Path], Loads] = FileLoading,
    ) -> None:
        self._desk = desk
        self._page = page
        self._clock = clock
        self._make_loading = loading
        self._loading: Loads | None = None
        self._drills: Drills | None = None
        self._lab: Path | None = None
        self._busy = ""
        self._heard, self._listening = 0.0, False
        self._said: dict[str, str] = {}
        self._forget()

    def _forget(self) -> None:
        self.watch = PipelineWatch()
        self._senders = SenderBook()
        self._sender_of: dict[str, str] = {}
        self._learnt = self._measured = 0.0
        self._size: int | None = None
        self._asked = False

    # ---- what is open

    def attach(self, workspace: Workspace) -> None:
        """Show this workspace."""
        self._forget()
        self._find_lab(workspace)
        self._page.show_lost(None)
        self.show()

    def _find_lab(self, workspace: Workspace) -> None:
        """The lab of a workspace may become another one while it is open."""
        lab = workspace.options.lab if workspace.lab is not None else None
        if lab != self._lab:
            self._lab = lab
            self._drills = Drills(lab, self._clock) if lab is not None else None
            self._said.clear()

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._forget()
        self._drills = self._lab = None
        self._said.clear()
        if self._loading is not None:
            self._loading.stop()
        self._page.show_lost(None)
        self._page.show_nothing()
        self._show_drills()

    def look(self) -> None:
        """The window's beat: hear what was reported; show it while the page is in front."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        self._find_lab(workspace)
        pipeline = self.watch.look(self._facts(workspace))
        if self._desk.current_page() == "pipeline":
            self._ask_database(workspace)
            self._listen_to_lab()
            self._page.show_pipeline(pipeline, self.watch)
            self._show_drills()

    def show(self) -> None:
        """The page comes to the front."""
        workspace = self._desk.workspace
        if workspace is None:
            self._page.show_nothing()
        else:
            self._page.show_pipeline(self.watch.look(self._facts(workspace)), self.watch)
        self._show_drills()
        self.read_lost()

    def read_lost(self) -> None:
        """Read what the latest run lost at each stage, in the background."""
        if self._desk.workspace is not None:
            self._desk.background(self._show_lost(self._desk.workspace), "read what was lost")

    async def _show_lost(self, workspace: Workspace) -> None:
        lost = await workspace.blocking(read_lost, workspace.store)
        if self._desk.workspace is workspace:
            self._page.show_lost(lost)

    def refresh(self) -> None:
        """Ask all shovelers and collectors for their status now."""
        workspace = self._desk.workspace
        if workspace is not None:
            self._measured = 0.0
            self._desk.background(workspace.ask_for_status(STATUS_SECONDS), "ask for status")

    # ---- what is known

    def _facts(self, workspace: Workspace) -> Facts:
        members = workspace.members()
        known = [KnownServer(server.name, server.url) for server in workspace.servers()]
        self._senders.update(member.status for member in members)
        self._known = known
        trouble = next((p.text for p in workspace.problems.all() if p.where == "locked"), "")
        lab = workspace.lab
        database, kind = workspace.database_shown
        return Facts(
            t=self._clock(),
            servers=fleet_servers(known, workspace.hub.roster.agents, self._senders.by_server(self._sender_of)),
            members=members,
            bus=workspace.bus_shown,
            records=workspace.records_state,
            queue=workspace.bus.queue,
            packets_queue=lab.packets_queue if lab is not None else workspace.options.packets_queue,
            database=database,
            database_kind=kind,
            database_size=self._size,
            database_trouble=trouble,
            loaded=workspace.loaded if workspace.bus.there else None,
            last_load=workspace.last_load,
        )

    def _ask_database(self, workspace: Workspace) -> None:
        now = self._clock()
        if self._asked:
            return
        learn = len(self._sender_of) < len(self._known) and now - self._learnt >= LEARN_SECONDS
        measure = not workspace.remote and now - self._measured >= SIZE_SECONDS  # ours is only a copy
        if learn or measure:
            self._asked = True
            if learn:
                self._learnt = now
            if measure:
                self._measured = now
            self._desk.background(self._answer(workspace, learn=learn, measure=measure), "ask the database")

    async def _answer(self, workspace: Workspace, *, learn: bool, measure: bool) -> None:
        try:
            if learn:
                facts = await workspace.blocking(workspace.store.origin_facts)
                if self._desk.workspace is workspace:
                    self._sender_of = sender_servers(facts, self._known)
            if measure:
                size = await workspace.blocking(workspace.store.database.used_bytes)
                if self._desk.workspace is workspace:
                    self._size = size
        finally:
            self._asked = False

    # ---- drills

    def _listen_to_lab(self) -> None:
        """Ask the lab which faults are on, every two seconds while that is shown."""
        now = self._clock()
        if self._drills is not None and not self._listening and now - self._heard >= LISTEN_SECONDS:
            self._heard, self._listening = now, True
            self._desk.background(self._listen(self._drills), "listen to the lab")

    async def _listen(self, drills: Drills) -> None:
        try:
            await drills.listen()
        finally:
            self._listening = False

    def _show_drills(self) -> None:
        workspace = self._desk.workspace
        lab = workspace.lab if workspace is not None else None
        self._page.show_drills(
            tuple(
                DrillState(
                    drill,
                    why_not(drill, lab if self._drills is not None else None),
                    self._drills.left(drill) if self._drills is not None else None,
                    self._busy == drill.name,
                    self._said.get(drill.name, ""),
                )
                for drill in DRILLS
            )
        )

    def warning(self, drill: Drill, amount: float) -> str:
        """What a drill will do, and to which run."""
        workspace = self._desk.workspace
        words = drill.what(amount)
        if workspace is not None and workspace.running:
            words += f" Run {workspace.progress.latest.run} is under way and meets it."
        return words

    def start_drill(self, drill: Drill, amount: float) -> None:
        """Start a drill that the user has confirmed by its name."""
        self._order(drill, amount)

    def stop_drill(self, drill: Drill) -> None:
        """End a drill."""
        self._order(drill, None)

    def _order(self, drill: Drill, amount: float | None) -> None:
        if self._drills is not None and not self._busy:
            self._busy = drill.name
            self._show_drills()
            self._desk.background(self._carry_out(self._drills, drill, amount), f"drill {drill.name}")

    async def _carry_out(self, drills: Drills, drill: Drill, amount: float | None) -> None:
        try:
            answer = await (drills.stop(drill) if amount is None else drills.start(drill, amount))
        except LabMissingError as error:
            self._said[drill.name] = str(error)
            self._desk.complain("drill", f"{drill.title}: {error}", "tally-agent lab status says what the lab has.")
        else:
            self._said[drill.name] = answer
            stage: StageName = {"cut-broker": "broker", "drop-udp": "servers"}.get(drill.name, "collectors")  # type: ignore[assignment]
            words = f"drill: {drill.title.lower()}" + (" ended" if amount is None else "")
            self.watch.note(Event(self._clock(), stage, "", "zap", words, "info"))
        finally:
            self._busy = ""
            self._show_drills()

    # ---- records of a file

    def load(self, path: Path) -> None:
        """Load a file of records into the workspace."""
        workspace = self._desk.workspace
        if workspace is None or self._loading is not None:
            return
        self._loading = self._make_loading(workspace.store.database.address, path)
        self._page.show_loading(path.name, 0, 0, 0)
        self._desk.background(self._load(workspace, self._loading, path), f"load {path.name}")

    def stop_loading(self) -> None:
        """End the loading after the transaction under way; what is loaded stays."""
        if self._loading is not None:
            self._loading.stop()

    @property
    def loading(self) -> bool:
        """Whether a file is being loaded."""
        return self._loading is not None

    async def _load(self, workspace: Workspace, loading: Loads, path: Path) -> None:
        def progressed(line: LoadLine) -> None:
            self._page.show_loading(path.name, line.read, line.size, line.records)

        try:
            end: LoadEnd = await loading.load(progressed)
        except (LoadError, OSError) as error:
            self._page.show_loaded((str(error),), bad=True)
        except asyncio.CancelledError:
            raise
        else:
            self._page.show_loaded((*end.words(), *end.problems), bad=bool(end.bad))
            workspace.changed()
        finally:
            self._loading = None
