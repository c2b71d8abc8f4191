"""`tally preflight` as a person runs it: a line for each check, what to do, and an exit code; no run is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.store import Store

PLAN = 'name = "p"\n[[test]]\nservers = 2\nfiles_per_server = 10\nper_round = 5\n'


def tally(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [sys.executable, "-m", "gui.cli", "preflight", *words]
    command += ["--listen", "127.0.0.1:0", "--db", str(directory / "w.db"), "--wait", "0.2"]
    environment = clean | {"TALLY_DATA": str(directory / "data")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


@pytest.fixture
def plan(tmp_path: Path) -> str:
    (tmp_path / "p.toml").write_text(PLAN)
    return str(tmp_path / "p.toml")


def test_each_check_has_a_line_and_a_failed_one_the_exit_code(tmp_path: Path, plan: str) -> None:
    done = tally(tmp_path, plan)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "failed"
    assert "No bus is given." in lines[0]
    assert any(line.startswith("not checked  Servers answer") for line in lines)
    assert "→ Start them, or change the plan." in done.stdout
    assert "checks of 14 failed." in lines[-1]
    with Store(tmp_path / "w.db") as store:
        assert store.runs() == []


def test_one_check_by_itself_with_what_it_needs(tmp_path: Path, plan: str) -> None:
    done = tally(tmp_path, plan, "--only", "clocks")
    titles = [line[13:].split("  ")[0] for line in done.stdout.splitlines() if line[:1].islower()]
    assert titles == ["Clients are connected", "Clocks agree within 1 s"]


def test_the_same_for_programs(tmp_path: Path, plan: str) -> None:
    done = tally(tmp_path, plan, "--only", "bus", "--only", "clients", "--json")
    assert done.returncode == 1, done.stderr
    bus, clients = json.loads(done.stdout)
    assert (bus["name"], bus["state"], bus["text"]) == ("bus", "failed", "No bus is given.")
    assert (clients["name"], clients["remedy"]) == ("clients", "Start agents, or invite some.")


def test_output_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PLAN)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [sys.executable, "-m", "gui.cli", "preflight", str(tmp_path / "p.toml"), "--only", "faults"]
    command += ["--listen", "127.0.0.1:0", "--db", str(tmp_path / "w.db"), "--wait", "0.2"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=clean | {"TALLY_DATA": str(tmp_path / "d")},
            check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 1
    assert "standard output cannot be written" in done.stderr


def test_a_plan_that_cannot_be_read_is_another_exit_code(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = \nx\n")
    done = tally(tmp_path, str(tmp_path / "bad.toml"))
    assert done.returncode == 2
    assert "line 1: this is not TOML" in done.stderr
    assert "line 2: this is not TOML" in done.stderr
