"""Connecting, losing the connection, and the one sentence that tells about it. RabbitMQ only."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pika import exceptions as pika_errors

from agent.lab.broker import PrivateBroker
from shoveler.bus import (
    BusError,
    BusInUseError,
    BusMissingError,
    BusOptions,
    BusRefusedError,
    BusUnavailableError,
    Outgoing,
    Publisher,
    open_consumer,
    open_publisher,
    open_topology,
    parse_bus_address,
)
from shoveler.bus.amqp_link import _connect_failure, _refusal

sys.path.insert(0, str(Path(__file__).parents[1]))
from shoveler_harness import Proxy

from tests.promises import within

if TYPE_CHECKING:
    from conftest import Bus

pytestmark = pytest.mark.broker


def messages(start: int, stop: int) -> list[Outgoing]:
    return [Outgoing(b"x" * 1000, str(number)) for number in range(start, stop)]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port where somebody accepts and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def web_port() -> Iterator[int]:
    """A port where another protocol is spoken."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


# -- who is refused, and how -----------------------------------------------------------------------------------------


def refused(url: str, **options: Any) -> str:
    with pytest.raises(BusRefusedError) as caught:
        open_topology(parse_bus_address(url), BusOptions(**options))
    return str(caught.value)


def unavailable(url: str, **options: Any) -> str:
    with pytest.raises(BusUnavailableError) as caught:
        open_topology(parse_bus_address(url), BusOptions(**options))
    return str(caught.value)


def test_a_wrong_password(broker: PrivateBroker) -> None:
    said = refused(f"amqp://tally:wr0ng@127.0.0.1:{broker.port}/")
    assert said == f"127.0.0.1:{broker.port} refuses the user 'tally': wrong user, password or token"


def test_a_virtual_host_that_is_not_there(broker: PrivateBroker) -> None:
    said = refused(broker.url + "nowhere")
    assert (
        said == f"127.0.0.1:{broker.port} gives 'tally' no access to 'nowhere': NOT_ALLOWED - vhost nowhere not found"
    )


def test_a_user_without_permissions(amqp: Bus, broker: PrivateBroker) -> None:
    broker.ctl("add_user", amqp.queue, "secret")
    try:
        said = refused(f"amqp://{amqp.queue}:secret@127.0.0.1:{broker.port}/")
        assert f"gives '{amqp.queue}' no access to '/'" in said
        broker.ctl("set_permissions", amqp.queue, "^$", "^$", "^$")
        address = parse_bus_address(f"amqp://{amqp.queue}:secret@127.0.0.1:{broker.port}/")
        with pytest.raises(BusRefusedError, match=r"ACCESS_REFUSED .*; give this user the permission"):
            open_publisher(address, exchange="new" + amqp.exchange, writer="w")  # may not declare
        with pytest.raises(BusRefusedError, match=r"ACCESS_REFUSED .*; give this user the permission"):
            open_consumer(address, exchange=amqp.exchange, queue=amqp.queue, reader="r")  # may not read
        publisher = open_publisher(address, exchange=amqp.exchange, writer="w")  # may not write: told at once it does
        with (
            closing(publisher),
            pytest.raises(BusRefusedError, match=r"ACCESS_REFUSED .*; give this user the permission"),
        ):
            amqp.publish(publisher, messages(0, 1))
    finally:
        broker.ctl("delete_user", amqp.queue)


