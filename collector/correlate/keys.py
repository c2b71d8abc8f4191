"""Keys of the rows of state: a letter for the kind of thing, the incarnation, the number of the thing in it."""

from __future__ import annotations

from collector.correlate.incarnation import Incarnation


def row_key(kind: bytes, inc: Incarnation, number: int | None = None, size: int = 4) -> bytes:
    """Key of a row of an incarnation: of a thing in it, or (no number) of itself."""
    tail = b"" if number is None else number.to_bytes(size)
    return kind + inc.serial.to_bytes(4) + tail


def serial_of(key: bytes) -> int | None:
    """Serial number of the incarnation that a row belongs to; None for the row of the correlator itself."""
    return int.from_bytes(key[1:5]) if len(key) >= 5 else None


def file_key(inc: Incarnation, file_id: int) -> bytes:
    """Key of the row of an open file."""
    return row_key(b"f", inc, file_id)


def path_key(inc: Incarnation, file_id: int) -> bytes:
    """Key of the row of a ``d`` map."""
    return row_key(b"d", inc, file_id)


def session_key(inc: Incarnation, dictid: int) -> bytes:
    """Key of the row of a session."""
    return row_key(b"u", inc, dictid)


def wait_key(inc: Incarnation, number: int) -> bytes:
    """Key of the row of something that waits."""
    return row_key(b"w", inc, number, 8)
