"""The live plots: throughput per server (lines to 12 servers, a heat map beyond) and requested against recorded.

pyqtgraph items are created once per run and updated with ``setData``: clearing and plotting again leaks, and recreated
items leave lines behind. Data arrive as numpy arrays on the window's own beat, never per message. X is seconds since
the start of the run. Colours come from the theme by name; a server keeps its number, and so its colour and dash, for
the whole run.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollBar, QToolTip, QVBoxLayout, QWidget

from gui.models.events import Event, Flag, place_flags
from gui.models.plain import straight
from gui.models.series import Array, Marks, round_top
from gui.widgets.icons import pixmap
from gui.widgets.theme import SMALL_PX, sized_font, theme

LINES_LIMIT = 12
"""Maximum number of servers for readable lines; beyond it, the heat map is the default."""
FLAG_HEIGHT, FLAG_STEP = 18, 20
BAND_HEIGHT = 3
RIGHT = 28
"""Pixels right of the plot: room for half of the last label of the time axis, with hours."""
DENSE = 1200
"""Number of measured points from which lines are thin: Qt takes 17 µs for each point of an antialiased line wider than
one pixel (0.7 s for ten minutes of fifty servers), and 0.3 µs for a line of one pixel."""
LEAST_LABEL = 16
"""Pixels between labels of the value axis: the height of a line of text."""
WIDE_GAP = 0.05
"""A gap is named when it was at least this part of what was requested."""
LABEL_HEIGHT = 13
"""Pixels between the middles of two labels of rows."""
LEAST_ROW = 6
"""Minimum height in pixels of a row of the heat map; with less room it scrolls."""

_STEPS = (1, 2, 4, 5, 10)
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def clock(seconds: float) -> str:
    """Seconds since the start as ``mm:ss`` or ``h:mm:ss``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"


def nice_step(span: float, most: int = 5) -> float:
    """The 1-2-4-5 step that divides `span` into at most `most` parts."""
    if span <= 0 or not math.isfinite(span):
        return 1.0
    scale = 10.0 ** math.floor(math.log10(span / most))
    return next((s * scale for s in _STEPS if span / (s * scale) <= most), 10 * scale)


