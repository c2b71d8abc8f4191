"""Icons from ``resources/icons/icons.json``: outlines on a 16 × 16 field, drawn in any named colour at any size."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from gui.widgets.theme import theme

ICON_SIZES = (16, 24, 32, 48, 64, 128, 256)


@lru_cache(maxsize=1)
def _outlines() -> dict[str, str]:
    outlines: dict[str, str] = json.loads(files("resources").joinpath("icons/icons.json").read_text("utf-8"))
    return outlines


def _svg(name: str, colour: str, stroke: float) -> QByteArray:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{colour}" color="{colour}"'
        f' stroke-width="{stroke:.3f}" stroke-linecap="round" stroke-linejoin="round">{_outlines()[name]}</svg>'
    ).replace("currentColor", colour)
    return QByteArray(svg.encode())


@lru_cache(maxsize=1024)
def _drawn(name: str, colour: str, size: int, scale: float) -> QPixmap:
    stroke = (1.25 if size >= 32 else 1.5) * 16 / size  # the stroke keeps its width at each drawn size
    pixels = QPixmap(round(size * scale), round(size * scale))
    pixels.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixels)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(_svg(name, colour, stroke)).render(painter, QRectF(0, 0, pixels.width(), pixels.height()))
    painter.end()
    pixels.setDevicePixelRatio(scale)
    return pixels


def pixmap(name: str, colour: str = "text2", size: int = 16, scale: float = 1.0) -> QPixmap:
    """The icon `name` in the named theme colour, `size` logical pixels wide. Raises KeyError for an unknown name."""
    return _drawn(name, theme().hex(colour), size, scale)


def icon(name: str, colour: str = "text2", size: int = 16, disabled: str = "text3", *, gap: int = 0) -> QIcon:
    """The same as a QIcon, with a disabled look, also for high-resolution screens; `gap` empty pixels after it."""
    return _made(name, theme().hex(colour), theme().hex(disabled), size, gap)


@lru_cache(maxsize=1024)
def _made(name: str, colour: str, disabled: str, size: int, gap: int) -> QIcon:
    """Kept: when the theme changes, hundreds of buttons ask for the icons of a few dozen."""
    made = QIcon()
    for scale in (1.0, 2.0):
        made.addPixmap(_widened(_drawn(name, colour, size, scale), gap), QIcon.Mode.Normal)
        made.addPixmap(_widened(_drawn(name, disabled, size, scale), gap), QIcon.Mode.Disabled)
    return made


def application_icon() -> QIcon:
    """The icon of the program: the tally mark, white on a rounded field of the accent, at every size that is asked."""
    made = QIcon()
    for size in ICON_SIZES:
        field = QPixmap(size, size)
        field.fill(Qt.GlobalColor.transparent)
        painter = QPainter(field)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(theme().pair("accent")[0]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(QRectF(0, 0, size, size), size * 0.22, size * 0.22)
        inner = max(10, round(size * 0.72))
        stroke = (1.7 if size <= 32 else 1.35) if size > 16 else 1.5
        svg = _svg("tally", theme().pair("on_accent")[0], stroke)
        QSvgRenderer(svg).render(painter, QRectF((size - inner) / 2, (size - inner) / 2, inner, inner))
        painter.end()
        made.addPixmap(field)
    return made


def _widened(picture: QPixmap, gap: int) -> QPixmap:
    if not gap:
        return picture
    scale = picture.devicePixelRatio()
    wide = QPixmap(picture.width() + round(gap * scale), picture.height())
    wide.setDevicePixelRatio(scale)
    wide.fill(Qt.GlobalColor.transparent)
    painter = QPainter(wide)
    painter.drawPixmap(0, 0, picture)
    painter.end()
    return wide
