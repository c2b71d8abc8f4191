"""The lines of a stage, or of one shoveler or collector, over time: rates above, what waits below, events as flags."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.models.figures import clock, rate
from gui.models.history import Point
from gui.models.pipeline import Event
from gui.pages.pipeline.boxes import CENTRE, LEFT, RIGHT, hatch
from gui.widgets.icons import pixmap
from gui.widgets.plots import nice_step
from gui.widgets.theme import metrics, sized_font, theme

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 56, 28, 24, 22
SPLIT = 16
"""Pixels between the two plots."""
HOLE = 30.0
"""Seconds without a point that leave a hole in a line."""
STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
LINE = (1, 2, 0)
"""Numbers of the series colours: of the rates, and of what waits."""


class Trend(QWidget):
    """See the module. `names`: of the values of a point; the last one is drawn below, as an area."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setAccessibleName("Rates and what waits, over time")
        self._names: tuple[str, ...] = ()
        self._points: Sequence[Point] = ()
        self._events: Sequence[Event] = ()
        self._end = 0.0
        self._span = 600.0
        self._cross: float | None = None
        theme().follow(self.update)

    def show_lines(
        self, names: tuple[str, ...], points: Sequence[Point], events: Sequence[Event], end: float, span: float
    ) -> None:
        """Show these points up to `end`, over `span` seconds."""
        self._names, self._points, self._end, self._span = names, points, end, span
        self._events = [event for event in events if end - span <= event.t <= end]
        self.update()

    def colours(self) -> list[QColor]:
        """The colour of each line, in the order of the names."""
        rates = max(0, len(self._names) - 1)
        return [theme().series(LINE[n]) for n in range(rates)] + [theme().series(LINE[2])][: len(self._names)]

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._names:
            return
        whole = QRectF(self.rect()).adjusted(MARGIN_LEFT, MARGIN_TOP, -MARGIN_RIGHT, -MARGIN_BOTTOM)
        rates = len(self._names) - 1
        if rates:
            above = QRectF(whole.left(), whole.top(), whole.width(), (whole.height() - SPLIT) * 0.58)
            below = QRectF(whole.left(), above.bottom() + SPLIT, whole.width(), whole.bottom() - above.bottom() - SPLIT)
            self._plot(painter, above, range(rates), filled=False)
            self._plot(painter, below, range(rates, rates + 1), filled=True)
        else:
            below = whole
            self._plot(painter, below, range(1), filled=False)
        self._time_axis(painter, below, whole)
        self._flags(painter, whole)
        if self._cross is not None:
            self._paint_cross(painter, whole, below)

    def _x(self, area: QRectF, t: float) -> float:
        return area.right() - (self._end - t) / self._span * area.width()

    def _plot(self, painter: QPainter, area: QRectF, columns: range, *, filled: bool) -> None:
        look = theme()
        values = [v for p in self._points for n in columns if (v := p.values[n]) is not None]
        peak = max([*values, 0.0]) or 1.0
        step = nice_step(peak, 4 if area.height() >= 96 else 2)
        parts = math.ceil(peak / step - 1e-9)
        top = step * parts
        painter.setFont(sized_font(11))
        for part in range(parts + 1 if values else 0):
            value = step * part
            y = area.bottom() - area.height() * part / parts
            painter.setPen(look.colour("grid"))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(look.colour("axis"))
            painter.drawText(QRect(0, round(y) - 8, MARGIN_LEFT - 8, 16), RIGHT, _label(value, top))
        for x in self._times(area):
            painter.setPen(look.colour("grid"))
            painter.drawLine(QPointF(self._x(area, x), area.top()), QPointF(self._x(area, x), area.bottom()))
        painter.setPen(look.colour("border_strong"))
        painter.drawLine(area.bottomLeft(), area.topLeft())
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if not values:
            hatch(painter, area.adjusted(1, 1, 0, -1))
            return
        colours = self.colours()
        painter.save()
        painter.setClipRect(area.adjusted(-1, -2, 1, 1))
        for column in columns:
            for line in self._pieces(area, column, top):
                painter.setPen(QPen(colours[column], 1.75))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                if line.size() == 1:
                    painter.setBrush(colours[column])
                    painter.drawEllipse(line.at(0), 1.5, 1.5)
                    continue
                painter.drawPolyline(line)
                if filled:
                    fill = QColor(colours[column])
                    fill.setAlphaF(0.25)
                    line.append(QPointF(line.last().x(), area.bottom()))
                    line.append(QPointF(line.first().x(), area.bottom()))
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(fill)
                    painter.drawPolygon(line)
        painter.restore()

    def _pieces(self, area: QRectF, column: int, top: float) -> list[QPolygonF]:
        found: list[QPolygonF] = []
        last = -math.inf
        hole = HOLE if self._span <= 3600 else 150.0
        for point in self._points:
            value = point.values[column]
            if value is None:
                last = -math.inf
                continue
            if point.t - last > hole:
                found.append(QPolygonF())
            found[-1].append(QPointF(self._x(area, point.t), area.bottom() - min(1.0, value / top) * area.height()))
            last = point.t
        return found

    def _times(self, area: QRectF) -> list[float]:
        most = max(2, int(area.width() // 84))
        step = next((s for s in STEPS if self._span / s <= most), STEPS[-1])
        offset = time.localtime(self._end).tm_gmtoff
        first = math.ceil((self._end - self._span + offset) / step) * step - offset
        return [first + n * step for n in range(int((self._end - first) // step) + 1)]

    def _time_axis(self, painter: QPainter, area: QRectF, whole: QRectF) -> None:
        painter.setFont(sized_font(11))
        painter.setPen(theme().colour("axis"))
        times = self._times(area)
        form = "%H:%M:%S" if len(times) > 1 and times[1] - times[0] < 60 else "%H:%M"
        for t in times:
            x = round(self._x(area, t))
            if x - 24 >= 0 and x + 24 <= self.width():
                painter.drawText(
                    QRect(x - 30, round(whole.bottom()) + 4, 60, 16), CENTRE, time.strftime(form, time.localtime(t))
                )

    def _flags(self, painter: QPainter, whole: QRectF) -> None:
        look = theme()
        right_end = whole.left() - 1
        for number, event in enumerate(self._events):
            x = self._x(whole, event.t)
            painter.setPen(QPen(look.colour(event.colour), 1, Qt.PenStyle.CustomDashLine))
            pen = painter.pen()
            pen.setDashPattern([3, 3])
            painter.setPen(pen)
            painter.drawLine(QPointF(x, 2), QPointF(x, whole.bottom()))
            later = self._x(whole, self._events[number + 1].t) if number + 1 < len(self._events) else math.inf
            wide = metrics(11).horizontalAdvance(event.text) + 26
            left = x if x + wide <= min(later, whole.right() + MARGIN_RIGHT) else x - wide
            if left < right_end or left + wide > self.width():
                continue  # no room: the stem says when, the pointer says what
            right_end = left + wide
            box = QRectF(left, 2, wide, 18)
            painter.setPen(look.colour(event.colour))
            painter.setBrush(look.colour(f"{event.colour}_bg"))
            painter.drawRoundedRect(box, 2, 2)
            painter.drawPixmap(round(left) + 5, 5, pixmap(event.symbol, event.colour, 12, self.devicePixelRatioF()))
            painter.setFont(sized_font(11))
            painter.drawText(box.adjusted(21, 0, 0, 0).toRect(), LEFT, event.text)

    def _paint_cross(self, painter: QPainter, whole: QRectF, below: QRectF) -> None:
        assert self._cross is not None
        if not whole.left() <= self._cross <= whole.right():
            return
        look = theme()
        painter.setPen(look.colour("crosshair"))
        painter.drawLine(QPointF(self._cross, whole.top()), QPointF(self._cross, whole.bottom()))
        t = self._end - (whole.right() - self._cross) / whole.width() * self._span
        nearest = min(self._points, key=lambda point: abs(point.t - t), default=None)
        words = clock(t, parts=False)
        if nearest is not None and abs(nearest.t - t) <= HOLE * 2:
            words += "  " + "  ".join(
                f"{name} {rate(value)}" for name, value in zip(self._names, nearest.values, strict=True)
            )
        near = [event.text for event in self._events if abs(self._x(whole, event.t) - self._cross) < 4]
        words = "  ".join([words, *near])
        wide = metrics(11).horizontalAdvance(words) + 12
        left = min(max(0.0, self._cross - wide / 2), self.width() - wide)
        chip = QRectF(left, below.bottom() + 3, wide, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("text2"))
        painter.drawRoundedRect(chip, 2, 2)
        painter.setPen(look.colour("window"))
        painter.setFont(sized_font(11))
        painter.drawText(chip.toRect(), CENTRE, words)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._cross = event.position().x()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._cross = None
        self.update()
        super().leaveEvent(event)


def _label(value: float, top: float) -> str:
    return f"{value:,.0f}" if top >= 4 else f"{value:,.1f}" if top >= 0.4 else f"{value:,.2f}"
