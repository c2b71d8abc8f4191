"""Bus addresses: every part percent-decoded, passwords never shown, one sentence for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoveler.bus import BusRefusedError, parse_bus_address
from shoveler.bus.address import AddressError


def test_every_part_of_an_amqp_address() -> None:
    address = parse_bus_address(
        "amqps://us%40er:p%2Fw%3A@rabbit.example:5999/my%2Fvhost?exchange=E%26x&queue=xrd.shard.0"
    )
    assert (address.kind, address.tls, address.host, address.port) == ("amqp", True, "rabbit.example", 5999)
    assert (address.user, address.password, address.vhost) == ("us@er", "p/w:", "my/vhost")
    assert (address.exchange, address.queue, address.directory) == ("E&x", "xrd.shard.0", None)
    assert address.redacted == "amqps://us%40er:***@rabbit.example:5999/my%2Fvhost?exchange=E%26x&queue=xrd.shard.0"


@pytest.mark.parametrize("text", ["amqp://h", "amqp://h/", "amqp://h//", "amqp://h/%2F", "AMQP://h:5672", " amqp://h "])
def test_defaults(text: str) -> None:
    address = parse_bus_address(text)
    assert (address.host, address.port, address.vhost) == ("h", 5672, "/")
    assert (address.user, address.password) == ("guest", "guest")
    assert address.exchange is None
    assert address.queue is None
    assert str(address) == "amqp://guest:***@h:5672/"


def test_amqps_has_its_own_port() -> None:
    assert parse_bus_address("amqps://h").port == 5671


def test_ipv6() -> None:
    address = parse_bus_address("amqp://u:p@[2001:db8::1]:1234/")
    assert address.host == "2001:db8::1"
    assert address.redacted == "amqp://u:***@[2001:db8::1]:1234/"


def test_a_user_without_a_password_has_none() -> None:
    assert parse_bus_address("amqp://u@h").password == ""


def test_no_form_of_an_address_shows_its_password() -> None:
    address = parse_bus_address("amqp://u:s3cret@h/v")
    assert "s3cret" not in f"{address} {address!r} {address.redacted}"


def test_a_directory_is_the_local_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_bus_address(str(tmp_path)).directory == tmp_path
    assert parse_bus_address("bus").directory == tmp_path / "bus"
    assert parse_bus_address("~/bus").directory == Path("/home/someone/bus")
    assert parse_bus_address("bus").kind == "local"
    assert parse_bus_address("bus").redacted == str(tmp_path / "bus")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the bus address is empty"),
        ("amqq://h", "did you mean amqp://?"),
        ("http://h", "use amqp://, amqps:// or a directory"),
        ("amqp:h", "neither amqp(s)://… nor a directory"),
        ("amqp://", "names no host"),
        ("amqp://u:s3cret@/v", "names no host"),
        ("amqp://u:s3cret@h:port/v", "the host or port in 'amqp://***@h:port/v' cannot be read"),
        ("amqp://u:s3cret@h:99999/", "the host or port"),
        ("amqp://u:s3c#ret@h/", "write %23"),
        ("amqp://u:s3cret@h/a/b", "write %2F"),
        ("amqp://u:s3cret@h/?q=x", "the parameter 'q' in 'amqp://***@h/?q=x' is not known here"),
        ("amqp://h/?queue=", "must be given once, with a value"),
        ("amqp://h/?queue=a&queue=b", "must be given once, with a value"),
        ("amqp://h/?queue=" + "q" * 256, "longer than the 255 bytes"),
        ("dir?queue=x", "a plain directory without parameters"),
        (__file__, "is a file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_without_the_password(text: str, sentence: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_bus_address(text)
    assert sentence in str(caught.value)
    assert "s3c" not in str(caught.value)
    assert isinstance(caught.value, BusRefusedError)  # so that callers need one except
    assert isinstance(caught.value, ValueError)


def test_a_sink_has_no_queue() -> None:
    assert parse_bus_address("amqp://h/?exchange=e", role="sink").exchange == "e"
    assert parse_bus_address("amqp://h/?queue=q", role="source").queue == "q"
    with pytest.raises(AddressError, match=r"the parameter 'queue' .* is not known here; possible: exchange"):
        parse_bus_address("amqp://h/?queue=q", role="sink")
