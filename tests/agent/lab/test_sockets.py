from __future__ import annotations

import socket

import pytest

from agent.lab import sockets
from agent.lab.errors import LabError


def arrived(receiver: socket.socket) -> int:
    """Loopback delivers before sendto returns, so that what is not there now was dropped."""
    count = 0
    receiver.setblocking(False)
    while True:
        try:
            receiver.recv(2000)
        except BlockingIOError:
            return count
        count += 1


def send(receiver: socket.socket, count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x" * 1000, receiver.getsockname())


def test_nothing_is_lost_in_a_socket_that_nobody_reads() -> None:
    with sockets.receive_socket() as receiver:
        send(receiver, 100)
        assert arrived(receiver) == 100


def test_a_given_share_is_lost_and_then_nothing_again() -> None:
    with sockets.receive_socket() as receiver:
        sockets.lose(receiver, 100.0)
        send(receiver, 50)
        assert arrived(receiver) == 0
        sockets.lose_nothing(receiver)
        sockets.lose(receiver, 50.0)
        send(receiver, 50)
        first = arrived(receiver)
        send(receiver, 50)
        # Two times in 10^10 all hundred share one fate.
        assert 0 < first + arrived(receiver) < 100
        sockets.lose_nothing(receiver)
        sockets.lose_nothing(receiver)
        send(receiver, 50)
        assert arrived(receiver) == 50


def test_a_kept_port_is_free_for_whom_it_is_kept_and_for_nobody_else() -> None:
    with sockets.keep_port(0, "a server", "") as keeper, socket.socket() as server:
        port = keeper.getsockname()[1]
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", port))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LabError) as caught:
            sockets.keep_port(port, "server s01", "")
    assert str(caught.value) == (
        f"port {port} for server s01 cannot be used (Address already in use); choose another --port, or leave it out"
    )


def test_what_a_filter_drops_the_kernel_counts() -> None:
    with sockets.receive_socket() as receiver:
        assert sockets.drops(receiver) == 0
        sockets.lose(receiver, 100.0)
        send(receiver, 50)
        assert sockets.drops(receiver) == 50


def test_only_what_is_marked_is_dropped() -> None:
    with sockets.receive_socket() as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sockets.drop_marked(receiver)
        for number in range(10):
            sender.sendmsg([b"lost"], [(socket.IPPROTO_IP, socket.IP_TOS, sockets.MARK)], 0, receiver.getsockname())
            sender.sendto(b"%d" % number, receiver.getsockname())
        assert [receiver.recv(10) for _ in range(10)] == [b"%d" % number for number in range(10)]
        assert sockets.drops(receiver) == 10
