"""One way to write hosts and ports."""

import pytest

from shoveler.values.addresses import host_port, is_loopback, plain_ip, without_secret


@pytest.mark.parametrize(
    ("host", "shown"), [("h.example", "h.example:1"), ("10.0.0.1", "10.0.0.1:1"), ("::1", "[::1]:1")]
)
def test_ipv6_stands_in_brackets(host: str, shown: str) -> None:
    assert (host_port(host, 1), host_port(host, "1")) == (shown, shown)


@pytest.mark.parametrize(
    ("seen", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:0:1", "::ffff:0:1"),
    ],
)
def test_a_sockets_address_without_zone_and_mapping(seen: str, plain: str) -> None:
    assert plain_ip(seen) == plain


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("localhost", True), ("127.3.0.1", True), ("::1", True), ("10.0.0.1", False), ("h.example", False), ("", False)],
)
def test_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://ada:secret@h:5672/v", "amqp://***@h:5672/v"),
        ("amqp://ada:p@ss/word@h/v", "amqp://***@h/v"),
        ("amqp:ada:secret@h", "amqp://***@h"),
        ("root://h:1094", "root://h:1094"),
        ("/srv/bus", "/srv/bus"),
    ],
)
def test_what_may_be_a_password_is_hidden(url: str, shown: str) -> None:
    assert without_secret(url) == shown
