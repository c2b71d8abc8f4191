"""A collector process that is killed, stopped, starved: no record is missing, none is double."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.promises import within

BUSES = ["local", pytest.param("amqp", marks=pytest.mark.broker)]
PERFECT = {"missing": 0, "double": 0, "wrong": 0, "incomplete": 0, "differing": 0}


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "bus") if request.param == "local" else request.getfixturevalue("broker").url


def perfect(found: dict[str, int]) -> bool:
    return {name: found[name] for name in PERFECT} == PERFECT


@pytest.mark.parametrize("url", BUSES, indirect=True)
@pytest.mark.parametrize("framing", ["single", "batch"])
def test_killed_again_and_again(
    url: str, framing: str, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    """G19, P16, P19: what was taken but not published when the process dies is lost there."""
    random.seed(7)
    rig = make_collector_rig(url, framing=framing)
    servers, sent = collector_rig.traffic.day(8, 600)
    slices = [sent[len(sent) * part // 4 : len(sent) * (part + 1) // 4] for part in range(4)]
    for part in slices[:-1]:
        rig.give(part, batch=framing == "batch", repeat=0.1)
        rig.start()
        time.sleep(0.4 + random.random() * 0.5)  # anywhere between importing and publishing
        rig.kill()
    rig.start()
    rig.give(slices[-1], batch=framing == "batch", repeat=0.1)
    wanted = sum(len(server.accesses) for server in servers)
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 100)
    assert rig.stop() == 0
    records += rig.harvest(lambda _: False, 0.6)
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])
    assert rig.depth() == 0


@pytest.mark.parametrize("url", BUSES, indirect=True)
def test_files_that_are_open_survive_kill_and_stop(
    url: str, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    rig = make_collector_rig(url)
    server = collector_rig.traffic.Server(1)
    hello = server.hello()
    user, login = server.login("alice")
    begun, opens = server.opens(user, 10)
    rig.give([(server.remote, data) for data in (hello, *login, opens)])
    rig.start()
    deadline = time.monotonic() + 60
    while rig.depth() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rig.stop() == 0  # everything taken is acknowledged, and in the state
    rig.start()
    time.sleep(0.3)
    rig.kill()
    rig.give([(server.remote, server.closes(begun))])
    rig.start()
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= 10, 90)
    assert rig.stop() == 0
    found = collector_rig.verdict(records, [server])
    assert perfect(found), found


@pytest.mark.broker
def test_broker_restart_and_queue_deleted(
    broker: Any, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    rig = make_collector_rig(broker.url)
    servers, sent = collector_rig.traffic.day(4, 200)
    half = len(sent) // 2
    rig.start()
    rig.give(sent[:half])
    broker.restart()
    rig.give(sent[half:])
    wanted = sum(len(server.accesses) for server in servers)
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 150)
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])

    topology = collector_rig.open_topology(rig.address)
    topology.delete_queue(rig.queue, exchange=rig.packets)
    topology.close()
    deadline = time.monotonic() + 90
    while True:
        # The broker's restart has left a "taking again" too: only one behind the end of our consuming counts.
        _, ended, since = rig.log.read_text().rpartition("cancelled the consumer")
        if ended and "taking again" in since:
            break
        assert time.monotonic() < deadline, rig.log.read_text()[-2000:]
        time.sleep(0.1)
    server = collector_rig.traffic.Server(900)
    hello = server.hello()
    user, login = server.login("bob")
    rig.give([(server.remote, data) for data in (hello, *login, *server.reads(user, 20))])
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= 20, 90)
    assert rig.stop() == 0
    assert perfect(collector_rig.verdict(records, [server]))


@pytest.mark.broker
def test_a_second_collector_on_the_queue_gets_one_sentence(broker: Any, make_collector_rig: Callable[..., Any]) -> None:
    first = make_collector_rig(broker.url)
    first.start()
    server_log = first.log
    deadline = time.monotonic() + 60
    while "from amqp" not in server_log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    second = make_collector_rig(broker.url)
    second.environment |= {"TALLY_COLLECTOR_FROM": first.environment["TALLY_COLLECTOR_FROM"],
                           "TALLY_COLLECTOR_EXCHANGES_PACKETS": first.packets}  # fmt: skip
    second.start()
    assert second.process.wait(90) == 1
    assert f"the queue '{first.queue}' is already consumed by another program" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()
    assert first.process.poll() is None
    assert first.stop() == 0


@pytest.mark.parametrize("url", BUSES, indirect=True)
def test_stopped_under_traffic(url: str, make_collector_rig: Callable[..., Any], collector_rig: ModuleType) -> None:
    """G20, P17: a stop that panics, or that drops the backlog after a second."""
    rig = make_collector_rig(url)
    servers, sent = collector_rig.traffic.day(10, 2_000)
    rig.give(sent)
    rig.start()
    deadline = time.monotonic() + 60
    before = rig.depth()
    while rig.depth() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    begun = time.monotonic()
    assert rig.stop() == 0
    assert time.monotonic() - begun < within(10)
    rig.start()
    wanted = sum(len(server.accesses) for server in servers)
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 100)
    assert rig.stop() == 0
    found = collector_rig.verdict(records, servers)
    assert perfect(found), found
    assert found["repeats"] == 0  # an orderly stop leaves nothing half done


@pytest.mark.broker
def test_full_disk_stops_the_taking_and_never_the_process(
    broker: Any, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    rig = make_collector_rig(broker.url)
    rig.start()
    deadline = time.monotonic() + 60
    while not (rig.directory / "state" / "collector.db").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    # What a full disk looks like to one process alone: no file may grow beyond this.
    resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    servers, sent = collector_rig.traffic.day(4, 1_000)
    rig.give(sent)
    while "taking no more input until it can" not in rig.log.read_text():
        assert time.monotonic() < deadline, rig.log.read_text()[-2000:]
        time.sleep(0.05)
    assert len(rig.harvest(lambda found: bool(found), 1.0)) < 4_000
    assert rig.process.poll() is None
    resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= 4_000, 150)
    assert rig.stop() == 0
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])
    assert "the state can be written again" in rig.log.read_text()


@pytest.mark.broker
def test_a_broker_that_takes_nothing_for_longer_than_a_heartbeat(
    broker: Any, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    """P18: back-pressure inside the consumer's callback, and heartbeats stop."""
    rig = make_collector_rig(broker.url, TALLY_COLLECTOR_BUS_HEARTBEAT="1s")
    rig.start()
    servers, sent = collector_rig.traffic.day(4, 500)
    half = len(sent) // 2
    rig.give(sent[:half])
    records = rig.harvest(lambda found: len(found) >= 100, 150)
    rig.give(sent[half:])
    broker.ctl("set_vm_memory_high_watermark", "0.0001")
    try:
        time.sleep(3.5)
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")
    records += rig.harvest(lambda found: len(collector_rig.final_ids(records + found)) >= 2_000, 90)
    assert rig.stop() == 0
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])
    assert "heartbeat" not in rig.log.read_text()
