"""The theme in a whole window: every part that is seen, every page that comes later, dialogs and lists follow."""

from __future__ import annotations

import asyncio

from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.widgets.dress import FEW
from gui.widgets.theme import theme
from tests.gui.parts import page


def ground(widget: QWidget) -> str:
    """The colour near the right upper corner."""
    picture = widget.grab().toImage()
    return str(picture.pixelColor(picture.width() - 3, 2).name())


def test_a_switch_reaches_the_page_at_once_and_the_others_before_they_are_seen(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window: Window = make_window(tmp_path / "data")
        frame = window.frame
        frame.show()
        frame.go("fleet")
        await asyncio.sleep(0)
        assert len(qapp.allWidgets()) > FEW
        try:
            for mode in ("dark", "light", "dark"):
                theme().set_mode(mode)
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
