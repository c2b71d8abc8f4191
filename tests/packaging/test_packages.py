"""What packages are made of: units, dependencies, locked wheels. That they install, `make package-test` tries."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))
UNITS = ("tally-shoveler.service", "tally-collector.service", "tally-agent@.service")


@pytest.fixture(scope="module")
def wheels() -> Any:
    import wheels

    return wheels


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are installed."""
    hardening = (ROOT / "packaging/systemd/hardening.conf").read_text().rstrip("\n")
    for path in (ROOT / "packaging/systemd").glob("tally-*"):
        (tmp_path / path.name).write_text(path.read_text().replace("# @HARDENING@", hardening))
    return tmp_path


@pytest.mark.parametrize("name", UNITS)
def test_the_services_are_hardened(name: str, units: Path) -> None:
    unit = (units / name).rename(units / name.replace("@", "@client"))
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_says_what_the_programs_do(name: str, units: Path) -> None:
    text = (units / name).read_text()
    assert "RestartPreventExitStatus=2" in text
    assert "User=tally" in text
    assert "DynamicUser" not in text
    assert "WatchdogSec=" in text
    assert "# @HARDENING@" not in text


def test_credentials_of_a_unit_are_settings(units: Path) -> None:
    from agent.daemon import SCHEMA as AGENT
    from collector.config import SCHEMA as COLLECTOR
    from shoveler.config import SCHEMA as SHOVELER

    schemas: tuple[Any, ...] = (SHOVELER, COLLECTOR, AGENT)
    for name, schema in zip(UNITS, schemas, strict=True):
        passed = re.findall(r"^LoadCredential=([\w-]+):", (units / name).read_text(), re.MULTILINE)
        assert sorted(passed) == sorted(s.credential_name() for s in schema.settings if s.credential)


def test_only_what_runs_is_taken_from_the_lock(wheels: Any) -> None:
    names = {pin.name for pin in wheels.pins(ROOT / "requirements/daemons.txt")}
    assert names == {
        "cffi", "cryptography", "msgspec", "packaging", "pika", "prometheus-client", "psutil", "pycparser", "pyjwt",
        "pyyaml", "tomlkit", "websockets",
    }  # fmt: skip
    assert all(pin.hashes for pin in wheels.pins(ROOT / "requirements/run.txt"))


def test_one_version_of_each_for_all_pythons(wheels: Any) -> None:
    names = [pin.name for pin in wheels.pins(ROOT / "requirements/run.txt")]
    assert len(names) == len(set(names))


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_wheels_for_several_pythons_become_one_tree(wheels: Any, tmp_path: Path) -> None:
    one = wheel(tmp_path / "x-311.whl", {"x/__init__.py": b"#!/usr/bin/env python\n", "x/c.cpython-311.so": b"311"})
    two = wheel(tmp_path / "x-312.whl", {"x/__init__.py": b"#!/usr/bin/env python\n", "x/c.cpython-312.so": b"312"})
    wheels.merge([one, two], tmp_path / "tree")
    assert {path.name: path.read_bytes() for path in (tmp_path / "tree/x").iterdir()} == {
        "__init__.py": b"# /usr/bin/env python\n",
        "c.cpython-311.so": b"311",
        "c.cpython-312.so": b"312",
    }


def test_wheels_that_do_not_fit_together_end_the_build(wheels: Any, tmp_path: Path) -> None:
    one = wheel(tmp_path / "x-311.whl", {"x/a.py": b"1"})
    two = wheel(tmp_path / "x-312.whl", {"x/a.py": b"2"})
    with pytest.raises(ValueError, match=r"x/a.py of x-312.whl differs from that of x-311.whl"):
        wheels.merge([one, two], tmp_path / "tree")


def test_a_wheel_that_is_there_is_used_only_if_its_hash_is_locked(wheels: Any, tmp_path: Path) -> None:
    path = wheel(tmp_path / "x-1-py3-none-any.whl", {"x.py": b""})
    right = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert wheels._complete(tmp_path, [wheels.Pin("x", "1", (right,))]) == [path]
    assert wheels._complete(tmp_path, [wheels.Pin("x", "1", ("sha256:00",))]) is None
    assert wheels._complete(tmp_path, []) is None


def test_libraries_that_need_a_newer_glibc_are_found(wheels: Any, tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(Path(sys.executable).resolve())
    assert wheels.newest_glibc(tmp_path) == {}, "a link is checked where it leads to"
    (tmp_path / "copy").write_bytes(Path("/bin/true").read_bytes())
    ((_, newest),) = wheels.newest_glibc(tmp_path).items()
    assert (2, 4) < newest < (3,)


def test_the_icon_and_the_desktop_files_are_whole(tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    import stage

    svg = ElementTree.fromstring(stage.icon_svg())
    assert svg.get("viewBox") == "0 0 128 128"
    for name in ("org.xrootd.tally.mime.xml", "org.xrootd.tally.metainfo.xml"):
        ElementTree.fromstring((ROOT / "packaging/files" / name).read_text())
    entry = (ROOT / "packaging/files/org.xrootd.tally.desktop").read_text()
    mime = (ROOT / "packaging/files/org.xrootd.tally.mime.xml").read_text()
    (types,) = re.findall(r"^MimeType=(.*);$", entry, re.MULTILINE)
    assert all(f'type="{each}"' in mime for each in types.split(";"))
