"""Communication with the service manager: systemd's notifications and sockets, and the signals of a daemon.

None of this needs systemd. Without ``NOTIFY_SOCKET`` the notifier does nothing; `with_sockets` lets any parent pass
sockets to a program like systemd does, which is how the lab keeps a daemon's socket while the daemon restarts.
"""

from __future__ import annotations

import array
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping, Sequence
from types import FrameType

_FIRST_FD = 3  # SD_LISTEN_FDS_START
STORED = "stored"
"""The name of the sockets that systemd keeps for us over a restart."""

# Moves the inherited descriptors to 3, 4, … as the protocol requires and becomes the program; LISTEN_PID is known only
# here, after the fork. First all are moved out of the way, since a source may itself be number 3.
_SHIM = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 200) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def with_sockets(command: Sequence[str], sockets: Sequence[socket.socket]) -> tuple[list[str], tuple[int, ...]]:
    """(arguments, pass_fds) for `subprocess.Popen` that start `command` with these sockets, as systemd would.

    The caller keeps its sockets open: they, and what waits in them, outlive the program.
    """
    if not sockets:
        return list(command), ()
    fds = tuple(s.fileno() for s in sockets)
    return [sys.executable, "-I", "-S", "-c", _SHIM, ",".join(map(str, fds)), *command], fds


def listen_fds(environ: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The sockets handed over by systemd or by `with_sockets`; [] when there are none. See `named_sockets`."""
    return [sock for _name, sock in named_sockets(environ)]


def named_sockets(environ: MutableMapping[str, str] | None = None) -> list[tuple[str, socket.socket]]:
    """(name, socket) of each that was handed over; those that this service stored before its restart (`Notifier.store`)
    have the name `STORED`.

    The variables are removed, so that no child process mistakes the sockets for its own. Raises ValueError when
    ``LISTEN_FDS`` is not a number or a descriptor is no socket.
    """
    env = os.environ if environ is None else environ
    pid, count = env.pop("LISTEN_PID", ""), env.pop("LISTEN_FDS", "")
    names = env.pop("LISTEN_FDNAMES", "").split(":")
    if not count or (pid and pid != str(os.getpid())):
        return []
    if not count.isdigit():
        raise ValueError(f"LISTEN_FDS must be a number of sockets, not {count!r}")
    names += [""] * (int(count) - len(names))
    sockets = []
    for fd, name in zip(range(_FIRST_FD, _FIRST_FD + int(count)), names, strict=False):
        try:
            inherited = socket.socket(fileno=fd)
        except OSError as error:
            raise ValueError(f"LISTEN_FDS says that descriptor {fd} is a socket: {error.strerror}") from None
        inherited.set_inheritable(False)
        sockets.append((name, inherited))
    return sockets


class Notifier:
    """Reports our state to systemd (``sd_notify``). Without ``NOTIFY_SOCKET`` every call does nothing. Never raises."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        address = env.get("NOTIFY_SOCKET", "")
        # A leading @ means the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = env.get("WATCHDOG_USEC", "")
        pid = env.get("WATCHDOG_PID", "")
        self.watchdog_interval: float | None = None
        """Seconds between calls of `watchdog` (half of what systemd allows), or None without a watchdog."""
        if usec.isdigit() and int(usec) > 0 and (not pid or pid == str(os.getpid())):
            self.watchdog_interval = int(usec) / 2e6

    def ready(self, status: str = "") -> None:
        """Start-up (or a reload) is complete."""
        self._send("READY=1", status)

    def reloading(self) -> None:
        """A reload began; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}", "")

    def stopping(self, status: str = "") -> None:
        """Shutting down."""
        self._send("STOPPING=1", status)

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send("", status)

    def watchdog(self) -> None:
        """We are alive."""
        self._send("WATCHDOG=1", "")

    def store(self, sockets: Sequence[socket.socket], *, afresh: bool = False) -> None:
        """Have systemd keep these sockets over a restart, with what waits in them (``FileDescriptorStoreMax=``);
        `afresh`: and no others. One that it keeps already stays as it is."""
        if afresh:
            self._send(f"FDSTOREREMOVE=1\nFDNAME={STORED}", "")
        for sock in sockets:
            self._send(f"FDSTORE=1\nFDNAME={STORED}", "", [sock.fileno()])

    def _send(self, state: str, status: str, descriptors: Sequence[int] = ()) -> None:
        if not self._address:
            return
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + status.replace("\n", " "))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
                s.settimeout(1.0)
                s.connect(self._address)
                passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
                s.sendmsg(["\n".join(lines).encode()], passed)
        except OSError:
            pass  # the listener is gone; the service works without it


class Signals:
    """SIGTERM and SIGINT as "drain and stop", SIGHUP as "read the settings again".

    Waiting loops either wait on `stopping`, or add `fileno()` to what they poll: it becomes readable on any signal
    (call `drain` then). asyncio programs use ``loop.add_signal_handler`` instead.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._reload = threading.Event()
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    @classmethod
    def install(cls) -> Signals:
        """Take over the process's signals. Main thread only."""
        self = cls()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        return self

    def fileno(self) -> int:
        return self._read.fileno()

    def drain(self) -> None:
        """Empty what `fileno` made readable."""
        try:
            while self._read.recv(64):
                pass
        except BlockingIOError:
            pass

    def take_reload(self) -> bool:
        """True once per SIGHUP (several in a row count as one)."""
        if self._reload.is_set():
            self._reload.clear()
            return True
        return False

    def stop(self) -> None:
        """As if SIGTERM had come."""
        self.stopping.set()
        self._wake()

    def reload(self) -> None:
        """As if SIGHUP had come."""
        self._reload.set()
        self._wake()

    def close(self) -> None:
        """Release the descriptors. The handlers stay, harmless."""
        self._read.close()
        self._write.close()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload()

    def _wake(self) -> None:
        try:
            self._write.send(b"x")
        except OSError:
            pass  # full: it is readable already; closed: nothing waits any more
