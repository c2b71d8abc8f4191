"""The button that leads from a stage, or from a drill, to the requests that the latest run lost there."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal

from gui.models.lost import LostRequests, LostThere
from gui.widgets.parts import Button, plain_tip

NO_RUN = "No run has been scored yet."


class LostButton(Button):
    """Disabled, with the reason as its tip, while there is nothing to show. `wanted` carries a `LostThere`."""

    wanted = Signal(object)

    def __init__(self, kind: str = "") -> None:
        super().__init__("Show requests lost")
        if kind:
            self.setProperty("kind", kind)
        self.show_icon("miss", "accent_text" if kind == "link" else "text2")
        self._there: LostThere | None = None
        self.clicked.connect(lambda: self.wanted.emit(self._there))
        self.show_lost(None, ())

    def show_lost(self, lost: LostRequests | None, places: Sequence[str]) -> None:
        """Show how many were lost at these places."""
        there = lost.at(places) if lost is not None else None
        self._there = there
        count = there.count if there is not None else 0
        one = "Show the request lost" if count == 1 else f"Show {count:,} requests lost"
        self.setText(one if count else "Show requests lost")
        self.setEnabled(count > 0)
        self.setToolTip(plain_tip(there.words if there is not None else NO_RUN))
