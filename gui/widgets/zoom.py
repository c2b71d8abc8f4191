"""The zoom of the whole interface: everything grows alike, as on a screen of another scale.

At the start it is Qt's scale factor. While the window is open Qt has no public way to change that: its own function for
it, `QHighDpiScaling::setGlobalFactor`, is exported but private, and wants no window to be there. So native windows are
taken down for the moment and made anew. Where that function is missing, a new zoom begins at the next start.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import PySide6
from PySide6.QtCore import QRect, QSettings, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QWidget

log = logging.getLogger("tally.window")

STEPS = (75, 90, 100, 110, 125, 150, 175, 200)
"""Per cent."""
USUAL = 100
SETTING = "appearance/zoom"
_VARIABLE = "QT_SCALE_FACTOR"
_NAMES = ("_ZN15QHighDpiScaling15setGlobalFactorEd", "?setGlobalFactor@QHighDpiScaling@@SAXN@Z")
_LIBRARIES = ("Qt/lib/libQt6Gui.so.6", "Qt/lib/QtGui.framework/QtGui", "Qt6Gui.dll")


def kept_zoom() -> int:
    """The zoom that is kept, in per cent; the usual one if what is kept is none of ours."""
    stored = QSettings().value(SETTING, USUAL)
    with suppress(TypeError, ValueError):
        if STEPS[0] <= int(str(stored)) <= STEPS[-1]:
            return int(str(stored))
    return USUAL


def next_step(zoom: int, direction: int) -> int:
    """The next larger (1) or smaller (−1) step; 0: the usual one."""
    if direction == 0:
        return USUAL
    if direction > 0:
        return next((step for step in STEPS if step > zoom), STEPS[-1])
    return next((step for step in reversed(STEPS) if step < zoom), STEPS[0])


class Zoom:
    """`now`: in per cent. Make it before the application, then `begin` that."""

    def __init__(self) -> None:
        self.now = kept_zoom()
        self._given = os.environ.get(_VARIABLE)
        try:
            self._base = float(self._given or 1)
        except ValueError:
            self._base = 1.0

    def begin(self, make: Callable[[], QApplication]) -> QApplication:
        """Make the application at this zoom. Programs that we start do not inherit it."""
        if self.now != USUAL:
            os.environ[_VARIABLE] = f"{self._base * self.now / 100:g}"
        try:
            return make()
        finally:
            if self._given is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = self._given

    def change(self, zoom: int) -> bool:
        """Use this zoom now; False if that is not possible before the next start."""
        if zoom == self.now:
            return True
        set_factor = _find_function()
        if set_factor is None:
            return False
        focus = QApplication.focusWidget()
        shown: list[tuple[QWidget, QRect, bool]] = []
        for window in QApplication.topLevelWidgets():
            handle = window.windowHandle()
            if handle is None:
                continue  # type: ignore[unreachable]  # the stubs do not know of windows without one
            shown.append((window, window.geometry(), window.isVisible()))
            if window.isVisible():
                window.hide()
            handle.destroy()
        before = qInstallMessageHandler(_without_remark)
        try:
            set_factor(self._base * zoom / 100)
        finally:
            qInstallMessageHandler(before)
        share, self.now = self.now / zoom, zoom
        for window, place, visible in shown:
            if window.isWindow() and visible:
                room = window.screen().availableGeometry()
                width = min(round(place.width() * share), room.width())
                height = min(round(place.height() * share), room.height())
                left = max(room.left(), min(round(place.x() * share), room.right() + 1 - width))
                top = max(room.top(), min(round(place.y() * share), room.bottom() + 1 - height))
                window.setGeometry(left, top, width, height)
                window.show()
        if focus is not None:
            focus.window().activateWindow()
            focus.setFocus()
        return True


@lru_cache(maxsize=1)
def zoom() -> Zoom:
    """The zoom of this program."""
    return Zoom()


def _find_function() -> Callable[[float], None] | None:
    folder = Path(PySide6.__file__).parent
    for library in _LIBRARIES:
        if not (folder / library).exists():
            continue
        loaded = ctypes.CDLL(str(folder / library))
        for name in _NAMES:
            with suppress(AttributeError):
                function = getattr(loaded, name)
                function.argtypes = [ctypes.c_double]
                function.restype = None
                return lambda factor: function(factor)
    return None


def _without_remark(kind: QtMsgType, _context: object, text: str) -> None:
    """Qt remarks that windows exist; their native parts, which it means, do not."""
    if "setFactor" not in text:
        log.warning("! %s: %s", kind.name, text)
