"""Result: the page, its presenter, and its dialogs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSettings, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog

from gui.models.finder import Found
from gui.models.requests import row_state
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
from gui.pages.result.page import TABS, ResultPage
from gui.pages.result.presenter import ResultPresenter
from gui.pages.result.report import ReportSheet
from gui.runner.bundles import ENDING
from gui.widgets.parts import Button

LEAST_LETTERS = 3
"""Letters of a file before requests are looked through: there may be 100,000."""
MOST_REQUESTS = 12


class Part(Base):
    """See the module."""

    page: ResultPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = ResultPage()
        self.presenter = presenter = ResultPresenter(desk, page, desk.data / "hub", open_path, copy_text)
        self.sheet: ReportSheet | None = None
        background = desk.background
        page.back_wanted.connect(lambda: desk.go("runs"))
        page.test_wanted.connect(lambda test: background(presenter.show_test(test), "read a test"))
        page.evidence_wanted.connect(self._open_evidence)
        page.record_wanted.connect(lambda record: background(presenter.show_record(record), "read a record"))
        page.recheck_wanted.connect(lambda run: background(presenter.recheck(run), "score again"))
        page.run_wanted.connect(lambda run: desk.go("result", run=run))
        page.leave_out_wanted.connect(lambda run, on: background(presenter.leave_out(run, on), "leave out"))
        page.compare_wanted.connect(lambda run: desk.go("compare", a=run))
        page.baseline_wanted.connect(lambda run, on: background(presenter.set_baseline(run, on), "set the baseline"))
        page.note_wanted.connect(lambda run, text: background(presenter.add_note(run, text), "add a note"))
        page.note_change_wanted.connect(
            lambda run, number, text: background(presenter.change_note(run, number, text), "change a note")
        )
        page.note_delete_wanted.connect(
            lambda run, number: background(presenter.delete_note(run, number), "delete a note")
        )
        page.report_wanted.connect(self.open_report)
        page.bundle_wanted.connect(self._save_bundle)
        page.timeline.wanted.connect(
            lambda run, test, repeat: background(presenter.show_timeline(run, test, repeat), "read a timeline")
        )

        for name, text, wanted in (
            ("recheck", "Re-check the open run", page.recheck_button),
            ("compare-run", "Compare the open run…", page.compare_button),
            ("report", "Report of the open run…", page.report_button),
            ("save-bundle", "Save the open run as a bundle…", page.bundle_button),
        ):
            desk.frame.add_action("Run", name, text, "", partial(self._press, wanted))

    def _press(self, wanted: Button) -> None:
        """What a menu does: show the run, and press its button, which does nothing while no run is open."""
        self._desk.go("result")
        wanted.click()

    def limited(self) -> Limited:
        page, named, notes = self.page, self._desk.frame.actions_by_name, self.page.notes
        buttons = (page.recheck_button, page.baseline_button, page.bundle_button)
        written = (notes.add_button, notes.edit_button, notes.delete_button)
        return Limited(here=(*buttons, *written, named["recheck"], named["save-bundle"]))

    def detach(self) -> None:
        if self.sheet is not None:
            self.sheet.close()
        self.presenter.detach()

    def found(self, words: str) -> Iterable[Found]:
        """Requests of the test that is shown, by a part of their file or by the beginning of their tag."""
        wanted, run, found = words.strip().lower(), self.presenter.run, []
        if run is None or len(wanted) < LEAST_LETTERS:
            return ()
        for row in self.page.requests.model.rows.all:
            if not row.record and (row.tag.lower().startswith(wanted) or wanted in row.path.lower()):
                state = row_state(row)[1]
                call = partial(self._desk.go, "evidence", run=run, request=row.id)
                found.append(Found(row.path, f"request {row.tag} of run {run}, {state}", "file", call))
                if len(found) >= MOST_REQUESTS:
                    break
        return found

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.read()

    def refresh(self) -> None:
        self.presenter.read()

    def visit(self, **place: object) -> None:
        """`run`: its number; `test`: the number of a test; `tab`: one of `TABS`; `filter`: of its requests;
        `leave_out`: leave what the plan injected out of its figures."""
        run, test = place.get("run"), place.get("test")
        if isinstance(run, int) and run != self.presenter.run:
            self.page.begin(run)  # its buttons must not act on the run before while this one is read
        if isinstance(tab := place.get("tab"), str) and tab in TABS:
            self.page.show_tab(tab)
        if isinstance(text := place.get("filter"), str):
            self.page.show_requests(text)
        if isinstance(run, int):
            number = test if isinstance(test, int) else None
            presenter = self.presenter
            leave_out = place.get("leave_out") is True
            work = presenter.leave_out(run, True, number) if leave_out else presenter.show_run(run, number)
            self._desk.background(work, "read a run")

    def open_report(self, run: int) -> None:
        """The sheet that previews and saves the report of a run."""
        if self._desk.workspace is None:
            return
        self.sheet = sheet = ReportSheet(self._desk.frame, run, last_folder())
        background, presenter = self._desk.background, self.presenter
        sheet.preview_wanted.connect(
            lambda wanted, redact: background(presenter.preview(run, wanted, redact, sheet), "preview a report")
        )
        sheet.save_wanted.connect(lambda wanted, redact, path: self._write(run, path, wanted, redact))
        sheet.finished.connect(self._sheet_closed)
        sheet.begin()
        sheet.open()

    def _sheet_closed(self) -> None:
        self.sheet = None

    def _write(self, run: int, path: Path, wanted: str, redact: bool) -> None:
        remember_folder(path)
        self._desk.background(self.presenter.write_report(run, path, wanted, redact), "write a report")

    def _save_bundle(self, run: int) -> None:
        name = str(last_folder() / f"run-{run}{ENDING}")
        dialog = QFileDialog(self._desk.frame, "Save bundle", name, f"Bundles (*{ENDING})")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda chosen: self._bundle_chosen(run, Path(chosen)))
        dialog.open()

    def _bundle_chosen(self, run: int, path: Path) -> None:
        if not path.name.endswith(ENDING):
            path = path.with_name(path.name + ENDING)
        remember_folder(path)
        self._desk.background(self.presenter.save_bundle(run, path), "save a bundle")

    def _open_evidence(self, request: int) -> None:
        """Open a request, and with it the list that can be stepped through."""
        among = self.page.visible_requests()
        text = self.page.requests.filter_box.text()
        self._desk.go("evidence", run=self.presenter.run, request=request, among=among, filter=text)


def open_path(path: Path) -> None:
    """Open a file or folder with the desktop's own program."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def copy_text(text: str) -> None:
    """Put text on the clipboard."""
    QGuiApplication.clipboard().setText(text)


def last_folder() -> Path:
    """Where files were saved last; the home directory at first."""
    return Path(str(QSettings().value("folder", "") or Path.home()))


def remember_folder(path: Path) -> None:
    """Begin there the next time."""
    QSettings().setValue("folder", str(path.parent))