def test_nobody_listens(deaf_port: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert unavailable(f"amqp://127.0.0.1:{port}/") == f"127.0.0.1:{port} cannot be reached: Connection refused"


def test_a_name_that_is_not_known() -> None:
    assert "rabbit.invalid:5672 cannot be reached: " in unavailable("amqp://rabbit.invalid/", connect_timeout=10)


def test_somebody_who_never_answers_costs_the_connect_timeout(deaf_port: int) -> None:
    before = time.monotonic()
    said = unavailable(f"amqp://127.0.0.1:{deaf_port}/", connect_timeout=0.3)
    assert time.monotonic() - before < within(8)
    assert said == f"127.0.0.1:{deaf_port} accepted the connection but did not answer in time"


def test_another_protocol(web_port: int) -> None:
    said = unavailable(f"amqp://127.0.0.1:{web_port}/", connect_timeout=2)
    assert said.endswith("ended the connection before it was open; is this its AMQP port (amqps for TLS)?")


def test_no_error_shows_a_password(broker: PrivateBroker, deaf_port: int, web_port: int) -> None:
    for port in (broker.port, deaf_port, web_port):
        with pytest.raises((BusRefusedError, BusUnavailableError)) as caught:
            open_topology(parse_bus_address(f"amqp://tally:s3cret@127.0.0.1:{port}/v"), BusOptions(connect_timeout=0.3))
        assert "s3cret" not in f"{caught.value} {caught.value!r}"


def test_the_broker_shows_who_we_are(amqp: Bus, broker: PrivateBroker) -> None:
    amqp.publisher("SPOOL7")
    amqp.until(lambda: "SPOOL7" in broker.ctl("list_connections", "client_properties"))


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (404, "NOT_FOUND - no queue 'q' in vhost '/'", BusMissingError),
        (403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", BusInUseError),
        (403, "ACCESS_REFUSED - access to queue 'q' refused", BusRefusedError),
        (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", BusInUseError),
        (406, "PRECONDITION_FAILED - inequivalent arg 'durable'", BusRefusedError),
        (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", BusUnavailableError),
        (541, "INTERNAL_ERROR", BusUnavailableError),
    ],
)
def test_what_a_closed_channel_means(code: int, text: str, kind: type[BusError]) -> None:
    failure = _refusal(code, text, "host:5672")
    assert type(failure) is kind
    assert text in str(failure)


def test_a_closed_one_says_so(amqp: Bus) -> None:
    publisher, consumer = amqp.publisher(), amqp.consumer()
    publisher.close()
    consumer.close()
    with pytest.raises(BusUnavailableError, match="was closed"):
        publisher.send(messages(0, 1))
    with pytest.raises(BusUnavailableError, match="was closed"):
        consumer.take(1, 0.0)


# -- brokers that go away --------------------------------------------------------------------------------------------


def test_a_broker_that_stops_and_starts(amqp: Bus, broker: PrivateBroker) -> None:
    publisher, consumer, topology = amqp.publisher(), amqp.consumer(prefetch=10), amqp.topology()
    assert amqp.publish(publisher, messages(0, 100)) == ["confirmed"] * 100
    taken = amqp.take_all(consumer, 10)
    consumer.acknowledge(taken[4].delivery)
    consumer.keep_alive()
    broker.stop_app()
    with pytest.raises(BusUnavailableError, match=r"closed the connection: 320 CONNECTION_FORCED|broke"):
        amqp.publish(publisher, messages(100, 101))
    with pytest.raises(BusUnavailableError):
        publisher.send(messages(100, 101))
    with pytest.raises(BusUnavailableError):
        amqp.take_all(consumer, 11)
    with pytest.raises(BusUnavailableError):
        consumer.acknowledge(taken[9].delivery)
    with pytest.raises(BusUnavailableError):
        topology.depth(amqp.queue, exchange=amqp.exchange)
    with pytest.raises(BusUnavailableError):
        amqp.publisher()
    broker.start_app()
    again = [int(m.id) for m in amqp.take_all(amqp.consumer(), 95)]
    assert again == list(range(5, 100))
    assert amqp.publish(amqp.publisher(), messages(100, 110)) == ["confirmed"] * 10


def outcomes_or_none(publisher: Publisher) -> list[int] | None:
    try:
        return [int(outcome.id) for outcome in publisher.outcomes(5.0)]
    except BusUnavailableError:
        return None


def test_what_was_confirmed_survives_kill_9_of_the_broker(amqp: Bus, broker: PrivateBroker) -> None:
    publisher = amqp.publisher()
    publisher.send(messages(0, 4000))
    confirmed = [int(outcome.id) for outcome in publisher.outcomes(5.0)]
    broker.kill()
    while (late := outcomes_or_none(publisher)) is not None:  # what had arrived before is told before the failure
        confirmed += late
    assert confirmed
    broker.start()
    depth = amqp.topology().depth(amqp.queue, exchange=amqp.exchange)
    kept = {int(m.id) for m in amqp.take_all(amqp.consumer(), depth)}
    assert set(confirmed) <= kept


# -- a broker that takes no messages for a while ---------------------------------------------------------------------


def test_a_memory_alarm_shows_and_passes(amqp: Bus, broker: PrivateBroker) -> None:
    publisher = amqp.publisher(window=100)
    assert amqp.publish(publisher, messages(0, 10)) == ["confirmed"] * 10
    assert publisher.blocked is None
    broker.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        publisher.send(messages(10, 20))  # the broker says so to whoever publishes
        amqp.until(lambda: not publisher.outcomes(0.05) and publisher.blocked is not None)
        assert "memory" in str(publisher.blocked)
        assert publisher.pending == 10
        assert amqp.topology().depth(amqp.queue, exchange=amqp.exchange) == 10  # others are not concerned
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")
    assert [outcome.status for outcome in amqp.settle(publisher)] == ["confirmed"] * 10
    amqp.until(lambda: not publisher.outcomes(0.05) and publisher.blocked is None)


def test_a_blocked_broker_bounds_what_we_hold_in_memory(amqp: Bus, broker: PrivateBroker) -> None:
    publisher = amqp.publisher(window=10_000)
    broker.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        sent = 0
        big = [Outgoing(bytes(500_000), "big")]
        amqp.until(lambda: not publisher.outcomes(0.01) and (publisher.send(big), publisher.blocked)[1] is not None)
        while publisher.room:
            publisher.send(big)
            publisher.outcomes(0.0)
            sent += 1
        assert sent < 30  # 4 MB of ours and some of the kernel's, not 5 GB
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")
    assert {outcome.status for outcome in amqp.settle(publisher)} == {"confirmed"}


def test_a_broker_that_goes_silent_makes_nobody_wait_who_sends_what_there_is_room_for(amqp: Bus) -> None:
    proxy = Proxy(amqp.url)
    options = BusOptions(heartbeat=5)
    publisher = open_publisher(parse_bus_address(proxy.url), exchange=amqp.exchange, writer="writer", options=options)
    try:
        proxy.freeze()
        big = [Outgoing(bytes(1_000_000), str(number)) for number in range(40)]
        assert publisher.room >= 40
        publisher.send(big)  # waiting would end with the heartbeat, as BusUnavailableError
        assert publisher.room == 0
        assert publisher.pending == 40
    finally:
        proxy.close()
        publisher.close()


# -- heartbeats ------------------------------------------------------------------------------------------------------


def test_heartbeats_go_out_while_nothing_happens(amqp: Bus) -> None:
    publisher, consumer = amqp.publisher(heartbeat=2), amqp.consumer(heartbeat=2)
    connections = [publisher._link._connection, consumer._link._connection]
    sent = [connection.frames_sent for connection in connections]

    def beaten() -> bool:
        publisher.outcomes(0.05)
        consumer.take(1, 0.0)
        consumer.keep_alive()
        return all(connection.frames_sent > before + 1 for connection, before in zip(connections, sent, strict=True))

    amqp.until(beaten)
    assert amqp.publish(publisher, messages(0, 1)) == ["confirmed"]
    assert len(amqp.take_all(consumer, 1)) == 1


def test_what_arrives_is_a_sign_of_life(amqp: Bus) -> None:
    """pika gives a connection up when no byte was counted between two looks, which are heartbeat + 5 s apart."""
    publisher, consumer = amqp.publisher(), amqp.consumer()
    for number in range(3):
        assert amqp.publish(publisher, messages(number, number + 1)) == ["confirmed"]
        assert len(amqp.take_all(consumer, 1)) == 1
        for end in (publisher, consumer):
            end._link._connection._heartbeat_checker._check_heartbeat()
    assert amqp.publish(publisher, messages(3, 4)) == ["confirmed"]
    assert len(amqp.take_all(consumer, 1)) == 1


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_file_is_the_password_and_is_renewed_without_losing_a_message(
    amqp: Bus, broker: PrivateBroker, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    broker.ctl("add_user", amqp.queue, "t0ken-one")
    broker.ctl("set_permissions", amqp.queue, ".*", ".*", ".*")
    try:
        token.write_text("  t0ken-one\n\n")
        amqp.url = f"amqp://{amqp.queue}@127.0.0.1:{broker.port}/"
        publisher, consumer = amqp.publisher(token_file=token), amqp.consumer(token_file=token)
        publisher.send(messages(0, 500))
        assert not publisher.token_changed()

        broker.ctl("change_password", amqp.queue, "t0ken-two")
        token.write_text("t0ken-two\n")
        assert publisher.token_changed()
        assert consumer.token_changed()
        outcomes = amqp.settle(publisher)
        publisher.close()
        taken = amqp.take_all(consumer, 500)
        consumer.acknowledge(taken[-1].delivery)
        consumer.close()

        publisher, consumer = amqp.publisher(token_file=token), amqp.consumer(token_file=token)
        assert not publisher.token_changed()
        publisher.send(messages(500, 1000))
        outcomes += amqp.settle(publisher)
        assert [o.status for o in outcomes] == ["confirmed"] * 1000
        assert [int(m.id) for m in amqp.take_all(consumer, 500)] == list(range(500, 1000))
    finally:
        broker.ctl("delete_user", amqp.queue)


def test_a_token_file_that_is_no_use_is_one_sentence(broker: PrivateBroker, tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert refused(broker.url, token_file=token) == f"the token file {token} cannot be read: No such file or directory"
    token.write_text(" \n")
    assert refused(broker.url, token_file=token) == f"the token file {token} is empty"
    token.write_bytes(b"\xff\xfe")
    assert refused(broker.url, token_file=token) == f"the token file {token} is not text"
    token.write_text("wr0ng")
    assert "wrong user, password or token" in refused(broker.url, token_file=token)


# -- TLS -------------------------------------------------------------------------------------------------------------


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate of a server on 127.0.0.1, one of a client, and an authority that nobody asked for."""
    at = tmp_path_factory.mktemp("certificates")
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]  # without it, Python 3.13 trusts no authority
    for ca in ("ca", "other"):
        openssl(at, "req", "-x509", *ec, *usage, "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    for name, extra in (("server", ["-addext", "subjectAltName=IP:127.0.0.1"]), ("client", [])):
        signer = ["-CA", "ca.pem", "-CAkey", "ca.key"]
        openssl(
            at, "req", "-x509", *ec, *signer, "-subj", f"/CN={name}", *extra,
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    return at


@pytest.fixture(scope="module")
def tls_port(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A broker that speaks TLS and wants a client certificate of the authority."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    config = f"""
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {certificates}/ca.pem
ssl_options.certfile = {certificates}/server.pem
ssl_options.keyfile = {certificates}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""
    directory = tmp_path_factory.mktemp("tls") / "node"
    broker = PrivateBroker(directory, die_with_parent=True, extra_config=config)
    try:
        broker.start()
        broker.ctl("change_password", "tally", "pw")
        yield port
    finally:
        broker.kill()


def test_amqps_with_authority_and_client_certificate(tls_port: int, certificates: Path) -> None:
    address = parse_bus_address(f"amqps://tally:pw@127.0.0.1:{tls_port}/")
    options = BusOptions(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / "client.pem",
        key_file=certificates / "client.key",
    )
    with closing(open_topology(address, options)) as topology:
        topology.declare_exchange("e")
        topology.declare_queue("q", exchange="e")
    with (
        closing(open_publisher(address, exchange="e", writer="w", options=options)) as publisher,
        closing(open_consumer(address, exchange="e", queue="q", reader="r", options=options)) as consumer,
    ):
        publisher.send([Outgoing(bytes(100_000), str(number)) for number in range(100)])
        taken = []
        while len(taken) < 100:
            publisher.outcomes(0.0)
            taken += consumer.take(100, 5.0)
        assert [m.id for m in taken] == [str(number) for number in range(100)]
        assert {len(m.body) for m in taken} == {100_000}
        while publisher.pending:
            assert {outcome.status for outcome in publisher.outcomes(5.0)} == {"confirmed"}


def test_amqps_that_cannot_be_trusted(tls_port: int, certificates: Path, broker: PrivateBroker, tmp_path: Path) -> None:
    url = f"amqps://tally:pw@127.0.0.1:{tls_port}/"
    mine = {"cert_file": certificates / "client.pem", "key_file": certificates / "client.key"}
    assert f"the certificate of 127.0.0.1:{tls_port} is not trusted" in refused(url, **mine)
    assert "is not trusted" in refused(url, ca_file=certificates / "other.pem", **mine)
    said = refused(url.replace("127.0.0.1", "localhost"), ca_file=certificates / "ca.pem", **mine)
    assert "is for another host" in said
    assert "is this the amqps port?" in refused(f"amqps://127.0.0.1:{broker.port}/", ca_file=certificates / "ca.pem")
    assert "ended the connection before it was open" in unavailable(f"amqp://tally:pw@127.0.0.1:{tls_port}/")
    missing = tmp_path / "missing.pem"
    assert refused(url, ca_file=missing) == f"the CA file {missing} cannot be used: No such file or directory"
    said = refused(url, ca_file=certificates / "ca.pem", cert_file=missing)
    assert said == f"the client certificate {missing} cannot be used: No such file or directory"
    said = refused(
        url, ca_file=certificates / "ca.pem", cert_file=certificates / "client.pem", key_file=certificates / "ca.key"
    )
    assert "cannot be used" in said


def test_a_certificate_that_only_newer_pythons_refuse_is_said_what_to_do_about() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 92, "CA cert does not include key usage extension"
    assert str(_connect_failure(error, parse_bus_address("amqps://broker.example.org/"))) == (
        "the certificate of broker.example.org:5671 is not trusted: CA cert does not include key usage extension; "
        "Python 3.13 and newer accept only certificates that follow RFC 5280: have the CA certificate reissued with "
        "basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign"
    )


def test_a_broker_that_wants_a_client_certificate(tls_port: int, certificates: Path) -> None:
    url = f"amqps://tally:pw@127.0.0.1:{tls_port}/"
    with pytest.raises(
        (BusRefusedError, BusUnavailableError)
    ) as caught:  # refused when its alert was read before the cut
        open_topology(parse_bus_address(url), BusOptions(ca_file=certificates / "ca.pem"))
    assert "it may require a client certificate" in str(caught.value)


def test_a_connection_that_ends_in_the_tls_handshake_names_the_certificate(tls_port: int) -> None:
    address = parse_bus_address(f"amqps://tally:pw@127.0.0.1:{tls_port}/")
    lost = pika_errors.IncompatibleProtocolError('StreamLostError: ("Transport indicated EOF",)')
    assert "it may require a client certificate" in str(_connect_failure(lost, address))
