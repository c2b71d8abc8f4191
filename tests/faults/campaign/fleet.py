"""The load of the campaign: servers that do not exist, of which every datagram and every byte is known.

Each `Site` is one server process as XRootD would report it: it says who it is, clients log in, open files, read, close
them some datagrams later and leave; a few files stay open until the very end. Open and close of a file are never in the
same datagram, so every access has to survive in somebody's memory for a while. `Load` sends what the sites say at a
steady rate, each site from a loopback address of its own, and writes down what it sent and when: the *truth*.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import traffic

_DISCONNECT = struct.Struct(">BBHI")
_TICK = 0.005
_LONG_FILES = 3
_OPENS_PER_SESSION = 60
_CLOSES_AT_END = 12
_SIZE = 10_000  # of every file, as `traffic` says in its opens


@dataclass(slots=True)
class Session:
    """A client's connection. `told`: the numbers of the datagrams that tell of it (``u``, ``i``)."""

    user: str
    dictid: int
    told: list[int] = field(default_factory=list)
    begun: int = 0
    open: int = 0
    leaving: bool = False


@dataclass(slots=True)
class Access:
    """One file opened, read and closed, and the numbers of the datagrams that tell of it."""

    server_id: str
    stod: int
    file_id: int
    path: str
    read: int
    session: Session
    opened: int
    closed: int = -1
    """-1: not told yet."""

    @property
    def key(self) -> tuple[str, int, int]:
        """What no other access in the world has."""
        return (self.server_id, self.stod, self.file_id)

    @property
    def user(self) -> str:
        return self.session.user

    @property
    def size(self) -> int:
        return _SIZE

    @property
    def told(self) -> set[int]:
        """All datagrams without which the record cannot be whole."""
        return {self.opened, self.closed, *self.session.told}


class Site(traffic.Server):
    """One server process. `next` is its next datagram; `last_words` close what is open."""

    def __init__(self, number: int, stod: int, rng: random.Random, *, path_padding: int = 0, keep: bool = True) -> None:
        """`path_padding`: bytes that paths are longer. `keep` False: what was told is not remembered, only counted."""
        super().__init__(number, stod=stod)
        self._rng = rng
        self._padding = "x" * path_padding
        self._keep = keep
        self._to_tell: deque[tuple[Session | None, bytes]] = deque([(None, self.hello())])
        self._said = 0
        self._due: dict[int, list[Access]] = {}
        self._long: list[Access] = []
        self.truth: list[Access] = []
        self.finished = 0
        """Accesses whose close was told…"""
        self.read = 0
        """…and the bytes they read."""
        self._users = 0
        self._session = self._log_in()

    def _log_in(self) -> Session:
        self._users += 1
        name = f"{chr(97 + self.number % 26)}{self._users % 10_000_000}"
        dictid, told = self.login(name)
        session = Session(name, dictid)
        self._to_tell += [(session, data) for data in told]
        return session

    def next(self, number: int, now: float) -> bytes:
        """The next datagram, to be the fleet's `number`-th, at Unix time `now`."""
        if self._to_tell:
            session, data = self._to_tell.popleft()
            if session is not None:
                session.told.append(number)
            return data
        self._now = int(now)
        self._said += 1
        records = [record for access in self._due.pop(self._said, ()) for record in self._close(access, number)]
        if self._said == 1:
            records += [self._open(number, long=True) for _ in range(_LONG_FILES)]
        for _ in range(self._rng.choice((0, 1, 1, 2)) if records else 1):
            records.append(self._open(number, long=False))
        return self._f(records, count=len(records))

    def last_words(self, number: int, now: float) -> bytes | None:
        """A datagram that closes some of what is open; None when all is told."""
        if self._to_tell:
            return self.next(number, now)
        left = self._long + [access for some in self._due.values() for access in some]
        if not left:
            return None
        self._now = int(now)
        some, left = left[:_CLOSES_AT_END], left[_CLOSES_AT_END:]
        self._long, self._due = left, {}
        records = [record for access in some for record in self._close(access, number)]
        return self._f(records, count=len(records))

    def _open(self, number: int, *, long: bool) -> bytes:
        session = self._session
        file_id = self._id()
        path = f"/data/{'long' if long else 'run'}/{self.number:03d}/{self._padding}file{file_id:07d}.root"
        access = Access(str(self.sid), self.stod, file_id, path, 1000 + file_id % 977, session, number)
        if self._keep:
            self.truth.append(access)
        if long:
            self._long.append(access)
        else:
            self._due.setdefault(self._said + self._rng.randint(1, 40), []).append(access)
        record = self.opened(file_id, session.dictid, path)
        session.begun += 1
        session.open += 1
        if session.begun >= _OPENS_PER_SESSION:
            session.leaving = True
            self._session = self._log_in()
        return record

    def _close(self, access: Access, number: int) -> list[bytes]:
        access.closed = number
        self.finished += 1
        self.read += access.read
        session = access.session
        session.open -= 1
        records = [traffic.closed(access.file_id, access.read)]
        if session.leaving and not session.open:
            records.append(_DISCONNECT.pack(4, 0, 8, session.dictid))
        return records


class Load(threading.Thread):
    """Sends a fleet's datagrams to `target` at `rate` a second, until `finish`; keeps the truth."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        rate: float,
        seed: int,
        servers: int = 8,
        path_padding: int = 0,
        keep: bool = True,
    ) -> None:
        super().__init__(name="load", daemon=True)
        rng = random.Random(seed)
        stod = int(time.time()) - 1000
        self.sites = [Site(number, stod, rng, path_padding=path_padding, keep=keep) for number in range(1, servers + 1)]
        self._target = target
        self._rate = rate
        self._keep = keep
        self._over = threading.Event()
        self._sockets = [_bound(f"127.{1 + number // 250}.7.{1 + number % 250}") for number in range(servers)]
        self.times: list[float] = []
        """When each datagram was sent (Unix time)."""
        self.number_of: dict[int, int] = {}
        """Hash of a datagram's bytes → its number."""
        self.sent = 0
        self.seconds = 0.0
        """How long it sent at its rate."""

    def run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(_TICK):
            due = int((time.monotonic() - begun) * self._rate)
            while self.sent < due:
                self._send(self.sites[self.sent % len(self.sites)].next(self.sent, time.time()), self.sent)
            self.seconds = time.monotonic() - begun

    def _send(self, data: bytes, turn: int) -> None:
        if self._keep:
            key = hash(data)
            assert key not in self.number_of, "two datagrams of the load are alike"
            self.number_of[key] = self.sent
            self.times.append(time.time())
        self._sockets[turn % len(self._sockets)].sendto(data, self._target)
        self.sent += 1

    @property
    def achieved(self) -> float:
        """Datagrams a second, over the time in which it sent steadily."""
        return self._steady / self.seconds if self.seconds else 0.0

    _steady = 0

    def finish(self) -> None:
        """Stop the steady load, and close all files that are open."""
        self._over.set()
        self.join()
        self._steady = self.sent
        for turn, site in enumerate(self.sites):
            while (data := site.last_words(self.sent, time.time())) is not None:
                self._send(data, turn)
                if self.sent % 20 == 0:
                    time.sleep(_TICK)
        for sock in self._sockets:
            sock.close()

    @property
    def truth(self) -> list[Access]:
        return [access for site in self.sites for access in site.truth]


def _bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock
