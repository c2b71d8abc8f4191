from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from agent.lab.errors import LabError
from agent.lab.layout import default_directory, new_work_directory


def test_the_default_directory_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_directory() == tmp_path / "tally-lab"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_directory() == Path(f"/tmp/tally-lab-{os.getuid()}")


def test_the_work_directory_is_where_the_servers_user_can_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "closed" / "inner"))
    assert new_work_directory("lab-1", 65534, [65534]) == Path("/tmp/lab-1")


def test_a_long_temporary_directory_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="x" * 60) as long:
        monkeypatch.setattr(tempfile, "tempdir", long)
        assert new_work_directory("lab-1", os.getuid(), [os.getgid()]) == Path("/tmp/lab-1")
    with tempfile.TemporaryDirectory(prefix="x", dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        assert new_work_directory("lab-1", os.getuid(), [os.getgid()]) == Path(short) / "lab-1"


def test_no_place_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/absent")
    with pytest.raises(
        LabError, match=r"none of /absent, /tmp, /var/tmp can hold the XRootD servers' files; set TMPDIR to a directory"
    ):
        new_work_directory("l" * 60, os.getuid(), [os.getgid()])
