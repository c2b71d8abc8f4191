"""The command palette: the search box in the top bar, and under it the list of what its words find.

What is found is the owner's: `search(words)` is called at every key. Keys only: Ctrl+K, letters, Up and Down, Enter;
Esc goes back to where one was. Names come from agents and servers, so everything is painted as plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QFocusEvent, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from gui.models.finder import Found
from gui.models.plain import straight
from gui.widgets.icons import icon, pixmap
from gui.widgets.parts import label
from gui.widgets.theme import metrics, sized_font, theme

ROW = 32
MOST_ROWS = 12
WIDTH = 640
Index = QModelIndex | QPersistentModelIndex


class FoundModel(QAbstractListModel):
    """What was found."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.found: list[Found] = []

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.found)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.found):
            return None
        found = self.found[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return found.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(part for part in (found.title, found.detail, found.key) if part)
        return None

    def show(self, found: Sequence[Found]) -> None:
        """Show these."""
        self.beginResetModel()
        self.found = list(found)
        self.endResetModel()


class FoundDelegate(QStyledItemDelegate):
    """Icon, title, detail; the key at the right end."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        assert isinstance(model, FoundModel)
        found, look, rect = model.found[index.row()], theme(), QRect(option.rect)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, look.ink("select"))
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), look.ink("focus"))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, look.ink("hover"))
        scale = painter.device().devicePixelRatioF()
        if found.symbol:
            picture = pixmap(found.symbol, "text2", 16, scale)
            painter.drawPixmap(rect.left() + 16, rect.center().y() - 7, picture)
        inner = rect.adjusted(44, 0, -16, 0)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
        right = int(Qt.AlignmentFlag.AlignRight)
        if found.key:
            painter.setFont(sized_font(12))
            painter.setPen(look.ink("text3"))
            painter.drawText(inner, flags | right, found.key)
            inner.setRight(inner.right() - metrics(12).horizontalAdvance(found.key) - 16)
        title = " ".join(straight(found.title).split())
        painter.setFont(sized_font(13, QFont.Weight.Medium))
        painter.setPen(look.ink("text"))
        sizes = metrics(13, QFont.Weight.Medium)
        painter.drawText(inner, flags, sizes.elidedText(title, Qt.TextElideMode.ElideRight, inner.width()))
        inner.setLeft(inner.left() + sizes.horizontalAdvance(title) + 12)
        if found.detail and inner.width() > 40:
            painter.setFont(sized_font(12))
            painter.setPen(look.ink("text2"))
            detail = " ".join(straight(found.detail).split())
            painter.drawText(inner, flags, metrics(12).elidedText(detail, Qt.TextElideMode.ElideMiddle, inner.width()))
        painter.restore()


class Palette(QLineEdit):
    """The search box. Its list is a child of the window, over everything in it."""

    def __init__(self) -> None:
        super().__init__()
        self.search: Callable[[str], Sequence[Found]] = lambda _words: ()
        self._before: QWidget | None = None
        self.setPlaceholderText("Search or do anything  Ctrl+K")
        self.setAccessibleName("Search pages, actions, servers, runs, plans and requests")
        self.setMinimumWidth(120)
        self.setMaximumWidth(400)
        self._glass = self.addAction(icon("search", "text3"), QLineEdit.ActionPosition.LeadingPosition)
        self.panel = QFrame()
        self.panel.setObjectName("popup")
        self.panel.hide()
        self.rows = QListView()
        self.rows.setObjectName("found")
        self.rows.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.rows.setMouseTracking(True)
        self.rows.setUniformItemSizes(True)
        self.rows.setAccessibleName("Found")
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.model = FoundModel(self)
        self.rows.setModel(self.model)
        self.rows.setItemDelegate(FoundDelegate(self.rows))
        self.rows.clicked.connect(lambda index: self._do(index.row()))
        self.nothing = label("", "secondary")
        self.nothing.setContentsMargins(16, 8, 16, 8)
        self.hint = label("↑ ↓  choose     Enter  open     Esc  close", "hint")
        self.hint.setContentsMargins(16, 4, 16, 6)
        column = QVBoxLayout(self.panel)
        column.setContentsMargins(1, 5, 1, 1)
        column.setSpacing(0)
        column.addWidget(self.nothing)
        column.addWidget(self.rows, 1)
        column.addWidget(self.hint)
        self.textChanged.connect(lambda _text: self._look())
        theme().follow(self._redraw)

    def open_palette(self) -> None:
        """Put the cursor here and show the list; again, to close it."""
        if self.hasFocus() and self.panel.isVisible():
            self.close_palette()
            return
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()

    def close_palette(self) -> None:
        """Close the list; the focus goes back to where it was."""
        before, self._before = self._before, None
        self.panel.hide()
        self.clear()
        self.panel.hide()
        if before is not None and before.isVisible():
            before.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.clearFocus()

    def offered(self) -> list[str]:
        """The titles that are shown; nothing while the list is closed."""
        return [found.title for found in self.model.found] if self.panel.isVisible() else []

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() not in (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason):
            self._look()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() not in (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason):
            self.panel.hide()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_PageDown: MOST_ROWS,
            Qt.Key.Key_PageUp: -MOST_ROWS,
        }.get(Qt.Key(event.key()), 0)
        if step:
            if not self.panel.isVisible():
                self._look()
            self._choose(self.rows.currentIndex().row() + step)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._do(self.rows.currentIndex().row())
        elif event.key() == Qt.Key.Key_Escape:
            self.close_palette()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.panel.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def remember_focus(self, before: QWidget | None, now: QWidget | None) -> None:
        """Where to go back to: connected to the application's `focusChanged`."""
        if now is self and before is not None:
            self._before = before

    def _look(self) -> None:
        if not self.hasFocus():
            return
        words = self.text()
        self.model.show(self.search(words))
        some = bool(self.model.found)
        self.rows.setVisible(some)
        self.nothing.setVisible(not some)
        self.nothing.setText(f"Nothing is called “{' '.join(words.split())[:60]}”.")
        self._choose(0)
        self._place()
        self.panel.show()
        self.panel.raise_()

    def _choose(self, row: int) -> None:
        if self.model.found:
            index = self.model.index(max(0, min(row, len(self.model.found) - 1)), 0)
            self.rows.setCurrentIndex(index)
            self.rows.scrollTo(index)

    def _do(self, row: int) -> None:
        if not 0 <= row < len(self.model.found) or not self.panel.isVisible():
            return
        found = self.model.found[row]
        self.close_palette()
        found.call()

    def _place(self) -> None:
        window = self.window()
        if self.panel.parentWidget() is not window:
            self.panel.setParent(window)
            window.installEventFilter(self)
        count = max(1, min(len(self.model.found), MOST_ROWS))
        width = min(WIDTH, window.width() - 16)
        place = self.mapTo(window, QPoint(0, self.height() + 4))
        left = max(8, min(place.x() + (self.width() - width) // 2, window.width() - width - 8))
        room = window.height() - place.y() - 8
        height = min(count * ROW + 40, room)
        self.panel.setGeometry(left, place.y(), width, height)

    def _redraw(self) -> None:
        self._glass.setIcon(icon("search", "text3"))
        self.rows.viewport().update()
