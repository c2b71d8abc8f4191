"""How the processes that use XRootD are started, with a fresh interpreter, and what they leave to their agent."""

from __future__ import annotations

import signal
from typing import Literal

from shoveler.service.programs import part_command

Kind = Literal["worker", "probe"]
WORDS: dict[Kind, str] = {"worker": "--process=worker", "probe": "--process=probe"}
"""What a frozen program is told to be such a process."""


def process_command(kind: Kind) -> list[str]:
    """The command line of such a process."""
    return part_command(f"agent.workloads.{kind}", WORDS[kind])


def leave_signals_to_the_agent() -> None:
    """Ctrl-C in a terminal, and systemd when it stops a service, reach the agent and its processes alike.

    Only the agent acts on it, and then tells its processes; they end with their standard input in any case."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
