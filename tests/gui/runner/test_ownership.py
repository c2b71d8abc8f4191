"""One program at a time runs tests in a workspace, and closes what its predecessor has left open."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from gui.runner import ownership
from gui.runner.ownership import SETTING
from gui.store import NewRequest, Store, TestSpec
from gui.store.programs import Program

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "w.db") as made:
        yield made


def owned_by(store: Store, **changes: Any) -> None:
    values: dict[str, Any] = {"host": "elsewhere", "pid": 1, "began": 1.0, "t": NOW} | changes
    store.put_setting(SETTING, msgspec.json.encode(Program(**values)).decode())


def test_nobody_owns_a_new_workspace(store: Store) -> None:
    assert ownership.claim(store, NOW) == ""
    assert ownership.claim(store, NOW) == "", "we are not another"
    ownership.release(store)
    assert store.setting(SETTING) == ""


def test_another_machine_owns_it_while_it_gives_signs_of_life(store: Store) -> None:
    owned_by(store, t=NOW - 29)
    assert ownership.claim(store, NOW) == "Another Tally (process 1 on elsewhere)"
    owned_by(store, t=NOW - 31)
    assert ownership.claim(store, NOW) == ""


def test_another_process_here_owns_it_while_it_lives(store: Store) -> None:
    parent = psutil.Process(os.getppid())
    owned_by(store, host=socket.gethostname(), pid=parent.pid, began=parent.create_time(), t=0.0)
    assert "Another Tally" in ownership.claim(store, NOW)
    owned_by(store, host=socket.gethostname(), pid=parent.pid, began=1.0, t=NOW)
    assert ownership.claim(store, NOW) == "", "the number is another process's now"
    owned_by(store, host=socket.gethostname(), pid=2**22 + 1, t=NOW)
    assert ownership.claim(store, NOW) == ""


def test_what_cannot_be_read_owns_nothing(store: Store) -> None:
    store.put_setting(SETTING, '{"v":2}')
    assert ownership.claim(store, NOW) == ""


def test_a_run_that_was_left_open_is_scored_and_ended(store: Store) -> None:
    spec = TestSpec(servers=1, files_per_server=2, per_round=2)
    run = store.create_run(name="r", plan_text="", settle=1, tests=[spec], now=NOW)
    store.set_run(run, state="running")
    done = store.create_run(name="r", plan_text="", settle=1, tests=[spec], now=NOW)
    store.set_run(done, state="passed")
    repeat = store.start_repeat(run, 1, 1, NOW)
    (tag,) = store.allocate_tags(1)
    requests = [NewRequest(tag, path, "root://s:1094", "shared/c1", 0, 5) for path in ("/a", "/b")]
    store.add_requests(repeat, requests, NOW)
    assert ownership.left_open(store) == [run]
    ownership.close_run(store, run, NOW + 1)
    assert ownership.left_open(store) == []
    entry = store.run(run)
    assert (entry.state, entry.message, entry.ended) == ("interrupted", ownership.ENDED, NOW + 1)
    assert store.repeat(repeat).state == "stopped"
    (scoring,) = store.scorings(repeat)
    assert (scoring.total, scoring.unreported) == (2, 2)
    ownership.close_run(store, run, NOW + 2)
    assert len(store.scorings(repeat)) == 1
