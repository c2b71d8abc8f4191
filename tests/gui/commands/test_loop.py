"""How a command ends when it is told to: with everything cleared up, whatever became of the terminal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from gui.commands.loop import StoppedError, run_until_done


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signal handlers as they were, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_once_and_clearing_up_is_waited_for(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)  # again: it must not cut this short
            await asyncio.sleep(0)
            cleared.append(number)
        return 0

    with pytest.raises(StoppedError):
        run_until_done(work())
    assert cleared == [number]
    assert "still cleaning up" in capsys.readouterr().err


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 7

    assert run_until_done(work()) == 7
