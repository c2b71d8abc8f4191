"""Compare: the page, its presenter, and the dialog that saves a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from gui.models.finder import Found, rank
from gui.models.runs import RunView
from gui.pages.compare.page import ComparePage
from gui.pages.compare.presenter import REPORTS, ComparePresenter
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    page: ComparePage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self._views: Sequence[RunView] = ()
        self.page = page = ComparePage()
        self.presenter = presenter = ComparePresenter(desk, page)
        page.back_wanted.connect(lambda: desk.go("runs"))
        page.plans_wanted.connect(lambda: desk.go("plans"))
        page.run_chosen.connect(presenter.choose)
        page.swap_wanted.connect(presenter.swap)
        page.baseline_wanted.connect(lambda run: desk.background(presenter.set_baseline(run), "set the baseline"))
        page.evidence_wanted.connect(presenter.show_evidence)
        page.report_wanted.connect(self._save)
        desk.frame.add_action(
            "View", "compare", "Compare runs", "Ctrl+Shift+K", lambda: desk.go("compare"), symbol="split"
        )

    def limited(self) -> Limited:
        return Limited(here=(self.page.baseline_button,))

    def attach(self, workspace: Workspace) -> None:  # noqa: ARG002
        if self._desk.current_page() == "compare":
            self.presenter.read()

    def detach(self) -> None:
        self._views = ()
        self.presenter.detach()

    def shown(self) -> None:
        self.presenter.read()

    def refresh(self) -> None:
        self.presenter.read()

    def runs_read(self, views: Sequence[RunView]) -> None:
        self._views = views

    def found(self, words: str) -> Iterable[Found]:
        """Each run, compared with the baseline of its plan, else with the run of it before."""
        runs: list[Found] = [
            Found(f"Compare run {view.run.id}", f"{view.run.name}, {view.outcome}", "split",
                  partial(self._desk.go, "compare", b=view.run.id))
            for view in self._views
        ]  # fmt: skip
        return rank(words, runs, lambda found: f"{found.title} {found.detail}")

    def running(self, *, on: bool) -> None:
        if not on and self._desk.current_page() == "compare":
            self.presenter.read()

    def visit(self, **place: object) -> None:
        """`a`: the run that is compared with; `b`: the one that is compared. One of them may be left out."""
        a, b = place.get("a"), place.get("b")
        self.presenter.open(a if isinstance(a, int) else None, b if isinstance(b, int) else None)

    def _save(self) -> None:
        a, b = self.presenter.a, self.presenter.b
        if self._desk.workspace is None or a is None or b is None:
            return
        dialog = QFileDialog(self._desk.frame, "Save the comparison", f"compare-{a}-{b}.html", REPORTS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(
            lambda name: self._desk.background(self.presenter.write(Path(name)), "write a comparison")
        )
        dialog.open()
