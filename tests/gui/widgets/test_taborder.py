"""The way of Tab is that of the layouts, whatever was made, shown or disabled when."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.widgets.taborder import step_focus


class Holder(QWidget):
    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, N802 - Qt's own name
        return step_focus(self, forward=next)


@pytest.fixture
def holder(qtbot) -> Holder:
    made = Holder()
    qtbot.addWidget(made)
    QVBoxLayout(made)
    return made


def show(qtbot, holder: Holder, first: QWidget) -> None:
    holder.show()
    holder.activateWindow()
    qtbot.waitUntil(holder.isActiveWindow)
    first.setFocus()


def field(name: str) -> QLineEdit:
    made = QLineEdit()
    made.setObjectName(name)
    return made


def way(holder: Holder, steps: int, key: Qt.Key = Qt.Key.Key_Tab) -> str:
    names = []
    for _ in range(steps):
        QTest.keyClick(QApplication.focusWidget() or holder, key)
        now = QApplication.focusWidget()
        names.append(now.objectName() if now is not None else "-")
    return " ".join(names)


def test_in_the_order_of_the_layouts_and_round(holder, qtbot) -> None:
    late, early = field("late"), field("early")
    grid = QGridLayout()
    for name, row, column in (("4", 1, 1), ("3", 1, 0), ("1", 0, 0), ("2", 0, 1)):
        grid.addWidget(field(name), row, column)
    split = QSplitter()
    split.addWidget(field("left"))
    split.addWidget(field("right"))
    holder.layout().addLayout(grid)
    holder.layout().addWidget(split)
    holder.layout().addWidget(late)
    first = QHBoxLayout()
    first.addWidget(early)
    holder.layout().insertLayout(0, first)
    show(qtbot, holder, early)
    assert way(holder, 9) == "1 2 3 4 left right late early 1"
    assert way(holder, 3, Qt.Key.Key_Backtab) == "early late right"


def test_what_is_hidden_disabled_or_inside_another_field_is_no_stop(holder, qtbot) -> None:
    one, two, three, four = (field(name) for name in ("one", "two", "three", "four"))
    number = QSpinBox()
    number.setObjectName("number")
    for widget in (one, two, number, three, four):
        holder.layout().addWidget(widget)
    two.hide()
    three.setEnabled(False)
    show(qtbot, holder, one)
    assert way(holder, 4) == "number four one number"


def test_a_control_that_is_disabled_or_hidden_gives_the_focus_to_the_next(holder, qtbot) -> None:
    """Qt asks for the next one then; the first of the window would be far away."""
    fields = [field(name) for name in "abcd"]
    for widget in fields:
        holder.layout().addWidget(widget)
    show(qtbot, holder, fields[1])
    fields[1].setEnabled(False)
    assert QApplication.focusWidget() is fields[2]
    fields[2].hide()
    assert QApplication.focusWidget() is fields[3]


def test_without_anything_to_stop_at(holder) -> None:
    holder.show()
    assert not step_focus(holder, forward=True)
