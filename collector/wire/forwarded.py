"""Datagrams inside envelopes: an OSG shoveler can forward its envelopes by UDP (``outputs.destinations``).

The envelope is that of `shoveler.envelope`. Nothing here imports it: wire formats are decoded without the programs
that make them.
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

import msgspec

from collector.wire.header import Kind, RejectedError, classify
from collector.wire.userid import is_remote


class Forwarded(NamedTuple):
    """The content of the envelope: the datagram as its server sent it, and the sender."""

    data: bytes
    remote: str


class _Envelope(msgspec.Struct, gc=False):
    remote: str
    data: str


_decoder = msgspec.json.Decoder(_Envelope)


def parse_forwarded(data: bytes) -> Forwarded:
    """The datagram in a forwarded envelope. Raises RejectedError: envelope."""
    try:
        outer = _decoder.decode(data.rstrip(b"\0"))
        inner = binascii.a2b_base64(outer.data, strict_mode=True)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RejectedError("envelope", f"not an envelope of a shoveler: {error}") from None
    if not is_remote(outer.remote):
        raise RejectedError("envelope", f"its sender is {outer.remote[:60]!r}, neither an address nor a host name")
    if inner and classify(inner) is Kind.ENVELOPE:
        raise RejectedError("envelope", "an envelope in an envelope")
    return Forwarded(inner, outer.remote)
