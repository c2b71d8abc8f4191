"""Through a redirector and through a cache, with real servers: exact bytes, and who really served."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.messages import LabState, decode_lab_state

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
TEST = """
[[test]]
name = "{name}"
servers = ["{server}"]
files_per_server = 30
per_round = 30
wait = "0s"
verify = true
protocol = "{protocol}"
[test.who]
slots = 4
"""
ROWS = (("redirector", "r01", "root"), ("http", "r01", "https"), ("cold", "c01", "root"), ("warm", "c01", "root"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabState]:
    for name in ("TALLY_KEY", "TALLY_DB", "TALLY_BUS", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    directory = tmp_path / "lab"
    wishes = ["--origins", "2", "--caches", "2", "--redirector", "--files", "30"]
    up = [*AGENT, "lab", "up", *wishes, "--bus", str(tmp_path / "bus"), "--dir", str(directory)]
    subprocess.run(up, check=True, timeout=400, capture_output=True)
    try:
        yield decode_lab_state((directory / "state.json").read_bytes())
    finally:
        subprocess.run([*AGENT, "lab", "down", "--dir", str(directory)], check=True, timeout=120, capture_output=True)


def test_what_is_asked_of_a_redirector_or_a_cache_is_recorded_exactly(tmp_path: Path, lab: LabState) -> None:
    plan = 'name = "front"\nsettle = "60s"\n' + "".join(
        TEST.format(name=name, server=server, protocol=protocol) for name, server, protocol in ROWS
    )
    (tmp_path / "plan.toml").write_text(plan)
    at = ["--db", str(tmp_path / "w.db")]
    there = ["--headless", "--lab", lab.directory, "--listen", "127.0.0.1:0"]
    run = subprocess.run([*TALLY, "run", str(tmp_path / "plan.toml"), *there, *at], timeout=500, capture_output=True)
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()
    report = subprocess.run([*TALLY, "results", *at, "--format", "json"], timeout=100, capture_output=True, check=True)
    for test in json.loads(report.stdout)["tests"]:
        (share,) = test["workloads"]
        assert share["matched"] == share["requested"] == 30, test["name"]
        assert share["bytes_asked"] == share["bytes_recorded"] > 0

    with closing(sqlite3.connect(tmp_path / "w.db")) as database:
        rows = database.execute(
            "SELECT test.number, request.reached FROM request JOIN repeat ON repeat.id = request.repeat_id "
            "JOIN test ON test.id = repeat.test_id"
        ).fetchall()
    reached = {number: {int(place.rpartition(":")[2]) for n, place in rows if n == number} for number, _ in rows}
    origins = {int(server.url.rpartition(":")[2]) for server in lab.servers}
    cache = int(lab.caches[0].url.rpartition(":")[2])
    assert [reached[number] for number in (1, 2, 3, 4)] == [origins, origins, {cache}, {cache}]
