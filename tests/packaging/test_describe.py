"""What the deb and rpm packages are described with is what nfpm can read, and names files that are there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["tally-agent", "tally-shoveler", "tally-collector"]


@pytest.fixture
def described() -> dict:
    command = [
        ROOT / "packaging/describe.sh",
        "xrootd-tally-daemons",
        "xrootd-tally",
        "1.2.3",
        "amd64",
        "About it: all.",
    ]
    return yaml.safe_load(subprocess.run([*command, *PROGRAMS], check=True, capture_output=True, text=True).stdout)  # type: ignore[list-item]


def test_nothing_is_left_to_be_filled_in(described: dict) -> None:
    assert described["name"] == "xrootd-tally-daemons"
    assert described["version"] == "1.2.3"
    assert described["description"] == "About it: all.\n"
    assert described["conflicts"] == ["xrootd-tally"]
    assert described["overrides"] == {"deb": {"replaces": ["xrootd-tally"]}}
    assert "replaces" not in described, "an rpm of this would obsolete the other package, at every upgrade"
    assert "@" not in str(described).replace("tally@localhost", "").replace("tally-agent@.service", "")


def test_its_programs_are_on_the_path(described: dict) -> None:
    links = {entry["dst"]: entry["src"] for entry in described["contents"] if entry.get("type") == "symlink"}
    assert links == {f"/usr/bin/{name}": f"/opt/xrootd-tally-daemons/{name}" for name in PROGRAMS}


def test_its_files_are_in_the_checkout(described: dict) -> None:
    sources = [entry["src"] for entry in described["contents"] if entry.get("type") not in ("symlink", "tree")]
    assert sources
    assert [source for source in sources if not (ROOT / source).is_file()] == []
