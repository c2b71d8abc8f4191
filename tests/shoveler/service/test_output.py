"""Standard output that cannot be written: noticed, said in one sentence, and the work goes on to its own exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURE = Path(__file__).parents[2] / "captures" / "5.5.3" / "burst-fbuff-1472.jsonl"
SCRIPT = """
import sys
from shoveler.service.output import printing
def work():
    for number in range(3):
        print("line", number, flush=True)
    print("worked", file=sys.stderr)
    return int(sys.argv[1])
sys.exit(printing("program", work, decides=lambda: sys.argv[2] != "work", ends=sys.argv[2] == "ends"))
"""
FULL = "program: standard output cannot be written: No space left on device.\n"
CLOSED = "program: standard output cannot be written: it is closed.\n"


def run(code: int, kind: str, shell: str) -> tuple[int, str]:
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", SCRIPT, str(code), kind]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("code", "kind", "shell", "ended"),
    [
        (0, "prints", '"$@"', (0, "worked\n")),
        (0, "prints", '"$@" >/dev/full', (1, "worked\n" + FULL)),
        (0, "prints", '"$@" >&-', (0, "worked\n" + CLOSED)),
        (3, "prints", '"$@" >/dev/full', (3, "worked\n" + FULL)),
        (0, "work", '"$@" >/dev/full', (0, "worked\n" + FULL)),
        (0, "ends", '"$@" >/dev/full', (1, FULL)),
        (0, "ends", '"$@" >&-', (0, CLOSED)),
        (0, "prints", '"$@" 2>/dev/full', (0, "")),
        (0, "prints", '"$@" >/dev/full 2>&-', (1, "")),
    ],
)
def test_what_becomes_of_a_command(code: int, kind: str, shell: str, ended: tuple[int, str]) -> None:
    assert run(code, kind, shell) == ended


@pytest.mark.parametrize(("kind", "said"), [("prints", b"worked\n"), ("ends", b"")])
def test_a_reader_that_has_seen_enough_needs_no_sentence(kind: str, said: bytes) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", SCRIPT, "0", kind]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, said)


@pytest.mark.parametrize(
    "words",
    [
        ["shoveler.cli", "status"],
        ["shoveler.cli", "--check-config"],
        ["collector.cli", "--help"],
        ["collector.cli", "inspect", "{capture}"],
        ["collector.cli", "--version"],
        ["agent.cli", "check-config", "{capture}"],
        ["agent.cli", "lab", "status", "--dir", "{nothing}"],
    ],
    ids=" ".join,
)
def test_every_program_says_it_in_one_sentence(words: list[str], tmp_path: Path) -> None:
    places = {"{capture}": str(CAPTURE), "{nothing}": str(tmp_path / "nothing")}
    command = [sys.executable, "-m", *(places.get(word, word) for word in words)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    program = f"tally-{words[0].partition('.')[0]}"
    assert done.stderr.splitlines()[-1] == f"{program}: standard output cannot be written: No space left on device."
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
