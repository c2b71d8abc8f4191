"""The cycle: what a collector does with its input, in the order that its guarantees depend on.

1. *Take* up to n messages.
2. *Drop* those whose id was seen, feed the rest to the correlator, let its time pass.
3. *Commit* one transaction: changed state, the records that were caused (outbox), the ids seen.
4. *Publish* the outbox.
5. When all of it is confirmed: *clear* it from the outbox, and only then *acknowledge* the input.

After a kill before 3, the input comes again and meets the old state. After a kill after 3, the outbox is published at
the next start, and if the input comes again it is recognised. So a consumer that keys on ``record_id`` has each record
exactly once; one that does not sees repeats only around a kill.

Cycles overlap: while the records of one are in flight, the next is taken, and clearing is part of a later transaction.
The order for each message never changes: committed, published, confirmed, cleared, acknowledged.

Nothing here blocks for longer than the time-out of a step, even when the bus, the disk or both are unavailable.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple
from zlib import crc32

from collector.checkpoint import CheckpointFullError, CheckpointUnusableError, Chunk, Store, Transaction
from collector.correlate import Correlator, Record
from collector.guard import Advance, Aside, Drain, Guard, Resume, Step
from collector.quarantine import Quarantine
from collector.seen import REUSED, SeenSet
from collector.sinks import Sink, stream_of
from collector.sinks.direct import DirectFile
from collector.sources import Datagram, Reject, Source, Taken
from shoveler.service import Progress, RateLimited, delays

_log = logging.getLogger(__name__)

_CHUNK_RECORDS = 256
_CHUNK_BYTES = 256 * 1024
"""A chunk is a batch message: large enough that a message costs little, small enough for any broker."""
_BACKLOG_BYTES = 64 * 2**20
"""Records committed but not confirmed, above which nothing more is taken: bounds memory, and repeats after a kill."""
_BACKLOG_CYCLES = 64
_LEAST = 0.05
"""Seconds between the starts of two cycles under light load: one transaction for a handful of messages."""
_CLEAR_AFTER = 0.2
"""Seconds after which confirmed records are cleared by a separate transaction if no cycle follows."""
_ADVANCE_EVERY = 1.0
"""Seconds of the datagrams' time between two checks for time-outs in a replay, so that every replay gives the same
result."""
_SENDERS = 20_000
_SET_ASIDE = {
    "datagram": "a datagram that this version cannot process was",
    "server": "a server whose time-outs this version cannot process was forgotten, and its state was",
    "time": "a timed action was",
}
"""The beginning of a log line."""


@dataclass
class Counts:
    """The cycle's own counters; the correlator has others. Cumulative since the start."""

    cycles: int = 0
    datagrams: int = 0
    duplicates: int = 0
    reused: int = 0
    """Datagrams taken although their id was already seen, because their content differs."""
    rejected: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    """By kind: committed."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """What the core could not process: ``datagram``, ``server``, ``time``."""
    commits: int = 0
    commit_seconds: float = 0.0
    last_commit_seconds: float = 0.0
    lag_seconds: float = 0.0
    """From taking input to its records being confirmed, for the last input acknowledged."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of the cycle at some moment: everything taken, every record caused, the content of the seen-set."""

    takes: int
    chunk: int
    seen: dict[str, Progress]


class Done(NamedTuple):
    """What a cycle has done, and all that has to be written of it."""

    transaction: Transaction
    records: Sequence[Record] = ()
    """For the file that they are written to directly: those that are not in it yet. Else they are in the transaction.
    """
    aside: Sequence[Aside] = ()


