"""The books of a campaign: what was sent, taken, confirmed, consumed and recorded, against the truth. Pure.

`Evidence` is what the outside world saw: the load, the spool's own counters, a queue that got a copy of every envelope
(the *tap*), the collector's seen-set as it lies on disk, and the records. `close` compares them; what does not fit
becomes a sentence in `Books.faults`. The books balance when there is none.

Terms: a datagram is *taken* when the spool says so. One that was *lost* was read by a receiver that was killed before
it could commit; it must lie beside a recorded kill. One that was *rejected* was refused aloud and counted. One that was
*destroyed* lay in a queue when that queue was deleted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from campaign.fleet import Access

LOST_PER_KILL = 256
"""What a receiver may have read and not committed: one block."""
BESIDE = 5.0
"""Seconds that a lost datagram may be older than the kill: a busy receiver finds it in the kernel that late."""
_AFTER = 0.1
_SHIFT = 64
"""How far the order of arrival may differ from the order of sending, over several sockets."""
_SHOWN = 5


class Event(NamedTuple):
    """Something that was done to the pipeline, at a Unix time; `until` when it lasted."""

    t: float
    what: str
    may_lose: bool = False
    """A receiver died: what it had read and not committed is gone."""
    may_reject: bool = False
    """It may refuse datagrams aloud."""
    until: float = 0.0
    may_destroy: bool = False
    """A queue was deleted with what was in it."""


class Record(msgspec.Struct, gc=False):
    """What the books need of a record."""

    kind: str
    record_id: str
    final: bool = False
    server_id: str = ""
    stod: int = 0
    file_id: int = 0
    filename: str | None = None
    filesize: int | None = None
    read: int | None = None
    user: str | None = None
    appinfo: str | None = None
    incomplete: list[str] = []
    sequence_gap: bool = False

    @property
    def key(self) -> tuple[str, int, int]:
        """The access it is about."""
        return (self.server_id, self.stod, self.file_id)


@dataclass
class Spool:
    """The shoveler's own counters, and what really lies in its file."""

    received: int
    confirmed: int
    spooled: int
    rejected: int = 0
    kernel_drops: int = 0


@dataclass
class Evidence:
    """All that was seen from outside."""

    times: Sequence[float]
    """When each datagram was sent."""
    truth: Iterable[Access]
    spool: Spool
    tapped: Mapping[int, int] | None
    """SEQ → number of the datagram in it (-1: of no datagram that was sent). None: there was no tap."""
    tap_conflicts: int
    """Envelopes whose id had come before with another datagram."""
    consumed: set[int]
    """SEQs in the collector's seen-set."""
    records: Mapping[str, Record]
    """By record_id."""
    differing: int
    """Deliveries of a known record_id with another text."""
    repeats: int
    """…and with the same text: what a consumer that keys on record_id absorbs."""
    events: Sequence[Event] = ()
    trouble: Sequence[str] = ()
    """What the rig noticed by itself: a daemon that died unasked, a traceback, a wait that was too long."""


