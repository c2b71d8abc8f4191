"""`tally server`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gui.cli import main


def test_servers_are_listed_added_imported_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = ["--db", str(tmp_path / "w.db")]
    assert main(["server", "add", "s1", "root://x1.example.org", "eu", *db]) == 0
    assert capsys.readouterr().out == "1 server was added; 1 is listed.\n"
    (tmp_path / "list.txt").write_text("x2.example.org\nroot://ada@x3.example.org\nx4.example.org:2094\n")
    assert main(["server", "import", str(tmp_path / "list.txt"), *db]) == 1
    shown = capsys.readouterr()
    assert shown.out == "2 servers were added; 3 are listed.\n"
    assert "tally server: Line 2: The URL of server root://x3.example.org:1094 names a user" in shown.err
    assert main(["server", "list", *db]) == 0
    text = capsys.readouterr().out
    assert text == (
        "s1 root://x1.example.org:1094 eu\n"
        "x2.example.org root://x2.example.org:1094\n"
        "x4.example.org:2094 root://x4.example.org:2094\n"
    )
    assert main(["server", "remove", "s1", *db]) == 0
    assert main(["server", "remove", "s1", *db]) == 2
    assert "No server 's1' is listed" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["server", "import", "-", *db]) == 0
    assert main(["server", "list", "--json", *db]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out.splitlines()[-1])] == [
        "s1",
        "x2.example.org",
        "x4.example.org:2094",
    ]


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = ["--db", str(tmp_path / "w.db")]
    assert main(["server", "import", str(tmp_path / "no.txt"), *db]) == 2
    assert "no.txt cannot be read" in capsys.readouterr().err
    assert main(["server", "from-records", *db]) == 0
    assert main(["server", "list", *db]) == 0
    assert "No server is listed" in capsys.readouterr().out
