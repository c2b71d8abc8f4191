"""Captured traffic of real servers, with the truth of what the clients did, and a way to make datagrams of our own.

The captures lie in ``tests/captures``, a folder for each XRootD version; the README in it tells how they were made.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.correlate import Correlator, Options, Record

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


class Datagram(NamedTuple):
    t: float
    remote: str
    data: bytes


def captures(version: str = "5.5.3") -> list[str]:
    """The names of the captures of that XRootD."""
    return sorted(path.stem for path in (CAPTURES / version).glob("*.jsonl"))


def load(name: str, version: str = "5.5.3") -> list[Datagram]:
    lines = (CAPTURES / version / f"{name}.jsonl").read_text().splitlines()
    rows = map(json.loads, lines)
    return [Datagram(row["t"], row["remote"], base64.b64decode(row["data"])) for row in rows]


def truth(name: str, version: str = "5.5.3") -> dict[str, Any]:
    return json.loads((CAPTURES / version / f"{name}.truth.json").read_text())


def replay(datagrams: Iterable[Datagram], options: Options | None = None) -> list[Record]:
    """Everything a collector writes for these datagrams, as from a file."""
    correlator = Correlator(options)
    t = 0.0
    for t, remote, data in datagrams:
        correlator.feed(data, remote, t)
    correlator.drain(t)
    return correlator.take()


def bodies(records: Iterable[Record], kind: str = "file") -> list[dict[str, Any]]:
    """The records of one kind as dicts, in the order of their ids, so that two ways to the same can be compared."""
    found = [json.loads(record.body) for record in records if record.kind == kind]
    return sorted(found, key=lambda body: (body.get("server_id", ""), body.get("file_id", 0), body["record_id"]))


def gaps(correlator: Correlator) -> list[dict[str, Any]]:
    """Everything that is known to be missing, of all processes."""
    return [gap for process in correlator.processes() for gap in process["gaps"]]


class Server:
    """Makes the datagrams of one server process, with right sequence numbers."""

    def __init__(
        self, sid: int = 34923666814074, stod: int = 1_700_000_000, pid: int = 4711, remote: str = "192.0.2.1:40000"
    ) -> None:
        self.sid = sid
        self.stod = stod
        self.pid = pid
        self.remote = remote
        self.next = {"M": 0, "F": 0, "G": 1}

    def _header(self, code: bytes, class_: str, body: bytes) -> bytes:
        number = self.next[class_]
        self.next[class_] = (number + 1) % 256
        return struct.pack(">cBHI", code, number, 8 + len(body), self.stod) + body

    def map(self, code: str, dictid: int, text: str | bytes) -> bytes:
        raw = text if isinstance(text, bytes) else text.encode()
        return self._header(code.encode(), "M", struct.pack(">I", dictid) + raw)

    def ident(self, site: str = "SITE-A", host: str = "se01.example.org", version: str = "v5.5.3") -> bytes:
        text = f"=/root.{self.pid}:{self.sid}@{host}\n&site={site}&port=1094&inst=disk1&pgm=xrootd&ver={version}"
        return self.map("=", 0, text)

    def userid(self, user: str = "alice", pid: int = 100, host: str = "[::ffff:192.0.2.9]", prot: str = "xroot") -> str:
        return f"{prot}/{user}.{pid}:{self.sid}@{host}"

    def login(self, dictid: int, detail: str = "&R=v5.5.3&x=python3.11&y=&I=4", **who: Any) -> bytes:
        return self.map("u", dictid, f"{self.userid(**who)}\n{detail}")

    def info(self, dictid: int, text: str = "app", **who: Any) -> bytes:
        return self.map("i", dictid, f"{self.userid(**who)}\n{text}")

    def path(self, dictid: int, path: str, **who: Any) -> bytes:
        return self.map("d", dictid, f"{self.userid(**who)}\n{path}")

    def files(self, *records: bytes, begin: int | None = None, end: int | None = None, sid: bool = True) -> bytes:
        begin = self.stod + 10 if begin is None else begin
        end = begin if end is None else end
        size, flags = (24, 1) if sid else (16, 0)
        tod = struct.pack(">BBHHHII", 2, flags, size, 0, len(records), begin, end)
        if sid:
            tod += struct.pack(">Q", self.sid)
        return self._header(b"f", "F", tod + b"".join(records))

    def events(self, provider: str, *lines: bytes, begin: int | None = None, end: int | None = None) -> bytes:
        begin = self.stod + 10 if begin is None else begin
        fixed = struct.pack(">IIQ", begin, end or begin, ord(provider) << 56 | self.sid)
        return self._header(b"g", "G", fixed + b"\n".join(lines) + b"\0")


def opened(file_id: int, user: int = 1, path: str | bytes = "/store/f", size: int = 1000, flags: int = 1) -> bytes:
    if not flags & 1:
        return struct.pack(">BBHIq", 1, flags, 16, file_id, size)
    raw = path if isinstance(path, bytes) else path.encode()
    length = (20 + len(raw) + 8) & ~3
    return struct.pack(">BBHIqI", 1, flags, length, file_id, size, user) + raw.ljust(length - 20, b"\0")


def moved(file_id: int, read: int = 0, readv: int = 0, write: int = 0) -> bytes:
    return struct.pack(">BBHIqqq", 3, 0, 32, file_id, read, readv, write)


def closed(
    file_id: int,
    read: int = 0,
    readv: int = 0,
    write: int = 0,
    *,
    forced: bool = False,
    ops: tuple[int, ...] | None = None,
) -> bytes:
    """A close; `ops` as in `collector.wire.fstream.Operations`, by default one request of each kind with bytes."""
    if ops is None:
        ops = (
            int(read > 0), int(readv > 0), int(write > 0), 2 if readv else 0, 2 if readv else 0, 2 if readv else 0,
            read, read, readv, readv, write, write,
        )  # fmt: skip
    fixed = struct.pack(">BBHIqqq", 0, 2 | int(forced), 80, file_id, read, readv, write)
    return fixed + struct.pack(">IIIHHqIIIIII", *ops)


def squares(record: bytes, *sums: float) -> bytes:
    """A close with operations, with sums of squares as well."""
    return struct.pack(">BBH", 0, record[1] | 4, 112) + record[4:80] + struct.pack(">dddd", *sums)


def gone(user: int) -> bytes:
    return struct.pack(">BBHI", 4, 0, 8, user)


class Kit(NamedTuple):
    """What tests of this folder use, as one fixture (test modules cannot import each other)."""

    Server: type[Server] = Server
    Datagram: type[Datagram] = Datagram
    opened: Any = opened
    moved: Any = moved
    closed: Any = closed
    gone: Any = gone
    squares: Any = squares
    captures: Any = captures
    load: Any = load
    truth: Any = truth
    replay: Any = replay
    bodies: Any = bodies
    gaps: Any = gaps


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
