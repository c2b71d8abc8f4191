from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from agent.lab.broker import BrokerError, PrivateBroker
from agent.lab.keeper import BrokerKeeper
from agent.lab.pids import alive


@pytest.mark.broker
async def test_a_broker_that_dies_comes_again_but_not_while_it_is_to_be_down(tmp_path: Path) -> None:
    changes: list[int] = []
    keeper = BrokerKeeper(
        PrivateBroker(tmp_path / "b", die_with_parent=True), 60, lambda: changes.append(1), look_seconds=0.05
    )
    try:
        await keeper.start()
        first = keeper.process()
        assert alive(first)
        watching = asyncio.get_running_loop().create_task(keeper.watch(), name="watch")
        os.kill(first.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while keeper.restarts == 0 or not keeper.broker.running:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.05)
        watching.cancel()
        assert keeper.process().pid not in (0, first.pid)
        assert keeper.process().restarts == 1

        await keeper.kill()
        assert keeper.process().pid == 0
        await keeper._call(keeper._start_again)  # what the watch does when it finds the broker gone
        assert keeper.process().pid == 0
        assert len(changes) >= 3
    finally:
        assert await keeper.end() == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in keeper.broker.pids)


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hopeless(PrivateBroker):
        def start(self, timeout: float = 60.0) -> None:
            raise BrokerError("no disk")

    keeper = BrokerKeeper(Hopeless(tmp_path / "b"), 60, lambda: None)
    assert await keeper.up() == "no disk"
    assert keeper.process().pid == 0
    assert await keeper.end() == []
