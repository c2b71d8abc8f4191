"""Icons from ``resources/icons/icons.json``: outlines on a 16 × 16 field, drawn in any named colour at any size."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from gui.widgets.theme import theme


@lru_cache(maxsize=1)
def _outlines() -> dict[str, str]:
    outlines: dict[str, str] = json.loads(files("resources").joinpath("icons/icons.json").read_text("utf-8"))
    return outlines


def icon_names() -> list[str]:
    return list(_outlines())


@lru_cache(maxsize=1024)
def _drawn(name: str, colour: str, size: int, scale: float) -> QPixmap:
    stroke = (1.25 if size >= 32 else 1.5) * 16 / size  # the stroke keeps its width at each drawn size
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{colour}" color="{colour}"'
        f' stroke-width="{stroke:.3f}" stroke-linecap="round" stroke-linejoin="round">{_outlines()[name]}</svg>'
    ).replace("currentColor", colour)
    pixels = QPixmap(round(size * scale), round(size * scale))
    pixels.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixels)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, pixels.width(), pixels.height()))
    painter.end()
    pixels.setDevicePixelRatio(scale)
    return pixels


def pixmap(name: str, colour: str = "text2", size: int = 16, scale: float = 1.0) -> QPixmap:
    """The icon `name` in the named theme colour, `size` logical pixels wide. Raises KeyError for an unknown name."""
    return _drawn(name, theme().hex(colour), size, scale)


def icon(name: str, colour: str = "text2", size: int = 16, disabled: str = "text3", *, gap: int = 0) -> QIcon:
    """The same as a QIcon, with a disabled look, also for high-resolution screens; `gap` empty pixels after it."""
    made = QIcon()
    for scale in (1.0, 2.0):
        made.addPixmap(_widened(pixmap(name, colour, size, scale), gap), QIcon.Mode.Normal)
        made.addPixmap(_widened(pixmap(name, disabled, size, scale), gap), QIcon.Mode.Disabled)
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
