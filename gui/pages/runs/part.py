"""Runs: the page, its presenter, and the dialog that saves a report."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.runs.page import RunsPage
from gui.pages.runs.presenter import REPORTS, RunsPresenter
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    page: RunsPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = RunsPage((("Try it on this machine", "play", desk.try_here),))
        self.presenter = presenter = RunsPresenter(desk, page, desk.runs_seen)
        page.run_wanted.connect(lambda run: desk.background(presenter.show_run(run), "read a run"))
        page.test_wanted.connect(lambda test: desk.background(presenter.show_test(test), "read a test"))
        page.evidence_wanted.connect(lambda number: desk.background(presenter.show_evidence(number), "read evidence"))
        page.recheck_wanted.connect(lambda run: desk.background(presenter.recheck(run), "score again"))
        page.report_wanted.connect(self._save_report)
        desk.frame.add_action("View", "refresh", "Refresh", "F5", presenter.read, symbol="refresh")

    def attach(self, workspace: Workspace) -> None:  # noqa: ARG002
        self.presenter.read()

    def detach(self) -> None:
        self.presenter.detach()

    def shown(self) -> None:
        self.presenter.read()

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.read()

    def visit(self, **place: object) -> None:
        """`run`: the number of the run to open."""
        if isinstance(run := place.get("run"), int):
            self._desk.background(self.presenter.show_run(run), "read a run")

    def _save_report(self, run: int) -> None:
        if self._desk.workspace is None:
            return
        dialog = QFileDialog(self._desk.frame, "Save report", f"run-{run}.html", REPORTS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(
            lambda name: self._desk.background(self.presenter.write_report(run, Path(name)), "write a report")
        )
        dialog.open()
