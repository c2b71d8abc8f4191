"""[Test] of the bus against a real RabbitMQ with its management, and against a folder: what it says, and that it never
calls good what it did not see."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent.lab.broker import PrivateBroker
from gui.hub.certificate import own_identity
from gui.runner.buscheck import TITLES, Places, check_bus, limits, outcome, without_own_limits
from gui.runner.checklist import Check, State
from gui.runner.management import Management, ManagementError, Policy, in_force
from shoveler.bus import BusOptions, open_topology, parse_bus_address
from tests.ports import free_port

OPTIONS = BusOptions(connect_timeout=10)
Look = Callable[..., dict[str, Check]]


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrivateBroker, str]]:
    """A RabbitMQ with its management, and the address of that."""
    port = free_port()
    broker = PrivateBroker(
        tmp_path_factory.mktemp("managed") / "node",
        die_with_parent=True,
        plugins=("rabbitmq_management",),
        extra_config=f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}",
    )
    broker.start()
    broker.ctl("add_user", "bob", "bobs")
    yield broker, f"http://127.0.0.1:{port}"
    broker.kill()


@pytest.fixture
def vhost(managed: tuple[PrivateBroker, str], request: pytest.FixtureRequest) -> str:
    """A virtual host of this test's own."""
    name = request.node.name
    broker, _ = managed
    broker.ctl("add_vhost", name)
    broker.ctl("set_permissions", "-p", name, broker.user, ".*", ".*", ".*")
    return str(name)


@pytest.fixture
def look(managed: tuple[PrivateBroker, str]) -> Look:
    """Test the bus of the managed broker, as another user or with other places."""
    broker, management = managed

    def test(vhost: str, user: str = "", queue: str = "tally.w-1", **changes: str) -> dict[str, Check]:
        login = user or f"{broker.user}:{broker.password}"
        address = parse_bus_address(f"amqp://{login}@127.0.0.1:{broker.port}/{vhost}")
        names = {"records": "xrd-records", "status": "tally-status", "packets": "shoveled-xrd"}
        places = Places(**(names | {"queue": queue, "management": management} | changes))
        return {check.name: check for check in check_bus(address, OPTIONS, places)}

    return test


def declare(broker: PrivateBroker, vhost: str) -> None:
    """What a running monitoring has on its broker."""
    with closing(open_topology(parse_bus_address(f"{broker.url}{vhost}"), OPTIONS)) as topology:
        for exchange in ("xrd-records", "tally-status", "shoveled-xrd"):
            topology.declare_exchange(exchange)
        topology.declare_queue("collector", exchange="shoveled-xrd")
        topology.declare_queue("tally.w-1", exchange="xrd-records")


@pytest.mark.broker
def test_a_broker_that_is_ready_is_ok_in_every_line(managed, vhost: str, look: Look) -> None:
    declare(managed[0], vhost)
    found = look(vhost)
    assert list(found) == list(TITLES)
    assert {check.state for check in found.values()} == {"ok"}
    assert found["exchanges"].details[2] == "shoveled-xrd (datagrams): there"
    assert "may bind it to xrd-records" in found["rights"].details
    assert found["bound"].details == ("xrd-records: tally.w-1", "shoveled-xrd: collector")
    assert found["queue"].text == "tally.w-1 is there; 0 messages waiting."
    queues = managed[0].ctl("list_queues", "-p", vhost, "name").split()
    assert sorted(queues) == ["collector", "name", "tally.w-1"], "nothing of the test stays behind"


@pytest.mark.broker
def test_an_empty_broker_says_what_is_not_there_yet_and_makes_nothing(managed, vhost: str, look: Look) -> None:
    found = look(vhost, queue="tally.")
    assert found["exchanges"].state == "warning"
    assert found["rights"].state == "ok"
    assert "binding was not tried" in found["rights"].text
    assert found["queue"].state == "skipped"
    assert "datagrams have nowhere to go" in found["bound"].text
    assert "shoveled-xrd" not in managed[0].ctl("list_exchanges", "-p", vhost, "name")


