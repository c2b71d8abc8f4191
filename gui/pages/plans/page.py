"""Plans: choose a plan, edit it in a form or as TOML, preview it, run it.

The form edits the text of the plan file itself, so the file contains everything. Errors are shown beside the field, and
counted at the bottom of the form. Presets cannot be overwritten: saving a changed preset creates your own copy. Opening
another plan saves a changed one first; if that fails, the changed plan stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.campaign.plan import File
from gui.campaign.planfile import format_plan
from gui.campaign.preview import preview_test
from gui.campaign.selection import SelectionError, Server, choose_servers
from gui.models.plans import NEW_PLAN, PlanEditor, PlanEntry, PlanFileError, PlanLibrary
from gui.pages.plans.form import TestForm
from gui.pages.plans.preview import FormAndPreview, PreviewCard
from gui.pages.plans.sidelist import PlanList
from gui.widgets.parts import Page, TabBar, button, label, line, plain_tip, short_caption
from gui.widgets.theme import fixed_font


class PlansPage(Page):
    """The page. `run_wanted` carries a Plan; `problem` carries a sentence for Problems."""

    run_wanted = Signal(object)
    problem = Signal(str)
    changed = Signal()

    def __init__(self, library: PlanLibrary) -> None:
        super().__init__("Plans")
        self.library = library
        self.editor = PlanEditor(library.presets()[0])
        self._test = 0
        self._servers: Sequence[Server] = ()
        self._files: Sequence[File] = ()
        self._clients: tuple[str, ...] = ()
        self._filling = False
        self.setAcceptDrops(True)

        # The head belongs to the right side only, so the page's layout is rebuilt: list | editor.
        self.list = PlanList()
        self.list.chosen.connect(self.open_entry)
        self.list.add_button.clicked.connect(self.new_plan)
        self.list.import_button.clicked.connect(self.import_plan)

        self.undo_button = button("", "undo", self.undo, tip="Undo  Ctrl+Z")
        self.redo_button = button("", "redo", self.redo, tip="Redo  Ctrl+Shift+Z")
        self.copy_button = button("Duplicate", "copy", self.duplicate)
        self.toml_button = button("Show as TOML", "file", self.toggle_toml)
        self.save_button = button("Save", action=self.save, tip="Ctrl+S")
        for widget in (self.undo_button, self.redo_button, self.copy_button, self.toml_button, self.save_button):
            self.add_action(widget)

        self.tabs = TabBar()
        self.tabs.currentChanged.connect(self._tab_changed)
        self.add_test_button = button("Add test", "plus", self._add_test, kind="plain")
        self.remove_test_button = button("Remove test", "trash", self._remove_test, kind="plain")
        tab_row = QHBoxLayout()
        tab_row.setContentsMargins(16, 0, 16, 0)
        tab_row.addWidget(self.tabs)
        tab_row.addWidget(self.add_test_button)
        tab_row.addWidget(self.remove_test_button)
        tab_row.addStretch(1)

        self.form = TestForm()
        self.form.changed.connect(self._form_changed)
        self.preview = PreviewCard()
        self.run_button = button("Run", "play", self.run, kind="primary")
        self.command_button = button("Copy as command", "term", self.copy_command)
        under = QHBoxLayout()
        under.addWidget(self.command_button)
        under.addStretch(1)
        under.addWidget(self.run_button)
        side = QVBoxLayout()
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(12)
        side.addWidget(self.preview)
        side.addLayout(under)
        side.addStretch(1)
        side_holder = QWidget()
        side_holder.setFixedWidth(272)
        side_holder.setLayout(side)
        form_side = QScrollArea()
        form_side.setFrameShape(QFrame.Shape.NoFrame)
        form_side.setWidgetResizable(True)
        form_side.setWidget(FormAndPreview(self.form, side_holder))

        self.source = QPlainTextEdit()
        self.source.setFont(fixed_font(13))
        self.source.setAccessibleName("The plan as TOML")
        self.source.setTabChangesFocus(True)
        self.source.textChanged.connect(self._source_changed)
        source_holder = QWidget()
        source_column = QVBoxLayout(source_holder)
        source_column.setContentsMargins(16, 8, 16, 16)
        source_column.addWidget(self.source)
        self.stack = QStackedWidget()
        self.stack.addWidget(form_side)
        self.stack.addWidget(source_holder)

        self.errors = label("", "error")
        self.errors.setContentsMargins(16, 4, 16, 8)
        self.errors.setWordWrap(True)
        self.errors.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        outer = self.layout()
        assert isinstance(outer, QVBoxLayout)
        outer.removeItem(self.head)
        right.addLayout(self.head)
        right.addLayout(tab_row)
        right.addWidget(line())
        right.addWidget(self.stack, 1)
        right.addWidget(self.errors)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.list)
        row.addWidget(line("vertical"))
        row.addLayout(right, 1)
        self.body.addLayout(row)
        self.refresh_list()
        self._show()

    # ---- called by the owner

    def set_federation(self, servers: Sequence[Server], files: Sequence[File], clients: Sequence[str]) -> None:
        """Set the servers, test files and clients that exist now, for the preview and the hints."""
        state = (tuple(servers), tuple(files), tuple(clients))
        if state != (self._servers, self._files, self._clients):
            self._servers, self._files, self._clients = state
            self._show_preview()

    def set_running(self, *, running: bool) -> None:
        """Set whether a run is under way; then no other can be started."""
        self._running = running
        self._show_buttons()

    _running = False

    # ---- actions

    def open_entry(self, entry: PlanEntry, test: int = 0) -> None:
        """Edit this plan, at this test."""
        changed = self.editor.changed
        if entry.same_as(self.editor.entry):
            self._test = test
        elif self.keep():
            self.editor, self._test = PlanEditor(entry), test
        if changed:
            self.refresh_list()  # it shows the plan as it is now, and marks the one that is open
        self._show()

    def new_plan(self) -> None:
        if self.keep():
            self._store(format_plan(NEW_PLAN), NEW_PLAN.name)

    def duplicate(self) -> None:
        """Copy the plan as it is now under a new name."""
        if self.editor.plan is None:
            return
        copy = replace(self.editor.plan, name=f"{self.editor.plan.name} (copy)")
        draft = PlanEditor(replace(self.editor.entry, text=self.editor.text, path=None, preset=None))
        draft.set_plan(copy)
        if self.editor.entry.preset is not None or self.keep():  # the changes of a preset are in the copy
            self._store(draft.text, copy.name)

    def import_plan(self) -> None:
        dialog = QFileDialog(self, "Import plan", "", "Plans (*.toml);;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self.import_file(Path(name)))
        dialog.open()

    def import_file(self, path: Path) -> None:
        """Copy a plan file into the library and open it."""
        try:
            entry = self.library.read(path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return
        if self.keep():
            self._store(entry.text, entry.title)

    def keep(self) -> bool:
        """Save the plan if it is changed, before another one takes its place; False when that fails."""
        return not self.editor.changed or self.save()

    def save(self) -> bool:
        """Write the plan to its file; a preset is saved as your own copy. When that fails, `problem` says why."""
        editor = self.editor
        if not editor.changed and editor.entry.path is not None:
            return True
        try:
            path = editor.entry.path or self.library.new_path(editor.plan.name if editor.plan else editor.entry.title)
            self.library.save(editor.text, path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return False
        editor.saved(path)
        self.refresh_list()
        self._show()
        return True

    def undo(self) -> None:
        self.editor.undo()
        self._show()

    def redo(self) -> None:
        self.editor.redo()
        self._show()

    def toggle_toml(self) -> None:
        """Switch between form and text: two views of the same plan."""
        self.stack.setCurrentIndex(1 - self.stack.currentIndex())
        self._show()

    def run(self) -> None:
        if self.editor.plan is not None and not self._running:
            self.run_wanted.emit(self.editor.plan)

    def copy_command(self) -> None:
        QGuiApplication.clipboard().setText(self.editor.command())

    def refresh_list(self) -> None:
        """Read the plans folder again."""
        try:
            mine = self.library.mine()
        except PlanFileError as error:
            self.problem.emit(str(error))
            mine = []
        self.list.show_plans(self.library.presets(), mine, self.editor.entry)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.toLocalFile().endswith(".toml") for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        for url in event.mimeData().urls():
            self.import_file(Path(url.toLocalFile()))

    # ---- inside

    def _store(self, text: str, name: str) -> None:
        try:
            path = self.library.new_path(name)
            self.library.save(text, path)
            entry = self.library.read(path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return
        self.editor = PlanEditor(entry)
        self._test = 0
        self.refresh_list()
        self._show()

    def _add_test(self) -> None:
        if self.editor.plan is not None:
            self.editor.add_test(self._test)
            self._test = len(self.editor.plan.tests) - 1 if self.editor.plan else 0
            self._show()

    def _remove_test(self) -> None:
        if self.editor.plan is not None:
            self.editor.remove_test(self._test)
            self._test = max(0, self._test - 1)
            self._show()

    def _tab_changed(self, number: int) -> None:
        if not self._filling and number >= 0:
            self._test = number
            self._show()

    def _source_changed(self) -> None:
        if not self._filling:
            self.editor.set_text(self.source.toPlainText())
            self._show(source=False)

    def _form_changed(self) -> None:
        plan = self.editor.plan
        if self._filling or plan is None:
            return
        try:
            test = self.form.test(plan.tests[self._test])
        except ValueError:
            self._show_errors()  # the form shows the error beside the field
            self._show_buttons()
            return
        tests = list(plan.tests)
        tests[self._test] = test
        changed = replace(plan, name=self.form.plan_name(), settle=self.form.settle.value(), tests=tuple(tests))
        refused = self.editor.objection(changed)
        if refused is not None:  # the plan is left as it was, or the form would have nothing to edit
            self.form.refuse({problem.field: problem.text for problem in refused.problems})
            self._show_errors()
            self._show_buttons()
            return
        self.editor.set_plan(changed)
        self._show(form=False)

    def _show(self, *, form: bool = True, source: bool = True) -> None:
        """Update every view from the editor."""
        self._filling = True
        plan = self.editor.plan
        entry = self.editor.entry
        self.title.setText(plan.name if plan else entry.title)
        if entry.preset is not None:
            where = "preset" if not self.editor.changed else "preset, changed: Save creates your own copy"
        else:
            where = ("not saved" if self.editor.changed else "saved") + (f", {entry.path.name}" if entry.path else "")
        self.remark.setText(where)
        if plan is not None:
            self._test = min(self._test, len(plan.tests) - 1)
            names = [test.name or f"Test {number}" for number, test in enumerate(plan.tests, start=1)]
            with QSignalBlocker(self.tabs):
                while self.tabs.count() > len(names):
                    self.tabs.removeTab(self.tabs.count() - 1)
                while self.tabs.count() < len(names):
                    self.tabs.addTab("")
                for number, name in enumerate(names):
                    self.tabs.setTabText(number, short_caption(name))
                    self.tabs.setTabToolTip(number, plain_tip(name))
                self.tabs.setCurrentIndex(self._test)
            if form:
                self.form.fill(plan, plan.tests[self._test])
        if source and self.source.toPlainText() != self.editor.text:
            self.source.setPlainText(self.editor.text)
        self._filling = False
        self._show_preview()
        self._show_errors()
        self._show_buttons()
        self.changed.emit()

    def _show_buttons(self) -> None:
        editor = self.editor
        self.undo_button.setEnabled(editor.can_undo)
        self.redo_button.setEnabled(editor.can_redo)
        self.save_button.setEnabled(editor.changed)
        self.copy_button.setEnabled(editor.plan is not None)
        self.run_button.setEnabled(editor.plan is not None and not self._running and not self.form.problems())
        self.remove_test_button.setEnabled(editor.plan is not None and len(editor.plan.tests) > 1)
        self.toml_button.setText("Show as form" if self.stack.currentIndex() else "Show as TOML")

    def _show_errors(self) -> None:
        texts = [str(problem) for problem in self.editor.error.problems] if self.editor.error else []
        count = len(texts) + len(self.form.problems())
        if not count:
            self.errors.clear()
        elif texts:
            shown = texts[:3] + ([f"… and {len(texts) - 3} more"] if len(texts) > 3 else [])
            self.errors.setText("\n".join(shown))
        else:
            self.errors.setText(f"{count} field{'s' if count > 1 else ''} to correct above.")

    def _show_preview(self) -> None:
        plan = self.editor.plan
        if plan is None:
            self.preview.show_nothing("The text is not a valid plan yet; see the error below.")
            return
        test = plan.tests[min(self._test, len(plan.tests) - 1)]
        note, good = "", True
        try:
            count = len(choose_servers(test.servers, self._servers))
            if count:
                note = f"{count} server{'s' if count != 1 else ''} available"
        except SelectionError as error:
            count = (
                test.servers
                if isinstance(test.servers, int)
                else len(test.servers)
                if isinstance(test.servers, tuple)
                else 1
            )
            note, good = str(error), False
        clients = max(1, len(self._clients))
        files = self._files if test.files.list is None and test.files.dir is None else ()
        self.preview.show_preview(
            plan, preview_test(test, servers=count, files=files, clients=clients), note, good=good
        )
        self.form.set_hints(count, self._clients)
