"""The status message: what a shoveler or a collector has counted, for the loss ladder and the Pipeline page.

Sent to the topic exchange ``tally-status`` every 5 s and at drain, as JSON. The routing key says whose it is:
``shoveler.SPOOL`` or ``collector.ID``. Counters are cumulative since `started` and never go back while `id` and
`started` stay the same; a reader subtracts the first message of its run from the last.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SCHEMA = 1
EXCHANGE = "tally-status"
INTERVAL = 5.0
"""Seconds between two status messages."""

_LARGEST = 16 * 2**20


class StatusError(ValueError):
    """A message that is no status message; the text says why."""


class ShovelerSender(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a shoveler counted of one sender (``IP:PORT``, after the IP map). All cumulative."""

    received: int = 0
    """Datagrams taken into the spool."""
    bytes: int = 0
    """Their bytes."""
    by_code: dict[str, int] = {}
    """Taken datagrams by first byte: ``=``, ``u``, ``f``, ``{`` …; ``other`` for bytes that are no printable ASCII."""
    oversize: int = 0
    """Of these, datagrams too large for one frame of the path: IP fragmented them."""
    rejected: dict[str, int] = {}
    """Datagrams not taken, by reason."""
    kernel_drops: int = 0
    """Datagrams that the kernel dropped at the socket this sender uses, while it used it. The kernel does not say
    whose they were: an upper bound for this sender, exact when it is the only one."""
    spooled: int = 0
    """Taken and not yet confirmed: received − confirmed."""
    confirmed: int = 0
    """Confirmed by the bus and removed from the spool."""
    returned: int = 0
    """Times the bus had no queue for a datagram of this sender; it stays in the spool."""


class ShovelerStatus(msgspec.Struct, kw_only=True):
    """A shoveler's status. `id` is the spool id, `started` the moment the spool was made: counters outlive restarts."""

    schema: int = SCHEMA
    id: str
    started: float
    t: float
    host: str
    version: str
    senders: dict[str, ShovelerSender] = {}
    kernel_drops: int = 0
    """Over all sockets; unlike the senders' figures this one is exact."""
    spool_bytes: int = 0
    oldest: float | None = None
    """Arrival (Unix seconds) of the oldest datagram in the spool, or None when it is empty."""


class Gap(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Datagrams of one class that never came (format reference, section 3)."""

    cls: str = msgspec.field(name="class")
    stod: int
    after: int
    """Sequence number after which they are missing."""
    missing: int
    t_min: float
    """Arrival of the datagram before the gap."""
    t_max: float
    """Arrival of the one after it."""


class CollectorSender(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a collector counted of one sender (``IP:PORT`` as the envelope has it). All cumulative but `gaps`."""

    seen: int = 0
    duplicate: int = 0
    gaps: list[Gap] = []
    """The gaps that are still open, newest last, of bounded number."""
    decoded: int = 0
    rejected: dict[str, int] = {}
    records: int = 0
    provisional: int = 0
    incomplete: dict[str, int] = {}
    warnings: list[str] = []
    """What is wrong with the server now, by name: ``no_closes``, ``no_fstat``, ``silent``."""


class CollectorStatus(msgspec.Struct, kw_only=True):
    """A collector's status."""

    schema: int = SCHEMA
    id: str
    started: float
    t: float
    host: str
    version: str
    senders: dict[str, CollectorSender] = {}


StatusMessage: TypeAlias = ShovelerStatus | CollectorStatus

_encoder = msgspec.json.Encoder()
_shoveler = msgspec.json.Decoder(ShovelerStatus)
_collector = msgspec.json.Decoder(CollectorStatus)


def routing_key(message: StatusMessage) -> str:
    """``shoveler.SPOOL`` or ``collector.ID``."""
    program: Literal["shoveler", "collector"] = "shoveler" if isinstance(message, ShovelerStatus) else "collector"
    return f"{program}.{message.id}"


def encode_status(message: StatusMessage) -> bytes:
    """JSON of a status message."""
    return _encoder.encode(message)


def decode_status(key: str, body: bytes) -> StatusMessage:
    """The status message with this routing key. Raises StatusError; a newer schema is declined, too."""
    program = key.partition(".")[0]
    if program not in ("shoveler", "collector"):
        raise StatusError(f"routing key {key!r} is neither shoveler.SPOOL nor collector.ID")
    if len(body) > _LARGEST:
        raise StatusError(f"status message of {len(body)} bytes is larger than {_LARGEST}")
    try:
        message: StatusMessage = (_shoveler if program == "shoveler" else _collector).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StatusError(f"not a {program} status: {error}") from None
    if message.schema > SCHEMA:
        raise StatusError(f"status schema {message.schema} is newer than {SCHEMA}: update this program")
    return message
