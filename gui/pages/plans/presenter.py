"""Plans: the federation that a plan can choose from now, and the command that runs the open plan."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Protocol

from gui.campaign.plan import File, Plan
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Server
from gui.models.plans import PlanEditor
from gui.pages.desk import Desk
from gui.runner.lab import lab_files


class PlansView(Protocol):
    """The page."""

    editor: PlanEditor

    def set_federation(self, servers: Sequence[Server], files: Sequence[File], clients: Sequence[str]) -> None: ...
    def set_running(self, *, running: bool) -> None: ...
    def keep(self) -> bool: ...


class PlansPresenter:
    """See the module."""

    def __init__(self, desk: Desk, page: PlansView) -> None:
        self._desk = desk
        self._page = page
        self._version = -1

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._version = -1
        self._page.set_federation((), (), ())
        self._page.set_running(running=False)

    def look(self) -> None:
        """Update what the preview uses if agents have changed."""
        workspace = self._desk.workspace
        if workspace is None or workspace.hub.roster.version == self._version:
            return
        self._version = workspace.hub.roster.version
        clients = [agent.name for agent in workspace.hub.roster.agents if agent.role == "client" and agent.live]
        self._page.set_federation(workspace.servers(), lab_files(workspace.lab) if workspace.lab else (), clients)

    def text_of(self, plan: Plan) -> str:
        """The TOML of a plan; that of the editor, with its comments, if it is the open one."""
        editor = self._page.editor
        return editor.text if editor.plan == plan else format_plan(plan)

    def command(self) -> str:
        """The command line that runs the open plan in the open workspace without the window."""
        text = self._page.editor.command()
        workspace = self._desk.workspace
        if workspace is not None:
            text += f" --db {shlex.quote(str(workspace.options.database))}"
            if workspace.options.lab is not None:
                text += f" --lab {shlex.quote(str(workspace.options.lab))}"
        return text
