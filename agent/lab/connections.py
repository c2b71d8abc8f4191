"""Cuts a server's TCP connections while it and its clients keep running, as a failing firewall or switch does."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path

from agent.lab.errors import LabError

_PIDFD_GETFD = 438
_ESTABLISHED = "01"
_libc = ctypes.CDLL(None, use_errno=True)


def cut(pid: int, port: int) -> int:
    """Shut down the connections of process `pid` on its TCP port `port`; returns how many. Each socket is duplicated
    from the process and shut down in both directions, so that both ends notice at once. Raises LabError if the kernel
    does not allow it.
    """
    inodes = _connections(pid, port)
    count = 0
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    try:
        for number, inode in _sockets(pid):
            if inode in inodes:
                count += _shut(process, number)
    finally:
        os.close(process)
    return count


def _connections(pid: int, port: int) -> set[str]:
    """Inodes of the established connections on this port, in the network of that process."""
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            continue  # no IPv6, or it has just ended
        for fields in map(str.split, lines):
            if fields[3] == _ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _sockets(pid: int) -> list[tuple[int, str]]:
    """(descriptor, inode) of each socket that the process has open."""
    found = []
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith("socket:["):
                found.append((int(entry.name), target[8:-1]))
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has just ended
    except PermissionError:
        raise LabError(f"no permission to read the connections of process {pid}; run the lab as root") from None
    return found


def _shut(process: int, descriptor: int) -> int:
    borrowed = _libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    if borrowed < 0:
        number = ctypes.get_errno()
        if number in (3, 9):  # ESRCH, EBADF: it has already closed or ended
            return 0
        raise LabError(
            f"the kernel does not allow the lab to cut a connection ({os.strerror(number)}); run the lab as root, "
            "outside of a container that forbids it"
        )
    with socket.socket(fileno=borrowed) as connection:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return 0  # the other end was faster
    return 1
