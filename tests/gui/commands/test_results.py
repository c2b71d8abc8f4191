"""`tally results`, `compare` and `federation`, as typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.cli import main
from gui.store import Store


@pytest.mark.parametrize("command", [["results"], ["results", "--list"], ["compare", "1", "2"], ["federation"]])
def test_a_workspace_that_is_named_and_not_there_is_not_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "mispelt.db"
    assert main([*command, "--db", str(missing)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"There is no workspace {missing}" in said.err
    assert not missing.exists()


def test_an_empty_one_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    assert main(["results", "--list"]) == 0
    assert "try: tally demo" in capsys.readouterr().out
    Store(tmp_path / "w.db").close()
    assert main(["results", "--db", str(tmp_path / "w.db")]) == 2
    assert "Nothing was run in" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path / "w.db").close()
    assert main(["results", "77", "--db", str(tmp_path / "w.db")]) == 2
    said = capsys.readouterr().err
    assert "77" in said
    assert len(said.strip().splitlines()) == 1


def test_a_listing_whose_reader_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    buffered["TALLY_DATA"] = str(tmp_path / "data")
    command = [sys.executable, "-m", "gui.cli", "key", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=buffered, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
