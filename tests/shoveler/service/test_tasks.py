"""Tasks with an owner: failures are told, the end is waited for, and what must be done is done to its end."""

import asyncio
import logging
from typing import Any

import pytest

from shoveler.service.tasks import Tasks, finish

log = logging.getLogger("tally.test")


async def _fail(error: Exception) -> None:
    raise error


async def test_a_failure_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str]] = []
    tasks = Tasks(log, lambda name, error: told.append((name, str(error))))
    await asyncio.wait({tasks.start(_fail(ValueError("odd")), "counting")})
    assert told == [("counting", "odd")]
    assert [record.getMessage() for record in caplog.records] == ["! counting failed"]
    caplog.clear()


async def test_close_cancels_and_waits_for_the_end() -> None:
    said: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("ended")

    tasks = Tasks(log)
    task = tasks.start(work(), "waiting")
    await asyncio.sleep(0)
    await tasks.close()
    assert (said, task.cancelled(), task.get_name()) == (["ended"], True, "waiting")


async def _finishing(work: Any) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(finish(work, "tidy up"))
    await asyncio.sleep(0)
    return task


async def test_what_is_finished_ends_before_its_caller_hears_of_a_cancellation() -> None:
    go, said = asyncio.Event(), []

    async def work() -> str:
        await go.wait()
        said.append("done")
        return "result"

    task = await _finishing(work())
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["done"]
    assert await finish(work(), "again") == "result"


async def test_what_fails_while_it_is_finished_says_so() -> None:
    with pytest.raises(ValueError, match="odd"):
        await finish(_fail(ValueError("odd")), "tidy up")
