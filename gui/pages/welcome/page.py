"""Welcome: shown while no workspace is open: try it here, open something, or set up a real test."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from gui.models.plain import straight
from gui.models.recent import Recent
from gui.models.rows import UNKNOWN, Column
from gui.models.setup import FIRST_STEPS, SetupStep, next_step
from gui.models.states import outcome_state
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, Ground, button, label, line
from gui.widgets.table import ROW_HEIGHT, Empty, Table
from gui.widgets.theme import sized_font, theme


def _age(moment: float) -> str:
    from gui.models import figures  # imports the reports and the database: not before the first paint

    return figures.age(time.time() - moment)


RECENT_COLUMNS: list[Column[Recent]] = [
    Column("workspace", "Workspace", lambda r: r.name, width=200, bold=True),
    Column(
        "opened",
        "Opened",
        lambda r: r.opened,
        lambda r: _age(r.opened),
        width=140,
        colour=lambda _r: "text2",
    ),
    Column("runs", "Runs", lambda r: r.runs, lambda r: UNKNOWN if r.runs is None else f"{r.runs:,}", "right", 72),
    Column("last", "Last result", lambda r: r.success, align="right", width=104),
    Column(
        "verdict",
        "Verdict",
        lambda r: r.outcome and outcome_state(r.outcome)[1],
        width=112,
        kind="status",
        icon=lambda r: outcome_state(r.outcome)[0] if r.outcome else None,
        colour=lambda r: outcome_state(r.outcome)[2] if r.outcome else "text3",
    ),
    Column("where", "Where", lambda r: r.where, width=240, stretch=True, colour=lambda _r: "text2"),
]


RECENT_ROWS, RECENT_HEAD = 4, 68
"""Rows of recent workspaces that are seen without scrolling, and pixels of what is above them."""


class _Tile(QPushButton):
    """A large button: icon, title and a remark."""

    def __init__(self, symbol: str, title: str, remark: str, *, primary: bool = False) -> None:
        super().__init__()
        self._symbol, self._title, self._remark, self._primary = symbol, title, remark, primary
        self.setMinimumHeight(80)
        self.setAccessibleName(straight(f"{title}: {remark}"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme().follow(self.update)

    def sizeHint(self) -> QSize:
        return QSize(280, 80)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        lit = self.underMouse() or self.isDown()
        fill = ("accent_hover" if lit else "accent") if self._primary else ("hover" if lit else "surface")
        edge = "focus" if self.hasFocus() else fill if self._primary else "border_mid"
        painter.setPen(QPen(look.colour(edge), 2 if self.hasFocus() else 1))
        painter.setBrush(look.colour(fill))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 6, 6)
        if self._primary and self.hasFocus():  # the fill may have the colour of the ring
            painter.setPen(QPen(look.colour("on_accent"), 2))
            painter.drawRoundedRect(self.rect().adjusted(5, 5, -5, -5), 4, 4)
        ink = "on_accent" if self._primary else "text"
        painter.drawPixmap(
            20,
            self.height() // 2 - 10,
            pixmap(self._symbol, ink if self._primary else "text2", 20, self.devicePixelRatioF()),
        )
        painter.setPen(look.colour(ink))
        painter.setFont(sized_font(13, sized_font(13).Weight.DemiBold))
        painter.drawText(57, self.height() // 2 - 20, self.width() - 70, 20, 0, self._title)
        painter.setPen(look.colour(ink if self._primary else "text2"))
        painter.setFont(sized_font(13))
        painter.drawText(57, self.height() // 2, self.width() - 70, 20, 0, self._remark)


class _DropField(QFrame):
    """Where a plan, a workspace or a bundle can be dropped."""

    dropped = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(64)
        self.setAcceptDrops(True)
        theme().follow(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme().colour("border_strong"), 1, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 6, 6)
        painter.setPen(theme().colour("text2"))
        painter.setFont(sized_font(13))
        painter.drawText(
            self.rect(),
            int(Qt.AlignmentFlag.AlignCenter),
            "Drop a plan (.toml), a workspace (.db) or a bundle (.tally.zip) here",
        )

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.dropped.emit(Path(url.toLocalFile()))


class _StepRow(QWidget):
    """A step of the set-up: its number, or that it is done; what is there or missing; and where it leads."""

    def __init__(self, number: int, step: SetupStep, call: Callable[[], object]) -> None:
        super().__init__()
        self._number = number
        self._step = step
        self._next = False
        self.mark = label("", "secondary")
        self.mark.setFixedSize(24, 24)
        self.mark.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.title = label(step.title, "section")
        self.words = Elided("", "secondary", least=120)
        self.button = button(step.action, action=call)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addStretch(1)
        words.addWidget(self.title)
        words.addWidget(self.words)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(16)
        row.addWidget(self.mark)
        row.addLayout(words, 1)
        row.addWidget(self.button)
        self.setFixedHeight(56)
        theme().follow(self._draw)
        self._draw()

    def show_step(self, step: SetupStep, *, is_next: bool) -> None:
        """`is_next`: the first that is not done."""
        if (step, is_next) != (self._step, self._next):
            self._step, self._next = step, is_next
            self._draw()

    def _draw(self) -> None:
        step, look = self._step, theme()
        symbol, colour = {"done": ("ok", "ok"), "trouble": ("warn", "warn"), "missing": ("", "text2")}[step.state]
        if symbol:
            self.mark.setPixmap(pixmap(symbol, colour, 20, 2.0))
            give_sheet(self.mark, "")
        else:
            edge = "accent_text" if self._next else "border_strong"
            self.mark.setText(str(self._number))
            give_sheet(
                self.mark,
                f"border: 1px solid {look.hex(edge)}; border-radius: 4px; "
                f"color: {look.hex('accent_text' if self._next else 'text2')}; font-weight: 500;",
            )
        self.words.setText(step.text)
        give_sheet(self.words, f"color: {look.hex('warn' if step.state == 'trouble' else 'text2')};")
        self.button.setText(step.action)
        self.button.set_kind("run" if self._next else "")
        told = {"done": "done", "missing": "missing", "trouble": "in trouble"}[step.state]
        self.setAccessibleName(straight(f"Step {self._number}, {step.title}: {told}. {step.text}"))
        self.button.setAccessibleName(f"{step.title}: {step.action}")


class WelcomePage(Ground):
    """The page. `opened` carries a path or the `where` of a recent workspace, `step_wanted` the name of a step.

    It is painted before the rest of the program is loaded, so its signals are connected later."""

    try_wanted = Signal()
    new_wanted = Signal()
    open_wanted = Signal()
    step_wanted = Signal(str)
    opened = Signal(object)
    lab_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.try_tile = _Tile(
            "play", "Try it on this machine", "4 XRootD servers, 2 clients, about 1 minute", primary=True
        )
        self.try_tile.clicked.connect(self.try_wanted)
        new_tile = _Tile("plus", "New workspace", "a database for plans and runs")
        new_tile.clicked.connect(self.new_wanted)
        open_tile = _Tile("folder", "Open…", "a workspace or a plan")
        open_tile.clicked.connect(self.open_wanted)
        tiles = QHBoxLayout()
        tiles.setSpacing(16)
        tiles.addWidget(self.try_tile, 135)
        tiles.addWidget(new_tile, 100)
        tiles.addWidget(open_tile, 100)
        drop = _DropField()
        drop.dropped.connect(self.opened.emit)

        self.recent = Table(
            "recent",
            "Recent",
            RECENT_COLUMNS,
            key=lambda r: r.where,
            empty=Empty("clock", "No recent workspaces", "Workspaces that you open are listed here."),
        )
        self.recent.filter_box.hide()
        self.recent.columns_button.hide()
        self.recent.saved_button.hide()
        self.recent.bar.setContentsMargins(0, 4, 0, 4)
        self.recent.activated.connect(lambda row: self.opened.emit(row.where))

        self.lab = QFrame()
        self.lab.setObjectName("plaincard")
        self.lab.setFixedHeight(56)
        self._lab_icon = QLabel()
        self._lab_text, self._lab_detail = label("", "section"), Elided("", "secondary", least=120)
        self.lab_button = button("Use it", "play", self.lab_wanted.emit)
        lab_words = QVBoxLayout()
        lab_words.setSpacing(0)
        lab_words.addWidget(self._lab_text)
        lab_words.addWidget(self._lab_detail)
        lab_row = QHBoxLayout(self.lab)
        lab_row.setContentsMargins(16, 0, 16, 0)
        lab_row.setSpacing(16)
        lab_row.addWidget(self._lab_icon)
        lab_row.addLayout(lab_words, 1)
        lab_row.addWidget(self.lab_button)
        self.lab.hide()
        theme().follow(self._restyle)
        self._restyle()

        card = QFrame()
        card.setObjectName("plaincard")
        rows = QVBoxLayout(card)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        self.steps: dict[str, _StepRow] = {}
        for number, step in enumerate(FIRST_STEPS, start=1):
            if number > 1:
                rows.addWidget(line())
            self.steps[step.name] = _StepRow(number, step, functools.partial(self.step_wanted.emit, step.name))
            rows.addWidget(self.steps[step.name])
        self.setup_count = label("", "secondary")
        setup_head = QHBoxLayout()
        setup_head.setSpacing(12)
        setup_head.addWidget(label("Set up a real test", "section"))
        setup_head.addWidget(self.setup_count)
        setup_head.addStretch(1)

        column = QVBoxLayout()
        column.setSpacing(16)
        column.setContentsMargins(0, 56, 0, 24)
        heading = label("Tally", "title")
        column.addWidget(heading)
        column.addWidget(
            label(
                "Compare what XRootD monitoring recorded with what the clients read, request by request.", "secondary"
            )
        )
        column.addLayout(tiles)
        column.addWidget(drop)
        column.addWidget(self.lab)
        column.addWidget(self.recent)
        column.addLayout(setup_head)
        column.addWidget(card)
        column.addStretch(1)
        middle = QWidget()
        middle.setMaximumWidth(960)
        middle.setLayout(column)
        inside = QWidget()
        centred = QHBoxLayout(inside)
        centred.addStretch(1)
        centred.addWidget(middle, 1000)
        centred.addStretch(1)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def set_recent(self, recent: Sequence[Recent]) -> None:
        """Show the recent workspaces, latest first; before there is one, the steps of the set-up are in their place."""
        self.recent.set_rows(recent)
        self.recent.setFixedHeight(RECENT_HEAD + ROW_HEIGHT * min(max(len(recent), 1), RECENT_ROWS))
        self.recent.setVisible(bool(recent))

    def show_steps(self, steps: tuple[SetupStep, ...]) -> None:
        """How far the set-up is."""
        following = next_step(steps)
        for step in steps:
            self.steps[step.name].show_step(step, is_next=step.name == following)
        done = sum(step.state == "done" for step in steps)
        self.setup_count.setText(f"{done} of {len(steps)} done" if done else "")

    def show_lab(self, text: str, detail: str) -> None:
        """Offer a lab that runs on this machine; an empty text: there is none."""
        self._lab_text.setText(text)
        self._lab_detail.setText(detail)
        self.lab.setVisible(bool(text))

    def _restyle(self) -> None:
        self._lab_icon.setPixmap(pixmap("fleet", "accent_text", 20, 2.0))
