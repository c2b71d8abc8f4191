"""Datagrams as a list: columns, names of servers, which field a byte belongs to. No toolkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gui.models import figures
from gui.models.rows import UNKNOWN, Column
from gui.runner.datagrams import DatagramRow, DecodedField
from shoveler.values.addresses import host_port

STREAMS = {
    "f": "files", "g": "plug-ins", "t": "trace", "r": "redirects", "=": "server", "u": "user", "d": "path",
    "i": "appinfo", "U": "experiment", "T": "token", "p": "purge", "x": "transfer", "<": "summary", "{": "JSON",
}  # fmt: skip
"""The second word of a stream, after its letter."""


class ServerNames:
    """What a server is called here: the name of this workspace for the address that it gives itself, else that."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._heard: dict[tuple[str, int], str] = {}

    def know(self, names: Mapping[str, str]) -> None:
        """The names of the workspace's servers by ``HOST:PORT``."""
        self._known = dict(names)

    def clear(self) -> None:
        """Another source is read."""
        self._heard.clear()

    def hear(self, rows: Sequence[DatagramRow]) -> None:
        """What servers say of themselves."""
        for row in rows:
            if row.server:
                self._heard[row.remote, row.stod] = row.server

    def of(self, row: DatagramRow) -> str:
        """The name of the server that sent a datagram; its address if it has not said who it is."""
        said = row.server or self._heard.get((row.remote, row.stod), "")
        if not said:
            return row.remote
        instance, _, where = said.partition("@")
        found = self._known.get(where) or self._known.get(f"127.0.0.1:{where.rpartition(':')[2]}")
        return found or (where if instance == "anon" else said)


def address_of(url: str) -> str:
    """``HOST:PORT`` of a server's URL."""
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition(":")
    return host_port(host.strip("[]"), port)


def columns(names: ServerNames) -> list[Column[DatagramRow]]:
    """The columns of the list."""
    return [
        Column("no", "No.", lambda r: r.number, lambda r: f"{r.number:,}", "right", 80),
        Column("time", "Time", lambda r: r.t, lambda r: figures.clock(r.t), width=112),
        Column("server", "Server", names.of, width=176, tip=lambda r: f"{r.server or 'not named yet'}\n{r.remote}"),
        Column("stream", "Stream", lambda r: r.stream, kind="fixed", width=72),
        Column("kind", "Kind", lambda r: STREAMS.get(r.stream, r.kind), width=96, colour=lambda _r: "text2", fold=2),
        Column(
            "seq",
            "Seq.",
            lambda r: r.seq,
            lambda r: UNKNOWN if r.seq is None else str(r.seq),
            "right",
            76,
            icon=lambda r: "warn" if r.note else None,
            colour=lambda r: "warn" if r.note else "text" if r.seq is not None else "text3",
            tip=lambda r: r.note,
        ),
        Column("bytes", "Bytes", lambda r: r.size, lambda r: UNKNOWN if r.size is None else f"{r.size:,}", "right", 72),
        Column(
            "contents",
            "Contents",
            contents,
            width=320,
            stretch=True,
            kind="status",
            icon=lambda r: "bad" if r.problems else None,
            colour=lambda r: "bad" if r.problems else "text",
            tip=lambda r: "\n".join(filter(None, (r.note, r.what))),
        ),
        Column("problem", "Problem", lambda r: ", ".join(r.problems), width=112, shown=False),
        Column("sender", "Sender", lambda r: r.remote, width=152, colour=lambda _r: "text2", shown=False),
        Column("source", "Spool", lambda r: r.source, kind="fixed", width=96, colour=lambda _r: "text2", fold=1),
    ]


def contents(row: DatagramRow) -> str:
    """What is in it; before that, what is unexpected about its number."""
    return f"{row.note}; {row.what}" if row.note else row.what


def field_at(fields: Sequence[DecodedField], byte: int) -> tuple[int, ...] | None:
    """The innermost field with this byte: its place in `fields`, then in the fields inside; None if there is none."""
    best: tuple[int, ...] | None = None
    for number, field in enumerate(fields):
        if field.first <= byte < field.end:
            inner = field_at(field.inside, byte)
            best = (number, *inner) if inner is not None else (number,)
            break
    return best


def hex_text(data: bytes) -> str:
    """Bytes as text: offset, hexadecimal, printable characters."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        lines.append(f"{at:04x}  {row.hex(' '):<47}  {text}")
    return "\n".join(lines)
