"""Problems: a dock that lists what went wrong in the background: when, where, what, what to do, and what has happened
since. Never a dialog. The history survives a restart; the user clears it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from gui.models.problems import Entry, ProblemHistory, as_text, moment
from gui.models.rows import Column
from gui.runner.progress import Problem
from gui.widgets.parts import Splitter, button, label
from gui.widgets.table import Empty, Table

LEAST_HEIGHT = 136
"""Pixels: the bar, the header and three rows."""
SAVE_MS = 2000
"""Milliseconds from a change to writing it."""
SEVERITIES = {"error": ("bad", "bad"), "warning": ("warn", "warn"), "info": ("info", "info")}


def _colour(row: Entry) -> str:
    return SEVERITIES[row.severity][1] if row.open else "mute"


COLUMNS: list[Column[Entry]] = [
    Column(
        "severity",
        "Kind",
        lambda r: r.severity,
        width=96,
        kind="status",
        icon=lambda r: SEVERITIES[r.severity][0] if r.open else "ok" if r.state == "gone" else "ring",
        colour=_colour,
    ),
    Column("time", "Last seen", lambda r: r.last, lambda r: moment(r.last), width=88, colour=lambda _r: "text2"),
    Column(
        "first", "First seen", lambda r: r.first, lambda r: moment(r.first), width=88, colour=lambda _r: "text2", fold=2
    ),
    Column("where", "Where", lambda r: r.where, width=144, bold=lambda r: r.open),
    Column("what", "What", lambda r: r.text, width=320, stretch=True, tip=lambda r: r.text),
    Column("since", "Since then", lambda r: r.since, width=200, colour=lambda _r: "text2", fold=3),
    Column(
        "remedy", "What to do", lambda r: r.remedy, width=240, colour=lambda _r: "text2", tip=lambda r: r.remedy, fold=1
    ),
    Column("count", "Times", lambda r: r.count, align="right", width=64),
]


class ProblemsDock(QDockWidget):
    """The dock. `count_changed` carries the number of problems that may still be so; the status bar shows it.

    `file`: where the history is kept."""

    count_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None, file: Path | None = None) -> None:
        super().__init__("Problems", parent)
        self.setObjectName("problems")
        self.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea)
        self._file = file
        self.history = ProblemHistory()
        if file is not None:
            self.history.load(file)
        self._of_run: tuple[Problem, ...] = ()
        self._saving = QTimer(self)
        self._saving.setSingleShot(True)
        self._saving.setInterval(SAVE_MS)
        self._saving.timeout.connect(self.save)
        self.table = Table(
            "problems",
            "Problems",
            COLUMNS,
            key=lambda r: (r.where, r.text),
            empty=Empty("ok", "No problems", "Problems in the background are listed here, with what to do about them."),
        )
        self.copy_button = button("Copy", "copy", self.copy, tip="Copy the chosen problems, with everything known")
        self.copy_all_button = button("Copy all", "copy", self.copy_all)
        self.clear_button = button("Clear", "trash", self.clear, tip="Forget all problems that are listed")
        for widget in (self.copy_button, self.copy_all_button, self.clear_button):
            self.table.bar.addWidget(widget)
        self.table.bar.addWidget(button("", "x", self.hide, kind="plain", tip="Hide problems"))
        self.table.setMinimumHeight(LEAST_HEIGHT)
        self.table.selected.connect(lambda _row: self._show_one())
        self.setTitleBarWidget(QWidget())  # the table's bar has the title
        self.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
        split = Splitter(Qt.Orientation.Horizontal)
        split.setObjectName("problems")
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(self._make_details())
        split.setStretchFactor(0, 1)
        self.setWidget(split)
        self.hide()
        self._show()

    def _make_details(self) -> QWidget:
        self._details = QWidget()
        self._details.setObjectName("page")
        self._details.setMinimumWidth(240)
        column = QVBoxLayout(self._details)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(label("Full text", "section"))
        head.addStretch(1)
        column.addLayout(head)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setAccessibleName("Full text of the problem")
        column.addWidget(self.details, 1)
        self._details.hide()
        return self._details

    def add(self, problem: Problem) -> None:
        """Add a problem of the window itself; a repeated one is counted, not listed again."""
        self.history.add(problem)
        self._changed()

    def set_run_problems(self, problems: Sequence[Problem]) -> None:
        """The problems of the open workspace now; what is no longer among them is gone."""
        if tuple(problems) != self._of_run:
            self._of_run = tuple(problems)
            self.history.of_workspace(problems, time.time())
            self._changed()

    def workspace_closed(self) -> None:
        """What the workspace had is not known any more."""
        self._of_run = ()
        self.history.closed(time.time())
        self._changed()

    def clear(self) -> None:
        """Forget all; what is still so comes back when it happens again."""
        self.history.clear()
        self._changed()

    def save(self) -> None:
        """Write the history, if there is something new in it."""
        self._saving.stop()
        if self._file is not None:
            self.history.save(self._file)

    def copy(self) -> None:
        """Copy the chosen problems; without a choice, all."""
        chosen = self.table.selection() or self.table.model.rows.visible
        QGuiApplication.clipboard().setText(as_text(chosen))

    def copy_all(self) -> None:
        """Copy all that are listed."""
        QGuiApplication.clipboard().setText(as_text(self.table.model.rows.visible))

    def _changed(self) -> None:
        if self._file is not None:
            self._saving.start()
        self._show()

    def _show(self) -> None:
        rows = self.history.entries
        self.table.set_rows(rows)
        past = len(rows) - self.history.open
        still = self.history.open
        self.table.set_counts(f"{still:,} open, {past:,} over" if past else f"{still:,}" if still else "")
        for widget in (self.copy_button, self.copy_all_button, self.clear_button):
            widget.setEnabled(bool(rows))
        self._show_one()
        self.count_changed.emit(self.history.open)

    def _show_one(self) -> None:
        row = self.table.current()
        self._details.setVisible(row is not None)
        text = row.full if row is not None else ""
        if self.details.toPlainText() != text:
            self.details.setPlainText(text)
