"""What a presenter finds around it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from gui.models.plans import ChosenPlan
from gui.runner.workspace import Workspace


class Desk(Protocol):
    """What a presenter finds around it. The workspace may be another one, or None, after each await."""

    chosen: ChosenPlan | None
    """The plan that Run starts; None while its text is no plan."""

    @property
    def workspace(self) -> Workspace | None:
        """The open workspace."""

    @property
    def absent(self) -> str:
        """Why there is no workspace for this page although one is open elsewhere, in a sentence; empty: none is."""

    @property
    def closing(self) -> bool:
        """Whether the window is being closed."""

    def background(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task that is cancelled with the window; its errors become problems."""

    def complain(self, where: str, text: str, remedy: str = "") -> None:
        """Show an error in Problems, and open that."""

    def current_page(self) -> str:
        """The name of the page that is shown."""

    def go(self, page: str, **place: object) -> None:
        """Show a page, and a place within it, as ``go("runs", run=36)``."""
