"""What is being set up before there is a run, step by step."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.widgets.icons import pixmap
from gui.widgets.parts import button, label
from gui.widgets.theme import theme


class StagesPanel(QWidget):
    """What is being set up, step by step, with a button to cancel it."""

    SHOWN = 10

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self.title = label("", "section")
        self._steps: list[str] = []
        self._rows: list[tuple[QLabel, QLabel]] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.title, 0, 0, 1, 2)
        for number in range(self.SHOWN):
            picture, words = QLabel(), label("", "secondary")
            words.setWordWrap(True)
            grid.addWidget(picture, number + 1, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(words, number + 1, 1)
            self._rows.append((picture, words))
        self.cancel_button = button("Cancel", "x", cancel)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 12, 0, 0)
        foot.addWidget(self.cancel_button)
        foot.addStretch(1)
        grid.addLayout(foot, self.SHOWN + 1, 0, 1, 2)
        card = QWidget()
        card.setFixedWidth(520)
        card.setLayout(grid)
        column = QVBoxLayout(self)
        column.addStretch(2)
        column.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        theme().follow(self._show)

    def begin(self, title: str) -> None:
        """Clear the steps and show this title."""
        self.title.setText(title)
        self._steps.clear()
        self.cancel_button.setEnabled(True)
        self._show()

    def add(self, step: str) -> None:
        """Add the next step; those before it are done."""
        self._steps.append(step)
        self._show()

    def clear(self) -> None:
        self.begin("")

    def steps(self) -> tuple[str, ...]:
        """The steps so far, the newest last."""
        return tuple(self._steps)

    def _show(self) -> None:
        shown = self._steps[-self.SHOWN :]
        for number, (picture, words) in enumerate(self._rows):
            there = number < len(shown)
            picture.setVisible(there)
            words.setVisible(there)
            if there:
                current = number == len(shown) - 1
                picture.setPixmap(pixmap("run", "info", 14, 2.0) if current else pixmap("ok", "ok", 14, 2.0))
                words.setText(shown[number])
