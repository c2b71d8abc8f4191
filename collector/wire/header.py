"""What a datagram is, by its first byte, and the binary header that most of them have."""

from __future__ import annotations

import enum
import re
from struct import Struct
from typing import NamedTuple

REASONS: dict[str, str] = {
    "empty": "no bytes",
    "short": "shorter than the header or the fixed part of its kind",
    "unknown": "the first byte is not one that XRootD sends",
    "length": "the length in the header is less than the header itself",
    "truncated": "fewer bytes than the header says: the receiver truncated it; whole records were used",
    "excess": "more bytes than the header says: the rest was ignored",
    "userid": "the user id is not prot/user.pid:sid@host",
    "map_text": "a map message is longer than any server sends, or lacks a part that it must have",
    "record_size": "a record's size is below its header or runs past the end: the rest of the datagram is lost",
    "record_short": "a record is shorter than its kind needs: that record is lost",
    "record_value": "a counter is negative: that record is lost",
    "record_type": "a record of an unknown type was skipped",
    "record_count": "the number of records differs from what the time record says",
    "no_window": "f-stream records without a time record before them",
    "no_server": "the server that sent it cannot be determined",
    "name_length": "a file name is longer than any server sends: that record is lost",
    "envelope": "begins like the envelope of a shoveler but is not one; or an envelope in an envelope",
    "json": "not JSON, or not an object: that line is lost",
    "json_group": "a group of a JSON summary cannot be read: that group is lost, the others were used",
    "event": "an event of no known kind, or with a value of a wrong type: that line is lost",
    "xml": "a summary that is not well-formed XML",
    "xml_group": "a group of a summary is not well-formed: that group is lost, the others were used",
    "xml_forbidden": "a summary with a document type, entity or processing instruction",
    "xml_depth": "a summary nested deeper than any server sends",
}
"""Why a datagram or a part of it was not used → what it means. Names of counters: never rename one."""


class RejectedError(ValueError):
    """A datagram, or a part of it, that cannot be decoded. `reason` is a key of `REASONS`; the text says more."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(f"{reason}: {text or REASONS[reason]}")
        self.reason = reason


class Kind(enum.Enum):
    """The families of datagrams; each has its own parser."""

    MAP = "map"
    FSTREAM = "f-stream"
    TRACE = "t-stream"
    REDIRECT = "r-stream"
    GSTREAM = "g-stream"
    TEXT = "text g-stream"
    SUMMARY_JSON = "JSON summary"
    SUMMARY_XML = "XML summary"
    ENVELOPE = "envelope"
    """A datagram that another shoveler has forwarded in its envelope, by UDP."""


_KINDS = {
    **dict.fromkeys(b"=dipuUTx", Kind.MAP),
    ord("f"): Kind.FSTREAM,
    ord("t"): Kind.TRACE,
    ord("r"): Kind.REDIRECT,
    ord("g"): Kind.GSTREAM,
    ord("<"): Kind.SUMMARY_XML,
}


_JSON_SUMMARY = re.compile(rb'\{\s*"statistics"\s*:')
_ENVELOPE = [re.compile(rb'[{,]\s*"%s"\s*:' % key) for key in (b"data", b"remote")]
"""What an envelope has, in any order and among other keys."""
_CUT_ENVELOPE = re.compile(rb'\{\s*"data"\s*:\s*"[A-Za-z0-9+/=\\]{16,}')
"""How one begins that a receiver has truncated before its second key."""


def classify(data: bytes) -> Kind:
    """The family of a datagram (format reference, section 1). Raises RejectedError: empty, unknown."""
    if not data:
        raise RejectedError("empty")
    kind = _KINDS.get(data[0])
    if kind is not None:
        return kind
    if data[0] == 0x7B:  # "{"
        if _JSON_SUMMARY.match(data):
            return Kind.SUMMARY_JSON
        if data.startswith(b'{"code"'):
            return Kind.TEXT
        cut = _CUT_ENVELOPE.match(data)
        enveloped = (cut is not None and cut.end() == len(data)) or all(key.search(data) for key in _ENVELOPE)
        return Kind.ENVELOPE if enveloped else Kind.TEXT
    if data.startswith(b"code="):
        return Kind.TEXT
    rest = data.lstrip()
    if len(rest) < len(data) and rest.startswith(b"{") and classify(rest) is Kind.ENVELOPE:
        return Kind.ENVELOPE
    raise RejectedError("unknown", f"first byte is 0x{data[0]:02x}")


class Header(NamedTuple):
    """The common header. `end` is the end of the datagram's own bytes; `problem` is None, truncated or excess."""

    code: str
    pseq: int
    plen: int
    stod: int
    end: int
    problem: str | None


HEADER = Struct(">BBHI")


def parse_header(data: bytes) -> Header:
    """The 8-byte header (format reference, section 2). ``stod`` is treated as unsigned.

    Raises RejectedError: short, length.
    """
    size = len(data)
    if size < 8:
        raise RejectedError("short", f"{size} bytes are too few for a header")
    code, pseq, plen, stod = HEADER.unpack_from(data)
    if plen < 8:
        raise RejectedError("length", f"the header says {plen} bytes")
    problem = None if plen == size else "excess" if plen < size else "truncated"
    return Header(chr(code), pseq, plen, stod, min(plen, size), problem)


def text_of(data: bytes) -> str:
    """Bytes from the wire as text; bytes that are not UTF-8 are kept as surrogates."""
    return data.decode("utf-8", "surrogateescape")
