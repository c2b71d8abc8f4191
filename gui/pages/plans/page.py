"""Plans: choose a plan, edit it in a form or as TOML, preview it, run it.

The form edits the text of the plan file itself, so the file contains everything. Errors are shown beside the field, and
counted at the bottom of the form. Presets cannot be overwritten: saving a changed preset creates your own copy. Opening
another plan saves a changed one first; if that fails, the changed plan stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from agent.messages import Workload
from gui.campaign.plan import Choice, File, Labelled, Plan, Test
from gui.campaign.planfile import format_plan
from gui.campaign.preview import Preview, preview_test
from gui.campaign.selection import SelectionError, Server, choose_servers
from gui.models import figures
from gui.models.plans import NEW_PLAN, PlanEditor, PlanEntry, PlanFileError, PlanLibrary
from gui.widgets.fields import ChoiceField, NumberField, WholeField
from gui.widgets.parts import Elided, Page, TabBar, button, label, line, plain_tip, segments, short_caption
from gui.widgets.theme import fixed_font

KINDS = ("full", "range", "vector", "long", "write")
UNITS = (("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30))


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
        self.list = _PlanList()
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
        form_side.setWidget(_FormAndPreview(self.form, side_holder))

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


class _FormAndPreview(QWidget):
    """The preview beside the form, or below it in a narrow window."""

    def __init__(self, form: QWidget, side: QWidget) -> None:
        super().__init__()
        self._form, self._side = form, side
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(16, 8, 16, 8)
        self._row.setSpacing(24)
        self._row.addWidget(form, 1)
        self._row.addWidget(side, 0, Qt.AlignmentFlag.AlignTop)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._form.minimumSizeHint().width() + 32, self._row.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._choose_way()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:  # each kind of reading has its own fields
            self._choose_way()
        return done

    def _choose_way(self) -> None:
        both = self._form.minimumSizeHint().width() + 24 + self._side.width() + 32
        beside = self.width() >= both
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        if self._row.direction() != way:
            self._row.setDirection(way)
            self.updateGeometry()


class _PlanList(QWidget):
    """The list at the left: presets with their tests, and the user's own plans."""

    chosen = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(248)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter plans")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._filter)
        self.add_button = button("", "plus", tip="New plan  Ctrl+N")
        self.import_button = button("", "import", tip="Import a plan file")
        top = QHBoxLayout()
        top.setContentsMargins(12, 10, 12, 6)
        top.addWidget(self.filter, 1)
        top.addWidget(self.add_button)
        top.addWidget(self.import_button)
        self.tree = QTreeWidget()
        self.tree.setObjectName("sidelist")
        self.tree.setHeaderHidden(True)
        self.tree.setColumnCount(2)
        self.tree.setRootIsDecorated(True)
        self.tree.setIndentation(16)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, self.tree.header().ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, self.tree.header().ResizeMode.ResizeToContents)
        self.tree.header().setMinimumSectionSize(56)
        self.tree.setAccessibleName("Plans")
        self.tree.currentItemChanged.connect(self._changed)
        hint = label("Drop a plan (.toml) here", "hint")
        hint.setContentsMargins(12, 4, 12, 10)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.tree, 1)
        column.addWidget(hint)

    def show_plans(self, presets: Sequence[PlanEntry], mine: Sequence[PlanEntry], current: PlanEntry) -> None:
        with QSignalBlocker(self.tree):
            self.tree.clear()
            for title, entries in (("Presets", presets), ("Mine", mine)):
                group = QTreeWidgetItem([title, f"{len(entries)}" if entries else "none"])
                font = group.font(0)
                font.setWeight(font.Weight.DemiBold)
                group.setFont(0, font)
                group.setFlags(Qt.ItemFlag.ItemIsEnabled)
                group.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.tree.addTopLevelItem(group)
                for entry in entries:
                    self._add(group, entry, current)
                group.setExpanded(True)

    def _add(self, group: QTreeWidgetItem, entry: PlanEntry, current: PlanEntry) -> None:
        plan = PlanEditor(entry).plan
        tests = plan.tests if plan else ()
        remark = "invalid" if plan is None else f"{len(tests)} tests" if len(tests) > 1 else ""
        item = QTreeWidgetItem([entry.title, remark])
        item.setData(0, Qt.ItemDataRole.UserRole, (entry, 0))
        about = entry.broken or (entry.preset.about if entry.preset else str(entry.path))
        item.setToolTip(0, plain_tip(f"{entry.title}\n{about}"))
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        group.addChild(item)
        if len(tests) > 1:
            for number, test in enumerate(tests):
                child = QTreeWidgetItem([test.name or f"Test {number + 1}", f"{test.per_round}/s"])
                child.setData(0, Qt.ItemDataRole.UserRole, (entry, number))
                child.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.addChild(child)
            item.setExpanded(entry.preset is not None)
        if entry.same_as(current):
            self.tree.setCurrentItem(item)

    def _changed(self, item: QTreeWidgetItem | None) -> None:
        data = item.data(0, Qt.ItemDataRole.UserRole) if item else None
        if data:
            self.chosen.emit(*data)

    def _filter(self, text: str) -> None:
        wanted = text.strip().lower()
        for place in range(self.tree.topLevelItemCount()):
            group = self.tree.topLevelItem(place)
            assert group is not None
            for number in range(group.childCount()):
                child = group.child(number)
                assert child is not None
                child.setHidden(bool(wanted) and wanted not in child.text(0).lower())


