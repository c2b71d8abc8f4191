"""Problems: a dock that lists what went wrong in the background: when, where, what, and what to do. Never a dialog."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDockWidget, QWidget

from gui.models import figures
from gui.models.rows import Column
from gui.runner.progress import Problem
from gui.widgets.parts import button
from gui.widgets.table import Empty, Table

LEAST_HEIGHT = 136
"""Pixels: the bar, the header and three rows."""
SEVERITIES = {"error": ("bad", "bad"), "warning": ("warn", "warn"), "info": ("info", "info")}

COLUMNS: list[Column[Problem]] = [
    Column(
        "severity",
        "Kind",
        lambda r: r.severity,
        width=96,
        kind="status",
        icon=lambda r: SEVERITIES[r.severity][0],
        colour=lambda r: SEVERITIES[r.severity][1],
    ),
    Column(
        "time",
        "Time",
        lambda r: r.t,
        lambda r: figures.clock(r.t, parts=False),
        width=88,
        colour=lambda _r: "text2",
    ),
    Column("where", "Where", lambda r: r.where, width=160, bold=True),
    Column("what", "What", lambda r: r.text, width=360, stretch=True, tip=lambda r: r.text),
    Column("remedy", "What to do", lambda r: r.remedy, width=320, colour=lambda _r: "text2", tip=lambda r: r.remedy),
    Column("count", "Times", lambda r: r.count, align="right", width=64),
]


class ProblemsDock(QDockWidget):
    """The dock. `count_changed` carries the number of problems; the status bar shows it."""

    count_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Problems", parent)
        self.setObjectName("problems")
        self.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea)
        self._own: list[Problem] = []
        self._of_run: tuple[Problem, ...] = ()
        self.table = Table(
            "problems",
            "Problems",
            COLUMNS,
            key=lambda r: (r.where, r.text, r.t),
            empty=Empty("ok", "No problems", "Problems in the background are listed here, with what to do about them."),
        )
        self.table.bar.addWidget(button("Copy", "copy", self._copy))
        self.table.bar.addWidget(button("Clear", "trash", self.clear))
        self.table.bar.addWidget(button("", "x", self.hide, kind="plain", tip="Hide problems"))
        self.table.setMinimumHeight(LEAST_HEIGHT)
        self.setTitleBarWidget(QWidget())  # the table's bar has the title
        self.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
        self.setWidget(self.table)
        self.hide()

    def add(self, problem: Problem) -> None:
        """Add a problem of the window itself; a repeated one is counted, not listed again."""
        for place, known in enumerate(self._own):
            if (known.where, known.text) == (problem.where, problem.text):
                self._own[place] = Problem(
                    problem.t, problem.severity, problem.where, problem.text, problem.remedy, known.count + 1
                )
                break
        else:
            self._own.append(problem)
        self._show()

    def set_run_problems(self, problems: Sequence[Problem]) -> None:
        """Show the problems of the current or last run."""
        if tuple(problems) != self._of_run:
            self._of_run = tuple(problems)
            self._show()

    def clear(self) -> None:
        self._own.clear()
        self._of_run = ()
        self._show()

    def _show(self) -> None:
        rows = sorted((*self._own, *self._of_run), key=lambda problem: -problem.t)
        self.table.set_rows(rows)
        self.count_changed.emit(len(rows))

    def _copy(self) -> None:
        lines = [
            f"{time.strftime('%F %T', time.localtime(p.t))} {p.severity} {p.where}: {p.text} {p.remedy}".rstrip()
            for p in self.table.model.rows.visible
        ]
        QGuiApplication.clipboard().setText("\n".join(lines))
