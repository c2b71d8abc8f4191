"""The box of a run, which opens the list of runs; and the strip that says what a comparison found."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.plain import straight
from gui.models.runs import RunView
from gui.models.states import outcome_state
from gui.pages.compare.charts import colour_a, colour_b
from gui.pages.compare.columns import PICKER_COLUMNS
from gui.report import Finding
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, button, plain_tip
from gui.widgets.table import Empty, Table
from gui.widgets.theme import sized_font, theme

PICKER_SIZE = (640, 400)
TONES = {
    "worse": ("bad", "bad"),
    "better": ("ok", "ok"),
    "slower": ("warn", "warn"),
    "faster": ("ok", "ok"),
    "same": ("ok", "text2"),
    "refused": ("ring", "mute"),
}
"""Icon and colour of the strip."""


class RunBox(QPushButton):
    """A run: a stroke in its colour, its number, whether it is the baseline, its day and verdict. A click opens the
    list of runs; `chosen` carries the number of another one."""

    chosen = Signal(int)

    def __init__(self, side: str) -> None:
        super().__init__()
        self._side = side
        self._view: RunView | None = None
        self._picker = RunPicker(self)
        self._picker.chosen.connect(self.chosen)
        self.setFixedHeight(28)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.clicked.connect(self.open)
        theme().follow(self.update)
        self.show_run(None)

    def show_run(self, view: RunView | None) -> None:
        """Show this run, or that none is chosen."""
        self._view = view
        what = "The run that is compared with" if self._side == "a" else "The run that is compared"
        words = " ".join(text for text, _, _, _ in self._parts())
        self.setAccessibleName(straight(f"{what}: {words}"))
        name = f"\n{view.run.name}" if view is not None else ""
        self.setToolTip(plain_tip(f"{what}{name}\nClick to choose another one"))
        self.updateGeometry()
        self.update()

    def set_runs(self, views: Sequence[RunView]) -> None:
        """The runs to choose from."""
        self._picker.table.set_rows(views)

    def open(self) -> None:
        """Open the list of runs under the box."""
        self._picker.open_at(self.mapToGlobal(QPoint(0, self.height() + 2)), self._view.run.id if self._view else None)

    @property
    def picker(self) -> RunPicker:
        """The list that it opens."""
        return self._picker

    def _parts(self) -> list[tuple[str, str, str, bool]]:
        """``(text, colour, icon before it, bold)``; those at the end are left out first."""
        view = self._view
        if view is None:
            return [("Choose a run", "text2", "", False)]
        symbol, word, colour = outcome_state(view.outcome)
        parts = [(f"Run {view.run.id}", "text", "", True)]
        if view.run.baseline:
            parts.append(("baseline", "accent_text", "pin", False))
        parts.append((word, colour, symbol, word == "FAIL"))
        if view.run.started is not None:
            parts.append((figures.day(view.run.started), "text2", "", False))
        return parts

    def _widths(self) -> list[int]:
        return [
            QFontMetrics(sized_font(13, QFont.Weight.DemiBold)).horizontalAdvance(text) + (18 if symbol else 0) + 10
            for text, _, symbol, _ in self._parts()
        ]

    def sizeHint(self) -> QSize:
        return QSize(30 + sum(self._widths()) + 24, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(30 + self._widths()[0] + 24, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        look = theme()
        middle = self.height() // 2
        colour: QColor = colour_a() if self._side == "a" else colour_b()
        painter.setPen(QPen(colour, 3))
        painter.drawLine(10, middle, 24, middle)
        x, room = 32, self.width() - 24
        for (text, name, symbol, bold), width in zip(self._parts(), self._widths(), strict=True):
            if x + width - 10 > room:
                break
            if symbol:
                painter.drawPixmap(x, middle - 7, pixmap(symbol, name, 14, self.devicePixelRatioF()))
            painter.setFont(sized_font(13, QFont.Weight.DemiBold if bold else QFont.Weight.Normal))
            painter.setPen(look.colour(name))
            left = x + (18 if symbol else 0)
            painter.drawText(left, 0, width, self.height(), int(Qt.AlignmentFlag.AlignVCenter), text)
            x += width
        painter.drawPixmap(self.width() - 20, middle - 6, pixmap("down", "text2", 12, self.devicePixelRatioF()))


class RunPicker(QFrame):
    """The list of runs, over everything else until one is chosen, or Escape."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("plaincard")
        self.table = Table(
            "compare-picker",
            "Runs",
            PICKER_COLUMNS,
            key=lambda view: view.run.id,
            hint="plan:osdf",
            empty=Empty("runs", "No runs in this workspace yet"),
        )
        self.table.activated.connect(lambda view: self._choose(view.run.id))
        self.table.view.clicked.connect(self._clicked)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 1, 1, 1)
        column.addWidget(self.table)

    def open_at(self, place: QPoint, run: int | None) -> None:
        """Show it there, within the screen, with this run marked."""
        self.resize(*PICKER_SIZE)
        room = self.screen().availableGeometry()
        left = max(room.left(), min(place.x(), room.right() - self.width()))
        top = max(room.top(), min(place.y(), room.bottom() - self.height()))
        self.move(left, top)
        self.show()
        self.table.view.setFocus()
        if run is not None:
            self.table.select_key(run)

    def _clicked(self, index: QModelIndex) -> None:
        view = self.table.model.row_at(index)
        if view is not None:
            self._choose(view.run.id)

    def _choose(self, run: int) -> None:
        self.hide()
        self.chosen.emit(run)


