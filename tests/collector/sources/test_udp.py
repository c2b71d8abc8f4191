"""UDP as a source: the receiver process, bursts, counted losses."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from collector.sources import Datagram, SourceError
from collector.sources.udp import UdpSource, bind, format_remote
from shoveler.service import Address
from tests.waiting import until


def receiver_pid() -> int:
    """The process that receives for the one source of this test."""
    (process,) = (child for child in multiprocessing.active_children() if child.name == "udp-receiver")
    assert process.pid is not None
    return process.pid


@pytest.fixture
def source() -> Iterator[UdpSource]:
    made = UdpSource(Address("127.0.0.1", 0), receive_buffer=8 * 2**20)
    yield made
    made.close()


@pytest.fixture
def sender(source: UdpSource) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", source.port))
        yield udp


def taken(source: UdpSource, number: int, seconds: float = 60.0) -> list[Datagram]:
    found: list[Datagram] = []
    deadline = time.monotonic() + seconds
    while len(found) < number and time.monotonic() < deadline:
        found += source.take(0.2).datagrams  # type: ignore[arg-type]
    return found


def test_what_is_sent_is_taken_with_sender_and_time(source: UdpSource, sender: socket.socket) -> None:
    before = time.time()
    sender.send(b"=hello")
    sender.send(b"")
    sender.send(b"x" * 65_000)
    found = taken(source, 3)
    assert [datagram.data for datagram in found] == [b"=hello", b"", b"x" * 65_000]
    assert {datagram.remote for datagram in found} == {f"127.0.0.1:{sender.getsockname()[1]}"}
    assert before <= found[0].t <= time.time()
    assert found[0].spool is None


def test_a_burst_while_we_are_busy_is_not_lost(source: UdpSource, sender: socket.socket) -> None:
    """G10: a consumer that is busy for 300 ms keeps 100 of 1,000."""
    sender.send(b"first")
    assert len(taken(source, 1)) == 1  # the receiver is up
    for n in range(5_000):
        sender.send(b"%d" % n)
        if n % 500 == 0:
            time.sleep(0.005)  # a burst, and not a test of the loopback's own limits
    spent = sum(range(3_000_000))  # busy, with the interpreter held, while the receiver goes on
    assert spent
    found = taken(source, 5_000)
    assert [datagram.data for datagram in found] == [b"%d" % n for n in range(5_000)]
    assert source.drops() == 0


def test_what_the_kernel_drops_is_counted() -> None:
    source = UdpSource(Address("127.0.0.1", 0), receive_buffer=4096)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", source.port))
            sender.send(b"up")
            assert len(taken(source, 1)) == 1
            receiver = receiver_pid()
            os.kill(receiver, signal.SIGSTOP)
            for _ in range(300):
                sender.send(b"y" * 1000)
            os.kill(receiver, signal.SIGCONT)
            found = 0

            def all_accounted_for() -> bool:
                nonlocal found
                found += len(source.take(0.1).datagrams)
                return found + source.drops() == 300

            until(all_accounted_for)
            assert source.drops() > 0
    finally:
        source.close()


def test_a_receiver_that_dies_is_started_again_on_the_same_socket(
    source: UdpSource, sender: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    sender.send(b"one")
    assert len(taken(source, 1)) == 1
    pid = receiver_pid()
    os.kill(pid, signal.SIGKILL)
    sender.send(b"two")  # waits in the kernel meanwhile
    found: list[Datagram] = []
    until(lambda: bool(found.extend(source.take(0.1).datagrams) or found))  # type: ignore[arg-type]
    assert [datagram.data for datagram in found] == [b"two"]
    assert receiver_pid() != pid
    assert source.trouble == ""
    assert "the receiver process ended; restarting it" in caplog.text


def test_the_receiver_ends_with_its_parents_end_of_the_pipe(source: UdpSource, sender: socket.socket) -> None:
    sender.send(b"one")
    assert len(taken(source, 1)) == 1
    pid = receiver_pid()
    os.kill(pid, signal.SIGTERM)  # a supervisor that ends the whole group: the parent still drains
    sender.send(b"two")
    assert [datagram.data for datagram in taken(source, 1)] == [b"two"]
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_address_in_use_gets_one_sentence() -> None:
    first = bind(Address("127.0.0.1", 0), 4096)
    port = first.getsockname()[1]
    with pytest.raises(SourceError, match=rf"cannot listen on udp://127\.0\.0\.1:{port}: Address already in use"):
        bind(Address("127.0.0.1", port), 4096)
    first.close()


def test_a_socket_that_was_handed_over_is_used() -> None:
    handed = bind(Address("127.0.0.1", 0), 4096)
    port = handed.getsockname()[1]
    source = UdpSource(Address("127.0.0.1", 1), sockets=[handed])
    try:
        assert source.port == port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", port))
        assert len(taken(source, 1)) == 1
    finally:
        source.close()


def test_more_than_one_socket_handed_over_is_refused() -> None:
    handed = [bind(Address("127.0.0.1", 0), 4096) for _ in range(2)]
    with pytest.raises(SourceError, match="expected one socket from the service manager, got 2"):
        UdpSource(Address("127.0.0.1", 1), sockets=handed)
    for one in handed:
        one.close()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 5), "192.0.2.1:5"),
        (("::1", 5, 0, 0), "[::1]:5"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1:5"),
        (("fe80::1%eth0", 5, 0, 2), "[fe80::1]:5"),
    ],
)
def test_how_senders_are_written(address: tuple[object, ...], text: str) -> None:
    assert format_remote(address) == text
