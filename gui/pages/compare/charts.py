"""The three plots of Compare: success by test, percentiles, and a test over all runs of its plan.

Painted directly: some hundred points, no zoom. Each chart has a line of title and legend over its drawing; the drawing
takes the keyboard where something in it can be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.compare import Course, Curve, Interval, Metric, Point, TestSuccess, place_of
from gui.models.states import outcome_state
from gui.report import numbers
from gui.widgets.parts import Elided, plain_tip
from gui.widgets.plots import nice_step
from gui.widgets.shortcuts import add_key
from gui.widgets.theme import SMALL_PX, sized_font, theme

LEFT, TOP, RIGHT, BOTTOM = 60, 17, 20, 24
B_SERIES = 5
"""The colour of run b among those of series; run a is drawn in `text2`."""
NEAR = 14
"""Pixels within which the pointer is at a point."""
PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
METRIC_TITLES: dict[Metric, tuple[str, str]] = {
    "success": ("success", "%"),
    "achieved": ("requests", "per second"),
    "p50": ("p50", "time per request"),
    "p95": ("p95", "time per request"),
    "p99": ("p99", "time per request"),
}


def colour_a() -> QColor:
    """The colour of run a, the one that is compared with."""
    return theme().colour("text2")


def colour_b() -> QColor:
    """The colour of run b."""
    return theme().series(B_SERIES)


class Chart(QWidget):
    """A title line and a drawing under it."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = Elided("", "section", least=60)
        self.unit = Elided("", "hint", least=40)
        self.head = QHBoxLayout()
        self.head.setContentsMargins(16, 6, 16, 2)
        self.head.setSpacing(8)
        self.head.addWidget(self.title)
        self.head.addWidget(self.unit, 1)
        self.drawing = drawing
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self.head)
        column.addWidget(drawing, 1)

    def set_title(self, title: str, unit: str) -> None:
        """The words over the drawing."""
        self.title.setText(title)
        self.unit.setText(unit)
        self.drawing.setAccessibleName(f"{title}, {unit}")


