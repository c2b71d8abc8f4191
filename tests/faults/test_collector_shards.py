"""Shards dealt out to worker processes: a worker, the parent, or all of it may die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

import psutil
import pytest

from tests.waiting import until

pytestmark = pytest.mark.broker
PERFECT = {"missing": 0, "double": 0, "wrong": 0, "incomplete": 0, "differing": 0}


def perfect(found: dict[str, int]) -> bool:
    return {name: found[name] for name in PERFECT} == PERFECT


def workers(rig: Any) -> list[int]:
    """The worker processes: the children, without the tracker of multiprocessing."""
    found = []
    for child in psutil.Process(rig.process.pid).children():
        try:
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.Error:
            pass  # it has just died
    return found


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_workers_share_the_shards_and_are_started_again_when_killed(
    broker: Any, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    rig = make_collector_rig(broker.url, shards=4, TALLY_COLLECTOR_WORKERS="2")
    servers, sent = collector_rig.traffic.day(12, 150)
    third = len(sent) // 3
    rig.give(sent[:third])
    rig.start()
    first = until(lambda: (pids := workers(rig)) and len(pids) == 2 and pids)
    until(lambda: len(list((rig.directory / "state").glob("shard-*-of-4.db"))) == 4)
    rig.give(sent[third : 2 * third])
    os.kill(first[0], signal.SIGKILL)
    until(lambda: (pids := workers(rig)) and len(pids) == 2 and set(pids) != set(first))
    rig.give(sent[2 * third :])
    wanted = sum(len(server.accesses) for server in servers)
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 100)
    pids = workers(rig)
    assert rig.stop() == 0
    assert all(gone(pid) for pid in pids)
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])
    assert rig.depth() == 0
    assert "ended with signal 9 and will be restarted" in rig.log.read_text()


def test_workers_end_when_their_parent_is_killed_and_a_standby_takes_over(
    broker: Any, make_collector_rig: Callable[..., Any], collector_rig: ModuleType
) -> None:
    rig = make_collector_rig(broker.url, shards=2, TALLY_COLLECTOR_WORKERS="2", TALLY_COLLECTOR_STANDBY="true")
    rig.start()
    until(lambda: len(list((rig.directory / "state").glob("shard-*-of-2.db"))) == 2)
    parent, pids = rig.process, workers(rig)
    assert len(pids) == 2
    rig.start()  # the standby, on the same state
    standby = rig.process
    until(lambda: rig.log.read_text().count("on standby") == 2)
    servers, sent = collector_rig.traffic.day(4, 100)
    half = len(sent) // 2
    rig.give(sent[:half])
    parent.kill()
    parent.wait()
    until(lambda: all(gone(pid) for pid in pids))
    rig.give(sent[half:])
    wanted = sum(len(server.accesses) for server in servers)
    records = rig.harvest(lambda found: len(collector_rig.final_ids(found)) >= wanted, 100)
    assert standby.poll() is None
    assert rig.stop() == 0
    found = collector_rig.verdict(records, servers)
    assert perfect(found), (found, rig.log.read_text()[-2000:])
