"""What may not be used stays visible, says why, and cannot be enabled by the page meanwhile."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from gui.widgets.forbidden import Forbidden
from gui.widgets.parts import button

WHY = "You look on; this needs an operator."


def test_it_stays_disabled_with_its_reason_until_it_is_allowed(qtbot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    pressed: list[str] = []
    one, two = button("Drain", action=lambda: pressed.append("one"), tip="Ctrl+D"), button("Revoke")
    two.setEnabled(False)
    for each in (one, two):
        each.setParent(holder)
    action = QAction("Stop", holder)
    forbidden = Forbidden(holder)
    forbidden.forbid((one, two, action), WHY)
    for control in (one, two, action):
        control.setEnabled(True)  # as a page does when its selection changes
        control.setToolTip("another")
        assert not control.isEnabled()
        assert WHY in control.toolTip()
    one.click()
    assert pressed == []
    forbidden.allow_all()
    assert (one.isEnabled(), two.isEnabled(), action.isEnabled()) == (True, False, True)
    assert WHY not in one.toolTip()
    one.setEnabled(False)
    one.setEnabled(True)
    one.click()
    assert pressed == ["one"]
