"""What all parts of a correlator share: the time, and which cycle of checkpoints it is."""

from __future__ import annotations


class Present:
    """The present. `now` is set by the correlator only."""

    __slots__ = ("arrived", "deleted", "now", "number", "numbered", "shoveler")

    def __init__(self) -> None:
        self.now = 0.0
        """Unix seconds; never runs backwards, and stands while the source is away."""
        self.arrived = 0.0
        """Arrival of the datagram in hand, on the caller's clock."""
        self.number = 0
        """Grows with every checkpoint: what came and went within one is never written."""
        self.numbered = 0
        """Things that had to wait, ever."""
        self.shoveler: str | None = None
        """Spool id of the datagram in hand."""
        self.deleted: set[bytes] = set()
        """Keys of rows that are no longer true."""
