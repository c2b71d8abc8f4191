"""Evidence: one request, and the stages that its record went through."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from gui.models.verdicts import verdict_state
from gui.reconcile import Ladder, Rung
from gui.store import RequestEntry, VerdictKind
from gui.widgets.crumbs import Crumbs
from gui.widgets.icons import pixmap
from gui.widgets.parts import Badge, Page, label
from gui.widgets.theme import theme

RUNG_STATES = {
    "passed": ("ok", "ok"),
    "lost": ("bad", "bad"),
    "not reached": ("ring", "mute"),
    "unknown": ("unreq", "mute"),
}


class EvidencePage(Page):
    """The page."""

    runs_wanted = Signal()
    run_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("")
        self.crumbs = Crumbs(self.run_wanted.emit, "Back to the run")
        self.badge = Badge()
        self.head.insertWidget(0, self.crumbs)
        self.head.insertWidget(2, self.badge)
        self.answer = label("")
        self.answer.setWordWrap(True)
        self._rungs: tuple[Rung, ...] = ()
        self._rows: list[tuple[QLabel, QLabel, QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(3, 1)
        self._grid.setColumnMinimumWidth(1, 88)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        inside = QWidget()
        scroll.setWidget(inside)
        column = QVBoxLayout(inside)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        column.addWidget(self.answer)
        column.addLayout(self._grid)
        column.addStretch(1)
        self.body.addWidget(scroll)
        theme().changed.connect(self._show_rungs)

    def show_request(self, run: int, request: RequestEntry, ladder: Ladder | None) -> None:
        """Show a request of a run; without a ladder, nothing was lost."""
        self.crumbs.set_path([("Runs", self.runs_wanted.emit), (f"Run {run}", self.run_wanted.emit)])
        self.title.setText(request.path)
        self.remark.setText(f"{request.tag} at {request.server}")
        self.badge.set_state(*verdict_state(request.verdict))
        if ladder is None:
            words = {
                VerdictKind.CLIENT_FAILED: request.error or "The client did not finish this request.",
                VerdictKind.NOT_WAITED: f"{request.cause[:1].upper()}{request.cause[1:]}.",
                VerdictKind.WRONG_BYTES: "The recorded bytes differ from the requested bytes"
                + (f": {', '.join(request.behaviours)}." if request.behaviours else "."),
            }
            text = words.get(request.verdict, "Nothing was lost.") if request.verdict is not None else ""
            self.answer.setText(text)
        else:
            more = len(ladder.together) - 1
            with_it = (
                f" Lost with the same datagram: {more:,} other request{'s' if more > 1 else ''}." if more > 0 else ""
            )
            self.answer.setText(f"{ladder.answer}.{with_it}" if with_it else ladder.answer)
        self._rungs = ladder.rungs if ladder else ()
        self._show_rungs()

    def clear(self) -> None:
        """Show no request."""
        self.title.setText("")
        self.remark.setText("")
        self.answer.setText("")
        self._rungs = ()
        self._show_rungs()

    def _show_rungs(self) -> None:
        while len(self._rows) < len(self._rungs):
            cells = (QLabel(), label("", "section"), label(), label("", "secondary"))
            cells[3].setWordWrap(True)
            for place, cell in enumerate(cells):
                self._grid.addWidget(cell, len(self._rows), place)
            self._rows.append(cells)
        for number, cells in enumerate(self._rows):
            shown = number < len(self._rungs)
            for cell in cells:
                cell.setVisible(shown)
            if shown:
                rung = self._rungs[number]
                symbol, colour = RUNG_STATES[rung.state]
                picture, stage, state, evidence = cells
                picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
                stage.setText(rung.stage)
                state.setText("lost here" if rung.state == "lost" else rung.state)
                state.setStyleSheet(f"color: {theme().hex(colour)};")
                evidence.setText(rung.evidence)
