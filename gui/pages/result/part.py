"""Result: the page, its presenter, and its dialogs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from gui.models.finder import Found
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.result.page import TABS, ResultPage
from gui.pages.result.presenter import REPORTS, ResultPresenter

LEAST_LETTERS = 3
"""Letters of a file before requests are looked through: there may be 100,000."""
MOST_REQUESTS = 12


class Part(Base):
    """See the module."""

    page: ResultPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = ResultPage()
        self.presenter = presenter = ResultPresenter(desk, page)
        page.back_wanted.connect(lambda: desk.go("runs"))
        page.test_wanted.connect(lambda test: desk.background(presenter.show_test(test), "read a test"))
        page.evidence_wanted.connect(self._open_evidence)
        page.recheck_wanted.connect(lambda run: desk.background(presenter.recheck(run), "score again"))
        page.report_wanted.connect(self._save_report)

    def detach(self) -> None:
        self.presenter.detach()

    def found(self, words: str) -> Iterable[Found]:
        """Requests of the test that is shown, by a part of their file or by the beginning of their tag."""
        wanted, run, found = words.strip().lower(), self.presenter.run, []
        if run is None or len(wanted) < LEAST_LETTERS:
            return ()
        for row in self.page.requests.model.rows.all:
            if row.tag.lower().startswith(wanted) or wanted in row.path.lower():
                state = row.verdict.value.replace("_", " ") if row.verdict else "not scored"
                call = partial(self._desk.go, "evidence", run=run, request=row.id)
                found.append(Found(row.path, f"request {row.tag} of run {run}, {state}", "file", call))
                if len(found) >= MOST_REQUESTS:
                    break
        return found

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.read()

    def visit(self, **place: object) -> None:
        """`run`: its number; `test`: the number of a test; `tab`: one of `TABS`; `filter`: of its requests."""
        run, test = place.get("run"), place.get("test")
        if isinstance(tab := place.get("tab"), str) and tab in TABS:
            self.page.show_tab(tab)
        if isinstance(text := place.get("filter"), str):
            self.page.show_requests(text)
        if isinstance(run, int):
            number = test if isinstance(test, int) else None
            self._desk.background(self.presenter.show_run(run, number), "read a run")

    def _open_evidence(self, request: int) -> None:
        """Open a request, and with it the list that can be stepped through."""
        among = self.page.visible_requests()
        text = self.page.requests.filter_box.text()
        self._desk.go("evidence", run=self.presenter.run, request=request, among=among, filter=text)

    def _save_report(self, run: int) -> None:
        if self._desk.workspace is None:
            return
        dialog = QFileDialog(self._desk.frame, "Save report", f"run-{run}.html", REPORTS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(
            lambda name: self._desk.background(self.presenter.write_report(run, Path(name)), "write a report")
        )
        dialog.open()
