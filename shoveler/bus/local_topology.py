"""Declaring and inspecting the local bus: an exchange is a directory, a queue a cursor file in it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from shoveler.bus.address import BusAddress
from shoveler.bus.local_files import (
    BusLock,
    Limits,
    connect,
    create,
    cursor_file,
    exchange_directory,
    inode,
    sentences,
    set_limits,
)
from shoveler.bus.messages import BusInUseError, BusMissingError, Declared
from shoveler.bus.topic import matches


class LocalTopology:
    """A `Topology`. A new queue starts with the oldest message that is still kept."""

    def __init__(self, address: BusAddress) -> None:
        assert address.directory is not None
        self._root = address.directory

    def declare_exchange(self, exchange: str) -> None:
        directory = exchange_directory(self._root, exchange)
        with sentences(directory):
            directory.mkdir(parents=True, exist_ok=True)

    def declare_queue(
        self,
        queue: str,
        *,
        exchange: str,
        binding: str = "#",
        single_active: bool = False,  # noqa: ARG002 - a cursor never has more than one active reader
        expires: float | None = None,
        max_bytes: int | None = None,
    ) -> Declared:
        path = cursor_file(self._existing(exchange), queue)
        made: Declared = "there" if path.exists() else "made"
        create(path, "cursor")
        with closing(connect(path, synchronous="NORMAL")) as db, sentences(path):
            db.execute("INSERT OR IGNORE INTO binding VALUES (?)", (binding,))
            if expires is not None or max_bytes is not None:
                set_limits(db, Limits(expires, lossy=max_bytes is not None))
        return made

    def depth(self, queue: str, *, exchange: str) -> int:
        directory = self._existing(exchange)
        path = cursor_file(directory, queue)
        if inode(path) is None:
            raise BusMissingError(f"the local bus has no queue {queue!r} in {directory}; declare it, or check the name")
        with closing(connect(path, synchronous="NORMAL")) as db, sentences(path):
            bindings = tuple(row[0] for row in db.execute("SELECT pattern FROM binding"))
            positions = {(file, identity): seq for file, identity, seq in db.execute("SELECT * FROM position")}
        return sum(_behind(file, bindings, positions) for file in sorted(directory.glob("*.db")))

    def ends(self, *, exchange: str) -> Mapping[str, int] | None:
        found = {}
        for file in sorted(self._existing(exchange).glob("*.db")):
            with closing(connect(file, synchronous="NORMAL")) as db, sentences(file):
                identity, last = db.execute("SELECT id, (SELECT max(seq) FROM message) FROM identity").fetchone()
            if last is not None:
                found[_named(file.name, identity)] = int(last)
        return found

    def is_past(self, queue: str, *, exchange: str, ends: Mapping[str, int]) -> bool:
        path = cursor_file(self._existing(exchange), queue)
        with closing(connect(path, synchronous="NORMAL")) as db, sentences(path):
            rows = db.execute("SELECT file, identity, seq FROM position").fetchall()
        positions = {_named(file, identity): int(seq) for file, identity, seq in rows}
        return all(positions.get(file, 0) >= last for file, last in ends.items())

    def delete_queue(self, queue: str, *, exchange: str, unused: bool = False) -> None:
        path = cursor_file(exchange_directory(self._root, exchange), queue)
        if unused and path.exists():
            lock = BusLock(path.with_suffix(".cursor.lock"))
            if not lock.acquire():
                raise BusInUseError(f"a program reads from the queue {queue!r} ({lock.holder()}); stop that one first")
            lock.release()
        with sentences(path):
            for suffix in ("", "-wal", "-shm", ".lock"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def delete_exchange(self, exchange: str) -> None:
        directory = exchange_directory(self._root, exchange)
        with sentences(directory):
            if directory.exists():
                shutil.rmtree(directory)

    def close(self) -> None:
        """There is nothing to close."""

    def _existing(self, exchange: str) -> Path:
        directory = exchange_directory(self._root, exchange)
        if not directory.is_dir():
            raise BusMissingError(f"the local bus has no exchange {exchange!r}: {directory} does not exist")
        return directory


def _behind(file: Path, bindings: tuple[str, ...], positions: dict[tuple[str, str], int]) -> int:
    """Messages of one file that a cursor has not acknowledged."""
    with closing(connect(file, synchronous="NORMAL")) as db, sentences(file):
        identity = db.execute("SELECT id FROM identity").fetchone()[0]
        seq = positions.get((file.name, identity), 0)
        if "#" in bindings:
            return _count_all(db, seq)
        counts = db.execute("SELECT routing_key, count(*) FROM message WHERE seq > ? GROUP BY routing_key", (seq,))
        return sum(count for key, count in counts if any(matches(binding, key) for binding in bindings))


def _count_all(db: sqlite3.Connection, seq: int) -> int:
    """Row numbers have holes only at the trimmed end, so there is no need to read every row."""
    first, last = db.execute("SELECT (SELECT min(seq) FROM message), (SELECT max(seq) FROM message)").fetchone()
    return 0 if last is None else max(0, last - max(seq, first - 1))


def _named(file: str, identity: str) -> str:
    """A file of messages, distinguished from a later one of the same name."""
    return f"{file} {identity}"
