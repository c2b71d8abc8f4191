"""The shoveler and the collector beside a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agent.messages import Daemon
from agent.server import daemons
from agent.server.daemons import ask_daemons, counted, problem_in
from shoveler.service import Address, Counts, Gauges, Health, MonitorServer, new_registry


async def test_health_and_counts_of_real_metrics() -> None:
    registry, health = new_registry(), Health()
    Counts(registry, "shoveler_packets_received", "d").set(12)
    by_reason = Counts(registry, "shoveler_packets_rejected_total", "d", ["reason"])
    by_reason.set(2, "header")
    by_reason.set(3, 'a "b" }\n c')
    Gauges(registry, "shoveler_queue_size", "d").set(4)
    monitor = MonitorServer(Address("127.0.0.1", 0), registry, health)
    try:
        address = monitor.address
        assert address is not None
        (well,) = await ask_daemons([address])
        health.problem("spool", "the disk is full")
        (ill,) = await ask_daemons([address])
    finally:
        monitor.close()
    counts = {"received": 12.0, "rejected": 5.0, "waiting": 4.0}
    assert well == Daemon(str(address), "shoveler", True, "", counts)
    assert (ill.healthy, ill.problem) == (False, "spool: the disk is full")
    (away,) = await ask_daemons([address])
    assert not away.healthy
    assert away.problem.startswith("It cannot be asked: ")


@asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[Address]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 x y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"shoveler_packets_received 1\n" * 400_000,
    ],
)
async def test_what_is_no_daemon_of_ours_is_said(answer: bytes) -> None:
    async with answering(lambda writer: writer.write(answer)) as address:
        (found,) = await ask_daemons([address])
    assert not found.healthy
    assert found.problem.startswith("It cannot be asked: ")
    assert len(found.problem) < 500


async def test_one_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        (found,) = await ask_daemons([Address("127.0.0.1", silent.getsockname()[1])])
    assert found.problem == "It cannot be asked: it did not answer in time."


def test_metrics_of_others() -> None:
    osg = b"# HELP shoveler_packets_received x\nshoveler_packets_received 7\nshoveler_queue_size NaN\nother 1\n"
    assert counted(osg) == ("shoveler", {"received": 7.0})
    assert counted(b'collector_records_total 1e300\ncollector_gaps_total{a="b"} 3 1700000000\n')[1] == {"gaps": 3.0}
    assert counted(b"node_load1 0.5\n") == ("", {})
    assert problem_in(json.dumps({"problems": {"a": "b", "c": "d"}}).encode()) == "a: b; c: d"
    assert problem_in(b"[" * 100_000) == ""
    assert problem_in(b'{"problems": 3}') == ""
