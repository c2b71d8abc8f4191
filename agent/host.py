"""What the agent reports about its machine and itself: names, versions, processor and memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import psutil

from agent.messages import Register

SHORTEST: Final = 0.5
"""Minimum number of seconds over which processor use is measured."""


def version() -> str:
    """Version of this program."""
    return importlib.metadata.version("xrootd-tally")


def xrootd_client_version() -> str:
    """Version of the installed XRootD client for Python, without importing it; "" when there is none."""
    try:
        return importlib.metadata.version("xrootd")
    except importlib.metadata.PackageNotFoundError:
        return ""


def curl_version() -> str:
    """Version of pycurl, which brings libcurl, without importing it; "" when it is not installed."""
    try:
        return importlib.metadata.version("pycurl")
    except importlib.metadata.PackageNotFoundError:
        return ""


def describe(
    *,
    role: Literal["client", "server"],
    name: str,
    labels: list[str],
    xrootd: str = "",
    curl: str = "",
    server: str = "",
    servers: Sequence[str] = (),
    journal: str = "",
    journal_last: int = 0,
) -> Register:
    """The Register message of this agent on this machine."""
    return Register(
        role=role,
        version=version(),
        host=socket.gethostname()[:256],
        name=name,
        pid=os.getpid(),
        platform=platform.platform()[:256],
        cpus=os.cpu_count() or 0,
        xrootd=xrootd[:256],
        curl=curl[:256],
        server=server,
        servers=list(servers),
        labels=labels,
        journal=journal,
        journal_last=journal_last,
    )


class Usage(NamedTuple):
    """What the agent and its workers use: `cpu` per cent of one core, `memory` bytes, `busiest` the `cpu` of the one
    process that uses most."""

    cpu: float = 0.0
    memory: int = 0
    busiest: float = 0.0


class Load:
    """Processor and memory use of the agent with its workers."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        """Processor seconds of each process when it was last seen alive."""
        self._at = time.monotonic()
        self._last = Usage()
        self._used([])

    def measure(self, workers: Iterable[int]) -> Usage:
        """Since the last call; called too soon, it returns the same again."""
        elapsed = time.monotonic() - self._at
        if elapsed < SHORTEST:
            return self._last
        self._at += elapsed
        used, memory = self._used(workers)
        self._last = Usage(
            round(100 * sum(used) / elapsed, 1), memory, round(100 * max(used, default=0.0) / elapsed, 1)
        )
        return self._last

    def _used(self, workers: Iterable[int]) -> tuple[list[float], int]:
        """Processor seconds of each process since the last call, and the memory of all. What a process used between the
        last call and its end is not counted."""
        used: list[float] = []
        memory = 0
        seen: dict[int, float] = {}
        for pid in (os.getpid(), *workers):
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                memory += process.memory_info().rss
            except psutil.Error:
                continue
            seen[pid] = times.user + times.system
            used.append(max(0.0, seen[pid] - self._seconds.get(pid, 0.0)))
        self._seconds = seen
        return used, memory
