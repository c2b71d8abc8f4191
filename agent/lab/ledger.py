"""The injector's log ``DIR/faults.jsonl``: the faults injected, and exactly which datagrams were dropped on purpose.

One JSON line each, appended with a single write, so that every explanation of a loss can be checked against it later.
It must not depend on what the monitoring reports.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.lab.datagram import Contents
from shoveler.service import RateLimited

_warn = RateLimited(logging.getLogger(__name__))


class Deed(Struct, frozen=True, omit_defaults=True, tag="fault", tag_field="what"):
    """A fault began or ended. `t` is Unix seconds."""

    t: float
    fault: str
    phase: str
    """``begin`` or ``end``; a momentary fault has only a begin."""
    text: str
    server: str = ""
    percent: float = 0.0
    seconds: float = 0.0
    stod: int = 0
    """That of the server process that was ended, if a relay has heard it."""
    dropped: int = 0
    """At the end of ``udp-loss`` without a relay: how many the kernel dropped meanwhile. Which ones is unknown."""


class Datagram(Struct, frozen=True, omit_defaults=True, tag="datagram", tag_field="what"):
    """One datagram that passed the relay, and its fate."""

    t: float
    fate: str
    """The fault that dropped it; ``passed`` if none did (only written with ``--ledger``)."""
    server: str
    sender: str
    """HOST:PORT as the shoveler sees it."""
    digest: str
    """BLAKE2b-64 of its bytes, in hexadecimal: identifies it further along."""
    contents: Contents


def digest(data: bytes) -> str:
    """What `Datagram.digest` is."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Overrun(Struct, frozen=True, tag="overrun", tag_field="what"):
    """The relay itself was too slow: the kernel dropped `count` datagrams of this server before it. Not intended."""

    t: float
    server: str
    count: int


Entry = Deed | Datagram | Overrun
_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Entry).decode


class Ledger:
    """The open file. `write` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, entry: Entry) -> None:
        """A full disk is logged and does not stop the lab; the ledger then has a hole here."""
        try:
            os.write(self._descriptor, _encode(entry) + b"\n")
        except OSError as error:
            _warn.warning("ledger", "! a line of the injector's log is lost: %s", error)

    def close(self) -> None:
        os.close(self._descriptor)
