"""Paths of the parts of a lab."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.lab.errors import LabError

LONGEST_WORK_DIRECTORY = 60
"""XRootD makes a socket ``WORK/adm/NAME/.xrootd/admin``, and a socket's path has at most 107 characters."""


def default_directory() -> Path:
    """``$XDG_RUNTIME_DIR/tally-lab``, else ``/tmp/tally-lab-UID``."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "tally-lab" if runtime else Path(f"/tmp/tally-lab-{os.getuid()}")  # noqa: S108 - made 0700


def command(verb: str, directory: Path) -> str:
    """The command `tally-agent lab VERB` for the lab in `directory`, for use in a sentence."""
    there = "" if directory == default_directory() else f" --dir {shlex.quote(str(directory))}"
    return f"`tally-agent lab {verb}{there}`"


@dataclass(frozen=True, slots=True)
class Layout:
    """The lab's directory, mode 0700, and what is in it."""

    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor while it runs."""
        return self.directory / "lock"

    @property
    def control(self) -> Path:
        return self.directory / "control"

    @property
    def broker(self) -> Path:
        return self.directory / "broker"

    @property
    def bus(self) -> Path:
        """The local bus, if none is given."""
        return self.directory / "bus"

    @property
    def collector(self) -> Path:
        return self.directory / "collector"

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    @property
    def ledger(self) -> Path:
        """The injector's log."""
        return self.directory / "faults.jsonl"

    @property
    def authority(self) -> Path:
        """The certificate of the lab's authority, which clients are to trust."""
        return self.directory / "ca.pem"

    @property
    def issuer(self) -> Path:
        """The key of the issuer of tokens, if the lab has one."""
        return self.directory / "issuer.key"

    @property
    def servers_link(self) -> Path:
        """Link to the work directory, for people who look around."""
        return self.directory / "servers"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def spool(self, name: str) -> Path:
        return self.directory / "spool" / name


def new_work_directory(lab: str, uid: int, gids: list[int]) -> Path:
    """A path, not created yet, for the servers of the lab called `lab`, that their user can reach. Raises LabError if
    no temporary directory is suitable.
    """
    tried = list(dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"]))  # noqa: S108 - made with mode 0700
    for parent in tried:
        path = Path(parent) / lab
        if len(str(path)) <= LONGEST_WORK_DIRECTORY and _can_reach(Path(parent), uid, gids):
            return path
    raise LabError(
        f"none of {', '.join(tried)} can hold the XRootD servers' files; set TMPDIR to a directory with a short path"
    )


def _can_reach(directory: Path, uid: int, gids: list[int]) -> bool:
    """Whether that user may enter the directory and all above it (plain modes; access lists are ignored)."""
    if not directory.is_dir():
        return False
    resolved = directory.resolve()
    for place in (resolved, *resolved.parents):
        status = place.stat()
        if uid == 0:
            continue
        wanted = 0o100 if status.st_uid == uid else 0o010 if status.st_gid in gids else 0o001
        if not status.st_mode & wanted:
            return False
    return True