class _Ahead:
    """Records of a cycle that go into their file while the cycle is still applied (see `collector.guard`). The
    transaction that says how long the file is with them comes when all are there.
    """

    def __init__(self, direct: DirectFile) -> None:
        self._direct = direct
        self._begun = direct.length
        self.kinds: Counter[str] = Counter()
        """Of all."""
        self.kept: list[Record] = []
        """Those that the file could not take yet, and all after them: they are written with the transaction."""

    def write(self, records: list[Record]) -> None:
        """See `collector.guard.Ahead`."""
        self.kinds.update(map(itemgetter(0), records))
        if not self.kept:
            try:
                self._direct.write(records)
                return
            except OSError:
                pass  # the transaction comes to the same, says so and is tried again
        self.kept += records

    def undo(self) -> None:
        """See `collector.guard.Ahead`."""
        self._direct.go_back(self._begun)
        self.kinds.clear()
        self.kept.clear()


class Cycle:
    """Runs steps. Belongs to one thread; the counts and `trouble` may be read from others."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        correlator: Correlator,
        store: Store,
        *,
        quarantine: Quarantine | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`quarantine` None: there is none."""
        self._guard = Guard(correlator, store.state)
        self._quarantine = quarantine or Quarantine(None)
        self._direct = sink if isinstance(sink, DirectFile) else None
        self._source = source
        self._sink = sink
        self._correlator = correlator
        self._store = store
        self._seen = SeenSet()
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._limited = RateLimited(_log, clock=monotonic)
        self._unacknowledged: deque[tuple[int | None, int, float]] = deque()  # (token, last chunk, taken at)
        self._last_chunk = 0
        self._cleared = 0
        self._settled_at: float | None = None
        self._stuck: tuple[Done, Taken] | None = None
        self._delays: Iterator[float] = delays()
        self._next_commit = 0.0
        self._deaf = True
        self._captured_now = 0.0
        self._captured_at = 0.0
        self._next_advance = 0.0
        self._last_begin = 0.0
        self._more = False
        self._quiet = True
        self._drained = False
        self._takes = self._done = 0
        self.counts = Counts()
        self.duplicates_of: dict[str, int] = {}
        """Sender → datagrams dropped because their id was seen (of the first `_SENDERS` senders)."""
        self.store_trouble = ""

    # -- what others may ask ------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> dict[str, str]:
        """Part → one sentence, for each current problem."""
        parts = {"input": self._source.trouble, "output": self._sink.trouble, "state": self.store_trouble}
        return {part: sentence for part, sentence in parts.items() if sentence}

    @property
    def outbox(self) -> int:
        """Chunks committed and not yet cleared."""
        return self._last_chunk - self._cleared

    @property
    def seen_runs(self) -> int:
        """Size of the seen-set."""
        return self._seen.runs

    @property
    def seen_forgotten(self) -> int:
        """Runs that the seen-set forgot to stay within its bound."""
        return self._seen.runs_forgotten

    @property
    def quarantine_forgotten(self) -> int:
        """Entries that the quarantine removed to stay within its bound."""
        return self._quarantine.forgotten

    @property
    def source_drops(self) -> int:
        """Datagrams lost before they were taken, if the source can count them."""
        return self._source.drops()

    @property
    def records_dropped(self) -> dict[str, int]:
        """Records that the sink deliberately dropped, by reason."""
        return self._sink.dropped()

    def mark(self) -> Mark:
        """The current position; `is_behind` says when everything before it is completely processed."""
        waiting = self._stuck[0].transaction.chunks if self._stuck is not None else ()
        chunk = waiting[-1].number if waiting else self._last_chunk
        return Mark(self._takes, chunk, self._seen.progress())

    def is_behind(self, mark: Mark) -> bool:
        """Whether everything up to the mark is applied and committed, and the bus has confirmed the resulting
        records."""
        return self._done >= mark.takes and self._cleared >= mark.chunk

    # -- life ---------------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Restore the state from the checkpoint, and publish what is still in its outbox. Call it once, first.

        Raises CheckpointUnusableError, also for a row of state that this version does not know.
        """
        try:
            self._correlator.restore(self._store.state())
        except ValueError as error:
            raise CheckpointUnusableError(
                f"{self._store.name} cannot be used: {error}; upgrade, or move the file away to begin with an "
                "empty state"
            ) from error
        self._store.restore_seen(self._seen)
        self._last_chunk = self._cleared = self._store.next_chunk - 1
        left = self._store.outbox()
        if self._direct is not None:
            self._begin_direct(self._direct, left)
        elif left:
            _log.info("publishing %d chunks of records left over from the last run", len(left))
            self._cleared = left[0].number - 1
            for chunk in left:
                self._sink.send(chunk)

    def _begin_direct(self, direct: DirectFile, left: Sequence[Chunk]) -> None:
        """Before anything is written, the state says that there may be something; then the outbox of an earlier run is
        written."""
        self._store.commit(Transaction(mark=direct.mark()))
        if left:
            try:
                direct.append([chunk.body for chunk in left])
                direct.sync()
            except OSError as error:
                raise CheckpointFullError(f"records left over from the last run cannot be written: {error}") from error
            self._store.commit(Transaction(cleared=left[-1].number, mark=direct.mark()))

    def step(self, timeout: float) -> None:
        """One cycle, or as much of one as is possible now; returns after about `timeout` seconds at most."""
        self._settle(0.0)
        if self._stuck is not None:
            self._try_again(timeout)
            return
        if self._sink.backlog > _BACKLOG_BYTES or len(self._unacknowledged) > _BACKLOG_CYCLES:
            self._deaf = True  # we do not listen while there is no room, so silence proves nothing
            self._source.keep_alive()
            self._settle(timeout)
            return
        self._pace()
        taken = self._source.take(0.01 if self.outbox else timeout)
        if taken:
            self._apply(taken)
        elif self._source.ended and not self._drained:
            self._drain_source()
        else:
            self._let_time_pass()
            if self.outbox:
                self._settle(min(timeout, 0.05))

    @property
    def finished(self) -> bool:
        """The source has ended, everything is written, and the next owner has confirmed it."""
        return self._drained and self.outbox == 0 and self._stuck is None

    def wind_down(self, seconds: float) -> bool:
        """Stop taking; wait for what is in flight. True when everything is confirmed; else the rest is in the
        outbox."""
        deadline = self._monotonic() + seconds
        while (self.outbox or self._unacknowledged or self._stuck) and self._monotonic() < deadline:
            self._source.keep_alive()
            if self._stuck is not None:
                self._try_again(0.05)
            self._settle(0.05, clear_now=True)
        if self._stuck is None and (left := self._seen.changes(self._clock(), last=True)):
            self._commit(Done(Transaction(seen=left)), Taken(), self._monotonic())
        safe = not (self.outbox or self._unacknowledged or self._stuck)
        return safe and (self._direct is None or self._is_done_with(self._direct))

    def _is_done_with(self, direct: DirectFile) -> bool:
        """Note in the state that nobody writes the file now. False when the disk cannot store that."""
        try:
            self._store.commit(Transaction(mark=direct.mark(done=True)))
        except CheckpointFullError as error:
            _log.error(
                "%s; anything that other programs append to %s now is cut off when this collector continues",
                error,
                direct.path,
            )
            return False
        return True

    def close(self) -> None:
        """Close source, sink and checkpoint."""
        self._source.close()
        self._sink.close()
        self._store.close()

    # -- taking -------------------------------------------------------------------------------------------------------

    def _pace(self) -> None:
        """Wait until a few messages have arrived, unless there are already more than one cycle takes."""
        now = self._monotonic()
        if not self._more and not self._source.captured and now < self._last_begin + _LEAST:
            self._sleep(self._last_begin + _LEAST - now)
            now = self._last_begin + _LEAST
        self._last_begin = now

    def _apply(self, taken: Taken) -> None:
        begun = self._monotonic()
        self._takes += 1
        self._more, self._quiet = taken.more, False
        self._reject(taken.rejects)
        steps = self._listen_again(taken)
        steps += self._captured_steps(taken) if self._source.captured else self._steps(taken)
        self._commit(self._caused(steps, taken.position), taken, begun)

    def _steps(self, taken: Taken) -> list[Step]:
        """The new ones among these, followed by the current time."""
        wall = self._clock()
        steps: list[Step] = [d for d in taken.datagrams if isinstance(d, Datagram) and self._is_new(d, wall)]
        self.counts.datagrams += len(taken.datagrams)
        steps.append(Advance(wall))
        return steps

    def _captured_steps(self, taken: Taken) -> list[Step]:
        """As `_steps`, but time passes with the datagrams, at points that depend only on them."""
        steps: list[Step] = []
        wall = self._clock()
        for datagram in taken.datagrams:
            self._captured_now = max(self._captured_now, datagram.t)
            if self._captured_now >= self._next_advance:
                steps.append(Advance(self._captured_now))
                self._next_advance = self._captured_now + _ADVANCE_EVERY
            if type(datagram) is Datagram:
                self.counts.datagrams += 1
                if self._is_new(datagram, wall):
                    steps.append(datagram)
        self._captured_at = self._monotonic()
        return steps

    def _is_new(self, datagram: Datagram, now: float) -> bool:
        """Note its id; False, and counted, when it was taken before."""
        data, remote, _, spool, seq, _ = datagram
        if spool is None:
            return True
        answer = self._seen.add(spool, seq, now, 0 if self._source.captured else crc32(data) or 1)
        if answer == REUSED:
            self._count_reused(spool, seq, remote)
        elif not answer:
            self._count_duplicate(remote)
        return bool(answer)

    def _count_duplicate(self, remote: str) -> None:
        self.counts.duplicates += 1
        known = self.duplicates_of.get(remote)
        if known is not None or len(self.duplicates_of) < _SENDERS:
            self.duplicates_of[remote] = (known or 0) + 1

    def _count_reused(self, spool: str, seq: int, remote: str) -> None:
        """One id for two datagrams: a shoveler went back in time without noticing. Both are taken."""
        self.counts.reused += 1
        self._limited.warning(
            "reused",
            "the id %s:%d was already used for another datagram; this one, from %s, is taken too. Was a "
                "shoveler's machine reset to a snapshot while it ran? Restart that shoveler",
            spool, seq, remote,
        )  # fmt: skip

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            self.counts.rejected[reject.reason] += 1
            self._limited.warning(f"reject {reject.reason}", "input rejected: %s", reject.text)

    def _listen_again(self, taken: Taken) -> list[Step]:
        """After a time in which we could not listen (start, source away, no room), nothing may expire because of that
        silence."""
        if not (self._deaf and taken.datagrams):
            return []
        self._deaf = False
        return [Resume(taken.datagrams[0].t if self._source.captured else self._clock())]

    def _let_time_pass(self) -> None:
        """Nothing was taken: time-outs continue, as long as we are really listening."""
        self._more, self._quiet = False, True
        if self._source.trouble:
            self._deaf = True
            return
        if not self._source.live:
            return
        steps: list[Step] = []
        if self._source.captured:
            if self._deaf:
                return  # nothing was read yet, so there is no time yet
            # A followed file: the last line's time, and what has passed since it was read.
            steps.append(Advance(self._captured_now + self._monotonic() - self._captured_at))
        else:
            now = self._clock()
            if self._deaf:
                self._deaf = False
                steps.append(Resume(now))
            steps.append(Advance(now))
        done = self._caused(steps, None)
        if done.transaction:
            self._commit(done, Taken(), self._monotonic())

    def _drain_source(self) -> None:
        """The end of a file: everything still held is written."""
        self._drained = True
        self._commit(self._caused([Drain(self._captured_now)], None), Taken(), self._monotonic())

    # -- committing ---------------------------------------------------------------------------------------------------

    def _caused(self, steps: Sequence[Step], position: str | None) -> Done:
        """Let the core process these steps; returns everything that must be written."""
        ahead = _Ahead(self._direct) if self._direct is not None else None
        records, puts, deletes, aside = self._guard.apply(steps, ahead)
        for entry in aside:
            self.counts.set_aside[entry.what] += 1
        seen = self._seen.changes(self._clock()) or None
        if ahead is not None:
            ahead.write(records)
            self.counts.records += ahead.kinds
            return Done(Transaction(puts, deletes, seen, (), 0, position), ahead.kept, aside)
        chunks = placed(chunked(records, self._last_chunk + 1), self._store.sent) if records else []
        for chunk in chunks:
            self.counts.records[chunk.routing_key.partition(".")[0]] += len(chunk.ids)
        return Done(Transaction(puts, deletes, seen, chunks, 0, position), (), aside)

    def _commit(self, done: Done, taken: Taken, begun: float) -> None:
        """Write the transaction with whatever can be cleared by now, and hand its records to the sink."""
        settled = self._sink.poll(0.0)
        transaction = done.transaction
        if settled > self._cleared:
            transaction = transaction._replace(cleared=settled)
        if transaction or done.aside:
            started = self._monotonic()
            try:
                if done.aside:
                    self._set_aside(done.aside)
                    done = done._replace(aside=())
                if self._direct is not None:
                    mark = self._write(self._direct, done.records)
                    done = done._replace(records=())
                    transaction = transaction._replace(mark=mark)
                self._store.commit(transaction)
            except CheckpointFullError as error:
                self._cannot_commit(error, done, taken)
                return
            self._committed(self._monotonic() - started)
            for chunk in transaction.chunks:
                self._sink.send(chunk)
            if transaction.chunks:
                self._last_chunk = transaction.chunks[-1].number
        if taken:
            self._unacknowledged.append((taken.token, self._last_chunk, begun))
            self.counts.cycles += 1
        self._sink.poll(0.0)  # send it at once, not at the next step
        if settled > self._cleared:
            self._is_cleared(settled)
        else:
            self._acknowledge()

    def _write(self, direct: DirectFile, records: Sequence[Record]) -> str:
        """The last records into the file, before the transaction that says that they are there; what that has to say.
        Raises CheckpointFullError, and then none of these is in it.
        """
        try:
            direct.write(records)
            if self._store.directory is not None or (self._drained and not direct.is_share):
                direct.sync()
        except OSError as error:
            raise CheckpointFullError(
                f"records cannot be written to {direct.path} for now: {error.strerror}"
            ) from error
        return direct.mark(done=self._drained)

    def _set_aside(self, entries: Sequence[Aside]) -> None:
        """Write to the quarantine, before anything says that these were taken. Raises CheckpointFullError."""
        where = self._quarantine.path
        try:
            self._quarantine.keep(entries)
        except OSError as error:
            raise CheckpointFullError(f"the quarantine {where} cannot be written for now: {error.strerror}") from error
        for entry in entries:
            self._limited.log(
                logging.ERROR,
                f"aside {entry.what}",
                "%s set aside, everything else continues: %s at %s. %s",
                _SET_ASIDE[entry.what],
                entry.error,
                entry.place,
                f"It is in {where}: look at it with `tally-collector inspect {where}`, please report it, and try it "
                "again with the next version"
                if where is not None
                else "It is only in the input, because there is no --state; please report it",
            )

    def _committed(self, seconds: float) -> None:
        self.counts.commits += 1
        self.counts.commit_seconds += seconds
        self.counts.last_commit_seconds = seconds
        if self.store_trouble:
            _log.warning("the state can be written again")
            self.store_trouble = ""
            self._delays = delays()

    def _cannot_commit(self, error: CheckpointFullError, done: Done, taken: Taken) -> None:
        """Keep what was done, take nothing more, acknowledge nothing, and retry later."""
        if not self.store_trouble:
            _log.error("%s; taking no more input until it can, nothing is lost", error)
        self.store_trouble = str(error)
        self._stuck = (done, taken)
        self._deaf = True
        self._next_commit = self._monotonic() + next(self._delays)

    def _try_again(self, timeout: float) -> None:
        assert self._stuck is not None
        self._source.keep_alive()
        wait = self._next_commit - self._monotonic()
        if wait > 0:
            self._sleep(min(wait, timeout))
            return
        done, taken = self._stuck
        self._stuck = None
        self._commit(done, taken, self._monotonic())

    # -- clearing and acknowledging -----------------------------------------------------------------------------------

    def _settle(self, timeout: float, *, clear_now: bool = False) -> None:
        """Note what is confirmed; clear it in a separate transaction if no cycle has done so for a while."""
        settled = self._sink.poll(timeout)
        if settled <= self._cleared:
            self._settled_at = None
            self._acknowledge()
            return
        now = self._monotonic()
        if self._settled_at is None:
            self._settled_at = now
        if not (clear_now or self._quiet or self._drained or now - self._settled_at > _CLEAR_AFTER):
            return
        try:
            self._store.commit(Transaction(cleared=settled))
        except CheckpointFullError as error:
            # Clearing needs a little room too. The records are published; at worst they are published once more.
            self._limited.warning("clear", "%s; published records cannot be cleared", error)
            self.store_trouble = self.store_trouble or str(error)
            return
        self._committed(self._monotonic() - now)
        self._is_cleared(settled)

    def _is_cleared(self, number: int) -> None:
        self._cleared = number
        self._settled_at = None
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge every take whose records are all cleared."""
        token: int | None = None
        begun: float | None = None
        while self._unacknowledged and self._unacknowledged[0][1] <= self._cleared:
            done, _, begun = self._unacknowledged.popleft()
            self._done += 1
            token = done if done is not None else token
        if begun is not None:
            self.counts.lag_seconds = self._monotonic() - begun
        if token is not None:
            self._source.acknowledge(token)


