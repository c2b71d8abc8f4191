"""Ids of accesses and records: the same for the same datagrams, wherever and however often they are read."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

_PROCESS = Struct(">QI")
_FILE = Struct(">II")


def access_base(sid: int, stod: int) -> blake2b:
    """The start of the digest, the same for all accesses of a process; copy it for each."""
    return blake2b(_PROCESS.pack(sid, stod), digest_size=16)


def access_id(sid: int, stod: int, file_id: int, begin: int) -> str:
    """Id of one open-to-close of a file: BLAKE2b-128, in hexadecimal, over sid (8 bytes), stod, file id and `begin`
    (4 each), all big-endian. `begin` is tBeg of the window of the open, or of the close when no open was seen.
    """
    digest = access_base(sid, stod)
    digest.update(_FILE.pack(file_id, begin))
    return digest.hexdigest()


def event_id(kind: str, sid: int | None, stod: int | None, ordinal: int, content: bytes) -> str:
    """Id of any other record: a digest of its origin, its place in its datagram, and its bytes."""
    digest = blake2b(f"{kind}\0{sid}\0{stod}\0{ordinal}\0".encode(), digest_size=16)
    digest.update(content)
    return digest.hexdigest()
