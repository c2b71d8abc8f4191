from __future__ import annotations

import asyncio
import socket

from agent.lab import health
from shoveler.service import Address, Counts, Health, MonitorServer, new_registry


async def test_a_daemon_that_is_well_or_says_what_is_wrong() -> None:
    registry, state = new_registry(), Health()
    taken = Counts(registry, "shoveler_packets_received", "Datagrams.")
    with MonitorServer(Address("127.0.0.1", 0), registry, state) as server:
        address = str(server.address)
        assert await health.healthy(address) == ""
        state.problem("bus", "the broker cannot be reached")
        assert await health.healthy(address) == "the broker cannot be reached"
        taken.add(3)
        assert await health.has_received(address, 4) == "3 of 4 servers' identifications have arrived"
        taken.add()
        assert await health.has_received(address, 4) == ""
    assert "does not answer" in await health.healthy(address)
    assert await health.has_received(address, 1) == "0 of 1 servers' identifications have arrived"


async def test_a_port_that_takes_connections() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert await health.accepts(port) == f"nothing accepts connections on port {port}"
        server.listen()
        assert await health.accepts(port) == ""


async def test_an_answer_that_is_no_http_is_said_to_be_none() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"good morning\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await health.healthy(f"127.0.0.1:{port}") == f"http://127.0.0.1:{port}/healthz does not answer (no HTTP)"


def test_the_samples_of_a_metric_add_up_and_its_namesakes_do_not() -> None:
    text = '# HELP a b\na{x="1"} 2\na{x="2 3"} 4.5\nab 100\na_total 100\n'
    assert health.total(text, "a") == 6.5
    assert health.total(text, "absent") == 0


async def test_where_a_redirector_sends_people() -> None:
    said = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:4711/store/f\r\n\r\n"

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        assert await health.redirects(port, "/store/f") == {4711}
        for other in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 307 x\r\nLocation: /elsewhere\r\n\r\n", b"no\r\n"):
            said = other
            assert await health.redirects(port, "/store/f") == set()
    assert await health.redirects(port, "/store/f") == set()
