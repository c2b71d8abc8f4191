"""`tally queue`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gui.cli import main
from gui.runner.queues import remember_queue
from gui.store import Store
from shoveler.bus import open_topology, parse_bus_address


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
