"""The bytes of a datagram: offset, hexadecimal, text; the chosen field is marked, and a click chooses a field."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea

from gui.models.datagrams import hex_text
from gui.widgets.parts import FocusRing
from gui.widgets.theme import fixed_font, metrics, theme

PER_ROW = 16
ROW = 20
EDGE = 16
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)


class HexView(QAbstractScrollArea):
    """See the module. `chosen` carries the byte that was clicked, or reached by the arrow keys."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Bytes")
        FocusRing(self)
        self.setMinimumWidth(240)
        self.data = b""
        self.marked = (0, 0)
        self._cursor = 0
        theme().follow(self._repaint)

    def sizeHint(self) -> QSize:
        return QSize(620, 300)

    def show_bytes(self, data: bytes) -> None:
        """Show these bytes."""
        self.data, self.marked, self._cursor = data, (0, 0), 0
        self.verticalScrollBar().setValue(0)
        self._fit()
        self.viewport().update()

    def mark(self, first: int, end: int) -> None:
        """Mark the bytes [first, end) and scroll to them."""
        self.marked = (first, end)
        top, bar = first // PER_ROW, self.verticalScrollBar()
        rows = max(1, self.viewport().height() // ROW)
        if not bar.value() <= top < bar.value() + rows - 1:
            bar.setValue(max(0, top - 1))
        self.setAccessibleDescription(f"bytes {first} to {max(first, end - 1)} are marked" if end > first else "")
        self.viewport().update()

    def copy(self) -> None:
        """Copy the marked bytes, or all, as text."""
        first, end = self.marked
        QGuiApplication.clipboard().setText(hex_text(self.data[first:end] if end > first else self.data))

    # ---- painting

    def _repaint(self) -> None:
        self.viewport().update()

    def _columns(self) -> tuple[int, int, int, int]:
        """Character width, left edges of hexadecimal and text, and bytes in a group."""
        width = metrics(12, fixed=True).horizontalAdvance("0")
        hexadecimal = EDGE + 6 * width
        return width, hexadecimal, hexadecimal + round((3 * PER_ROW + 2) * width), 8

    def _byte_x(self, place: int) -> int:
        width, left, _, group = self._columns()
        return left + round((3 * place + (1 if place >= group else 0)) * width)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), look.colour("surface"))
        painter.setFont(fixed_font(12))
        width, _, text_left, _ = self._columns()
        first, end = self.marked
        begin = self.verticalScrollBar().value()
        slide = self.horizontalScrollBar().value()
        painter.translate(-slide, 0)
        for line in range(self.viewport().height() // ROW + 1):
            at = (begin + line) * PER_ROW
            if at >= len(self.data):
                break
            y = line * ROW
            painter.setPen(look.colour("text3"))
            painter.drawText(QRect(EDGE, y, 6 * width, ROW), LEFT, f"{at:04x}")
            row = self.data[at : at + PER_ROW]
            low, high = max(first, at), min(end, at + len(row))
            if low < high:
                ink = look.colour("select")
                x = self._byte_x(low - at) - width // 2
                painter.fillRect(x, y, self._byte_x(high - 1 - at) + 2 * width + width // 2 - x, ROW, ink)
                painter.fillRect(text_left + (low - at) * width, y, (high - low) * width, ROW, ink)
            for place, byte in enumerate(row):
                inside = first <= at + place < end
                painter.setPen(look.colour("text" if byte or inside else "text3"))
                painter.drawText(self._byte_x(place), y + 14, f"{byte:02x}")
                printable = 32 <= byte < 127
                painter.setPen(look.colour("text2" if printable else "text3"))
                painter.drawText(text_left + place * width, y + 14, chr(byte) if printable else "·")
        if self.hasFocus():
            painter.setPen(QPen(look.colour("focus"), 2))
            painter.drawRect(self.viewport().rect().translated(slide, 0).adjusted(1, 1, -1, -1))
            painter.setPen(look.colour("focus"))
        if self.hasFocus() and self.data:
            line = self._cursor // PER_ROW - begin
            x = self._byte_x(self._cursor % PER_ROW)
            painter.drawRect(x - 2, line * ROW + 1, 2 * width + 3, ROW - 3)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        rows = -(-len(self.data) // PER_ROW)
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, rows - self.viewport().height() // ROW))
        bar.setPageStep(max(1, self.viewport().height() // ROW))
        width, _, text_left, _ = self._columns()
        needed = text_left + PER_ROW * width + EDGE
        self.horizontalScrollBar().setRange(0, max(0, needed - self.viewport().width()))

    # ---- mouse and keys

    def byte_at(self, point: QPoint) -> int | None:
        """The byte at a point of the view."""
        width, left, text_left, _ = self._columns()
        x = point.x() + self.horizontalScrollBar().value()
        row = self.verticalScrollBar().value() + point.y() // ROW
        if text_left <= x < text_left + PER_ROW * width:
            place = (x - text_left) // width
        elif left - width <= x < text_left:
            place = min(range(PER_ROW), key=lambda number: abs(self._byte_x(number) + width - x))
        else:
            return None
        at = row * PER_ROW + place
        return at if 0 <= at < len(self.data) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self.byte_at(event.position().toPoint())
        if at is not None:
            self._cursor = at
            self.chosen.emit(at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -PER_ROW, Qt.Key.Key_Down: PER_ROW}
        step = steps.get(Qt.Key(event.key()))
        if step is None or not self.data:
            super().keyPressEvent(event)
            return
        to = self._cursor + step
        if 0 <= to < len(self.data):
            self._cursor = to
            self.chosen.emit(to)
