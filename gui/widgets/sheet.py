"""A sheet: a panel over the page, until Esc or a click beside it closes it. It never blocks: no window of its own, no
`exec`, so the loop, a run and the tables behind it go on.

The focus stays inside while it is open and returns to where it was. `side` sheets stand at the right edge without a
scrim: one reads them beside the page.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from gui.widgets.parts import button, label, line
from gui.widgets.taborder import step_focus
from gui.widgets.theme import theme

SCRIM = 0.32
MARGIN = 32


class Sheet(QWidget):
    """Lies over `over`. Fill `body`; open it with `open_sheet`. `closed` follows."""

    closed = Signal()

    def __init__(
        self, over: QWidget, title: str, *, place: Literal["middle", "side"] = "middle", width: int = 720
    ) -> None:
        super().__init__(over)
        self._over, self._place, self._width = over, place, width
        self._before: QWidget | None = None
        self.panel = QFrame(self)
        self.panel.setObjectName("plaincard" if place == "middle" else "sidesheet")
        self.panel.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = label(title, "title")
        self.close_button = button("", "x", self.close_sheet, kind="plain", tip="Close  Esc")
        self.head = QHBoxLayout()
        self.head.setContentsMargins(24, 12, 12, 12)
        self.head.addWidget(self.title)
        self.head.addStretch(1)
        self.head.addWidget(self.close_button)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        column = QVBoxLayout(self.panel)
        column.setContentsMargins(1, 1, 1, 1)
        column.setSpacing(0)
        column.addLayout(self.head)
        column.addWidget(line())
        column.addLayout(self.body, 1)
        over.installEventFilter(self)
        theme().follow(self.update)
        self.hide()

    def open_sheet(self) -> None:
        """Show it, with the focus inside."""
        if self.isVisible():
            return
        self._before = QApplication.focusWidget()
        self.show()
        self._arrange()  # when all of it has its look, and so its size
        self.raise_()
        first = self.first_focus()
        first.setFocus(Qt.FocusReason.PopupFocusReason)

    def first_focus(self) -> QWidget:
        """Where the focus goes when the sheet opens."""
        return self.close_button

    def wanted_height(self) -> int:
        """The height that all of it needs; with less room it must scroll."""
        return self.panel.sizeHint().height()

    def close_sheet(self) -> None:
        """Close it; the focus goes back to where it was."""
        if not self.isVisible():
            return
        before, self._before = self._before, None
        self.hide()
        if before is not None and before.isVisible():
            before.setFocus(Qt.FocusReason.PopupFocusReason)
        self.closed.emit()

    def _arrange(self) -> None:
        room = self._over.rect()
        if self._place == "side":
            width = min(self._width, room.width())
            self.setGeometry(room.width() - width, 0, width, room.height())
            self.panel.setGeometry(self.rect())
            return
        self.setGeometry(room)
        width = min(self._width, room.width() - 2 * MARGIN)
        height = min(max(self.wanted_height(), 200), room.height() - MARGIN)
        self.panel.setGeometry((room.width() - width) // 2, 0, width, height)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        if self._place == "middle":
            shade = QColor(theme().pair("scrim")[0])
            shade.setAlphaF(SCRIM)
            QPainter(self).fillRect(self.rect(), shade)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self.panel.geometry().contains(event.position().toPoint()):
            self.close_sheet()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_sheet()
        else:
            super().keyPressEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002 - Qt's own name
        """Tab stays within the sheet."""
        return step_focus(self, forward=next)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._over and event.type() == QEvent.Type.Resize and self.isVisible():
            self._arrange()
        return super().eventFilter(watched, event)