def chunked(records: Iterable[Record], number: int) -> Iterator[Chunk]:
    """Records as chunks from `number` on: one stream and routing key each, order kept within a key, bounded in size."""
    groups: dict[tuple[str, str], tuple[list[str], list[bytes]]] = {}
    # One of the few loops that run for every record; neighbours mostly have the same kind and VO.
    last: tuple[str, str] | None = None
    add_id = add_body = None
    for kind, vo, record_id, body in records:
        if last is None or vo != last[1] or kind != last[0]:
            last = (kind, vo)
            ids, bodies = groups.setdefault(last, ([], []))
            add_id, add_body = ids.append, bodies.append
        add_id(record_id)  # type: ignore[misc]  # set with the first record
        add_body(body)  # type: ignore[misc]
    for (kind, vo), (ids, bodies) in groups.items():
        stream, routing_key = stream_of(kind), f"{kind}.{vo}"
        for start, end in _cuts(bodies):
            yield Chunk(number, stream, routing_key, ids[start:end], b"\n".join(bodies[start:end]))
            number += 1


def placed(chunks: Iterable[Chunk], sent: Mapping[str, int]) -> list[Chunk]:
    """The chunks, each with the number of records of its stream before it; `sent`: how many there were so far."""
    count = dict(sent)
    found = []
    for chunk in chunks:
        at = count.get(chunk.stream, 0)
        count[chunk.stream] = at + len(chunk.ids)
        found.append(chunk._replace(at=at))
    return found


def _cuts(bodies: list[bytes]) -> Iterator[tuple[int, int]]:
    """Where to cut a list, so that no piece has too many records or bytes (a record that is too large is alone)."""
    start = size = 0
    for end, length in enumerate(map(len, bodies)):
        size += length + 1
        if size > _CHUNK_BYTES or end - start >= _CHUNK_RECORDS:
            if end > start:
                yield start, end
            start, size = end, length + 1
    yield start, len(bodies)
