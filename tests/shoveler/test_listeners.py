import os
import socket

import pytest

from shoveler.intake import Intake
from shoveler.listeners import check_inherited, enlarge, fill_of, identity_of, listeners, name_of, open_listener
from shoveler.service import Address


@pytest.fixture
def listener():
    with open_listener(Address("127.0.0.1", 0)) as sock:
        yield sock


def send(target, *datagrams):
    with socket.socket(target.family, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, target.getsockname())


def test_both_families_side_by_side_on_one_port():
    with open_listener(Address("0.0.0.0", 0)) as four:
        port = four.getsockname()[1]
        with open_listener(Address("::", port)) as six:
            assert name_of(six) == f"[::]:{port}"
            send(four, b"x")
            assert four.recv(10) == b"x"


def test_one_socket_takes_both_families():
    (sock,) = listeners([Address("::", 0)])
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four:
        port = sock.getsockname()[1]
        four.sendto(b"four", ("127.0.0.1", port))
        data, address = sock.recvfrom(10)
        assert (data, Intake().remote(address)) == (b"four", f"127.0.0.1:{four.getsockname()[1]}")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
            six.sendto(b"six", ("::1", port))
            assert sock.recv(10) == b"six"


def test_what_was_kept_over_a_restart_is_used_where_it_fits():
    (first,) = listeners([Address("127.0.0.1", 0)])
    (other,) = listeners([Address("127.0.0.1", 0)])
    address = Address(*first.getsockname())
    again, both = listeners([address, Address("::", 0)], [other, first])
    assert again is first
    assert other.fileno() == -1, "nobody listens there any more: it is closed, and its port is free"
    (alone, four) = listeners([Address("::", both.getsockname()[1]), Address("0.0.0.0", both.getsockname()[1])], [both])
    assert alone is not both, "it took IPv4, which now has a socket of its own"
    for sock in (again, alone, four):
        sock.close()


def test_addresses_that_cannot_be_listened_on():
    with open_listener(Address("127.0.0.1", 0)) as first:
        address = Address(*first.getsockname())
        with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
            open_listener(address)
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:1: Cannot assign requested address; this"):
        open_listener(Address("192.0.2.1", 1))
    with pytest.raises(OSError, match=r"cannot listen on no-such-host\.invalid:1"):
        open_listener(Address("no-such-host.invalid", 1))


def test_inherited_sockets_must_be_udp(listener):
    check_inherited([listener])
    with socket.socket() as tcp, pytest.raises(OSError, match="is not a UDP socket"):
        check_inherited([listener, tcp])


def test_what_the_kernel_drops_is_known(listener):
    assert fill_of(listener).drops == 0
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send(listener, *[b"x" * 900] * 100)
    fill = fill_of(listener)
    assert 50 < fill.drops < 100
    assert fill.used > 0
    listener.setblocking(False)
    waiting = 0
    try:
        while listener.recv(1000):
            waiting += 1
    except BlockingIOError:
        pass
    assert fill.drops + waiting == 100
    assert fill_of(listener).used < fill.used


def test_a_larger_buffer(listener):
    assert enlarge(listener, 8 << 20) is None
    assert fill_of(listener).size == 16 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play systemd")
def test_the_buffer_that_systemd_gave_is_not_taken_away(listener):
    """Without privileges, asking for a buffer makes it smaller where net.core.rmem_max is less than it has."""
    try:
        listener.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    except PermissionError:
        pytest.skip("root without CAP_NET_ADMIN, as in many containers, cannot play systemd")
    os.seteuid(65534)
    try:
        assert enlarge(listener, 16 << 20) is None
        assert fill_of(listener).size == 32 << 20
        warning = enlarge(listener, 1 << 30)
        assert fill_of(listener).size >= 32 << 20
        assert warning is None or "bytes instead of 1073741824" in warning
    finally:
        os.seteuid(0)


def test_where_the_kernel_does_not_allow_it_the_operator_is_told_what_to_set(monkeypatch):
    monkeypatch.setattr("shoveler.listeners._allowed", lambda wanted: min(wanted, 212992))

    class Limited:
        """A socket of a program without privileges, where net.core.rmem_max is 212992."""

        size = 2 * 65536

        def setsockopt(self, _level, option, value):
            if option == 33:
                raise PermissionError(1, "Operation not permitted")
            self.size = min(value, 212992) * 2

        def getsockopt(self, _level, _option):
            return self.size

        def getsockname(self):
            return ("0.0.0.0", 9993)

    assert enlarge(Limited(), 100_000) is None  # type: ignore[arg-type]
    warning = enlarge(Limited(), 64 << 20)  # type: ignore[arg-type]
    assert warning.startswith("the receive buffer of 0.0.0.0:9993 is only 212992 bytes instead of 67108864")
    assert "sysctl -w net.core.rmem_max=67108864" in warning  # type: ignore[operator]


def test_a_socket_keeps_its_identity_and_has_no_others(listener):
    with listener.dup() as same, open_listener(Address("127.0.0.1", 0)) as other:
        assert identity_of(same) == identity_of(listener)
        assert identity_of(other) != identity_of(listener)
