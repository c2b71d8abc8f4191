"""Programs that use a database: who they are, and whether they are still running."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import psutil
from msgspec import Meta, Struct

SILENT_SECONDS = 30.0
"""A program on another machine that has been silent for this many seconds is considered gone."""


class Program(Struct, frozen=True):
    """A process; `began` is when it started, `t` its last sign of life."""

    host: str
    pid: Annotated[int, Meta(ge=0)]
    began: float
    t: float

    def alive(self, now: float, silent: float = SILENT_SECONDS) -> bool:
        """Whether it is running at `now`; on another machine: whether it reported in the last `silent` seconds."""
        if self.host == socket.gethostname():
            try:
                return abs(float(psutil.Process(self.pid).create_time()) - self.began) < 1.0
            except psutil.NoSuchProcess:
                return False
        return now - self.t < silent


def this_program(now: float) -> Program:
    """The calling program."""
    process = psutil.Process()
    return Program(socket.gethostname(), os.getpid(), process.create_time(), now)
