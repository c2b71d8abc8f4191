"""Small parts that pages are built from: labels for outside text, page heads, badges, read-outs, dividers, buttons."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QSplitterHandle,
    QTabBar,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from gui.models.plain import straight
from gui.models.rows import UNKNOWN
from gui.widgets.dress import give_sheet
from gui.widgets.icons import icon, pixmap
from gui.widgets.theme import theme

Orientation = Literal["horizontal", "vertical"]
ICON_GAP = 4
"""Pixels that an icon adds to the gap before the text."""


class PlainLabel(QLabel):
    """A label for plain text: Qt would otherwise guess rich text in names from agents and servers."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(straight(text))


def label(text: str = "", kind: str = "", *, parent: QWidget | None = None) -> PlainLabel:
    """A plain label of this kind."""
    made = PlainLabel(text, parent)
    if kind:
        made.setProperty("kind", kind)
    return made


def short_caption(text: str, most: int = 32) -> str:
    """Outside text as the caption of a button or a tab: shortened, and without a mnemonic for an ampersand."""
    line = " ".join(straight(text).split())
    return (line if len(line) <= most else line[: most - 1].rstrip() + "…").replace("&", "&&")


def breakable(text: str, most: int = 32) -> str:
    """Outside text for a label that wraps: in one line, and with places to break words that are longer than `most`;
    Qt breaks at blanks only, and would make the label as wide as the longest word."""
    words = (
        ("\u200b".join(word[at : at + most] for at in range(0, len(word), most))) for word in straight(text).split()
    )
    return " ".join(words)


def plain_tip(text: str) -> str:
    """A tooltip with this plain text in lines of readable length; Qt would guess rich text in text from outside."""
    return f"<p>{html.escape(straight(text)).replace(chr(10), '<br>')}</p>" if text else ""


class Elided(PlainLabel):
    """A label that ends in "…" when there is no room for its text; the tooltip then has the whole text.

    It shrinks before its neighbours do, down to `least` pixels."""

    def __init__(self, text: str = "", kind: str = "", *, least: int = 48) -> None:
        super().__init__(text)
        self._least = least
        self.cut = Qt.TextElideMode.ElideRight
        """Which part of the text is left out when there is no room."""
        if kind:
            self.setProperty("kind", kind)

    def minimumSizeHint(self) -> QSize:
        whole = super().minimumSizeHint()
        return QSize(min(whole.width(), self._least), whole.height())

    def shown_text(self) -> str:
        """What fits."""
        return self.fontMetrics().elidedText(" ".join(self.text().split()), self.cut, self.contentsRect().width())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), int(self.alignment()) | Qt.TextFlag.TextSingleLine, self.shown_text())

    def event(self, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.ToolTip
            and isinstance(event, QHelpEvent)
            and not self.toolTip()
            and self.shown_text() != " ".join(self.text().split())
        ):
            QToolTip.showText(event.globalPos(), plain_tip(self.text()), self)
            return True
        return super().event(event)


def paint_ring(widget: QWidget, place: QRect | None = None) -> None:
    """Paint the focus ring, 2 px inside the edge of a widget or of a part of it; at the end of its paint event."""
    painter = QPainter(widget)
    painter.setPen(QPen(theme().colour("focus"), 2))
    painter.drawRect((place or widget.rect()).adjusted(1, 1, -1, -1))


class FocusRing(QWidget):
    """The ring of a widget whose children cover it, as those of an area that is scrolled."""

    def __init__(self, of: QWidget) -> None:
        super().__init__(of)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        of.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(watched, QWidget):
            if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
                self.setGeometry(watched.rect())
                self.setVisible(watched.hasFocus())
                self.raise_()
            elif event.type() == QEvent.Type.Resize:
                self.setGeometry(watched.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        paint_ring(self)


class TabBar(QTabBar):
    """Tabs no wider than their words; Qt would reserve room for scroll buttons that are not used."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Tabs")
        self.setDrawBase(False)
        self.setExpanding(False)
        self.currentChanged.connect(self.updateGeometry)  # the selected tab is bolder, and so wider

    def sizeHint(self) -> QSize:
        return super().sizeHint() + QSize(8, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.hasFocus():
            paint_ring(self, self.tabRect(self.currentIndex()))

    def minimumSizeHint(self) -> QSize:
        whole, least = self.sizeHint(), super().minimumSizeHint()
        return QSize(min(whole.width(), least.width()), least.height())


def button(
    text: str,
    symbol: str = "",
    action: Callable[[], object] | None = None,
    *,
    kind: str = "",
    tip: str = "",
) -> Button:
    """A push button with an icon that follows the theme. `tip`: what it does, and after two blanks its key; one without
    words is called by the first."""
    made = Button(text)
    if kind:
        made.setProperty("kind", kind)
    if not text:
        made.setFixedWidth(28)
        made.setAccessibleName(tip.partition("  ")[0])
        made.setProperty("narrow", "true")
    if tip:
        made.setToolTip(tip)
    if action is not None:
        made.clicked.connect(lambda _checked=False: action())
    if symbol:
        colour = {"primary": "on_accent", "run": "accent_text", "link": "accent_text"}.get(kind, "text2")

        made.show_icon(symbol, colour)
    return made


class Button(QPushButton):
    """Redraws its icon when the theme changes. A method, not a closure: Qt disconnects it together with the button."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._icon = ("", "")
        theme().follow(self._redraw)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.hasFocus() and self.property("kind") == "primary":  # the fill may have the colour of the ring
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme().colour("on_accent"), 2))
            painter.drawRoundedRect(self.rect().adjusted(3, 3, -3, -3), 2, 2)

    def show_icon(self, symbol: str, colour: str = "text2") -> None:
        """Show this icon in that colour, with a gap of 6 px to the text: Qt leaves 2, the icon itself adds the rest."""
        self._icon = (symbol, colour)
        self._redraw()

    def set_caption(self, text: str) -> None:
        """Change the words; the icon keeps its place."""
        if self.text() != text:
            self.setText(text)
            self._redraw()

    def set_kind(self, kind: str) -> None:
        """Change the look: ``primary``, or empty for an ordinary button."""
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


