"""The five stages as boxes with arrows between them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QKeyEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from gui.models.figures import rate
from gui.models.pipeline import STATES, Link, Pipeline, Stage
from gui.models.plain import straight
from gui.widgets.icons import pixmap
from gui.widgets.parts import plain_tip
from gui.widgets.theme import metrics, sized_font, theme

HEIGHT = 216
WIDTH = (168, 224)
"""Least and most."""
GAP = 44
"""Least width of an arrow."""
PADDING = 14
SYMBOLS = {"servers": "fleet", "shovelers": "drain", "broker": "queue", "collectors": "box", "database": "db"}
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
CENTRE = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine)


class StageBox(QAbstractButton):
    """One stage: its state as icon, word and colour, why, figures and the last ten minutes. A click chooses it."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.name = name
        self.stage: Stage | None = None
        self._title = title
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(WIDTH[0])
        self.setMaximumWidth(WIDTH[1])
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(title)
        theme().follow(self.update)

    def sizeHint(self) -> QSize:
        return QSize(WIDTH[1], HEIGHT)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            event.ignore()  # the row knows the neighbours
        else:
            super().keyPressEvent(event)

    def show_stage(self, stage: Stage | None) -> None:
        """Show this state, or that none is known."""
        if stage == self.stage:
            return
        self.stage = stage
        if stage is not None:
            figures = ", ".join(f"{figure.name} {figure.text}" for figure in stage.figures)
            self.setAccessibleName(straight(f"{stage.title}: {stage.state}, {stage.reason}"))
            self.setAccessibleDescription(figures)
            self.setToolTip(plain_tip(f"{stage.reason}\n{stage.remedy}".strip()))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, stage = theme(), self.stage
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        state = stage.state if stage is not None else "not set"
        symbol, colour = STATES[state]
        loud = state in ("check", "failed")
        edge = colour if loud else "accent_text" if self.isChecked() else "border_mid"
        width = 2 if loud or self.isChecked() else 1
        painter.setPen(QPen(look.colour(edge), width))
        painter.setBrush(look.colour("hover" if self.underMouse() and not self.isChecked() else "surface"))
        inset = width / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), 6, 6)
        if self.isChecked():  # the edge may have the colour of a warning
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("accent_text"))
            painter.drawRect(QRectF(PADDING, self.height() - 5, self.width() - 2 * PADDING, 3))
        if self.hasFocus():
            painter.setPen(QPen(look.colour("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(4, 4, -4, -4), 4, 4)
        self._head(painter, state, symbol, colour)
        self._reason(painter, colour if loud else "text2")
        painter.setPen(look.colour("grid"))
        painter.drawLine(1, 66, self.width() - 2, 66)
        painter.drawLine(1, 142, self.width() - 2, 142)
        if stage is not None:
            self._figures(painter, stage)
            self._spark(painter, stage, colour if loud else "accent_text")

    def _inner(self) -> tuple[int, int]:
        return PADDING, self.width() - PADDING

    def _head(self, painter: QPainter, state: str, symbol: str, colour: str) -> None:
        left, right = self._inner()
        scale = self.devicePixelRatioF()
        painter.drawPixmap(left, 15, pixmap(SYMBOLS[self.name], "text2", 16, scale))
        word = metrics(13).horizontalAdvance(state)
        painter.setFont(sized_font(13))
        painter.setPen(theme().colour(colour))
        painter.drawText(QRect(right - word, 12, word + 1, 20), LEFT, state)
        painter.drawPixmap(right - word - 20, 16, pixmap(symbol, colour, 14, scale))
        painter.setFont(sized_font(13, QFont.Weight.DemiBold))
        painter.setPen(theme().colour("text"))
        wide = metrics(13, QFont.Weight.DemiBold).horizontalAdvance(self._title)
        painter.drawText(QRect(left + 24, 12, wide + 2, 20), LEFT, self._title)
        if self.stage is not None and self.stage.count:
            begin = left + 24 + wide + 8
            room = right - word - 28 - begin
            painter.setFont(sized_font(12))
            painter.setPen(theme().colour("text3"))
            count = self.stage.count
            if metrics(12).horizontalAdvance(count) <= room:
                painter.drawText(QRect(begin, 12, room, 20), LEFT, count)

    def _reason(self, painter: QPainter, colour: str) -> None:
        left, right = self._inner()
        reason = self.stage.reason if self.stage is not None else "nothing is open"
        painter.setFont(sized_font(12))
        painter.setPen(theme().colour(colour))
        shown = metrics(12).elidedText(" ".join(straight(reason).split()), Qt.TextElideMode.ElideRight, right - left)
        painter.drawText(QRect(left, 39, right - left, 18), LEFT, shown)

    def _figures(self, painter: QPainter, stage: Stage) -> None:
        left, right = self._inner()
        for number, figure in enumerate(stage.figures[:3]):
            line = QRect(left, 74 + 20 * number, right - left, 20)
            painter.setFont(sized_font(13))
            painter.setPen(theme().colour("text2"))
            painter.drawText(line, LEFT, figure.name)
            known = figure.value is not None
            painter.setFont(sized_font(13, QFont.Weight.DemiBold if known else QFont.Weight.Normal))
            painter.setPen(theme().colour("text" if known and figure.value else "text3"))
            painter.drawText(line, RIGHT, figure.text)

    def _spark(self, painter: QPainter, stage: Stage, colour: str) -> None:
        left, right = self._inner()
        area = QRectF(left, 150, right - left, 36)
        draw_spark(painter, area, stage.spark, colour)
        painter.setFont(sized_font(11))
        painter.setPen(theme().colour("text3"))
        painter.drawText(QRect(left, 190, right - left, 18), LEFT, stage.spark_name)
        painter.drawText(QRect(left, 190, right - left, 18), RIGHT, "10 min")


def draw_spark(painter: QPainter, area: QRectF, values: Sequence[float | None], colour: str) -> None:
    """A line from 0 over the last ten minutes, the newest at the right; where nothing was reported there is none."""
    known = [value for value in values if value is not None]
    look = theme()
    if not known:
        hatch(painter, area)
        return
    most = max(len(values) - 1, 119)
    top = max(known) or 1.0
    step = area.width() / most
    first = area.right() - (len(values) - 1) * step

    def place(number: int, value: float) -> tuple[float, float]:
        return first + number * step, area.bottom() - 1 - value / top * (area.height() - 3)

    for begin, end in _runs(values):
        path = QPainterPath()
        for number in range(begin, end):
            value = values[number]
            assert value is not None
            x, y = place(number, value)
            path.lineTo(x, y) if number > begin else path.moveTo(x, y)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(look.colour(colour), 1.5))
        painter.drawPath(path)
        path.lineTo(place(end - 1, 0)[0], area.bottom())
        path.lineTo(place(begin, 0)[0], area.bottom())
        path.closeSubpath()
        painter.fillPath(path, look.colour(colour, 0.14))


def hatch(painter: QPainter, area: QRectF) -> None:
    """Nothing was measured here."""
    painter.save()
    painter.setClipRect(area)
    painter.setPen(QPen(theme().colour("border_mid"), 1.5))
    at = area.left() - area.height()
    while at < area.right():
        painter.drawLine(round(at), round(area.bottom()), round(at + area.height()), round(area.top()))
        at += 7
    painter.restore()


def _runs(values: Sequence[float | None]) -> list[tuple[int, int]]:
    """Where something is known: (first, one after the last)."""
    found: list[tuple[int, int]] = []
    for number, value in enumerate(values):
        if value is None:
            continue
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found


class Arrow(QWidget):
    """What goes from one stage to the next: its protocol above, its rate below."""

    def __init__(self) -> None:
        super().__init__()
        self._link = Link("", None)
        self.setMinimumWidth(GAP)
        self.setFixedHeight(HEIGHT)
        theme().follow(self.update)

    def show_link(self, link: Link) -> None:
        """Show this protocol and rate."""
        if link != self._link:
            self._link = link
            unit = "not known" if link.rate is None else f"{rate(link.rate)} per second"
            self.setAccessibleName(f"{link.protocol}, {unit}")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(sized_font(11))
        painter.setPen(look.colour("text2"))
        painter.drawText(QRect(0, 48, self.width(), 18), CENTRE, self._link.protocol)
        known = self._link.rate is not None
        text = f"{rate(self._link.rate)}/s" if known else "–"
        painter.setPen(look.colour("text" if known else "text3"))
        painter.drawText(QRect(0, 82, self.width(), 18), CENTRE, text)
        painter.setPen(QPen(look.colour("text2" if known else "border_strong"), 1.5))
        y, end = 75, self.width() - 5
        painter.drawLine(4, y, end, y)
        painter.drawLine(end - 5, y - 4, end, y)
        painter.drawLine(end - 5, y + 4, end, y)


class StageRow(QWidget):
    """The boxes in the order in which a record passes them; the arrow keys go from one to the next. `chosen`: the
    name of a stage."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 12)
        row.setSpacing(0)
        self.boxes: dict[str, StageBox] = {}
        self.arrows: list[Arrow] = []
        titles = {"servers": "Servers", "shovelers": "Shovelers", "broker": "Broker", "collectors": "Collectors"}
        for name, title in {**titles, "database": "Database"}.items():
            if self.boxes:
                arrow = Arrow()
                self.arrows.append(arrow)
                row.addWidget(arrow, 1)
            box = StageBox(name, title)
            box.toggled.connect(lambda on, name=name: self.chosen.emit(name) if on else None)
            self.boxes[name] = box
            row.addWidget(box, 4)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        boxes = list(self.boxes.values())
        at = next((number for number, box in enumerate(boxes) if box is self.focusWidget()), None)
        if step is None or at is None:
            super().keyPressEvent(event)
            return
        box = boxes[max(0, min(len(boxes) - 1, at + step))]
        box.setFocus(Qt.FocusReason.TabFocusReason)
        box.setChecked(True)

    def show_pipeline(self, pipeline: Pipeline | None) -> None:
        """Show these states, or that nothing is open."""
        for name, box in self.boxes.items():
            box.show_stage(next((s for s in pipeline.stages if s.name == name), None) if pipeline else None)
        for arrow, link in zip(self.arrows, pipeline.links if pipeline else [Link("", None)] * 4, strict=True):
            arrow.show_link(link)
