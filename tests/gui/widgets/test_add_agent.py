"""Add agent: the filled button is the next step, and Enter presses it."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPushButton

from gui.hub import AgentView
from gui.widgets.add_agent import AddAgentSheet


def agent(name: str) -> AgentView:
    return AgentView(
        id=name, name=name, kid="k", role="client", host="h", version="1", platform="p", cpus=1, state="up"
    )


@pytest.fixture
def sheet(qtbot: Any) -> AddAgentSheet:
    made = AddAgentSheet(None, "wss://hub.example.org:8765")  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def filled(sheet: AddAgentSheet) -> list[str]:
    return [each.text() for each in sheet.findChildren(QPushButton) if each.property("kind") == "primary"]


def enter(qtbot: Any) -> None:
    focus = QApplication.focusWidget()
    assert focus is not None
    qtbot.keyClick(focus, Qt.Key.Key_Return)


def test_one_goes_from_invitation_to_done_by_enter_alone(sheet: AddAgentSheet, qtbot: Any) -> None:
    asked: list[tuple[str, float, int]] = []
    sheet.invitation_wanted.connect(lambda *what: asked.append(what))
    assert filled(sheet) == ["Make invitation"]
    sheet.hours.setFocus()
    enter(qtbot)
    assert asked == [("client", 1.0, 1)]
    before = (agent("c1"),)
    sheet.show_command("tally-agent join abc", before)
    assert filled(sheet) == ["Copy"]
    enter(qtbot)
    assert QGuiApplication.clipboard().text() == "tally-agent join abc"
    sheet.agents_changed(before)
    assert filled(sheet) == ["Copy"], "who was here before is not the one that was invited"
    sheet.agents_changed((*before, agent("c2")))
    assert filled(sheet) == ["Done"]
    sheet.agents_changed((*before, agent("c2"), agent("c3")))
    assert filled(sheet) == ["Done"]
    enter(qtbot)
    assert not sheet.isVisible()
    assert len(asked) == 1, "nobody is invited by the way"


def test_another_invitation_begins_again(sheet: AddAgentSheet, qtbot: Any) -> None:
    asked: list[str] = []
    sheet.invitation_wanted.connect(lambda role, _hours, _uses: asked.append(role))
    sheet.show_command("tally-agent join abc", ())
    sheet.agents_changed((agent("c1"),))
    assert sheet.make.text() == "Make another"
    qtbot.mouseClick(sheet.make, Qt.MouseButton.LeftButton)
    assert asked == ["client"]
    sheet.show_command("tally-agent join def", (agent("c1"),))
    assert filled(sheet) == ["Copy"]
    assert sheet.done_button.text() == "Close"
