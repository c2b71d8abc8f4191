"""The theme in a whole window: every part that is seen, every page that comes later, dialogs and lists follow."""

from __future__ import annotations

import asyncio

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.widgets.dress import WORN
from gui.widgets.theme import Mode, style_sheet, theme
from tests.gui.parts import page, wear


def ground(widget: QWidget) -> str:
    """The colour near the right upper corner."""
    picture = widget.grab().toImage()
    return str(picture.pixelColor(picture.width() - 3, 2).name())


def test_a_switch_reaches_the_page_first_and_the_others_before_they_are_seen(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        async def switched(mode: Mode) -> None:
            theme().set_mode(mode)
            assert not frame.updatesEnabled(), "the window keeps its picture until all that is seen is done"
            while not frame.updatesEnabled():  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0)

        window: Window = make_window(tmp_path / "data")
        frame = window.frame
        frame.show()
        frame.go("fleet")
        await asyncio.sleep(0)
        try:
            for mode in ("dark", "light", "dark"):
                await switched(mode)
                expected = theme().hex("surface").lower()
                assert ground(page(window, "fleet")) == expected
                assert ground(frame.menuBar()) == theme().hex("window").lower()
                for entry in PAGES:
                    frame.go(entry.name)
                    assert ground(page(window, entry.name)) == expected, entry.name
                frame.go("fleet")
                # what comes later: a dialog, a list of completions, the panel of the palette
                box = QMessageBox(frame)
                box.addButton("Yes", QMessageBox.ButtonRole.AcceptRole)
                box.open()
                await asyncio.sleep(0.05)
                button = box.findChild(QPushButton)
                assert button is not None
                assert button.grab().toImage().pixelColor(5, 5).name() == expected
                box.close()
                box.deleteLater()
                table = page(window, "fleet").clients
                table.filter_box.offer(all_columns=True)
                assert table.filter_box.popup.viewport().grab().toImage().pixelColor(200, 2).name() == expected
                table.filter_box.popup.hide()
                frame.palette_box.open_palette()
                frame.palette_box.setFocus()
                frame.palette_box._look()
                frame.palette_box.close_palette()
                assert ground(frame.statusBar()) == theme().hex("window").lower()
        finally:
            frame.close()
            await asyncio.wait_for(window.done.wait(), 60)

    drive(story())


def test_pieces_look_as_if_the_whole_application_had_the_sheet(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window: Window = make_window(tmp_path / "data")
        frame = window.frame
        frame.show()
        await asyncio.sleep(0)

        async def picture(name: str) -> QImage:
            """The page as it is when nothing moves any more."""
            frame.go(name)
            before, now = QImage(), page(window, name).grab().toImage()
            while before != now:
                await asyncio.sleep(0.05)
                before, now = now, page(window, name).grab().toImage()
            return now

        async def pictures() -> dict[str, QImage]:
            return {entry.name: await picture(entry.name) for entry in PAGES}

        try:
            wear("light")
            wear("dark")
            await pictures()  # each was shown once
            piecewise = await pictures()
            before = qapp.styleSheet()
            qapp.setStyleSheet(style_sheet(theme()))
            for widget in qapp.allWidgets():
                if widget.property(WORN):
                    widget.setStyleSheet("")
            whole = await pictures()
            qapp.setStyleSheet(before)
            assert [name for name in whole if whole[name] != piecewise[name]] == []
        finally:
            frame.close()
            await asyncio.wait_for(window.done.wait(), 60)

    drive(story())
