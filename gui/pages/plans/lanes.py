"""The lanes of faults, painted on the time of one repeat.

Mouse: click chooses, drag moves, the ends of a bar stretch it, a double click on a free place adds. Keys: ← → move by
1 s, with Shift they stretch, with Alt the grain is 0.1 s; ↑ ↓ choose, Delete removes. Nothing is changed before the
button is released, so one drag is one step of undo.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from gui.campaign.plan import Fault
from gui.models import faults as model
from gui.models import figures
from gui.models.faults import LANES, Axis
from gui.models.plain import straight
from gui.widgets.icons import pixmap
from gui.widgets.parts import plain_tip
from gui.widgets.shortcuts import add_key
from gui.widgets.theme import SMALL_PX, metrics, sized_font, theme

LEFT, RIGHT, FOOT, GRIP, SQUARE = 120, 16, 22, 5, 18
ROW, LOW_ROW = 24, 20
MOST_LEVELS = 3
"""A lane grows until so many faults are one above the other; then they share its height."""
Grip = Literal["move", "begin", "end"]
ICONS = {
    "broker-restart": "refresh", "kill-shoveler": "x", "kill-collector": "x", "kill-agent": "x", "kill-server": "x",
    "stop-server": "stop", "cut-transfer": "split",
}  # fmt: skip
VCENTRE = Qt.AlignmentFlag.AlignVCenter


@dataclass(slots=True)
class _Drag:
    number: int
    grip: Grip
    x: float
    fault: Fault
    """As it was when the button was pressed."""
    now: Fault


class FaultLanes(QWidget):
    """See the module. `show_faults` sets what is shown."""

    chosen = Signal(int)
    """The number of the fault that is chosen now; −1: none."""
    moved = Signal(int, object)
    """A fault was moved or stretched: its number and what it is now."""
    add_wanted = Signal(int, float)
    """A fault on this lane at this second."""
    remove_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._faults: tuple[Fault, ...] = ()
        self._axis = Axis(0.0, 1.0, (), 1.0)
        self._refused: frozenset[int] = frozenset()
        self._current = -1
        self._editable = True
        self._drag: _Drag | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._compact = False
        self._lanes: tuple[int, ...] = tuple(range(len(LANES)))
        self._fit()
        self.setAccessibleName("Faults on the time of a repeat")
        theme().follow(self.update)
        add_key(self, "Fault earlier", "Left", lambda: self._nudge(-1), heard=True)
        add_key(self, "Fault later", "Right", lambda: self._nudge(1), heard=True)
        add_key(self, "Fault shorter", "Shift+Left", lambda: self._nudge(-1, stretch=True), heard=True)
        add_key(self, "Fault longer", "Shift+Right", lambda: self._nudge(1, stretch=True), heard=True)
        add_key(self, "Remove the fault", "Del", self._remove, heard=True)

    def sizeHint(self) -> QSize:
        return QSize(640, self.height())

    def show_faults(
        self, faults: Sequence[Fault], axis: Axis, *, current: int, refused: Sequence[int] = (), editable: bool = True
    ) -> None:
        """Show these faults. `refused` are the numbers of those that cannot be injected here."""
        self._faults, self._axis = tuple(faults), axis
        self._refused, self._editable = frozenset(refused), editable
        self._current = current if -1 <= current < len(self._faults) else -1
        if self._drag is not None and self._drag.number >= len(self._faults):
            self._drag = None
        self._describe()
        self._fit()

    def set_compact(self, *, on: bool) -> None:
        """Show low lanes, and only those with a fault, where there is little room."""
        if on != self._compact:
            self._compact = on
            self._fit()

    def _fit(self) -> None:
        used = {model.lane_of(fault.do) for fault in self._faults}
        self._lanes = tuple(lane for lane in range(len(LANES)) if not self._compact or lane in used)
        row = LOW_ROW if self._compact else ROW
        levels = {model.lane_of(fault.do): self._level(n)[1] for n, fault in enumerate(self._faults)}
        self._row, tops = row, [0, row]
        for lane in self._lanes:
            tops.append(tops[-1] + row * min(MOST_LEVELS, levels.get(lane, 1)))
        self._tops = tuple(tops)
        if self.height() != self._bottom() + FOOT:
            self.setFixedHeight(self._bottom() + FOOT)
        self.update()

    def _bottom(self) -> int:
        """Where the lanes end and the axis begins."""
        return self._tops[-1]

    _row = ROW
    _tops: tuple[int, ...] = (0,)
    """Where each row begins: the requests, the lanes, and the axis."""

    def current(self) -> int:
        """The number of the chosen fault; −1: none."""
        return self._current

    # ---- places

    def x_of(self, seconds: float) -> float:
        """Where a time is."""
        return LEFT + seconds * self._scale()

    def _scale(self) -> float:
        return max(1.0, self.width() - LEFT - RIGHT) / self._axis.end

    def box_of(self, number: int) -> QRectF:
        """Where a fault is drawn: a bar, or a square."""
        fault = self._shown(number)
        level, levels = self._level(number)
        place = 1 + self._lanes.index(model.lane_of(fault.do))
        room = (self._tops[place + 1] - self._tops[place]) / levels
        height = max(5.0, room - 6 if levels <= MOST_LEVELS else room - 1)
        top = self._tops[place] + level * room + (room - height) / 2
        width = fault.lasts * self._scale() if fault.lasts else SQUARE
        return QRectF(self.x_of(fault.at), top, max(width, 8.0), height)

    def _shown(self, number: int) -> Fault:
        drag = self._drag
        return drag.now if drag is not None and drag.number == number else self._faults[number]

    def _level(self, number: int) -> tuple[int, int]:
        """Which of how many rows of its lane a fault is in: those that overlap share the lane."""
        lane = model.lane_of(self._faults[number].do)
        ends: list[float] = []
        found = 0
        least = SQUARE / self._scale()
        for other in sorted(
            (n for n, fault in enumerate(self._faults) if model.lane_of(fault.do) == lane),
            key=lambda n: (self._faults[n].at, n),
        ):
            fault = self._faults[other]
            end = fault.at + max(fault.lasts, least)
            level = next((place for place, before in enumerate(ends) if before <= fault.at), len(ends))
            if level == len(ends):
                ends.append(end)
            else:
                ends[level] = end
            if other == number:
                found = level
        return found, max(1, len(ends))

    def fault_at(self, point: QPointF) -> tuple[int, Grip] | None:
        """The fault under a point, and which part of it; the chosen one first."""
        order = sorted(range(len(self._faults)), key=lambda number: number != self._current)
        for number in order:
            box = self.box_of(number)
            if not box.adjusted(-GRIP, -1, GRIP, 1).contains(point):
                continue
            if model.can_last(self._faults[number].do) and self._faults[number].lasts:
                for edge, grip in ((box.left(), "begin"), (box.right(), "end")):
                    if abs(point.x() - edge) <= GRIP:
                        return number, grip  # type: ignore[return-value]
            return number, "move"
        return None

    # ---- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        found = self.fault_at(event.position())
        self._choose(found[0] if found else -1)
        if found and self._editable:
            number, grip = found
            fault = self._faults[number]
            self._drag = _Drag(number, grip, event.position().x(), fault, fault)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        drag = self._drag
        if drag is None:
            found = self.fault_at(event.position()) if self._editable else None
            shape = Qt.CursorShape.ArrowCursor
            if found:
                shape = Qt.CursorShape.SizeAllCursor if found[1] == "move" else Qt.CursorShape.SizeHorCursor
            self.setCursor(shape)
            return
        by = (event.position().x() - drag.x) / self._scale()
        free = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        change = {"move": model.moved, "begin": model.begun, "end": model.stretched}[drag.grip]
        drag.now = change(drag.fault, by, free=free) if abs(event.position().x() - drag.x) >= 2 else drag.fault
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        drag, self._drag = self._drag, None
        if event.button() == Qt.MouseButton.LeftButton and drag is not None and drag.now != drag.fault:
            self.moved.emit(drag.number, drag.now)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        row = bisect_right(self._tops, event.position().y()) - 2
        if self._editable and self.fault_at(event.position()) is None and 0 <= row < len(self._lanes):
            seconds = (event.position().x() - LEFT) / self._scale()
            if 0 <= seconds <= self._axis.end:
                self.add_wanted.emit(self._lanes[row], seconds)

    # ---- keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, held = event.key(), event.modifiers()
        if key == Qt.Key.Key_Escape and self._drag is not None:
            self._drag = None
            self.update()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self._faults:
            self._step(1 if key == Qt.Key.Key_Down else -1)
        elif self._current >= 0 and key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._remove()
        elif self._current >= 0 and self._editable and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            free, stretch = bool(held & Qt.KeyboardModifier.AltModifier), bool(held & Qt.KeyboardModifier.ShiftModifier)
            self._nudge(1 if key == Qt.Key.Key_Right else -1, stretch=stretch, free=free)
        else:
            super().keyPressEvent(event)

    def _nudge(self, by: int, *, stretch: bool = False, free: bool = False) -> None:
        """Move the fault that is chosen by a step of time, or its end."""
        if self._current < 0 or not self._editable:
            return
        fault, seconds = self._faults[self._current], by * (model.FREE if free else model.SNAP)
        if stretch:
            changed = model.stretched(fault, seconds, free=free) if model.can_last(fault.do) else fault
        else:
            changed = model.moved(fault, seconds, free=free)
        if changed != fault:
            self.moved.emit(self._current, changed)

    def _remove(self) -> None:
        if self._current >= 0:
            self.remove_wanted.emit(self._current)

    def _step(self, by: int) -> None:
        """Choose the next fault, or the one before, in the order of time."""
        order = sorted(range(len(self._faults)), key=lambda number: (self._faults[number].at, number))
        place = order.index(self._current) + by if self._current in order else (0 if by > 0 else len(order) - 1)
        self._choose(order[max(0, min(len(order) - 1, place))])

    def _choose(self, number: int) -> None:
        if number != self._current:
            self._current = number
            self._describe()
            self.chosen.emit(number)
            self.update()

    def _describe(self) -> None:
        count = len(self._faults)
        words = f"{count} fault{'s' if count != 1 else ''} on the time of a repeat"
        if self._current >= 0:
            words += f"; chosen: {model.sentence_of(self._faults[self._current])}"
        self.setAccessibleDescription(words)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            found = self.fault_at(QPointF(event.pos()))
            text = plain_tip(model.sentence_of(self._faults[found[0]])) if found else ""
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        self._grid(painter)
        self._requests(painter)
        for number in sorted(range(len(self._faults)), key=lambda number: number == self._current):
            self._fault(painter, number)
        if self._current >= 0:
            self._chips(painter, self._shown(self._current))
        if self.hasFocus():
            painter.setPen(QPen(theme().colour("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _grid(self, painter: QPainter) -> None:
        look, axis = theme(), self._axis
        bottom = float(self._bottom())
        right = float(self.width() - RIGHT)
        painter.setFont(sized_font(SMALL_PX))
        chips = self._chip_boxes()
        step = model.tick_step(axis.end, max(2, int((right - LEFT) // 72)))
        seconds = 0.0
        while seconds <= axis.end:
            x = self.x_of(seconds)
            painter.setPen(look.colour("grid"))
            painter.drawLine(QPointF(x, 0), QPointF(x, bottom))
            painter.setPen(look.colour("axis"))
            box = QRectF(x - 40, bottom + 3, 80, FOOT - 4)
            if box.right() - 16 <= self.width() and not any(
                chip.intersects(box.adjusted(22, 0, -22, 0)) for chip in chips
            ):
                painter.drawText(box, int(Qt.AlignmentFlag.AlignHCenter | VCENTRE), model.clock(seconds))
            seconds += step
        for number, name in enumerate(("Requests", *(LANES[lane][0] for lane in self._lanes))):
            top, below = self._tops[number], self._tops[number + 1]
            painter.setPen(look.colour("grid"))
            painter.drawLine(QPointF(LEFT, below), QPointF(right, below))
            painter.setPen(look.colour("text2" if self._editable or not number else "text3"))
            painter.setFont(sized_font(13))
            painter.drawText(QRectF(16, top, LEFT - 24, self._row), int(VCENTRE), name)
            painter.setFont(sized_font(SMALL_PX))

    def _requests(self, painter: QPainter) -> None:
        look, axis = theme(), self._axis
        for one in axis.rounds:
            left = self.x_of(one.begin)
            width = max(1.5, self.x_of(one.end) - left)
            painter.fillRect(QRectF(left, 6, width, self._row - 12), look.colour("accent"))
        box = QRectF(self.x_of(axis.work), 4, self.x_of(axis.settled) - self.x_of(axis.work), self._row - 8)
        if box.width() < 2:
            return
        painter.setPen(look.colour("border_strong"))
        painter.setBrush(QBrush(look.colour("border_mid"), Qt.BrushStyle.BDiagPattern))
        painter.drawRect(box)
        words = f"settle, at most {figures.duration(axis.settled - axis.work)}"
        room = painter.fontMetrics().horizontalAdvance(words) + 10
        if room <= box.width():
            painter.fillRect(QRectF(box.left() + 1, box.top() + 1, room, box.height() - 1), look.colour("surface"))
            painter.setPen(look.colour("text2"))
            painter.drawText(box.adjusted(6, 0, 0, 0), int(VCENTRE), words)

    def _fault(self, painter: QPainter, number: int) -> None:
        look, fault, box = theme(), self._shown(number), self.box_of(number)
        on = number == self._current
        colour = "bad" if number in self._refused else "warn"
        ink = look.colour(colour) if self._editable else look.colour("text3")
        if on:
            pen = QPen(ink, 1)
            pen.setDashPattern([3, 3])
            painter.setPen(pen)
            for x in (box.left(), box.right()) if fault.lasts else (box.left(),):
                painter.drawLine(QPointF(x, 0), QPointF(x, float(self._bottom())))
        painter.setPen(QPen(ink, 2 if on else 1))
        painter.setBrush(look.colour(f"{colour}_bg"))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
        if on and fault.lasts and box.height() >= 12 and self._editable:
            painter.setPen(QPen(ink, 1))
            painter.setBrush(look.colour("surface"))
            for x in (box.left(), box.right()):
                painter.drawRoundedRect(QRectF(x - 2.5, box.top() + 3, 5, box.height() - 6), 1, 1)
        if box.height() < 12:
            return
        symbol = "bad" if number in self._refused else "zap" if fault.lasts else ICONS.get(fault.do, "zap")
        words = model.name_of(fault)
        font = sized_font(SMALL_PX)
        wide: QFontMetrics = metrics(SMALL_PX)
        picture = pixmap(symbol, colour if self._editable else "text3", 12, self.devicePixelRatioF())
        middle = box.center().y()
        painter.setFont(font)
        inside = bool(fault.lasts) and box.width() >= 56
        if inside or not fault.lasts or box.width() >= 18:
            left = box.left() + (6 if fault.lasts else (SQUARE - 12) / 2)
            painter.drawPixmap(QPointF(left, middle - 6), picture)
        text = QRectF(box.left() + 22, box.top(), box.width() - 28, box.height())
        if not inside:
            text = QRectF(box.right() + 6, box.top(), self._room_after(number, box), box.height())
        painter.setPen(ink if inside else look.colour("text2"))
        painter.drawText(
            text, int(VCENTRE), wide.elidedText(straight(words), Qt.TextElideMode.ElideRight, int(text.width()))
        )

    def _room_after(self, number: int, box: QRectF) -> float:
        """Pixels after a fault until the next one of its lane, or the end."""
        right = float(self.width() - RIGHT)
        for other in range(len(self._faults)):
            there = self.box_of(other)
            if (
                other != number
                and there.left() > box.left()
                and abs(there.center().y() - box.center().y()) < box.height() / 2
            ):
                right = min(right, there.left() - 6)
        return max(0.0, right - box.right() - 6)

    def _chip_boxes(self) -> list[QRectF]:
        """Where the times of the chosen fault stand on the axis."""
        if self._current < 0:
            return []
        fault = self._shown(self._current)
        ends = [fault.at, fault.at + fault.lasts] if fault.lasts else [fault.at]
        boxes = [QRectF(self.x_of(seconds) - 23, self._bottom() + 2, 46, 17) for seconds in ends]
        if len(boxes) == 2 and boxes[0].right() + 2 > boxes[1].left():
            middle = (boxes[0].center().x() + boxes[1].center().x()) / 2
            boxes[0].moveRight(middle - 1)
            boxes[1].moveLeft(middle + 1)
        for box in boxes:
            box.moveLeft(min(box.left(), self.width() - box.width() - 2.0))
        return boxes

    def _chips(self, painter: QPainter, fault: Fault) -> None:
        look = theme()
        painter.setFont(sized_font(SMALL_PX))
        for box, seconds in zip(self._chip_boxes(), (fault.at, fault.at + fault.lasts), strict=False):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("text2"))
            painter.drawRoundedRect(box, 2, 2)
            painter.setPen(look.colour("window"))
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), model.clock(seconds))
