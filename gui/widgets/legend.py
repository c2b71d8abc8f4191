"""The legend of a plot as a small table at its right: swatch, name, value at the cross hair, current value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from gui.models.plain import straight
from gui.models.rows import UNKNOWN
from gui.widgets.theme import sized_font, theme

ROW = 24
PADDING = 12


@dataclass(frozen=True, slots=True)
class LegendRow:
    """One line of the plot. `pen` draws its swatch; values are formatted text."""

    name: str
    pen: QPen
    at: str = UNKNOWN
    now: str = UNKNOWN


class Legend(QWidget):
    """Rows in plot order, and an optional sum. `chosen` carries the name of a clicked row; a second click, None."""

    chosen = Signal(object)

    def __init__(self, title: str, unit: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._unit = title, unit
        self._rows: tuple[LegendRow, ...] = ()
        self._sum: tuple[str, str] | None = None
        self._at = ""
        self._selected: str | None = None
        self.setAccessibleName(f"Legend: {title}")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().follow(self.update)

    def set_rows(self, rows: Sequence[LegendRow], at: str = "", total: tuple[str, str] | None = None) -> None:
        """Show these rows; `at` is the time of the cross hair, `total` the sums at that time and now."""
        grown = (len(rows), total is None) != (len(self._rows), self._sum is None)
        self._rows, self._at, self._sum = tuple(rows), at, total
        if grown:
            self.setFixedHeight(self.sizeHint().height())
        self.update()

    def select(self, name: str | None) -> None:
        """Mark this row."""
        self._selected = name
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(272, ROW * (1 + len(self._rows) + (self._sum is not None)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = int(event.position().y()) // ROW - 1
        if 0 <= number < len(self._rows):
            name = self._rows[number].name
            self._selected = None if name == self._selected else name
            self.chosen.emit(self._selected)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width = self.width()
        painter.fillRect(0, 0, width, ROW, look.colour("raised"))
        painter.setPen(look.colour("border"))
        painter.drawLine(0, ROW - 1, width, ROW - 1)
        self._columns(painter, 0, self._title, f"at {self._at}" if self._at else "", self._unit, "text2", header=True)
        for number, row in enumerate(self._rows, start=1):
            top = number * ROW
            if row.name == self._selected:
                painter.fillRect(0, top, width, ROW, look.colour("select"))
            painter.setPen(QPen(look.colour("grid"), 1))
            painter.drawLine(0, top + ROW - 1, width, top + ROW - 1)
            painter.setPen(row.pen)
            painter.drawLine(PADDING, top + ROW // 2, PADDING + 20, top + ROW // 2)
            self._columns(painter, top, row.name, row.at, row.now, "text")
        if self._sum is not None:
            self._columns(painter, (len(self._rows) + 1) * ROW, "Sum", *self._sum, "text", bold=True)

    def _columns(
        self,
        painter: QPainter,
        top: int,
        name: str,
        at: str,
        now: str,
        colour: str,
        *,
        header: bool = False,
        bold: bool = False,
    ) -> None:
        width = self.width()
        normal = sized_font(12 if header else 13, QFont.Weight.Medium if header else QFont.Weight.Normal)
        strong = sized_font(12 if header else 13, QFont.Weight.Medium if header else QFont.Weight.DemiBold)
        painter.setPen(theme().colour(colour))
        left = PADDING + 28
        painter.setFont(strong if bold else normal)
        room = width - 160 - left if at else width - 96 - left
        text = QFontMetrics(painter.font()).elidedText(straight(name), Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRect(left, top, room, ROW), int(Qt.AlignmentFlag.AlignVCenter), text)
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        painter.drawText(QRect(width - 172, top, 80, ROW), right, at)
        painter.setFont(strong if not header else normal)
        painter.drawText(QRect(width - 92, top, 92 - PADDING, ROW), right, now)


class LegendLine(QWidget):
    """A legend in a title line: swatch, name and value of each row, and a remark at the right if there is room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[LegendRow, ...] = ()
        self._remark = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(ROW)
        theme().follow(self.update)

    def set_rows(self, rows: Sequence[LegendRow], remark: str = "") -> None:
        """Show these rows with their current values."""
        self._rows, self._remark = tuple(rows), remark
        self.setAccessibleName(", ".join((*(f"{row.name} {row.now}" for row in rows), remark)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, painter = theme(), QPainter(self)
        painter.setFont(sized_font(12))
        metrics, middle = QFontMetrics(painter.font()), int(Qt.AlignmentFlag.AlignVCenter)
        left = 0
        for row in self._rows:
            words = f"{row.name} {row.now}"
            painter.setPen(row.pen)
            painter.drawLine(left, ROW // 2, left + 18, ROW // 2)
            painter.setPen(look.colour("text2"))
            width = metrics.horizontalAdvance(words)
            painter.drawText(QRect(left + 24, 0, width + 2, ROW), middle, words)
            left += 24 + width + 14
        if metrics.horizontalAdvance(self._remark) <= self.width() - left:
            painter.drawText(self.rect(), middle | int(Qt.AlignmentFlag.AlignRight), self._remark)


def scrolling(legend: QWidget) -> QScrollArea:
    """The legend in a scroll area, for runs with more servers than fit."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(legend)
    column.addStretch(1)
    area.setWidget(holder)
    return area
