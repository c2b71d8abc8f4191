"""Sinks: where records go. One interface for RabbitMQ, the local bus and files.

The cycle passes `Chunk`s (rows of the outbox) in the order of their numbers, and learns from `poll` up to which number
everything is safe with the next owner: confirmed by the bus, or on disk. A sink never gives up a record: while its bus
is away or refuses, it keeps its records and retries with back-off, with the reason in `trouble`. The only exception is
a record of a kind that need not arrive: if no queue is bound to its exchange, or the bus does not let us use it, it is
dropped and counted.
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
"""Name of an output stream → default exchange. Kinds without a stream of the same name go to ``records``."""


def stream_of(kind: str) -> str:
    """The stream that carries records of a kind."""
    return kind if kind in STREAMS else "records"


class SinkError(Exception):
    """The sink cannot work, now or later (no such directory). The text is one sentence for the operator."""


class Sink(Protocol):
    """Takes chunks. Belongs to one thread."""

    @property
    def trouble(self) -> str:
        """One sentence if nothing can be delivered now, else empty."""

    @property
    def backlog(self) -> int:
        """Bytes given and not yet safe."""

    def send(self, chunk: Chunk) -> None:
        """Accept a chunk. Returns soon; never raises for external problems."""

    def poll(self, timeout: float) -> int:
        """The number up to which every chunk is safe (0: none yet), waiting at most `timeout` seconds for progress.

        Also keeps connections alive and retries what failed: call it often.
        """

    def dropped(self) -> dict[str, int]:
        """Records deliberately not delivered, by reason; cumulative."""

    def close(self) -> None:
        """Close without waiting. Never raises."""