class Strip(QWidget):
    """What the comparison found, in one line: an icon, what it is in bold, the figures, the reason in bold."""

    evidence_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(44)
        self._tone = ("ring", "mute")
        self._back = "raised"
        self._picture = QLabel()
        self.words = Sentence()
        self.evidence_button = button("Show evidence", "miss", self.evidence_wanted.emit, kind="small")
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(8)
        row.addWidget(self._picture)
        row.addWidget(self.words, 1)
        row.addWidget(self.evidence_button)
        theme().follow(self._restyle)
        self._restyle()

    def show_finding(self, finding: Finding, *, evidence: bool) -> None:
        """Say this; `evidence`: there is something to look at."""
        self._tone = TONES[finding.tone]
        self.words.set_parts(finding.head, finding.text, f"Most likely {finding.reason}." if finding.reason else "")
        self.evidence_button.setVisible(evidence)
        self._restyle()

    def _restyle(self) -> None:
        symbol, colour = self._tone
        self._picture.setPixmap(pixmap(symbol, colour, 16, 2.0))
        back = f"{colour}_bg" if f"{colour}_bg" in theme().names() else "raised"
        self._back = back
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), theme().ink(self._back))


class Sentence(Elided):
    """A bold beginning, the figures, and a bold end; cut where there is no room, and then whole in the tip."""

    def __init__(self) -> None:
        super().__init__("", least=200)
        self._parts = ("", "", "")

    def set_parts(self, head: str, text: str, end: str) -> None:
        """Show these three."""
        self._parts = (head, text, end)
        self.setText(" ".join(part for part in self._parts if part))
        self.setAccessibleName(straight(self.text()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setPen(theme().colour("text"))
        x, rect = 0, self.contentsRect()
        for part, bold in zip(self._parts, (True, False, True), strict=True):
            if not part or x >= rect.width() - 20:
                continue
            font = sized_font(13, QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
            painter.setFont(font)
            metrics = QFontMetrics(font)
            shown = metrics.elidedText(" ".join(straight(part).split()), Qt.TextElideMode.ElideRight, rect.width() - x)
            painter.drawText(
                rect.adjusted(x, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), shown
            )
            x += metrics.horizontalAdvance(shown) + 6
