"""What somebody without a mouse finds in a part of the window: names, the way of Tab, and where the focus is seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QWidget,
)
from shiboken6 import isValid

RING = 3.0
"""Contrast that the focus must make with what was there without it (WCAG 2, 1.4.11)."""
SEEN = 0.5
"""Share of a control's circumference, as pixels, that must have it."""
MOST = 150
"""Pixels of width and height together from which on it need not be more: a bar of tabs has its ring around one."""


def controls(holder: QWidget) -> list[QWidget]:
    """What Tab should reach now, in no order; a field that is a part of another one is reached through that."""
    found = []
    for widget in holder.findChildren(QWidget):
        parent = widget.parentWidget()
        if isinstance(parent, QAbstractSpinBox | QComboBox):
            continue
        tab = widget.focusPolicy() & Qt.FocusPolicy.TabFocus == Qt.FocusPolicy.TabFocus
        if tab and widget.isVisible() and widget.isEnabled() and widget.focusProxy() is None:
            found.append(widget)
    return found


def reached(widget: QWidget, visited: list[QWidget]) -> bool:
    """Whether Tab came here, or to another one of its group: arrow keys lead from that to this."""
    if widget in visited:
        return True
    if not isinstance(widget, QAbstractButton) or not widget.isCheckable():
        return False
    group = widget.group()
    if not (group.exclusive() if group is not None else widget.autoExclusive()):
        return False
    others = [other for other in visited if isinstance(other, QAbstractButton)]
    return any(other.group() is group and other.parentWidget() is widget.parentWidget() for other in others)


def name(widget: QWidget) -> str:
    """What a screen reader calls it: its accessible name, its caption, or the label whose buddy it is."""
    if widget.accessibleName():
        return widget.accessibleName()
    if isinstance(widget, QAbstractButton):
        return widget.text().replace("&", "")
    labels = widget.window().findChildren(QLabel)
    return next((label.text() for label in labels if label.buddy() is widget), "")


def where(widget: QWidget) -> str:
    path = []
    now: QWidget | None = widget
    while now is not None and len(path) < 5:
        path.append(type(now).__name__)
        now = now.parentWidget()
    return f"{'/'.join(reversed(path))} {name(widget)!r}"


@dataclass
class Walk:
    """What Tab did: where it came, in order; what it missed; where the focus was not seen; steps back up."""

    visited: list[QWidget]
    missed: list[str]
    unseen: list[str]
    backwards: list[str]


async def walk(holder: QWidget, most: int = 400) -> Walk:
    """Press Tab until it comes back to the first control, or `most` times."""
    wanted = controls(holder)
    assert wanted, holder
    visited: list[QWidget] = []
    unseen: list[str] = []
    backwards: list[str] = []
    for _ in range(most):
        focus = QApplication.focusWidget() or holder
        QTest.keyClick(focus, Qt.Key.Key_Tab)
        now = QApplication.focusWidget()
        if not isinstance(now, QWidget) or now not in wanted:
            if len(visited) == len(wanted):
                break
            continue
        if now in visited:
            break
        visited.append(now)
        if (step := step_back(visited)) is not None:
            backwards.append(step)
        await asyncio.sleep(0)
        if not focus_is_seen(now):
            unseen.append(where(now))
    still = [widget for widget in visited if isValid(widget)]  # what is shown anew meanwhile was there as well
    missed = [where(widget) for widget in wanted if isValid(widget) and not reached(widget, still)]
    return Walk(visited, missed, unseen, backwards)


def focus_is_seen(widget: QWidget) -> bool:
    """Whether the focus changes enough pixels of a control, by enough contrast. The widget has the focus."""
    on = luminance(widget.grab().toImage())
    widget.clearFocus()
    off = luminance(widget.grab().toImage())
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    if on.shape != off.shape:
        return True
    light, dark = np.maximum(on, off) + 0.05, np.minimum(on, off) + 0.05
    visible = widget.visibleRegion().boundingRect()
    return int((light / dark >= RING).sum()) >= SEEN * 2 * min(visible.width() + visible.height(), MOST)


def luminance(image: QImage) -> np.ndarray:
    """The relative luminance (WCAG 2) of each pixel."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    part = flat[:, : 3 * image.width()].reshape(image.height(), image.width(), 3) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def place(widget: QWidget) -> QRect:
    """Where it is in its window."""
    return QRect(widget.mapTo(widget.window(), QPoint()), widget.size())


def step_back(visited: list[QWidget]) -> str | None:
    """The last step of Tab, if it went up to something that stands above in the same column. From the foot of one
    column to the head of another is no step back; nor is one into what scrolls, whose height says little about where
    one is, nor one to the first of all after the last: a dialog may begin in its middle."""
    still = [widget for widget in visited if isValid(widget)]
    if len(still) < 2 or still[-2:] != visited[-2:] or isinstance(visited[-1], QAbstractScrollArea):
        return None
    one, two = place(visited[-2]), place(visited[-1])
    same = min(one.right(), two.right()) - max(one.left(), two.left()) > 0
    if two.bottom() >= one.top() or not same or two.top() <= min(place(widget).top() for widget in still):
        return None
    return f"{where(visited[-2])} at {one.getRect()} → {where(visited[-1])} at {two.getRect()}"
