"""Doubles for the shell's tests: a correlator of a tiny language, a source and a sink with faults dialled in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from collector.checkpoint import Chunk
from collector.correlate import Record
from collector.sources import NOTHING, Datagram, Taken


class TinyCorrelator:
    """Understands ``open NAME`` and ``close NAME``: a close gives a record that says whether its open was seen. At
    ``poison NAME`` it opens and closes a file, and raises.

    Has the correlator's surface, and state that survives through `changes` and `restore`, so that the shell's promises
    can be tested with datagrams that a person can read.
    """

    def __init__(self, options: object = None) -> None:
        self.options = options
        self._open: dict[str, float] = {}
        self._records: list[Record] = []
        self._puts: dict[bytes, bytes] = {}
        self._deletes: set[bytes] = set()
        self._seen: dict[str, int] = {}
        self.calls: list[tuple[str, float]] = []

    def feed(self, datagram: bytes, remote: str, t: float, shoveler: str | None = None) -> None:
        self._seen[remote] = self._seen.get(remote, 0) + 1
        word, _, name = datagram.decode().partition(" ")
        if word == "open":
            self._open[name] = t
            self._puts[name.encode()] = b"%f" % t
            self._deletes.discard(name.encode())
        elif word == "close":
            opened = self._open.pop(name, None)
            if self._puts.pop(name.encode(), None) is None and opened is not None:
                self._deletes.add(name.encode())
            self._emit("file", f"{name}.f", "complete" if opened is not None else "no_open", remote)
        elif word == "poison":
            self._open[name] = self._open["half"] = t
            self._puts[b"half"] = b"1"
            self._emit("file", f"{name}.f", "half", remote)
            raise KeyError(name)
        else:
            self._emit(word, f"{name}.{word}", "", remote)

    def _emit(self, kind: str, record_id: str, note: str, remote: str) -> None:
        body = f'{{"kind":"{kind}","record_id":"{record_id}","note":"{note}","remote":"{remote}"}}'.encode()
        self._records.append(Record(kind, "cms", record_id, body))

    def advance(self, now: float) -> None:
        self.calls.append(("advance", now))

    def resume(self, now: float) -> None:
        self.calls.append(("resume", now))

    def drain(self, now: float) -> None:
        self.calls.append(("drain", now))
        for name in list(self._open):
            self._emit("file", f"{name}.p", "open", "")

    def take(self) -> list[Record]:
        records, self._records = self._records, []
        return records

    def changes(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        puts, deletes = list(self._puts.items()), list(self._deletes)
        self._puts, self._deletes = {}, set()
        return puts, deletes

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._open = {key.decode(): float(value) for key, value in rows}

    def broken(self) -> list[Any]:
        return []

    def revert(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._records, self._puts, self._deletes = [], {}, set()
        self.restore(rows)

    counted: object = None

    def count_on(self, counted: object) -> None:
        pass

    def status(self) -> dict[str, dict[str, Any]]:
        return {remote: {"seen": count, "decoded": count} for remote, count in self._seen.items()}

    def processes(self) -> list[dict[str, Any]]:
        return []

    def warnings(self) -> dict[tuple[str, str], str]:
        return {}

    @property
    def counters(self) -> Mapping[str, int]:
        return {"decoded": sum(self._seen.values())}

    @property
    def names(self) -> set[str]:
        """The files that are open."""
        return set(self._open)


class PlainSource:
    """Gives what it is told to give; what is not acknowledged comes again after `reconnect`."""

    captured = False
    live = True

    def __init__(self) -> None:
        self.waiting: deque[Datagram] = deque()
        self._taken: list[tuple[int, list[Datagram]]] = []
        self._token = 0
        self.acknowledged: list[int] = []
        self.alive = 0
        self.trouble = ""
        self.ended = False
        self.lost = 0
        self.per_take = 1000
        self.closed = False

    def give(self, *lines: str, spool: str | None = "spool", first: int | None = None, t: float = 1000.0) -> None:
        """Queue datagrams, with ids that go on from the last one (or from `first`), or without for spool None."""
        for seq, line in enumerate(lines, first if first is not None else self.next_seq):
            self.waiting.append(Datagram(line.encode(), "192.0.2.1:1094", t, spool, seq, spool))
            self.next_seq = seq + 1

    next_seq = 1

    def take(self, timeout: float) -> Taken:
        if self.trouble or not self.waiting:
            return NOTHING
        some = [self.waiting.popleft() for _ in range(min(self.per_take, len(self.waiting)))]
        self._token += 1
        self._taken.append((self._token, some))
        return Taken(some, (), self._token)

    def keep_alive(self) -> None:
        self.alive += 1

    def acknowledge(self, token: int) -> None:
        self.acknowledged.append(token)
        self._taken = [entry for entry in self._taken if entry[0] > token]

    def reconnect(self) -> None:
        """A broker's behaviour after a broken connection: everything unacknowledged comes first, once more."""
        for _, some in reversed(self._taken):
            self.waiting.extendleft(reversed(some))
        self._taken.clear()

    @property
    def unacknowledged(self) -> int:
        return sum(len(some) for _, some in self._taken)

    def drops(self) -> int:
        return self.lost

    def close(self) -> None:
        self.closed = True


class PlainSink:
    """Confirms everything at the next poll, unless told to hold."""

    def __init__(self) -> None:
        self.holding = False
        self.trouble = ""
        self.sent: list[Chunk] = []
        self._safe = 0
        self.closed = False

    @property
    def backlog(self) -> int:
        return sum(len(chunk.body) for chunk in self.sent if chunk.number > self._safe)

    def send(self, chunk: Chunk) -> None:
        self.sent.append(chunk)

    def poll(self, timeout: float) -> int:
        if not self.holding and self.sent:
            self._safe = self.sent[-1].number
        return self._safe

    def dropped(self) -> dict[str, int]:
        return {}

    @property
    def ids(self) -> list[str]:
        return [record_id for chunk in self.sent for record_id in chunk.ids]

    def close(self) -> None:
        self.closed = True


class Doubles:
    """The classes above, for tests: this directory is no package to import them from."""

    correlator = TinyCorrelator
    source = PlainSource
    sink = PlainSink


@pytest.fixture(scope="session")
def doubles() -> type[Doubles]:
    return Doubles
