from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.lab.errors import LabError
from agent.lab.state import read_state, write_state
from agent.messages import LAB_SCHEMA, LabFile, LabProcess, LabServer, LabState


def a_state(directory: Path, **other: Any) -> LabState:
    state = LabState(
        schema=LAB_SCHEMA,
        directory=str(directory),
        started=1.5,
        state="up",
        bus="amqp://tally:secret@127.0.0.1:5/",
        broker="private",
        packets_exchange="shoveled-xrd",
        records_exchange="xrd-records",
        status_exchange="tally-status",
        packets_queue="xrd-packets",
        servers=[LabServer("s01", "root://127.0.0.1:4", "LAB-01", 77, "127.0.0.1:3")],
        files=[LabFile("/store/test/f0001", 12)],
        processes=[LabProcess("s01", "xrootd", 77, 2, "", "boot-1")],
        fstat_seconds=1.0,
        flush_seconds=1.0,
    )
    return msgspec.structs.replace(state, **other)


def test_what_was_written_is_read_again_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_state(a_state(tmp_path, state="starting"))
        write_state(a_state(tmp_path))
    finally:
        os.umask(before)
    assert read_state(tmp_path) == a_state(tmp_path)
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_no_lab_is_no_error(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="is not a directory"):
        read_state(tmp_path / "file")


def test_a_newer_lab_is_declined(tmp_path: Path) -> None:
    newer = json.loads(msgspec.json.encode(a_state(tmp_path)))
    newer["schema"] = 99
    newer["state"] = "levitating"
    (tmp_path / "state.json").write_text(json.dumps(newer))
    with pytest.raises(LabError, match=r"was started by a newer Tally \(state 99, this one knows 1\)"):
        read_state(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "null", "not json", '{"schema": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(LabError, match=r"state\.json is not the state file of a lab"):
        read_state(tmp_path)


def test_a_directory_that_somebody_else_may_have_prepared_is_not_believed(tmp_path: Path) -> None:
    write_state(a_state(tmp_path))
    (tmp_path.parent / "link").symlink_to(tmp_path)
    with pytest.raises(LabError, match="is not a directory"):
        read_state(tmp_path.parent / "link")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_believed(tmp_path: Path) -> None:
    write_state(a_state(tmp_path))
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(LabError, match="belongs to another user"):
        read_state(tmp_path)
