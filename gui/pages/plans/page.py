"""Plans: choose a plan, edit it in a form or as TOML, preview it, run it.

The form edits the text of the plan file itself, so the file contains everything. Errors are shown beside the field, and
counted at the bottom of the form. While the text is not a plan, the form shows what it was before and cannot be edited:
a sentence leads to the line. Presets cannot be overwritten: saving a changed preset creates your own copy. Opening
another plan saves a changed one first; if that fails, the changed plan stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QIcon, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QBoxLayout,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.campaign.around import Around, mistakes
from gui.campaign.effects import threshold_warning
from gui.campaign.plan import Fault, File, Plan, Test
from gui.campaign.planfile import format_plan, parse_plan
from gui.campaign.preview import Preview, preview_test
from gui.campaign.selection import SelectionError, choose_clients, choose_servers, name_order
from gui.models import figures
from gui.models.faults import Met, find_fault
from gui.models.plain import straight
from gui.models.plans import (
    NEW_PLAN,
    FaultPlace,
    PlanEditor,
    PlanEntry,
    PlanFileError,
    PlanLibrary,
    plan_in_words,
    with_lists_at,
)
from gui.pages.plans.choose import Choosable, ChooseSheet
from gui.pages.plans.faults import FaultsPane
from gui.pages.plans.form import TestForm
from gui.pages.plans.preview import FormAndPreview, Note, PreviewCard
from gui.pages.plans.sidelist import PlanList
from gui.pages.plans.source import ErrorList, SourceView
from gui.widgets.icons import icon
from gui.widgets.message import MessageBar
from gui.widgets.parts import Elided, Page, TabBar, button, label, line, plain_tip, short_caption
from gui.widgets.shortcuts import add_key

TITLES = {
    "name": "Name", "test_name": "Test name", "servers": "Servers", "clients": "Clients", "slots": "Slots",
    "per_round": "Requests", "files_per_server": "Files", "files": "From", "kind": "Workload", "write": "Write to",
    "token": "Token", "cert": "Certificate", "verify": "Check", "repeats": "Repeats", "limits": "Time limits",
    "request_timeout": "Request limit",
    "barrier": "Barrier", "pass_at": "Pass at", "faults": "Faults",
}  # fmt: skip
"""What stands before each field of the form."""

ENOUGH_FILES = 2000
LOW = 680
"""Pixels of height under which the faults take less room."""


class PlansPage(Page):
    """The page. `run_wanted` carries a Plan; `problem` carries a sentence for Problems."""

    run_wanted = Signal(object)
    preflight_wanted = Signal()
    problem = Signal(str)
    changed = Signal()

    def __init__(self, library: PlanLibrary) -> None:
        super().__init__("Plans")
        self.library = library
        self.editor = PlanEditor(library.presets()[0])
        self._test = 0
        self._around: Around | None = None
        self._place = FaultPlace()
        self._mistakes: list[dict[str, str]] = []
        self._filling = False
        self._running = False
        self.setAcceptDrops(True)
        self.list = PlanList()
        self.list.chosen.connect(self.open_entry)
        self.list.add_button.clicked.connect(self.new_plan)
        self.list.import_button.clicked.connect(self.import_plan)
        self._make_head()
        self._make_body()
        self._arrange()
        self._take_undo()
        self.refresh_list()
        self._show()

    # ---- building

    def _make_head(self) -> None:
        self.undo_button = button("", "undo", self.undo, tip="Undo  Ctrl+Z")
        self.redo_button = button("", "redo", self.redo, tip="Redo  Ctrl+Shift+Z")
        self.copy_button = button("Duplicate", "copy", self.duplicate)
        self.toml_button = button("Show as TOML", "file", self.toggle_toml)
        self.save_button = button("Save", action=self.save, tip="Ctrl+S")
        for widget in (self.undo_button, self.redo_button, self.copy_button, self.toml_button, self.save_button):
            self.add_action(widget)
        self.message = MessageBar()
        self.tabs = TabBar()
        self.tabs.currentChanged.connect(self._tab_changed)
        self.add_test_button = button("Add test", "plus", self._add_test, kind="plain")
        self.remove_test_button = button("Remove test", "trash", self._remove_test, kind="plain")
        self.earlier = add_key(self, "Test earlier", "Alt+Up", lambda: self._move_test(-1))
        self.later = add_key(self, "Test later", "Alt+Down", lambda: self._move_test(1))

    def _make_body(self) -> None:
        self.form = TestForm()
        self.form.changed.connect(self._form_changed)
        self.form.choose_wanted.connect(self._choose)
        self.preview = PreviewCard()
        self.preflight_button = button("Preflight", "plans", self.preflight_wanted.emit)
        self.preflight_button.setToolTip("Check that everything this plan needs is there, without starting it")
        self.command_button = button("Copy as…", "term", self.copy_command, tip="Copy the command that runs this plan")
        self.run_button = button("Run", "play", self.run, kind="primary")
        self.starts = Elided("", "hint", least=40)
        buttons = QWidget()
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.preflight_button)
        row.addWidget(self.command_button)
        row.addStretch(1)
        row.addWidget(self.run_button)
        self.form_side = FormAndPreview(self.form, self.preview, buttons, self.starts)
        self.source = SourceView()
        self.source.textChanged.connect(self._source_changed)
        source_holder = QWidget()
        source_column = QVBoxLayout(source_holder)
        source_column.setContentsMargins(16, 8, 16, 8)
        source_column.addWidget(self.source)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.form_side)
        self.stack.addWidget(source_holder)
        self.faults = FaultsPane()
        self.faults.changed.connect(self._faults_changed)
        self.banner = _Banner(self.show_line)
        self.error_list = ErrorList()
        self.error_list.line_wanted.connect(self.show_line)
        self.errors = Elided("", "error")
        self.errors.setContentsMargins(16, 4, 16, 8)

    def _arrange(self) -> None:
        """The head belongs to the right side only, so the page's layout is rebuilt: list | editor."""
        tab_row = QHBoxLayout()
        tab_row.setContentsMargins(16, 0, 16, 0)
        tab_row.addWidget(self.tabs)
        tab_row.addWidget(self.add_test_button)
        tab_row.addWidget(self.remove_test_button)
        tab_row.addStretch(1)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        outer = self.layout()
        assert isinstance(outer, QBoxLayout)
        outer.removeItem(self.head)
        right.addWidget(self.message)
        right.addLayout(self.head)
        right.addLayout(tab_row)
        right.addWidget(line())
        right.addWidget(self.banner)
        right.addWidget(self.stack, 1)
        right.addWidget(self.faults)
        right.addWidget(self.error_list)
        right.addWidget(self.errors)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.list)
        row.addWidget(line("vertical"))
        row.addLayout(right, 1)
        self.body.addLayout(row)

    def _take_undo(self) -> None:
        """Undo and redo go through form, faults and text alike; the fields' own would know only themselves."""
        for field in (*self.findChildren(QLineEdit), *self.findChildren(QAbstractSpinBox), self.source):
            if field is not self.list.filter:
                field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            for key, call in ((QKeySequence.StandardKey.Undo, self.undo), (QKeySequence.StandardKey.Redo, self.redo)):
                if event.matches(key):
                    if event.type() == QEvent.Type.KeyPress:
                        call()
                    event.accept()
                    return True
        return super().eventFilter(watched, event)

    # ---- called by the owner

    def set_around(self, around: Around | None, place: FaultPlace) -> None:
        """Set the federation as it is now, for preview, hints and mistakes; None: no workspace is open."""
        if (around, place) != (self._around, self._place):
            self._around, self._place = around, place
            self.faults.set_place(place)
            self._judge()

    def set_running(self, *, running: bool) -> None:
        """Set whether a run is under way; then no other can be started."""
        self._running = running
        self._show_buttons()

    def directory(self) -> Path | None:
        """The folder that the plan's file list is relative to; None for a preset."""
        return self.editor.entry.path.parent if self.editor.entry.path is not None else None

    def why_not(self) -> str:
        """Why the plan cannot be run now, a sentence; empty if it can."""
        if self.editor.plan is None:
            return f"The text is not a plan: {self.editor.error.problems[0]}." if self.editor.error else ""
        if self._running:
            return "A run is under way."
        for field, text in self.form.problems().items():
            return f"{TITLES.get(field, field)}: {text}"
        for number, found in enumerate(self._mistakes):
            for field, text in found.items():
                test = f"Test {number + 1}, " if len(self._mistakes) > 1 else ""
                return f"{test}{TITLES.get(field, field)}: {text}"
        return ""

    def show_mistake(self) -> None:
        """Lead to what keeps the plan from being run."""
        if self.editor.error is not None:
            self.show_line(self.editor.error.problems[0].line)
            return
        number = next((n for n, found in enumerate(self._mistakes) if found), self._test)
        if not self.form.problems() and number != self._test:
            self._test = number
            self._show()
        self.stack.setCurrentIndex(0)
        found = self.form.problems() or (self._mistakes[number] if self._mistakes else {})
        if field := next(iter(found), ""):
            self.faults.focus() if field == "faults" else self.form.focus(field)
        self._show_buttons()

    # ---- actions

    def open_entry(self, entry: PlanEntry, test: int = 0) -> None:
        """Edit this plan, at this test."""
        before = self.editor.changed or bool(self.form.problems())
        if entry.same_as(self.editor.entry):
            if not self.form.problems():
                self._test = test
        elif self.keep():
            self.editor, self._test = PlanEditor(entry), test
        if before:
            self.refresh_list()  # it shows the plan as it is now, and marks the one that is open
        if not self.form.problems():  # what was typed and is wrong stays, to be corrected or undone
            self._show()

    def open_fault(self, text: str, met: Met) -> None:
        """Show a fault that a run has met, in the plan that it had: the same one, else the one of that name if it still
        has the fault, else a new plan of one's own with that text."""
        plan = parse_plan(text)
        known = [*self.library.presets(), *self.library.mine()]
        same = [entry for entry in known if entry.text == text]
        alike = [entry for entry in known if not entry.broken and entry.title == plan.name]
        for entry in (*same, *alike):
            now = PlanEditor(entry).plan
            number = find_fault(now, met) if now is not None else None
            if number is not None:
                self.open_entry(entry, met.test - 1)
                self._choose_fault(number)
                return
        if self.keep():
            self._store(text, plan.name)
            self._test = met.test - 1
            self._show()
            self._choose_fault(find_fault(plan, met))
            words = (
                f"No plan has this fault any more: “{plan.name}”, as that run had it, is saved as {self._file_name()}."
            )
            self.message.say(words, colour="info")

    def _choose_fault(self, number: int | None) -> None:
        self.stack.setCurrentIndex(0)
        self._show_buttons()
        if number is not None:
            self.faults.choose(number)
            self.faults.focus()

    def _file_name(self) -> str:
        path = self.editor.entry.path
        return path.name if path is not None else "no file"

    def new_plan(self) -> None:
        if self.keep():
            self._store(format_plan(NEW_PLAN), NEW_PLAN.name)

    def duplicate(self) -> None:
        """Copy the plan as it is now under a new name."""
        if self.editor.plan is None:
            return
        copy = replace(self.editor.plan, name=f"{self.editor.plan.name} (copy)"[:200])
        draft = PlanEditor(replace(self.editor.entry, text=self.editor.text, path=None, preset=None))
        draft.set_plan(copy)
        if self.editor.entry.preset is not None or self.keep():  # the changes of a preset are in the copy
            self._store(draft.text, copy.name)

    def delete(self) -> None:
        """Delete the plan that is open, if it is one's own; the bar says which, and can bring it back as it was."""
        path, text = self.editor.entry.path, self.editor.text
        title = self.editor.plan.name if self.editor.plan else self.editor.entry.title
        if path is None:
            self.message.say(f"“{title}” is a preset: it stays.", colour="info")
            return
        try:
            self.library.delete(path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return
        self._open(PlanEditor(self.library.presets()[0]))
        undo = ("Undo", "undo", lambda: self._bring_back(path, text, title))
        self.message.say(f"The plan “{title}” is deleted.", actions=(undo,))

    def _bring_back(self, path: Path, text: str, title: str) -> None:
        if not self.keep():
            return
        try:
            path = self.library.new_path(title) if path.exists() else path
            self.library.save(text, path)
            self._open(PlanEditor(self.library.read(path)))
        except PlanFileError as error:
            self.problem.emit(str(error))
            return
        self.message.dismiss()

    def _open(self, editor: PlanEditor) -> None:
        self.editor, self._test = editor, 0
        self.refresh_list()
        self._show()

    def import_plan(self) -> None:
        dialog = QFileDialog(self, "Import plan", "", "Plans (*.toml);;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self.import_file(Path(name)))
        dialog.open()

    def import_file(self, path: Path) -> None:
        """Copy a plan file into the library and open it. Its file lists stay where they are."""
        try:
            entry = self.library.read(path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return
        if self.keep():
            self._store(with_lists_at(entry.text, path.parent), entry.title)

    def keep(self) -> bool:
        """Save the plan if it is changed, before another one takes its place; False when that fails, also because a
        field is wrong: what was typed there is in no file."""
        if self.form.problems():
            self.form.focus(next(iter(self.form.problems())))
            return False
        return not self.editor.changed or self.save()

    def save(self) -> bool:
        """Write the plan to its file; a preset is saved as your own copy. When that fails, `problem` says why."""
        editor = self.editor
        if self.form.problems():
            self.form.focus(next(iter(self.form.problems())))
            return False
        if not editor.changed and editor.entry.path is not None:
            return True
        try:
            before, title = editor.entry.path, editor.plan.name if editor.plan else editor.entry.title
            if before is None:
                path = self.library.new_path(title)
                self.library.save(editor.text, path)
            else:
                path = self.library.path_for(before, editor.entry.title, title)
                self.library.move(editor.text, before, path)
        except PlanFileError as error:
            self.problem.emit(str(error))
            return False
        editor.saved(path)
        self.refresh_list()
        self._show()
        return True

    def undo(self) -> None:
        """Take back the last change; first of all what was typed into a field and is in no plan."""
        if not self.form.problems() and not self.faults.error.text():
            self.editor.undo()
        self._show()

    def redo(self) -> None:
        self.editor.redo()
        self._show()

    def toggle_toml(self) -> None:
        """Switch between form and text: two views of the same plan."""
        self.stack.setCurrentIndex(1 - self.stack.currentIndex())
        self._show(form=not self.form.problems())

    def show_line(self, number: int) -> None:
        """Show a line of the text, from 1."""
        self.stack.setCurrentIndex(1)
        self._show_buttons()
        self.source.show_line(number)

    def run(self) -> None:
        if not self.why_not():
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

    # ---- inside: what is done

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

    def _move_test(self, by: int) -> None:
        """Move the test that is shown; what was typed wrong is in no plan yet, and is corrected first."""
        if self.editor.plan is None or self.form.problems():
            return
        self._test = self.editor.move_test(self._test, by)
        self._show()

    def _tab_changed(self, number: int) -> None:
        if self._filling or number < 0:
            return
        if self.form.problems():  # what was typed is in no plan yet: it stays, to be corrected or undone
            with QSignalBlocker(self.tabs):
                self.tabs.setCurrentIndex(self._test)
            self.form.focus(next(iter(self.form.problems())))
            return
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
            changed = self.form.plan(plan, self._test)
        except ValueError:
            self._show_errors()  # the form shows the error beside the field
            self._show_buttons()
            return
        refused = self.editor.objection(changed)
        if refused is not None:  # the plan is left as it was, or the form would have nothing to edit
            self.form.refuse({problem.field: problem.text for problem in refused.problems})
            self._show_errors()
            self._show_buttons()
            return
        self.form.accept()
        self.editor.set_plan(changed)
        self._show(form=False)

    def _faults_changed(self, faults: Sequence[Fault], current: int) -> None:
        plan = self.editor.plan
        if plan is None:
            return
        tests = list(plan.tests)
        tests[self._test] = replace(tests[self._test], faults=tuple(faults))
        changed = replace(plan, tests=tuple(tests))
        refused = self.editor.objection(changed)
        if refused is not None:
            self.faults.set_error(f"{refused.problems[0].text[:1].upper()}{refused.problems[0].text[1:]}.")
            self._show_buttons()
            return
        self.editor.set_plan(changed)
        self._show(form=False, fault=current)

    def _choose(self, noun: str) -> None:
        """Open the sheet to choose servers or clients by name."""
        around, test = self._around or Around(), self._shown_test()
        if noun == "server":
            entries = [Choosable(server.name, server.url, " ".join(server.labels)) for server in around.servers]
            try:
                chosen = (
                    None if test.servers == "all" else [s.name for s in choose_servers(test.servers, around.servers)]
                )
            except SelectionError:
                chosen = []
        else:
            known = sorted(around.clients, key=lambda client: name_order(client.name))
            entries = [Choosable(c.name, " ".join(c.labels), "" if c.ready else "not up") for c in known]
            found = choose_clients(test.who.clients, around.clients)
            chosen = None if test.who.clients == "all" else [] if isinstance(found, str) else [c.name for c in found]
        sheet = ChooseSheet(noun, entries, chosen, self)
        sheet.taken.connect(lambda names: self.form.choose(noun, names))
        sheet.open()

    # ---- inside: what is shown

    def _shown_plan(self) -> Plan:
        """The plan of the form: what the text says, or while it says nothing, what it said before."""
        return self.editor.last or NEW_PLAN

    def _shown_test(self) -> Test:
        tests = self._shown_plan().tests
        return tests[min(self._test, len(tests) - 1)]

    def _show(self, *, form: bool = True, source: bool = True, fault: int | None = None) -> None:
        """Update every view from the editor."""
        self._filling = True
        plan = self._shown_plan()
        entry, valid = self.editor.entry, self.editor.plan is not None
        self.title.setText(plan.name if valid else entry.title)
        if entry.preset is not None:
            where = "preset" if not self.editor.changed else "preset, changed: Save creates your own copy"
        else:
            where = ("not saved" if self.editor.changed else "saved") + (f", {entry.path.name}" if entry.path else "")
        self.remark.setText(where)
        self._test = min(self._test, len(plan.tests) - 1)
        self._show_tabs(plan)
        if form:
            self.form.fill(plan, plan.tests[self._test])
        self.form.setEnabled(valid)
        self.faults.set_open(on=valid)
        self.faults.set_error("")
        if source:
            self.source.put(self.editor.text)
        self._filling = False
        self._judge(fault)

    def _show_tabs(self, plan: Plan) -> None:
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

    def _judge(self, fault: int | None = None) -> None:
        """Find what stands in the way of a run, and show it where it is."""
        plan = self._shown_plan()
        around = self._around
        known = around is not None and self.editor.plan is not None
        self._mistakes = [mistakes(test, around) if known and around else {} for test in plan.tests]
        for number, found in enumerate(self._mistakes):
            self.tabs.setTabIcon(number, icon("bad", "bad") if found else QIcon())
        self.form.set_mistakes(self._mistakes[self._test])
        self._show_preview(fault)
        self._show_errors()
        self._show_buttons()

    def _show_buttons(self) -> None:
        editor = self.editor
        wrong = bool(self.form.problems())
        self.undo_button.setEnabled(editor.can_undo or wrong)
        self.redo_button.setEnabled(editor.can_redo)
        self.save_button.setEnabled(editor.changed and not wrong)
        self.copy_button.setEnabled(editor.plan is not None)
        for widget in (self.add_test_button, self.tabs):
            widget.setEnabled(editor.plan is not None)
        self.remove_test_button.setEnabled(editor.plan is not None and len(editor.plan.tests) > 1)
        movable = editor.plan is not None and not wrong
        self.earlier.setEnabled(movable and self._test > 0)
        self.later.setEnabled(movable and self._test < len(self._shown_plan().tests) - 1)
        self.toml_button.setText("Show as form" if self.stack.currentIndex() else "Show as TOML")
        self.faults.setVisible(self.stack.currentIndex() == 0)
        why = self.why_not()
        words = plan_in_words(self._shown_plan())
        self.run_button.setEnabled(not why)
        self.run_button.setToolTip(plain_tip(why or f"Run {words}"))
        self.run_button.setAccessibleName(straight(f"Run {self._shown_plan().name}"))
        self.preflight_button.setEnabled(editor.plan is not None)
        self.starts.setText(f"Run starts {words}" if editor.plan is not None else "")
        self.changed.emit()

    def _show_errors(self) -> None:
        problems = self.editor.error.problems if self.editor.error else ()
        self.error_list.show_problems(problems)
        self.source.set_wrong([problem.line for problem in problems])
        self.banner.show_problems(problems)
        here = list(self.form.problems() or self._mistakes[self._test])
        others = [number + 1 for number, found in enumerate(self._mistakes) if found and number != self._test]
        said = []
        if here:
            count = f"{len(here)} field{'s' if len(here) > 1 else ''} to correct"
            said.append(f"{count}: {', '.join(TITLES.get(field, field) for field in here)}.")
        if others:
            said.append(f"More in test{'s' if len(others) > 1 else ''} {', '.join(map(str, others))}.")
        self.errors.setText(" ".join(said) if not problems else "")
        self.errors.setVisible(bool(said) and not problems)

    def _show_preview(self, fault: int | None = None) -> None:
        plan, test = self._shown_plan(), self._shown_test()
        around = self._around or Around()
        try:
            servers = len(choose_servers(test.servers, around.servers))
        except SelectionError:
            servers = _asked(test)
        clients = choose_clients(test.who.clients, around.clients)
        ready = len(clients) if not isinstance(clients, str) else 1
        preview = preview_test(test, servers=servers, files=some_files(around.files_of(test)), clients=max(1, ready))
        self.faults.show_test(test, preview, plan.settle, current=fault)
        if self.editor.plan is None:
            self.preview.show_nothing("The text is not a plan; see the error below.")
        else:
            self.preview.show_preview(plan, preview, self._notes(test, preview))
            self.form.set_hints(*_hints(test, around, known=self._around is not None))
        self.form_side.choose_way()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.faults.lanes.set_compact(on=self.height() < LOW)

    def _notes(self, test: Test, preview: Preview) -> list[Note]:
        """What the preview says of servers, clients, files and faults."""
        notes: list[Note] = []
        if self._around is None:
            notes.append(("warn", "No workspace is open: servers, clients and files are not checked."))
        else:
            found = self._mistakes[self._test]
            if "servers" not in found:
                notes.append(("ok", f"{preview.servers} server{'s' if preview.servers != 1 else ''} available"))
            clients = choose_clients(test.who.clients, self._around.clients)
            if isinstance(clients, str) and "clients" not in found:
                notes.append(("warn", f"A run is {clients}."))
            files = self._around.files_of(test)
            if files:
                notes.append(("ok", f"{len(files):,} file{'s' if len(files) != 1 else ''} to draw from"))
        if warning := threshold_warning(test, preview, settle=self._shown_plan().settle):
            notes.append(("warn", warning))
        return sorted(notes, key=lambda note: note[0] == "ok")


class _Banner(QFrame):
    """Says that the form cannot be edited, and leads to the line that is wrong."""

    def __init__(self, show_line: Callable[[int], object]) -> None:
        super().__init__()
        self.setObjectName("raised")
        self._line = 1
        self.text = label("", "error")
        self.text.setWordWrap(True)
        self.go_button = button("Show", "right", lambda: show_line(self._line), kind="small")
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 16, 6)
        row.addWidget(self.text, 1)
        row.addWidget(self.go_button)
        self.hide()

    def show_problems(self, problems: Sequence[object]) -> None:
        self.setVisible(bool(problems))
        if problems:
            first = problems[0]
            self._line = max(1, first.line)  # type: ignore[attr-defined]
            more = f" ({len(problems) - 1} more below)" if len(problems) > 1 else ""
            self.text.setText(
                f"The text is not a plan, {first}{more}. The form shows what it was before, and can be edited again "
                "when the text is mended."
            )
            self.go_button.setText(f"Show line {self._line}")


def _asked(test: Test) -> int:
    """Servers that a test asks for, as far as it says."""
    return (
        test.servers if isinstance(test.servers, int) else len(test.servers) if isinstance(test.servers, tuple) else 1
    )


def some_files(files: Sequence[File]) -> Sequence[File]:
    """Enough of the files to tell their mean size: a list may have 100,000, and a preview is made at every key."""
    return files if len(files) <= ENOUGH_FILES else files[:: len(files) // ENOUGH_FILES]


def _hints(test: Test, around: Around, *, known: bool) -> tuple[str, str, str]:
    """What servers, clients and files a test selects, in words that stand beside their fields."""
    how = "a number, all, names, URLs or label:NAME"
    try:
        servers = _span([server.name for server in choose_servers(test.servers, around.servers)])
    except SelectionError:
        servers = how
    ready = [client.name for client in around.clients if client.ready]
    clients = _span(sorted(ready, key=name_order)) + " up" if ready else "none up yet"
    if not test.reads:
        files = "write needs none; a directory says where to"
    elif test.files.dir is not None:
        files = "listed by a client when a run begins"
    elif found := around.files_of(test):
        files = f"{len(found):,} file{'s' if len(found) != 1 else ''}, {figures.size(sum(f.size for f in found))}"
    else:
        files = "" if known else "known when a workspace is open"
    return servers if known else how, clients if known else "", files


def _span(names: Sequence[str]) -> str:
    """Names in few words: ``s01 – s08 (8)``."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} – {names[-1]} ({len(names):,})"
