"""The agent's side of workers: spreading, summing, ending. Whole jobs: tests/agent/test_client.py."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.journal import Journal
from agent.messages import Auth, ServerSample, StartRepeat, Workload
from agent.workloads import pool as pool_module
from agent.workloads.frames import Figures
from agent.workloads.pool import Pool


@pytest.fixture
def make(tmp_path: Path) -> Any:
    journal = Journal(tmp_path)
    said: dict[str, list[Any]] = {"died": [], "remarks": []}

    def pool(slots: int) -> tuple[Pool, dict[str, list[Any]]]:
        return Pool(
            StartRepeat("1.1.1", Workload(), slots, timeout=5.0),
            segment=journal.segment,
            died=lambda slots, how: said["died"].append((slots, how)),
            remark=lambda severity, text: said["remarks"].append(text),
        ), said

    yield pool
    journal.close()


async def test_slots_are_spread_over_as_few_processes_as_will_do(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "SLOTS_PER_PROCESS", 4)
    for slots, shares in {1: [1], 4: [4], 5: [3, 2], 9: [3, 3, 3]}.items():
        pool, _ = make(slots)
        assert [len(worker.slots) for worker in pool._workers] == shares
        assert sorted(slot for worker in pool._workers for slot in worker.slots) == list(range(slots))


async def test_start_and_finish(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "SLOTS_PER_PROCESS", 1)
    pool, said = make(2)
    assert await pool.start() == ""
    assert len(pool.pids()) == 2
    assert pool.xrootd
    pids = pool.pids()
    await pool.finish()
    assert pool.pids() == []
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert said == {"died": [], "remarks": []}


async def test_signals_are_for_the_agent(make: Any) -> None:
    """Ctrl-C and systemd's stop reach workers, too."""
    pool, said = make(1)
    assert await pool.start() == ""
    (pid,) = pool.pids()
    psutil.Process(pid).send_signal(signal.SIGINT)
    psutil.Process(pid).send_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    await pool.stop("enough")
    assert said["died"] == []
    assert pool._workers[0].process.returncode == 0


async def test_credentials_are_renewed_also_for_workers_that_start_later(make: Any, eventually: Any) -> None:
    pool, said = make(3)
    assert await pool.start() == ""
    pool.renew(Auth(token="a.b.c"))
    psutil.Process(pool.pids()[0]).kill()
    await eventually(lambda: said["died"], "death")
    assert await pool.replace([0, 1, 2]) == ""
    pool.renew(Auth(token="d.e.f"))
    assert pool._order.auth == Auth(token="d.e.f")
    await pool.finish()
    assert pool._workers[0].process.returncode == 0, "it knew the order"


async def test_one_that_hangs_is_killed(make: Any, eventually: Any) -> None:
    pool, said = make(1)
    assert await pool.start() == ""
    (pid,) = pool.pids()
    psutil.Process(pid).suspend()
    await pool.stop("enough", grace=0.1)
    assert not psutil.pid_exists(pid)
    assert said["died"] == []


async def test_a_death_is_told_with_its_slots(make: Any, eventually: Any) -> None:
    """V2: a worker dies, and nobody looks."""
    pool, said = make(3)
    assert await pool.start() == ""
    psutil.Process(pool.pids()[0]).kill()
    await eventually(lambda: said["died"], "death")
    assert said["died"] == [([0, 1, 2], "it was killed by signal 9")]
    assert await pool.replace([0, 1, 2]) == ""
    assert len(pool.pids()) == 1
    await pool.stop("enough")


async def test_workers_end_when_the_agent_is_gone(make: Any, eventually: Any) -> None:
    pool, _ = make(2)
    assert await pool.start() == ""
    (pid,) = pool.pids()
    pool._workers[0].process.stdin.close()  # what the kernel does when a process dies
    await eventually(lambda: not psutil.pid_exists(pid), "end of the worker")
    await pool.stop("enough")


async def test_a_worker_that_cannot_be_started(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = make(1)
    monkeypatch.setattr(pool_module, "process_command", lambda kind: ["/no/such/program"])
    assert await pool.start() == "A worker process cannot be started: No such file or directory."
    pool, _ = make(1)
    monkeypatch.setattr(pool_module, "process_command", lambda kind: ["false"])
    assert await pool.start() == (
        "A worker process ended before it was ready (it ended with code 1); its last messages are in the log."
    )


async def test_a_worker_that_does_not_begin(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "START_SECONDS", 0.1)
    monkeypatch.setattr(pool_module, "STOP_GRACE", 0.1)
    monkeypatch.setattr(pool_module, "process_command", lambda kind: ["sleep", "60"])
    pool, _ = make(1)
    assert (await pool.start()).startswith("A worker process did not start within 0 s")
    assert pool.pids() == []


def test_figures_add_up() -> None:
    one, other = {"a": ServerSample(1, 2, 3, 4)}, {"a": ServerSample(10, 20, 30, 40), "b": ServerSample(5, 5, 5, 5)}
    assert pool_module._sum([one, other, {}]) == {"a": ServerSample(11, 22, 33, 44), "b": ServerSample(5, 5, 5, 5)}


async def test_one_that_falls_silent_is_killed_and_reported(
    make: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "FROZEN_SECONDS", 3.0)
    pool, said = make(1)
    assert await pool.start() == ""
    (pid,) = pool.pids()
    psutil.Process(pid).suspend()
    await eventually(lambda: said["died"])
    assert said["died"] == [([0], "it was killed by signal 9")]
    assert said["remarks"] == [f"Worker process {pid} has been silent for 3 s and is killed."]
    await pool.stop("enough")


async def test_seconds_of_all_workers_are_taken_once_when_all_have_told_of_them(make: Any) -> None:
    pool, _ = make(2 * pool_module.SLOTS_PER_PROCESS)
    one, other = pool._workers
    assert pool.measured() == 0
    pool._heard(one, Figures({}, {100: {"a": 5}, 101: {"a": 1, "b": 2}}, 102.0))
    assert pool.measured() == 0, "the other one has not told of anything"
    pool._heard(other, Figures({}, {100: {"a": 10}}, 101.0))
    assert pool.measured() == 101
    assert pool.take(101) == {"a": 15}
    assert pool.take(101) == {}
    pool._heard(other, Figures({}, {100: {"a": 7}, 101: {"b": 3}}, 102.0))
    assert pool.take(102) == {"a": 8, "b": 5}, "what was told too late for its second is not lost"
    assert pool.heard.is_set()
