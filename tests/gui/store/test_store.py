from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gui.store import Store, default_database


def test_a_named_workspace_is_a_file_in_the_users_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = default_database("scale-2026")
    assert file == tmp_path / "tally" / "scale-2026.db"
    with Store(file) as store:
        assert store.runs() == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_workspace_name_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="A workspace is named with"):
        default_database(name)


def test_store_reconcile_and_report_load_no_qt() -> None:
    program = "import gui.store, gui.reconcile, gui.report, sys; print([m for m in sys.modules if 'PySide' in m])"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
