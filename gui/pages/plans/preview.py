"""What the selected test will do, in figures: a card beside the form, or below it in a narrow window."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from gui.campaign.plan import Plan
from gui.campaign.preview import Preview
from gui.models import figures
from gui.widgets.parts import label


class FormAndPreview(QWidget):
    """The preview beside the form, or below it in a narrow window."""

    def __init__(self, form: QWidget, side: QWidget) -> None:
        super().__init__()
        self._form, self._side = form, side
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(16, 8, 16, 8)
        self._row.setSpacing(24)
        self._row.addWidget(form, 1)
        self._row.addWidget(side, 0, Qt.AlignmentFlag.AlignTop)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._form.minimumSizeHint().width() + 32, self._row.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._choose_way()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:  # each kind of reading has its own fields
            self._choose_way()
        return done

    def _choose_way(self) -> None:
        both = self._form.minimumSizeHint().width() + 24 + self._side.width() + 32
        beside = self.width() >= both
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        if self._row.direction() != way:
            self._row.setDirection(way)
            self.updateGeometry()


class PreviewCard(QFrame):
    """What the selected test will do, in figures."""

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
        self.note = label("")
        self.note.setWordWrap(True)
        column.addWidget(self.note)

    def show_nothing(self, why: str) -> None:
        for name, value in self._values:
            name.clear()
            value.clear()
        self._say(why, good=False)

    def show_preview(self, plan: Plan, preview: Preview, note: str, *, good: bool) -> None:
        """Fill the card."""
        last = "all full" if not preview.short_by else f"the last with {preview.last_round}"
        each = preview.seconds / preview.repeats
        offered = preview.offered_rate
        rows = [
            ("Rounds", f"{preview.rounds:,}, {last}"),
            ("Requests per repeat", f"{preview.files:,}"),
            ("Data per repeat", figures.size(preview.bytes) if preview.bytes else "depends on the files"),
            ("Offered rate", f"{figures.rate(offered)}/s" if offered is not None else "as fast as possible"),
            ("Expected rate", f"{figures.rate(preview.files / each)}/s" if each else figures.UNKNOWN),
            ("Time per repeat", figures.duration(each)),
            (
                f"{preview.repeats} repeat{'s' if preview.repeats > 1 else ''}",
                f"{preview.files * preview.repeats:,} requests",
            ),
            ("", figures.size(preview.bytes * preview.repeats) if preview.bytes else ""),
            ("With settling, at most", figures.duration(preview.seconds + plan.settle * preview.repeats)),
        ]
        for (name, value), (title, text) in zip(self._values, rows, strict=True):
            name.setText(title)
            value.setText(text)
        self._say(note, good=good)

    def _say(self, text: str, *, good: bool) -> None:
        self.note.setText(text)
        self.note.setProperty("kind", "ok" if good else "warn")
        self.note.style().polish(self.note)
