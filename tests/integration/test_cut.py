"""Connections are cut while files are being read, with a real server: one request, several accesses, and every byte."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
PLAN = """
name = "cut"
settle = "60s"
[[test]]
servers = ["s01"]
files_per_server = 4
per_round = 4
verify = true
[test.who]
slots = 4
[test.workload]
kind = "long"
bytes = "1MiB"
reads = 16
pause = "500ms"
[[test.fault]]
at = "2s"
do = "cut-transfer"
server = "s01"
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("TALLY_KEY", "TALLY_DB", "TALLY_BUS", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    directory = tmp_path / "lab"
    up = [*AGENT, "lab", "up", "--servers", "1", "--bus", str(tmp_path / "bus"), "--dir", str(directory)]
    subprocess.run(
        [*up, "--files", "4", "--large-files", "4", "--large-size", "20MiB"],
        check=True,
        timeout=300,
        capture_output=True,
    )
    try:
        yield directory
    finally:
        subprocess.run([*AGENT, "lab", "down", "--dir", str(directory)], check=True, timeout=120, capture_output=True)


def test_one_request_has_several_accesses_and_matches(tmp_path: Path, lab: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    at = ["--db", str(tmp_path / "w.db")]
    there = ["--headless", "--lab", str(lab), "--listen", "127.0.0.1:0"]
    run = subprocess.run([*TALLY, "run", str(tmp_path / "plan.toml"), *there, *at], timeout=400, capture_output=True)
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()
    report = subprocess.run([*TALLY, "results", *at, "--format", "json"], timeout=100, capture_output=True, check=True)
    (test,) = json.loads(report.stdout)["tests"]
    (share,) = test["workloads"]
    assert share["matched"] == share["requested"] == 4
    assert share["bytes_asked"] == share["bytes_recorded"] == 4 * 16 * 2**20
    (scoring,) = test["repeats"][0]["scorings"]
    assert scoring["recovered"] == 4, "the client has opened each file again"
