"""`tally load`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gui.cli import main


def record(number: int) -> str:
    fields = {
        "kind": "file", "schema": 1, "record_id": f"{number:032x}.f", "access_id": f"{number:032x}", "final": True,
        "server_id": "7", "stod": 1_700_000_000, "file_id": number, "filename": f"/f{number}", "user": "somebody",
        "read": 1, "readv": 0, "write": 0, "start_time": 1_700_000_100, "end_time": 1_700_000_101,
    }  # fmt: skip
    return json.dumps(fields)


def test_what_is_there_already_is_not_loaded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(record(number) + "\n" for number in range(3)))
    command = ["load", "--from", str(file), "--db", str(tmp_path / "w.db")]
    assert main(command) == 0
    assert "0 were there already; 3 of others counted" in capsys.readouterr().out
    assert main(command) == 0
    assert "3 were there already; 0 of others counted" in capsys.readouterr().out


def test_a_line_that_is_no_record_is_named_and_the_others_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "records.jsonl"
    # Beyond the first batch, too: the line's number is that in the file.
    lines = [record(1), "", "no json", *(record(2) for _ in range(5000)), '{"a": 1}', record(3)]
    file.write_text("\n".join(lines))
    assert main(["load", "--from", str(file), "--db", str(tmp_path / "w.db")]) == 1
    said = capsys.readouterr()
    problems = said.err.splitlines()
    assert problems[0].startswith(f"tally load: {file}, line 3: not a record: JSON is malformed")
    assert problems[1] == f'tally load: {file}, line 5,004: not a record: a JSON object without "kind"'
    assert len(problems) == 2
    assert "3 of others counted" in said.out
    assert "2 could not be read" in said.out


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--from", str(tmp_path / "none"), "--db", str(tmp_path / "w.db")]) == 2
    assert capsys.readouterr().err.startswith(f"tally: There is no file {tmp_path / 'none'}; ")


def test_a_plan_that_is_a_directory_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "--headless", "--db", str(tmp_path / "w.db")]) == 2
    assert capsys.readouterr().err == f"tally: The plan {tmp_path} cannot be read: Is a directory.\n"
