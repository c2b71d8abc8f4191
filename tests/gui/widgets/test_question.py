"""A question names the thing, whatever its name is; only its own button does it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from gui.widgets.question import MOST, ask

NAME = "<b>k1</b>\u202e" + "x" * 10_000


def question(qtbot, called: list[str], name: str):
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.show()
    box = ask(parent, f"Revoke {name}?", f"One line.\nAnd {name}.", "Revoke", lambda: called.append("revoked"))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.waitExposed(box)
    return parent, box


def test_a_long_name_is_text_and_leaves_the_dialog_on_the_screen(qtbot) -> None:
    _parent, box = question(qtbot, [], NAME)
    assert box.textFormat() == Qt.TextFormat.PlainText
    assert box.text().startswith("Revoke <b>k1</b>·xx")
    assert len(box.text().replace("\u200b", "")) <= MOST
    assert box.informativeText().startswith("One line.\nAnd <b>k1</b>")
    qtbot.waitUntil(lambda: 0 < box.width() < 1000)
    box.reject()


def test_only_its_own_button_does_it_and_enter_does_not(qtbot) -> None:
    called: list[str] = []
    _parent, box = question(qtbot, called, "k1")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert called == []
    _parent, box = question(qtbot, called, "k1")
    sure = next(button for button in box.findChildren(QPushButton) if button.text() == "Revoke")
    QTest.mouseClick(sure, Qt.MouseButton.LeftButton)
    assert called == ["revoked"]
