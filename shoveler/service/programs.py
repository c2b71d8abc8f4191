"""How our own programs, and parts of them in processes of their own, are started, both from a Python environment and
from a frozen build.

A frozen build (PyInstaller sets ``sys.frozen``) has no interpreter: its programs are in one directory, and the first
argument selects a part of a program. Otherwise this interpreter is used, which needs no console script on PATH.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

_MODULES = {
    "tally": "gui.cli",
    "tally-agent": "agent.cli",
    "tally-shoveler": "shoveler.cli",
    "tally-collector": "collector.cli",
}


def is_frozen() -> bool:
    """Whether this is a frozen build."""
    return bool(getattr(sys, "frozen", False))


def program_command(program: str) -> list[str]:
    """The command that starts `program`, without its arguments."""
    if is_frozen():
        return [str(Path(sys.executable).with_name(program))]
    return [sys.executable, "-m", _MODULES[program]]


def part_command(module: str, word: str) -> list[str]:
    """The command that starts a part of this program: its module, or, when frozen, the program with the argument
    `word`."""
    return [sys.executable, word] if is_frozen() else [sys.executable, "-m", module]


def environment_for_others(without: Collection[str] = ()) -> dict[str, str]:
    """Our environment for other programs, without variables that begin with one of `without`, and without the library
    path of a frozen build: with that, other programs would load our libraries."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(tuple(without))}
    if is_frozen():
        before = clean.pop("LD_LIBRARY_PATH_ORIG", "")  # PyInstaller keeps it there
        clean.pop("LD_LIBRARY_PATH", None)
        if before:
            clean["LD_LIBRARY_PATH"] = before
    return clean
