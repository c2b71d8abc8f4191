"""Welcome: how far the set-up is, where each step leads, and a lab that runs here. No Qt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gui.campaign.selection import name_order
from gui.models.setup import FIRST_STEPS, SetupStep
from gui.pages.desk import Desk
from gui.runner.errors import EXPECTED
from gui.runner.lab import running_lab
from gui.runner.machine import settings_or_defaults, workspace_options
from gui.runner.settings import FILE, LAB, MachineSettings, read_settings, write_settings
from gui.runner.workspace import Workspace
from shoveler.service import redact

log = logging.getLogger("tally.window")

LAB_SECONDS = 3.0
"""How often to look for a lab, and how many runs and plans there are, while the page is shown."""
NAMES_SHOWN = 3


class WelcomeView(Protocol):
    """The page."""

    def show_steps(self, steps: tuple[SetupStep, ...]) -> None: ...
    def show_lab(self, text: str, detail: str) -> None: ...


class WelcomeDesk(Desk, Protocol):
    """The surroundings: the window."""

    def open_workspace(self, name: str = "") -> None: ...


class WelcomePresenter:
    """`leading`: the user follows the steps, so the page stays when a workspace is opened for one of them."""

    def __init__(
        self, desk: WelcomeDesk, page: WelcomeView, data: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._desk = desk
        self._page = page
        self._data = data
        self._clock = clock
        self._settings = MachineSettings({})
        self._looked = float("-inf")
        self._lab = ""
        self._runs = self._plans = 0
        self.leading = False

    @property
    def hub_runs(self) -> bool:
        """Whether a workspace is open, and so its hub."""
        return self._desk.workspace is not None

    def shown(self) -> None:
        """The page comes to the front."""
        self.leading = False
        self._looked = float("-inf")
        self.look()

    def look(self) -> None:
        """The window's beat."""
        if self._desk.current_page() != "welcome":
            return
        now = self._clock()
        if now - self._looked >= LAB_SECONDS:
            self._looked = now
            self._settings = settings_or_defaults(self._data)
            self._desk.background(self._look_around(), "look around")
        self._page.show_steps(self.steps())

    def steps(self) -> tuple[SetupStep, ...]:
        """All steps, in their order."""
        workspace = self._desk.workspace
        made = (self._bus, self._hub, self._agent, self._servers, self._plan)
        return tuple(make(step, workspace) for make, step in zip(made, FIRST_STEPS, strict=True))

    # ---- each step

    def _bus(self, step: SetupStep, workspace: Workspace | None) -> SetupStep:
        if workspace is None:
            options = workspace_options(self._data, "unused", self._settings)
            named = f"the lab in {options.lab}" if options.lab is not None else redact(options.bus)
            if not named:
                return step
            return replace(step, text=f"{named}; it is connected with the hub", action="Change…", state="done")
        where = workspace.bus_shown.partition("?")[0]
        if not where:
            return replace(step, text="none is named yet, so no record can be loaded")
        state = workspace.records_state
        if state.connected:
            return replace(step, text=f"records come from {where}", action="Change…", state="done")
        why = state.trouble or "connecting"
        return replace(step, text=why, action="Change…", state="trouble" if state.trouble else "missing")

    def _hub(self, step: SetupStep, workspace: Workspace | None) -> SetupStep:
        if workspace is None:
            return step
        return replace(step, text=f"agents join {workspace.hub.address}", action="Change…", state="done")

    def _agent(self, step: SetupStep, workspace: Workspace | None) -> SetupStep:
        agents = workspace.hub.roster.agents if workspace is not None else ()
        clients = sorted((a for a in agents if a.role == "client"), key=lambda agent: name_order(agent.name))
        up = [agent.name for agent in clients if agent.live]
        if up:
            return replace(step, text=f"{_count(len(up), 'client')} up: {_some(up)}", state="done")
        if clients:
            text = f"{_some([agent.name for agent in clients])} {'is' if len(clients) == 1 else 'are'} missing"
            return replace(step, text=text, state="trouble")
        return step

    def _servers(self, step: SetupStep, workspace: Workspace | None) -> SetupStep:
        servers = workspace.servers() if workspace is not None else []
        if not servers:
            return step
        names = _some([server.name for server in servers])
        return replace(step, text=f"{_count(len(servers), 'server')}: {names}", state="done")

    def _plan(self, step: SetupStep, workspace: Workspace | None) -> SetupStep:
        if workspace is not None and self._runs:
            return replace(step, text=f"{_count(self._runs, 'run')} in this workspace", action="Plans…", state="done")
        if self._plans:
            return replace(step, text=f"{_count(self._plans, 'plan')} of yours; choose one and run it")
        return step

    async def _look_around(self) -> None:
        """What takes a moment: runs, plans, a lab."""
        workspace = self._desk.workspace
        self._plans = await asyncio.to_thread(_plans_in, self._data / "plans")
        runs = 0
        if workspace is not None:
            try:
                runs = len(await workspace.blocking(workspace.store.runs))
            except EXPECTED as error:
                log.info("! runs are not known: %s", error)
        if self._desk.workspace is workspace:
            self._runs = runs
        lab = await asyncio.to_thread(running_lab)
        used = workspace is not None and workspace.lab is not None
        if lab is None or used:
            self._lab = ""
            self._page.show_lab("", "")
            return
        self._lab = lab.directory
        files = f"{len(lab.files):,} test files"
        self._page.show_lab(f"A lab with {_count(len(lab.servers), 'server')} runs here", f"{files}, {lab.directory}")

    # ---- what a click does

    def use_lab(self) -> None:
        """Take records from the lab that was found, and open the workspace with it."""
        if self._lab:
            self._desk.background(self._use_lab(self._lab), "use the lab")

    async def _use_lab(self, directory: str) -> None:
        file = self._data / FILE

        def keep() -> None:
            settings, _ = read_settings(file)
            write_settings(file, settings.with_values({"bus.kind": LAB, "bus.lab": directory}))

        try:
            await asyncio.to_thread(keep)
        except EXPECTED as error:
            self._desk.complain("lab", str(error))
            return
        self.leading = True
        workspace = self._desk.workspace
        self._desk.open_workspace(str(workspace.options.database) if workspace is not None else "")


def _plans_in(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.toml")) if folder.is_dir() else 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
