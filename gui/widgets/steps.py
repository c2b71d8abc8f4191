"""The strip of tests: a group for each test of the plan with a bar for each repeat, and the progress of the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.models.plain import straight
from gui.runner.progress import Step, StepState
from gui.widgets.icons import pixmap
from gui.widgets.parts import plain_tip
from gui.widgets.theme import SMALL_PX, sized_font, theme

HEIGHT, BAR, GAP, INSET, TEXT = 44, 6, 10, 16, 176
LEAST = 56
"""Minimum width in pixels of a group; if not all tests fit, those around the running one are shown."""

ICONS: dict[StepState, tuple[str, str] | None] = {
    "waiting": None,
    "running": ("run", "info"),
    "passed": ("ok", "ok"),
    "failed": ("bad", "bad"),
    "ended": ("warn", "warn"),
}
BARS: dict[StepState, str] = {
    "waiting": "border",
    "running": "info",
    "passed": "ok",
    "failed": "bad",
    "ended": "warn",
}


def state_of(step: Step) -> StepState:
    """The state of a test as a whole."""
    if "running" in step.repeats:
        return "running"
    if all(state == "waiting" for state in step.repeats):
        return "waiting"
    if "waiting" in step.repeats:
        return "ended" if "ended" in step.repeats else "running"  # between two of its repeats
    return next((state for state in ("failed", "ended") if state in step.repeats), "passed")


def first_shown(states: Sequence[StepState], room: int) -> int:
    """The first group to show when there is room for `room` groups, with the running one in the middle."""
    now = next((number for number, state in enumerate(states) if state in ("running", "waiting")), len(states))
    return max(0, min(now - room // 2, len(states) - room))


class StepStrip(QWidget):
    """See the module. `show_steps` sets what is shown; `part` is how much of the running repeat is done (0…1).

    `chosen` carries the number (from 1) of a test that is done and was clicked; with the keyboard, arrows move along
    the tests that are done, and Enter chooses."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[Step, ...] = ()
        self._part = 0.0
        self._words = ("", "")
        self._boxes: list[tuple[QRectF, int]] = []
        """Where the tests that are done are, with their numbers."""
        self._marked: int | None = None
        """The test that has the keyboard."""
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)
        theme().follow(self.update)

    def sizeHint(self) -> QSize:
        return QSize(480, HEIGHT)

    def show_steps(self, steps: Sequence[Step], part: float, words: tuple[str, str]) -> None:
        """`words` are the two lines at the right, about the whole run."""
        shown = (tuple(steps), part, words)
        if shown != (self._steps, self._part, self._words):
            self._steps, self._part, self._words = shown
            self.setAccessibleName("; ".join((*(_sentence(step) for step in self._steps), *words)))
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, painter = theme(), QPainter(self)
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(look.colour("text2"))
        right = self.width() - INSET - TEXT
        for number, line in enumerate(self._words):
            painter.setFont(sized_font(SMALL_PX, QFont.Weight.Normal if number else QFont.Weight.DemiBold))
            painter.drawText(QRectF(right + GAP, 4 + 18 * number, TEXT, 18), int(Qt.AlignmentFlag.AlignVCenter), line)
        if not self._steps:
            return
        room = max(1, int((right - INSET + GAP) // (LEAST + GAP)))
        states = [state_of(step) for step in self._steps]
        first = first_shown(states, room) if len(states) > room else 0
        shown = self._steps[first : first + room]
        # A test with more requests gets more of the strip, as long as all stay readable.
        weights = [math.sqrt(max(1, step.requests * len(step.repeats))) for step in shown]
        free = right - INSET - GAP * (len(shown) - 1) - LEAST * len(shown)
        x = float(INSET)
        self._boxes = []
        for place, (step, state, weight) in enumerate(zip(shown, states[first:], weights, strict=False), first + 1):
            width = LEAST + free * weight / sum(weights)
            box = QRectF(x, 4, width, HEIGHT - 8)
            self._group(painter, step, state, box)
            if state not in ("waiting", "running"):
                self._boxes.append((box, place))
                if self.hasFocus() and place == self._marked:
                    painter.setPen(QPen(look.colour("accent"), 2))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawRoundedRect(box.adjusted(-4, -1, 4, -2), 3, 3)
            x += width + GAP

    def _at(self, position: QPointF) -> int | None:
        return next((number for box, number in self._boxes if box.contains(position)), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position())
        self.setCursor(Qt.CursorShape.ArrowCursor if number is None else Qt.CursorShape.PointingHandCursor)
        self.setToolTip("" if number is None else plain_tip(f"{_sentence(self._steps[number - 1])}. Click: its result"))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position())
        if number is not None:
            self.chosen.emit(number)

    def focusInEvent(self, event: QFocusEvent) -> None:
        done = [number for _, number in self._boxes]
        if self._marked not in done:
            self._marked = done[-1] if done else None
        super().focusInEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        done = [number for _, number in self._boxes]
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._marked in done:
            self.chosen.emit(self._marked)
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and done:
            place = done.index(self._marked) if self._marked in done else 0
            step = 1 if event.key() == Qt.Key.Key_Right else -1
            self._marked = done[max(0, min(len(done) - 1, place + step))]
            self.update()
        else:
            super().keyPressEvent(event)

    def _group(self, painter: QPainter, step: Step, state: StepState, box: QRectF) -> None:
        look = theme()
        now = state == "running"
        font = sized_font(SMALL_PX, QFont.Weight.DemiBold if now else QFont.Weight.Normal)
        metrics = QFontMetrics(font)
        painter.setFont(font)
        painter.setPen(look.colour("text" if now else "text2"))
        icon = ICONS[state]
        words = metrics.elidedText(
            straight(step.name), Qt.TextElideMode.ElideRight, int(box.width()) - (18 if icon else 0)
        )
        painter.drawText(QRectF(box.left(), box.top(), box.width(), 18), int(Qt.AlignmentFlag.AlignVCenter), words)
        if icon is not None:
            at = box.left() + metrics.horizontalAdvance(words) + 6
            painter.drawPixmap(int(at), int(box.top()) + 3, pixmap(icon[0], icon[1], 12, self.devicePixelRatioF()))
            self._repeat(painter, step, QRectF(at + 18, box.top(), box.right() - at - 18, 18))
        width = (box.width() - 2 * (len(step.repeats) - 1)) / len(step.repeats)
        for number, repeat in enumerate(step.repeats):
            bar = QRectF(box.left() + number * (width + 2), box.top() + 22, width, BAR)
            painter.fillRect(bar, look.colour("border"))
            if repeat != "waiting":
                part = self._part if repeat == "running" else 1.0
                painter.fillRect(QRectF(bar.left(), bar.top(), bar.width() * part, BAR), look.colour(BARS[repeat]))

    @staticmethod
    def _repeat(painter: QPainter, step: Step, room: QRectF) -> None:
        """Show which repeat is running, if there is room."""
        if len(step.repeats) < 2 or "running" not in step.repeats:
            return
        words = f"repeat {step.repeats.index('running') + 1}/{len(step.repeats)}"
        painter.setFont(sized_font(SMALL_PX))
        painter.setPen(theme().colour("info"))
        if painter.fontMetrics().horizontalAdvance(words) <= room.width():
            painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter), words)


def _sentence(step: Step) -> str:
    done = sum(state not in ("waiting", "running") for state in step.repeats)
    return f"{step.name}: {state_of(step)}, {done} of {len(step.repeats)} repeats done"
