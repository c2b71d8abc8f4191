"""Monitoring traffic made by hand: servers that tell of files opened, read and closed, byte for byte as XRootD does.

Used by benchmarks, fault tests and campaigns of the collector, where there must be any amount of traffic and the truth
of it must be known. Not a test of decoding: that uses captures of real servers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEADER = struct.Struct(">BBHI")
_WINDOW = struct.Struct(">BBHHHIIQ")
_OPEN = struct.Struct(">BBHIqI")
_CLOSE = struct.Struct(">BBHIqqqIIIHHqIIIIII")
_FBUFF = 1472
"""Largest f-stream datagram: one Ethernet frame."""


@dataclass(frozen=True)
class Access:
    """What one client did with one file, and what the record of it must say."""

    server_id: str
    file_id: int
    path: str
    read: int


@dataclass
class Server:
    """One server process. Every method gives datagrams in the order in which the server would send them."""

    number: int
    stod: int = 1_795_000_000
    remote: str = ""
    accesses: list[Access] = field(default_factory=list)
    """The truth of everything that was told so far."""

    def __post_init__(self) -> None:
        self.remote = self.remote or f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}:40000"
        self.sid = 100_000_000_000_000 + self.number
        self._next_id = 1
        self._maps = 0
        self._files = 0
        self._now = self.stod

    def _map(self, code: str, dictid: int, text: str) -> bytes:
        body = struct.pack(">I", dictid) + text.encode()
        header = _HEADER.pack(ord(code), self._maps & 255, 8 + len(body), self.stod)
        self._maps += 1
        return header + body

    def hello(self) -> bytes:
        """The identity record."""
        who = f"=/xrootd.{1000 + self.number}:{self.sid}@se{self.number}.example.org"
        return self._map("=", 0, f"{who}\n&site=SITE-{self.number}&port=1094&inst=disk&pgm=xrootd&ver=v5.6.9")

    def login(self, user: str) -> tuple[int, list[bytes]]:
        """A session: its dictid, and its records."""
        dictid = self._id()
        who = f"xroot/{user}.{2000 + dictid}:{self.sid}@client{dictid % 100}.example.net"
        return dictid, [
            self._map("u", dictid, f"{who}\n&R=v5.6.9&x=python3&y=&I=4"),
            self._map("i", self._id(), f"{who}\ntally:{user}"),
        ]

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def reads(self, user: int, number: int, *, prefix: str = "/data/run/") -> Iterator[bytes]:
        """`number` files, each opened, read and closed, in as few datagrams as they fit into."""
        records: list[bytes] = []
        size = 8 + _WINDOW.size
        for _ in range(number):
            pair = self._access(user, prefix)
            if size + len(pair) > _FBUFF:
                yield self._f(records)
                records, size = [], 8 + _WINDOW.size
            records.append(pair)
            size += len(pair)
        if records:
            yield self._f(records)

    def _access(self, user: int, prefix: str) -> bytes:
        file_id = self._id()
        path = f"{prefix}{self.number:03d}/file{file_id:07d}.root"
        read = 1000 + file_id % 977
        self.accesses.append(Access(str(self.sid), file_id, path, read))
        return self.opened(file_id, user, path) + closed(file_id, read)

    @staticmethod
    def opened(file_id: int, user: int, path: str) -> bytes:
        """An open record with names."""
        name = path.encode()
        size = (20 + len(name) + 8) & ~3
        return _OPEN.pack(1, 1, size, file_id, 10_000, user) + name.ljust(size - 20, b"\0")

    def _f(self, records: list[bytes], *, count: int | None = None) -> bytes:
        end = self._now + 1
        body = b"".join(records)
        total = count if count is not None else 2 * len(records)
        window = _WINDOW.pack(2, 1, 24, 0, total, self._now, end, self.sid)
        self._now = end
        header = _HEADER.pack(ord("f"), self._files & 255, 8 + len(window) + len(body), self.stod)
        self._files += 1
        return header + window + body

    def opens(self, user: int, number: int) -> tuple[list[Access], bytes]:
        """Files that are opened and stay so, in one datagram (few); close them with `closes`."""
        begun = []
        records = []
        for _ in range(number):
            file_id = self._id()
            path = f"/data/long/{self.number:03d}/file{file_id:07d}.root"
            begun.append(Access(str(self.sid), file_id, path, 5_000 + file_id))
            records.append(self.opened(file_id, user, path))
        return begun, self._f(records, count=number)

    def closes(self, begun: list[Access]) -> bytes:
        """The closes of `opens`."""
        self.accesses += begun
        return self._f([closed(access.file_id, access.read) for access in begun], count=len(begun))


def closed(file_id: int, read: int) -> bytes:
    """A close record with counts: one read of that many bytes."""
    return _CLOSE.pack(
        0, 2, 80, file_id, read, 0, 0, 1, 0, 0, 0, 0, 0, read, read, 0, 0, 0, 0,
    )  # fmt: skip


def day(servers: int, files_per_server: int, *, first: int = 0) -> tuple[list[Server], list[tuple[str, bytes]]]:
    """Several servers with one session each, and everything they send: (sender, datagram), interleaved."""
    fleet = [Server(first + number) for number in range(servers)]
    streams = []
    for server in fleet:
        hello = server.hello()
        user, login = server.login(f"u{server.number}")
        streams.append([hello, *login, *server.reads(user, files_per_server)])
    sent: list[tuple[str, bytes]] = []
    for turn in range(max(map(len, streams))):
        sent += [
            (server.remote, stream[turn]) for server, stream in zip(fleet, streams, strict=True) if turn < len(stream)
        ]
    return fleet, sent
