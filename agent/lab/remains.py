"""Removes what a lab left: used by the supervisor when it ends, and by `down` and `up` after a supervisor that died."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import msgspec

from agent.lab import names
from agent.lab.broker import BrokerError, PrivateBroker
from agent.lab.errors import LabError
from agent.lab.layout import Layout
from agent.lab.options import is_amqp
from agent.lab.pids import alive, end
from agent.lab.state import write_state
from agent.messages import LabState

_GRACE = 3.0


def supervisor_alive(state: LabState) -> bool:
    return any(alive(p) for p in state.processes if p.kind == "supervisor")


def remove(state: LabState, *, keep: str = "") -> list[str]:
    """End every process of the lab except ourselves, delete its names, remove its directories. Returns one sentence for
    each thing that could not be removed. If there is any, the state file stays, so that `down` can be repeated. `keep`
    names a file in the lab's directory that stays, and so does the directory then. Can be repeated. Takes up to about
    ten seconds if a broker does not answer.
    """
    problems = _end_processes(state) + _end_broker(state) + _delete_names(state)
    if state.broker == "local" and state.bus:
        problems += _remove_tree(Path(state.bus))
    if state.work_directory:
        problems += _remove_tree(Path(state.work_directory))
    layout = Layout(Path(state.directory))
    kept = {layout.state.name} if problems else {keep}
    if layout.directory.is_dir():
        for path in layout.directory.iterdir():
            if path.name not in kept:
                problems += _remove_tree(path)
        if problems:
            gone = msgspec.structs.replace(state, state="failed", error="; ".join(problems), processes=[], servers=[])
            write_state(gone)
        elif not keep:
            problems += _remove_tree(layout.directory)
    return problems


def _end_processes(state: LabState) -> list[str]:
    """The supervisor first, because it would restart the others; then servers, shovelers, collector."""
    left = []
    for kind in ("supervisor", "cmsd", "xrootd", "shoveler", "collector"):
        left += end([p for p in state.processes if p.kind == kind and p.pid != os.getpid()], _GRACE)
    return [f"{p.name} (pid {p.pid}) does not end, not even after kill -9" for p in left]


def _end_broker(state: LabState) -> list[str]:
    directory = Layout(Path(state.directory)).broker
    if state.broker != "private" or not directory.is_dir():
        return []
    try:
        PrivateBroker.attach(directory).kill()
    except BrokerError as error:
        # It writes its state as soon as it has a process: without a state there is nothing to end.
        return [] if not (directory / "broker.json").exists() else [str(error)]
    return []


def _delete_names(state: LabState) -> list[str]:
    if state.broker != "given" or not is_amqp(state.bus):
        return []
    try:
        names.delete(state.bus, names.Names(state.prefix))
    except LabError as error:
        return [str(error)]
    return []


def _remove_tree(path: Path) -> list[str]:
    """A file, a link or a whole directory; read-only directories, such as that of the shared files, are made writable
    first."""
    if not os.path.lexists(path):
        return []
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return []
    deadline = time.monotonic() + 3.0
    while True:
        if os.getuid() != 0:  # root needs no mode, and must not follow a link made by the servers' user
            for directory, _, _ in os.walk(path):
                Path(directory).chmod(0o700)
        try:
            shutil.rmtree(path)
        except OSError as error:
            # A process that is just ending may still have created a file.
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            return [f"{path} cannot be removed ({error.strerror or error})"]
        return []
