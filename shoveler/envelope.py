"""The envelope: the form in which a datagram travels from a shoveler to a collector. The shoveler writes it.

Single framing is the OSG shoveler's format, so that either side can be replaced::

    {"remote": "192.0.2.7:1094", "version": "0.1.0", "data": "BASE64"}      (IPv6 in brackets)

Batch framing is newline-separated envelopes of *one shard*, in order, each with its own ``id``; content type
``application/x-ndjson``. ``id`` = ``WORD:SEQ``: WORD is a random one for each start of a receiver (a *generation* of
its spool), SEQ counts the datagrams of the spool. So no id is used twice, not even by a spool restored from a copy.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterable

import msgspec

SHARDS = 256
"""Values of the ``shard`` header: crc32 of the sender's IP text, after the IP map, modulo this."""

SINGLE = "application/json"
BATCH = "application/x-ndjson"


class EnvelopeError(ValueError):
    """A bus message that is not an envelope. The text says what is wrong; `reason` is the name it is counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One datagram with its sender. `id` is None in messages of other shovelers, which have none."""

    remote: str
    data: bytes
    id: str | None = None
    version: str = ""


class _Wire(msgspec.Struct, gc=False):
    remote: str
    data: str
    version: str = ""
    id: str | None = None


_decoder = msgspec.json.Decoder(_Wire)


def shard_of(remote: str) -> int:
    """The shard (0…255) of a sender ``IP:PORT``; the port does not matter, so one host is always one shard."""
    ip = remote.rpartition(":")[0].strip("[]")
    return zlib.crc32(ip.encode()) % SHARDS


def encode_single(remote: str, data: bytes, version: str) -> bytes:
    """One envelope in the OSG form. `remote` is an address of ours: ``IP:PORT``, nothing in it needs escaping."""
    encoded = binascii.b2a_base64(data, newline=False)
    return b'{"remote":"%b","version":"%b","data":"%b"}' % (remote.encode(), version.encode(), encoded)


def encode_batch(rows: Iterable[tuple[str, str, bytes]], version: str) -> bytes:
    """Envelopes ``(id, remote, data)`` of one shard as newline-separated JSON."""
    v = version.encode()
    return b"\n".join(
        b'{"id":"%b","remote":"%b","version":"%b","data":"%b"}'
        % (i.encode(), remote.encode(), v, binascii.b2a_base64(data, newline=False))
        for i, remote, data in rows
    )


def decode(body: bytes, content_type: str, message_id: str | None) -> list[Envelope]:
    """The envelopes of one bus message, in either framing.

    Raises EnvelopeError when the body as a whole cannot be read. In a batch a bad line raises too, after nothing was
    returned: the caller that wants to keep the good lines uses `decode_line` on each.
    """
    if content_type.startswith(BATCH):
        return [decode_line(line, None) for line in body.split(b"\n") if line]
    return [decode_line(body, message_id)]


def decode_line(line: bytes, message_id: str | None) -> Envelope:
    """One envelope from its JSON text; an ``id`` inside wins over the message's own. Raises EnvelopeError."""
    try:
        wire = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last from deep nesting
        raise EnvelopeError("envelope", f"message is no envelope: {error}") from None
    try:
        data = binascii.a2b_base64(wire.data)
    except ValueError as error:  # not only binascii.Error: non-ASCII text is refused before it is decoded
        raise EnvelopeError("base64", f"data of the envelope from {wire.remote!r} is not base64: {error}") from None
    return Envelope(wire.remote, data, wire.id or message_id, wire.version)
