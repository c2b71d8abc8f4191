"""Number fields with chevrons from the theme; a style sheet would need picture files for them."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

from gui.widgets.icons import pixmap

CONTROL_HEIGHT = 28


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
    """A number with a unit behind it, such as ``1.0 s``."""

    def __init__(self, most: float, unit: str, *, decimals: int = 1, width: int = 104) -> None:
        super().__init__()
        self.setRange(0, most)
        self.setDecimals(decimals)
        self.setSuffix(f" {unit}")
        _prepare(self, width)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        _paint_chevrons(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class ChoiceField(QComboBox):
    """One of a few words."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        name = "text2" if self.isEnabled() else "text3"
        painter.drawPixmap(
            QRect(self.width() - 20, self.height() // 2 - 6, 12, 12), pixmap("down", name, 12, self.devicePixelRatioF())
        )
