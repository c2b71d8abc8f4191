"""The correlator: the public face of this package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.correlate.options import Options, Record


class Correlator:
    """Joins datagrams into records. Single-threaded; belongs to whoever calls it.

    One cycle of the shell::

        for each datagram: correlator.feed(…)
        correlator.advance(now)
        records = correlator.take()
        put, delete = correlator.changes()
        # commit records, rows and the ids seen, in one transaction
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def feed(
        self, datagram: bytes, remote: str, t: float, shoveler: str | None = None, identified: bool = True
    ) -> None:
        """Take one datagram from sender `remote` (``IP:PORT``, IPv6 in brackets) that arrived at `t`.

        `shoveler` is the spool id when known. `identified`: the datagram came with an id by which the caller has
        dropped replays already. Whatever the bytes are, this never raises; what cannot be used is counted by reason.
        """
        raise NotImplementedError

    def advance(self, now: float) -> None:
        """Let time pass: ends graces, gives up what has expired. Call it once a cycle, also when nothing arrives,
        but only while the source is connected: silence tells something only to somebody who listens.
        """
        raise NotImplementedError

    def resume(self, now: float) -> None:
        """The source was away until `now` (start after `restore`, reconnect): nobody expires for that silence."""
        raise NotImplementedError

    def drain(self, now: float) -> None:
        """The source has ended for good: write out all that is held, open files as provisional records.

        Files stay known, so that a later close still gives a complete final record.
        """
        raise NotImplementedError

    def take(self) -> list[Record]:
        """The records caused since the last call, in order; the caller owns them now."""
        raise NotImplementedError

    def changes(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """State rows ``(key, value)`` to put and keys to delete since the last call (puts and deletes are disjoint).

        A file opened and closed in between costs no row.
        """
        raise NotImplementedError

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Become the correlator whose rows these are (all of them, in any order). Call it before the first `feed`.

        Raises ValueError when a row is not one of ours or of a newer version; the text says which.
        """
        raise NotImplementedError

    def status(self) -> dict[str, dict[str, Any]]:
        """Per sender (``IP:PORT``) the counters of the status message, cumulative since this object was made:
        ``seen duplicate late gaps decoded rejected records provisional incomplete held warnings``.

        ``gaps`` is a list of ``{class, stod, after, missing, t_min, t_max}``, ``rejected`` and ``incomplete`` map a
        reason to a count, ``warnings`` is a list of names (``no_closes``, ``no_fstat``, ``silent``).
        """
        raise NotImplementedError

    @property
    def counters(self) -> dict[str, int]:
        """Totals for metrics; a name with a label is ``name{label}``, for example ``rejected{short}``."""
        raise NotImplementedError

    def dump(self) -> dict[str, Any]:
        """All state as plain values, for a person to read (and ``json.dumps``)."""
        raise NotImplementedError
