"""Programs that are started with closed standard streams (``>&-``)."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from shoveler.service.streams import open_standard_streams
open_standard_streams()
print("to standard output")
print("to standard error", file=sys.stderr)
sys.stdin.read()
taken = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
os.write(1, b"x")
os.write(2, b"x")
assert taken > 2, taken
assert os.read(taken, 10) == b""
sys.stdout.flush()
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ""])
def test_what_is_printed_goes_nowhere_and_into_no_other_file(closed: str, tmp_path: object) -> None:
    command = f'exec "$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, PROGRAM, f"{tmp_path}/file"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (b"to standard output" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))
    assert (b"to standard error" in done.stderr) == ("2>&-" not in closed)


@pytest.mark.parametrize(
    "words",
    [
        ("gui.cli", "key", "list"),
        ("gui.cli", "results", "--list"),
        ("gui.cli", "invite", "--role", "client", "--hub", "wss://h:1"),
        ("agent.cli", "lab", "status", "--dir", "lab"),
        ("shoveler.cli", "--version"),
        ("collector.cli", "--version"),
    ],
)
def test_programs_end_as_they_do_with_open_streams(words: tuple[str, ...], tmp_path: object) -> None:
    codes = {}
    for closed in ("", ">&-", "2>&-", ">&- 2>&-"):
        command = f'TALLY_DATA=. exec "$0" -m "$@" {closed}'
        codes[closed] = subprocess.run(
            ["bash", "-c", command, sys.executable, *words], cwd=str(tmp_path), capture_output=True, timeout=60
        ).returncode
    assert set(codes.values()) == {codes[""]}, codes
    assert codes[""] in (0, 1)
