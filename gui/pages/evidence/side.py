"""Beside the stages: sequence numbers around the loss, and when it was."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.models.course import Axis, Span, StripRow, elapsed
from gui.models.plain import straight
from gui.widgets.theme import fixed_font, sized_font, theme

ROW = 28
CHIP, CHIP_GAP = 32, 4
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
CENTRE = int(Qt.AlignmentFlag.AlignCenter)
MOST_STRIPS = 8
NAMES = 96
"""Pixels for the names of the rows of the plot."""
CLEAR = 5.0
"""Pixels between a text and the line of the close."""
ROW_HEIGHT, BAR = 26.0, 16.0
DOT = 4.0


class Strips(QWidget):
    """Sequence numbers, a row for each server process; those that never came are dashed and in colour."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[StripRow, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().follow(self.update)

    def show_strips(self, rows: Sequence[StripRow]) -> None:
        """Show these; of many servers, its own and the first others."""
        mine = [row for row in rows if row.mine]
        self.rows = tuple([*mine, *(row for row in rows if not row.mine)][:MOST_STRIPS])
        self.setFixedHeight(max(1, 24 + ROW * len(self.rows)) if self.rows else 0)
        told = [f"{row.server}: {', '.join(f'{n}' + ('' if came else ' lost') for n, came in row.numbers)}"
                for row in self.rows]  # fmt: skip
        self.setAccessibleName(straight("; ".join(told)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        look = theme()
        width = self.width()
        if not self.rows:
            return
        painter.fillRect(0, 0, width, 24, look.colour("raised"))
        painter.setFont(sized_font(12))
        painter.setPen(look.colour("text2"))
        painter.drawText(QRectF(16, 0, 80, 24), LEFT, "Server")
        painter.drawText(QRectF(96, 0, 48, 24), LEFT, "Id")
        painter.drawText(QRectF(148, 0, 160, 24), LEFT, "Its datagrams")
        painter.drawText(QRectF(width - 96, 0, 80, 24), RIGHT, "Missing")
        for number, row in enumerate(self.rows):
            self._row(painter, row, 24.0 + number * ROW, width)

    def _row(self, painter: QPainter, row: StripRow, top: float, width: int) -> None:
        look = theme()
        if row.mine:
            painter.fillRect(QRectF(0, top, width, ROW), look.colour("select"))
        painter.setPen(look.colour("text"))
        painter.setFont(sized_font(13, sized_font(13).Weight.Medium))
        name = QFontMetrics(painter.font()).elidedText(straight(row.server), Qt.TextElideMode.ElideRight, 76)
        painter.drawText(QRectF(16, top, 80, ROW), LEFT, name)
        painter.setFont(fixed_font(12))
        painter.setPen(look.colour("text2"))
        painter.drawText(QRectF(96, top, 48, ROW), LEFT, row.sid[-6:])
        x = 148.0
        for number, came in row.numbers:
            if x + CHIP > width - 44:
                break
            box = QRectF(x + 0.5, top + 4.5, CHIP - 1, ROW - 9)
            pen = QPen(look.colour("border_mid" if came else "bad"), 1)
            if not came:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(look.colour("surface" if came else "bad_bg"))
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(look.colour("text2" if came else "bad"))
            weight = sized_font(12).Weight
            painter.setFont(sized_font(12, weight.Normal if came else weight.DemiBold))
            painter.drawText(box, CENTRE, str(number))
            x += CHIP + CHIP_GAP
        if row.more or not row.numbers:
            painter.setFont(sized_font(12))
            painter.setPen(look.colour("text3"))
            words = f"+{row.more:,}" if row.more else "none lost then"
            painter.drawText(QRectF(x, top, 120, ROW), LEFT, words)
        painter.setFont(sized_font(13))
        painter.setPen(look.colour("text" if row.missing else "text3"))
        painter.drawText(QRectF(width - 96, top, 80, ROW), RIGHT, f"{row.missing:,}")


def room_for(
    wide: float, bar: tuple[float, float], ends: tuple[float, float], mark: float | None
) -> tuple[float, float]:
    """Where a text stands that says what a bar is: from x to x, in a row that goes from and to `ends`. The line at
    `mark` never runs through it: inside the bar if there is room, else right or left of it, else in the widest place
    that is left, where it must be cut. `wide`: its width in pixels."""
    left, right = bar
    inside = (left + 6, right - 6)
    places = [inside, (right + 6, ends[1]), (ends[0], left - 6)]
    if mark is not None:
        places = [part for place in places for part in _beside(place, mark)]
        if left < mark < right:  # the bar has the dot of the close: words stand outside, if they can
            places = sorted(places, key=lambda place: left <= place[0] and place[1] <= right)
    for low, high in places:
        if high - low >= wide:
            return (high - wide, high) if high <= left else (low, low + wide)
    return max(places, key=lambda place: place[1] - place[0])


def _beside(place: tuple[float, float], mark: float) -> list[tuple[float, float]]:
    """The parts of a place left and right of a line."""
    low, high = place
    if not low - CLEAR < mark < high + CLEAR:
        return [place]
    return [(mark + CLEAR, high), (low, mark - CLEAR)]


class WhenPlot(QWidget):
    """The plan's faults, the datagrams before, of and after, the close, and the kernel's drops: rows on one axis. The
    close is a line behind all bars; no text stands on it."""

    def __init__(self) -> None:
        super().__init__()
        self.axis: Axis | None = None
        self.texts: list[tuple[str, float, float]] = []
        """What was written in the rows, from x to x, as painted last."""
        self.mark: float | None = None
        """The x of the close."""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().follow(self.update)

    def show_axis(self, axis: Axis | None) -> None:
        """Show this axis, or nothing."""
        self.axis = axis
        self.setVisible(axis is not None)
        if axis is not None:
            self.setFixedHeight(int(len(self._names()) * ROW_HEIGHT + (48 if axis.drops else 0) + 32))
            said = "; ".join(f"{span.row} {span.text}" for span in axis.spans)
            self.setAccessibleName(f"When: {said}" + (f"; kernel drops {axis.drops[-1][1]:,}" if axis.drops else ""))
        self.updateGeometry()
        self.update()

    def _names(self) -> list[str]:
        return list(dict.fromkeys(span.row for span in self.axis.spans)) if self.axis else []

    def window(self) -> tuple[float, float]:  # type: ignore[override]
        """The seconds that are drawn: around the loss where there is one, else all."""
        axis = self.axis
        assert axis is not None
        lost = [span for span in axis.spans if span.kind in ("lost", "came")]
        begin, end = min(span.begin for span in lost), max(span.end for span in lost)
        if axis.closed is not None:
            begin, end = min(begin, axis.closed), max(end, axis.closed)
        around = max(2.0, 0.4 * (end - begin))
        return max(axis.begin, begin - around) if begin >= axis.begin else begin - around, end + around

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        axis = self.axis
        if axis is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        look = theme()
        begin, end = self.window()
        left, right = float(NAMES + 8), self.width() - 24.0
        bottom = self.height() - 24.0

        def x(seconds: float) -> float:
            return left + (min(max(seconds, begin), end) - begin) / (end - begin) * (right - left)

        names = self._names()
        for span in axis.spans:
            if span.kind == "fault" and span.end >= begin and span.begin <= end:
                painter.fillRect(
                    QRectF(x(span.begin), 0, x(span.end) - x(span.begin), bottom), look.colour("warn", 0.1)
                )
        painter.setPen(QPen(look.colour("border_strong"), 1))
        painter.drawLine(QPointF(left, 0), QPointF(left, bottom))
        painter.drawLine(QPointF(left, bottom), QPointF(right, bottom))
        self._labels(painter, begin, end, x, bottom)
        self.texts = []
        self.mark = None if axis.closed is None else x(axis.closed)
        if self.mark is not None:
            painter.setPen(QPen(look.colour("accent_text"), 1.5))
            painter.drawLine(QPointF(self.mark, 0), QPointF(self.mark, bottom))
        for number, name in enumerate(names):
            lost = any(span.kind == "lost" for span in axis.spans if span.row == name)
            painter.setFont(sized_font(11))
            painter.setPen(look.colour("bad" if lost else "axis"))
            painter.drawText(QRectF(8, number * ROW_HEIGHT, NAMES - 8, ROW_HEIGHT), RIGHT, name)
            for span in axis.spans:
                if span.row == name:
                    self._span(painter, span, x, number * ROW_HEIGHT, right)
        if axis.drops:
            self._drops(painter, axis, x, len(names) * ROW_HEIGHT, right)
        if axis.closed is not None and self.mark is not None:
            chip = QRectF(min(max(self.mark - 22, left), right - 44), bottom + 4, 44, 17)
            painter.fillRect(chip, look.colour("text2"))
            painter.setPen(look.colour("window"))
            painter.setFont(sized_font(11))
            painter.drawText(chip, CENTRE, elapsed(axis.closed))

    def _write(self, painter: QPainter, text: str, place: tuple[float, float], top: float, height: float) -> None:
        """A text in its place, cut where it does not fit."""
        low, high = place
        shown = QFontMetrics(painter.font()).elidedText(
            straight(text), Qt.TextElideMode.ElideRight, max(0, int(high - low) + 1)
        )
        painter.drawText(QRectF(low, top, high - low + 2, height), LEFT, shown)
        self.texts.append((shown, low, low + QFontMetrics(painter.font()).horizontalAdvance(shown)))

    def _labels(self, painter: QPainter, begin: float, end: float, x: object, bottom: float) -> None:
        assert callable(x)
        step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600) if (end - begin) / s <= 5), 7200)
        moment = -(-begin // step) * step
        painter.setFont(sized_font(11))
        closed = self.axis.closed if self.axis is not None else None
        while moment <= end:
            painter.setPen(QPen(theme().colour("grid"), 1))
            painter.drawLine(QPointF(x(moment), 0), QPointF(x(moment), bottom))
            if closed is None or abs(x(moment) - x(closed)) > 48:
                painter.setPen(theme().colour("axis"))
                painter.drawText(QRectF(x(moment) - 30, bottom + 4, 60, 17), CENTRE, elapsed(moment))
            moment += step

    def _span(self, painter: QPainter, span: Span, x: object, top: float, right: float) -> None:
        assert callable(x)
        look = theme()
        colour = {"fault": "warn", "lost": "bad", "came": "text2"}[span.kind]
        box = QRectF(x(span.begin), top + 5, max(10.0, x(span.end) - x(span.begin)), BAR)
        if span.end == span.begin:
            box.moveLeft(x(span.begin) - 5)
        pen = QPen(look.colour(colour), 1)
        if span.kind == "lost":
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(look.colour({"fault": "warn_bg", "lost": "bad_bg", "came": "select_off"}[span.kind]))
        painter.drawRoundedRect(box, 2, 2)
        painter.setFont(sized_font(11))
        painter.setPen(look.colour(colour))
        for text in (span.text, span.text.removeprefix("window ")):  # the shorter one where there is little room
            wide = float(QFontMetrics(painter.font()).horizontalAdvance(text))
            place = room_for(wide, (box.left(), box.right()), (NAMES + 12.0, right + 20), self.mark)
            if place[1] - place[0] >= wide:
                break
        self._write(painter, text, place, top, ROW_HEIGHT)
        if self.mark is not None and span.kind == "lost" and box.left() <= self.mark <= box.right():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("accent_text"))
            painter.drawEllipse(QPointF(self.mark, box.center().y()), DOT, DOT)

    def _drops(self, painter: QPainter, axis: Axis, x: object, top: float, right: float) -> None:
        """The kernel's counter as steps. Between two reports nobody knows when it rose."""
        assert callable(x)
        look = theme()
        painter.setFont(sized_font(11))
        painter.setPen(look.colour("axis"))
        painter.drawText(QRectF(8, top, NAMES - 8, 48), RIGHT, "kernel drops")
        most = max(count for _, count in axis.drops)
        path = QPolygonF()
        before: int | None = None
        for t, count in axis.drops:
            y = top + 40 - (32 * count / most if most else 0)
            if before is not None:
                path.append(QPointF(x(t), top + 40 - (32 * before / most if most else 0)))
            path.append(QPointF(x(t), y))
            before = count
        painter.setPen(QPen(look.colour("bad" if most else "text3"), 1.75))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(path)
        words = f"{most:,} in this repeat" if most else "none in this repeat"
        painter.setPen(look.colour("bad" if most else "text3"))
        wide = float(QFontMetrics(painter.font()).horizontalAdvance(words))
        ends = (NAMES + 16.0, right)
        self._write(painter, words, room_for(wide, (ends[0] - 6, ends[0] - 6), ends, self.mark), top + 4, 16)

    def sizeHint(self) -> QSize:
        return QSize(400, super().sizeHint().height())
