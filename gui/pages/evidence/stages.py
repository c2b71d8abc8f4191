"""The stages of a request, from the client to the database, one below the other and joined by a line."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.models.course import STAGES, STATES, StageRow
from gui.models.plain import straight
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, breakable, label
from gui.widgets.theme import theme

STAGE, STATE, TIME = 264, 112, 100
"""Widths of the columns."""
HEIGHT = 60
BOX = 28


class StageWidget(QWidget):
    """One stage: its icon, who it was, its state, when, and what is known of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(HEIGHT)
        self.row = StageRow("", "ring", "", "unknown", "", "")
        self.above: StageRow | None = None
        self.below: StageRow | None = None
        self.name = Elided("", least=80)
        self.who = Elided("", "caption", least=80)
        self.picture = QLabel()
        self.state = label()
        self.time = label()
        self.text = label("", "secondary")
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.setContentsMargins(0, 0, 0, 0)
        names.addStretch(1)
        names.addWidget(self.name)
        names.addWidget(self.who)
        names.addStretch(1)
        holder = QWidget()
        holder.setLayout(names)
        holder.setFixedWidth(STAGE - 64 - 8)
        state = QHBoxLayout()
        state.setContentsMargins(0, 0, 0, 0)
        state.setSpacing(6)
        state.addWidget(self.picture)
        state.addWidget(self.state)
        state.addStretch(1)
        states = QWidget()
        states.setLayout(state)
        states.setFixedWidth(STATE)
        self.time.setFixedWidth(TIME - 8)
        line = QHBoxLayout(self)
        line.setContentsMargins(64, 4, 16, 4)
        line.setSpacing(8)
        line.addWidget(holder)
        line.addWidget(states)
        line.addWidget(self.time)
        line.addWidget(self.text, 1)
        theme().follow(self._restyle)

    def show_row(self, row: StageRow, above: StageRow | None, below: StageRow | None) -> None:
        """Show this stage, between these."""
        self.row, self.above, self.below = row, above, below
        self.name.setText(row.name)
        self.who.setText(row.who)
        self.state.setText(STATES[row.state][1])
        self.time.setText(row.time)
        self.text.setText(breakable(row.text))
        self.setAccessibleName(straight(f"{row.name}: {STATES[row.state][1]}, {row.time}, {row.text}"))
        self._restyle()

    def _restyle(self) -> None:
        symbol, _, colour = STATES[self.row.state]
        look = theme()
        self.picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
        lost = self.row.state == "lost"
        give_sheet(self.state, f"color: {look.hex(colour)}; font-weight: {600 if lost else 400};")
        give_sheet(self.name, "font-weight: 500;" if self.row.state in ("passed", "lost") else "")
        give_sheet(self.text, f"color: {look.hex('text' if lost else 'text2')};")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        look = theme()
        colour = STATES[self.row.state][2]
        lost = self.row.state == "lost"
        if lost:
            painter.fillRect(self.rect(), look.colour("bad_bg"))
        painter.setPen(QPen(look.colour("bad" if lost else "border"), 2 if lost else 1))
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
        box = QRect(18, (self.height() - BOX) // 2, BOX, BOX)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = box.center().x() + 0.5
        if self.above is not None:
            self._join(painter, self.above, self.row, middle, 0, box.top())
        if self.below is not None:
            self._join(painter, self.row, self.below, middle, box.bottom() + 1, self.height())
        painter.setPen(QPen(look.colour(colour if colour != "mute" else "border_strong"), 1))
        painter.setBrush(look.colour("bad_bg" if lost else "surface"))
        painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        picture = pixmap(self.row.symbol, colour, 16, self.devicePixelRatioF())
        painter.drawPixmap(box.left() + 6, box.top() + 6, picture)

    @staticmethod
    def _join(painter: QPainter, above: StageRow, below: StageRow, x: float, top: float, bottom: float) -> None:
        """Solid where it passed both, dashed where it got no further or nobody watched."""
        passed = above.state == "passed" and below.state == "passed"
        lost = above.state == "passed" and below.state == "lost"
        pen = QPen(theme().colour("ok" if passed else "bad" if lost else "border_strong"), 2)
        if not passed:
            pen.setDashPattern([1, 1.5])
        painter.setPen(pen)
        painter.drawLine(round(x), round(top), round(x), round(bottom))


class StageList(QWidget):
    """All stages under their header."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[StageWidget] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        header = QWidget()
        header.setObjectName("raised")
        header.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        header.setFixedHeight(32)
        row = QHBoxLayout(header)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(8)
        for text, width in (("Stage", STAGE - 24), ("State", STATE), ("Time", TIME - 8), ("Evidence", 0)):
            title = label(text, "caption")
            if width:
                title.setFixedWidth(width)
            row.addWidget(title, 0 if width else 1)
        self._column.addWidget(header)

        for _ in STAGES:
            self._add()

    def _add(self) -> None:
        made = StageWidget()
        self.rows.append(made)
        self._column.addWidget(made)

    def show_stages(self, stages: Sequence[StageRow]) -> None:
        """Show these."""
        while len(self.rows) < len(stages):
            self._add()
        for number, widget in enumerate(self.rows):
            widget.setVisible(number < len(stages))
            if number < len(stages):
                above = stages[number - 1] if number else None
                below = stages[number + 1] if number + 1 < len(stages) else None
                widget.show_row(stages[number], above, below)

    def minimumSizeHint(self) -> QSize:
        return QSize(STAGE + STATE + TIME + 96, super().minimumSizeHint().height())
