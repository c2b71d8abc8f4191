"""`tally queue`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.lab.broker import PrivateBroker
from gui.cli import main
from gui.runner.dropped import Dropped, keep_dropped
from gui.runner.queues import remember_queue
from gui.store import Store
from shoveler.bus import BusMissingError, open_consumer, open_topology, parse_bus_address
from tests.ports import free_port


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    bus = tmp_path / "bus"
    topology = open_topology(parse_bus_address(str(bus)))
    topology.declare_exchange("xrd-records")
    topology.declare_queue("tally.w-1", exchange="xrd-records")
    with Store(str(tmp_path / "w.db")) as store:
        remember_queue(store, "tally.w-1", "xrd-records", str(bus))
        remember_queue(store, "tally.w-1", "xrd-records", str(tmp_path / "gone"))
    return tmp_path / "w.db"


def test_list_and_delete(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queue", "list", "--db", str(workspace), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["queue"], row["waiting"]) for row in rows] == [("tally.w-1", None), ("tally.w-1", 0)]
    assert main(["queue", "list", "--db", str(workspace)]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split() == ["QUEUE", "WAITING", "LAST", "USED", "BUS"]
    assert "it no longer exists" in shown.err
    for _ in range(2):
        assert main(["queue", "delete", "tally.w-1", "--db", str(workspace)]) == 0
    assert main(["queue", "delete", "tally.w-1", "--db", str(workspace)]) == 2
    assert "has no queue 'tally.w-1'" in capsys.readouterr().err
    assert main(["queue", "list", "--db", str(workspace)]) == 0
    assert "has no queue: no hub has run" in capsys.readouterr().out


def test_what_was_dropped_is_said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(str(workspace)) as store:
        keep_dropped(store, Dropped(12_345, 1.0))
    assert main(["queue", "list", "--db", str(workspace)]) == 0
    assert "12,345 records were dropped from these queues" in capsys.readouterr().out


def depth(bus: Path, queue: str) -> int | None:
    with closing(open_topology(parse_bus_address(str(bus)))) as topology:
        try:
            return topology.depth(queue, exchange="xrd-records")
        except BusMissingError:
            return None


def test_a_queue_of_another_workspace_is_deleted_only_when_it_is_meant_and_unused(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = tmp_path / "bus"
    with closing(open_topology(parse_bus_address(str(bus)))) as topology:
        topology.declare_queue("tally.old-2", exchange="xrd-records")
        topology.declare_queue("collector", exchange="xrd-records")
    words = ["queue", "delete", "tally.old-2", "--db", str(workspace), "--bus", str(bus)]
    assert main(words) == 2
    assert "--other" in capsys.readouterr().err
    address = parse_bus_address(str(bus))
    with closing(open_consumer(address, exchange="xrd-records", queue="tally.old-2", reader="r")):
        assert main([*words, "--other"]) == 1
        assert "a program reads from the queue" in capsys.readouterr().err
    assert main([*words, "--other"]) == 0
    assert depth(bus, "tally.old-2") is None
    assert main([*words, "--other"]) == 2
    assert main(["queue", "delete", "collector", "--other", "--db", str(workspace), "--bus", str(bus)]) == 2
    assert depth(bus, "collector") == 0, "what is no workspace's is not deleted here"


def test_a_workspace_is_removed_with_its_queues(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["workspace", "remove", "--db", str(workspace)]
    assert main(words) == 2
    assert "give --yes" in capsys.readouterr().err
    holding = "import sys, time; from gui.runner.ownership import hold; from gui.store import Store; "
    holding += "hold(Store(sys.argv[1]), time.time()); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(workspace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert main([*words, "--yes"]) == 2
        assert "has this workspace; stop it first" in capsys.readouterr().err
        other.communicate(b"\n", timeout=60)
    assert main([*words, "--yes"]) == 0
    assert "tally.w-1 was deleted" in capsys.readouterr().out
    assert depth(tmp_path / "bus", "tally.w-1") is None
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("w.db")]


def test_a_bus_that_is_away_keeps_the_workspace_unless_its_queue_may_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.db"
    with Store(str(file)) as store:
        remember_queue(store, "tally.w-1", "xrd-records", "amqp://guest:guest@127.0.0.1:9/")
    words = ["workspace", "remove", "--yes", "--db", str(file)]
    assert main(words) == 1
    assert "tally.w-1 was not deleted" in capsys.readouterr().err
    assert file.exists()
    assert main([*words, "--leave-queues"]) == 0
    assert not file.exists()


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrivateBroker, str]]:
    """A RabbitMQ with its management."""
    port = free_port()
    broker = PrivateBroker(
        tmp_path_factory.mktemp("managed") / "node",
        die_with_parent=True,
        plugins=("rabbitmq_management",),
        extra_config=f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}",
    )
    broker.start()
    yield broker, f"http://127.0.0.1:{port}"
    broker.kill()


@pytest.mark.broker
def test_the_queues_of_all_workspaces_on_a_broker(
    managed: tuple[PrivateBroker, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker, url = managed
    monkeypatch.setenv("TALLY_DATA", str(tmp_path))
    (tmp_path / "settings.toml").write_text(f'[bus]\nmanagement = "{url}"\n')
    with closing(open_topology(parse_bus_address(broker.url))) as topology:
        topology.declare_exchange("xrd-records")
        topology.declare_queue("tally.old", exchange="xrd-records")
        topology.declare_queue("tally.w-1", exchange="xrd-records", expires=259_200, max_bytes=2**31)
        topology.declare_queue("collector", exchange="xrd-records")
    words = ["queue", "list", "--all", "--bus", broker.url, "--db", str(tmp_path / "w.db")]
    deadline = time.monotonic() + 60
    while True:  # the management learns of a queue some seconds later
        assert main([*words, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        if len(rows) == 2 and all(row["messages"] is not None for row in rows):
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert [row["name"] for row in rows] == ["tally.old", "tally.w-1"]
    assert main(words) == 0
    head, old, own = capsys.readouterr().out.splitlines()
    assert head.split() == ["QUEUE", "WAITING", "SIZE", "READ", "EXPIRES", "LIMIT"]
    assert old.split() == ["tally.old", "0", "0", "B", "no", "never", "none"]
    assert own.split() == ["tally.w-1", "0", "0", "B", "no", "3", "days", "2.0", "GiB"]
    assert broker.password not in f"{head}{old}{own}"
