"""Asks what to do about faults that are still on in the lab when a run is to begin."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from gui.app.running import FaultsAnswer
from gui.models.plain import straight


async def ask_about_faults(parent: QWidget, what: str, can_end: bool) -> FaultsAnswer:
    """`what` is on, in a sentence. Never `exec`: the loop goes on, and the task that asks waits in it."""
    box = QMessageBox(parent.window())
    box.setWindowTitle("A fault is still on")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(straight(what))
    box.setInformativeText(
        "What it loses would count in this run. The run would say so, and no comparison would call it better or worse "
        "without that word."
    )
    end = box.addButton("End it and run", QMessageBox.ButtonRole.AcceptRole) if can_end else None
    run = box.addButton("Run with it", QMessageBox.ButtonRole.DestructiveRole)
    cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(end or cancel)
    box.setEscapeButton(cancel)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    answered: asyncio.Future[FaultsAnswer] = asyncio.get_running_loop().create_future()

    def decided(_code: int) -> None:
        if answered.done():
            return
        clicked = box.clickedButton()
        answered.set_result("end" if end is not None and clicked is end else "run" if clicked is run else "")

    box.finished.connect(decided)
    box.open()
    try:
        return await answered
    finally:
        if not answered.done() or answered.cancelled():
            box.close()
