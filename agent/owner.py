"""Ends an agent together with the program that started it, however that ends: ``kill -9`` too.

The program writes itself to a file, its process id and when it started, and starts the agent with ``--owner FILE``. The
agent looks at the file once a second, and at once when the kernel says that its parent is gone (Linux). A program that
goes on with the run of another one writes itself to the same file before that ends: the agent then stays.

If the file lies in a directory that is marked as temporary, nobody else will remove that: each agent takes its own part
of it away, the key first, and the last one the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

import msgspec
import psutil

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
TEMPORARY = "temporary"
"""The file that marks a directory which ends with its owner."""
_PR_SET_PDEATHSIG = 1


class Owner(msgspec.Struct, frozen=True):
    """A process: its id, and when it started (Unix seconds)."""

    pid: int
    began: float

    @classmethod
    def of(cls, pid: int) -> Owner:
        """The process with this id. Raises psutil.NoSuchProcess."""
        return cls(pid, float(psutil.Process(pid).create_time()))

    def alive(self) -> bool:
        """Whether it is running; another process that got its id is not meant."""
        try:
            process = psutil.Process(self.pid)
            same = abs(float(process.create_time()) - self.began) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True

    def write(self, file: Path) -> None:
        """Make it the owner of the agents that look at this file."""
        new = file.with_name(f"{file.name}.new")
        new.write_bytes(msgspec.json.encode(self))
        new.replace(file)


def read_owner(file: Path) -> Owner | None:
    """Who is named in the file; None if nobody is."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def is_over(file: Path) -> bool:
    """Whether the program named in the file has ended, or the file is gone."""
    owner = read_owner(file)
    return owner is None or not owner.alive()


async def ended(file: Path) -> None:
    """Return when the program named in the file has ended, or the file is gone."""
    look = asyncio.Event()
    if sys.platform == "linux":
        # The kernel's signal only says when to look: whether the owner is gone is told by the file.
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, look.set)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGUSR1), 0, 0, 0)
    while not is_over(file):
        look.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await look.wait()
        if look.is_set():  # it is dying: a moment, and it is gone
            await asyncio.sleep(0.05)
    _log.warning("! the program that started this agent has ended; the agent ends, too")


def clear_up(file: Path, key_file: Path | None, state: Path) -> None:
    """After `ended`: remove what this agent has in a temporary directory; in any other, nothing."""
    directory = file.parent
    if not (directory / TEMPORARY).is_file() or state.parent != directory:
        return
    if key_file is not None and key_file.parent == directory:
        key_file.unlink(missing_ok=True)
    shutil.rmtree(state, ignore_errors=True)
    if not any(path.is_dir() for path in directory.glob("*")):
        shutil.rmtree(directory, ignore_errors=True)


def clear_up_after_others(parent: Path, prefix: str) -> None:
    """Remove the temporary directories of this user that have lost their owner with all its agents: a machine that was
    switched off."""
    for directory in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another user's, or gone by now
            marked = (directory / TEMPORARY).stat()
            owner = read_owner(directory / "owner")
            if marked.st_uid == os.getuid() and owner is not None and not owner.alive():
                shutil.rmtree(directory, ignore_errors=True)