@pytest.mark.broker
def test_policies_that_discard_are_found_with_what_they_do(managed, vhost: str, look: Look) -> None:
    broker, _ = managed
    declare(broker, vhost)
    broker.ctl("set_policy", "-p", vhost, "short", "^tally", '{"max-length":3}', "--apply-to", "queues")
    found = look(vhost)["policies"]
    assert found.state == "warning", "our queue refuses rather than drops"
    assert found.details == ("tally.w-1: max-length 3, overflow reject-publish (policy short)",)
    broker.ctl("set_policy", "-p", vhost, "ttl", "^coll", '{"message-ttl":60000}', "--apply-to", "queues")
    found = look(vhost)["policies"]
    assert found.state == "failed"
    assert "collector: message-ttl 60000 ms (policy ttl)" in found.text
    broker.ctl("set_policy", "-p", vhost, "short", "^tally", '{"message-ttl":0}', "--apply-to", "queues")
    seen = look(vhost)
    assert seen["rights"].text == "A confirmed message was thrown away before it was read."


@pytest.mark.broker
def test_a_user_without_rights_sees_which_one_is_missing(managed, vhost: str, look: Look) -> None:
    broker, _ = managed
    declare(broker, vhost)
    found = look(vhost, "bob:bobs")
    assert (found["user"].state, found["vhost"].state, found["exchanges"].state) == ("ok", "failed", "skipped")
    assert f"add_vhost {vhost}" in found["vhost"].remedy
    for rights, says in (
        (("^$", "^tally", ".*"), "may not declare a queue"),
        (("^tally", "^$", ".*"), "may not bind a queue to xrd-records"),
        (("^tally", "^tally", ".*"), "may not publish to its queue"),
        (("^tally", "^tally|^amq.default$", "^xrd|^tally-s|^shov"), "may not read from its queue"),
    ):
        broker.ctl("set_permissions", "-p", vhost, "bob", *rights)
        found = look(vhost, "bob:bobs")
        assert found["rights"].state == "failed"
        assert says in found["rights"].text
    assert found["policies"].state == "skipped", "not seen is not good"
    assert found["bound"].remedy == "rabbitmqctl set_user_tags bob monitoring"


@pytest.mark.broker
def test_the_step_that_fails_is_named_and_the_rest_is_skipped(managed, look: Look) -> None:
    def states(found: dict[str, Check]) -> dict[str, str]:
        return {name: check.state for name, check in found.items() if check.state != "ok"}

    after_user = dict.fromkeys(list(TITLES)[3:], "skipped")
    wrong = look("", "bob:wrong")
    assert states(wrong) == {"user": "failed"} | after_user
    assert "wrong" not in " ".join(check.text for check in wrong.values())
    assert states(look("nowhere")) == {"vhost": "failed"} | dict.fromkeys(list(TITLES)[4:], "skipped")
    address = parse_bus_address(f"amqps://bob:bobs@127.0.0.1:{managed[0].port}/")
    no_tls = {check.name: check for check in check_bus(address, OPTIONS, Places("r", "s", "p"))}
    assert states(no_tls) == {"tls": "failed"} | dict.fromkeys(list(TITLES)[2:], "skipped")
    assert "is this its amqps port?" in no_tls["tls"].text


@pytest.mark.broker
def test_without_the_management_policies_are_not_known_and_not_ok(broker: PrivateBroker) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    checks = list(check_bus(parse_bus_address(broker.url), OPTIONS, Places("r", "s", "p", management=nobody)))
    found = {check.name: check for check in checks}
    assert (found["policies"].state, found["bound"].state) == ("skipped", "skipped")
    assert outcome([check for check in checks if check.state != "warning"]) == ("skipped", "works; 3 not checked")
    assert "AMQP does not show policies" in found["policies"].text
    assert "list_queues -p / name policy" in found["policies"].remedy


def test_nobody_at_the_port_is_said_with_what_to_check() -> None:
    for url, says in (
        (f"amqp://127.0.0.1:{free_port()}", "Connection refused"),
        ("amqp://no-such-host.invalid", "The host no-such-host.invalid is not known"),
    ):
        first, *rest = check_bus(parse_bus_address(url), OPTIONS, Places("r", "s", "p"))
        assert first.state == "failed"
        assert says in first.text
        assert {check.state for check in rest} == {"skipped"}


