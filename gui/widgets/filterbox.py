"""The filter box of a table: completes columns and values while one types, and keeps filters by name of their text.

What can be completed is worked out in `gui.models.filters`. The list opens with Down or as soon as something was typed;
Tab or Enter takes what is chosen in it, Esc closes it.
"""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QSettings, QStringListModel, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView, QMenu, QPushButton, QWidget

from gui.models.filters import complete
from gui.models.rows import Rows
from gui.widgets.icons import icon
from gui.widgets.parts import short_caption
from gui.widgets.theme import theme

MOST_SAVED = 20


class FilterBox(QLineEdit):
    """`left`: Enter was pressed, so the rows are next."""

    left = Signal()

    def __init__(self, rows: Rows[Any]) -> None:
        super().__init__()
        self._rows = rows
        self._start = 0
        self._choices = QStringListModel(self)
        self.popup = QListView()
        self.completer_list = QCompleter(self._choices, self)
        self.completer_list.setPopup(self.popup)
        self.completer_list.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self.completer_list.setMaxVisibleItems(10)
        self.completer_list.setWidget(self)
        self.popup.clicked.connect(lambda index: self._take(str(index.data())))
        self.popup.installEventFilter(self)
        self._glass = self.addAction(icon("filter", "text3"), QLineEdit.ActionPosition.LeadingPosition)
        self.textEdited.connect(lambda _text: self.offer())
        theme().follow(self._redraw)

    def offer(self, *, all_columns: bool = False) -> None:
        """Open the list of what can stand at the cursor. An empty word has too many: `all_columns` shows them."""
        found = complete(self.text(), self.cursorPosition(), self._rows.columns, self._rows.all)
        word = self.text()[found.start : self.cursorPosition()]
        choices = [choice for choice in found.choices if choice != word]
        self._start = found.start
        self._choices.setStringList(choices)
        if choices and (word or all_columns):
            theme().wardrobe.dress_now(self.popup)  # a window of its own
            self.popup.setCurrentIndex(self._choices.index(-1, 0))
            self.completer_list.complete()
        else:
            self.popup.hide()

    def choices(self) -> list[str]:
        """What is offered now; nothing while the list is closed."""
        return self._choices.stringList() if self.popup.isVisible() else []

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Down:
            self.offer(all_columns=True)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        popup = self.popup
        if watched is popup and event.type() == QEvent.Type.KeyPress:
            assert isinstance(event, QKeyEvent)
            if event.key() == Qt.Key.Key_Tab:
                index = popup.currentIndex()
                self._take(str((index if index.isValid() else self._choices.index(0, 0)).data()))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                index = popup.currentIndex()
                popup.hide()
                if index.isValid():
                    self._take(str(index.data()))
                else:
                    self.left.emit()
                return True
        return super().eventFilter(watched, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.popup.hide()

    def _take(self, choice: str) -> None:
        """Put this in place of the word at the cursor; after a column, its values are offered."""
        text, cursor = self.text(), self.cursorPosition()
        whole = not choice.endswith((":", ">", "<", "="))
        rest = text[cursor:]
        self.setText(text[: self._start] + choice + (" " if whole and not rest.startswith(" ") else "") + rest)
        self.setCursorPosition(self._start + len(choice) + whole)
        self.popup.hide()
        if choice.endswith(":"):
            self.offer()

    def _redraw(self) -> None:
        self._glass.setIcon(icon("filter", "text3"))


class SavedFilters(QPushButton):
    """A button with the filters that were kept for this table, and one to keep the present one."""

    def __init__(self, table: str, title: str, box: QLineEdit, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = f"table/{table}/saved"
        self._box = box
        self.setFixedSize(28, 28)
        self.setProperty("kind", "icon")
        self.setAccessibleName(f"Saved filters of {title}")
        self.setToolTip("Saved filters")
        self.clicked.connect(self._open)

    def saved(self) -> list[str]:
        """The filters that are kept, the newest first."""
        try:
            kept = json.loads(str(QSettings().value(self._key, "[]") or "[]"))
        except ValueError:  # written by hand, or by another version
            return []
        return [text for text in kept if isinstance(text, str)] if isinstance(kept, list) else []

    def save(self) -> None:
        """Keep the filter that is in the box."""
        text = self._box.text().strip()
        if text:
            self._write([text, *(other for other in self.saved() if other != text)][:MOST_SAVED])

    def forget(self, text: str) -> None:
        """Keep it no longer."""
        self._write([other for other in self.saved() if other != text])

    def menu_now(self) -> QMenu:
        """The menu as it is now."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        text, kept = self._box.text().strip(), self.saved()
        for each in kept:
            menu.addAction(short_caption(each, 60)).triggered.connect(
                lambda _on=False, each=each: self._box.setText(each)
            )
        if kept:
            menu.addSeparator()
        keep = menu.addAction("Save this filter" if text else "Save this filter (there is none)", self.save)
        keep.setEnabled(bool(text) and text not in kept)
        if kept:
            forget = menu.addMenu("Forget")
            for each in kept:
                forget.addAction(short_caption(each, 60)).triggered.connect(
                    lambda _on=False, each=each: self.forget(each)
                )
        return menu

    def _open(self) -> None:
        self.menu_now().popup(self.mapToGlobal(QPoint(0, self.height())))

    def _write(self, kept: list[str]) -> None:
        QSettings().setValue(self._key, json.dumps(kept, ensure_ascii=False))
