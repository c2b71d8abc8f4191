"""Evidence: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from gui.models.finder import Found, rank
from gui.pages.evidence.page import EvidencePage
from gui.pages.evidence.presenter import EvidencePresenter
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base


class Part(Base):
    """See the module."""

    page: EvidencePage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = EvidencePage()
        self.presenter = presenter = EvidencePresenter(desk, page, desk.run_plan)
        page.runs_wanted.connect(lambda: desk.go("runs"))
        page.run_wanted.connect(lambda: desk.go("result", run=presenter.run))
        page.list_wanted.connect(presenter.to_list)
        page.step_wanted.connect(lambda by: desk.background(presenter.step(by), "read evidence"))
        page.request_wanted.connect(self._open)
        page.datagrams_wanted.connect(presenter.open_datagrams)
        page.together_wanted.connect(presenter.to_together)
        page.leave_out_wanted.connect(presenter.leave_out)
        page.fault_wanted.connect(lambda: desk.background(presenter.open_fault(), "open a fault"))
        page.without_wanted.connect(lambda: desk.background(presenter.run_without(), "run without a fault"))

    def limited(self) -> Limited:
        return Limited((self.page.run_without,))

    def detach(self) -> None:
        self.presenter.detach()

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.changed()

    def visit(self, **place: object) -> None:
        """`run`: its number; `request`: the id of one of its requests; `among`: ids of the list that it was opened
        from, in their order; `filter`: that list's filter."""
        run, request, among = place.get("run"), place.get("request"), place.get("among")
        if isinstance(run, int) and isinstance(request, int):
            ids = among if isinstance(among, tuple) else None
            work = self.presenter.show(run, request, ids, str(place.get("filter") or ""))
            self._desk.background(work, "read evidence")

    def found(self, words: str) -> Iterable[Found]:
        """The requests that were lost with the one that is shown."""
        run = self.presenter.run
        lost: list[Found] = [
            Found(path, f"request {tag} of run {run}, lost with the same datagram", "file",
                  partial(self._desk.go, "evidence", run=run, request=request))
            for request, path, tag, *_ in self.page.together.model.rows.all
        ]  # fmt: skip
        return rank(words, lost, lambda found: f"{found.title} {found.detail}")

    def _open(self, request: int) -> None:
        if self.presenter.run is not None and request != self.presenter.request:
            self._desk.background(self.presenter.show(self.presenter.run, request), "read evidence")
