"""The quarantine: what the core could not process, in full, beside the state, until somebody has inspected it.

``NAME.quarantine.jsonl`` has a line of JSON for each: a datagram in the form of a capture (``t``, ``remote``, ``data``,
``id``), so that ``tally-collector inspect`` shows it and ``--from file:…`` tries it again with a newer version; also
why and where the error was raised, when, and by which version. A line that has ``state`` in place of ``data`` is a
server that had to be forgotten.

An entry is on disk before the cycle without it is committed, and so before its message is acknowledged. If the process
is killed in between, the message comes again, and is recognised as already stored. Bounded: at `_LARGEST` bytes the
file takes the name ``NAME.quarantine.1.jsonl``, replacing the previous one, whose entries are counted as forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from collector.config import program_version
from collector.guard import Aside
from collector.sinks.file import cut_torn_line

_LARGEST = 32 * 2**20
QUARANTINE = re.compile(r"\.quarantine(\.1)?\.jsonl$")
"""The pattern of such a file's name."""


def quarantine_path(directory: Path, name: str) -> Path:
    """Where the quarantine of a checkpoint is."""
    return directory / f"{name}.quarantine.jsonl"


def quarantine_files(directory: Path, name: str) -> list[Path]:
    """The existing files of a quarantine, oldest first."""
    young = quarantine_path(directory, name)
    return [path for path in (_older(young), young) if path.exists()]


def _older(path: Path) -> Path:
    return path.with_suffix(".1.jsonl")


class Quarantine:
    """Appends to the file. `path` None: there is no state, and nothing is kept (a replay, whose input file still has
    it). Belongs to one thread.
    """

    def __init__(self, path: Path | None, *, largest: int = _LARGEST, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._largest = largest
        self._clock = clock
        self._known: set[bytes] | None = None
        """Fingerprints of the datagrams in the file; None: not read yet."""
        self.forgotten = 0
        """Entries removed to make room."""

    def keep(self, entries: Iterable[Aside]) -> None:
        """Write them; they are on disk when this returns. If it raises OSError, nothing may be acknowledged. Repeating
        it with the same entries does no harm.
        """
        if self.path is None:
            return
        if self._known is None:
            self._known = {_fingerprint(line) for line in _lines(self.path)}
        lines = []
        for entry in entries:
            line = self._line(entry)
            if entry.datagram is None or _fingerprint(line) not in self._known:
                lines.append(line)
        if not lines:
            return
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            before = cut_torn_line(fd, str(self.path))
            try:
                text = memoryview(b"".join(line + b"\n" for line in lines))
                while text:
                    text = text[os.write(fd, text) :]
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, before)  # these will be tried again
                raise
            size = os.fstat(fd).st_size
        finally:
            os.close(fd)
        _sync_directory(self.path.parent)
        self._known.update(map(_fingerprint, lines))
        if size > self._largest:
            self._make_room(self.path)

    def _make_room(self, path: Path) -> None:
        older = _older(path)
        self.forgotten += sum(1 for _ in _lines(older))
        path.replace(older)
        _sync_directory(path.parent)
        self._known = set()

    def _line(self, entry: Aside) -> bytes:
        fields: dict[str, Any] = {"t": entry.t}
        if entry.datagram is not None:
            data, remote, _, spool, seq, shoveler = entry.datagram
            fields |= {"remote": remote, "data": base64.b64encode(data).decode()}
            if spool is not None:
                fields["id"] = f"{spool}:{seq}"
            if shoveler is not None and shoveler != spool:
                fields["shoveler"] = shoveler
        if entry.state is not None:
            fields["state"] = entry.state
        fields |= {
            "what": entry.what,
            "error": entry.error,
            "place": entry.place,
            "set_aside": round(self._clock(), 3),
            "version": program_version(),
        }
        return json.dumps(fields, default=str).encode()


def _fingerprint(line: bytes) -> bytes:
    """Fingerprint of a datagram, independent of when it was written."""
    try:
        fields = json.loads(line)
    except ValueError:
        return b""
    wanted = [fields.get(name) for name in ("id", "remote", "data")]
    return hashlib.blake2b(json.dumps(wanted).encode(), digest_size=16).digest()


def _lines(path: Path) -> Iterable[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
