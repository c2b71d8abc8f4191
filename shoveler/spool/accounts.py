"""The arithmetic of the books: what a transaction adds to counters, senders and intervals. No I/O or clock."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shoveler.intervals import Row, added
from shoveler.service.status import ShovelerSender
from shoveler.spool.tail import Frame, SenderRow
from shoveler.spool.values import OTHERS, Books, Generation, SpoolTotals

DROP, FRAGMENT, REFUSAL = "drop", "fragment", "refusal"
JOIN_WITHIN = {DROP: -1.0, FRAGMENT: -1.0, REFUSAL: 1.0}
"""Kind of interval → maximum seconds between two that are joined; negative: never joined."""
MAX_SENDERS = 10_000
"""How many senders are counted separately; beyond that (forged addresses) they are counted together as `OTHERS`."""
_REFUSED_AT_ONCE = 32
_GENERATIONS_KEPT = 64
"""How many completely confirmed generations are kept, so that status messages can still name them."""

Seen = tuple[ShovelerSender, float]
"""The counters of a sender, and when it was last seen (Unix seconds)."""

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, int]).decode


def _refused(books: Books) -> dict[tuple[str, str], int]:
    """(sender, reason) → datagrams not taken; beyond a number of senders (forged addresses) those are `OTHERS`."""
    found: dict[tuple[str, str], int] = {}
    for remote, counted in books.counts.items():
        for reason, number in counted.rejected.items():
            key = (remote if len(found) < _REFUSED_AT_ONCE else OTHERS, reason)
            found[key] = found.get(key, 0) + number
    return found


def still_told(known: list[Generation], oldest: int) -> list[Generation]:
    """The generations from the one that SEQ `oldest`, the first unconfirmed one, belongs to, and some before it."""
    needed = sum(generation.first <= oldest for generation in known)
    return known[max(0, needed - _GENERATIONS_KEPT) :]


def _plus(one: ShovelerSender, other: ShovelerSender) -> ShovelerSender:
    return ShovelerSender(
        received=one.received + other.received,
        bytes=one.bytes + other.bytes,
        by_code=_merged(one.by_code, other.by_code),
        oversize=one.oversize + other.oversize,
        rejected=_merged(one.rejected, other.rejected),
        confirmed=one.confirmed + other.confirmed,
        returned=one.returned + other.returned,
    )


def _merged(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    if not other:
        return one
    merged = dict(one)
    for key, number in other.items():
        merged[key] = merged.get(key, 0) + number
    return merged


def totals_row(t: SpoolTotals) -> tuple[int, ...]:
    """The counters in the order of the table's columns."""
    return (t.received, t.bytes, t.confirmed, t.returned, t.rejected, t.oversize, t.kernel_drops)


def overlaid(intervals: dict[str, list[Row]], frame: Frame) -> dict[str, list[Row]]:
    """Intervals with what a frame changed of them."""
    if not frame.intervals and not frame.intervals_gone:
        return intervals
    new = {row[0]: Row(*row) for row in frame.intervals}
    gone = set(frame.intervals_gone)
    found = {}
    for kind, rows in intervals.items():
        kept = {row.number: row for row in rows if row.number not in gone}
        kept |= {number: row for number, row in new.items() if row.kind == kind}
        found[kind] = [kept[number] for number in sorted(kept)]
    return found


def sender_row(remote: str, s: ShovelerSender, seen: float) -> SenderRow:
    """As a row of the table ``senders``."""
    return (
        remote, s.received, s.bytes, s.confirmed, s.returned, s.oversize,
        _to_json(s.by_code).decode(), _to_json(s.rejected).decode(), seen,
    )  # fmt: skip


def sender_of(row: SenderRow) -> Seen:
    """From a row of the table ``senders``."""
    _remote, received, size, confirmed, returned, oversize, by_code, rejected, seen = row
    sender = ShovelerSender(
        received=received, bytes=size, by_code=_from_json(by_code), oversize=oversize, rejected=_from_json(rejected),
        spooled=received - confirmed, confirmed=confirmed, returned=returned,
    )  # fmt: skip
    return sender, seen


def add_up(
    counts: Mapping[str, ShovelerSender],
    known_senders: Mapping[str, Seen],
    changed: dict[str, Seen],
    totals: SpoolTotals,
    now: float,
) -> None:
    """Add increments to the rows of their senders, in `changed`, and to `totals`."""
    for remote, delta in counts.items():
        key = remote
        known = changed.get(key) or known_senders.get(key)
        if known is None and len(known_senders) + len(changed) >= MAX_SENDERS:
            key = OTHERS
            known = changed.get(key) or known_senders.get(key)
        changed[key] = (_plus(known[0] if known else ShovelerSender(), delta), now)
        totals.received += delta.received
        totals.bytes += delta.bytes
        totals.confirmed += delta.confirmed
        totals.returned += delta.returned
        totals.oversize += delta.oversize
        totals.rejected += sum(delta.rejected.values())


def with_losses(intervals: dict[str, list[Row]], books: Books) -> dict[str, list[Row]]:
    """What was lost when, with what the books add."""
    new = [Row(0, DROP, d.listen, "", d.t_from, d.t_to, d.count) for d in books.drops]
    new += [Row(0, FRAGMENT, d.listen, "", d.t_from, d.t_to, d.count) for d in books.fragments]
    for (remote, reason), number in _refused(books).items():
        new.append(Row(0, REFUSAL, remote, reason, books.refused_from, books.refused_to, number))
    if not new:
        return intervals
    number = max((row.number for rows in intervals.values() for row in rows), default=0)
    new = [row._replace(number=number + at) for at, row in enumerate(new, 1)]
    return {
        kind: added(rows, [row for row in new if row.kind == kind], within=JOIN_WITHIN[kind])
        for kind, rows in intervals.items()
    }