class MenuButton(Button):
    """A button that opens a menu: its caption, and a chevron at the right end."""

    def __init__(self, text: str, symbol: str = "") -> None:
        super().__init__(text)
        self.setProperty("chevron", "true")
        if symbol:
            self.show_icon(symbol)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        name = "text2" if self.isEnabled() else "text3"
        place = (self.width() - 20, self.height() // 2 - 6)
        QPainter(self).drawPixmap(*place, pixmap("down", name, 12, self.devicePixelRatioF()))


def segments(*choices: QPushButton, group: QButtonGroup | None = None) -> QWidget:
    """Buttons of which one is on, as one control: they share their edges and only the ends are rounded."""
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
        self.setFixedHeight(24)
        self._picture = QLabel()
        self._word = label()
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(6)
        row.addWidget(self._picture)
        row.addWidget(self._word)
        self._state = ("ring", "waiting", "mute")
        theme().follow(self._restyle)
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
        give_sheet(self._word, f"color: {look.hex(colour)}; font-weight: {weight};")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().ink(f"{self._state[2]}_bg"))
        painter.drawRoundedRect(self.rect(), 4, 4)


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
        theme().follow(self._restyle)

    def set_icon(self, symbol: str, colour: str, words: str = "text2") -> None:
        """An icon before the caption in this colour of the theme (none: empty); `words` is the colour of caption and
        figure."""
        if (self._icon, self._words) != ((symbol, colour), words):
            self._icon = (symbol, colour)
            self._words = words
            self._restyle()

    _words = "text2"

    def _restyle(self) -> None:
        symbol, colour = self._icon
        if symbol:
            self._picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
            self._picture.show()
            give_sheet(self.caption, f"color: {theme().hex(self._words)};")
            figure = "text3" if self._words == "mute" else "text"
            give_sheet(self.figure, f"color: {theme().hex(figure)};")
        else:
            self._picture.hide()
            give_sheet(self.caption, "")
            give_sheet(self.figure, "")

    def set(self, figure: str, remark: str = "") -> None:
        if self.figure.text() != figure:
            self.figure.setText(figure)
        if self.remark.text() != remark:
            self.remark.setText(remark)
        self.setAccessibleName(f"{self.caption.text()}: {figure} {remark}".strip())


class ReadoutBar(QWidget):
    """Read-outs in one line; when there is no room for all, the first of `spare` are hidden.

    `spare` are parts of the line, or of what is in it."""

    def __init__(self, row: QHBoxLayout, spare: Sequence[tuple[QWidget, ...]]) -> None:
        super().__init__()
        self.setFixedHeight(64)
        self.setLayout(row)
        self._row, self._spare = row, spare

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 64)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:  # a figure has grown; before this event, sizes are not up to date
            self._fit()
        return done

    def _fit(self) -> None:
        items = [self._row.itemAt(place) for place in range(self._row.count())]
        inside = [widget for item in items if item is not None and (widget := item.widget()) is not None]
        parts = [widget for widgets in self._spare for widget in widgets]
        needed = sum(_least_width(widget) for widget in inside)
        needed += sum(_least_width(part) for part in parts if part not in inside and part.isHidden())
        for widgets in self._spare:
            fits = needed <= self.width()
            for widget in widgets:
                if widget.isHidden() == fits:
                    widget.setVisible(fits)
                needed -= 0 if fits else _least_width(widget)


def _least_width(widget: QWidget) -> int:
    return max(widget.minimumSizeHint().width(), widget.minimumWidth())


class Ground(QWidget):
    """A part of a window in the colour of its surface, without a style sheet; see `gui.widgets.dress`."""

    paints_itself = True

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), theme().ink("surface"))


class Splitter(QSplitter):
    """Its parts with a line between them."""

    paints_itself = True

    def __init__(self, orientation: Qt.Orientation) -> None:
        super().__init__(orientation)
        self.setHandleWidth(1)

    def createHandle(self) -> QSplitterHandle:
        return _Handle(self.orientation(), self)


class _Handle(QSplitterHandle):
    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), theme().ink("border"))


class Page(Ground):
    """A page: a head with title, remark and buttons, and a body under it."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Elided(title, "title", least=160)
        self.remark = Elided("", "secondary", least=120)
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

    def add_action(self, widget: QWidget) -> None:
        """Put a button at the right end of the head."""
        self.head.addWidget(widget)
