"""The interface between the window and its pages.

A page is a folder here: `page` has its widgets, `presenter` what is shown there and what a click does (no Qt), and
`part` connects the two and tells the window of them. Its line is in `gui.app.PAGES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from PySide6.QtWidgets import QWidget

from gui.campaign.plan import Plan
from gui.models.finder import Found
from gui.models.runs import RunView
from gui.pages.desk import Desk
from gui.runner.checklist import Check
from gui.runner.progress import RunProgress, Severity
from gui.runner.workspace import Workspace
from gui.widgets.forbidden import Control
from gui.widgets.frame import Frame


class WindowDesk(Desk, Protocol):
    """The surroundings of a page: what a presenter provides, and the window."""

    frame: Frame
    data: Path

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None:
        """Show something under Problems."""

    def open_workspace(self, name: str = "") -> None:
        """Open this workspace, or the default one, in place of the current one; ask first if a run is under way."""

    async def open_default(self) -> bool:
        """Open the default workspace."""

    def try_here(self) -> None:
        """Start the demonstration."""

    def leave(self) -> None:
        """Close the open workspace."""

    def run_plan(self, plan: Plan, text: str = "", directory: Path | None = None, checks: Sequence[Check] = ()) -> None:
        """Run a plan in the open workspace; `checks` were made before it."""

    def stop_run(self) -> None:
        """Stop the run after its round; a second call aborts it."""

    def runs_seen(self, workspace: Workspace, views: Sequence[RunView]) -> None:
        """The runs of a workspace were read."""


class Limited(NamedTuple):
    """Buttons and actions that need something where the hub is elsewhere: an operator's key, or that machine itself."""

    operator: tuple[Control, ...] = ()
    here: tuple[Control, ...] = ()


class Part:
    """A page with its presenter. Override what concerns it."""

    page: QWidget

    only_here = False
    """Whether it is about this machine: of a remote hub it shows that no workspace is open."""

    def limited(self) -> Limited:
        """The buttons and actions that change something, for windows on a remote hub."""
        return Limited()

    def attach(self, workspace: Workspace) -> None:
        """Show this workspace."""

    def detach(self) -> None:
        """Show that no workspace is open."""

    def look(self) -> None:
        """The window's beat: update what has changed."""

    def shown(self) -> None:
        """The page comes to the front."""

    def refresh(self) -> None:
        """Read again what the page shows (F5). A page that the beat keeps up to date has nothing to do."""

    def visit(self, **place: object) -> None:
        """Show a place within the page; each page says which it has. The page is in front already."""

    def found(self, words: str) -> Iterable[Found]:  # noqa: ARG002
        """What this page has by this name, the best first (`gui.models.finder` ranks). Called at every key: only
        what is in memory. Not called while nothing was typed."""
        return ()

    def progressed(self, progress: RunProgress) -> None:
        """A moment of the run."""

    def running(self, *, on: bool) -> None:
        """A run was started from this window, or is over."""

    def runs_read(self, views: Sequence[RunView]) -> None:
        """The runs of the workspace were read, for any page."""

    def stage(self, text: str) -> None:
        """What a demonstration is doing; an empty text ends that."""

    def close(self) -> None:
        """The window is being closed: save what must not be lost."""
