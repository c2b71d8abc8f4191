"""Something is told on the desktop, for when the window is not in front.

It is told by `notify-send`, or through an icon in the tray where that is missing (as on Windows and macOS). Qt's own
D-Bus cannot be used from Python for this: it has no way to pass the unsigned number that the service wants.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QSystemTrayIcon, QWidget

from gui.widgets.icons import icon

SHOWN_MS = 10_000


class DesktopNotice:
    """Tells the desktop. `clicked` is called when the user follows it, where the desktop can tell that."""

    def __init__(self, window: QWidget, clicked: Callable[[], object]) -> None:
        self._window = window
        self._clicked = clicked
        self._tray: QSystemTrayIcon | None = None

    def tell(self, title: str, words: str) -> bool:
        """Whether somebody was told. The words are plain text."""
        return self._by_command(title, words) or self._by_tray(title, words)

    def close(self) -> None:
        """Take the icon out of the tray."""
        if self._tray is not None:
            self._tray.hide()
            self._tray = None

    def _by_command(self, title: str, words: str) -> bool:
        command = shutil.which("notify-send")
        if command is None:
            return False
        # By the desktops' standard a body may have markup: entities keep what comes from outside plain.
        told, _ = QProcess.startDetached(command, ["--app-name=Tally", "--", title, html.escape(words, quote=False)])
        return bool(told)

    def _by_tray(self, title: str, words: str) -> bool:
        if not QSystemTrayIcon.isSystemTrayAvailable() or not QSystemTrayIcon.supportsMessages():
            return False
        if self._tray is None:
            self._tray = QSystemTrayIcon(icon("live", "text"), self._window)
            self._tray.messageClicked.connect(lambda: self._clicked())
        self._tray.show()
        self._tray.showMessage(title, words, QSystemTrayIcon.MessageIcon.NoIcon, SHOWN_MS)
        return True