class TestForm(QWidget):
    """The fields of one test, with the plan's name and settle time."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._problems: dict[str, str] = {}
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 8, 0, 8)
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnMinimumWidth(0, 88)
        self.grid.setColumnStretch(1, 1)
        self._errors: dict[str, Any] = {}

        self.name = QLineEdit()
        self.name.setMinimumWidth(240)
        self.name.setMaximumWidth(472)
        self.test_name = QLineEdit()
        self.test_name.setFixedWidth(240)
        self.test_name.setPlaceholderText("none")
        self.servers = QLineEdit()
        self.servers.setFixedWidth(240)
        self.servers_hint = Elided("", "secondary")
        self.clients = QLineEdit()
        self.clients.setFixedWidth(240)
        self.clients_hint = Elided("", "secondary")
        self.slots = WholeField(1, 1024)
        self.per_round = WholeField(1, 100_000)
        self.wait = NumberField(86_400, "s", width=96)
        self.files = WholeField(1, 10_000_000)
        self.files_hint = Elided("", "secondary")
        self.kinds = QButtonGroup(self)
        self.bytes = WholeField(0, 2**30)
        self.unit = ChoiceField()
        self.unit.addItems([name for name, _ in UNITS])
        self.unit.setFixedWidth(72)
        self.chunks = WholeField(0, 1024)
        self.reads = WholeField(0, 1_000_000)
        self.pause = NumberField(86_400, "s", width=96)
        self.repeats = WholeField(1, 1000)
        self.seed = WholeField(0, 2**31 - 1)
        self.settle = NumberField(604_800, "s", width=96)
        self.pass_at = NumberField(100, "%", decimals=2)

        choices: list[QPushButton] = []
        for kind in KINDS:
            choice = button(kind.capitalize(), kind="segment")
            choice.setProperty("value", kind)
            choices.append(choice)
        kinds = segments(*choices, group=self.kinds)
        self._sized = [self.bytes, self.unit]
        self._vector = [self.chunks, label("chunks of", "secondary")]
        self._long = [self.reads, label("reads of", "secondary")]
        self._paused = [label("with a pause of", "secondary"), self.pause]
        self._sized_hint = Elided("", "secondary")

        self._row("Name", "name", self.name)
        self._row("Test name", "test_name", self.test_name)
        self._row("Servers", "servers", self.servers, self.servers_hint)
        self._row("Clients", "clients", self.clients, self.clients_hint)
        self._row("Slots", "slots", self.slots, label("worker threads in each client", "secondary"))
        self._row(
            "Requests",
            "per_round",
            self.per_round,
            label("to each server in a round, wait", "secondary"),
            self.wait,
            label("between rounds", "secondary"),
        )
        self._row("Files", "files", self.files, self.files_hint)
        self._row("Read", "kind", kinds)
        self._row("", "sizes", *self._vector, *self._long, *self._sized, self._sized_hint)
        self._row("", "pause", *self._paused)
        self._row(
            "Repeats",
            "repeats",
            self.repeats,
            label("Seed", "secondary"),
            self.seed,
            label("Settle at most", "secondary"),
            self.settle,
        )
        self._row("Pass at", "pass_at", self.pass_at, label("or more of the requests recorded", "secondary"))
        self.grid.setRowStretch(self.grid.rowCount(), 1)

        for edit in (self.name, self.test_name, self.servers, self.clients):
            edit.textEdited.connect(self._changed)
        for spin in (
            self.slots,
            self.per_round,
            self.files,
            self.bytes,
            self.chunks,
            self.reads,
            self.repeats,
            self.seed,
        ):
            spin.valueChanged.connect(self._changed)
        for number in (self.wait, self.pause, self.settle, self.pass_at):
            number.valueChanged.connect(self._changed)
        self.unit.currentIndexChanged.connect(self._changed)
        self.kinds.buttonClicked.connect(self._changed)

    # ---- both ways

    def fill(self, plan: Plan, test: Test) -> None:
        """Show this test, without emitting a signal."""
        with QSignalBlocker(self):
            _set(self.name, plan.name)
            _set(self.test_name, test.name)
            _set(self.servers, choice_text(test.servers))
            _set(self.clients, choice_text(test.who.clients))
            self.slots.setValue(test.who.slots)
            self.per_round.setValue(test.per_round)
            self.wait.setValue(test.wait)
            self.files.setValue(test.files_per_server)
            for choice in self.kinds.buttons():
                choice.setChecked(choice.property("value") == test.workload.kind)
            amount, unit = _split_size(test.workload.bytes)
            self.bytes.setValue(amount)
            self.unit.setCurrentIndex(unit)
            self.chunks.setValue(test.workload.chunks)
            self.reads.setValue(test.workload.reads)
            self.pause.setValue(test.workload.pause)
            self.repeats.setValue(test.repeats)
            self.seed.setValue(min(test.seed, 2**31 - 1))
            self.settle.setValue(plan.settle)
            self.pass_at.setValue(test.pass_at)
            self._check()
            self._show_kind()
            self._show_rounds()

    def test(self, base: Test) -> Test:
        """The test that the form declares; fields that it does not show come from `base`. Raises ValueError."""
        if self._problems:
            raise ValueError(next(iter(self._problems.values())))
        kind = self._kind()
        takes = {"range": "b", "vector": "cb", "long": "rpb", "write": "b"}.get(kind, "")
        size = self.bytes.value() * UNITS[self.unit.currentIndex()][1]
        return replace(
            base,
            name=self.test_name.text().strip(),
            servers=parse_choice(self.servers.text(), "server"),
            files_per_server=self.files.value(),
            per_round=self.per_round.value(),
            wait=self.wait.value(),
            repeats=self.repeats.value(),
            seed=self.seed.value(),
            pass_at=round(self.pass_at.value(), 2),
            who=replace(base.who, clients=parse_choice(self.clients.text(), "client"), slots=self.slots.value()),
            workload=Workload(
                kind=kind,  # type: ignore[arg-type]
                bytes=size if "b" in takes else 0,
                chunks=self.chunks.value() if "c" in takes else 0,
                reads=self.reads.value() if "r" in takes else 0,
                pause=self.pause.value() if "p" in takes else 0.0,
            ),
        )

    def refuse(self, problems: Mapping[str, str]) -> None:
        """Show, beside the fields, what a plan file would not accept; what belongs to no field goes under the name."""
        for field, text in problems.items():
            last = field.rpartition(".")[2]
            self._problems[last if last in self._errors else "name"] = text
        self._show_problems()

    def plan_name(self) -> str:
        return self.name.text().strip()

    def problems(self) -> dict[str, str]:
        """The errors, by field."""
        return dict(self._problems)

    def set_hints(self, servers: int, clients: Sequence[str]) -> None:
        """Show which servers and clients the fields select."""
        self.servers_hint.setText(
            f"{servers} server{'s' if servers != 1 else ''}; a number, all, names, URLs or label:NAME"
        )
        self.clients_hint.setText(", ".join(clients[:4]) + (" …" if len(clients) > 4 else "") or "none up yet")

    # ---- inside

    def _kind(self) -> str:
        chosen = self.kinds.checkedButton()
        return str(chosen.property("value")) if chosen else "full"

    def _changed(self) -> None:
        self._check()
        self._show_kind()
        self._show_rounds()
        self.changed.emit()

    def _show_kind(self) -> None:
        kind = self._kind()
        for widgets, on in (
            (self._sized, kind != "full"),
            (self._vector, kind == "vector"),
            (self._long, kind == "long"),
            (self._paused, kind == "long"),
        ):
            for widget in widgets:
                widget.setVisible(on)
        self._sized_hint.setText(
            {
                "full": "every byte of each file, in reads of up to 1 MiB",
                "range": "at a random offset; 0 means 1 MiB",
                "vector": "at random offsets; 0 means 16 chunks of 64 KiB",
                "long": "",
                "write": "to new files under /store/write; 0 means 1 MiB",
            }[kind]
        )

    def _show_rounds(self) -> None:
        rounds = -(-self.files.value() // self.per_round.value())
        last = self.files.value() - (rounds - 1) * self.per_round.value()
        short = f"; the last round is short: {last}" if last < self.per_round.value() else ", all full"
        self.files_hint.setText(f"from each server, in {rounds:,} round{'s' if rounds > 1 else ''}{short}")

    def _check(self) -> None:
        found: dict[str, str] = {}
        if not self.plan_name():
            found["name"] = "Enter a name for the plan."
        for field, edit, noun in (("servers", self.servers, "server"), ("clients", self.clients, "client")):
            try:
                parse_choice(edit.text(), noun)
            except ValueError as error:
                found[field] = str(error)
        self._problems = found
        self._show_problems()

    def _show_problems(self) -> None:
        for field, message in self._errors.items():
            message.setText(self._problems.get(field, ""))
            message.setVisible(field in self._problems)

    def _row(self, title: str, field: str, *widgets: QWidget) -> None:
        number = self.grid.rowCount()
        if title:
            name = label(title, "secondary")
            name.setFixedHeight(28)
            self.grid.addWidget(name, number, 0, Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in widgets:
            row.addWidget(widget, 1000 if widget is self.name else 0)
            if title and isinstance(widget, QLineEdit | WholeField | NumberField):
                widget.setAccessibleName(title)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addLayout(row)
        message = label("", "error")
        message.hide()
        self._errors[field] = message
        column.addWidget(message)
        self.grid.addLayout(column, number, 1)


class PreviewCard(QFrame):
    """What the selected test will do, in figures."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        column.addWidget(label("Preview", "section"))
        self._values: list[tuple[Any, Any]] = []
        for number in range(9):
            name, value = label("", "secondary"), label("")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            row = QHBoxLayout()  # no grid: the longest name and the longest value are not in the same line
            row.addWidget(name)
            row.addWidget(value, 1)
            column.addLayout(row)
            if number >= 6:
                name.setProperty("kind", "section")
                value.setProperty("kind", "section")
            self._values.append((name, value))
        self.note = label("")
        self.note.setWordWrap(True)
        column.addWidget(self.note)

    def show_nothing(self, why: str) -> None:
        for name, value in self._values:
            name.clear()
            value.clear()
        self._say(why, good=False)

    def show_preview(self, plan: Plan, preview: Preview, note: str, *, good: bool) -> None:
        """Fill the card."""
        last = "all full" if not preview.short_by else f"the last with {preview.last_round}"
        each = preview.seconds / preview.repeats
        offered = preview.offered_rate
        rows = [
            ("Rounds", f"{preview.rounds:,}, {last}"),
            ("Requests per repeat", f"{preview.files:,}"),
            ("Data per repeat", figures.size(preview.bytes) if preview.bytes else "depends on the files"),
            ("Offered rate", f"{figures.rate(offered)}/s" if offered is not None else "as fast as possible"),
            ("Expected rate", f"{figures.rate(preview.files / each)}/s" if each else figures.UNKNOWN),
            ("Time per repeat", figures.duration(each)),
            (
                f"{preview.repeats} repeat{'s' if preview.repeats > 1 else ''}",
                f"{preview.files * preview.repeats:,} requests",
            ),
            ("", figures.size(preview.bytes * preview.repeats) if preview.bytes else ""),
            ("With settling, at most", figures.duration(preview.seconds + plan.settle * preview.repeats)),
        ]
        for (name, value), (title, text) in zip(self._values, rows, strict=True):
            name.setText(title)
            value.setText(text)
        self._say(note, good=good)

    def _say(self, text: str, *, good: bool) -> None:
        self.note.setText(text)
        self.note.setProperty("kind", "ok" if good else "warn")
        self.note.style().polish(self.note)