def test_a_password_for_tls_is_never_sent_without() -> None:
    address = parse_bus_address("amqps://ada:secret@mq.example.org/")
    with pytest.raises(ManagementError, match="is not sent there"):
        Management(address, OPTIONS, "http://mq.example.org:15672").policies()
    assert urlsplit(Management(address, OPTIONS).url).scheme == "https"


def test_which_policy_is_in_force_and_what_it_does() -> None:
    low = Policy("low", "^t", "all", 0, {"max-length": 5})
    high = Policy("high", "^tally", "queues", 7, {"overflow": "reject-publish", "max-length-bytes": 10})
    other = Policy("x", "^tally", "exchanges", 9, {})
    strange = Policy("y", "(", "all", 9, {"max-length": 1})
    operator = Policy("op", ".*", "all", 0, {"message-ttl": 1}, operator=True)
    both = in_force([low, high, other, strange, operator], "tally.w")
    assert [policy.name for policy in both] == ["high", "op"]
    assert limits("q", both, {}) == (
        ["q: message-ttl 1 ms (policy op)"],
        ["q: max-length-bytes 10, overflow reject-publish (policy high)"],
    )
    assert limits("q", [low], {}) == (["q: max-length 5, overflow drop-head (policy low)"], [])
    assert limits("q", [], without_own_limits({"x-overflow": "drop-head", "x-max-length-bytes": 4})) == ([], [])
    assert limits("q", [], {"x-max-length": 4}) == (["q: max-length 4, overflow drop-head (its own)"], [])


def test_the_outcome_counts_what_was_not_checked_apart_from_what_is_well() -> None:
    def of(*states: State) -> tuple[str, str]:
        return outcome([Check(state, state, state, "") for state in states])

    assert of("ok", "ok") == ("ok", "all is well")
    assert of("ok", "skipped", "skipped") == ("skipped", "works; 2 not checked")
    assert of("ok", "warning", "skipped") == ("warning", "works; 1 thing to look at, 1 not checked")
    assert of("ok", "failed", "skipped") == ("failed", "this bus cannot be used yet")
    assert of("failed") == ("failed", "failed")


def test_a_folder_is_looked_at_without_making_it(tmp_path: Path) -> None:
    places = Places("xrd-records", "tally-status", "shoveled-xrd")

    def look(folder: Path) -> dict[str, Check]:
        return {c.name: c for c in check_bus(parse_bus_address(str(folder)), OPTIONS, places)}

    bus = tmp_path / "bus"
    found = look(bus)
    assert found["folder"].state == "warning"
    assert not bus.exists()
    with closing(open_topology(parse_bus_address(str(bus)))) as topology:
        topology.declare_exchange("xrd-records")
    found = look(bus)
    assert found["folder"].state == "ok"
    assert found["exchanges"].details[0] == "xrd-records (records): there"
    assert found["exchanges"].state == "warning"
    assert "free" in found["room"].text


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS, with a certificate of its own, and that certificate."""
    identity = own_identity(tmp_path / "tls")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = server.accept()
                    with contextlib.suppress(OSError), identity.context().wrap_socket(plain, server_side=True):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], identity.certificate
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_the_certificate_of_the_broker_is_named_and_an_unknown_one_is_refused(tls_port: tuple[int, Path]) -> None:
    port, certificate = tls_port
    address = parse_bus_address(f"amqps://127.0.0.1:{port}/")
    places = Places("r", "s", "p")
    found = {check.name: check for check in check_bus(address, BusOptions(ca_file=certificate), places)}
    assert found["tls"].state == "ok"
    assert re.search(r"TLSv1\.\d; certificate of Tally hub on .*, until 20\d\d-", found["tls"].text)
    unknown = {check.name: check for check in check_bus(address, OPTIONS, places)}
    assert (unknown["reached"].state, unknown["tls"].state) == ("ok", "failed")
    assert "is not trusted" in unknown["tls"].text
    assert unknown["tls"].remedy.startswith("Choose the CA")
