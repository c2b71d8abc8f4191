"""Giving all widgets a new style sheet, and what they draw themselves its colours, without a stall.

OPTIMISATION. `QApplication.setStyleSheet` polishes each widget once for every ancestor that it has: 0.85 s for the
1,600 widgets of the window. So the application's own sheet is replaced only while there are few widgets. After that
each window is given the sheet itself; a window with many parts (`Parts`) names them, and large ones are taken to pieces
(0.1 ms for each widget). What is seen comes first, in a few turns of the loop during which the window keeps its
picture, so that nobody sees it half in new colours; the rest comes in later turns, or when it is shown (`dress_now`).

A widget that draws with colours of the theme itself follows the changes (`Theme.follow`): its method is called after it
has the new sheet.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Protocol, runtime_checkable
from weakref import WeakSet, ref

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QScrollArea, QStackedWidget, QWidget
from shiboken6 import isValid

FEW = 60
"""Followers up to which the application's own sheet is replaced: about 250 widgets, 50 ms. Widgets are not counted: to
list them all while some of them go has ended the program."""
HOLDERS = (QWidget, QStackedWidget, QScrollArea)
"""Kinds of widgets of which one sees only what is in them: no rule of the sheet has a colour for them."""
PIECE = 200
"""Widgets that are given the sheet at once (20 ms); each piece has a copy of the sheet, of 0.3 MiB."""
TURN = 0.01
"""Seconds of processor time after which the loop has its next turn."""


WORN = "worn"
"""The property of a widget that has the application's sheet in place of one of its own: the number of the change."""
_wearing: WeakSet[QWidget] = WeakSet()
"""Those that have it."""


def give_sheet(widget: QWidget, sheet: str) -> None:
    """Give a widget a sheet of its own, unless it has it: Qt would polish the widget and all in it once more."""
    if widget.styleSheet() == sheet:
        return
    around = widget.parentWidget()
    if widget.property(WORN) and around is not None:  # what is around it wears that from now on
        around.setStyleSheet(widget.styleSheet())
        around.setProperty(WORN, widget.property(WORN))
        _wearing.add(around)
        widget.setProperty(WORN, None)
    widget.setStyleSheet(sheet)


@runtime_checkable
class Parts(Protocol):
    """A window that is dressed part by part."""

    def parts_to_dress(self) -> Sequence[QWidget]:
        """All of its parts that may look different; none is inside another one."""


def pieces(widget: QWidget) -> Iterator[QWidget]:
    """The widget, or if there is much in it, what is in it; none is inside another one."""
    inside = [child for child in widget.children() if isinstance(child, QWidget) and not child.isWindow()]
    if any(map(_has_own, inside)) or not _only_holds(widget) or len(widget.findChildren(QWidget)) <= PIECE:
        yield widget
        return
    for child in inside:
        yield from pieces(child)


def _has_own(widget: QWidget) -> bool:
    """Whether it has a sheet of its own; it can then be dressed only by what is around it."""
    return bool(widget.styleSheet()) and not widget.property(WORN)


def _only_holds(widget: QWidget) -> bool:
    """Whether no rule of the sheet is about this widget itself."""
    if getattr(widget, "paints_itself", False):
        return True
    if _has_own(widget) or widget.testAttribute(Qt.WidgetAttribute.WA_StyledBackground):
        return False
    named = type(widget) is QWidget and widget.objectName() and not widget.objectName().startswith("qt_")  # Qt's own
    return not named and _is_holder(type(widget))


def _is_holder(kind: type[QWidget]) -> bool:
    """Whether widgets of this class are of `HOLDERS`, and paint no more than these."""
    ours = list(takewhile(lambda base: not base.__module__.startswith("PySide6."), kind.__mro__))
    return kind.__mro__[len(ours)] in HOLDERS and not any("paintEvent" in vars(base) for base in ours)


class Follower:
    """A method of a widget, called when the theme has changed, as long as there is the widget."""

    def __init__(self, restyle: Callable[[], object]) -> None:
        self._owner: ref[QWidget] = ref(restyle.__self__)  # type: ignore[attr-defined]
        self._name = restyle.__name__

    @property
    def owner(self) -> QWidget | None:
        """The widget, if it is still there."""
        owner = self._owner()
        return owner if owner is not None and isValid(owner) else None

    def call(self) -> None:
        if (owner := self.owner) is not None:
            getattr(owner, self._name)()


