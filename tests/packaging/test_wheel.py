"""The wheel in an environment of its own: it has all that the four programs need, and they start from there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("agent", "collector", "gui", "resources", "shoveler")
PROGRAMS = ("tally", "tally-agent", "tally-shoveler", "tally-collector")


def call(*command: str | Path, directory: Path) -> str:
    """What it prints; nothing of our environment or checkout is handed on."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the environment `env`, in which the wheel is installed; its dependencies are those of ours."""
    place = tmp_path_factory.mktemp("installed")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place, directory=ROOT)
    (wheel,) = place.glob("*.whl")
    call(sys.executable, "-m", "venv", "--without-pip", place / "env", directory=place)
    python = place / "env/bin/python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    call(*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", wheel, directory=place)
    # A path in a .pth file is not searched for .pth files: our own checkout, which is installed there, does not count.
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", directory=place).strip())
    (site / "dependencies.pth").write_text(
        "".join(f"{path}\n" for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    )
    return place


def test_each_package_is_imported_from_the_environment(place: Path) -> None:
    code = f"for name in {PACKAGES}: print(__import__(name).__file__)"
    files = call(place / "env/bin/python", "-c", code, directory=place).splitlines()
    assert [Path(file).is_relative_to(place / "env") for file in files] == [True] * len(PACKAGES), files


def test_nothing_is_missing(place: Path) -> None:
    def files(root: Path) -> set[str]:
        every = (file for package in PACKAGES for file in (root / package).rglob("*"))
        return {str(file.relative_to(root)) for file in every if file.is_file() and file.suffix != ".pyc"}

    (site,) = (place / "env").glob("lib/python*/site-packages")
    assert files(site) == files(ROOT)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_tells_its_version(place: Path, program: str) -> None:
    assert version("xrootd-tally") in call(place / "env/bin" / program, "--version", directory=place)


def test_tally_makes_a_workspace(place: Path) -> None:
    call(place / "env/bin/tally", "key", "create", "--shared", "--db", place / "work.db", directory=place)
    assert (place / "work.db").is_file()


def test_the_agent_checks_the_sample_of_a_monitoring_line(place: Path) -> None:
    said = call(place / "env/bin/tally-agent", "check-config", sample(place, "xrootd-monitoring.cfg"), directory=place)
    assert "xrootd-monitoring.cfg" in said


def test_the_shoveler_takes_the_sample_of_its_settings(place: Path) -> None:
    settings = sample(place, "tally-shoveler.toml")
    said = call(place / "env/bin/tally-shoveler", "--check-config", "-c", settings, directory=place)
    assert "listen = [[::]:9993]" in said


def test_the_collector_shows_a_capture(place: Path) -> None:
    capture = ROOT / "tests/captures/5.5.3/full-reads.jsonl"
    assert "means: server identity" in call(place / "env/bin/tally-collector", "inspect", capture, directory=place)


def sample(place: Path, name: str) -> Path:
    (found,) = (place / "env").glob(f"lib/python*/site-packages/resources/samples/{name}")
    return found
