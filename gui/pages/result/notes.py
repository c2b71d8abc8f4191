"""The tab Notes of a result: what people remarked, and a place to write. A note can be changed and deleted; what Tally
itself remarked stays."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from gui.models.runs import RunView
from gui.pages.result.columns import NOTE_COLUMNS
from gui.runner.notes import LONGEST, OWN
from gui.store import NoteRow
from gui.widgets.parts import button, label, line
from gui.widgets.shortcuts import add_key
from gui.widgets.table import Empty, Table

ADD, SAVE = "Add note", "Save note"


class NotesTab(QWidget):
    """`note_wanted` carries the text of a new note; `show_run` with that note empties the place to write."""

    note_wanted = Signal(str)
    change_wanted = Signal(int, str)
    """The number of a note, and its new text."""
    delete_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._run: int | None = None
        self._sent = ""
        self._edited: NoteRow | None = None
        """The note that is being changed; None: a new one is written."""
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
        self.edit_button = button("Edit", action=self._edit, tip="Change the chosen note")
        self.delete_button = button("Delete", "trash", self._delete, tip="Delete the chosen note; it can be undone")
        self.chosen = self._make_chosen()
        self.editor = QPlainTextEdit()
        self.editor.setAccessibleName("New note")
        self.editor.setPlaceholderText(
            "New note on this run. It is kept with the run and goes with its bundle and reports."
        )
        self.editor.setFixedHeight(72)
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(self._changed)
        self.editor.installEventFilter(self)
        self.table.view.installEventFilter(self)
        add_key(self.editor, "Keep the note", "Ctrl+Return", self._add, heard=True)
        add_key(self.table.view, "Delete the note", "Del", self._delete, heard=True)
        self.error = label("", "error")
        self.add_button = button(ADD, "plus", self._add, tip="Ctrl+Enter")
        self.add_button.setEnabled(False)
        self.cancel_button = button("Cancel", action=self._write_new, tip="Leave the note as it is")
        self.cancel_button.hide()
        side = QVBoxLayout()
        side.setSpacing(8)
        side.addWidget(self.add_button)
        side.addWidget(self.cancel_button)
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
        column.addWidget(self.chosen)
        column.addWidget(line())
        column.addLayout(write)
        column.addWidget(self.error)

    def _make_chosen(self) -> QWidget:
        """The whole text of the chosen note, and what can be done with it."""
        self.whole.setFixedHeight(80)
        side = QVBoxLayout()
        side.setSpacing(8)
        side.addWidget(self.edit_button)
        side.addWidget(self.delete_button)
        side.addStretch(1)
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(8)
        row.addWidget(self.whole, 1)
        row.addLayout(side)
        holder.hide()
        return holder

    def show_run(self, view: RunView) -> None:
        """Show the notes of this run."""
        if self._run != view.run.id:
            self._run, self._sent = view.run.id, ""
            self._write_new()
        self.table.set_rows(view.notes)
        if self._sent and any(note.text == self._sent for note in view.notes):
            self._sent = ""
            self._write_new()
        if self._edited is not None and all(note.id != self._edited.id for note in view.notes):
            self._become_new()  # it was deleted meanwhile; what was typed can be added as a new one
        self._show_whole(self.table.current())
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
        self._write_new()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if watched is self.editor and enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._add()
                return True
            if watched is self.table.view and event.key() == Qt.Key.Key_Delete:
                self._delete()
                return True
        return super().eventFilter(watched, event)

    def _show_whole(self, note: NoteRow | None) -> None:
        self.chosen.setVisible(note is not None)
        if note is None:
            return
        if self.whole.toPlainText() != note.text:
            self.whole.setPlainText(note.text)
        own = note.author == OWN
        for widget, tip in (
            (self.edit_button, "Change the chosen note"),
            (self.delete_button, "Delete it; Undo follows"),
        ):
            widget.setEnabled(not own)
            widget.setToolTip("Tally itself remarked this; it stays as it is" if own else tip)

    def _edit(self) -> None:
        """Change the chosen note where notes are written. What is being written there stays in its way."""
        note: NoteRow | None = self.table.current()
        if note is None or not self.edit_button.isEnabled():
            return
        if self.editor.toPlainText().strip() and self._edited is None:
            self.error.setText("Add the note that is being written, or empty its field, before another one is changed.")
            self._allow()
            self.editor.setFocus()
            return
        self._edited = note
        self.editor.setPlainText(note.text)
        self.editor.setAccessibleName("Changed note")
        self.add_button.set_caption(SAVE)
        self.cancel_button.show()
        self.editor.setFocus()

    def _delete(self) -> None:
        note: NoteRow | None = self.table.current()
        if note is not None and self.delete_button.isEnabled():
            self.delete_wanted.emit(note.id)

    def _write_new(self) -> None:
        """Back to writing a new note, from an empty field."""
        self._become_new()
        self.editor.clear()

    def _become_new(self) -> None:
        self._edited = None
        self.editor.setAccessibleName("New note")
        self.add_button.set_caption(ADD)
        self.cancel_button.hide()

    def _changed(self) -> None:
        count = len(self.editor.toPlainText().strip())
        too_long = f"A note has at most {LONGEST:,} characters; this one has {count:,}." if count > LONGEST else ""
        self.error.setText(too_long)
        self._allow()

    def _allow(self) -> None:
        count = len(self.editor.toPlainText().strip())
        same = self._edited is not None and self.editor.toPlainText().strip() == self._edited.text
        self.add_button.setEnabled(0 < count <= LONGEST and not self._sent and not same)
        self.error.setVisible(bool(self.error.text()))

    def _add(self) -> None:
        text = self.editor.toPlainText().strip()
        if self.add_button.isEnabled():
            self._sent = text
            self.add_button.setEnabled(False)
            if self._edited is not None:
                self.change_wanted.emit(self._edited.id, text)
            else:
                self.note_wanted.emit(text)
