"""Plans: what a plan finds around it now, the command that runs the open plan, and the file lists that it names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.messages import LabState
from gui.campaign.around import Around, Listing
from gui.campaign.catalogue import CatalogueError
from gui.campaign.plan import FAULT_KINDS, Fault, Plan
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Client
from gui.hub import AgentView
from gui.models.plans import ChosenPlan, FaultPlace, PlanEditor
from gui.pages.desk import Desk
from gui.runner.lab import cannot, lab_files
from gui.runner.resolve import read_list
from gui.runner.workspace import Workspace

NO_LAB = "Faults need a lab, and this workspace has none: a run with one is refused."


class PlansView(Protocol):
    """The page."""

    editor: PlanEditor

    def set_around(self, around: Around | None, place: FaultPlace) -> None: ...
    def set_running(self, *, running: bool) -> None: ...
    def directory(self) -> Path | None: ...
    def keep(self) -> bool: ...


class PlansPresenter:
    """See the module."""

    def __init__(self, desk: Desk, page: PlansView) -> None:
        self._desk = desk
        self._page = page
        self._version = -1
        self._known: tuple[str, ...] = ()
        """Names of the clients that were here at any time."""
        self._lists: dict[Path, Listing] = {}
        self._reading: set[Path] = set()

    def attach(self, workspace: Workspace) -> None:
        """Find out who was ever here: a client that is away now is no mistake."""
        self._desk.background(self._learn_clients(workspace), "learn clients")

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._version = -1
        self._known = ()
        self._page.set_around(None, FaultPlace())
        self._page.set_running(running=False)

    def look(self) -> None:
        """Update what preview and form use if agents have changed."""
        workspace = self._desk.workspace
        if workspace is not None and workspace.hub.roster.version != self._version:
            self.show()

    def show(self) -> None:
        """Show what is around the plan now."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        self._version = workspace.hub.roster.version
        lists = {name: self._lists[path] for name, path in self._named() if path in self._lists}
        here = _clients(workspace.hub.roster.agents)
        away = [Client(name, name, ready=False) for name in self._known if name not in {c.name for c in here}]
        around = Around(
            servers=tuple(workspace.servers()),
            clients=(*here, *away),
            lab_files=lab_files(workspace.lab) if workspace.lab else None,
            lists=lists,
            cannot=_Refuses(workspace.lab, workspace.local_clients is not None),
        )
        self._page.set_around(around, fault_place(workspace))

    def plan_changed(self) -> None:
        """Read the file lists that the plan names now."""
        fresh = [path for _, path in self._named() if path not in self._lists and path not in self._reading]
        for path in dict.fromkeys(fresh):
            self._reading.add(path)
            self._desk.background(self._read(path), f"read {path.name}")

    def forget_lists(self) -> None:
        """Read file lists again: they may have been changed in the meantime."""
        self._lists.clear()
        self.plan_changed()

    async def _read(self, path: Path) -> None:
        try:
            self._lists[path] = Listing(await read_list(path))
        except CatalogueError as error:
            self._lists[path] = Listing(error=str(error))
        finally:
            self._reading.discard(path)
        self.show()

    def _named(self) -> list[tuple[str, Path]]:
        """The file lists of the open plan, by the name that it gives them."""
        plan = self._page.editor.plan
        folder = self._page.directory() or Path()
        names = [test.files.list for test in plan.tests if test.files.list is not None] if plan else []
        return [(name, folder / name) for name in names]

    async def _learn_clients(self, workspace: Workspace) -> None:
        known = await workspace.blocking(workspace.store.agents)
        if self._desk.workspace is workspace:
            self._known = tuple(agent.name for agent in known if agent.role == "client")
            self.show()

    def text_of(self, plan: Plan) -> str:
        """The TOML of a plan; that of the editor, with its comments, if it is the open one."""
        editor = self._page.editor
        return editor.text if editor.plan == plan else format_plan(plan)

    def chosen(self) -> ChosenPlan | None:
        """The plan that Run starts."""
        plan = self._page.editor.plan
        if plan is None:
            return None
        return ChosenPlan(plan, self.text_of(plan), self._page.directory(), self.command(what="preflight"))

    def command(self, *, what: str = "run") -> str:
        """The command line that runs (or checks) the open plan in the open workspace without the window."""
        text = self._page.editor.command(what)
        workspace = self._desk.workspace
        if workspace is not None:
            text += f" --db {shlex.quote(str(workspace.options.database))}"
            if workspace.options.lab is not None:
                text += f" --lab {shlex.quote(str(workspace.options.lab))}"
        return text


@dataclass(frozen=True)
class _Refuses:
    """Why faults cannot be injected in this lab. Equal as long as that is so: a page is not told the same twice."""

    lab: LabState | None
    local_clients: bool

    def __call__(self, faults: Sequence[Fault]) -> list[str]:
        return cannot(faults, self.lab, local_clients=self.local_clients)


def fault_place(workspace: Workspace) -> FaultPlace:
    """Which faults can be injected in this workspace."""
    lab = workspace.lab
    if lab is None:
        return FaultPlace(reason=NO_LAB)
    refused = {do: lab.faults[do] for do in FAULT_KINDS if lab.faults.get(do)}
    if workspace.local_clients is None:
        refused["kill-agent"] = "needs clients that this program has started"
    return FaultPlace(refused=refused, servers=tuple(server.name for server in (*lab.servers, *lab.caches)))


def _clients(agents: Sequence[AgentView]) -> list[Client]:
    return [
        Client(view.name, view.id, tuple(view.labels), ready=view.state == "up")
        for view in agents
        if view.role == "client"
    ]
