"""The scale of the heat map: colours with their values, the hatching, and the fastest and slowest server."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.models.plain import straight
from gui.widgets.theme import SMALL_PX, sized_font, theme

PADDING, ROW, FACTS = 16, 20, 4
BAR = QRect(PADDING, 40, 16, 128)


class ScaleKey(QWidget):
    """The same in a title line: ``0 ▬▬▬ 16 ▨ none``."""

    WIDTH, COLOURS = 232, 128

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._top = 1.0
        self.setFixedSize(self.WIDTH, ROW)
        theme().follow(self.update)

    def set_top(self, top: float) -> None:
        """Set the end of the scale."""
        self._top = top
        self.setAccessibleName(f"Scale 0 to {top:g}; hatched: no measurement")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, painter = theme(), QPainter(self)
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(look.colour("text2"))
        painter.drawText(QRect(0, 0, 10, ROW), middle, "0")
        bar = QRect(14, ROW // 2 - 5, self.COLOURS, 10)
        colours = QLinearGradient(bar.left(), 0, bar.right(), 0)
        for number, step in enumerate(look.heat):
            colours.setColorAt(number / (len(look.heat) - 1), QColor(step))
        painter.fillRect(bar, QBrush(colours))
        painter.drawText(QRect(bar.right() + 6, 0, 28, ROW), middle, f"{self._top:g}")
        box = QRect(bar.right() + 34, ROW // 2 - 6, 18, 12)
        painter.fillRect(box, QBrush(look.colour("border_strong"), Qt.BrushStyle.BDiagPattern))
        painter.setPen(look.colour("border_strong"))
        painter.drawRect(box)
        painter.setPen(look.colour("text2"))
        painter.drawText(QRect(box.right() + 6, 0, 36, ROW), middle, "none")


class ScalePane(QWidget):
    """The scale with a histogram and facts; `set_scale` sets its end and the current values of the servers."""

    def __init__(self, unit: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unit = unit
        self._top = 1.0
        self._now: list[float] = []
        self._facts: tuple[tuple[str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(BAR.bottom() + 16 + 32 + FACTS * ROW + 8)
        theme().follow(self.update)

    def set_scale(self, top: float, now: Sequence[float], facts: Sequence[tuple[str, str]]) -> None:
        """`top` ends the scale; `now` are the newest measured values; `facts` are ``(name, value)`` lines below."""
        self._top, self._now, self._facts = top, list(now), tuple(facts)
        self.setAccessibleName(f"Scale 0 to {top:g} {self._unit}; " + ", ".join(f"{n} {v}" for n, v in facts))
        self.update()

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The lines under the scale."""
        return self._facts

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self)
        painter.setFont(sized_font(13, QFont.Weight.DemiBold))
        painter.setPen(look.colour("text"))
        painter.drawText(QRect(PADDING, 8, 120, 24), int(Qt.AlignmentFlag.AlignVCenter), self._unit)
        painter.setFont(sized_font(12))
        painter.setPen(look.colour("text3"))
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        painter.drawText(QRect(120, 8, self.width() - 120 - PADDING, 24), right, "servers now")
        self._bar(painter)
        self._histogram(painter)
        top = BAR.bottom() + 16
        box = QRect(PADDING, top + 3, 16, 12)
        painter.fillRect(box, look.colour("surface"))
        painter.fillRect(box, QBrush(look.colour("border_strong"), Qt.BrushStyle.BDiagPattern))
        painter.setFont(sized_font(13))
        painter.setPen(look.colour("text2"))
        painter.drawText(QRect(PADDING + 24, top, 200, 18), int(Qt.AlignmentFlag.AlignVCenter), "no measurement")
        top += 32
        for name, value in self._facts:
            line = QRect(PADDING, top, self.width() - 2 * PADDING, ROW)
            painter.setPen(look.colour("text2"))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter), name)
            painter.setPen(look.colour("text"))
            words = QFontMetrics(painter.font()).elidedText(
                straight(value), Qt.TextElideMode.ElideMiddle, line.width() - 72
            )
            painter.drawText(line, right, words)
            top += ROW

    def _bar(self, painter: QPainter) -> None:
        look = theme()
        colours = QLinearGradient(0, BAR.bottom(), 0, BAR.top())
        for number, step in enumerate(look.heat):
            colours.setColorAt(number / (len(look.heat) - 1), QColor(step))
        painter.fillRect(BAR, QBrush(colours))
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(look.colour("axis"))
        for part in range(5):
            y = BAR.bottom() - round(part / 4 * BAR.height())
            painter.drawText(
                QRect(BAR.right() + 8, y - 8, 40, 16), int(Qt.AlignmentFlag.AlignVCenter), f"{self._top * part / 4:g}"
            )

    def _histogram(self, painter: QPainter) -> None:
        """Draw how many servers are at each height of the scale."""
        bins = [0] * 16
        for value in self._now:
            bins[min(15, int(value / self._top * 16))] += 1
        left, most = BAR.right() + 52, max(bins, default=0)
        painter.setPen(QPen(theme().colour("border_strong"), 1))
        painter.drawLine(left, BAR.top(), left, BAR.bottom())
        room = max(16, self.width() - left - PADDING)
        for number, count in enumerate(bins):
            if count:
                height = BAR.height() / 16
                box = QRectF(left + 1, BAR.bottom() - (number + 1) * height + 1, count / most * room, height - 1)
                painter.fillRect(box, theme().colour("border_strong"))
