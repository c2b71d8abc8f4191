"""Every command of ours that a page shows is one that the programs accept: its words, and each of its options."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "packaging"))
from manuals import Command, program_of  # noqa: E402

PROGRAMS = {name: program_of(name) for name in ("tally", "tally-agent", "tally-shoveler", "tally-collector")}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
START = re.compile(r"(?:sudo (?:-u \w+ )?)?(tally(?:-agent|-shoveler|-collector)?)(?= |$)")
OF_THE_WINDOW = {"--hub", "--kid", "--key-file", "--name", "--pin", "--ca-file"}
"""Options of `tally` alone, which opens a window on another machine's hub: its help names them in a sentence."""
INLINE = re.compile(r"`([^`\n]+)`")


def shown(text: str) -> Iterator[str]:
    """The commands in indented blocks, whose lines may go on after a backslash, and between backquotes."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("    "):
            for part in re.split(r"\s+#|\s\s\s+|&&|;|\|\s", line.strip()):
                yield part.strip()
        else:
            yield from INLINE.findall(line)


def wrong(line: str) -> str:
    """What of a command its program does not know; empty for none, and for what is no command of ours."""
    match = START.match(line)
    if match is None:
        return ""
    command = PROGRAMS[match[1]]
    flags = {flag for option in command.options for flag in option.flags}
    flags |= OF_THE_WINDOW if command is PROGRAMS["tally"] else set()
    for word in re.findall(r"[^\s\[\]…]+", line[match.end() :]):
        below = _below(command, word)
        if below is not None:
            command = below
            flags |= {flag for option in command.options for flag in option.flags}
        elif re.match(r"--?[a-z]", word) and word.partition("=")[0] not in flags:
            return f"{command.name} has no option {word}"
    return ""


def _below(command: Command, word: str) -> Command | None:
    first = word.partition("|")[0]  # stop|pause|resume
    return next((each for each in command.commands if each.name == f"{command.name} {first}"), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    found = [f"{line}: {said}" for line in shown(page.read_text()) if (said := wrong(line))]
    assert found == []


def test_what_is_wrong_is_found() -> None:
    assert wrong("tally-shoveler --no-such-option") == "tally-shoveler has no option --no-such-option"
    assert wrong("sudo -u tally tally-shoveler status --jsno") == "tally-shoveler status has no option --jsno"
    assert wrong("tally-collector status --state DIR --json") == ""
    assert len([1 for page in PAGES for line in shown(page.read_text()) if START.match(line)]) > 150