class Wardrobe:
    """The sheet that is in force, and who follows its changes. One per application, owned by the theme."""

    def __init__(self) -> None:
        self._sheet = ""
        self._number = 0
        """How many sheets there were."""
        self._stale = False
        """Whether the application's own sheet is an older one."""
        self._followers: list[Follower] = []
        self._pending: dict[Follower, None] = {}
        """Those that have not been called since the last change."""
        self._steps: deque[Callable[[], None]] = deque()
        """What is still to be done, in this order."""
        self._still: list[QWidget] = []
        """Windows that keep their picture until all that is seen in them is done."""
        self._timer: QTimer | None = None

    def follow(self, restyle: Callable[[], object]) -> None:
        """From now on call this method of a widget when the sheet has changed."""
        self._followers.append(Follower(restyle))

    def wear(self, sheet: str) -> None:
        """Put this sheet in force."""
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self._sheet = sheet
        self._number += 1
        if not application.styleSheet() or sum(each.owner is not None for each in self._followers) <= FEW:
            self._stale = False
            application.setStyleSheet(sheet)
            for widget in list(_wearing):
                if isValid(widget) and widget.property(WORN):
                    widget.setProperty(WORN, None)
                    widget.setStyleSheet("")
            self._begin(())
            self._finish()
            return
        self._stale = True
        parts: list[QWidget] = []
        for window in application.topLevelWidgets():
            if window.parent() is not None:  # as its parent
                continue
            parts += window.parts_to_dress() if isinstance(window, Parts) else (window,)
            if window.isVisible() and window.updatesEnabled():
                window.setUpdatesEnabled(False)
                self._still.append(window)
        self._begin(parts)

    def renew(self) -> None:
        """Call all followers again: something else has changed in what they draw."""
        self._finish()
        self._begin(())

    def _begin(self, parts: Sequence[QWidget]) -> None:
        """Plan the steps: what is seen, then the picture, then all others."""
        self._followers = [follower for follower in self._followers if follower.owner is not None]
        self._pending = dict.fromkeys(self._followers)
        self._steps.clear()
        for seen in (True, False):
            self._steps += [partial(self._take_apart, part) for part in parts if part.isVisible() is seen]
            self._steps += [
                partial(self._tell, follower)
                for follower in self._followers
                if (owner := follower.owner) is not None and owner.isVisible() is seen
            ]
            if seen:
                self._steps.append(self._show)
        if self._timer is None:
            self._timer = QTimer(QApplication.instance())
            self._timer.setInterval(0)
            self._timer.timeout.connect(self._go_on)
        self._timer.start()

    def _go_on(self) -> None:
        """One turn of the loop."""
        until = time.thread_time() + TURN
        while self._steps and time.thread_time() < until:
            self._steps.popleft()()
        if not self._steps and self._timer is not None:
            self._timer.stop()

    def _finish(self) -> None:
        """The rest at once."""
        while self._steps:
            self._steps.popleft()()

    def dress_now(self, widget: QWidget) -> None:
        """Give this widget the sheet in force, if it is still there and does not have it, and all in it its colours."""
        for piece in pieces(widget):
            self._dress(piece)
        for follower in list(self._pending):
            owner = follower.owner
            if owner is not None and (owner is widget or widget.isAncestorOf(owner)):
                self._tell(follower)

    def _take_apart(self, part: QWidget) -> None:
        if isValid(part):
            self._steps.extendleft(reversed([partial(self._dress, piece) for piece in pieces(part)]))

    def _dress(self, widget: QWidget) -> None:
        if self._stale and isValid(widget) and widget.property(WORN) != self._number:
            widget.setProperty(WORN, self._number)
            _wearing.add(widget)
            widget.setStyleSheet(self._sheet)

    def _tell(self, follower: Follower) -> None:
        if follower in self._pending:
            del self._pending[follower]
            follower.call()

    def _show(self) -> None:
        for window in self._still:
            if isValid(window):
                window.setUpdatesEnabled(True)
        self._still.clear()
