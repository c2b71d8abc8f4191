from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

import pytest

from agent.lab.children import Child
from agent.lab.pids import identity
from agent.messages import LabProcess

NewChild = Callable[..., Child]


@pytest.fixture
async def new_child(tmp_path: Path) -> AsyncIterator[NewChild]:
    children: list[Child] = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, lambda: [child.reap() for child in children])

    def make(*command: str) -> Child:
        def spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=log, stderr=log)

        children.append(Child("c", "collector", tmp_path / "c.log", spawn, "127.0.0.1:1"))
        return children[-1]

    yield make
    for child in children:
        await child.end(0.0)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)


async def test_what_it_was_and_what_it_said_last(new_child: NewChild) -> None:
    child = new_child("sh", "-c", "for i in 1 2 3 4; do echo line $i; done; exit 3")
    assert child.process() == LabProcess("c", "collector", 0, 0, "127.0.0.1:1", "")
    assert child.last_words == "nothing"
    child.start()
    await asyncio.wait_for(child.ended.wait(), 60)
    assert child.how_it_ended == "code 3"
    assert child.last_words == "line 2 / line 3 / line 4"
    assert child.pid == 0


async def test_running_ended_and_started_again(new_child: NewChild) -> None:
    child = new_child("sleep", "60")
    child.start()
    first = child.process()
    assert first.pid > 0
    assert first.identity == identity(first.pid)
    await child.end(5.0)
    assert child.how_it_ended == "signal 15"
    await child.end(5.0)
    child.start()
    assert child.pid not in (0, first.pid)


async def test_one_that_does_not_listen_is_killed(new_child: NewChild, tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = new_child(sys.executable, "-c", deaf)
    child.start()
    async with asyncio.timeout(60):
        while "deaf" not in child.last_words:  # noqa: ASYNC110 - a log file rings no bell
            await asyncio.sleep(0.01)
    await child.end(0.1)
    assert child.how_it_ended == "signal 9"
    assert child.pid == 0


async def test_a_program_that_is_not_there(new_child: NewChild) -> None:
    child = new_child("/absent/program")
    with pytest.raises(OSError, match="No such file"):
        child.start()
    assert child.pid == 0
