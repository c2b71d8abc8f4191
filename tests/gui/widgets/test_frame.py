"""The frame: fields of the status bar come and go, and long names widen nothing."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel

from gui.widgets.frame import LEAST_SIZE, Frame, StatusPart


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
