"""Evidence: the page and its presenter."""

from __future__ import annotations

from gui.pages.evidence.page import EvidencePage
from gui.pages.evidence.presenter import EvidencePresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk


class Part(Base):
    """See the module."""

    page: EvidencePage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = EvidencePage()
        self.presenter = presenter = EvidencePresenter(desk, page)
        page.runs_wanted.connect(lambda: desk.go("runs"))
        page.run_wanted.connect(lambda: desk.go("result", run=presenter.run))

    def detach(self) -> None:
        self.presenter.detach()

    def visit(self, **place: object) -> None:
        """`run`: its number; `request`: the id of one of its requests."""
        run, request = place.get("run"), place.get("request")
        if isinstance(run, int) and isinstance(request, int):
            self._desk.background(self.presenter.show(run, request), "read evidence")
