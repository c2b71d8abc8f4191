"""What the chosen test will do, in figures, and beside it Run: next to the form, or under it in a narrow window.

Run is always in sight: form and figures scroll, the buttons do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from gui.campaign.plan import Plan
from gui.campaign.preview import Preview
from gui.models import figures
from gui.widgets.icons import pixmap
from gui.widgets.parts import PlainLabel, label
from gui.widgets.theme import theme

SIDE = 300
Judgement = Literal["ok", "warn", "bad"]
Note = tuple[Judgement, str]


class FormAndPreview(QWidget):
    """`buttons`, and `words` about them, stay in sight whatever is scrolled."""

    def __init__(self, form: QWidget, preview: QWidget, buttons: QWidget, words: QWidget) -> None:
        super().__init__()
        self._form, self._preview, self._buttons, self._words = form, preview, buttons, words
        self._beside: bool | None = None
        self._inside = QWidget()
        self._inside_column = QVBoxLayout(self._inside)
        self._inside_column.setContentsMargins(16, 0, 16, 8)
        self._inside_column.addWidget(form)
        self.form_area = _scrolling(self._inside)
        self._side = QWidget()
        self._side.setFixedWidth(SIDE + 24)
        self._side_column = QVBoxLayout(self._side)
        self._side_column.setContentsMargins(8, 8, 16, 8)
        self._side_column.setSpacing(8)
        self.side_scroll = _Fitting()
        self._side_column.addWidget(self.side_scroll)
        self._side_column.addStretch(1)
        self._foot = QWidget()
        self._foot_row = QHBoxLayout(self._foot)
        self._foot_row.setContentsMargins(16, 8, 16, 8)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.form_area, 1)
        row.addWidget(self._side)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row, 1)
        column.addWidget(self._foot)
        self._place(beside=True)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._form.minimumSizeHint().width() + 48, 120)

    def beside(self) -> bool:
        """Whether the preview stands beside the form now."""
        return bool(self._beside)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.choose_way()

    def choose_way(self) -> None:
        """Put the preview where there is room for it; call when the form has other fields."""
        room = self._form.minimumSizeHint().width() + 48 + SIDE + 24
        self._place(beside=self.width() >= room)
        self.side_scroll.updateGeometry()

    def _place(self, *, beside: bool) -> None:
        if beside == self._beside:
            return
        self._beside = beside
        if beside:
            self._inside_column.removeWidget(self._preview)
            self.side_scroll.setWidget(self._preview)
            self._preview.setAutoFillBackground(False)  # as `setWidget` makes it: its corners are round
            self._side_column.insertWidget(1, self._buttons)
            self._side_column.insertWidget(2, self._words)
        else:
            self.side_scroll.takeWidget()
            self._inside_column.addWidget(self._preview)
            self._foot_row.addWidget(self._words, 1)
            self._foot_row.addWidget(self._buttons)
        self._preview.show()
        self._side.setVisible(beside)
        self._foot.setVisible(not beside)


class _Fitting(QScrollArea):
    """As high as what is in it, if there is room; else it scrolls."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        inside = self.widget()
        if inside is None:
            return QSize(SIDE, 0)
        height = inside.heightForWidth(SIDE) if inside.hasHeightForWidth() else inside.sizeHint().height()
        return QSize(SIDE, height + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(SIDE, 64)


def _scrolling(inside: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(inside)
    return area


class PreviewCard(QFrame):
    """What the chosen test will do. Rates are of all servers together, as those of the report are."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        column.addWidget(label("Preview", "section"))
        self._values: list[tuple[Any, Any]] = []
        for number in range(9):
            name, value = label("", "secondary"), label("")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            row = QHBoxLayout()  # no grid: the longest name and the longest value are not in the same line
            row.addWidget(name)
            row.addWidget(value, 1)
            column.addLayout(row)
            if number >= 6:
                name.setProperty("kind", "section")
                value.setProperty("kind", "section")
            self._values.append((name, value))
        self._notes: tuple[Note, ...] = ()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self._shown: list[tuple[QLabel, PlainLabel]] = []
        column.addSpacing(4)
        column.addLayout(self._grid)
        theme().follow(self._draw_notes)

    def notes(self) -> list[str]:
        """What is said under the figures."""
        return [text for _, text in self._notes]

    def show_nothing(self, why: str) -> None:
        for number in range(len(self._values)):
            self._put(number, "", "")
        self.say([("bad", why)])

    def show_preview(self, plan: Plan, preview: Preview, notes: Sequence[Note]) -> None:
        """Fill the card."""
        last = "all full" if not preview.short_by else f"the last with {preview.last_round:,}"
        each = preview.seconds / preview.repeats
        offered = preview.offered_rate
        in_all = " in all" if preview.servers > 1 else ""
        rows = [
            ("Rounds", f"{preview.rounds:,}, {last}"),
            ("Requests per repeat", f"{preview.files:,}"),
            ("Data per repeat", figures.size(preview.bytes) if preview.bytes else "depends on the files"),
            ("Offered rate", f"{figures.rate(offered)}/s{in_all}" if offered is not None else "as fast as possible"),
            ("Expected rate", f"{figures.rate(preview.files / each)}/s{in_all}" if each else figures.UNKNOWN),
            ("Time per repeat", figures.duration(each)),
            (
                f"{preview.repeats} repeat{'s' if preview.repeats > 1 else ''}",
                f"{preview.files * preview.repeats:,} requests",
            ),
            ("", figures.size(preview.bytes * preview.repeats) if preview.bytes else ""),
            ("With settling, at most", figures.duration(preview.seconds + plan.settle * preview.repeats)),
        ]
        for number, (title, text) in enumerate(rows):
            self._put(number, title, text)
        self.say(notes)

    def _put(self, number: int, title: str, text: str) -> None:
        for part, words in zip(self._values[number], (title, text), strict=True):
            part.setText(words)
            part.setVisible(bool(title or text))

    def say(self, notes: Sequence[Note]) -> None:
        """Show these judgements under the figures, each with its icon."""
        if tuple(notes) == self._notes:
            return
        self._notes = tuple(notes)
        while len(self._shown) < len(notes):
            picture, words = QLabel(), label("")
            words.setWordWrap(True)
            row = len(self._shown)
            self._grid.addWidget(picture, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(words, row, 1)
            self._shown.append((picture, words))
        for number, (picture, words) in enumerate(self._shown):
            picture.setVisible(number < len(notes))
            words.setVisible(number < len(notes))
        self._draw_notes()
        self.updateGeometry()

    def _draw_notes(self) -> None:
        for (picture, words), (judgement, text) in zip(self._shown, self._notes, strict=False):
            picture.setPixmap(pixmap(judgement, judgement, 14, 2.0))
            words.setText(text)
            kind = {"ok": "ok", "warn": "warn", "bad": "error"}[judgement]
            if words.property("kind") != kind:
                words.setProperty("kind", kind)
                words.style().polish(words)
