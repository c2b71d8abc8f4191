"""Small parts that pages are built from: labels for foreign text, page heads, badges, read-outs, dividers, buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.models.rows import UNKNOWN
from gui.widgets.icons import icon, pixmap
from gui.widgets.theme import theme

Orientation = Literal["horizontal", "vertical"]
ICON_GAP = 4
"""Pixels that an icon brings with it to the gap before the text."""


def label(text: str = "", kind: str = "", *, parent: QWidget | None = None) -> QLabel:
    """A label that shows its text as it is: Qt would otherwise guess rich text in names from agents and servers."""
    made = QLabel(parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setText(text)
    if kind:
        made.setProperty("kind", kind)
    return made


def button(
    text: str,
    symbol: str = "",
    action: Callable[[], object] | None = None,
    *,
    kind: str = "",
    tip: str = "",
) -> Button:
    """A push button with an icon that follows the theme."""
    made = Button(text)
    if kind:
        made.setProperty("kind", kind)
    if not text:
        made.setFixedWidth(28)
        made.setAccessibleName(tip)
        made.setStyleSheet("padding: 0;")
    if tip:
        made.setToolTip(tip)
    if action is not None:
        made.clicked.connect(lambda _checked=False: action())
    if symbol:
        colour = {"primary": "on_accent", "run": "accent_text", "link": "accent_text"}.get(kind, "text2")

        made.show_icon(symbol, colour)
    return made


class Button(QPushButton):
    """Draws its icon anew when the theme changes. A method, not a closure: Qt forgets it together with the button."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._icon = ("", "")
        theme().changed.connect(self._redraw)

    def show_icon(self, symbol: str, colour: str = "text2") -> None:
        """This icon in that colour, with a gap of 6 px to the text: Qt leaves 2, the icon brings the rest with it."""
        self._icon = (symbol, colour)
        self._redraw()

    def set_kind(self, kind: str) -> None:
        """Another look: ``primary`` or an ordinary one (empty)."""
        if self.property("kind") != kind:
            self.setProperty("kind", kind)
            self.style().unpolish(self)
            self.style().polish(self)
            self.show_icon(self._icon[0], "on_accent" if kind == "primary" else "text2")

    def _redraw(self) -> None:
        symbol, colour = self._icon
        if symbol:
            gap = ICON_GAP if self.text() else 0
            self.setIcon(icon(symbol, colour, gap=gap))
            self.setIconSize(QSize(16 + gap, 16))


def segments(*choices: QPushButton, group: QButtonGroup | None = None) -> QWidget:
    """Buttons of which one is on, as one control: they share their edges and only the ends are round."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(0)
    group = group or QButtonGroup(holder)
    for number, choice in enumerate(choices):
        choice.setCheckable(True)
        place = "first" if number == 0 else "last" if number == len(choices) - 1 else "middle"
        choice.setProperty("place", place)
        group.addButton(choice)
        row.addWidget(choice)
    return holder


def line(orientation: Orientation = "horizontal") -> QFrame:
    """A one-pixel divider."""
    made = QFrame()
    made.setObjectName("line")
    if orientation == "horizontal":
        made.setFixedHeight(1)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    else:
        made.setFixedWidth(1)
        made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
    return made


class Badge(QWidget):
    """A state as icon, word and colour on its tint: never colour alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(24)
        self._picture = QLabel()
        self._word = label()
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(6)
        row.addWidget(self._picture)
        row.addWidget(self._word)
        self._state = ("ring", "waiting", "mute")
        theme().changed.connect(self._restyle)
        self._restyle()

    def set_state(self, symbol: str, word: str, colour: str) -> None:
        """Show this icon and word in the theme's colour and its tint (``colour`` and ``colour_bg``)."""
        if (symbol, word, colour) != self._state:
            self._state = (symbol, word, colour)
            self._restyle()

    def _restyle(self) -> None:
        symbol, word, colour = self._state
        look = theme()
        self._picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
        self._word.setText(word)
        weight = 600 if word == "FAIL" else 500
        self._word.setStyleSheet(f"color: {look.hex(colour)}; font-weight: {weight};")
        self.setStyleSheet(f"background: {look.hex(colour + '_bg')}; border-radius: 4px;")


class Readout(QWidget):
    """A label over a large figure with a small remark, such as ``gap`` / ``39`` / ``oldest 2.1 s``."""

    def __init__(self, caption: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QLabel()
        self._picture.hide()
        self._icon: tuple[str, str] = ("", "")
        self.caption = label(caption, "caption")
        self.figure = label(UNKNOWN, "figure")
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self._picture)
        top.addWidget(self.caption)
        top.addStretch(1)
        self.remark = label("", "secondary")
        self.remark.setContentsMargins(0, 0, 0, 4)  # on the base line of the figure
        bottom = QHBoxLayout()
        bottom.setSpacing(6)
        bottom.addWidget(self.figure, 0, Qt.AlignmentFlag.AlignBottom)
        bottom.addWidget(self.remark, 0, Qt.AlignmentFlag.AlignBottom)
        bottom.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 0, 16, 0)
        column.setSpacing(2)
        column.addLayout(top)
        column.addLayout(bottom)
        column.addStretch(1)
        theme().changed.connect(self._restyle)

    def set_icon(self, symbol: str, colour: str, words: str = "text2") -> None:
        """An icon before the caption in this colour of the theme; `words` is the colour of caption and figure."""
        self._icon = (symbol, colour)
        self._words = words
        self._restyle()

    _words = "text2"

    def _restyle(self) -> None:
        symbol, colour = self._icon
        if symbol:
            self._picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
            self._picture.show()
            self.caption.setStyleSheet(f"color: {theme().hex(self._words)};")
            figure = "text3" if self._words == "mute" else "text"
            self.figure.setStyleSheet(f"color: {theme().hex(figure)};")

    def set(self, figure: str, remark: str = "") -> None:
        if self.figure.text() != figure:
            self.figure.setText(figure)
        if self.remark.text() != remark:
            self.remark.setText(remark)
        self.setAccessibleName(f"{self.caption.text()}: {figure} {remark}".strip())


class Page(QWidget):
    """A page: a head with title, remark and buttons, and a body under it."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = label(title, "title")
        self.remark = label("", "secondary")
        self.head = QHBoxLayout()
        self.head.setContentsMargins(16, 10, 16, 10)
        self.head.setSpacing(8)
        self.head.addWidget(self.title)
        self.head.addWidget(self.remark)
        self.head.addStretch(1)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self.head)
        column.addLayout(self.body, 1)

    def before_stretch(self, widget: QWidget) -> None:
        """Put a widget beside the title, left of the free space."""
        self.head.insertWidget(self.head.count() - 1 - self._right_count(), widget)

    def add_action(self, widget: QWidget) -> None:
        """Put a button at the right end of the head."""
        self.head.addWidget(widget)

    def _right_count(self) -> int:
        for place in range(self.head.count()):
            item = self.head.itemAt(place)
            if item is not None and item.spacerItem() is not None:
                return self.head.count() - 1 - place
        return 0
