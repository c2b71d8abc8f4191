"""Evidence: what explains the verdict of one request."""

from __future__ import annotations

from typing import Protocol

from gui.pages.desk import Desk
from gui.reconcile import Ladder, ladder_of
from gui.store import RequestEntry, Store


class EvidenceView(Protocol):
    """The page."""

    def show_request(self, run: int, request: RequestEntry, ladder: Ladder | None) -> None: ...
    def clear(self) -> None: ...


class EvidencePresenter:
    """What is shown of a request."""

    def __init__(self, desk: Desk, page: EvidenceView) -> None:
        self._desk = desk
        self._page = page
        self.run: int | None = None
        self.request: int | None = None

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.run = self.request = None
        self._page.clear()

    async def show(self, run: int, request: int) -> None:
        """Open what explains the verdict of a request."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        self.run, self.request = run, request
        entry, ladder = await workspace.blocking(read_evidence, workspace.store, request)
        if self._desk.workspace is workspace and self.request == request and entry is not None:
            self._page.show_request(run, entry, ladder)


def read_evidence(store: Store, request: int) -> tuple[RequestEntry | None, Ladder | None]:
    """A request and where its record was lost. Blocking. Raises StoreError."""
    return store.request(request), ladder_of(store, request)
