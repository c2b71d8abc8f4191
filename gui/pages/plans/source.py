"""The plan as text with line numbers, and the list of its errors: a click on one leads to its line."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent, QTextCursor, QTextFormat
from PySide6.QtWidgets import QFrame, QListWidget, QListWidgetItem, QPlainTextEdit, QTextEdit, QWidget

from gui.campaign.planfile import PlanProblem
from gui.widgets.icons import icon
from gui.widgets.theme import SMALL_PX, fixed_font, theme

SHOWN_ERRORS = 5
"""Rows of the list of errors; it scrolls to the others."""


class SourceView(QPlainTextEdit):
    """The text. Undo is the editor's, over form and text alike, so it has none of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.setFont(fixed_font(13))
        self.setAccessibleName("The plan as TOML")
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self._wrong: frozenset[int] = frozenset()
        self._gutter = _Gutter(self)
        self.blockCountChanged.connect(self._fit)
        self.updateRequest.connect(self._scrolled)
        theme().follow(self._mark)
        self._fit()

    def set_wrong(self, lines: Sequence[int]) -> None:
        """Mark these lines (from 1)."""
        if frozenset(lines) != self._wrong:
            self._wrong = frozenset(lines)
            self._mark()

    def show_line(self, number: int) -> None:
        """Put the cursor on this line (from 1), with its text selected."""
        block = self.document().findBlockByNumber(max(0, min(number, self.blockCount()) - 1))
        cursor = QTextCursor(block)
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(cursor)
        self.centerCursor()
        self.setFocus()

    def line(self) -> int:
        """The line (from 1) that the cursor is on."""
        return self.textCursor().blockNumber() + 1

    def put(self, text: str) -> None:
        """Set the whole text; the cursor stays on its line."""
        if text == self.toPlainText():
            return
        number = self.textCursor().blockNumber()
        self.setPlainText(text)
        self.setTextCursor(QTextCursor(self.document().findBlockByNumber(min(number, self.blockCount() - 1))))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        inside = self.contentsRect()
        self._gutter.setGeometry(QRect(inside.left(), inside.top(), self._width(), inside.height()))

    def _width(self) -> int:
        return self.fontMetrics().horizontalAdvance("0") * max(3, len(str(self.blockCount()))) + 16

    def _fit(self) -> None:
        self.setViewportMargins(self._width(), 0, 0, 0)

    def _scrolled(self, area: QRect, down: int) -> None:
        if down:
            self._gutter.scroll(0, down)
        else:
            self._gutter.update(0, area.y(), self._gutter.width(), area.height())

    def _mark(self) -> None:
        marks = []
        for number in sorted(self._wrong):
            mark = QTextEdit.ExtraSelection()
            mark.format.setBackground(theme().colour("bad_bg"))
            mark.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            mark.cursor = QTextCursor(self.document().findBlockByNumber(number - 1))
            marks.append(mark)
        self.setExtraSelections(marks)
        self._gutter.update()

    def paint_gutter(self, painter: QPainter, area: QRect) -> None:
        """The numbers of the lines that are in sight."""
        look = theme()
        painter.fillRect(area, look.colour("raised"))
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        painter.setFont(fixed_font(SMALL_PX))
        while block.isValid() and top <= area.bottom():
            height = self.blockBoundingRect(block).height()
            number = block.blockNumber() + 1
            painter.setPen(look.colour("bad" if number in self._wrong else "text3"))
            painter.drawText(
                QRect(0, int(top), self._gutter.width() - 8, int(height)),
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                str(number),
            )
            top += height
            block = block.next()


class _Gutter(QWidget):
    def __init__(self, source: SourceView) -> None:
        super().__init__(source)
        self._source = source

    def sizeHint(self) -> QSize:
        return QSize(48, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._source.paint_gutter(QPainter(self), event.rect())


class ErrorList(QListWidget):
    """All errors of the text, one a row; a click or Enter leads to the line."""

    line_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("sidelist")
        self.setAccessibleName("Errors of the plan")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemClicked.connect(self._go)
        self.itemActivated.connect(self._go)
        self._problems: tuple[PlanProblem, ...] = ()
        theme().follow(self._fill)
        self.setViewportMargins(12, 4, 12, 4)
        self.hide()

    def show_problems(self, problems: Sequence[PlanProblem]) -> None:
        """Show all of them; nothing is seen when there is none."""
        if tuple(problems) != self._problems:
            self._problems = tuple(problems)
            self._fill()
        self.setVisible(bool(problems))

    def texts(self) -> list[str]:
        """What is listed."""
        return [str(problem) for problem in self._problems]

    def _fill(self) -> None:
        self.clear()
        for problem in self._problems:
            item = QListWidgetItem(icon("bad", "bad"), str(problem))
            item.setData(Qt.ItemDataRole.UserRole, problem.line)
            item.setForeground(theme().colour("bad"))
            self.addItem(item)
        self.setFixedHeight(min(SHOWN_ERRORS, max(1, len(self._problems))) * 20 + 10)

    def _go(self, item: QListWidgetItem) -> None:
        self.line_wanted.emit(max(1, int(item.data(Qt.ItemDataRole.UserRole))))
