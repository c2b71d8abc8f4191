"""The status message: the counts of a shoveler or a collector, for the loss ladder and the Pipeline page.

Sent to the topic exchange ``tally-status`` every 5 s and at drain, as JSON. The routing key says whose it is:
``shoveler.SPOOL`` or ``collector.ID``. Counters are cumulative since `started` and never go back while `id` and
`started` stay the same; a reader subtracts the first message of its run from the last.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SCHEMA = 2
EXCHANGE = "tally-status"
INTERVAL = 5.0
"""Seconds between two status messages."""

_LARGEST = 16 * 2**20


class StatusError(ValueError):
    """A message that is not a status message; the text says why."""


class ShovelerSender(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A shoveler's counts for one sender (``IP:PORT``, after the IP map). All cumulative."""

    received: int = 0
    """Datagrams taken into the spool."""
    bytes: int = 0
    """Their bytes."""
    by_code: dict[str, int] = {}
    """Taken datagrams by first byte: ``=``, ``u``, ``f``, ``{`` …; ``other`` for bytes that are not printable ASCII."""
    oversize: int = 0
    """Of these, datagrams too large for one frame of the path: IP fragmented them."""
    rejected: dict[str, int] = {}
    """Datagrams not taken, by reason."""
    spooled: int = 0
    """Taken and not yet confirmed: received − confirmed."""
    confirmed: int = 0
    """Confirmed by the bus and removed from the spool."""
    returned: int = 0
    """Times the bus had no queue for a datagram of this sender; it stays in the spool."""


class Position(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How far one generation of a spool has come (ids are ``GENERATION:SEQ``). `confirmed_upto` never exceeds
    `received_upto`; both are SEQs, and every SEQ from `first` up to them is meant."""

    first: int
    """The SEQ that this generation begins at."""
    received_upto: int
    confirmed_upto: int


class Drop(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Datagrams that the kernel dropped at one socket between two looks at its counter. Each drop is reported once."""

    listen: str
    """The socket's own address, ``IP:PORT``."""
    t_from: float
    """0: at any time before (a socket that was open, and not observed, before this shoveler's first start)."""
    t_to: float
    count: int


class Refusal(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Datagrams of one sender that were read and not taken, for one reason, within an interval (Unix seconds)."""

    sender: str
    reason: str
    t_from: float
    t_to: float
    count: int


class ShovelerStatus(msgspec.Struct, kw_only=True):
    """A shoveler's status. `id` is the spool id, `started` when the spool was created: counters outlive restarts."""

    schema: int = SCHEMA
    id: str
    started: float
    t: float
    host: str
    version: str
    senders: dict[str, ShovelerSender] = {}
    kernel_drops: int = 0
    """Over all sockets; unlike the senders' figures this one is exact."""
    positions: dict[str, Position] = {}
    """By generation, oldest first: generations of which something may still be in transit, and the current one."""
    drops: list[Drop] = []
    """The newest drops, oldest first, of bounded number."""
    refusals: list[Refusal] = []
    """The newest refusals, oldest first, of bounded number."""
    fragments: list[Drop] = []
    """Fragmented datagrams that the kernel could not reassemble because a fragment never came (ReasmFails). For the
    whole host and all programs: `listen` is empty. `t_from` allows for the time that the kernel waits for the rest."""
    spool_bytes: int = 0
    oldest: float | None = None
    """Arrival (Unix seconds) of the oldest datagram in the spool, or None when it is empty."""
    spool_free: int | None = None
    """Bytes that the disk of the spool still has; None: not told."""


class Gap(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Datagrams of one class that never came (format reference, section 3): ``F``, ``M``, ``G…`` (by g-stream), or
    ``FM`` where both share one counter (Pelican's own origins)."""

    cls: str = msgspec.field(name="class")
    stod: int
    after: int
    """Sequence number after which they are missing."""
    missing: int
    t_min: float
    """Arrival of the datagram before the gap; 0: there was none."""
    t_max: float
    """Arrival of the one after it."""
    begin: int = 0
    """The server's own time, in whole seconds: what is missing is not older than this (tEnd of the datagram before; for
    maps, which have no times, the last time known from the server)."""
    end: int = 0
    """What is missing is not newer than this second (tBeg of the datagram after; for maps, tEnd of the next f-stream
    datagram). 0: no time is known since."""
    sure: bool = True
    """False: perhaps nothing is missing. The counter seems to go on at another address there, which may be another
    counter."""


class CollectorSender(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A collector's counts for one sender (``IP:PORT`` as in the envelope). All cumulative."""

    seen: int = 0
    duplicate: int = 0
    decoded: int = 0
    rejected: dict[str, int] = {}
    records: int = 0
    provisional: int = 0
    incomplete: dict[str, int] = {}
    warnings: list[str] = []
    """Current problems of the server, by name: ``no_closes``, ``no_fstat``, ``silent``."""


class ServerProcess(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a collector knows about one server process: the evidence that belongs to it and to no other."""

    sender: str
    """``IP:PORT`` of its newest f-stream datagram."""
    sid: str
    """Decimal text, like `server_id` in its records."""
    stod: int
    host: str = ""
    """Its own host name, from ``=``."""
    port: int = 0
    """The port that it serves (not the one that it sends from), from ``=``; 0: unknown."""
    instance: str = ""
    last: float = 0.0
    """Arrival of its newest datagram."""
    clock: float = 0.0
    """Its own time in its newest f-stream datagram (tEnd): everything before that was reported; 0: none came."""
    ended: float = 0.0
    """When a newer process of the same server was first seen; 0: never."""
    gaps: list[Gap] = []
    """Its gaps, oldest first, of bounded number. The last may still be filled, if what is missing was only late."""
    missing_ids: dict[str, list[tuple[int, int]]] = {}
    """By kind: ranges (first, last) of ids that never came, while greater ones did. ``u`` and ``open`` where something
    refers to the id, ``open`` also where only f-stream datagrams were lost, ``unknown`` otherwise (any of ``u i d T U``
    and ``open``). Bounded; empty where something other than a loss may have left the hole."""


class Progress(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a collector has seen of one generation of a shoveler's spool. *Seen* means finished: applied, saved, and
    everything that it caused is confirmed by the bus."""

    seen_upto: int
    """The greatest SEQ seen."""
    holes: list[tuple[int, int]] = []
    """Ranges (first, last) below it that were not seen, oldest first, of bounded number."""
    since: int = 0
    """Nothing is said about SEQs below this one: there are too many holes, or they are forgotten."""


class CollectorStatus(msgspec.Struct, kw_only=True):
    """A collector's status."""

    schema: int = SCHEMA
    id: str
    started: float
    t: float
    host: str
    version: str
    senders: dict[str, CollectorSender] = {}
    positions: dict[str, Progress] = {}
    """By generation."""
    reused_ids: int = 0
    """Datagrams whose id had been seen with other content: they were used. Something assigns ids twice."""
    processes: list[ServerProcess] = []
    held: int = 0
    """Accesses whose close is known and that wait for something late (open, user) before they become a record."""
    set_aside: int = 0
    """Datagrams and servers that the collector could not process because of an internal error; see its quarantine."""
    ttl: float | None = None
    """Seconds without progress or sign of life after which it gives up an open file; None: not told."""


ASK = "ask"
"""Routing key on EXCHANGE of a request (any body) to send a status message now; every shoveler and collector does."""

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
    """The status message with this routing key. Raises StatusError, also for a newer schema."""
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
