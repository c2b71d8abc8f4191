"""How the processes that use XRootD are started: with a fresh interpreter, also from a frozen program."""

from __future__ import annotations

import sys
from typing import Literal

Kind = Literal["worker", "probe"]


def process_command(kind: Kind) -> list[str]:
    """The command line of such a process. A frozen program has no interpreter; it is then its own (see `run`)."""
    if getattr(sys, "frozen", False):
        return [sys.executable, _PREFIX + kind]
    return [sys.executable, "-m", f"agent.workloads.{kind}"]


_PREFIX = "--process="


def run(arguments: list[str]) -> int | None:
    """Be the process that `process_command` of a frozen program meant; None when the arguments mean something else."""
    if arguments == [_PREFIX + "worker"]:
        from agent.workloads import worker

        return worker.main()
    if arguments == [_PREFIX + "probe"]:
        from agent.workloads import probe

        return probe.main()
    return None
