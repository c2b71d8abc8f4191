"""The drawing of a timeline: lanes under each other on one axis, flags with stems through all of them, marks of what
was lost; and the overview of the whole repeat under it.

Painted directly. What does not depend on the pointer is kept as a picture until the range, the size, the theme or the
selection changes, so that the cross hair costs one copy. A curve with more points than pixels is drawn by the largest
of each pixel; thin lines without smoothing take 0.3 µs for a point, wide smooth ones 17.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from gui.models.events import Event, Flag, place_flags
from gui.models.plain import straight
from gui.models.timeline import Array, Block, Lane, LaneKey, Miss, Part, Series
from gui.widgets.icons import pixmap
from gui.widgets.parts import paint_ring, plain_tip
from gui.widgets.plots import clock
from gui.widgets.shortcuts import add_key
from gui.widgets.theme import SMALL_PX, sized_font, theme

GUTTER, EDGE = 128, 18
"""Pixels left of the axis, with the names of the lanes, and right of it."""
FLAG_ROW, AXIS = 22, 24
HEIGHTS: dict[LaneKey, int] = {
    "rounds": 24,
    "throughput": 66,
    "files": 76,
    "clients": 36,
    "servers": 30,
    "shovelers": 42,
    "broker": 36,
    "collectors": 36,
    "database": 36,
    "misses": 40,
}
"""Pixels of each lane where there is room; more and less is shared in this proportion."""
FIXED: tuple[LaneKey, ...] = ("rounds", "servers")
"""Lanes of blocks with words: they neither grow nor shrink."""
LEAST = 0.66
"""The part of its pixels that any other lane has at least; with less room the lanes scroll."""
SERIES = {"orange": 0, "sky": 1, "green": 2, "yellow": 3, "blue": 4, "vermilion": 5, "purple": 6}
MARK = 4
"""Pixels of a mark, with its gap."""
NEAR = 6
LEAST_SPAN = 1.0
"""Seconds that the axis has at least."""
DENSE = 300
"""Points of a curve from which it is drawn without smoothing."""
MOST_LABELS = 40
"""Groups that are labelled at most; more would cover each other."""


class TimeView(QObject):
    """The visible range of one axis, shared by lanes and overview. `whole`: its length."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.whole = 1.0
        self.low, self.high = 0.0, 1.0

    def set_whole(self, whole: float) -> None:
        """Another axis, of this length; all of it is visible."""
        self.whole = max(LEAST_SPAN, whole)
        self.fit()

    def fit(self) -> None:
        """Show all of it."""
        self.show_range(0.0, self.whole)

    def show_range(self, low: float, high: float) -> None:
        """Show this range, kept inside the axis."""
        span = max(min(LEAST_SPAN, self.whole), min(high - low, self.whole))
        low = max(0.0, min(low, self.whole - span))
        if (low, low + span) != (self.low, self.high):
            self.low, self.high = low, low + span
            self.changed.emit()

    def zoom(self, factor: float, around: float) -> None:
        """Make the range longer or shorter, with this second staying where it is."""
        self.show_range(around - (around - self.low) * factor, around + (self.high - around) * factor)

    def move(self, seconds: float) -> None:
        """Shift the range."""
        self.show_range(self.low + seconds, self.high + seconds)


def lane_colour(name: str) -> QColor:
    """A series or a named colour."""
    return theme().series(SERIES[name]) if name in SERIES else theme().colour(name)