def choice_text(choice: Choice) -> str:
    """A choice of servers or clients as text for the field."""
    return ", ".join(choice) if isinstance(choice, tuple) else str(choice)


def parse_choice(text: str, noun: str) -> Choice:
    """Parse a field: a number, ``all``, ``label:NAME`` or names separated by commas. Raises ValueError."""
    text = text.strip()
    if not text:
        raise ValueError(f"Enter which {noun}s: a number, all, names separated by commas, or label:NAME.")
    if text == "all":
        return "all"
    if text.lstrip("-").isdecimal():
        if int(text) < 1:
            raise ValueError(f"At least one {noun} is needed, not {text}.")
        return int(text)
    if text.startswith("label:") and "," not in text:
        if not text.removeprefix("label:").strip():
            raise ValueError("Enter the label's name after “label:”.")
        return Labelled(text.removeprefix("label:").strip())
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"The {noun} {min(twice)!r} is named twice.")
    return names


def _split_size(size: int) -> tuple[int, int]:
    """A size in the largest unit that keeps it whole: (amount, number of the unit)."""
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size, unit = size // 1024, unit + 1
    return size, unit if size else 2


def _set(edit: QLineEdit, text: str) -> None:
    """Set a text without moving the cursor while the user is typing."""
    if edit.text() != text:
        edit.setText(text)
        edit.setCursorPosition(0)
