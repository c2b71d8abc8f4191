"""Live: the progress of the run, and before it the stages of a demonstration."""

from __future__ import annotations

from typing import Protocol

from gui.runner.progress import RunProgress


class LiveView(Protocol):
    """The page."""

    def show_progress(self, progress: RunProgress) -> None: ...
    def show_stage(self, text: str) -> None: ...
    def show_nothing(self) -> None: ...


class LivePresenter:
    """See the module."""

    def __init__(self, page: LiveView) -> None:
        self._page = page

    def progressed(self, progress: RunProgress) -> None:
        """Show this moment of the run."""
        self._page.show_progress(progress)

    def stage(self, text: str) -> None:
        """Show what a demonstration is doing; an empty text ends that."""
        self._page.show_stage(text)

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._page.show_nothing()