def time_step(span: float, room: float) -> float:
    """Seconds between two labels of the axis."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    return next((step for step in steps if span / step <= max(2.0, room / 80)), 86400)


def _add_time_keys(widget: QWidget, view: TimeView) -> None:
    """The keys of the axis of time, which each of its drawings hears."""

    def zoom(factor: float) -> None:
        view.zoom(factor, (view.high + view.low) / 2)

    add_key(widget, "Less time", "+", lambda: zoom(0.5), heard=True)
    add_key(widget, "More time", "-", lambda: zoom(2.0), heard=True)
    add_key(widget, "All of the time", "Home", view.fit, heard=True)


class Lanes(QWidget):
    """A repeat. `group_chosen`, `range_chosen`, `miss_chosen`: what was selected by mouse or keys; the owner shows it
    with `show_selection`."""

    group_chosen = Signal(object)
    miss_chosen = Signal(object)
    range_chosen = Signal(float, float)
    cleared = Signal()
    evidence_wanted = Signal()
    filter_wanted = Signal()
    hovered = Signal(float)

    def __init__(self, part: Part, view: TimeView, *, named: bool = False) -> None:
        super().__init__()
        self.part = part
        self._named_part = named
        self.view = view
        self.hidden: frozenset[LaneKey] = frozenset()
        self._selected: tuple[float, float] | None = None
        self._group: int | None = None
        self._cross = math.nan
        self._press: float | None = None
        self._drag: tuple[float, float] | None = None
        self._still: QPixmap | None = None
        self._flags: list[tuple[QRectF, Event]] = []
        self._columns: dict[int, int] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(f"Timeline of repeat {part.number}")
        self.setAccessibleDescription(
            f"{len(part.groups)} groups of lost requests; arrows go from one to the next, Enter opens the evidence"
        )
        view.changed.connect(self.refresh)
        theme().follow(self.refresh)
        _add_time_keys(self, view)
        add_key(self, "Next group of losses", "Right", lambda: self._step(1), heard=True)
        add_key(self, "Group of losses before", "Left", lambda: self._step(-1), heard=True)
        add_key(self, "Open its evidence", "Return", self.evidence_wanted.emit, heard=True)
        add_key(self, "Filter the requests to it", "F", self.filter_wanted.emit, heard=True)

    # ---- for the owner

    def set_hidden(self, hidden: frozenset[LaneKey]) -> None:
        """Leave these lanes out."""
        self.hidden = hidden
        self.setMinimumHeight(self.minimumSizeHint().height())
        self.refresh()

    def show_selection(self, selected: tuple[float, float] | None, group: int | None = None) -> None:
        """Mark this range of time; `group`: the number of the group that it is."""
        self._selected, self._group = selected, group
        self.refresh()

    def show_cross(self, seconds: float) -> None:
        """Put the cross hair there, or take it away (NaN)."""
        self._cross = seconds
        self.update()

    def refresh(self) -> None:
        """Paint again what does not depend on the pointer."""
        self._still = None
        self.update()

    # ---- places

    def lanes(self) -> list[Lane]:
        """The lanes that are shown."""
        return [lane for lane in self.part.lanes if lane.key not in self.hidden]

    def area(self) -> QRectF:
        """Where time is drawn."""
        return QRectF(
            GUTTER, FLAG_ROW + 4, max(1, self.width() - GUTTER - EDGE), max(1, self.height() - FLAG_ROW - 4 - AXIS)
        )

    def rows(self) -> dict[LaneKey, QRectF]:
        """The rectangle of each lane."""
        area, shown = self.area(), self.lanes()
        fixed = sum(HEIGHTS[lane.key] for lane in shown if lane.key in FIXED)
        total = sum(HEIGHTS[lane.key] for lane in shown) - fixed
        factor = max(LEAST, (area.height() - fixed) / total) if total else 1.0
        top, found = area.top(), {}
        for lane in shown:
            height = HEIGHTS[lane.key] * (1 if lane.key in FIXED else factor)
            found[lane.key] = QRectF(area.left(), top, area.width(), height)
            top += height
        return found

    def x_of(self, seconds: float) -> float:
        """The pixel of a second."""
        area = self.area()
        return area.left() + (seconds - self.view.low) / (self.view.high - self.view.low) * area.width()

    def t_of(self, x: float) -> float:
        """The second of a pixel."""
        area = self.area()
        return self.view.low + (x - area.left()) / area.width() * (self.view.high - self.view.low)

    def sizeHint(self) -> QSize:
        return QSize(600, FLAG_ROW + 4 + AXIS + sum(HEIGHTS[lane.key] for lane in self.lanes()))

    def minimumSizeHint(self) -> QSize:
        heights = [HEIGHTS[lane.key] * (1 if lane.key in FIXED else LEAST) for lane in self.lanes()]
        return QSize(320, FLAG_ROW + 4 + AXIS + math.ceil(sum(heights)))

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        if self._still is None:
            scale = self.devicePixelRatioF()
            self._still = QPixmap(self.size() * scale)
            self._still.setDevicePixelRatio(scale)
            self._still.fill(theme().colour("surface"))
            inner = QPainter(self._still)
            inner.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint(inner)
            inner.end()
        painter.drawPixmap(0, 0, self._still)
        if self._drag is not None:
            self._paint_range(painter, *sorted(self._drag))
        if not math.isnan(self._cross):
            self._paint_cross(painter)
        if self.hasFocus():
            painter.setPen(QPen(theme().colour("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _paint(self, painter: QPainter) -> None:
        look, area, rows = theme(), self.area(), self.rows()
        shown = self.lanes()
        step = time_step(self.view.high - self.view.low, area.width())
        moments = np.arange(math.ceil(self.view.low / step) * step, self.view.high + 1e-9, step)
        painter.setPen(QPen(look.colour("grid"), 1))
        for moment in moments:
            x = math.floor(self.x_of(float(moment))) + 0.5
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for lane in shown:
            row = rows[lane.key]
            line = math.floor(row.bottom()) + 0.5
            painter.setPen(QPen(look.colour("border"), 1))
            painter.drawLine(QPointF(0, line), QPointF(self.width(), line))
            self._paint_name(painter, lane, row)
        if self._selected is not None and self._group is None:
            self._paint_range(painter, *self._selected)
        painter.save()
        painter.setClipRect(area.adjusted(0, -FLAG_ROW, 1, 0))
        for event in self.part.events:
            self._paint_stem(painter, area, event)
        painter.setClipRect(area.adjusted(0, 0, 1, 0))
        for lane in shown:
            self._paint_lane(painter, lane, rows[lane.key].adjusted(0, 4, 0, -2))
        painter.restore()
        self._paint_flags(painter, area)
        if self._named_part:
            painter.setFont(sized_font(12, QFont.Weight.DemiBold))
            painter.setPen(look.colour("accent_text"))
            cell = QRectF(16, 2, GUTTER - 20, FLAG_ROW)
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignVCenter), f"Repeat {self.part.number}")
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(look.colour("axis"))
        for moment in moments:
            cell = QRectF(self.x_of(float(moment)) - 40, area.bottom() + 4, 80, 16)
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignCenter), clock(float(moment)))
        painter.setPen(QPen(look.colour("border_strong"), 1))
        painter.drawLine(QPointF(area.left() + 0.5, area.top()), QPointF(area.left() + 0.5, area.bottom()))

    def _paint_name(self, painter: QPainter, lane: Lane, row: QRectF) -> None:
        look = theme()
        painter.setFont(sized_font(12, QFont.Weight.DemiBold))
        painter.setPen(look.colour("text"))
        two = bool(lane.unit) and row.height() >= 30
        top = row.center().y() - (15 if two else 8)
        painter.drawText(QRectF(16, top, GUTTER - 44, 16), int(Qt.AlignmentFlag.AlignVCenter), lane.title)
        small = sized_font(SMALL_PX)
        painter.setFont(small)
        painter.setPen(look.colour("text3"))
        metrics = QFontMetrics(small)
        if two:
            text = metrics.elidedText(straight(lane.unit), Qt.TextElideMode.ElideRight, GUTTER - 20)
            painter.drawText(QRectF(16, top + 15, GUTTER - 18, 15), int(Qt.AlignmentFlag.AlignVCenter), text)
        elif lane.unit and not (lane.top_text and lane.series):
            left = 16 + QFontMetrics(sized_font(12, QFont.Weight.DemiBold)).horizontalAdvance(lane.title) + 6
            text = metrics.elidedText(straight(lane.unit), Qt.TextElideMode.ElideRight, max(0, GUTTER - 6 - left))
            painter.drawText(QRectF(left, top, GUTTER - left, 16), int(Qt.AlignmentFlag.AlignVCenter), text)
        if lane.top_text and lane.series:
            cell = QRectF(GUTTER - 62, row.top() + 1, 56, 14)
            painter.drawText(cell, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), lane.top_text)

    def _paint_lane(self, painter: QPainter, lane: Lane, row: QRectF) -> None:
        if lane.reason and not lane.blocks:
            self._paint_reason(painter, lane, row)
            return
        if lane.key == "misses":
            self._paint_misses(painter, row)
            return
        for block in lane.blocks:
            self._paint_block(painter, lane, block, row)
        colour = lane_colour(lane.colour)
        for series in lane.series:
            self._paint_series(painter, series, lane.top, colour, row, filled=lane.key != "files")
        if lane.remark:
            self._paint_remark(painter, lane, row)

    def _paint_reason(self, painter: QPainter, lane: Lane, row: QRectF) -> None:
        """A lane without data is hatched with its reason; one in which there was nothing only says so."""
        look = theme()
        nothing = lane.key == "misses" or lane.reason.startswith("no server ")
        if not nothing:
            painter.fillRect(row, _hatch())
        font = sized_font(SMALL_PX)
        painter.setFont(font)
        width = QFontMetrics(font).horizontalAdvance(lane.reason) + 12
        cell = QRectF(row.left() + 8, row.center().y() - 8, min(width, row.width() - 16), 16)
        if not nothing:
            painter.fillRect(cell, look.colour("surface"))
        painter.setPen(look.colour("text3"))
        text = QFontMetrics(font).elidedText(straight(lane.reason), Qt.TextElideMode.ElideRight, int(cell.width()) - 8)
        painter.drawText(cell.adjusted(6, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), text)

    def _paint_block(self, painter: QPainter, lane: Lane, block: Block, row: QRectF) -> None:
        look = theme()
        left, right = self.x_of(block.begin), self.x_of(block.end)
        if right < row.left() or left > row.right():
            return
        left, right = max(left, row.left() - 2), min(right, row.right() + 2)
        if lane.key == "broker":
            painter.fillRect(QRectF(left, row.top(), max(2.0, right - left), row.height()), look.colour("bad", 0.3))
            return
        height = min(18.0, row.height() - 2)
        box = QRectF(left + 1, row.center().y() - height / 2, max(2.0, right - left - 2), height)
        settle = block.symbol == "settle"
        if lane.key == "rounds" and not settle:
            painter.fillRect(box, look.colour("accent"))
            painter.setPen(look.colour("on_accent"))
        else:
            painter.setPen(QPen(look.colour(block.colour), 1))
            painter.setBrush(_hatch() if settle else look.colour(f"{block.colour}_bg"))
            painter.drawRoundedRect(box, 2, 2)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(look.colour("text2" if settle or block.colour == "mute" else block.colour))
        font = sized_font(SMALL_PX, QFont.Weight.Medium)
        painter.setFont(font)
        metrics, room = QFontMetrics(font), box.width() - 8
        if metrics.horizontalAdvance(block.text) <= room or (lane.key == "servers" and room > 60):
            text = metrics.elidedText(straight(block.text), Qt.TextElideMode.ElideRight, int(room))
            if settle:
                cell = QRectF(box.left() + 4, box.top() + 1, metrics.horizontalAdvance(text) + 8, box.height() - 2)
                painter.fillRect(cell, look.colour("surface"))
            side = (
                Qt.AlignmentFlag.AlignCenter if lane.key == "rounds" and not settle else Qt.AlignmentFlag.AlignVCenter
            )
            painter.drawText(box.adjusted(6 if not settle else 8, 0, -2, 0), int(side), text)
        elif lane.key == "servers":
            painter.drawText(QRectF(box.right() + 6, box.top(), 240, box.height()), int(Qt.AlignmentFlag.AlignVCenter),
                             metrics.elidedText(straight(block.text), Qt.TextElideMode.ElideRight, 236))  # fmt: skip

    def _paint_series(
        self, painter: QPainter, series: Series, top: float, colour: QColor, row: QRectF, *, filled: bool
    ) -> None:
        t, values = self._visible(series)
        if not len(t):
            return
        area, span = self.area(), self.view.high - self.view.low
        x = area.left() + (t - self.view.low) / span * area.width()
        y = row.bottom() - np.clip(values / top, 0.0, 1.0) * (row.height() - 1)
        points = [QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        dense = len(points) > DENSE
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not dense)
        if filled:
            tint = QColor(colour)
            tint.setAlphaF(0.16)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tint)
            ends = [QPointF(float(x[-1]), row.bottom()), QPointF(float(x[0]), row.bottom())]
            painter.drawPolygon(QPolygonF([*points, *ends]))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        pen = QPen(theme().colour("text2") if series.dashed else colour, 1.0 if dense or series.dashed else 1.5)
        if series.dashed:
            pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(points))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def _visible(self, series: Series) -> tuple[Array, Array]:
        """The points in the range and one more at each end; where there are many, the largest of each pixel."""
        low = max(0, int(np.searchsorted(series.t, self.view.low, "left")) - 1)
        high = min(len(series.t), int(np.searchsorted(series.t, self.view.high, "right")) + 1)
        t, values = series.t[low:high], series.values[low:high]
        pixels = int(self.area().width())
        if len(t) > 2 * pixels:
            every = np.linspace(0, len(t), pixels, endpoint=False).astype(int)
            return t[every], np.maximum.reduceat(values, every)
        return t, values

    def _paint_remark(self, painter: QPainter, lane: Lane, row: QRectF) -> None:
        font = sized_font(SMALL_PX)
        painter.setFont(font)
        painter.setPen(theme().colour("text2"))
        width = QFontMetrics(font).horizontalAdvance(lane.remark)
        painter.drawText(QRectF(row.right() - width - 8, row.bottom() - 18, width + 4, 16), 0, lane.remark)

    def _paint_stem(self, painter: QPainter, area: QRectF, event: Event) -> None:
        look, x = theme(), self.x_of(event.at)
        if event.until is not None:
            right = self.x_of(event.until)
            painter.fillRect(QRectF(x, area.top(), right - x, area.height()), look.colour(event.colour, 0.1))
        pen = QPen(look.colour(event.colour), 1)
        pen.setDashPattern([3, 3])
        painter.setPen(pen)
        x = math.floor(x) + 0.5
        painter.drawLine(QPointF(x, area.top() - 4), QPointF(x, area.bottom()))

    def _paint_flags(self, painter: QPainter, area: QRectF) -> None:
        look = theme()
        font = sized_font(SMALL_PX, QFont.Weight.Medium)
        metrics = QFontMetrics(font)
        painter.setFont(font)
        shown = [event for event in self.part.events if self.view.low <= event.at <= self.view.high]
        places = [(self.x_of(e.at) - area.left(), metrics.horizontalAdvance(e.short) + 28.0) for e in shown]
        self._flags = []
        flags: list[Flag] = place_flags(places, area.width() + EDGE, rows=1)
        for flag in flags:
            event = shown[flag.event]
            words = event.short + (f"  +{flag.more}" if flag.more else "")
            left = math.floor(area.left() + flag.left) + 0.5
            box = QRectF(left, 2.5, metrics.horizontalAdvance(words) + 28, FLAG_ROW - 4)
            painter.setBrush(look.colour(f"{event.colour}_bg"))
            painter.setPen(QPen(look.colour(event.colour), 1))
            painter.drawRoundedRect(box, 2, 2)
            painter.drawPixmap(
                QPointF(box.left() + 6, box.top() + 3), pixmap(event.icon, event.colour, 12, self.devicePixelRatioF())
            )
            painter.drawText(box.adjusted(22, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), words)
            self._flags += [(box, one) for one in shown[flag.event : flag.event + 1 + flag.more]]
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_misses(self, painter: QPainter, row: QRectF) -> None:
        """A mark for each request at its close, stacked; more than there is room for are a full column."""
        part, look = self.part, theme()
        low, high = np.searchsorted(part.times, [self.view.low, self.view.high], "left")
        times = part.times[int(low) : int(high) + 1]
        columns = np.floor((self.area().left() + (times - self.view.low) / (self.view.high - self.view.low)
                            * self.area().width()) / MARK).astype(int)  # fmt: skip
        places, counts = np.unique(columns, return_counts=True)
        most = max(1, int((row.height() - 2) // 5))
        bad = look.colour("bad")
        self._columns = {}
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            self._columns[place] = count
            x = place * MARK
            if count > most:
                painter.fillRect(QRectF(x, row.top(), MARK - 1, row.height() - 1), bad)
                continue
            for number in range(count):
                painter.fillRect(QRectF(x, row.bottom() - 5 * (number + 1), MARK - 1, 4), bad)
        self._paint_groups(painter, row)

    def _paint_groups(self, painter: QPainter, row: QRectF) -> None:
        """Labels beside the groups, largest first, where they cover neither marks nor each other."""
        look, font = theme(), sized_font(SMALL_PX)
        metrics = QFontMetrics(font)
        painter.setFont(font)
        taken = [(float(place * MARK), float(place * MARK + MARK)) for place in self._columns]
        visible = [
            (n, group)
            for n, group in enumerate(self.part.groups)
            if group.end >= self.view.low and group.begin <= self.view.high
        ]
        if self._group is not None and any(n == self._group for n, _ in visible):
            group = self.part.groups[self._group]
            left, right = self.x_of(group.begin) - 5, self.x_of(group.end) + 7
            painter.setPen(QPen(look.colour("text"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(left, row.top() - 1, right - left, row.height() + 1), 3, 3)
        visible.sort(key=lambda pair: (pair[0] != self._group, -len(pair[1].misses)))
        for _, group in visible[:MOST_LABELS]:
            width = max(metrics.horizontalAdvance(group.label), metrics.horizontalAdvance(group.detail)) + 8
            width = min(width, 220)
            left, right = self.x_of(group.begin) - 8, self.x_of(group.end) + 10
            for x, side in ((right, Qt.AlignmentFlag.AlignLeft), (left - width, Qt.AlignmentFlag.AlignRight)):
                inside = self.area().left() <= x and x + width <= self.width() - 2
                if inside and all(x + width <= a or b <= x for a, b in taken):
                    taken.append((x, x + width))
                    top = row.center().y() - 15 if row.height() >= 30 else row.top()
                    painter.setPen(look.colour("bad"))
                    painter.drawText(QRectF(x, top, width, 15), int(side), self._fit(metrics, group.label, width))
                    if row.height() >= 30:
                        painter.setPen(look.colour("text2"))
                        detail = self._fit(metrics, group.detail, width)
                        painter.drawText(QRectF(x, top + 14, width, 15), int(side), detail)
                    break

    @staticmethod
    def _fit(metrics: QFontMetrics, text: str, width: float) -> str:
        return metrics.elidedText(" ".join(straight(text).split()), Qt.TextElideMode.ElideRight, int(width))

    def _paint_range(self, painter: QPainter, begin: float, end: float) -> None:
        look, area = theme(), self.area()
        left, right = max(area.left(), self.x_of(begin)), min(area.right(), self.x_of(end))
        if right >= left:
            painter.fillRect(
                QRectF(left, area.top(), max(1.0, right - left), area.height()), look.colour("focus", 0.12)
            )
            painter.setPen(QPen(look.colour("focus"), 1))
            for x in (left, right):
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _paint_cross(self, painter: QPainter) -> None:
        look, area = theme(), self.area()
        x = math.floor(self.x_of(self._cross)) + 0.5
        if not area.left() <= x <= area.right() + 1:
            return
        painter.setPen(QPen(look.colour("crosshair"), 1))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        chip = QRectF(x - 24, area.bottom() + 4, 48, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("text2"))
        painter.drawRoundedRect(chip, 2, 2)
        painter.setPen(look.colour("window"))
        painter.setFont(sized_font(SMALL_PX, QFont.Weight.Medium))
        painter.drawText(chip, int(Qt.AlignmentFlag.AlignCenter), clock(self._cross))

    # ---- what is where

    def group_at(self, place: QPointF) -> tuple[int, Miss] | None:
        """The group whose mark is near this place, with the nearest of its misses."""
        row = self.rows().get("misses")
        if row is None or not row.contains(place) or not len(self.part.times):
            return None
        near = int(np.argmin(np.abs(self.part.times - self.t_of(place.x()))))
        miss = self.part.misses[near]
        if abs(self.x_of(miss.at) - place.x()) > NEAR:
            return None
        return self.part.group_of[miss.request.id], miss

    def tip_at(self, place: QPointF) -> str:
        """What is there, as plain text."""
        flags = [event for box, event in self._flags if box.contains(place)]
        if flags:
            return "\n".join(
                f"{clock(e.at)}  {e.text}{f'. {e.detail}' if e.detail and e.detail != e.text else ''}"
                for e in flags[:12]
            )
        found = self.group_at(place)
        if found is not None:
            group = self.part.groups[found[0]]
            return f"{group.label}: {group.detail} ({group.sure})"
        lane = next((lane for lane in self.lanes() if self.rows()[lane.key].contains(place.x(), place.y())), None)
        if lane is None:
            row = next((lane for lane in self.lanes() if self._named(lane.key, place)), None)
            return f"{row.title}: {row.unit}" if row is not None else ""
        t = self.t_of(place.x())
        for block in lane.blocks:
            if block.begin <= t <= block.end and block.symbol != "settle" and lane.key == "servers":
                return block.text
        values = [(one.name, one.at(t)) for one in lane.series]
        said = [f"{name} {value:,.1f}" for name, value in values if value is not None]
        return f"{clock(t)}  {lane.title}: {', '.join(said)}" if said else lane.reason

    def _named(self, key: LaneKey, place: QPointF) -> bool:
        row = self.rows()[key]
        return place.x() < GUTTER and row.top() <= place.y() <= row.bottom()

    # ---- mouse and keys

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self.tip_at(event.pos().toPointF())
            if text:
                QToolTip.showText(event.globalPos(), plain_tip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._still = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.position().x() < GUTTER:
            super().wheelEvent(event)
            return
        steps = event.angleDelta().y() / 120
        if steps:
            self.view.zoom(0.8**steps, self.t_of(event.position().x()))
            event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        flag = next((one for box, one in self._flags if box.contains(event.position())), None)
        if flag is not None:
            self.range_chosen.emit(flag.at, flag.until if flag.until is not None else min(flag.at + 5, self.part.span))
            return
        found = self.group_at(event.position())
        if found is not None:
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self.miss_chosen.emit(found[1])
            else:
                self.group_chosen.emit(found[0])
            return
        if event.position().x() >= GUTTER:
            self._press = self.t_of(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        t = self.t_of(event.position().x())
        if self._press is not None:
            if self._drag is not None or abs(self.x_of(self._press) - event.position().x()) > 3:
                self._drag = (self._press, max(self.view.low, min(t, self.view.high)))
        else:
            near = self.group_at(event.position()) is not None
            self.setCursor(Qt.CursorShape.PointingHandCursor if near else Qt.CursorShape.ArrowCursor)
        inside = self.area().left() <= event.position().x() <= self.area().right()
        self.hovered.emit(t if inside else math.nan)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002
        drag, self._drag, press, self._press = self._drag, None, self._press, None
        if drag is not None:
            self.range_chosen.emit(*sorted(drag))
        elif press is not None:
            self.cleared.emit()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered.emit(math.nan)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, held = Qt.Key(event.key()), event.modifiers()
        span = self.view.high - self.view.low
        middle = (self.view.high + self.view.low) / 2
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            step = 1 if key == Qt.Key.Key_Right else -1
            if held & Qt.KeyboardModifier.ControlModifier:
                self.view.move(step * span / 4)
            else:
                self._step(step)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.view.zoom(0.5, middle)
        elif key == Qt.Key.Key_Minus:
            self.view.zoom(2.0, middle)
        elif key == Qt.Key.Key_Home:
            self.view.fit()
        elif key == Qt.Key.Key_Escape and self._selected is not None:
            self.cleared.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.evidence_wanted.emit()
        elif key == Qt.Key.Key_F and not held:
            self.filter_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _step(self, by: int) -> None:
        """Choose the next group of losses, or the one before."""
        if self.part.groups:
            last = len(self.part.groups) - 1
            number = (0 if by > 0 else last) if self._group is None else max(0, min(last, self._group + by))
            self.group_chosen.emit(number)


class Overview(QWidget):
    """The whole axis with the visible range on it: drag it to move, its ends to zoom; Home shows all."""

    def __init__(self, view: TimeView) -> None:
        super().__init__()
        self._view = view
        self._part: Part | None = None
        self._drag: tuple[str, float, float, float] | None = None
        self.setFixedHeight(72)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Overview: the visible part of the repeat")
        view.changed.connect(self.update)
        theme().follow(self.update)
        _add_time_keys(self, view)

    def show_part(self, part: Part | None) -> None:
        """Draw this repeat."""
        self._part = part
        self.update()

    def area(self) -> QRectF:
        """Where time is drawn."""
        return QRectF(GUTTER, 6, max(1, self.width() - GUTTER - EDGE), self.height() - 14)

    def x_of(self, seconds: float) -> float:
        """The pixel of a second."""
        return self.area().left() + seconds / self._view.whole * self.area().width()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, area, painter = theme(), self.area(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), look.colour("surface"))
        painter.fillRect(area, look.colour("raised"))
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(look.colour("text2"))
        part = self._part
        if part is None:
            return
        painter.drawText(QRectF(16, area.top(), GUTTER - 20, area.height()), int(Qt.AlignmentFlag.AlignVCenter),
                         "whole repeat")  # fmt: skip
        lane = part.lane("files")
        painter.save()
        painter.setClipRect(area)
        for series in lane.series:
            points = [
                QPointF(self.x_of(float(t)), area.bottom() - 2 - float(v) / lane.top * (area.height() - 6))
                for t, v in zip(*_thin(series, int(area.width())), strict=True)
            ]
            pen = QPen(look.colour("text3") if series.dashed else lane_colour(lane.colour), 1)
            pen.setDashPattern([3, 3]) if series.dashed else None
            painter.setPen(pen)
            painter.drawPolyline(QPolygonF(points))
        painter.restore()
        for one in part.events:
            painter.setPen(QPen(look.colour(one.colour), 1))
            painter.drawLine(QPointF(self.x_of(one.at), area.top()), QPointF(self.x_of(one.at), area.bottom()))
        painter.setPen(QPen(look.colour("bad"), 2))
        for group in part.groups[:2000]:
            painter.drawLine(QPointF(self.x_of(group.begin), area.bottom() - 5),
                             QPointF(self.x_of(group.begin), area.bottom()))  # fmt: skip
        left, right = self.x_of(self._view.low), self.x_of(self._view.high)
        window = QRectF(left, area.top() - 1, right - left, area.height() + 2)
        painter.fillRect(window, look.colour("focus", 0.12))
        painter.setPen(QPen(look.colour("focus"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(window)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("focus"))
        for x in (left, right):
            painter.drawRoundedRect(QRectF(x - 2, area.center().y() - 8, 4, 16), 2, 2)
        self._paint_words(painter, part, area, right)
        if self.hasFocus():
            paint_ring(self)

    def _paint_words(self, painter: QPainter, part: Part, area: QRectF, right: float) -> None:
        """How it ended, at the foot, where the range does not cover it."""
        font = sized_font(SMALL_PX)
        metrics = QFontMetrics(font)
        settled = f"settled at {clock(part.settled - part.began)}" if part.settled is not None else part.state
        lost = f", {len(part.misses):,} lost" if part.misses else ", nothing lost"
        text = settled + lost
        if right + metrics.horizontalAdvance(text) + 16 < area.right():
            painter.setPen(theme().colour("text3"))
            painter.drawText(QRectF(right + 8, area.bottom() - 20, area.right() - right, 16), 0, text)

    def _place(self, x: float) -> str:
        left, right = self.x_of(self._view.low), self.x_of(self._view.high)
        if abs(x - left) <= 6:
            return "low"
        if abs(x - right) <= 6:
            return "high"
        return "move" if left < x < right else ""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        place = self._place(x)
        if not place:  # beside it: the range comes here
            t = (x - self.area().left()) / self.area().width() * self._view.whole
            half = (self._view.high - self._view.low) / 2
            self._view.show_range(t - half, t + half)
            place = "move"
        self._drag = (place, x, self._view.low, self._view.high)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        if self._drag is None:
            shape = {"low": Qt.CursorShape.SizeHorCursor, "high": Qt.CursorShape.SizeHorCursor,
                     "move": Qt.CursorShape.OpenHandCursor}.get(self._place(x), Qt.CursorShape.ArrowCursor)  # fmt: skip
            self.setCursor(shape)
            return
        place, begun, low, high = self._drag
        moved = (x - begun) / self.area().width() * self._view.whole
        if place == "move":
            self._view.show_range(low + moved, high + moved)
        elif place == "low":
            self._view.show_range(min(max(0.0, low + moved), high - LEAST_SPAN), high)
        else:
            self._view.show_range(low, max(min(self._view.whole, high + moved), low + LEAST_SPAN))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002
        self._drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002
        self._view.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        t = (event.position().x() - self.area().left()) / self.area().width() * self._view.whole
        self._view.zoom(0.8 ** (event.angleDelta().y() / 120), t)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        span = self._view.high - self._view.low
        middle = (self._view.high + self._view.low) / 2
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._view.move(span / 4 if key == Qt.Key.Key_Right else -span / 4)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._view.zoom(0.5, middle)
        elif key == Qt.Key.Key_Minus:
            self._view.zoom(2.0, middle)
        elif key == Qt.Key.Key_Home:
            self._view.fit()
        else:
            super().keyPressEvent(event)


def _thin(series: Series, most: int) -> tuple[Sequence[float], Sequence[float]]:
    if len(series.t) <= 2 * most:
        return series.t.tolist(), series.values.tolist()
    every = np.linspace(0, len(series.t), most, endpoint=False).astype(int)
    return series.t[every].tolist(), np.maximum.reduceat(series.values, every).tolist()


def _hatch() -> QBrush:
    """Slanted lines, for what nobody has measured."""
    size = 8
    tile = QPixmap(size, size)
    tile.fill(theme().colour("surface"))
    painter = QPainter(tile)
    painter.setPen(QPen(theme().colour("border_mid"), 1))
    painter.drawLine(0, size, size, 0)
    painter.end()
    return QBrush(tile)
