"""What all parts of a correlator share: the time, and which cycle of checkpoints it is."""

from __future__ import annotations


class Present:
    """The present. `now` is set by the correlator only."""

    __slots__ = ("arrived", "deleted", "now", "number", "numbered", "shoveler")

    def __init__(self) -> None:
        self.now = 0.0
        """Unix seconds; never runs backwards, and stops while the source is away."""
        self.arrived = 0.0
        """Arrival of the current datagram, on the caller's clock."""
        self.number = 0
        """Incremented at every checkpoint: what came and went within one is never written."""
        self.numbered = 0
        """Total number of things that had to wait."""
        self.shoveler: str | None = None
        """Spool id of the current datagram."""
        self.deleted: set[bytes] = set()
        """Keys of rows to delete."""
