"""The end of a run is told: on the desktop when the window is not in front, else in a bar at the foot of the page.

The desktop is told by `notify-send`, or through an icon in the tray where that is missing (as on Windows and macOS);
where there is neither, the bar is still there when the user comes back. Qt's own D-Bus cannot be used from Python for
this: it has no way to pass the unsigned number that the service wants.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QProcess, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSystemTrayIcon, QWidget

from gui.widgets.icons import icon, pixmap
from gui.widgets.parts import Elided, button
from gui.widgets.theme import theme

SHOWN_MS = 10_000
HEIGHT, EDGE = 40, 16


class NoticeBar(QWidget):
    """A sentence with a button, over the foot of `over`, until it is used or closed."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self.setObjectName("notice")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Notice")
        self._over = over
        self._call: Callable[[], object] = lambda: None
        self._state = ("ok", "ok")
        self._picture = QLabel()
        self.words = Elided("", least=80)
        self.open_button = button("Open result", action=self._open)
        self.close_button = button("", "x", self.hide, kind="icon", tip="Close this notice")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        row.setSpacing(8)
        row.addWidget(self._picture)
        row.addWidget(self.words, 1)
        row.addWidget(self.open_button)
        row.addWidget(self.close_button)
        over.installEventFilter(self)
        theme().changed.connect(self._restyle)
        self.hide()

    def tell(
        self, symbol: str, colour: str, words: str, call: Callable[[], object] | None, caption: str = "Open result"
    ) -> None:
        """Show this; the button has this caption and calls `call` (None: there is no button)."""
        self.open_button.setText(caption)
        self.open_button.setVisible(call is not None)
        self._state, self._call = (symbol, colour), call or (lambda: None)
        self.words.setText(words)
        self._restyle()
        self._place()
        self.show()
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _open(self) -> None:
        self.hide()
        self._call()

    def _place(self) -> None:
        width = min(640, self._over.width() - 2 * EDGE)
        self.setGeometry((self._over.width() - width) // 2, self._over.height() - HEIGHT - EDGE, width, HEIGHT)

    def _restyle(self) -> None:
        look, (symbol, colour) = theme(), self._state
        self._picture.setPixmap(pixmap(symbol, colour, 16, 2.0))
        self.setStyleSheet(
            f"#notice {{ background: {look.hex('raised')}; border: 1px solid {look.hex(colour)}; border-radius: 4px; }}"
        )


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
