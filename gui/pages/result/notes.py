"""The tab Notes of a result: what people remarked, and a place to write."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from gui.models.runs import RunView
from gui.pages.result.columns import NOTE_COLUMNS
from gui.runner.notes import LONGEST
from gui.store import NoteRow
from gui.widgets.parts import button, label, line
from gui.widgets.table import Empty, Table


class NotesTab(QWidget):
    """`note_wanted` carries the text of a new note; `show_run` with that note empties the place to write."""

    note_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._run: int | None = None
        self._sent = ""
        self.table = Table(
            "run-notes",
            "Notes",
            NOTE_COLUMNS,
            key=lambda n: n.id,
            empty=Empty(
                "file", "No notes", "Write what others should know of this run; later scorings say here what changed."
            ),
        )
        self.table.selected.connect(self._show_whole)
        self.whole = QPlainTextEdit()
        self.whole.setReadOnly(True)
        self.whole.setAccessibleName("The chosen note")
        self.whole.setFixedHeight(96)
        self.whole.hide()
        self.editor = QPlainTextEdit()
        self.editor.setAccessibleName("New note")
        self.editor.setPlaceholderText(
            "New note on this run. It is kept with the run and goes with its bundle and reports."
        )
        self.editor.setFixedHeight(72)
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(self._changed)
        self.editor.installEventFilter(self)
        self.error = label("", "error")
        self.add_button = button("Add note", "plus", self._add, tip="Ctrl+Enter")
        self.add_button.setEnabled(False)
        side = QVBoxLayout()
        side.addWidget(self.add_button)
        side.addStretch(1)
        write = QHBoxLayout()
        write.setContentsMargins(16, 8, 16, 4)
        write.setSpacing(8)
        write.addWidget(self.editor, 1)
        write.addLayout(side)
        self.error.setContentsMargins(16, 0, 16, 8)
        self.error.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.table, 1)
        column.addWidget(self.whole)
        column.addWidget(line())
        column.addLayout(write)
        column.addWidget(self.error)

    def show_run(self, view: RunView) -> None:
        """Show the notes of this run."""
        if self._run != view.run.id:
            self._run, self._sent = view.run.id, ""
            self.editor.clear()
        self.table.set_rows(view.notes)
        if self._sent and any(note.text == self._sent for note in view.notes):
            self.editor.clear()
            self._sent = ""
        self._allow()

    def show_error(self, text: str) -> None:
        """The note was not kept, for this reason."""
        self._sent = ""
        self.error.setText(text)
        self._allow()

    def clear(self) -> None:
        """Show no run."""
        self._run = None
        self.table.set_rows(())
        self.editor.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.editor and event.type() == QEvent.Type.KeyPress:
            assert isinstance(event, QKeyEvent)
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._add()
                return True
        return super().eventFilter(watched, event)

    def _show_whole(self, note: NoteRow | None) -> None:
        self.whole.setVisible(note is not None)
        if note is not None:
            self.whole.setPlainText(note.text)

    def _changed(self) -> None:
        count = len(self.editor.toPlainText().strip())
        too_long = f"A note has at most {LONGEST:,} characters; this one has {count:,}." if count > LONGEST else ""
        self.error.setText(too_long)
        self._allow()

    def _allow(self) -> None:
        count = len(self.editor.toPlainText().strip())
        self.add_button.setEnabled(0 < count <= LONGEST and not self._sent)
        self.error.setVisible(bool(self.error.text()))

    def _add(self) -> None:
        text = self.editor.toPlainText().strip()
        if self.add_button.isEnabled():
            self._sent = text
            self.add_button.setEnabled(False)
            self.note_wanted.emit(text)
