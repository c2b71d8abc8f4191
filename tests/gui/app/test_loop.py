"""The loop of the window: how it ends when something of our own fails."""

from __future__ import annotations

import asyncio
import signal

import pytest
from PySide6.QtCore import QTimer

import gui.app
from gui.app import _run_to_the_end
from gui.widgets.frame import Frame


def test_when_the_windows_task_fails_the_others_are_ended_first(qapp, caplog) -> None:
    ended = []
    holding: list[asyncio.Task[None]] = []

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(ended.append, "the lab is down")

    async def window() -> None:
        holding.append(asyncio.get_running_loop().create_task(hold()))
        await asyncio.sleep(0)
        raise KeyError("a fault of our own")

    with pytest.raises(KeyError):
        _run_to_the_end(qapp, window(), lambda: None)
    assert ended == ["the lab is down"]
    assert caplog.text == ""


def test_a_window_that_is_closed_before_it_was_painted_ends(qapp, tmp_path, monkeypatch) -> None:
    """As by a signal between its start and its first picture."""

    given_up = []

    class Hasty(Frame):
        def show(self) -> None:
            super().show()
            self.close()
            QTimer.singleShot(30_000, self, self.give_up)  # no signal, and so no time limit, is heard in Qt's loop

        def give_up(self) -> None:
            given_up.append(True)
            self.first_painted.emit()

    before = {number: signal.getsignal(number) for number in gui.app._ENDINGS}
    monkeypatch.setattr(gui.app, "make_application", lambda: qapp)
    monkeypatch.setattr(gui.app, "make_frame", lambda: (Hasty(), None))
    assert gui.app.run_window(data=tmp_path) == 0
    assert not given_up
    assert {number: signal.getsignal(number) for number in gui.app._ENDINGS} == before
