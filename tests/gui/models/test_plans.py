"""Plan files: who may read what is saved, and what is left when saving fails."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gui.models.plans import PlanFileError, PlanLibrary


@pytest.fixture
def umask() -> Iterator[None]:
    """A person whose group may read what they write."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_plan_has_the_rights_that_the_umask_gives(tmp_path: Path, umask: None) -> None:
    library = PlanLibrary(tmp_path / "plans")
    path = library.new_path("acceptance")
    library.save("# one\n", path)
    assert rights(path) == 0o640
    assert rights(path.parent) == 0o750


def test_a_plan_that_is_there_keeps_its_rights(tmp_path: Path, umask: None) -> None:
    library = PlanLibrary(tmp_path)
    path = tmp_path / "shared.toml"
    path.write_text("# one\n")
    path.chmod(0o664)
    library.save("# two\n", path)
    assert (rights(path), path.read_text()) == (0o664, "# two\n")


def test_what_cannot_be_saved_leaves_no_half_file(tmp_path: Path) -> None:
    taken = tmp_path / "acceptance.toml"
    taken.mkdir()
    with pytest.raises(PlanFileError, match=r"acceptance\.toml"):
        PlanLibrary(tmp_path).save("# one\n", taken)
    assert list(tmp_path.iterdir()) == [taken]
