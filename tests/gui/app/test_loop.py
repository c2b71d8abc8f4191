"""The loop of the window: how it ends when something of our own fails."""

from __future__ import annotations

import asyncio

import pytest

from gui.app import _run_to_the_end


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
