import json
import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from shoveler.service import (
    Address,
    Capped,
    Counts,
    Gauges,
    Health,
    MonitorServer,
    exposition,
    new_registry,
    show_build,
)


def get(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_names_are_exactly_those_given_with_or_without_total():
    registry = CollectorRegistry()
    Counts(registry, "shoveler_packets_received", "Datagrams.").add(3)
    rejected = Counts(registry, "shoveler_packets_rejected_total", "Not taken.", ["reason"])
    rejected.add(2, "short")
    rejected.add(1, 'odd"one')
    Gauges(registry, "shoveler_queue_size", "In the spool.").set(7)
    Counts(registry, "shoveler_oversize_total", "Large.", ["sender"])
    assert exposition(registry).decode() == (
        "# HELP shoveler_packets_received Datagrams.\n"
        "# TYPE shoveler_packets_received counter\n"
        "shoveler_packets_received 3.0\n"
        "# HELP shoveler_packets_rejected_total Not taken.\n"
        "# TYPE shoveler_packets_rejected_total counter\n"
        'shoveler_packets_rejected_total{reason="odd\\"one"} 1.0\n'
        'shoveler_packets_rejected_total{reason="short"} 2.0\n'
        "# HELP shoveler_queue_size In the spool.\n"
        "# TYPE shoveler_queue_size gauge\n"
        "shoveler_queue_size 7.0\n"
        "# HELP shoveler_oversize_total Large.\n"
        "# TYPE shoveler_oversize_total counter\n"
    )


def test_series_can_be_set_replaced_and_read():
    registry = CollectorRegistry()
    series = Counts(registry, "x_total", ".", ["a", "b"])
    series.add(1, "1", "2")
    series.set(5, "1", "2")
    assert series.get("1", "2") == 5
    assert series.get("no", "no") == 0
    series.replace({("3", "4"): 9.0})
    assert (series.get("1", "2"), series.get("3", "4")) == (0, 9)
    with pytest.raises(ValueError, match="has the labels"):
        series.add(1, "only one")


def test_one_name_is_registered_once():
    registry = CollectorRegistry()
    Counts(registry, "x_total", ".")
    with pytest.raises(ValueError, match="Duplicated"):
        Gauges(registry, "x_total", ".")


def test_the_process_itself_is_in_a_new_registry():
    assert b"process_resident_memory_bytes" in exposition(new_registry())


def test_health_is_a_table_of_parts():
    health = Health()
    health.detail("version", "1")
    assert health.report() == {"ok": True, "problems": {}, "version": "1"}
    health.problem("bus", "cannot be reached")
    health.problem("spool", "is full")
    health.problem("bus", "refuses us")
    assert health.problems() == {"bus": "refuses us", "spool": "is full"}
    assert health.report()["ok"] is False
    health.fine("bus")
    health.fine("bus")
    health.fine("spool")
    assert health.report()["ok"] is True


def test_the_server_shows_metrics_and_health_and_nothing_else():
    """Peer weakness G11: profiling pages on the metrics port."""
    registry, health = CollectorRegistry(), Health()
    scraped = []
    series = Gauges(registry, "x", ".")
    with MonitorServer(
        Address("127.0.0.1", 0),
        registry,
        health,
        before_scrape=lambda: (scraped.append(1), series.set(len(scraped))),  # type: ignore[arg-type]
    ) as server:
        base = f"http://{server.address}"
        assert get(base + "/metrics") == (200, "# HELP x .\n# TYPE x gauge\nx 1.0\n")
        assert get(base + "/metrics?a=b")[1].endswith("x 2.0\n")
        status, body = get(base + "/healthz")
        assert (status, json.loads(body)) == (200, {"ok": True, "problems": {}})
        health.problem("bus", "away")
        status, body = get(base + "/healthz")
        assert (status, json.loads(body)) == (503, {"ok": False, "problems": {"bus": "away"}})
        assert get(base + "/healthz", "HEAD") == (503, "")
        for path in ("/", "/debug/pprof/cmdline", "/metrics/", "/../etc/passwd", "/debug/vars"):
            assert get(base + path)[0] == 404
        assert get(base + "/metrics", "POST")[0] == 501


def test_a_silent_or_broken_visitor_does_not_keep_others_out():
    with (
        MonitorServer(Address("127.0.0.1", 0), CollectorRegistry(), Health()) as server,
        socket.create_connection(server.address),  # type: ignore[arg-type]
        socket.create_connection(server.address) as rude,  # type: ignore[arg-type]
    ):
        rude.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert get(f"http://{server.address}/healthz")[0] == 200


def test_ipv6():
    with MonitorServer(Address("::1", 0), CollectorRegistry(), Health()) as server:
        assert server.address.host == "::1"
        assert get(f"http://{server.address}/healthz")[0] == 200


def test_no_address_no_server():
    with MonitorServer(None, CollectorRegistry(), Health()) as server:
        assert server.address is None


def test_an_address_in_use_is_named():
    with MonitorServer(Address("127.0.0.1", 0), CollectorRegistry(), Health()) as server:
        with pytest.raises(OSError, match=f"cannot serve metrics on {server.address}: Address already in use"):
            MonitorServer(server.address, CollectorRegistry(), Health())
        server.close()
        server.close()


def test_a_broker_that_is_away_makes_nothing_unready_and_a_full_disk_does():
    health = Health()
    with MonitorServer(Address("127.0.0.1", 0), CollectorRegistry(), health) as server:
        base = f"http://{server.address}"
        for part in ("bus", "hub", "shard-3 input", "output"):
            health.problem(part, "is away")
        assert get(base + "/livez") == (200, "ok\n")
        assert get(base + "/readyz") == (200, "ok\n")
        assert get(base + "/healthz")[0] == 503
        health.problem("spool", "the disk is full")
        health.problem("shard-3 state", "cannot be written")
        assert get(base + "/readyz") == (503, "shard-3 state: cannot be written\nspool: the disk is full\n")
        assert get(base + "/livez") == (200, "ok\n")


def test_labels_that_anybody_can_make_up_are_capped_and_no_series_goes_back():
    capped = Capped(2)
    assert capped.of({"a": 1, "b": 5, "c": 3}) == {("b",): 5, ("c",): 3, ("other",): 1}
    assert capped.of({"a": 100, "b": 5, "c": 3, "d": 1}) == {("b",): 5, ("c",): 3, ("other",): 101}
    assert len(Capped(100).of({f"192.0.2.1:{port}": 1.0 for port in range(3000)})) == 101


def test_the_build_is_a_metric():
    registry = new_registry()
    show_build(registry, "shoveler", "1.2.3")
    (line,) = [each for each in exposition(registry).decode().splitlines() if each.startswith("shoveler_build_info{")]
    assert 'version="1.2.3"' in line
    assert 'python="3.' in line
    assert line.endswith(" 1.0")
