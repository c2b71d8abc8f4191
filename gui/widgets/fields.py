"""Number fields with chevrons from the theme; a style sheet would need picture files for them."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QWidget,
)

from gui.widgets.icons import pixmap

CONTROL_HEIGHT = 28
_CLOCK = re.compile(r"(?:[0-9]{1,6}:)?[0-9]{1,6}(?:\.[0-9]{1,3})?")


def _paint_chevrons(field: QWidget) -> None:
    painter = QPainter(field)
    name = "text2" if field.isEnabled() else "text3"
    scale = field.devicePixelRatioF()
    left = field.width() - 17
    middle = field.height() // 2
    painter.drawPixmap(QRect(left, middle - 9, 9, 9), pixmap("up", name, 12, scale))
    painter.drawPixmap(QRect(left, middle + 1, 9, 9), pixmap("down", name, 12, scale))


def _prepare(field: QAbstractSpinBox, width: int) -> None:
    field.setFixedSize(width, CONTROL_HEIGHT)
    field.setAlignment(Qt.AlignmentFlag.AlignRight)
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class WholeField(QSpinBox):
    """A whole number. The wheel changes it only while it has the focus, so that scrolling a form changes no value."""

    def __init__(self, least: int, most: int, *, width: int = 104) -> None:
        super().__init__()
        self.setRange(least, most)
        self.setGroupSeparatorShown(True)
        _prepare(self, width)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        _paint_chevrons(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class NumberField(QDoubleSpinBox):
    """A number with a unit behind it, such as ``1.0 s``: with `decimals` digits, and up to `most_decimals` if the value
    has them."""

    def __init__(self, most: float, unit: str, *, decimals: int = 1, most_decimals: int = 3, width: int = 104) -> None:
        super().__init__()
        self._least = decimals
        self.setRange(0, most)
        self.setDecimals(max(decimals, most_decimals))
        self.setGroupSeparatorShown(True)
        if unit:
            self.setSuffix(f" {unit}")
        _prepare(self, width)

    def textFromValue(self, value: float) -> str:
        whole, point, rest = super().textFromValue(value).partition(self.locale().decimalPoint())
        rest = rest.rstrip("0").ljust(self._least, "0")
        return f"{whole}{point}{rest}" if rest else whole

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        _paint_chevrons(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class LargeField(NumberField):
    """A whole number that may be larger than Qt's own whole numbers, exact up to 2⁵³."""

    def __init__(self, most: int, *, width: int = 104) -> None:
        super().__init__(float(most), "", decimals=0, most_decimals=0, width=width)

    def whole(self) -> int:
        """The number."""
        return int(self.value())


class ClockField(NumberField):
    """A time since the start in seconds, shown and entered as ``mm:ss``; plain seconds are understood too."""

    def __init__(self, most: float, *, width: int = 88) -> None:
        super().__init__(most, "", width=width)

    def textFromValue(self, value: float) -> str:
        minutes, seconds = divmod(round(value, 3), 60)
        whole, _, rest = f"{seconds:.3f}".partition(".")
        rest = rest.rstrip("0")
        return f"{int(minutes):02}:{int(whole):02}" + (f".{rest}" if rest else "")

    def valueFromText(self, text: str) -> float:
        minutes, _, seconds = text.strip().rpartition(":")
        return 60.0 * int(minutes or 0) + float(seconds or 0)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        if _CLOCK.fullmatch(text.strip()):
            fits = self.minimum() <= self.valueFromText(text) <= self.maximum()
            return (QValidator.State.Acceptable if fits else QValidator.State.Intermediate, text, position)
        partial = all(char in "0123456789:. " for char in text)
        return (QValidator.State.Intermediate if partial else QValidator.State.Invalid, text, position)


class CheckField(QCheckBox):
    """Yes or no; with a tick from the theme, which is seen in dark, too."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        name = "on_accent" if self.isEnabled() else "text3"
        place = box.center() - QPoint(5, 5)
        QPainter(self).drawPixmap(QRect(place, QSize(12, 12)), pixmap("check", name, 12, self.devicePixelRatioF()))


class ChoiceField(QComboBox):
    """One of a few words. Alt+↓ opens their list, as everywhere, whatever the page does with that key."""

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            with_alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
            if with_alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                event.accept()
                return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        name = "text2" if self.isEnabled() else "text3"
        painter.drawPixmap(
            QRect(self.width() - 20, self.height() // 2 - 6, 12, 12), pixmap("down", name, 12, self.devicePixelRatioF())
        )
