"""The live plots: throughput per server (lines to 12 servers, a heat map beyond) and requested against recorded.

pyqtgraph items are made once per run and fed with ``setData``: clearing and plotting anew leaks, and recreated items
leave lines behind. Data arrive as numpy arrays on the window's own beat, never per message. X is seconds since the
start of the run. Colours come from the theme by name; a server keeps its number, and so colour and dash, all run long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QPainter, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.widgets.theme import SMALL_PX, sized_font, theme

Array = npt.NDArray[np.float64]

LINES_LIMIT = 12
"""Servers up to which lines are readable; beyond, the heat map is the default."""

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
    """Labels in mm:ss at round times; none that would leave the plot."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:
        most = max(2, int(size // 90))
        step = next((s for s in _TIME_STEPS if (maximum - minimum) / s <= most), 86400)
        first = math.ceil(minimum / step) * step
        values = [v for v in np.arange(first, maximum + 1e-9, step) if minimum <= v <= maximum]
        return [(step, values)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        return [clock(value) for value in values]


class ValueAxis(pg.AxisItem):  # type: ignore[misc]
    """Four or five labels from 0 in 1-2-4-5 steps."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: ARG002
        step = nice_step(maximum - minimum)
        start = math.ceil(minimum / step) * step
        return [(step, list(np.arange(start, maximum + step * 1e-6, step)))]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        digits = 0 if spacing >= 1 else min(3, -math.floor(math.log10(spacing)))
        return [f"{value:,.{digits}f}" for value in values]


class Plot(QWidget):
    """A title line and a plot under it. `hovered` carries the time under the pointer, or NaN when it left."""

    hovered = Signal(float)

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
        self.canvas = pg.PlotWidget(axisItems={"left": self.value_axis, "bottom": self.time_axis})
        self.item: Any = self.canvas.getPlotItem()
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.item.setContentsMargins(0, 6, 28, 0)
        self.item.getViewBox().setMouseEnabled(x=True, y=False)
        self.item.setClipToView(True)
        self.value_axis.setWidth(56)
        self.time_axis.setHeight(24)
        self.canvas.setAccessibleName(f"{title}, {unit}")
        self._cross = pg.InfiniteLine(angle=90, movable=False)
        self._cross.setVisible(False)
        self._cross.setZValue(50)
        self.item.addItem(self._cross, ignoreBounds=True)
        self.canvas.scene().sigMouseMoved.connect(self._moved)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        if heading:
            layout.addLayout(self.head)
        else:  # the page shows one title line for several plots
            self.heading.hide()
            self.unit.hide()
        layout.addWidget(self.canvas, 1)
        theme().changed.connect(self.restyle)

    def restyle(self) -> None:
        """Take the colours of the theme in force."""
        look = theme()
        self.canvas.setBackground(look.colour("surface"))
        for axis in (self.value_axis, self.time_axis):
            axis.setPen(pg.mkPen(look.colour("border_strong")))
            axis.setTextPen(pg.mkPen(look.colour("axis")))
            axis.setStyle(tickLength=0, tickTextOffset=8, tickFont=sized_font(SMALL_PX))
        self._cross.setPen(pg.mkPen(look.colour("crosshair")))
        self.value_axis.setGrid(False)

    def show_cross(self, seconds: float) -> None:
        """Put the cross hair at this time, or take it away (NaN). Linked plots show the same time."""
        visible = not math.isnan(seconds)
        if visible:
            self._cross.setPos(seconds)
        self._cross.setVisible(visible)

    def leaveEvent(self, event: Any) -> None:
        self.hovered.emit(math.nan)
        super().leaveEvent(event)

    def _moved(self, position: QPointF) -> None:
        box = self.item.getViewBox()
        if box.sceneBoundingRect().contains(position):
            self.hovered.emit(float(box.mapSceneToView(position).x()))
        else:
            self.hovered.emit(math.nan)

    def set_span(self, seconds: float, top: float) -> None:
        """Show 0…`seconds` and 0…`top`, both rounded up so that the axes do not jump at every sample."""
        step = next((s for s in _TIME_STEPS if seconds / s <= 8), 86400)
        self.item.setXRange(0, max(10.0, math.ceil(seconds / step) * step), padding=0)
        unit = nice_step(top or 1.0, 4)
        self.item.setYRange(0, max(unit, math.ceil(top * 1.02 / unit) * unit), padding=0)


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
        self._selected: str | None = None
        self.item.addItem(_Grid(self), ignoreBounds=True)
        self.restyle()

    def set_servers(self, servers: Sequence[tuple[str, int]]) -> None:
        """The servers ``(name, number)`` of this run; the number fixes colour and dash. Called once per run."""
        for curve in self._curves:
            self.item.removeItem(curve)
        self._names = [name for name, _ in servers]
        self._numbers = [number for _, number in servers]
        self._curves = [self.item.plot(antialias=True, skipFiniteCheck=True) for _ in servers]
        self.restyle()

    def update_data(self, times: Array, values: Array) -> None:
        """`times` (n,) seconds since the start; `values` (servers, n) in the order of `set_servers`."""
        for curve, row in zip(self._curves, values, strict=True):
            curve.setData(times, row)
        top = float(np.nanmax(values)) if values.size else 0.0
        self.set_span(float(times[-1]) if times.size else 0.0, top)

    def select(self, name: str | None) -> None:
        """Draw this server's line thicker and last; the others keep their full colour."""
        self._selected = name
        self.restyle()

    def restyle(self) -> None:
        super().restyle()
        for name, number, curve in zip(self._names, self._numbers, self._curves, strict=True):
            chosen = name == self._selected
            curve.setPen(line_pen(number, 2.5 if chosen else 1.75))
            curve.setZValue(10 if chosen else 0)


def line_pen(number: int, width: float) -> QPen:
    """The pen of server `number`. Qt counts dashes in units of the pen's width, the theme in pixels."""
    pen = pg.mkPen(theme().series(number), width=width)
    dash = theme().dash(number)
    if dash:
        pen.setDashPattern([length / width for length in dash])
    return pen  # type: ignore[no-any-return]


class HeatMap(Plot):
    """A row per server, time to the right, colour for the value; hatched where nothing was measured."""

    def __init__(self, title: str, unit: str, parent: QWidget | None = None, *, heading: bool = True) -> None:
        super().__init__(title, unit, parent, heading=heading)
        self._names: list[str] = []
        self._top = 1.0
        self._image = pg.ImageItem(axisOrder="row-major")
        colours = [QColor(step) for step in theme().heat]
        positions = np.linspace(0, 1, len(colours))
        table = pg.ColorMap(positions, [c.getRgb() for c in colours]).getLookupTable(0.0, 1.0, 256)
        self._image.setLookupTable(table)
        self._hatch = pg.QtWidgets.QGraphicsRectItem()
        self._hatch.setZValue(-50)
        self._hatch.setPen(QPen(Qt.PenStyle.NoPen))
        self.item.addItem(self._hatch, ignoreBounds=True)
        self.item.addItem(self._image)
        self._rows = _RowAxis("left")
        self.item.setAxisItems({"left": self._rows})
        self.value_axis = self._rows
        self._rows.setWidth(56)
        self.scale = QLabel()
        self.scale.setProperty("kind", "hint")
        if heading:
            self.head.addWidget(self.scale)
        self.restyle()

    def set_servers(self, servers: Sequence[tuple[str, int]]) -> None:
        """The servers of this run, first at the top."""
        self._names = [name for name, _ in servers]
        self._top = 1.0
        self._rows.names = self._names
        self.item.setYRange(0, max(1, len(self._names)), padding=0)
        self.item.getViewBox().invertY(b=True)

    def update_data(self, times: Array, values: Array) -> None:
        """As `LinesPlot.update_data`; NaN where a server was not measured. One sample is one second wide."""
        if not times.size or not values.size:
            return
        peak = float(np.nanmax(values)) if not np.all(np.isnan(values)) else 0.0
        while self._top < peak:
            self._top *= 2  # a round number, only ever raised during a run
        self.scale.setText(f"0 – {self._top:,.0f} {self.unit.text().split(',')[0]}")
        level = np.clip(values / self._top, 0, 1) * 255
        table = self._image.lut
        pixels = np.zeros((*values.shape, 4), dtype=np.ubyte)
        known = ~np.isnan(values)
        pixels[known, :3] = table[level[known].astype(np.intp), :3]
        pixels[known, 3] = 255
        self._image.setImage(pixels, autoLevels=False, levels=None)
        width = float(times[-1] - times[0] + 1) if times.size > 1 else 1.0
        area = QRectF(float(times[0]), 0, width, len(self._names))
        self._image.setRect(area)
        self._hatch.setRect(area)
        step = next((s for s in _TIME_STEPS if times[-1] / s <= 8), 86400)
        self.item.setXRange(0, max(10.0, math.ceil(float(times[-1]) / step) * step), padding=0)

    def restyle(self) -> None:
        super().restyle()
        brush = QBrush(theme().colour("border_strong"), Qt.BrushStyle.BDiagPattern)
        self._hatch.setBrush(brush)


class _RowAxis(ValueAxis):
    """Server names at the middle of their rows, as many as fit."""

    names: Sequence[str] = ()

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: ARG002
        count = len(self.names)
        if not count:
            return [(1, [])]
        step = max(1, math.ceil(14 * count / max(1.0, size)))
        return [(step, [number + 0.5 for number in range(0, count, step)])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002
        return [self.names[int(value)][:9] for value in values if 0 <= int(value) < len(self.names)]


class ConvergingPlot(Plot):
    """Requested, read and recorded files since the start, with the gap between read and recorded filled."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Requested and recorded", "files, same time axis", parent)
        self.item.addItem(_Grid(self), ignoreBounds=True)
        self._read = self.item.plot(antialias=True)
        self._recorded = self.item.plot(antialias=True)
        self._gap = pg.FillBetweenItem(self._read, self._recorded)
        self._gap.setZValue(-10)
        self.item.addItem(self._gap)
        self._requested = self.item.plot(antialias=True)
        self.restyle()

    def update_data(self, times: Array, requested: Array, read: Array, recorded: Array) -> None:
        """Four arrays of the same length: seconds since the start, and files so far."""
        self._read.setData(times, read)
        self._recorded.setData(times, recorded)
        self._requested.setData(times, requested)
        top = float(requested.max()) if requested.size else 0.0
        self.set_span(float(times[-1]) if times.size else 0.0, top)

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
        return QPen(theme().colour("accent_text", 0.2), 12)

    def restyle(self) -> None:
        super().restyle()
        pens = self.pens()
        self._requested.setPen(pens["requested"])
        self._read.setPen(pens["read"])
        self._recorded.setPen(pens["recorded"])
        self._gap.setBrush(QBrush(theme().colour("accent_text", 0.2)))
