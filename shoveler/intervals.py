"""What was lost when: a bounded list of counts, each with the interval in which it happened. Pure.

A row is never split; joining makes one row of two and widens the interval. So the sum of all counts is what was added,
until rows that cannot be joined are forgotten, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAX_ROWS = 256
"""Of each kind; a status message carries them all."""


class Row(NamedTuple):
    """`lost` datagrams of `subject`, for `reason`, between `t_from` and `t_to` (Unix seconds)."""

    number: int
    """Identifies a stored row, to replace or remove it."""
    kind: str
    subject: str
    reason: str
    t_from: float
    t_to: float
    lost: int

    def same(self, other: Row) -> bool:
        """Whether the two can be joined."""
        return (self.kind, self.subject, self.reason) == (other.kind, other.subject, other.reason)

    def joined(self, other: Row) -> Row:
        """One row of two."""
        return self._replace(
            t_from=min(self.t_from, other.t_from), t_to=max(self.t_to, other.t_to), lost=self.lost + other.lost
        )


def added(rows: Iterable[Row], new: Iterable[Row], *, within: float = -1.0, limit: int = MAX_ROWS) -> list[Row]:
    """`rows` (of one kind, oldest first) with the new ones, at most `limit` of them.

    A new row is joined to the last one like it when that ended at most `within` seconds before it (negative: never).
    Beyond the limit the two neighbours like each other with the shortest interval together become one.
    """
    kept = list(rows)
    for row in new:
        at = next((at for at in range(len(kept) - 1, -1, -1) if kept[at].same(row)), None) if within >= 0 else None
        if at is not None and row.t_from - kept[at].t_to <= within:
            kept[at] = kept[at].joined(row)
            continue
        kept.append(row)
        if len(kept) > limit:
            _shorten(kept)
    return kept


def _shorten(rows: list[Row]) -> None:
    """One row less."""
    last: dict[tuple[str, str], int] = {}
    best: tuple[float, int, int] | None = None
    for at, row in enumerate(rows):
        before = last.get((row.subject, row.reason))
        if before is not None:
            span = row.t_to - rows[before].t_from
            if best is None or span < best[0]:
                best = (span, before, at)
        last[row.subject, row.reason] = at
    if best is None:
        del rows[0]
        return
    _, before, at = best
    rows[before] = rows[before].joined(rows[at])
    del rows[at]
