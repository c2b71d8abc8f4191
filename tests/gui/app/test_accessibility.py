"""Every page, with little on it, by keyboard alone: controls have names, Tab reaches all, and the focus is seen."""

from __future__ import annotations

import asyncio
import re

import pytest
from PySide6.QtWidgets import QWidget

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.models.fleet import FleetServer
from tests.gui.app.keyboard import controls, name, walk, where
from tests.gui.parts import page

KEY = re.compile(r"\b(Ctrl|Alt|Shift)\+|[( ](Esc|Enter|Space|F\d+)\)?$")
NAMES = ["welcome", *(entry.name for entry in PAGES)]


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
        window.frame.palette_box.setFocus()
        window.frame.palette_box.panel.hide()
        seen = await walk(holder)
        await end(window)
        assert (seen.missed, seen.unseen, seen.backwards) == ([], [], [])

    drive(story())
