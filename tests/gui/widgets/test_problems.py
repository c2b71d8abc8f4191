"""Problems: counted, not repeated; history, full text and copies by mouse; plain text; kept over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui.runner.progress import Problem
from gui.widgets.frame import Frame
from gui.widgets.problems import ProblemsDock

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dock(qtbot, tmp_path: Path) -> ProblemsDock:
    made = ProblemsDock(file=tmp_path / "problems.jsonl")
    qtbot.addWidget(made)
    made.resize(1368, 240)
    made.show()
    return made


def choose(dock: ProblemsDock, number: int) -> None:
    QApplication.processEvents()
    view = dock.table.view
    QTest.mouseClick(view.viewport(), LEFT, pos=QPoint(300, view.rowViewportPosition(number) + 10))


def test_what_comes_again_is_counted(dock, qtbot) -> None:
    with qtbot.waitSignal(dock.count_changed):
        dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    dock.add(Problem(2.0, "error", "bus", "The broker is away.", "Start it."))
    dock.set_run_problems([Problem(3.0, "warning", "run 1", "<b>x</b>")])
    assert [(p.where, p.count) for p in dock.table.model.rows.all] == [("run 1", 1), ("bus", 2)]


def test_what_is_gone_stays_in_the_list_and_is_not_counted(dock, qtbot) -> None:
    dock.set_run_problems([Problem(3.0, "warning", "records", "The broker is away.")])
    with qtbot.waitSignal(dock.count_changed) as count:
        dock.set_run_problems([])
    assert count.args == [0]
    assert dock.table.counts.text() == "0 open, 1 over"
    (row,) = dock.table.model.rows.all
    assert row.since.startswith("gone at ")


def test_the_full_text_of_one_is_shown_and_copied(dock) -> None:
    dock.add(Problem(2.0, "error", "report", "<b>The disk</b> is full. " + "x" * 3000, "Make room."))
    dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    assert not dock.details.isVisible()
    choose(dock, 0)
    assert "<b>The disk</b> is full." in dock.details.toPlainText()
    assert dock.details.toPlainText().endswith("What to do: Make room.")
    QTest.mouseClick(dock.copy_button, LEFT)
    assert "The broker is away." not in QGuiApplication.clipboard().text()
    assert len(QGuiApplication.clipboard().text()) > 3000
    QTest.mouseClick(dock.copy_all_button, LEFT)
    assert "The broker is away.\nWhat to do: Start it." in QGuiApplication.clipboard().text()


def test_cleared_by_the_user(dock) -> None:
    dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    QApplication.processEvents()
    QTest.mouseClick(dock.clear_button, LEFT)
    assert dock.table.model.rows.all == []
    assert not dock.clear_button.isEnabled()


def test_it_survives_a_restart(dock, qtbot, tmp_path: Path) -> None:
    dock.add(Problem(1.0, "error", "bus", "The broker is away.", "Start it."))
    qtbot.waitUntil((tmp_path / "problems.jsonl").exists)
    again = ProblemsDock(file=tmp_path / "problems.jsonl")
    qtbot.addWidget(again)
    (row,) = again.table.model.rows.all
    assert row.since == "before this start; not known since"
    assert again.history.open == 0
    again.workspace_closed()
    again.clear()
    again.save()
    assert (tmp_path / "problems.jsonl").read_text() == ""


def test_the_status_bar_counts_them(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.set_problems(2)
    assert frame.problems_button.text() == "Problems  2"
    frame.set_problems(0)
    assert frame.problems_button.text() == "No problems"
