"""A bar that says what is being done, or what was done, with what to do next as buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from gui.models.plain import straight
from gui.widgets.icons import pixmap
from gui.widgets.parts import Button, Elided, button
from gui.widgets.theme import theme

Action = tuple[str, str, Callable[[], object]]
"""(text, icon, what a click does)."""


class MessageBar(QWidget):
    """Hidden until it has something to say. One message at a time; the newest stays until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(40)
        self._state = ("info", "info")
        self._picture = QLabel()
        self.text = Elided("", least=120)
        self.buttons: list[Button] = []
        self.close_button = button("", "x", self.dismiss, kind="plain", tip="Close this message")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 4, 8, 4)
        self._row.setSpacing(8)
        self._row.addWidget(self._picture)
        self._row.addWidget(self.text)
        self._row.addStretch(1)
        self._row.addWidget(self.close_button)
        theme().follow(self._restyle)
        self.hide()

    def say(
        self, text: str, *, colour: str = "ok", symbol: str = "", actions: Sequence[Action] = (), stays: bool = False
    ) -> None:
        """Show this text; `colour` is ok, info, warn or bad. `stays`: it cannot be closed."""
        self._show(symbol or ("run" if colour == "info" else colour), colour, text, actions)
        self.close_button.setVisible(not stays)

    def busy(self, text: str) -> None:
        """Show that this is being done."""
        self._show("run", "info", text, ())
        self.close_button.hide()

    def dismiss(self) -> None:
        """Say nothing any more."""
        self.hide()

    def _show(self, symbol: str, colour: str, text: str, actions: Sequence[Action]) -> None:
        self._state = (symbol, colour)
        self.text.setText(text)
        self.setAccessibleName(straight(text))
        for widget in self.buttons:
            self._row.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.buttons = [button(words, picture, call, kind="small") for words, picture, call in actions]
        for widget in self.buttons:
            self._row.insertWidget(self._row.count() - 1, widget)
        self._restyle()
        self.show()

    def _restyle(self) -> None:
        symbol, colour = self._state
        self._picture.setPixmap(pixmap(symbol, colour, 16, 2.0))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), theme().ink(f"{self._state[1]}_bg"))
