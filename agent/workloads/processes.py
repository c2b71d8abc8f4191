"""How the processes that use XRootD are started: with a fresh interpreter, also from a frozen program."""

from __future__ import annotations

import signal
import sys
from typing import Literal

Kind = Literal["worker", "probe"]


def process_command(kind: Kind) -> list[str]:
    """The command line of such a process. A frozen program has no interpreter; it is then its own (see `run`)."""
    if getattr(sys, "frozen", False):
        return [sys.executable, _PREFIX + kind]
    return [sys.executable, "-m", f"agent.workloads.{kind}"]


_PREFIX = "--process="


def leave_signals_to_the_agent() -> None:
    """Ctrl-C in a terminal, and systemd when it stops a service, reach the agent and its processes alike.

    Only the agent acts on it, and then tells its processes; they end with their standard input in any case."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def run(arguments: list[str]) -> int | None:
    """Be the process that `process_command` of a frozen program meant; None when the arguments mean something else."""
    if arguments == [_PREFIX + "worker"]:
        from agent.workloads import worker

        return worker.main()
    if arguments == [_PREFIX + "probe"]:
        from agent.workloads import probe

        return probe.main()
    return None
