"""Sinks: where records go. One interface for RabbitMQ, the local bus and files.

What travels: the cycle hands over `Chunk`s (rows of the outbox) in the order of their numbers, and learns from `poll`
up to which number everything is safe with the next owner: confirmed by the bus, or on disk. A sink never gives up a
record: while its bus is away or refuses, it keeps what it has and tries again with back-off, saying why in `trouble`.
The one exception is a record of a kind that need not arrive: where nobody is bound to its exchange, or the bus does not
let us use it, it is dropped and counted.
"""

from __future__ import annotations

from typing import Protocol

from collector.checkpoint import Chunk

STREAMS = {
    "records": "xrd-records",
    "cache": "xrd-cache-events",
    "tcp": "xrd-tcp-events",
    "tpc": "xrd-tpc-events",
    "wlcg": "xrd-wlcg-events",
    "wlcg-cache": "xrd-wlcg-cache-events",
    "wlcg-tpc": "xrd-wlcg-tpc-events",
}
"""Name of an output stream → default exchange. Kinds without a stream of their name go to ``records``."""


def stream_of(kind: str) -> str:
    """The stream that carries records of a kind."""
    return kind if kind in STREAMS else "records"


class SinkError(Exception):
    """The sink cannot serve, now or later (no such directory). One sentence for an operator."""


class Sink(Protocol):
    """Takes chunks. Belongs to one thread."""

    @property
    def trouble(self) -> str:
        """One sentence when nothing can be delivered at present, else empty."""

    @property
    def backlog(self) -> int:
        """Bytes handed over and not yet safe."""

    def send(self, chunk: Chunk) -> None:
        """Take over a chunk. Returns soon; never raises for trouble outside."""

    def poll(self, timeout: float) -> int:
        """The number up to which every chunk is safe (0: none yet), waiting at most `timeout` seconds for progress.

        Also keeps connections alive and tries again what failed: call it often.
        """

    def dropped(self) -> dict[str, int]:
        """Records that were not delivered on purpose, by reason; cumulative."""

    def close(self) -> None:
        """Close without waiting. Never raises."""
