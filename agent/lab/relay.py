"""The relay between servers and shovelers, off by default: it drops datagrams on purpose, and logs which.

Each server has its own receiving socket here, and each source port of a server its own sending socket towards the
shoveler: senders stay distinct, and the order within each is unchanged. Datagrams to lose *before* the shoveler's
socket are not forwarded. Datagrams for the *kernel* to drop are forwarded with a mark in their IP header, and a filter
on the shoveler's socket drops those (`sockets.drop_marked`): the kernel counts them as its own drops, and yet it is
known which datagrams they were.

Runs in a thread of the supervisor: 500 servers send a few thousand datagrams a second, and only the log waits.
"""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.lab import sockets
from agent.lab.datagram import Reader
from agent.lab.ledger import Datagram, Entry, Overrun, digest

IP_AND_UDP = 28
"""Bytes of the headers around a datagram in an IPv4 packet."""
PATH_MTU = 1500
_MOST_SENDERS = 64
"""Sending sockets of one server; each restart of it creates new ones."""
_AT_ONCE = 64
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A share of datagrams to drop: of all servers or one, of all kinds or those with these first bytes."""

    percent: float
    server: str = ""
    codes: str = ""


def fate(losses: Mapping[str, Loss], server: str, code: str, size: int, dice: random.Random) -> str:
    """The fault that drops this datagram, or "". Losses before the shoveler's host come before drops on it."""
    for fault in ("fragment-loss", "wire-loss", "udp-loss"):
        loss = losses.get(fault)
        if loss is None or loss.server not in ("", server) or (loss.codes and code not in loss.codes):
            continue
        if fault == "fragment-loss" and size + IP_AND_UDP <= PATH_MTU:
            continue
        if dice.random() * 100 < loss.percent:
            return fault
    return ""


@dataclass(slots=True)
class _Line:
    """One server's way through the relay."""

    server: str
    receiver: socket.socket
    target: tuple[str, int]
    reader: Reader = field(default_factory=Reader)
    senders: OrderedDict[tuple[str, int], tuple[socket.socket, str]] = field(default_factory=OrderedDict)
    overrun: int = 0


class Relay:
    """`write` receives the log's lines; with `everything` also those of datagrams that are passed on."""

    def __init__(self, write: Callable[[Entry], None], *, everything: bool = False) -> None:
        self._write = write
        self._everything = everything
        self._losses: dict[str, Loss] = {}
        self._lines: dict[int, _Line] = {}
        self._dice = random.Random()
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None

    def add(self, server: str, target: str) -> str:
        """HOST:PORT for this server's datagrams, which are forwarded to `target`. Call it before `start`."""
        receiver = sockets.receive_socket()
        receiver.setblocking(False)
        host, _, port = target.rpartition(":")
        self._lines[receiver.fileno()] = _Line(server, receiver, (host, int(port)))
        return sockets.address(receiver)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    def close(self) -> None:
        """What has arrived is still forwarded."""
        self._wake.send(b"x")
        if self._thread is not None:
            self._thread.join()
        for line in self._lines.values():
            line.receiver.close()
            for sender, _ in line.senders.values():
                sender.close()
        self._wake.close()
        self._woken.close()

    def lose(self, fault: str, loss: Loss | None) -> None:
        """Takes effect from now on; None ends it. The last of each fault counts."""
        left = {name: known for name, known in self._losses.items() if name != fault}
        self._losses = left if loss is None else left | {fault: loss}  # one assignment: the thread sees old or new

    def stod(self, server: str) -> int:
        """The stod of the newest process of this server that was heard; 0: none."""
        return next((line.reader.newest for line in self._lines.values() if line.server == server), 0)

    def _run(self) -> None:
        with select.epoll() as poll:
            poll.register(self._woken, select.EPOLLIN)
            for number in self._lines:
                poll.register(number, select.EPOLLIN)
            look_at = time.monotonic() + _LOOK_SECONDS
            stopping = False
            while not stopping:
                for number, _ in poll.poll(_LOOK_SECONDS):
                    if number in self._lines:
                        self._drain(self._lines[number], _AT_ONCE)
                    else:
                        stopping = True
                if stopping or time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_SECONDS
                    for line in self._lines.values():
                        self._look(line)
            for line in self._lines.values():
                self._drain(line, -1)

    def _drain(self, line: _Line, most: int) -> None:
        while most:
            try:
                data, source = line.receiver.recvfrom(65536)
            except BlockingIOError:
                return
            self._pass(line, data, source)
            most -= 1

    def _pass(self, line: _Line, data: bytes, source: tuple[str, int]) -> None:
        sender, name = line.senders.get(source) or self._new_sender(line, source)
        code = data[:1].decode("latin-1")
        found = fate(self._losses, line.server, code, len(data), self._dice)
        if found == "udp-loss":
            sender.sendmsg([data], [(socket.IPPROTO_IP, socket.IP_TOS, sockets.MARK)])
        elif not found:
            sender.send(data)
        contents = line.reader.read(data)
        if found or self._everything:
            self._write(Datagram(time.time(), found or "passed", line.server, name, digest(data), contents))

    def _new_sender(self, line: _Line, source: tuple[str, int]) -> tuple[socket.socket, str]:
        if len(line.senders) >= _MOST_SENDERS:
            line.senders.popitem(last=False)[1][0].close()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind(("127.0.0.1", 0))
        sender.connect(line.target)
        line.senders[source] = sender, sockets.address(sender)
        return line.senders[source]

    def _look(self, line: _Line) -> None:
        """Whether we cause losses ourselves, which would make the log wrong."""
        now = sockets.drops(line.receiver)
        if now > line.overrun:
            self._write(Overrun(time.time(), line.server, now - line.overrun))
            line.overrun = now
