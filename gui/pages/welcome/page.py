"""Welcome: shown while no workspace is open: try it here, open something, or set up a real test."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from gui.models.recent import Recent
from gui.models.rows import UNKNOWN, Column
from gui.models.states import outcome_state
from gui.widgets.icons import pixmap
from gui.widgets.parts import button, label, line
from gui.widgets.table import Empty, Table
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


class _Tile(QPushButton):
    """A large button: icon, title and a remark."""

    def __init__(self, symbol: str, title: str, remark: str, *, primary: bool = False) -> None:
        super().__init__()
        self._symbol, self._title, self._remark, self._primary = symbol, title, remark, primary
        self.setMinimumHeight(80)
        self.setAccessibleName(f"{title}: {remark}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme().changed.connect(self.update)

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
        theme().changed.connect(self.update)

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


STEPS = (
    (
        "hub",
        "Hub address",
        "the address at which agents reach this machine; a key and a certificate are created for you",
        "Start the hub",
    ),
    ("agent", "First agent", "one command to paste on a client host, another on a server host", "Add agent…"),
    (
        "plan",
        "First plan",
        "start from the OSDF 2021 scale sweep or one of the four correctness sets",
        "Choose plan…",
    ),
)
"""The set-up: (name, title, remark, button)."""


class WelcomePage(QWidget):
    """The page. `opened` carries a path or the `where` of a recent workspace, `step_wanted` the name of a step.

    It is painted before the rest of the program is loaded, so its signals are connected later."""

    try_wanted = Signal()
    new_wanted = Signal()
    open_wanted = Signal()
    step_wanted = Signal(str)
    opened = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
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
        self.recent.bar.setContentsMargins(0, 4, 0, 4)
        self.recent.setFixedHeight(176)
        self.recent.activated.connect(lambda row: self.opened.emit(row.where))

        card = QFrame()
        card.setObjectName("plaincard")
        rows = QVBoxLayout(card)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        for number, (name, title, remark, action_text) in enumerate(STEPS, start=1):
            if number > 1:
                rows.addWidget(line())
            row = QHBoxLayout()
            row.setContentsMargins(16, 0, 16, 0)
            row.setSpacing(16)
            step = label(str(number), "secondary")
            step.setFixedSize(24, 24)
            step.setAlignment(Qt.AlignmentFlag.AlignCenter)
            words = QVBoxLayout()
            words.setSpacing(0)
            words.addStretch(1)
            words.addWidget(label(title, "section"))
            words.addWidget(label(remark, "secondary"))
            words.addStretch(1)
            row.addWidget(step)
            row.addLayout(words, 1)
            row.addWidget(button(action_text, action=functools.partial(self.step_wanted.emit, name)))
            holder = QWidget()
            holder.setFixedHeight(56)
            holder.setLayout(row)
            rows.addWidget(holder)

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
        column.addWidget(self.recent)
        column.addWidget(label("Set up a real test", "section"))
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
        """Show the recent workspaces, latest first."""
        self.recent.set_rows(recent)
