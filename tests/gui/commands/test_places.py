"""Which database a command takes, and where Tally keeps its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.cli import main
from gui.store import Store
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TALLY_DB", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "system"))
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_tally_data_is_where_the_default_workspace_is(data: Path, tmp_path: Path) -> None:
    assert main(["key", "list"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "default.db").is_file()


def test_db_is_heard_before_and_after_the_command(data: Path, tmp_path: Path) -> None:
    assert main(["--db", str(tmp_path / "before.db"), "key", "create"]) == 0
    assert main(["key", "create", "--db", str(tmp_path / "after.db")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.db", "before.db"]


def test_a_data_directory_that_cannot_be_made_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("a file is in the way")
    monkeypatch.setenv("TALLY_DATA", str(data / "below"))
    for command in (["key", "list"], ["demo", "--headless"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert f"data directory {data / 'below'} cannot be created: Not a directory" in said
        assert said.count("\n") == 1


def test_the_database_of_the_settings_is_the_default_one(data: Path, tmp_path: Path) -> None:
    data.mkdir()
    (data / "settings.toml").write_text(f'[database]\naddress = "{tmp_path / "mine.db"}"\n')
    assert main(["key", "create", "--kid", "a"]) == 0
    assert main(["key", "list"]) == 0
    assert (tmp_path / "mine.db").is_file()
    assert not (data / "default.db").exists()


LISTINGS = (
    ["results", "--list"], ["results"], ["results", "--requests"], ["federation"],
    ["runs", "list"], ["runs", "show", "1"], ["runs", "baseline"], ["key", "list"], ["key", "log"], ["server", "list"],
    ["queue", "list"], ["vacuum", "--dry-run", "--older-than", "90d"], ["pipeline", "--for", "0.1"],
)  # fmt: skip
READ = """
import sys
from gui.cli import main
for words in sys.stdin.read().splitlines():
    print(f"{words}: {main(words.split() + ['--db', sys.argv[1]])}", file=sys.stderr)
"""


def test_all_that_only_reads_works_on_a_workspace_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    with Store(archive / "w.db") as store:
        run_with_losses(World(store))
    (archive / "w.db").chmod(0o444)
    archive.chmod(0o555)
    # Even root has no rights beyond those of the files' modes then.
    unprivileged = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", READ, str(archive / "w.db")],
        input="\n".join(" ".join(words) for words in LISTINGS), capture_output=True, text=True, check=False,
    )  # fmt: skip
    archive.chmod(0o755)
    assert done.stderr.splitlines() == [f"{' '.join(words)}: 0" for words in LISTINGS]
