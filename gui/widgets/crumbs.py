"""The way back from an inner page: an arrow, and the pages it lies under, each of which can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from gui.widgets.dress import give_sheet
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
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.back_button = button("", "left", back, kind="plain", tip=tip)
        self._row.addWidget(self.back_button)
        self._row.addStretch(1)
        self._roomy = False
        self.links: list[Button] = []
        self._chevrons: list[QLabel] = []
        theme().follow(self._restyle)

    def sizeHint(self) -> QSize:
        """The width of all of it, shown or not."""
        return QSize(self.back_button.minimumWidth() + sum(self._widths()), 28)

    def set_roomy(self, roomy: bool) -> None:
        """Whether all of it stays, however long the title beside it is."""
        if roomy != self._roomy:
            self._roomy = roomy
            self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        if self._roomy:
            return self.sizeHint()
        widths = self._widths()
        return QSize(self.back_button.minimumWidth() + (widths[-1] if widths else 0), 28)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _widths(self) -> list[int]:
        gap = self._row.spacing()
        return [link.sizeHint().width() + chevron.sizeHint().width() + 2 * gap
                for link, chevron in zip(self.links, self._chevrons, strict=True)]  # fmt: skip

    def _fit(self) -> None:
        """With little room the outermost pages are left out; the arrow leads there too, step by step."""
        room = self.width() - self.back_button.minimumWidth()
        widths = self._widths()
        for number, (link, chevron) in enumerate(zip(self.links, self._chevrons, strict=True)):
            shown = sum(widths[number:]) <= room or number == len(widths) - 1
            link.setVisible(shown)
            chevron.setVisible(shown)

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
            give_sheet(link, "padding: 0 4px;")
            self._row.insertWidget(self._row.count() - 1, link)
            self._row.insertWidget(self._row.count() - 1, chevron)
        self._restyle()
        self.updateGeometry()
        self._fit()

    def _restyle(self) -> None:
        for chevron in self._chevrons:
            chevron.setPixmap(pixmap("right", "text3", 12, 2.0))
