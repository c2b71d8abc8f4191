"""Many servers are asked at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import pytest

from agent.server.statistics import counters_in
from agent.workloads import inquiry
from agent.workloads.inquiry import inquire


@pytest.mark.xrootd
async def test_servers_answer_as_they_can(xrootd: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        never = f"root://127.0.0.1:{silent.getsockname()[1]}"
        odd = "root://[::1"
        found = [heard async for heard in inquire([never, xrootd.url, odd], 2.0)]
    assert {heard.server for heard in found} == {never, xrootd.url, odd}
    assert found[-1].server == never, "who answers is told first"
    by_url = {heard.server: heard for heard in found}
    assert by_url[xrootd.url].version.startswith("v")
    counters = counters_in(by_url[xrootd.url].counters)
    assert (counters.port, counters.pid > 0, counters.connections > 0) == (
        int(xrootd.url.rpartition(":")[2]),
        True,
        True,
    )
    assert not by_url[never].answering
    assert never in by_url[never].problem
    assert "cannot be asked" in by_url[odd].problem


@pytest.mark.xrootd
async def test_a_server_that_stands_still_is_said_not_to_answer(start_xrootd: Any) -> None:
    server = start_xrootd("s1")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        (heard,) = [one async for one in inquire([server.url], 1.0)]
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert (heard.answering, server.url in heard.problem) == (False, True)


async def test_a_process_that_dies_leaves_nobody_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiry, "process_command", lambda _kind: ["true"])
    found = [heard async for heard in inquire(["root://a", "root://b"], 1.0)]
    assert [(heard.server, heard.answering) for heard in found] == [("root://a", False), ("root://b", False)]
    assert "ended before it had an answer" in found[0].problem


async def test_the_limit_of_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiry, "process_command", lambda _kind: ["sleep", "60"])
    monkeypatch.setattr(inquiry, "LIMIT_SECONDS", 0.1)
    async with asyncio.timeout(20):
        (heard,) = [one async for one in inquire(["root://a"], 1.0)]
    assert "did not answer within" in heard.problem
