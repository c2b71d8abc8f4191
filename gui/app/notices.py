"""Tells the user that a run is over, wherever it was started, unless they are looking at its result: on the desktop
when the window is not in front, and in a bar under the page, which covers nothing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer

from gui.models.states import outcome_state
from gui.runner.progress import RunProgress
from gui.widgets.frame import Frame
from gui.widgets.message import MessageBar
from gui.widgets.notice import DesktopNotice

MOMENT_MS = 500
"""The result may be shown by itself, just after the end of its run."""


class Notices:
    """`go` shows a page."""

    def __init__(self, frame: Frame, go: Callable[..., object]) -> None:
        self._frame = frame
        self._go = go
        self._under_way: int | None = None
        self._over = 0
        self.bar = MessageBar()
        frame.add_foot(self.bar)
        frame.page_shown.connect(self._page_shown)
        self.desktop = DesktopNotice(frame, self._follow)

    def progressed(self, p: RunProgress) -> None:
        """A moment of a run."""
        if p.run is None:
            return
        if p.outcome == "running":
            self._under_way = p.run
        elif p.run == self._under_way and p.phase == "done":
            self._under_way = None
            self._tell(p)

    def close(self) -> None:
        """The window is being closed."""
        self.desktop.close()

    def _tell(self, p: RunProgress) -> None:
        self._over = p.run or 0
        symbol, word, colour = outcome_state(p.outcome)
        title = f"Run {p.run}: {word}"
        if not self._frame.isActiveWindow():
            self.desktop.tell(title, p.message)
        words = f"{title}. {p.message}"
        QTimer.singleShot(MOMENT_MS, self.bar, lambda: self._show(symbol, colour, words))

    def _show(self, symbol: str, colour: str, words: str) -> None:
        if self._frame.current_page() != "result":
            self.bar.say(words, colour=colour, symbol=symbol, actions=(("Open result", "runs", self._open),))

    def _open(self) -> None:
        self.bar.dismiss()
        self._go("result", run=self._over)

    def _page_shown(self, name: str) -> None:
        if name == "result":  # whichever: who looks at results needs no way to them
            self.bar.dismiss()

    def _follow(self) -> None:
        self._frame.showNormal() if self._frame.isMinimized() else self._frame.show()
        self._frame.raise_()
        self._frame.activateWindow()
        self._open()
