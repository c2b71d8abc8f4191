"""Publishing over STOMP, to a real ActiveMQ: what the broker has taken is confirmed, and nothing else."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoveler.bus import (
    BusError,
    BusOptions,
    BusRefusedError,
    BusUnavailableError,
    BusUserError,
    Outgoing,
    Publisher,
    open_consumer,
    open_publisher,
    parse_bus_address,
)

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from activemq import PASSWORD, USER, ActiveMQ
from shoveler_harness import Supervisor, binary, eventually, number_of


@pytest.fixture(scope="module")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMQ]:
    broker = ActiveMQ(tmp_path_factory.mktemp("activemq"))
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def publisher(url: str, **options: object) -> Publisher:
    address = parse_bus_address(url, role="sink")
    return open_publisher(address, exchange=str(address.exchange), writer="w", options=BusOptions(**options))  # type: ignore[arg-type]


def all_outcomes(sender: Publisher) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    deadline = time.monotonic() + 60
    while sender.pending and time.monotonic() < deadline:
        found += [(outcome.id, outcome.status) for outcome in sender.outcomes(1.0)]
    return found


def until_it_fails(sender: Publisher, confirmed: list[str]) -> None:
    for _ in range(200):
        confirmed += [outcome.id for outcome in sender.outcomes(0.2)]


def test_what_is_confirmed_is_in_the_queue_in_order_and_survives_the_broker(activemq: ActiveMQ) -> None:
    sender = publisher(f"{activemq.url}/queue/kept")
    messages = [Outgoing(b"\x00 body %d \xff" % number, f"m{number}") for number in range(5000)]
    sender.send(messages)
    assert all_outcomes(sender) == [(message.id, "confirmed") for message in messages]
    activemq.kill()
    with pytest.raises(BusUnavailableError):
        until_it_fails(sender, [])
    sender.close()
    activemq.start()
    other = publisher(f"{activemq.url}/queue/texts")
    other.send([Outgoing(b'{"a": 1}', "t1")])
    assert all_outcomes(other) == [("t1", "confirmed")]
    other.close()
    ((headers, body),) = activemq.drain("texts", lambda found: len(found) == 1)
    assert (headers["content-type"], headers["message_id"], body) == ("text/plain", "t1", b'{"a": 1}')


def test_who_may_not_send_is_told_apart_from_a_broker_that_is_away(activemq: ActiveMQ, tmp_path: Path) -> None:
    with pytest.raises(BusUserError, match=r"refuses '/topic/xrootd\.shoveler' for 'tally'"):
        publisher(f"stomp://{USER}:wrong@127.0.0.1:{activemq.port}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(BusUnavailableError, match="does not answer as a STOMP broker"):
            publisher(f"stomp://127.0.0.1:{port}", connect_timeout=0.5)
    with pytest.raises(BusUnavailableError, match="cannot be reached: Connection refused"):
        publisher(f"stomp://127.0.0.1:{port}")


def test_the_password_may_be_in_a_token_file_that_is_renewed(activemq: ActiveMQ, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(PASSWORD + "\n")
    sender = publisher(f"stomp://{USER}@127.0.0.1:{activemq.port}/queue/t", token_file=token)
    assert not sender.token_changed()
    token.write_text("another, longer one\n")
    assert sender.token_changed()
    sender.close()


def answering(frames: Callable[[socket.socket], None]) -> int:
    """The port of a server that does this with its first connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as connection:
            frames(connection)

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


def test_a_broker_that_falls_silent_is_given_up() -> None:
    def silent(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"CONNECTED\nversion:1.2\nheart-beat:100,0\n\n\0")
        while connection.recv(65536):
            pass

    sender = publisher(f"stomp://127.0.0.1:{answering(silent)}")
    sender.send([Outgoing(b"x", "m")])
    with pytest.raises(BusUnavailableError, match="has been silent for"):
        until_it_fails(sender, [])
    sender.close()


def test_an_error_frame_ends_it_after_the_receipts_before_it() -> None:
    def failing(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"CONNECTED\nversion:1.2\n\n\0")
        connection.recv(65536)
        connection.sendall(b"RECEIPT\nreceipt-id:1\n\n\0\nERROR\nmessage:the disk is full\n\n\0")
        connection.recv(65536)

    sender = publisher(f"stomp://127.0.0.1:{answering(failing)}")
    sender.send([Outgoing(b"x", "first"), Outgoing(b"x", "second")])
    found: list[str] = []
    with pytest.raises(BusRefusedError, match="the disk is full"):
        until_it_fails(sender, found)
    assert found == ["first"], "the second has no outcome: it is sent again"
    sender.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("stomp://", "names no host"),
        ("stomp://h/x?exchange=e", "the destination follows the host"),
        ("stomp://h:99999/", "cannot be read"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, sentence: str) -> None:
    with pytest.raises(BusRefusedError, match=sentence):
        parse_bus_address(url, role="sink")


def test_addresses() -> None:
    assert parse_bus_address("stomp://h").exchange == "/topic/xrootd.shoveler"
    assert parse_bus_address("stomp://h/topic/a.b").exchange == "/topic/a.b"
    address = parse_bus_address("stomps://u:s%40cret@h/queue/q")
    assert (address.exchange, address.port, address.password) == ("/queue/q", 61614, "s@cret")
    assert str(address) == "stomps://u:***@h:61614/queue/q"
    with pytest.raises(BusRefusedError, match="STOMP is for sending only"):
        parse_bus_address("stomp://h", role="source")
    with pytest.raises(BusError, match="can only be sent to"):
        open_consumer(address, exchange="e", queue="q", reader="r")


def sent_numbers(found: list[tuple[dict[str, str], bytes]]) -> set[int]:
    return {number_of(b64decode(json.loads(body)["data"])) for _headers, body in found}


def test_a_shoveler_sends_everything_over_a_restart_of_the_broker(activemq: ActiveMQ, tmp_path: Path) -> None:
    shoveler = Supervisor(tmp_path, f"{activemq.url}/queue/shoveled").start()
    try:
        eventually(lambda: b"connected to the bus" in shoveler.log.read_bytes(), 60, "a connection")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(300):
                sender.sendto(binary(number), shoveler.target)
                if number == 150:
                    activemq.kill()
        activemq.start()
        found = activemq.drain("shoveled", lambda found: len(sent_numbers(found)) == 300, 120)
        assert sent_numbers(found) == set(range(300))
    finally:
        shoveler.kill()
        shoveler.socket.close()
