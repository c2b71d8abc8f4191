"""Processes by pid: identifying them, stopping several, and making a child die with us."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from agent.messages import LabProcess
from shoveler.service.programs import environment_for_others

_POLL = 0.02
_FOREIGN = ("TALLY_", "LISTEN_", "NOTIFY_", "WATCHDOG_")


def identity(pid: int) -> str:
    """Distinguishes a process from every other that has, had or will have its pid; "" if it is gone (or only a zombie).
    Made from the boot id and the start time in kernel ticks, which no clock change alters.
    """
    started = start_ticks(pid)
    if started is None:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return f"{boot}-{started}"


def start_ticks(pid: int) -> int | None:
    """When a process began, in kernel ticks since the boot (field 22 of /proc/PID/stat); None if it is gone. A zombie
    is gone, except while other threads of it still end: until then nobody can wait for it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    return None if state == "Z" and threads <= 1 else started


def alive(process: LabProcess) -> bool:
    """Whether this process still runs; another one with the same pid does not count."""
    return process.pid > 0 and process.identity != "" and identity(process.pid) == process.identity


def end(processes: Iterable[LabProcess], grace: float) -> list[LabProcess]:
    """SIGTERM to all of them, SIGKILL to those that still run after `grace` seconds; returns those that survived even
    that. Works on children of other processes. Processes that are gone, or whose pid is another's now, are left alone.
    """
    left = _signal(processes, signal.SIGTERM)
    left = _wait(left, grace)
    left = _signal(left, signal.SIGKILL)
    return _wait(left, 5.0)


def clean_environment() -> dict[str, str]:
    """Our environment, without what an operator or a service manager intended for us (settings, secrets, sockets)."""
    return environment_for_others(without=_FOREIGN)


def dies_with_us(command: list[str]) -> list[str]:
    """The command, started so that the kernel sends it SIGTERM when the thread that starts it ends, however it ends.

    By util-linux's ``setpriv``, which Debian always has; without it a child outlives a killed supervisor until `down`.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command


def _signal(processes: Iterable[LabProcess], number: signal.Signals) -> list[LabProcess]:
    running = [p for p in processes if alive(p)]
    for process in running:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            pass  # it ended by itself just now
    return running


def _wait(processes: list[LabProcess], seconds: float) -> list[LabProcess]:
    deadline = time.monotonic() + seconds
    while left := [p for p in processes if alive(p)]:
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL)
    return []
