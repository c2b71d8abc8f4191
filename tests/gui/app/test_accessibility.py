"""Every page by keyboard alone: each control has a name, Tab reaches all of them, and the focus is seen."""

from __future__ import annotations

import asyncio
import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QLabel, QWidget

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.models.fleet import FleetServer
from tests.gui.parts import page

KEY = re.compile(r"\b(Ctrl|Alt|Shift)\+|[( ](Esc|Enter|Space|F\d+)\)?$")
NAMES = ["welcome", *(entry.name for entry in PAGES)]


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


async def at_work(tmp_path) -> Window:
    """An open window with something on its pages."""
    window = make_window(tmp_path / "data")
    frame = window.frame
    frame.show()
    frame.resize(1440, 900)
    frame.activateWindow()
    async with asyncio.timeout(20):
        while not frame.isActiveWindow():  # noqa: ASYNC110 - the window system has no event for us
            await asyncio.sleep(0.02)
    page(window, "fleet").set_servers([FleetServer(f"s{n}", f"root://s{n}", "up") for n in range(3)])
    return window


async def end(window: Window) -> None:
    window.frame.close()
    await asyncio.wait_for(window.done.wait(), 60)


def alone(window: Window, shown: str) -> QWidget:
    window.frame.go(shown)
    widget = window.frame.stack.currentWidget()
    assert widget is not None
    return widget


@pytest.mark.parametrize("shown", NAMES)
def test_every_control_has_a_name(qapp, drive, tmp_path, shown: str) -> None:
    async def story() -> None:
        window = await at_work(tmp_path)
        holder = alone(window, shown)
        await asyncio.sleep(0)
        nameless = [where(widget) for widget in controls(holder) if not name(widget)]
        # A screen reader reads keys from the action; in a name they would be read as words.
        with_keys = [where(widget) for widget in holder.findChildren(QWidget) if KEY.search(widget.accessibleName())]
        await end(window)
        assert nameless == []
        assert with_keys == []

    drive(story())


@pytest.mark.parametrize("shown", NAMES)
def test_tab_visits_every_control_and_the_focus_is_seen(qapp, drive, tmp_path, shown: str) -> None:
    async def story() -> None:
        window = await at_work(tmp_path)
        holder = alone(window, shown)
        await asyncio.sleep(0.05)
        wanted = controls(holder)
        assert wanted
        window.frame.palette_box.setFocus()
        window.frame.palette_box.panel.hide()
        before = {widget: widget.grab().toImage() for widget in wanted}
        visited: list[QWidget] = []
        unseen: list[str] = []
        for _ in range(len(controls(window.frame)) + 20):
            focus = QApplication.focusWidget()
            assert focus is not None
            QTest.keyClick(focus, Qt.Key.Key_Tab)
            now = QApplication.focusWidget()
            if isinstance(now, QWidget) and now in before and now not in visited:
                visited.append(now)
                await asyncio.sleep(0)
                if now.grab().toImage() == before[now]:
                    unseen.append(where(now))
        missed = [where(widget) for widget in wanted if not reached(widget, visited)]
        await end(window)
        assert (missed, unseen) == ([], [])

    drive(story())
