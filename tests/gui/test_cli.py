"""Every command of `tally` on every kind of standard output: the right output or one sentence, and the right code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.store import Store, TestSpec

FULL = Path("/dev/full")
EVIL = "évil \x1b]0;title\x07 \x9b2J \u202e name"
LISTINGS = [
    ["results", "--list"],
    ["results", "--list", "--json"],
    ["results"],
    ["results", "--json"],
    ["results", "--format", "html"],
    ["results", "--requests"],
    ["results", "--schema"],
    ["runs", "list"],
    ["federation"],
    ["key", "list"],
    ["queue", "list"],
    ["--help"],
    ["--version"],
    ["results", "--help"],
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("output") / "w.db"
    with Store(path) as store:
        run = store.create_run(
            name=EVIL,
            plan_text="",
            settle=1.0,
            tests=(TestSpec(1, 1, 1, name=EVIL),),
            now=1.0,
            environment={},
            versions={},
        )
        store.set_run(run, state="stopped", message=f"stopped by {EVIL}", started=1.0, ended=2.0)
    return path


def tally(workspace: Path, *words: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess[bytes]:
    """What a command says on standard output and error, and its exit code. `shell`: with which redirections."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG", "TALLY"))
    }
    clean |= {"TALLY_DB": str(workspace), "TALLY_DATA": str(workspace.parent / "data")} | environment
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "gui.cli", *words]
    return subprocess.run(command, capture_output=True, env=clean, check=False, timeout=120)


def one_sentence(said: bytes) -> str:
    lines = said.decode().splitlines()
    assert len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_a_full_disk_is_one_sentence_and_a_failure(workspace: Path, words: list[str]) -> None:
    done = tally(workspace, *words, shell='"$@" >/dev/full')
    assert one_sentence(done.stderr) == "tally: standard output cannot be written: No space left on device."
    assert done.returncode == 1


@pytest.mark.parametrize("words", [["results"], ["results", "--list", "--json"], ["--version"]], ids=" ".join)
def test_a_closed_one_is_one_sentence_and_no_failure(workspace: Path, words: list[str]) -> None:
    """Who closes it wants nothing of it."""
    done = tally(workspace, *words, shell='"$@" >&-')
    assert one_sentence(done.stderr) == "tally: standard output cannot be written: it is closed."
    assert done.returncode == 0


@pytest.mark.parametrize(
    "words", [["results"], ["results", "--requests", "--verdict", "all"], ["--help"]], ids=" ".join
)
def test_a_reader_that_has_seen_enough_is_no_failure(workspace: Path, words: list[str]) -> None:
    # The pipe's reader is gone before anything is written to it.
    done = tally(workspace, *words, shell='{ "$@"; echo "code $?" >&2; } | exec true')
    assert done.stderr == b"code 0\n"


@pytest.mark.parametrize("shell", ['"$@" 2>/dev/full', '"$@" 2>&-', '"$@" >/dev/full 2>&1', '"$@" >&- 2>&-'])
def test_the_exit_code_of_a_mistake_needs_no_stream(workspace: Path, shell: str) -> None:
    done = tally(workspace, "results", "77", shell=shell)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_an_ascii_locale_gets_plain_signs(workspace: Path, words: list[str]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = tally(workspace, *words, **ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    if words in (["results"], ["results", "--list"], ["--help"]):
        assert done.stdout.isascii()
    if words == ["results"]:
        assert b"no result (stopped)" in done.stdout
        assert b"----" in done.stdout


@pytest.mark.parametrize("words", [words for words in LISTINGS if "--json" not in words], ids=" ".join)
def test_no_name_steers_a_terminal(workspace: Path, words: list[str]) -> None:
    done = tally(workspace, *words, LC_ALL="C.UTF-8")
    text = done.stdout.decode()
    assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
    if words[0] == "results" and words[1:] in ([], ["--list"]):
        assert "évil ·]0;title· ·2J · name" in text


def test_json_has_names_whole_and_escaped(workspace: Path) -> None:
    done = tally(workspace, "results", "--list", "--json", LC_ALL="C.UTF-8")
    assert rb'"name": "\u00e9vil' not in done.stdout
    assert "évil \\u001b]0;title\\u0007 \\u009b2J \\u202e name".encode() in done.stdout
