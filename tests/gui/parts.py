"""The pages of a window by their names, and its theme, for tests that drive the whole window or a page."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QWidget

from gui.app.window import Window
from gui.widgets.theme import Mode, theme


def part(window: Window, name: str) -> Any:
    """The part of this page, as its own type."""
    return window.parts[name]


def page(window: Window, name: str) -> Any:
    """The page of this name, as its own type."""
    return window.parts[name].page


def wear(mode: Mode, *widgets: QWidget) -> None:
    """Choose this theme, and wait until these widgets and all that is seen have its colours: with many widgets that
    takes some turns of the loop."""
    theme().set_mode(mode)
    while theme().wardrobe._still:
        theme().wardrobe._go_on()
    for widget in widgets:
        theme().wardrobe.dress_now(widget)