class Legend(QWidget):
    """Which colour is which run: ``○ run 31  ● run 36``."""

    def __init__(self, *, lines: bool = False) -> None:
        super().__init__()
        self._lines = lines
        self._names = ("", "")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme().follow(self.update)

    def set_runs(self, a: int, b: int) -> None:
        """The numbers of the runs."""
        self._names = (f"run {a}", f"run {b}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(sized_font(12))
        return QSize(sum(metrics.horizontalAdvance(name) + 36 for name in self._names), 20)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(sized_font(12))
        metrics, x = QFontMetrics(sized_font(12)), 4.0
        for name, colour, mine in zip(self._names, (colour_a(), colour_b()), (False, True), strict=True):
            if self._lines:
                pen = QPen(colour, 2)
                pen.setDashPattern([2, 1.5]) if not mine else None
                painter.setPen(pen)
                painter.drawLine(QPointF(x, 10), QPointF(x + 16, 10))
            else:
                painter.setPen(QPen(colour, 1.5))
                painter.setBrush(colour if mine else Qt.BrushStyle.NoBrush)
                painter.drawEllipse(QPointF(x + 10, 10), 4, 4)
            painter.setPen(colour if mine else theme().colour("text2"))
            painter.drawText(QRectF(x + 22, 0, 80, 20), int(Qt.AlignmentFlag.AlignVCenter), name)
            x += metrics.horizontalAdvance(name) + 36


class Drawing(QWidget):
    """Axes and what is in between; a tip says what is under the pointer."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(240, 96)
        self._bottom = BOTTOM
        theme().follow(self.update)

    def area(self) -> QRectF:
        """Where data are drawn."""
        return QRectF(LEFT, TOP, max(1, self.width() - LEFT - RIGHT), max(1, self.height() - TOP - self._bottom))

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Paint axes and data."""
        raise NotImplementedError

    def tip_at(self, place: QPointF) -> str:  # noqa: ARG002
        """What is at this place, as plain text."""
        return ""

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 96)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme().colour("surface"))
        painter.setFont(sized_font(SMALL_PX))
        self.draw(painter, self.area())
        if self.hasFocus():
            painter.setPen(QPen(theme().colour("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self.tip_at(event.pos().toPointF())
            if text:
                QToolTip.showText(event.globalPos(), plain_tip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def _frame(self, painter: QPainter, area: QRectF, rows: Sequence[tuple[float, str]], *, last: float = -1.0) -> None:
        """Horizontal grid lines at these heights with their labels; `last`: the height of the axis line."""
        look = theme()
        for y, text in rows:
            painter.setPen(QPen(look.colour("grid"), 1))
            line = math.floor(y) + 0.5
            painter.drawLine(QPointF(area.left(), line), QPointF(area.right(), line))
            painter.setPen(look.colour("axis"))
            painter.drawText(
                QRectF(0, y - 8, area.left() - 8, 16),
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                text,
            )
        painter.setPen(QPen(look.colour("border_strong"), 1))
        bottom = math.floor(area.bottom() if last < 0 else last) + 0.5
        painter.drawLine(QPointF(area.left(), bottom), QPointF(area.right(), bottom))
        painter.drawLine(QPointF(area.left() + 0.5, area.top()), QPointF(area.left() + 0.5, bottom))

    def _nothing(self, painter: QPainter, words: str) -> None:
        painter.setPen(theme().colour("text3"))
        painter.setFont(sized_font(12))
        room = QRectF(self.rect()).adjusted(16, 0, -16, 0)
        painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), words)


def share_scale(least: float, room: float) -> tuple[float, list[float]]:
    """The low end of an axis of per cent that ends at 100, and its labels, for values from `least` on."""
    span = max(100 - least, 0.05)
    step = nice_step(span * 1.02, max(1, min(5, int(room // 22))))
    low = max(0.0, 100 - step * math.ceil(span / step - 1e-9))
    return low, [100 - step * n for n in range(round((100 - low) / step) + 1)]


def per_cent(value: float, values: Sequence[float]) -> str:
    """A label of such an axis."""
    step = abs(values[0] - values[1]) if len(values) > 1 else 1.0
    return f"{value:.{max(0, min(4, -math.floor(math.log10(step) + 1e-9)))}f}"


class SuccessDrawing(Drawing):
    """Success with its interval for each test: a ring for run a, a dot for run b. A click chooses a test."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._bottom = 36
        self.setAccessibleName("Success of each test")
        self._tests: tuple[TestSuccess, ...] = ()
        self._test = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_tests(self, tests: Sequence[TestSuccess], test: int) -> None:
        """Draw these, with this one marked."""
        self._tests, self._test = tuple(tests), test
        self.setAccessibleDescription("; ".join(self._words(one) for one in self._tests[:12]))
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        known = [i for one in self._tests for i in (one.a, one.b) if i is not None]
        if not known:
            self._nothing(painter, "Neither run has counted anything.")
            return
        look = theme()
        low, labels = share_scale(min(i.low for i in known), area.height())

        def y(value: float) -> float:
            return area.top() + (100 - max(low, value)) / (100 - low) * area.height()

        self._frame(painter, area, [(y(value), per_cent(value, labels)) for value in labels])
        width = area.width() / len(self._tests)
        shift = max(2.0, min(8.0, width / 5))
        for place, one in enumerate(self._tests):
            x = area.left() + width * (place + 0.5)
            mine = one.number == self._test
            painter.setPen(look.colour("text" if mine else "axis"))
            painter.setFont(sized_font(SMALL_PX, QFont.Weight.DemiBold if mine else QFont.Weight.Normal))
            if width >= 18 or place % math.ceil(18 / width) == 0:
                cell = QRectF(x - 40, area.bottom() + 4, 80, 14)
                painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), f"{one.number}")
                if width >= QFontMetrics(painter.font()).horizontalAdvance(one.ask) + 4:
                    painter.drawText(cell.translated(0, 14), int(Qt.AlignmentFlag.AlignCenter), one.ask)
            self._bar(painter, x - shift, y, one.a, colour_a(), filled=False)
            self._bar(painter, x + shift, y, one.b, colour_b(), filled=True)
        chosen = next((one for one in self._tests if one.number == self._test), None)
        if chosen is not None and chosen.b is not None and chosen.b.lost:
            self._label(painter, area, area.left() + width * (self._tests.index(chosen) + 0.5) + shift, y, chosen.b)

    @staticmethod
    def _bar(painter: QPainter, x: float, y: object, one: Interval | None, colour: QColor, *, filled: bool) -> None:
        if one is None:
            return
        assert callable(y)
        painter.setPen(QPen(colour, 1.25))
        painter.drawLine(QPointF(x, y(one.low)), QPointF(x, y(one.high)))
        for end in (one.low, one.high):
            painter.drawLine(QPointF(x - 4, y(end)), QPointF(x + 4, y(end)))
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(colour if filled else theme().colour("surface"))
        painter.drawEllipse(QPointF(x, y(one.value)), 3.5, 3.5)

    @staticmethod
    def _label(painter: QPainter, area: QRectF, x: float, y: object, one: Interval) -> None:
        assert callable(y)
        text = f"{figures.success(1_000_000 - round(1e4 * (100 - one.value)), 1_000_000)}, {one.lost:,} lost"
        font = sized_font(SMALL_PX, QFont.Weight.DemiBold)
        width = QFontMetrics(font).horizontalAdvance(text)
        painter.setFont(font)
        painter.setPen(colour_b())
        left = max(area.left() + 4, min(x - width / 2, area.right() - width))
        top = min(max(y(one.value), y(one.low)) + 6, area.bottom() - 16)
        painter.drawText(QRectF(left, top, width + 2, 16), int(Qt.AlignmentFlag.AlignLeft), text)

    def tip_at(self, place: QPointF) -> str:
        number = self._at(place)
        return self._words(self._tests[number]) if number is not None else ""

    @staticmethod
    def _words(one: TestSuccess) -> str:
        def said(interval: Interval | None) -> str:
            if interval is None:
                return "not counted"
            bounds = numbers.interval((interval.low, interval.high))
            return f"{numbers.share(interval.value)} (95 %: {bounds}), {interval.lost:,} lost"

        return f"Test {one.number}, {one.name}\nbefore: {said(one.a)}\nnow: {said(one.b)}"

    def _at(self, place: QPointF) -> int | None:
        area = self.area()
        if not self._tests or not area.left() <= place.x() <= area.right():
            return None
        return min(len(self._tests) - 1, int((place.x() - area.left()) / area.width() * len(self._tests)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position())
        if number is not None:
            self.chosen.emit(self._tests[number].number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        wanted = self._test + step
        if step and any(one.number == wanted for one in self._tests):
            self.chosen.emit(wanted)
        elif not step:
            super().keyPressEvent(event)


class CurveDrawing(Drawing):
    """Percentiles of both runs, logarithmic both ways, with the area between them."""

    def __init__(self) -> None:
        super().__init__()
        self._a, self._b = Curve(), Curve()

    def show_curves(self, a: Curve, b: Curve) -> None:
        """Draw these."""
        self._a, self._b = a, b
        said = [f"p{part:g}: {numbers.latency(one)}" for part, one in b.marks]
        self.setAccessibleDescription(", ".join(said))
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        points = [*self._a.points, *self._b.points]
        times = [seconds for _, seconds in points if seconds > 0]
        if not times:
            self._nothing(painter, "No request of this test has ended.")
            return
        look = theme()
        low, high = math.log10(min(times)) - 0.05, math.log10(max(times)) + 0.1
        right = place_of(max(percent for percent, _ in points))
        left = place_of(min(percent for percent, _ in points))

        def x(percent: float) -> float:
            return area.left() + (place_of(percent) - left) / max(right - left, 1e-9) * area.width()

        def y(seconds: float) -> float:
            return area.bottom() - (math.log10(max(seconds, 10**low)) - low) / (high - low) * area.height()

        self._frame(painter, area, [(y(value), axis_time(value)) for value in log_labels(low, high, area)])
        for percent in PERCENTS:
            if percent <= max(part for part, _ in points) + 1e-9:
                painter.setPen(QPen(look.colour("grid"), 1))
                place = math.floor(x(percent)) + 0.5
                painter.drawLine(QPointF(place, area.top()), QPointF(place, area.bottom()))
                painter.setPen(look.colour("axis"))
                cell = QRectF(min(x(percent) - 24, self.width() - 48), area.bottom() + 5, 48, 14)
                painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), f"{percent:g}")
        one, other = (
            [QPointF(x(percent), y(seconds)) for percent, seconds in curve.points] for curve in (self._a, self._b)
        )
        both = min(len(one), len(other))
        if both:
            painter.setPen(Qt.PenStyle.NoPen)
            tint = colour_b()
            tint.setAlphaF(0.14)
            painter.setBrush(tint)
            painter.drawPolygon(QPolygonF([*other[:both], *one[:both][::-1]]))
        pen = QPen(colour_a(), 1.5)
        pen.setDashPattern([4, 3])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(one))
        painter.setPen(QPen(colour_b(), 1.75))
        painter.drawPolyline(QPolygonF(other))
        self._marks(painter, area, x, y)

    def _marks(self, painter: QPainter, area: QRectF, x: object, y: object) -> None:
        assert callable(x)
        assert callable(y)
        before = dict(self._a.marks)
        for curve, colour in ((self._a, colour_a()), (self._b, colour_b())):
            for percent, seconds in curve.marks:
                place = QPointF(x(percent), y(seconds))
                painter.setPen(QPen(colour, 1.5))
                painter.setBrush(theme().colour("surface"))
                painter.drawEllipse(place, 3, 3)
                mine = curve is self._b
                over = mine is (seconds >= before.get(percent, 0.0))
                text = numbers.latency(seconds)
                width = QFontMetrics(sized_font(SMALL_PX)).horizontalAdvance(text)
                left = place.x() - width - 6 if over else place.x() + 6
                left = max(area.left() + 4, min(left, self.width() - width - 4))
                top = place.y() - 18 if over else place.y() + 3
                painter.setPen(colour)
                painter.setFont(sized_font(SMALL_PX, QFont.Weight.DemiBold if mine else QFont.Weight.Normal))
                painter.drawText(QRectF(left, top, width + 12, 15), int(Qt.AlignmentFlag.AlignLeft), text)

    def tip_at(self, place: QPointF) -> str:
        area = self.area()
        longest = max(self._a.points, self._b.points, key=len)
        if not longest or not area.left() <= place.x() <= area.right():
            return ""
        number = round((place.x() - area.left()) / area.width() * (len(longest) - 1))

        def said(curve: Curve) -> str:
            return numbers.latency(curve.points[number][1]) if number < len(curve.points) else "too few requests"

        return f"{longest[number][0]:.3g} % of the requests took at most\nbefore: {said(self._a)}\nnow: {said(self._b)}"


def axis_time(seconds: float) -> str:
    """A round time as the label of an axis: ``50 ms``, ``2 s``."""
    return f"{seconds:,g} s" if seconds >= 1 or not seconds else f"{1000 * seconds:,g} ms"


def log_labels(low: float, high: float, area: QRectF) -> list[float]:
    """Values of 1, 2 and 5 times powers of ten between the powers `low` and `high`, as many as there is room for."""
    values = [
        step * 10.0**power
        for power in range(math.floor(low), math.ceil(high) + 1)
        for step in (1, 2, 5)
        if low <= math.log10(step * 10.0**power) <= high
    ]
    if not values:  # all within less than a step of each other
        middle = 10 ** ((low + high) / 2)
        return [round(middle, 1 - math.floor(math.log10(middle)))]
    room = max(2, int(area.height() // 20))
    if len(values) > room:
        values = [
            value for value in values if math.log10(value) % 1 < 1e-6 or math.log10(value) % 1 > 1 - 1e-6
        ] or values
    every = math.ceil(len(values) / room)
    return values[::every]


class CourseDrawing(Drawing):
    """A figure of a test over all runs of its plan: ✕ below the threshold, a ring around the two that are compared.
    A click, or Enter, takes a run as run b; arrows go from run to run."""

    run_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._course: Course | None = None
        self._pair: tuple[int | None, int | None] = (None, None)
        self._cursor: int | None = None
        self.setAccessibleName("Course over the runs")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        add_key(self, "Run before", "Left", lambda: self._step(-1), heard=True)
        add_key(self, "Next run", "Right", lambda: self._step(1), heard=True)
        add_key(self, "Compare the run marked", "Return", self._take, heard=True)

    def show_course(self, course: Course | None, a: int | None, b: int | None) -> None:
        """Draw this, with these runs marked."""
        self._course, self._pair, self._cursor = course, (a, b), None
        count = len(course.points) if course else 0
        self.setAccessibleDescription(f"{count} runs; arrows go from run to run, Enter takes one as the run compared")
        self.update()

    def _known(self) -> list[Point]:
        return [point for point in self._course.points if point.value is not None] if self._course else []

    def _x(self, area: QRectF, place: int) -> float:
        assert self._course is not None
        count = len(self._course.points)
        return area.left() + 16 + (area.width() - 32) * (place / (count - 1) if count > 1 else 0.5)

    def _scale(self, area: QRectF) -> tuple[float, float, list[float]]:
        """Low end, high end and labels of the value axis."""
        known = self._known()
        assert self._course is not None
        if self._course.metric == "success":
            least = min(p.value for p in known if p.value is not None)
            least = min(least, self._course.threshold or 100.0)
            low, labels = share_scale(least - 0.1 * (100 - least), area.height())
            return low, 100.0, labels
        top = max(p.value for p in known if p.value is not None) or 1.0
        step = nice_step(top * 1.05, max(1, min(4, int(area.height() // 24))))
        high = step * math.ceil(top * 1.05 / step - 1e-9)
        return 0.0, high, [step * n for n in range(round(high / step) + 1)]

    def _y(self, area: QRectF, value: float, low: float, high: float) -> float:
        return area.bottom() - (value - low) / max(high - low, 1e-12) * (area.height() - 8)

    def draw(self, painter: QPainter, area: QRectF) -> None:
        course, known = self._course, self._known()
        if course is None or not known:
            self._nothing(painter, "No run of this plan has measured it." if course else "")
            return
        look = theme()
        low, high, labels = self._scale(area)
        shown = [(self._y(area, v, low, high), self._axis(course.metric, v, labels)) for v in labels]
        self._frame(painter, area, shown)
        self._runs(painter, area, course)
        if course.threshold is not None and low <= course.threshold <= high:
            y = math.floor(self._y(area, course.threshold, low, high)) + 0.5
            pen = QPen(look.colour("warn"), 1.25)
            pen.setDashPattern([5, 3])
            painter.setPen(pen)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.drawText(QRectF(area.left() + 30, y - 16, 140, 14), 0, f"threshold {course.threshold:g} %")
        path = [
            QPointF(self._x(area, n), self._y(area, p.value, low, high))
            for n, p in enumerate(course.points)
            if p.value is not None
        ]
        painter.setPen(QPen(look.colour("text3"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(path))
        for n, point in enumerate(course.points):
            if point.value is not None:
                self._point(painter, QPointF(self._x(area, n), self._y(area, point.value, low, high)), point)
            elif point.outcome in ("stopped", "aborted", "interrupted", "error"):
                painter.setPen(look.colour("text3"))
                cell = QRectF(self._x(area, n) - 30, area.bottom() - 18, 60, 14)
                painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), outcome_state(point.outcome)[1])
        self._flags(painter, area, course, low, high)

    def _runs(self, painter: QPainter, area: QRectF, course: Course) -> None:
        """The numbers of the runs, those that fit; the two that are compared always."""
        font = sized_font(SMALL_PX)
        metrics = QFontMetrics(font)
        ends: list[tuple[float, float]] = []
        wanted = [n for n, p in enumerate(course.points) if p.run in self._pair]
        wanted += [n for n in (0, len(course.points) - 1) if n not in wanted]
        wanted += [n for n in range(len(course.points)) if n not in wanted]
        for n in wanted:
            text = str(course.points[n].run)
            width, x = metrics.horizontalAdvance(text) + 8, self._x(area, n)
            if any(x - width / 2 < right and left < x + width / 2 for left, right in ends):
                continue
            ends.append((x - width / 2, x + width / 2))
            mine = course.points[n].run in self._pair
            painter.setFont(sized_font(SMALL_PX, QFont.Weight.DemiBold if mine else QFont.Weight.Normal))
            painter.setPen(theme().colour("text" if mine else "axis"))
            cell = QRectF(x - 30, area.bottom() + 5, 60, 14)
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), text)
            painter.setPen(QPen(theme().colour("grid"), 1))
            line = math.floor(x) + 0.5
            painter.drawLine(QPointF(line, area.top()), QPointF(line, area.bottom()))

    def _point(self, painter: QPainter, place: QPointF, point: Point) -> None:
        look = theme()
        if point.below:
            painter.setPen(QPen(look.colour("bad"), 2))
            for one in (1, -1):
                painter.drawLine(place + QPointF(-3.5, -3.5 * one), place + QPointF(3.5, 3.5 * one))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            success = self._course is not None and self._course.metric == "success"
            painter.setBrush(look.colour("ok" if success else "text2"))
            painter.drawEllipse(place, 3.5, 3.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if point.run in self._pair:
            painter.setPen(QPen(colour_b() if point.run == self._pair[1] else colour_a(), 1.5))
            painter.drawEllipse(place, 7.5, 7.5)
        if point.run == self._cursor:
            painter.setPen(QPen(look.colour("focus"), 2))
            painter.drawRect(QRectF(place.x() - 9, place.y() - 9, 18, 18))

    def _flags(self, painter: QPainter, area: QRectF, course: Course, low: float, high: float) -> None:
        """Words beside the baseline and run b."""
        font = sized_font(SMALL_PX, QFont.Weight.DemiBold)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        said = "baseline" if course.chosen else "first run"
        for n, point in enumerate(course.points):
            text = said if point.baseline else f"run {point.run}" if point.run == self._pair[1] else ""
            if not text or point.value is None:
                continue
            width = metrics.horizontalAdvance(text)
            x = max(area.left() + 2, min(self._x(area, n) - width / 2, area.right() - width))
            y = self._y(area, point.value, low, high)
            top = y + 10 if y + 26 < area.bottom() else y - 24
            painter.setPen(theme().colour("accent_text") if point.baseline else colour_b())
            painter.drawText(QRectF(x, top, width + 4, 15), 0, text)

    @staticmethod
    def _axis(metric: Metric, value: float, labels: Sequence[float]) -> str:
        if metric == "success":
            return per_cent(value, labels)
        return f"{value:,g}" if metric == "achieved" else axis_time(round(value, 6))

    @staticmethod
    def _value(metric: Metric, value: float) -> str:
        if metric == "success":
            return numbers.share(value)
        return numbers.rate(value) if metric == "achieved" else numbers.latency(value)

    def at(self, place: QPointF) -> Point | None:
        """The point near this place."""
        if self._course is None or not self._known():
            return None
        area = self.area()
        low, high, _ = self._scale(area)
        near = [
            ((self._x(area, n) - place.x()) ** 2 + (self._y(area, p.value, low, high) - place.y()) ** 2, n)
            for n, p in enumerate(self._course.points)
            if p.value is not None
        ]
        distance, number = min(near)
        return self._course.points[number] if distance <= NEAR**2 else None

    def place_of(self, run: int) -> QPointF:
        """Where the point of a run is."""
        assert self._course is not None
        area = self.area()
        low, high, _ = self._scale(area)
        number, point = next((n, p) for n, p in enumerate(self._course.points) if p.run == run)
        return QPointF(self._x(area, number), self._y(area, point.value or low, low, high))

    def tip_at(self, place: QPointF) -> str:
        point = self.at(place)
        if point is None or point.value is None or self._course is None:
            return ""
        lines = [f"Run {point.run}, {outcome_state(point.outcome)[1]}, {numbers.moment(point.t)}"]
        lines.append(self._value(self._course.metric, point.value))
        if point.low is not None and point.high is not None:
            lines[-1] += f" (95 %: {numbers.interval((point.low, point.high))})"
        lines.append("Click: compare it")
        return "\n".join(lines)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = self.at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if near else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = self.at(event.position())
        if point is not None:
            self.run_wanted.emit(point.run)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        runs = [point.run for point in self._known()]
        key = Qt.Key(event.key())
        if runs and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step(1 if key == Qt.Key.Key_Right else -1)
        elif runs and key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._step(len(runs) if key == Qt.Key.Key_End else -len(runs))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._cursor is not None:
            self._take()
        else:
            super().keyPressEvent(event)

    def _step(self, by: int) -> None:
        """Mark a run so many after the one that is marked, else after run b."""
        runs = [point.run for point in self._known()]
        if runs:
            now = self._cursor if self._cursor in runs else self._pair[1] if self._pair[1] in runs else runs[-1]
            place = runs.index(now) if now is not None else 0
            self._cursor = runs[max(0, min(len(runs) - 1, place + by))]
            self.update()

    def _take(self) -> None:
        if self._cursor is not None:
            self.run_wanted.emit(self._cursor)
