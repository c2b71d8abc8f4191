"""A question before something that cannot be taken back; it names the thing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from gui.widgets.parts import breakable

MOST = 400
"""Characters of a line; a name of others may have 10,000."""


def ask(parent: QWidget, question: str, after: str, yes: str, call: Callable[[], object]) -> QMessageBox:
    """A question that names the thing; `call` is what the button `yes` does."""
    box = QMessageBox(parent.window())
    box.setWindowTitle("Tally")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(_wrapped(question))
    box.setInformativeText(_wrapped(after))
    sure = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.finished.connect(lambda _code: call() if box.clickedButton() is sure else None)
    box.open()
    return box


def _wrapped(text: str) -> str:
    """Text that may have names of others, so that no dialog becomes wider than the screen."""
    lines = (line if len(line) <= MOST else f"{line[: MOST - 1]}…" for line in text.split("\n"))
    return "\n".join(breakable(line) for line in lines)
