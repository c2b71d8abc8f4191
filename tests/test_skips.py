from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import LIST, Skip, read_list, stale, unlisted

ROOT = Path(__file__).resolve().parents[1]

CONFTEST = """
from pathlib import Path
from tests.skips import Judge

def pytest_configure(config):
    config.pluginmanager.register(Judge(config, Path(__file__).with_name("skips.toml")), "tally-skips")
"""

TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.skipif(True, reason="no such hardware")
def test_by_mark(n):
    pass

def test_by_call():
    pytest.skip("not today")

@pytest.fixture
def machine():
    pytest.skip("no such machine")

def test_by_fixture(machine):
    pass

@pytest.mark.xfail(reason="known to fail")
def test_expected_to_fail():
    raise AssertionError
"""

WHOLE_FILE = """
import pytest
pytest.skip("no such system", allow_module_level=True)

def test_never_seen():
    pass
"""


def entry(test: str, reason: str) -> str:
    return f'[[skip]]\ntest = "{test}"\nreason = "{reason}"\nbecause = "that is how it is"\n'


ALL = "".join(
    entry(f"checks/test_some.py::{test}", reason)
    for test, reason in [
        ("test_by_mark", "no such hardware"),
        ("test_by_call", "not today"),
        ("test_by_fixture", "no such machine"),
        ("test_expected_to_fail", "known to fail"),
    ]
)
FILE = entry("checks/test_other.py", "no such system")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("listed", "complaints"),
    [
        (ALL + FILE, []),
        (
            ALL,
            ["checks/test_other.py was skipped (no such system): make it run here, or name it in tests/skips.toml"],
        ),
        (
            FILE + ALL.replace("not today", "some other day").replace("test_by_mark", "test_gone"),
            [
                "checks/test_some.py::test_by_call was skipped (not today): make it run here, or name it in "
                "tests/skips.toml",
                "checks/test_some.py::test_by_mark was skipped (no such hardware): make it run here, or name it in "
                "tests/skips.toml",
                "tests/skips.toml names checks/test_some.py::test_gone, which does not exist",
                "tests/skips.toml: checks/test_some.py::test_by_call gives no such reason: some other day",
            ],
        ),
    ],
)  # fmt: skip
def test_a_run_fails_for_what_is_skipped_and_not_listed(
    workers: int, listed: str, complaints: list[str], tmp_path: Path
) -> None:
    checks = tmp_path / "checks"
    checks.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = checks\naddopts = --import-mode=importlib\n")
    (checks / "conftest.py").write_text(CONFTEST)
    (checks / "test_some.py").write_text(TESTS)
    (checks / "test_other.py").write_text(WHOLE_FILE)
    (checks / "skips.toml").write_text(listed)
    alone = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # no Qt: that is most of its time
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xdist", "-n", str(workers)],
        cwd=tmp_path, env={**os.environ, **alone}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if "tests/skips.toml" in line]
    assert sorted(said) == complaints, done.stdout + done.stderr
    assert done.returncode == (1 if complaints else 0)


def test_an_entry_is_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "skips.toml"
    path.write_text('[[skip]]\ntest = "t"\nreason = "r"\n')
    with pytest.raises(ValueError, match="an entry has test, reason and because"):
        read_list(path)
    path.write_text(entry("t", "r") * 2)
    with pytest.raises(ValueError, match="an entry is there twice"):
        read_list(path)


def test_parameters_do_not_count() -> None:
    skipped = [Skip("t.py::t[1]", "r"), Skip("t.py::t[2]", "r")]
    assert unlisted(skipped, [Skip("t.py::t", "r")]) == []
    assert len(unlisted(skipped, [])) == 1


def test_the_list_holds() -> None:
    """What a whole run says of it, said in this one test as well."""
    listed = read_list(LIST)
    assert stale(listed, {skip.test for skip in listed}, ROOT) == []