@dataclass
class Books:
    """The counts. `faults`: what does not fit, in sentences."""

    sent: int = 0
    taken: int = 0
    confirmed: int = 0
    consumed: int = 0
    lost: int = 0
    rejected: int = 0
    kernel_drops: int = 0
    destroyed: int = 0
    accesses: int = 0
    records: int = 0
    """Accesses that have their final record."""
    missing: int = 0
    """Final records that are not there although the close was taken."""
    unrecorded: int = 0
    """Final records that cannot be there: the close was never taken."""
    incomplete: int = 0
    """Records that say that something is missing, and something is."""
    duplicates: int = 0
    """Accesses with more than one final record_id."""
    wrong: int = 0
    repeats: int = 0
    provisional: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not self.faults

    def counts(self) -> dict[str, int]:
        """All numbers by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


def close(evidence: Evidence) -> Books:
    """Compare everything with everything."""
    books = Books(sent=len(evidence.times), repeats=evidence.repeats, faults=list(evidence.trouble))
    _spool(books, evidence)
    delivered = _delivery(books, evidence)
    _records(books, evidence, delivered)
    return books


def _spool(books: Books, evidence: Evidence) -> None:
    spool, fault = evidence.spool, books.faults.append
    books.taken, books.confirmed = spool.received, spool.confirmed
    books.rejected, books.kernel_drops = spool.rejected, spool.kernel_drops
    books.consumed = len(evidence.consumed)
    if spool.received != spool.confirmed + spool.spooled:
        fault(f"the spool's books: received {spool.received} ≠ confirmed {spool.confirmed} + spooled {spool.spooled}")
    if spool.spooled:
        fault(f"{spool.spooled} datagrams are still in the spool")
    if spool.kernel_drops:
        fault(f"the kernel dropped {spool.kernel_drops} datagrams: the load was too much for this machine")
    books.lost = books.sent - spool.received - spool.rejected - spool.kernel_drops
    if books.lost < 0:
        fault(f"{-books.lost} more datagrams were taken than sent")


def _delivery(books: Books, evidence: Evidence) -> set[int]:
    """Numbers of the datagrams that reached the collector."""
    fault = books.faults.append
    taken = set(range(1, books.taken + 1))
    strange = evidence.consumed - taken
    if strange:
        fault(f"the collector consumed SEQs that were never given: {_some(strange)}")
    unconsumed = taken - evidence.consumed
    if evidence.tapped is None:
        return _without_tap(books, evidence, unconsumed)
    if unconsumed:
        fault(f"{len(unconsumed)} taken datagrams were not consumed by the collector: SEQ {_some(unconsumed)}")
    untapped, invented = taken - evidence.tapped.keys(), evidence.tapped.keys() - taken
    if untapped:
        fault(f"{len(untapped)} taken datagrams did not come through the bus: SEQ {_some(untapped)}")
    if invented:
        fault(f"envelopes with SEQs that were never given: {_some(invented)}")
    if evidence.tap_conflicts:
        fault(f"{evidence.tap_conflicts} envelopes had the id of another datagram")
    times = Counter(evidence.tapped.values())
    if times.pop(-1, 0):
        fault("envelopes with datagrams that were never sent")
    twice = [number for number, count in times.items() if count > 1]
    if twice:
        fault(f"{len(twice)} datagrams were taken twice: {_some(twice)}")
    never = set(range(books.sent)) - times.keys()
    _explain_never_taken(books, evidence, never)
    return set(times)


def _explain_never_taken(books: Books, evidence: Evidence, never: set[int]) -> None:
    """Each datagram that was not taken lies beside a recorded kill of the receiver, or in a time of counted refusal."""
    if len(never) != books.lost + books.rejected + books.kernel_drops and books.lost >= 0:
        books.faults.append(f"{len(never)} datagrams never came, but {books.lost + books.rejected} are accounted for")
    refusing = [(event.t, event.until) for event in evidence.events if event.may_reject]
    kills = sorted(event.t for event in evidence.events if event.may_lose)
    of_kill: Counter[float] = Counter()
    alone, refused = [], 0
    for number in sorted(never):
        t = evidence.times[number]
        at = bisect_left(kills, t - _AFTER)
        if any(begin - BESIDE <= t <= end for begin, end in refusing) and refused < books.rejected:
            refused += 1
        elif at < len(kills) and kills[at] - t <= BESIDE:
            of_kill[kills[at]] += 1
        else:
            alone.append(number)
    if alone:
        books.faults.append(f"{len(alone)} datagrams were lost beside no recorded restart: {_some(alone)}")
    for kill, count in of_kill.items():
        if count > LOST_PER_KILL:
            books.faults.append(f"a kill at {kill:.3f} cost {count} datagrams, more than a block of {LOST_PER_KILL}")


def _without_tap(books: Books, evidence: Evidence, unconsumed: set[int]) -> set[int]:
    """Nothing was killed, so SEQ n is about the n-th datagram; what is not consumed was destroyed with a queue."""
    books.destroyed = len(unconsumed)
    if books.lost:
        books.faults.append(f"{books.lost} datagrams were lost, and no receiver was killed")
    deletions = [event for event in evidence.events if event.may_destroy]
    late = [
        seq
        for seq in unconsumed
        # Sent before some deletion, and so recently that it can have been waiting in the queue.
        if not any(
            event.t - BESIDE * 2 <= evidence.times[min(seq, books.sent) - 1] <= event.until + _AFTER
            for event in deletions
        )
    ]
    if late:
        books.faults.append(f"{len(late)} datagrams vanished beside no deletion of a queue: SEQ {_some(late)}")
    near = {seq - 1 + shift for seq in unconsumed for shift in range(-_SHIFT, _SHIFT + 1)} if unconsumed else set()
    return set(range(books.sent)) - near


def _records(books: Books, evidence: Evidence, delivered: set[int]) -> None:
    fault = books.faults.append
    finals: dict[tuple[str, int, int], list[Record]] = {}
    halves: set[tuple[str, int, int]] = set()
    for record in evidence.records.values():
        if record.kind != "file":
            fault(f"a record of kind {record.kind}, and nothing of the kind was sent")
        elif record.final:
            finals.setdefault(record.key, []).append(record)
        else:
            books.provisional += 1
            halves.add(record.key)
    if evidence.differing:
        fault(f"{evidence.differing} deliveries repeated a record_id with another text")
    certain = evidence.tapped is not None or not books.destroyed
    missing: list[Access] = []
    wrong: list[str] = []
    early: list[Access] = []
    for access in evidence.truth:
        books.accesses += 1
        found = finals.pop(access.key, [])
        books.duplicates += len(found) > 1
        if found:
            books.records += 1
            books.incomplete += bool(found[0].incomplete)
        elif access.closed in delivered:
            missing.append(access)
        else:
            books.unrecorded += 1
        whole = access.told <= delivered
        if found and (complaint := _complaint(access, found[0], delivered, whole=whole, certain=certain)):
            wrong.append(complaint)
        if whole and access.key in halves:
            early.append(access)
    books.missing, books.wrong = len(missing), len(wrong)
    if missing:
        fault(f"{len(missing)} records are missing, such as {missing[0].path} of {missing[0].server_id}")
    if books.duplicates:
        fault(f"{books.duplicates} accesses have more than one final record")
    if finals:
        fault(f"{len(finals)} records are about accesses that never were")
    if wrong:
        fault(f"{len(wrong)} records differ from the truth: " + "; ".join(wrong[:_SHOWN]))
    if early:
        fault(f"{len(early)} accesses were given up although all that they needed came, such as {early[0].path}")
    nothing_lost = books.sent == books.taken and not books.destroyed
    gaps = sum(record.sequence_gap for record in evidence.records.values())
    if nothing_lost and gaps:
        fault(f"{gaps} records speak of lost datagrams, and none was lost")


def _complaint(access: Access, record: Record, delivered: set[int], *, whole: bool, certain: bool) -> str:
    """What of a record is not true; "" when it is. `certain`: we know exactly which datagrams came."""
    wanted: dict[str, object] = {"read": access.read}
    if access.opened in delivered:
        wanted |= {"filename": access.path, "filesize": access.size}
    told = access.session.told
    if access.opened in delivered and told[0] in delivered:
        wanted["user"] = access.user
        if told[1] in delivered:
            wanted["appinfo"] = f"tally:{access.user}"
    for name, value in wanted.items():
        if getattr(record, name) != value:
            return f"file {access.file_id} of {access.server_id}: {name} is {getattr(record, name)!r}, not {value!r}"
    if whole and record.incomplete:
        return f"file {access.file_id} of {access.server_id} is called incomplete: {record.incomplete}"
    lost_open = certain and access.opened not in delivered
    if lost_open and "no_open" not in record.incomplete:
        return f"file {access.file_id} of {access.server_id}: its open never came, and the record does not say so"
    return ""


def _some(numbers: Iterable[int]) -> str:
    shown = sorted(numbers)
    return ", ".join(map(str, shown[:_SHOWN])) + (f" … {shown[-1]}" if len(shown) > _SHOWN else "")