class TimeAxis(pg.AxisItem):  # type: ignore[misc]
    """Labels in mm:ss at round times, only where they fit in the plot."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:
        most = max(2, int(size // 90))
        step = next((s for s in _TIME_STEPS if (maximum - minimum) / s <= most), 86400)
        first = math.ceil(minimum / step - 1e-9) * step
        values = [v for v in np.arange(first, maximum + 1e-9, step) if minimum <= v <= maximum]
        return [(step, values)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        return [clock(value) for value in values]


class ValueAxis(pg.AxisItem):  # type: ignore[misc]
    """Four or five labels from 0 in 1-2-4-5 steps, fewer on a small plot."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:
        step = nice_step(maximum - minimum, max(1, min(5, int(size // LEAST_LABEL))))
        start = math.ceil(minimum / step) * step
        return [(step, list(np.arange(start, maximum + step * 1e-6, step)))]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        digits = 0 if spacing >= 1 else min(3, -math.floor(math.log10(spacing)))
        return [f"{value:,.{digits}f}" for value in values]


class Canvas(pg.PlotWidget):  # type: ignore[misc]
    """A plot whose owner paints over it, in pixels: flags, bands and cross hair need no scene items."""

    def __init__(self, owner: Plot, **options: Any) -> None:
        super().__init__(**options)
        self._owner = owner
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # nothing in it is done by keys

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: ARG002 - Qt's own signature
        self._owner.paint_over(painter)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._owner.show_all()
        super().mouseDoubleClickEvent(event)


class Plot(QWidget):
    """A title line and a plot under it. `hovered` carries the time under the pointer, or NaN when it leaves."""

    hovered = Signal(float)
    ranged = Signal(float, float)
    """The user has zoomed or moved the time axis to this range; NaN, NaN: back to the whole range."""

    def __init__(self, title: str, unit: str, parent: QWidget | None = None, *, heading: bool = True) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.heading = QLabel(title)
        self.heading.setProperty("kind", "section")
        self.unit = QLabel(unit)
        self.unit.setProperty("kind", "hint")
        self.head = QHBoxLayout()
        self.head.setContentsMargins(16, 4, 16, 2)
        self.head.setSpacing(8)
        self.head.addWidget(self.heading)
        self.head.addWidget(self.unit)
        self.head.addStretch(1)

        self.value_axis = ValueAxis("left")
        self.time_axis = TimeAxis("bottom")
        self._events: tuple[Event, ...] = ()
        self._flags: list[tuple[QRectF, Event]] = []
        self._cross = math.nan
        self.flagged = False
        """Whether flags are shown here; the plots below on the same axis show only stems and bands."""
        self._margin = 6
        self.canvas = Canvas(self, axisItems={"left": self.value_axis, "bottom": self.time_axis})
        self.item: Any = self.canvas.getPlotItem()
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.item.setContentsMargins(0, self._margin, RIGHT, 0)
        self.item.getViewBox().setMouseEnabled(x=True, y=False)
        self.item.setClipToView(True)
        self.value_axis.setWidth(56)
        self.time_axis.setHeight(24)
        self.canvas.setAccessibleName(f"{title}, {unit}")
        self.canvas.viewport().installEventFilter(self)
        self.canvas.scene().sigMouseMoved.connect(self._moved)
        box = self.item.getViewBox()
        box.sigRangeChanged.connect(self._range_changed)
        box.sigRangeChangedManually.connect(self._hold)
        box.sigResized.connect(self._range_changed)
        self._span = 10.0
        self._held = False
        """The user has zoomed or moved the time axis: it stays there until the whole range is shown again."""

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        if heading:
            layout.addLayout(self.head)
        else:  # the page shows one title line for several plots
            self.heading.hide()
            self.unit.hide()
        layout.addWidget(self.canvas, 1)
        theme().follow(self.restyle)

    def restyle(self) -> None:
        """Apply the colours of the current theme."""
        look = theme()
        self.canvas.setBackground(look.colour("surface"))
        for axis in (self.value_axis, self.time_axis):
            axis.setPen(pg.mkPen(look.colour("border_strong")))
            axis.setTextPen(pg.mkPen(look.colour("axis")))
            # Labels at the very ends are drawn too: the margins have room for them.
            axis.setStyle(tickLength=0, tickTextOffset=8, tickFont=sized_font(SMALL_PX), hideOverlappingLabels=RIGHT)
        self.value_axis.setGrid(False)

    def show_cross(self, seconds: float) -> None:
        """Put the cross hair at this time, or remove it (NaN). Linked plots show the same time."""
        if seconds != self._cross and not (math.isnan(seconds) and math.isnan(self._cross)):
            self._cross = seconds
            self.canvas.viewport().update()

    def set_events(self, events: Sequence[Event]) -> None:
        """Flags, stems and bands; `Event.at` is on this plot's axis."""
        if tuple(events) == self._events:
            return
        self._events = tuple(events)
        self._place_flags()
        self.canvas.viewport().update()

    # ---- painted over the plot, in pixels

    def area(self) -> QRectF:
        """Where data are drawn, in pixels of the canvas."""
        return QRectF(self.item.getViewBox().sceneBoundingRect())

    def x_of(self, seconds: float) -> float:
        """The pixel of a time."""
        area, (low, high) = self.area(), self.item.getViewBox().viewRange()[0]
        return area.left() + (seconds - low) / (high - low) * area.width() if high > low else area.left()

    def y_of(self, value: float) -> float:
        """The pixel of a value."""
        area, (low, high) = self.area(), self.item.getViewBox().viewRange()[1]
        return area.bottom() - (value - low) / (high - low) * area.height() if high > low else area.bottom()

    def points_at(self, seconds: float) -> list[tuple[float, float, QColor]]:  # noqa: ARG002
        """``(time, value, colour)`` of each line at that time, for the rings on it."""
        return []

    def paint_over(self, painter: QPainter) -> None:
        """Bands, stems, flags and the cross hair."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self.area()
        painter.save()
        painter.setClipRect(area.adjusted(0, -self._margin, 1, 0))
        for event in self._events:
            self._paint_event(painter, area, event)
        painter.restore()
        self._flags = self._placed_flags(painter, area) if self.flagged else []
        if not math.isnan(self._cross):
            self._paint_cross(painter, area)
        painter.restore()

    def _paint_event(self, painter: QPainter, area: QRectF, event: Event) -> None:
        look, x = theme(), self.x_of(event.at)
        if event.until is not None:
            band = QRectF(x, area.top(), self.x_of(event.until) - x, area.height())
            painter.fillRect(band, look.colour(event.colour, 0.1))
        pen = QPen(look.colour(event.colour), 1)
        pen.setDashPattern([3, 3])
        painter.setPen(pen)
        x = math.floor(x) + 0.5
        painter.drawLine(QPointF(x, area.top() - (self._margin if self.flagged else 0)), QPointF(x, area.bottom()))

    def _place_flags(self) -> None:
        """Make room above the plot for the rows of flags; it stays while the plot is shown."""
        if not self.flagged:
            return
        rows = 1 + max((flag.row for flag in self._flag_places()), default=-1)
        margin = max(24 if self._events else 6, 4 + FLAG_STEP * rows, self._margin if self._events else 0)
        if margin != self._margin:
            self._margin = margin
            self.item.setContentsMargins(0, margin, RIGHT, 0)

    def _flag_font(self) -> QFont:
        return sized_font(SMALL_PX, QFont.Weight.Medium)

    def _shown_events(self) -> list[Event]:
        low, high = self.item.getViewBox().viewRange()[0]
        return [event for event in self._events if low <= event.at <= high]

    def _flag_places(self) -> list[Flag]:
        metrics, left = QFontMetrics(self._flag_font()), self.area().left()
        places = [(self.x_of(e.at) - left, metrics.horizontalAdvance(e.short) + 30.0) for e in self._shown_events()]
        return place_flags(places, self.area().width() + 20, rows=1)

    def _placed_flags(self, painter: QPainter, area: QRectF) -> list[tuple[QRectF, Event]]:
        look, shown, found = theme(), self._shown_events(), []
        font = self._flag_font()
        metrics = QFontMetrics(font)
        painter.setFont(font)
        for flag in self._flag_places():
            event = shown[flag.event]
            words = event.short + (f"  +{flag.more}" if flag.more else "")
            box = QRectF(
                math.floor(area.left() + flag.left) + 0.5,
                area.top() - FLAG_STEP * (flag.row + 1) + 0.5,
                metrics.horizontalAdvance(words) + 30,
                FLAG_HEIGHT - 1,
            )
            painter.setBrush(look.colour(f"{event.colour}_bg"))
            painter.setPen(QPen(look.colour(event.colour), 1))
            painter.drawRoundedRect(box, 2, 2)
            painter.drawPixmap(
                QPointF(box.left() + 6, box.top() + 2.5),
                pixmap(event.icon, event.colour, 12, self.devicePixelRatioF()),
            )
            painter.drawText(box.adjusted(23, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), words)
            folded = shown[flag.event : flag.event + 1 + flag.more]
            found += [(box, one) for one in folded]
        return found

    def _paint_cross(self, painter: QPainter, area: QRectF) -> None:
        look, x = theme(), math.floor(self.x_of(self._cross)) + 0.5
        if not area.left() <= x <= area.right() + 1:
            return
        painter.setPen(QPen(look.colour("crosshair"), 1))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setBrush(look.colour("surface"))
        for seconds, value, colour in self.points_at(self._cross):
            y = self.y_of(value)
            if area.top() <= y <= area.bottom():
                painter.setPen(QPen(colour, 1.5))
                painter.drawEllipse(QPointF(self.x_of(seconds), y), 3, 3)
        chip = QRectF(x - 22, area.bottom() + 5, 44, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("text2"))
        painter.drawRoundedRect(chip, 2, 2)
        painter.setPen(look.colour("window"))
        painter.setFont(self._flag_font())
        painter.drawText(chip, int(Qt.AlignmentFlag.AlignCenter), clock(self._cross))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Show the whole text of a flag under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            under = [one for box, one in self._flags if box.contains(event.pos().toPointF())]
            if under:
                # Qt would treat outside text as rich text when it looks like it: entities keep it plain.
                lines = "<br>".join(
                    html.escape(f"{clock(one.at)}  {one.text}{'. ' if one.detail else ''}{one.detail}")
                    for one in under[:12]
                )
                QToolTip.showText(event.globalPos(), f"<p>{lines}</p>", self.canvas)
                return True
        return super().eventFilter(watched, event)

    def leaveEvent(self, event: Any) -> None:
        self.hovered.emit(math.nan)
        super().leaveEvent(event)

    def _moved(self, position: QPointF) -> None:
        box = self.item.getViewBox()
        if box.sceneBoundingRect().contains(position):
            self.hovered.emit(float(box.mapSceneToView(position).x()))
        else:
            self.hovered.emit(math.nan)

    def _range_changed(self, *_: object) -> None:
        """Keep what is painted over and above the plot at its time when the range changes."""
        self._place_flags()
        self.canvas.viewport().update()

    def _hold(self, *_: object) -> None:
        self._held = True
        self.ranged.emit(*self.item.getViewBox().viewRange()[0])

    def show_all(self) -> None:
        """Show the whole time axis again, in all plots that are linked to this one."""
        self.show_range(math.nan, math.nan)
        self.ranged.emit(math.nan, math.nan)

    def show_range(self, begin: float, end: float) -> None:
        """Show this time range and stay there; NaN: the whole range, growing with the run."""
        self._held = not math.isnan(begin)
        if self._held:
            self.item.setXRange(begin, end, padding=0)
        else:
            self.item.setXRange(0, self._span, padding=0)

    def set_span(self, seconds: float, top: float) -> None:
        """Show 0…`seconds` and 0…`top`, both rounded up so that the axes do not jump at every sample."""
        self._show_time(seconds)
        unit = nice_step(top or 1.0, 4)
        self.item.setYRange(0, max(unit, math.ceil(top * 1.02 / unit) * unit), padding=0)

    def _show_time(self, seconds: float) -> None:
        step = next((s for s in _TIME_STEPS if seconds / s <= 8), 86400)
        self._span = max(10.0, math.ceil(seconds / step) * step)
        if not self._held:
            self.item.setXRange(0, self._span, padding=0)


class _Grid(pg.GraphicsObject):  # type: ignore[misc]
    """Thin lines at the axis labels only, behind everything."""

    def __init__(self, plot: Plot) -> None:
        super().__init__()
        self._plot = plot
        self.setZValue(-100)

    def boundingRect(self) -> QRectF:
        return QRectF(self._plot.item.getViewBox().viewRect())

    def paint(self, painter: QPainter, *_: Any) -> None:
        view = self.boundingRect()
        pen = QPen(theme().colour("grid"), 0)
        painter.setPen(pen)
        box = self._plot.item.getViewBox()
        axes: list[tuple[TimeAxis | ValueAxis, bool]] = [
            (self._plot.value_axis, False),
            (self._plot.time_axis, True),
        ]
        for axis, upright in axes:
            low, high = (view.left(), view.right()) if upright else (view.top(), view.bottom())
            size = box.width() if upright else box.height()
            for _step, values in axis.tickValues(low, high, size):
                for at in values:
                    if upright:
                        painter.drawLine(QPointF(at, view.top()), QPointF(at, view.bottom()))
                    else:
                        painter.drawLine(QPointF(view.left(), at), QPointF(view.right(), at))


class LinesPlot(Plot):
    """One line per server."""

    def __init__(self, title: str, unit: str, parent: QWidget | None = None, *, heading: bool = True) -> None:
        super().__init__(title, unit, parent, heading=heading)
        self._names: list[str] = []
        self._curves: list[Any] = []
        self._numbers: list[int] = []
        self._first_dashed = 0
        self._selected: str | None = None
        self._dense = False
        self._data: tuple[Array, Array] = (np.empty(0), np.empty((0, 0)))
        self.flagged = True
        self.item.addItem(_Grid(self), ignoreBounds=True)
        self.restyle()

    def set_servers(self, servers: Sequence[tuple[str, int]], dashed: int | None = None) -> None:
        """The servers ``(name, number)`` of this run; the number fixes colour and dash. Those from place `dashed` on
        are the same servers again, by another measure. Called once per run and measure."""
        self._first_dashed = len(servers) if dashed is None else dashed
        self._data = (np.empty(0), np.empty((0, 0)))
        for curve in self._curves:
            self.item.removeItem(curve)
        self._names = [name for name, _ in servers]
        self._numbers = [number for _, number in servers]
        self._curves = []  # created when they are first drawn: fifty take 50 ms, and are rarely shown

    def update_data(self, times: Array, values: Array) -> None:
        """`times` (n,): the start of each second, since the start of the run; `values` (servers, n) in the order of
        `set_servers`, NaN where nothing was measured: a gap in the line. A mean is in the middle of its second."""
        middles = times + 0.5
        self._data = (middles, values)
        known = values[~np.isnan(values)]
        dense = known.size > DENSE
        if len(self._curves) != len(values) or dense != self._dense:
            self._dense = dense
            self._make_curves()
            self.restyle()
        for curve, row in zip(self._curves, values, strict=True):
            curve.setData(middles, row, connect="finite")
        self.set_span(float(times[-1]) + 1 if times.size else 0.0, float(np.max(known)) if known.size else 0.0)

    def _make_curves(self) -> None:
        for _ in range(len(self._curves), len(self._names)):
            curve = pg.PlotCurveItem(antialias=True)
            self.item.addItem(curve)
            self._curves.append(curve)

    def points_at(self, seconds: float) -> list[tuple[float, float, QColor]]:
        times, values = self._data
        if not times.size:
            return []
        near = int(np.argmin(np.abs(times - seconds)))
        return [
            (float(times[near]), float(row[near]), theme().series(number))
            for number, row in zip(self._numbers, values, strict=True)
            if not math.isnan(row[near])
        ]

    def select(self, name: str | None) -> None:
        """Draw this server's line thicker and last; the others keep their full colour."""
        self._selected = name
        self.restyle()

    def restyle(self) -> None:
        super().restyle()
        usual = 1.0 if self._dense else 1.75
        for place, (name, number, curve) in enumerate(zip(self._names, self._numbers, self._curves, strict=False)):
            chosen = name == self._selected
            pen = line_pen(number, 2.5 if chosen else usual)
            if place >= self._first_dashed:
                pen.setDashPattern([2, 3])
            if chosen and self._dense:  # drawing by segment is cheap, but dashes would restart at each one
                pen.setStyle(Qt.PenStyle.SolidLine)
            curve.setPen(pen)
            curve.setSegmentedLineMode("on" if chosen and self._dense else "auto")
            curve.setZValue(10 if chosen else 0)


def line_pen(number: int, width: float) -> QPen:
    """The pen of server `number`. Qt counts dashes in units of the pen's width, the theme in pixels."""
    pen = pg.mkPen(theme().series(number), width=width)
    dash = theme().dash(number)
    if dash:
        pen.setDashPattern([length / width for length in dash])
    return pen  # type: ignore[no-any-return]


class HeatMap(Plot):
    """A row per server, time to the right, colour for the value; hatched where a measurement is missing."""

    scale_changed = Signal()

    def __init__(self, title: str, unit: str, parent: QWidget | None = None, *, heading: bool = True) -> None:
        super().__init__(title, unit, parent, heading=heading)
        self._names: list[str] = []
        self._news: dict[str, str] = {}
        self._pointed: tuple[int, float] | None = None
        """Row and time under the pointer."""
        self.remark: Callable[[str], str] = lambda _name: ""
        """A sentence about a server, for the box beside the pointer."""
        self._first = 0
        self._selected: str | None = None
        self.flagged = True
        self.top = 1.0
        """The end of the scale, in the unit of the data; it never shrinks during a run."""
        self._shown: tuple[float, Array, Marks] = (0.0, np.empty((0, 0)), np.empty((0, 0), dtype=bool))
        self._image = pg.ImageItem(axisOrder="row-major")
        self._colours = heat_table()
        self._hatch = pg.QtWidgets.QGraphicsRectItem()
        self._hatch.setZValue(-50)
        self._hatch.setPen(QPen(Qt.PenStyle.NoPen))
        self.item.addItem(self._hatch, ignoreBounds=True)
        self.item.addItem(self._image)
        self._rows = _RowAxis("left")
        self.item.setAxisItems({"left": self._rows})
        self.value_axis = self._rows
        self._rows.setWidth(56)
        self.item.getViewBox().invertY(b=True)
        self._bar = QScrollBar(Qt.Orientation.Vertical, self.canvas)
        self._bar.setAccessibleName("Servers of the heat map")
        self._bar.valueChanged.connect(self._scrolled)
        self._bar.hide()
        self.restyle()

    def set_servers(self, servers: Sequence[tuple[str, int]]) -> None:
        """Set the servers of this run, the first at the top."""
        self._names = [name for name, _ in servers]
        self._news = {}
        self.top = 1.0
        self._first = 0
        self._rows.names = self._names
        self._shown = (0.0, np.empty((0, 0)), np.empty((0, 0), dtype=bool))
        self._image.clear()
        self._hatch.setRect(QRectF())
        self._relabel()  # rows of other servers are no more
        self._show_rows()

    def arrange(self, names: Sequence[str]) -> None:
        """Show the same servers in this order; the data come in this order from now on."""
        if list(names) != self._names:
            self._names = list(names)
            self._rows.names = self._names
            self._relabel()

    def set_news(self, news: dict[str, str]) -> None:
        """Servers that are in the news, with a colour of the theme: their labels are shown, whatever is beside them."""
        if news != self._news:
            self._news = dict(news)
            self._relabel()

    def _relabel(self) -> None:
        self._rows.own = [self._names.index(name) for name in (self._selected, *self._news) if name in self._names]
        self._rows.picture = None
        self._rows.update()
        self.canvas.viewport().update()

    def update_data(self, times: Array, values: Array, missing: Marks | None = None) -> None:
        """As `LinesPlot.update_data`; one column is one second. `missing` (servers, n) cells should have been measured
        and are hatched (None: all NaN cells); other cells without a value are left empty."""
        if not times.size or not values.size:
            return
        known = ~np.isnan(values)
        peak = float(np.max(values[known])) if known.any() else 0.0
        if peak > self.top:
            self.top = round_top(peak, self.top)
            self.scale_changed.emit()
        self._shown = (float(times[0]), values, ~known if missing is None else missing)
        self._draw()
        self._show_time(float(times[-1]) + 1)

    def _draw(self) -> None:
        first, values, missing = self._shown
        if not values.size:
            return
        known = ~np.isnan(values)
        pixels = np.zeros((*values.shape, 4), dtype=np.ubyte)
        surface = theme().colour("surface")
        pixels[:, :, :3] = (surface.red(), surface.green(), surface.blue())
        pixels[known, :3] = self._colours[(np.clip(values[known] / self.top, 0, 1) * 255).astype(np.intp)]
        pixels[:, :, 3] = np.where(known | ~missing, 255, 0)  # the hatching is behind the picture
        self._image.setImage(pixels, autoLevels=False, levels=None)
        area = QRectF(first, 0, values.shape[1], len(self._names))
        self._image.setRect(area)
        self._hatch.setRect(area)

    def select(self, name: str | None) -> None:
        """Mark this server's row and scroll to it."""
        self._selected = name
        if name in self._names:
            row, shown = self._names.index(name), self._shown_rows()
            if not self._first <= row < self._first + shown:
                self._bar.setValue(max(0, row - shown // 2))
        self._relabel()

    def restyle(self) -> None:
        super().restyle()
        brush = QBrush(theme().colour("border_strong"), Qt.BrushStyle.BDiagPattern)
        self._hatch.setBrush(brush)
        self._draw()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._show_rows()

    def paint_over(self, painter: QPainter) -> None:
        if self._selected in self._names:
            self._paint_selected(painter, self._names.index(self._selected))
        taken: list[float] = []
        for row in self._rows.own:
            middle = self.y_of(row + 0.5)
            if not any(abs(middle - other) < LABEL_HEIGHT for other in taken):
                taken.append(middle)
                name = self._names[row]
                self._paint_label(painter, row, "text" if name == self._selected else self._news[name])
        super().paint_over(painter)
        if self._pointed is not None:
            self._paint_pointed(painter, *self._pointed)

    def _paint_label(self, painter: QPainter, row: int, colour: str) -> None:
        area, middle = self.area(), self.y_of(row + 0.5)
        if not area.top() <= middle <= area.bottom():
            return
        painter.save()
        font = sized_font(SMALL_PX, QFont.Weight.Bold)
        painter.setFont(font)
        painter.setPen(theme().colour(colour))
        label = QRect(round(area.left()) - 56, round(middle) - 8, 50, 16)
        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(label, right, _short_name(self._names[row], QFontMetrics(font)))
        painter.restore()

    def _moved(self, position: QPointF) -> None:
        super()._moved(position)
        area, (low, high) = self.area(), self.item.getViewBox().viewRange()[1]
        row = math.floor(low + (position.y() - area.top()) / max(1.0, area.height()) * (high - low))
        inside = area.contains(position) and 0 <= row < len(self._names)
        seconds = float(self.item.getViewBox().mapSceneToView(position).x())
        self._pointed = (row, seconds) if inside else None
        self.canvas.viewport().update()

    def leaveEvent(self, event: Any) -> None:
        self._pointed = None
        super().leaveEvent(event)

    def pointed_at(self) -> list[str]:
        """What the box beside the pointer says: server and time, value and median, a remark; empty without a value."""
        if self._pointed is None:
            return []
        row, seconds = self._pointed
        first, values, _ = self._shown
        column = math.floor(seconds - first)
        if not (row < len(values) and 0 <= column < values.shape[1]):
            return []
        value, all_values = float(values[row, column]), values[:, column]
        known = all_values[~np.isnan(all_values)]
        middle = f"median {np.median(known):,.1f}" if known.size else "median –"
        figure = "not measured" if math.isnan(value) else f"{value:,.1f} MiB/s"
        name = " ".join(self._names[row].split())
        lines = [f"{name if len(name) <= 24 else name[:23] + '…'}   {clock(first + column)}", f"{figure}   {middle}"]
        return [*lines, remark] if (remark := self.remark(self._names[row])) else lines

    def _paint_pointed(self, painter: QPainter, row: int, seconds: float) -> None:
        lines = self.pointed_at()
        if not lines:
            return
        look, font = theme(), sized_font(12)
        metrics = QFontMetrics(font)
        width = 20 + max(metrics.horizontalAdvance(line) for line in lines)
        height = 10 + 17 * len(lines)
        x, y = self.x_of(seconds) + 12, self.y_of(row + 1) + 6
        if x + width > self.canvas.width() - 2:
            x = self.x_of(seconds) - 12 - width
        if y + height > self.canvas.height() - 2:
            y = self.y_of(row) - 6 - height
        painter.save()
        box = QRectF(math.floor(x) + 0.5, math.floor(y) + 0.5, width, height)
        painter.setBrush(look.colour("raised"))
        painter.setPen(QPen(look.colour("border_strong"), 1))
        painter.drawRoundedRect(box, 4, 4)
        for number, line in enumerate(lines):
            painter.setFont(sized_font(12, QFont.Weight.DemiBold if number == 0 else QFont.Weight.Normal))
            painter.setPen(look.colour("warn" if number == 2 else "text"))
            place = QRectF(box.left() + 10, box.top() + 5 + 17 * number, width - 20, 17)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), line)
        painter.restore()

    def _paint_event(self, painter: QPainter, area: QRectF, event: Event) -> None:
        """Do not tint the cells, or their colours would show another value: a lasting state is a bar above them, and a
        stem is dark and light, since it can be over any colour of the scale."""
        look = theme()
        for seconds in (event.at,) if event.until is None else (event.at, event.until):
            x = math.floor(self.x_of(seconds)) + 0.5
            ends = QPointF(x, area.top()), QPointF(x, area.bottom())
            painter.setPen(QPen(look.colour("text"), 1))
            painter.drawLine(*ends)
            pen = QPen(look.colour("surface"), 1)
            pen.setDashPattern([3, 3])
            painter.setPen(pen)
            painter.drawLine(*ends)
        x = self.x_of(event.at)
        painter.setPen(QPen(look.colour(event.colour), 1))
        painter.drawLine(
            QPointF(math.floor(x) + 0.5, area.top() - self._margin), QPointF(math.floor(x) + 0.5, area.top())
        )
        if event.until is not None:
            bar = QRectF(x, area.top() - BAND_HEIGHT, self.x_of(event.until) - x, BAND_HEIGHT)
            painter.fillRect(bar, look.colour(event.colour))

    def y_of(self, value: float) -> float:
        area, (low, high) = self.area(), self.item.getViewBox().viewRange()[1]
        return area.top() + (value - low) / (high - low) * area.height() if high > low else area.top()

    def _paint_selected(self, painter: QPainter, row: int) -> None:
        look, area = theme(), self.area()
        top, bottom = round(self.y_of(row)), round(self.y_of(row + 1))
        if bottom <= area.top() or top >= area.bottom():
            return
        painter.save()
        painter.setPen(QPen(look.colour("surface"), 1))
        for y in (top - 0.5, bottom + 0.5):
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        middle = (top + bottom) / 2
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(look.colour("text"))
        painter.setPen(Qt.PenStyle.NoPen)
        tip = area.right() + 3
        painter.drawPolygon(
            QPolygonF([QPointF(tip, middle), QPointF(tip + 7, middle - 4), QPointF(tip + 7, middle + 4)])
        )
        painter.restore()

    # ---- as many rows as there is room for

    def _shown_rows(self) -> int:
        room = self.canvas.height() - self._margin - 24
        return max(1, min(len(self._names), room // LEAST_ROW)) if self._names else 1

    def _show_rows(self) -> None:
        shown = self._shown_rows()
        self._bar.setRange(0, max(0, len(self._names) - shown))
        self._bar.setPageStep(shown)
        self._bar.setVisible(shown < len(self._names))
        self._bar.setGeometry(self.canvas.width() - 9, self._margin, 8, self.canvas.height() - self._margin - 24)
        self._first = min(self._first, self._bar.maximum())
        self.item.setYRange(self._first, self._first + max(1, shown), padding=0)

    def _scrolled(self, first: int) -> None:
        self._first = first
        self._show_rows()


def heat_table() -> npt.NDArray[np.ubyte]:
    """The 256 colours (256, 3) of the heat map."""
    colours = [QColor(step) for step in theme().heat]
    table = pg.ColorMap(np.linspace(0, 1, len(colours)), [c.getRgb() for c in colours]).getLookupTable(0.0, 1.0, 256)
    return np.asarray(table, dtype=np.ubyte)[:, :3]


def _short_name(name: str, metrics: QFontMetrics) -> str:
    return metrics.elidedText(" ".join(straight(name).split()), Qt.TextElideMode.ElideMiddle, 46)


class _RowAxis(ValueAxis):
    """Server names beside the middle of their rows, as many as fit. `own`: rows whose labels are painted by the owner;
    those beside them give way."""

    names: Sequence[str] = ()
    own: Sequence[int] = ()

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:
        count = len(self.names)
        if not count:
            return [(1, [])]
        minimum, maximum = sorted((minimum, maximum))  # the axis runs downwards
        shown = max(1.0, maximum - minimum)
        step = next((s for s in (1, 5, 10, 20, 50, 100) if s * size / shown >= 14), 200)
        # s01, s05, s10 …: the first, then every fifth, as people count.
        rows = sorted({0, *range(step - 1, count, step)})
        near = LABEL_HEIGHT * shown / max(1.0, size)
        free = [row for row in rows if all(abs(row - other) >= near for other in self.own)]
        return [(step, [row + 0.5 for row in free if minimum <= row + 0.5 <= maximum])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        metrics = QFontMetrics(sized_font(SMALL_PX))
        return [_short_name(self.names[int(value)], metrics) for value in values if 0 <= int(value) < len(self.names)]


class ConvergingPlot(Plot):
    """Requested, read and recorded files since the start, with the gap between read and recorded filled."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Requested and recorded", "files, same time axis", parent)
        self.item.addItem(_Grid(self), ignoreBounds=True)
        self._read = self.item.plot(antialias=True)
        self._recorded = self.item.plot(antialias=True)
        self._data: tuple[Array, ...] = (np.empty(0),) * 4
        self._gap = pg.FillBetweenItem(self._read, self._recorded)
        self._gap.setZValue(-10)
        self.item.addItem(self._gap)
        self._requested = self.item.plot(antialias=True)
        self.restyle()

    def update_data(self, times: Array, requested: Array, read: Array, recorded: Array) -> None:
        """Four arrays of the same length: seconds since the start, and files so far; NaN where there is no count. A
        line is straight from one count to the next."""
        seconds = float(times[-1]) + 1 if times.size else 0.0  # to the end of the last second, as in the other plots
        counted = ~np.isnan(requested)
        times, requested, read, recorded = (values[counted] for values in (times, requested, read, recorded))
        again = np.flatnonzero(np.diff(requested) < 0) + 1  # the next repeat counts from 0 again: start a new line
        times, requested, read, recorded = (
            np.insert(values, again, np.nan) for values in (times, requested, read, recorded)
        )
        self._data = (times, requested, read, recorded)
        self._read.setData(times, read, connect="finite")
        self._recorded.setData(times, recorded, connect="finite")
        self._requested.setData(times, requested, connect="finite")
        top = float(np.nanmax(requested)) if requested.size else 0.0
        self.set_span(seconds, top)

    def widest_gap(self) -> tuple[float, float, float] | None:
        """(time, read, recorded) where most files had been read and not recorded; None if the gap was never wide enough
        to be seen."""
        times, requested, read, recorded = self._data
        gap = np.where(np.isnan(read) | np.isnan(recorded), 0.0, read - recorded)
        if not gap.size:
            return None
        place = int(np.argmax(gap))
        top = float(np.nanmax(requested))
        if gap[place] < max(2.0, WIDE_GAP * top):
            return None
        return float(times[place]), float(read[place]), float(recorded[place])

    def paint_over(self, painter: QPainter) -> None:
        super().paint_over(painter)
        widest = self.widest_gap()
        low, high = self.item.getViewBox().viewRange()[0]
        if widest is None or not low <= widest[0] <= high:
            return
        seconds, read, recorded = widest
        look, x = theme(), math.floor(self.x_of(seconds)) + 0.5
        top, foot = self.y_of(read), self.y_of(recorded)
        if foot - top < 6:
            return
        painter.save()
        painter.setPen(QPen(look.colour("text"), 1))
        painter.drawLine(QPointF(x, top), QPointF(x, foot))
        for y in (top, foot):
            painter.drawLine(QPointF(x - 3, y), QPointF(x + 3, y))
        painter.setFont(sized_font(SMALL_PX))
        words = f"widest gap {read - recorded:,.0f}"
        width = painter.fontMetrics().horizontalAdvance(words)
        area = self.area()
        left = min(max(area.left() + 4, x - width - 8), area.right() - width - 4)
        below = foot + 4 if foot + 18 <= area.bottom() else max(area.top(), top - 18)
        painter.drawText(QRectF(left, below, width + 2, 14), int(Qt.AlignmentFlag.AlignVCenter), words)
        painter.restore()

    def points_at(self, seconds: float) -> list[tuple[float, float, QColor]]:
        times, *lines = self._data
        if not times.size:
            return []
        near = int(np.nanargmin(np.abs(times - seconds)))
        pens = self.pens()
        return [
            (float(times[near]), float(line[near]), pens[name].color())
            for name, line in zip(("requested", "read", "recorded"), lines, strict=True)
            if name != "requested"
        ]

    def pens(self) -> dict[str, QPen]:
        """The pen of each line, by its name, for the legend."""
        look = theme()
        dashed = pg.mkPen(look.colour("text2"), width=1.25)
        dashed.setDashPattern([4 / 1.25, 3 / 1.25])
        return {
            "requested": dashed,
            "read": pg.mkPen(look.series(1), width=1.5),
            "recorded": pg.mkPen(look.colour("accent_text"), width=2.25),
        }

    def gap_pen(self) -> QPen:
        """How the gap looks in the legend."""
        return QPen(theme().colour("accent_text", 0.2), 12, c=Qt.PenCapStyle.FlatCap)

    def restyle(self) -> None:
        super().restyle()
        pens = self.pens()
        self._requested.setPen(pens["requested"])
        self._read.setPen(pens["read"])
        self._recorded.setPen(pens["recorded"])
        self._gap.setBrush(QBrush(theme().colour("accent_text", 0.2)))
