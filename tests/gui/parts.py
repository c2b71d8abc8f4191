"""The pages of a window by their names, for tests that drive the whole window."""

from __future__ import annotations

from typing import Any

from gui.app.window import Window


def part(window: Window, name: str) -> Any:
    """The part of this page, as its own type."""
    return window.parts[name]


def page(window: Window, name: str) -> Any:
    """The page of this name, as its own type."""
    return window.parts[name].page
