"""Problems: counted, not repeated; copied with their remedy; plain text."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication

from gui.runner.progress import Problem
from gui.widgets.frame import Frame
from gui.widgets.problems import ProblemsDock


@pytest.fixture
def dock(qtbot) -> ProblemsDock:
    made = ProblemsDock()
    qtbot.addWidget(made)
    made.show()
    return made


def test_what_comes_again_is_counted(dock, qtbot) -> None:
    with qtbot.waitSignal(dock.count_changed):
        dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    dock.add(Problem(2.0, "error", "bus", "The broker is away.", "Start it."))
    dock.set_run_problems([Problem(3.0, "warning", "run 1", "<b>x</b>")])
    assert [(p.where, p.count) for p in dock.table.model.rows.all] == [("run 1", 1), ("bus", 2)]


def test_copied_with_cause_and_remedy_then_cleared(dock) -> None:
    dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    dock._copy()
    assert QGuiApplication.clipboard().text().endswith("error bus: The broker is away. Start it.")
    dock.clear()
    assert dock.table.model.rows.all == []


def test_the_status_bar_counts_them(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.set_problems(2)
    assert frame.problems_button.text() == "Problems  2"
    frame.set_problems(0)
    assert frame.problems_button.text() == "No problems"
