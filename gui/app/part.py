"""The interface between the window and its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PySide6.QtWidgets import QWidget

from gui.campaign.plan import Plan
from gui.models.runs import RunView
from gui.presenters.desk import Desk
from gui.runner.progress import RunProgress, Severity
from gui.runner.workspace import Workspace
from gui.widgets.frame import Frame


class WindowDesk(Desk, Protocol):
    """The surroundings of a page: what a presenter provides, and the window."""

    frame: Frame
    data: Path

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None:
        """Show something under Problems."""

    async def open_default(self) -> bool:
        """Open the default workspace."""

    def try_here(self) -> None:
        """Start the demonstration."""

    def leave(self) -> None:
        """Close the open workspace."""

    def run_plan(self, plan: Plan) -> None:
        """Run a plan in the open workspace."""

    def show_run_buttons(self) -> None:
        """Update the buttons of the frame."""

    def runs_seen(self, workspace: Workspace, views: Sequence[RunView]) -> None:
        """The runs of a workspace were read."""


class Part:
    """A page with its presenter. Override what concerns it."""

    page: QWidget

    def attach(self, workspace: Workspace) -> None:
        """Show this workspace."""

    def detach(self) -> None:
        """Show that no workspace is open."""

    def look(self) -> None:
        """The window's beat: update what has changed."""

    def shown(self) -> None:
        """The page comes to the front."""

    def progressed(self, progress: RunProgress) -> None:
        """A moment of the run."""

    def close(self) -> None:
        """The window is being closed: save what must not be lost."""
