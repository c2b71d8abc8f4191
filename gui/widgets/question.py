"""A question before something that cannot be taken back; it names the thing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from gui.models.plain import straight


def ask(parent: QWidget, question: str, after: str, yes: str, call: Callable[[], object]) -> QMessageBox:
    """A question that names the thing; `call` is what the button `yes` does."""
    box = QMessageBox(parent.window())
    box.setWindowTitle("Tally")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(straight(question))
    box.setInformativeText(straight(after))
    sure = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.finished.connect(lambda _code: call() if box.clickedButton() is sure else None)
    box.open()
    return box
