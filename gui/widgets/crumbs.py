"""The way back from an inner page: an arrow, and the pages it lies under, each of which can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from gui.widgets.icons import pixmap
from gui.widgets.parts import Button, button, short_caption
from gui.widgets.theme import theme


class Crumbs(QWidget):
    """``‹  Runs › Run 36 ›``, before the title of an inner page."""

    def __init__(self, back: Callable[[], object], tip: str = "Back") -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.back_button = button("", "left", back, kind="plain", tip=tip)
        self._row.addWidget(self.back_button)
        self.links: list[Button] = []
        self._chevrons: list[QLabel] = []
        theme().changed.connect(self._restyle)

    def set_path(self, path: Sequence[tuple[str, Callable[[], object]]]) -> None:
        """The pages above, from the outermost: text, and what a click does."""
        for widget in (*self.links, *self._chevrons):
            self._row.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.links, self._chevrons = [], []
        for text, call in path:
            link, chevron = button(short_caption(text, 28), action=call, kind="plain"), QLabel()
            self.links.append(link)
            self._chevrons.append(chevron)
            link.setStyleSheet("padding: 0 4px;")
            self._row.addWidget(link)
            self._row.addWidget(chevron)
        self._restyle()

    def _restyle(self) -> None:
        for chevron in self._chevrons:
            chevron.setPixmap(pixmap("right", "text3", 12, 2.0))
