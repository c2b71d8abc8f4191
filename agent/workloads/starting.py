"""How the processes that use XRootD are started, with a new interpreter, and which signals they leave to the agent."""

from __future__ import annotations

import signal
from typing import Literal, get_args

from shoveler.service.programs import part_command

Kind = Literal["worker", "probe", "inquiry"]
WORDS: dict[Kind, str] = {kind: f"--process={kind}" for kind in get_args(Kind)}
"""The argument that makes a frozen program such a process."""


def process_command(kind: Kind) -> list[str]:
    """The command line of such a process."""
    return part_command(f"agent.workloads.{kind}", WORDS[kind])


def leave_signals_to_the_agent() -> None:
    """Ctrl-C in a terminal, and systemd when it stops a service, signal the agent and its processes alike.

    Only the agent acts on the signal and then tells its processes; they also end when their standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
