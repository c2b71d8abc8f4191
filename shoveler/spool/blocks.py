"""Datagrams as they are stored in a row of the spool: a block. No I/O."""

from __future__ import annotations

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[list[str], list[int], list[bytes]])


class BlockError(ValueError):
    """The content of a row is not a block."""


def encode_block(remotes: list[str], senders: list[int], datagrams: list[bytes]) -> bytes:
    """A block of the spool: MessagePack of three lists, the senders ``IP:PORT`` that occur in it, then for each
    datagram the index of its sender, then their bytes. Datagram i of a block whose last SEQ is L has the SEQ
    ``L - count + 1 + i``."""
    return _encoder.encode((remotes, senders, datagrams))


def decode_block(body: bytes) -> tuple[list[str], list[int], list[bytes]]:
    """(remotes, senders, datagrams) of a block. Raises BlockError when it is not one."""
    try:
        remotes, senders, datagrams = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BlockError(f"not a block of a spool: {error}") from None
    if len(senders) != len(datagrams) or (senders and not 0 <= min(senders) <= max(senders) < len(remotes)):
        raise BlockError("not a block of a spool: its three lists do not match")
    return remotes, senders, datagrams
