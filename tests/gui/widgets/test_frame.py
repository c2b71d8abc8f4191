"""The frame: fields of the status bar come and go, and long names widen nothing."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QWidget

from gui.widgets.frame import ITEM_HEIGHT, LEAST_SIZE, Frame, RailButton, StatusPart


def status(frame: Frame) -> list[str]:
    labels = frame.statusBar().findChildren(QLabel)
    return [label.text() for label in labels if label.text() and label.isVisible()]


def test_fields_of_the_status_bar_that_are_gone_are_not_shown(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.show()
    frame.set_status((StatusPart("ring", "hub"), StatusPart("ring", "pin"), StatusPart("queue", "records waiting 7")))
    assert status(frame) == ["hub", "pin", "records waiting 7"]
    frame.set_status((StatusPart("ring", "no hub"), StatusPart("queue", "records waiting –")))
    assert status(frame) == ["no hub", "records waiting –"]
    frame.set_status((StatusPart("ring", "hub"), StatusPart("ring", "pin"), StatusPart("queue", "records waiting 8")))
    assert status(frame) == ["hub", "pin", "records waiting 8"]


def test_long_names_do_not_widen_the_window(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.show()
    frame.resize(*LEAST_SIZE)
    frame.show_workspace("n" * 200, "/data/<b>x</b>.db")
    frame.set_status(tuple(StatusPart("dot", "bus amqps://" + "m" * 200) for _ in range(4)))
    assert frame.minimumSizeHint().width() <= LEAST_SIZE[0]
    assert "&lt;b&gt;" in frame.workspace_button.toolTip()


def test_what_was_remembered_is_there_again_at_the_next_start(qtbot) -> None:
    first = Frame()
    qtbot.addWidget(first)
    first.show()
    first.setGeometry(60, 70, 900, 640)
    first.remember()
    second = Frame()
    qtbot.addWidget(second)
    second.restore()
    assert (second.width(), second.height()) == (900, 640)
    assert abs(second.x() - 60) < 40


@pytest.mark.parametrize(
    "place", [QRect(5000, 200, 900, 640), QRect(-3000, -3000, 900, 640), QRect(10, 10, 4000, 3000)]
)
def test_a_window_whose_monitor_is_gone_comes_back_on_one_that_is_there(qtbot, monkeypatch, place: QRect) -> None:
    before = Frame()
    qtbot.addWidget(before)
    before.remember()
    after = Frame()
    qtbot.addWidget(after)
    # As on a machine whose second monitor is gone: what was stored is a place that no screen has any more.
    monkeypatch.setattr(after, "restoreGeometry", lambda _state: after.setGeometry(place) is None)
    after.restore()
    room = after.screen().availableGeometry()
    assert room.contains(after.geometry())


def test_with_little_room_the_rail_has_icons_only_and_the_page_is_scrolled(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    for name in ("fleet", "plans", "live", "runs", "pipeline", "wire", "eye", "settings"):
        large = QWidget()
        large.setMinimumSize(1000, 600)
        frame.add_page(name, large, title=name, place="rail")
    frame.go("fleet")
    frame.show()
    frame.resize(*LEAST_SIZE)
    qtbot.waitUntil(lambda: frame.height() == LEAST_SIZE[1])
    buttons = frame.findChildren(RailButton)
    assert all(button.isVisible() and button.height() < ITEM_HEIGHT for button in buttons)
    assert buttons[-1].geometry().bottom() <= buttons[-1].parentWidget().height()
    assert frame.page_area.verticalScrollBar().maximum() > 0
    assert frame.page_area.horizontalScrollBar().maximum() > 0
    frame.add_page("inner", QWidget(), under="runs")
    frame.go("inner")
    qtbot.waitUntil(lambda: frame.page_area.verticalScrollBar().maximum() == 0)


def test_a_run_that_is_asked_to_stop_says_so_and_the_button_then_aborts(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.resize(1440, 900)
    frame.show_run("Run 7 · 40 %", running=True)
    assert frame.stop_button.text() == "Stop"
    frame.show_run("Run 7 · 40 %", running=True, ending="stopping")
    assert frame.stop_button.text() == "Abort"
    assert frame.stop_button.isEnabled()
    assert "Run 7 · 40 % · stopping after this round" in [
        label.text() for label in frame.run_state.findChildren(QLabel)
    ]
    frame.show_run("Run 7 · 40 %", running=True, ending="aborting")
    assert not frame.stop_button.isEnabled()
    frame.show_run("", running=False)
    assert frame.stop_button.text() == "Stop"


class Paused(QWidget):
    """A page that counts how often Space was pressed."""

    spaces = 0

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        self.spaces += event.key() == Qt.Key.Key_Space


def test_after_run_the_page_has_the_keys_but_who_writes_goes_on_writing(qtbot) -> None:
    frame, page = Frame(), Paused()
    qtbot.addWidget(frame)
    frame.add_page("live", page, title="Live", place="rail")
    frame.go("live")
    frame.show()
    frame.activateWindow()
    qtbot.waitUntil(frame.isActiveWindow)
    frame.run_button.setFocus()
    frame.show_run("Run 1", running=True)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert page.spaces == 1
    field = QLineEdit(page)
    field.show()
    field.setFocus()
    frame.show_run("Run 1 · 3 %", running=True)
    assert QApplication.focusWidget() is field, "a run that goes on takes nothing"
    frame.show_run("", running=False)
    frame.show_run("Run 2", running=True)  # begun by another program
    assert QApplication.focusWidget() is field


def test_a_page_without_a_button_leaves_none_marked(qtbot) -> None:
    frame = Frame()
    qtbot.addWidget(frame)
    frame.add_page("welcome", QWidget())
    frame.add_page("fleet", QWidget(), title="Fleet", place="rail")
    frame.go("fleet")
    assert [item.isChecked() for item in frame._rail_buttons.values()] == [True]
    frame.go("welcome")
    assert [item.isChecked() for item in frame._rail_buttons.values()] == [False]
