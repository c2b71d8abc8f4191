"""The client role against a hub double and a real XRootD server, worker processes and all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.client import ClientRole
from agent.journal import Journal
from agent.messages import (
    EndRepeat,
    Heartbeat,
    RepeatDone,
    RepeatReady,
    Request,
    Round,
    RoundDone,
    Sample,
    StartRepeat,
    Workload,
)


@asynccontextmanager
async def _agent(hub: Any, linked: Any, directory: Path, name: str = "c1") -> AsyncIterator[ClientRole]:
    journal = Journal(directory)
    role = ClientRole(name=name, labels=["EU"], journal=journal)
    try:
        async with linked(hub, role, name, "client"):
            yield role
    finally:
        await role.close()
        journal.close()


@pytest.fixture
def agent(hub: Any, linked: Any, tmp_path: Path) -> Any:
    """``async with agent() as role``: a client agent in this process, its workers in theirs, linked to the hub."""
    return lambda: _agent(hub, linked, tmp_path)


def requests(server: str, paths: list[str], size: int, *, tag: str = "taga", slots: int = 4) -> list[Request]:
    return [Request(f"{tag}{i % slots:04d}", i % slots, server, path, size, seed=i) for i, path in enumerate(paths)]


@pytest.mark.xrootd
async def test_a_job_from_start_to_end(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/job/f{i}" for i in range(10)]
    for path in paths:
        xrootd.add(path, 1_500_000)
    async with agent():
        beat = await hub.next(Heartbeat)
        assert beat.jobs == []
        await hub.say(StartRepeat("1.1.1", Workload("full"), slots=4))
        assert (await hub.next(RepeatReady)).error == ""
        await hub.say(Round("1.1.1", 0, requests(xrootd.url, paths, 1_500_000)))
        done = await hub.next(RoundDone)
        assert (done.round, done.failed) == (0, 0)
        await hub.say(EndRepeat("1.1.1"))
        end = await hub.next(RepeatDone)

    assert end.journal_last == 20
    assert [line.n for line in hub.lines] == list(range(1, 21))
    assert sorted(line.path for line in hub.done()) == paths
    for line in hub.done():
        assert line.ok, line.error
        assert (line.read_asked, line.read_got, line.read_ops, line.readv_ops) == (1_500_000, 1_500_000, 2, 0)
        assert line.server == xrootd.url.removeprefix("root://")
    sample = [message for message in hub.received if isinstance(message, Sample)][-1]
    assert sample.servers[xrootd.url].bytes == 15_000_000
    assert sample.servers[xrootd.url].done == sample.servers[xrootd.url].started == 10
    # A round is never said to be done before the hub has the lines that it speaks of.
    kinds = [type(message).__name__ for message in hub.received if type(message).__name__ != "Heartbeat"]
    assert kinds.index("RoundDone") > max(i for i, kind in enumerate(kinds) if kind == "Journal")
