"""Bytes are compared with what the catalogue knows, with real servers: a changed file has a name, others pass."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
PLAN = """
name = "verified"
settle = "60s"
[[test]]
servers = 1
files_per_server = 60
per_round = 30
wait = "0s"
verify = true
[test.who]
slots = 4
[[test.mix]]
[[test.mix]]
kind = "vector"
chunks = 3
bytes = 100
[[test.mix]]
protocol = "https"
[[test.mix]]
kind = "past_end"
bytes = 2000000
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("TALLY_KEY", "TALLY_DB", "TALLY_BUS", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    directory = tmp_path / "lab"
    up = [*AGENT, "lab", "up", "--servers", "1", "--bus", str(tmp_path / "bus"), "--dir", str(directory)]
    subprocess.run([*up, "--files", "15"], check=True, timeout=300, capture_output=True)
    try:
        yield directory
    finally:
        subprocess.run([*AGENT, "lab", "down", "--dir", str(directory)], check=True, timeout=120, capture_output=True)


def report_of(place: Path, lab: Path, name: str) -> dict[str, Any]:
    (place / f"{name}.toml").write_text(PLAN)
    at = ["--db", str(place / f"{name}.db")]
    there = ["--headless", "--lab", str(lab), "--listen", "127.0.0.1:0"]
    done = subprocess.run([*TALLY, "run", str(place / f"{name}.toml"), *there, *at], timeout=300, capture_output=True)
    assert done.returncode in (0, 1), done.stderr.decode()
    report = subprocess.run([*TALLY, "results", *at, "--format", "json"], timeout=100, capture_output=True, check=True)
    return dict(json.loads(report.stdout))


def test_a_changed_file_is_found_in_every_read_of_its_bytes(tmp_path: Path, lab: Path) -> None:
    (good,) = report_of(tmp_path, lab, "good")["tests"]
    assert (good["figures"]["client_failed"], good["figures"]["wrong_bytes"]) == (0, 0), good["not_matched"]
    for share in good["workloads"]:
        assert share["matched"] == share["requested"] == 15
        assert share["bytes_asked"] == share["bytes_recorded"] > 0

    for file in (lab / "servers" / "files").glob("f*"):
        mine = bytes(byte ^ 1 for byte in file.read_bytes())
        file.chmod(0o644)
        file.write_bytes(mine)
    (bad,) = report_of(tmp_path, lab, "bad")["tests"]
    failed = [share["client_failed"] for share in bad["workloads"]]
    assert failed[:2] + failed[3:] == [15, 15, 15], "over https, servers before 5.6.3 get a file of the client's own"
    assert all(error["error"].startswith("wrong bytes: ") for error in bad["not_matched"]["errors"])
