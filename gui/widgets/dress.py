"""Giving all widgets a new style sheet without a stall.

OPTIMISATION. `QApplication.setStyleSheet` polishes each widget once for every ancestor that it has: 0.85 s for the
1,600 widgets of the window. So the application's own sheet is replaced only while there are few widgets. After that
each window is given the sheet itself; a window with many parts (`Parts`) names them, those that are seen are dressed
at once (60 ms), the others one by one in later turns of the loop, or when they are shown (`dress_now`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

FEW = 250
"""Widgets up to which the application's own sheet is replaced (50 ms)."""


@runtime_checkable
class Parts(Protocol):
    """A window that is dressed part by part."""

    def parts_to_dress(self) -> Sequence[QWidget]:
        """All of its parts that may look different; none is inside another one."""


class Wardrobe:
    """The sheet that is in force. One per application, owned by the theme."""

    def __init__(self) -> None:
        self._sheet = ""
        self._worn: WeakKeyDictionary[QWidget, str] = WeakKeyDictionary()
        """What was given to single widgets, in place of the application's sheet."""
        self._stale = False
        """Whether the application's own sheet is an older one."""
        self._later: list[QWidget] = []
        self._timer: QTimer | None = None

    def wear(self, sheet: str) -> None:
        """Put this sheet in force."""
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self._sheet = sheet
        self._later.clear()
        if not application.styleSheet() or len(application.allWidgets()) <= FEW:
            self._stale = False
            application.setStyleSheet(sheet)
            for widget in list(self._worn):
                if isValid(widget):
                    widget.setStyleSheet("")
            self._worn.clear()
            return
        self._stale = True
        for window in application.topLevelWidgets():
            if window.parent() is not None:  # as its parent
                continue
            parts = window.parts_to_dress() if isinstance(window, Parts) else (window,)
            for part in parts:
                if part.isVisible():
                    self.dress_now(part)
                else:
                    self._later.append(part)
        if self._later:
            if self._timer is None:
                self._timer = QTimer(application)
                self._timer.setInterval(0)
                self._timer.timeout.connect(self._dress_next)
            self._timer.start()

    def dress_now(self, widget: QWidget) -> None:
        """Give this widget the sheet in force, if it is still there and does not have it."""
        if self._stale and isValid(widget) and self._worn.get(widget) != self._sheet:
            self._worn[widget] = self._sheet
            widget.setStyleSheet(self._sheet)

    def _dress_next(self) -> None:
        if self._later:
            self.dress_now(self._later.pop())
        elif self._timer is not None:
            self._timer.stop()
