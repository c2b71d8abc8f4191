"""The content of a monitoring datagram as far as the injector's log needs it: its server, its number, its requests.

Only the lab's relay uses this. It is deliberately separate from the collector's decoder, because the collector's
answers are checked against it. Layouts: docs of the XRootD monitoring format (header, map, f-stream).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import TypeVar

from msgspec import Struct

_HEADER = struct.Struct(">cBHI")
_RECORD = struct.Struct(">BBHI")
_CLOSE, _OPEN, _TIME, _DISCONNECT = 0, 1, 2, 4
_MAPS = b"=diuUTpx"
_HAS_SID = _HAS_NAME = 1
_MOST_PROCESSES = 8
_MOST_NAMES = 200_000
_Named = TypeVar("_Named")


class Access(Struct, frozen=True, omit_defaults=True, array_like=True):
    """An open or a close of one file. `user` and `path` are known from its login and its open, whatever their fate."""

    id: int
    user: str
    path: str


class Contents(Struct, frozen=True, omit_defaults=True):
    """One datagram. `code` is its first byte; `kind` the class that shares a sequence: ``M``, ``F`` or ``G``."""

    code: str
    bytes: int
    kind: str = ""
    stod: int = 0
    pseq: int = -1
    sid: str = ""
    begin: int = 0
    """tBeg and tEnd of an f datagram's time record."""
    end: int = 0
    opens: list[Access] = []
    closes: list[Access] = []
    ended: list[Access] = []
    """Disconnects: dictid and user of the session."""
    dictid: int = 0
    """Of a map; 0 for none."""
    user: str = ""
    text: str = ""
    """A map's text, of bounded length."""


class _Process:
    def __init__(self) -> None:
        self.sid = ""
        self.users: dict[int, str] = {}
        self.files: dict[int, Access] = {}


class Reader:
    """Reads the datagrams of one server instance in the order in which it sent them, and remembers names."""

    def __init__(self) -> None:
        self._processes: OrderedDict[int, _Process] = OrderedDict()

    @property
    def newest(self) -> int:
        """The stod of the last process heard; 0: none."""
        return next(reversed(self._processes), 0)

    def read(self, data: bytes) -> Contents:
        """Never raises: a damaged datagram is reported as far as it can be read."""
        code = data[:1].decode("latin-1")
        if len(data) < _HEADER.size or data[:1] not in b"=diuUTpxtrgf" or len(data) != int.from_bytes(data[2:4]):
            return Contents(code, len(data))
        _, pseq, _, stod = _HEADER.unpack_from(data)
        process = self._process(stod)
        if data[:1] in _MAPS:
            return self._map(process, code, pseq, stod, data)
        if code == "f":
            return self._files(process, pseq, stod, data)
        return Contents(code, len(data), "G" if code == "g" else "M", stod, pseq, process.sid)

    def _process(self, stod: int) -> _Process:
        process = self._processes.get(stod)
        if process is None:
            process = self._processes[stod] = _Process()
            if len(self._processes) > _MOST_PROCESSES:
                self._processes.popitem(last=False)
        self._processes.move_to_end(stod)
        return process

    def _map(self, process: _Process, code: str, pseq: int, stod: int, data: bytes) -> Contents:
        text = data[12:].partition(b"\0")[0].decode(errors="replace")
        first = text.partition("\n")[0]
        name = first.partition("/")[2].rpartition("@")[0]
        left, _, process.sid = name.rpartition(":")
        dictid = int.from_bytes(data[8:12])
        user = left.rpartition(".")[0]
        if code == "u":
            _bound(process.users)[dictid] = user
        return Contents(code, len(data), "M", stod, pseq, process.sid, dictid=dictid, user=user, text=text[:500])

    def _files(self, process: _Process, pseq: int, stod: int, data: bytes) -> Contents:
        begin = end = 0
        opens: list[Access] = []
        closes: list[Access] = []
        ended: list[Access] = []
        at = _HEADER.size
        while at + _RECORD.size <= len(data):
            kind, flag, size, number = _RECORD.unpack_from(data, at)
            if size < _RECORD.size or at + size > len(data):
                break
            if kind == _TIME and size >= 16:
                begin, end = struct.unpack_from(">II", data, at + 8)
                if flag & _HAS_SID and size >= 24:
                    process.sid = str(int.from_bytes(data[at + 18 : at + 24]))
            elif kind == _OPEN:
                user = path = ""
                if flag & _HAS_NAME and size > 20:
                    user = process.users.get(int.from_bytes(data[at + 16 : at + 20]), "")
                    path = data[at + 20 : at + size].partition(b"\0")[0].decode(errors="replace")
                access = Access(number, user, path)
                _bound(process.files)[number] = access
                opens.append(access)
            elif kind == _CLOSE:
                closes.append(process.files.pop(number, Access(number, "", "")))
            elif kind == _DISCONNECT:
                ended.append(Access(number, process.users.pop(number, ""), ""))
            at += size
        return Contents(
            "f", len(data), "F", stod, pseq, process.sid, begin, end, opens=opens, closes=closes, ended=ended
        )


def _bound(names: dict[int, _Named]) -> dict[int, _Named]:
    """Remove the oldest names when there are too many: those of sessions and files whose end was never sent."""
    if len(names) >= _MOST_NAMES:
        del names[next(iter(names))]
    return names
