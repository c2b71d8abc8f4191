from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.lab.claim import claim
from agent.lab.errors import LabError
from agent.lab.pids import identity
from agent.lab.state import write_state
from agent.messages import LAB_SCHEMA, LabProcess, LabState


def dead_lab(directory: Path, **other: Any) -> LabState:
    facts: dict[str, object] = {
        "schema": LAB_SCHEMA, "directory": str(directory), "started": 1.0, "state": "up", "bus": "", "broker": "local",
        "packets_exchange": "", "records_exchange": "", "status_exchange": "", "packets_queue": "", "servers": [],
        "files": [], "processes": [], "fstat_seconds": 1.0, "flush_seconds": 1.0,
    }  # fmt: skip
    return LabState(**(facts | other))  # type: ignore[arg-type]


def test_a_new_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    lock, remains = claim(tmp_path / "lab")
    assert not remains
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700
    lock.release()


def test_directories_above_it_are_not_made_as_they_would_stay(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"cannot be used \(No such file or directory\); choose another --dir"):
        claim(tmp_path / "a" / "lab")
    assert list(tmp_path.iterdir()) == []


def test_one_lab_at_a_time(tmp_path: Path) -> None:
    lock, _ = claim(tmp_path)
    with pytest.raises(LabError, match=r"a lab is already up in .*; `tally-agent lab down --dir .*` ends it"):
        claim(tmp_path)
    lock.release()
    claim(tmp_path)[0].release()


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LabError, match=r"is not empty \(it has thesis\.tex\)"):
        claim(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"cannot be used \(Not a directory\); choose another --dir"):
        claim(tmp_path / "file" / "lab")


def test_what_a_dead_lab_left_is_removed_first(tmp_path: Path) -> None:
    directory, work, bus = tmp_path / "lab", tmp_path / "work", tmp_path / "bus"
    for place in (directory, directory / "log", work, work / "files", bus):
        place.mkdir()
    (work / "files" / "f").touch()
    (work / "files").chmod(0o555)
    with subprocess.Popen(["sleep", "60"]) as survivor:
        process = LabProcess("shoveler-1", "shoveler", survivor.pid, identity=identity(survivor.pid))
        write_state(dead_lab(directory, processes=[process], work_directory=str(work), bus=str(bus)))
        lock, remains = claim(directory)
        assert survivor.wait() != 0
    assert remains
    assert [p.name for p in directory.iterdir()] == ["lock"]
    assert not work.exists()
    assert not bus.exists()
    lock.release()


def test_names_on_a_broker_that_is_away_are_not_forgotten(tmp_path: Path) -> None:
    write_state(dead_lab(tmp_path, broker="given", bus="amqp://u:secret@127.0.0.1:1/", prefix="lab-1."))
    with pytest.raises(LabError) as caught:
        claim(tmp_path)
    assert "the broker amqp://u:***@127.0.0.1:1/ cannot be used (Connection refused)" in str(caught.value)
    assert (tmp_path / "state.json").exists()
