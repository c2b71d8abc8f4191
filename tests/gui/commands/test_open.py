"""`tally open`: which files it takes. What the window then does with one is in tests/gui/app/test_opening.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.cli import main
from gui.commands import open as command


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.toml", "There is no file"),
        ("notes.txt", "is neither a workspace (.db), a plan (.toml) nor a bundle (.zip)"),
    ],
)
def test_a_file_that_is_none_of_ours(
    name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert main(["open", str(tmp_path / name)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "database", "opened"), [("x.db", True, False), ("x.toml", False, True), ("x.tally.zip", False, True)]
)
def test_what_the_window_is_opened_with(
    name: str, database: bool, opened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    class App:
        @staticmethod
        def run_window(**given: object) -> int:
            told.update(given)
            return 0

    monkeypatch.setattr(command, "has_display", lambda: True)
    monkeypatch.setattr("importlib.import_module", lambda name: App)
    file = tmp_path / name
    file.touch()
    parsed = type("Parsed", (), {"file": file, "db": None})
    assert command.run_open(parsed) == 0  # type: ignore[arg-type]
    assert told["database"] == (str(file) if database else None)
    assert told["opened"] == (file if opened else None)
