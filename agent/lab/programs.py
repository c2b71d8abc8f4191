"""How our own programs are started, from a Python environment and from a frozen build alike."""

from __future__ import annotations

import sys
from pathlib import Path

_MODULES = {
    "tally-agent": "agent.cli",
    "tally-shoveler": "shoveler.cli",
    "tally-collector": "collector.cli",
}


def command(program: str) -> list[str]:
    """What starts `program`, to be followed by its arguments.

    In a frozen build (PyInstaller sets ``sys.frozen``) the programs lie beside one another; else it is this very
    interpreter with the program's module, which needs no console script on PATH.
    """
    if getattr(sys, "frozen", False):
        return [str(Path(sys.executable).with_name(program))]
    return [sys.executable, "-m", _MODULES[program]]
