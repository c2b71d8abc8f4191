"""Records to a bus, AMQP or local: one *lane* (publisher) per output stream, opened when its first record comes.

Framing ``single`` sends each record as a message (id = record id); ``batch`` sends a chunk as it is: newline-separated
records of one routing key (id = ``COLLECTOR:NUMBER``). Either way a chunk is safe when all its messages are confirmed.
The headers of a message name the collector and the stream, and those of a chunk's first message how many records of
that stream there were before (``at``): a consumer whose queue has dropped some knows how many.

What is in flight stays in memory, in order, until its outcome is known. A lane that loses its bus sends all of it again
over the next connection: at least once, with the same record ids.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from collector.checkpoint import Chunk
from shoveler.bus import BusError, BusRefusedError, Outcome, Outgoing, Publisher
from shoveler.service import RateLimited, delays

_log = logging.getLogger(__name__)

BATCH = "application/x-ndjson"
_PIECE = 1 << 20
"""Bytes given to the bus at once: what the socket does not accept waits in memory, and delays everything else."""
_AGAIN = 1.0
"""Seconds until a message that the bus returned or refused is sent again."""
_UNBOUND = 2.0
"""Seconds for which records that need not arrive are not even sent, after one came back because no queue is bound."""


@dataclass(slots=True)
class _Open:
    """A chunk that is not safe yet."""

    number: int
    size: int
    left: int
    """Its messages without a good outcome."""


@dataclass(slots=True)
class _Message:
    outgoing: Outgoing
    chunk: _Open
    count: int
    """Records in it."""


def kind_of(outgoing: Outgoing) -> str:
    """The kind of the records in a message: the first word of its routing key."""
    return outgoing.routing_key.partition(".")[0]


class _Lane:
    """One exchange: what waits, what is in flight, what must be sent again, and the publisher while there is one."""

    def __init__(self, connect: Callable[[], Publisher], name: str, sink: BusSink) -> None:
        self._connect = connect
        self._name = name
        self._sink = sink
        self._publisher: Publisher | None = None
        self._waiting: deque[_Message] = deque()
        self._on_way: dict[str, _Message] = {}
        self._again: deque[tuple[float, _Message]] = deque()
        self._refused = False
        """At the last attempt the bus did not let us publish here at all (permissions)."""
        self._unbound: dict[str, float] = {}  # kind → until when its records are dropped unsent
        self._delays: Iterator[float] = delays()
        self._next_try = 0.0
        self._connection_trouble = ""
        self._outcome_trouble = ""

    @property
    def trouble(self) -> str:
        blocked = self._publisher.blocked if self._publisher is not None else None
        if blocked is not None:
            return f"{self._name}: the broker takes no messages at present ({blocked})"
        return self._connection_trouble or self._outcome_trouble

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._on_way or self._again)

    @property
    def resting(self) -> bool:
        """The next attempt is not yet due."""
        return not self._on_way

    def add(self, message: _Message) -> None:
        self._waiting.append(message)

    def work(self, timeout: float) -> None:
        """Send what can be sent and process the available outcomes."""
        if self._publisher is None and (self.idle or not self._connected()):
            if self._refused:
                self._drop_what_need_not_arrive()
            return
        publisher = self._publisher
        assert publisher is not None
        try:
            renew = publisher.token_changed()
            if not renew:
                self._send_waiting(publisher)
            # Called even when nothing is in flight: this keeps the connection's heartbeats going.
            for outcome in publisher.outcomes(timeout if self._on_way else 0.0):
                self._settle(outcome)
            if not renew:
                self._send_waiting(publisher)
            elif not self._on_way:
                publisher.close()
                self._publisher = None
        except BusError as error:
            self._lost(error)

    def _send_waiting(self, publisher: Publisher) -> None:
        now = self._sink.monotonic()
        while self._again and self._again[0][0] <= now:
            self._waiting.appendleft(self._again.popleft()[1])
        while self._waiting and (piece := self._next_piece(publisher.room)):
            publisher.send(piece)

    def _next_piece(self, room: int) -> list[Outgoing]:
        """The next messages to send, at most as many as can be sent without waiting."""
        piece: list[Outgoing] = []
        size = 0
        while self._waiting and len(piece) < room and size < _PIECE:
            message = self._waiting[0]
            if message.outgoing.id in self._on_way:
                break  # the same id is still in flight; its outcome must not be mistaken for this one's
            self._waiting.popleft()
            if self._unbound and self._sink.monotonic() < self._unbound.get(kind_of(message.outgoing), 0.0):
                self._sink.drop(message, "unroutable", f"no queue is bound to {self._name}")
                continue
            self._on_way[message.outgoing.id] = message
            piece.append(message.outgoing)
            size += len(message.outgoing.body)
        return piece

    def _settle(self, outcome: Outcome) -> None:
        message = self._on_way.pop(outcome.id, None)
        if message is None:
            return
        if outcome.status == "confirmed":
            self._outcome_trouble = ""
            self._sink.safe(message)
            return
        if outcome.status == "returned" and not self._sink.must_arrive(message.outgoing):
            # A returned record has travelled twice for nothing; a little later a queue may be bound.
            self._unbound[kind_of(message.outgoing)] = self._sink.monotonic() + _UNBOUND
            self._sink.drop(message, "unroutable", f"no queue is bound to {self._name}")
            return
        reason = (
            f"no queue is bound to {self._name} for {message.outgoing.routing_key}"
            if outcome.status == "returned"
            else f"{self._name} refuses records{': ' + outcome.reason if outcome.reason else ''}"
        )
        if not self._outcome_trouble:
            _log.warning("%s; keeping them and trying again", reason)
        self._outcome_trouble = reason
        self._again.append((self._sink.monotonic() + _AGAIN, message))

    def _connected(self) -> bool:
        if self._sink.monotonic() < self._next_try:
            return False
        try:
            self._publisher = self._connect()
        except BusError as error:
            self._lost(error)
            return False
        if self._connection_trouble:
            _log.warning("%s: publishing again", self._name)
        self._connection_trouble = ""
        self._refused = False
        self._delays = delays()
        return True

    def _drop_what_need_not_arrive(self) -> None:
        """An exchange that the operator never meant us to use must not hold up file records."""
        kept: deque[_Message] = deque()
        for message in self._waiting:
            if self._sink.must_arrive(message.outgoing):
                kept.append(message)
            else:
                self._sink.drop(message, "refused", f"the bus refuses us {self._name}")
        self._waiting = kept

    def _lost(self, error: BusError) -> None:
        what = f"{self._name}: {error}"
        if what != self._connection_trouble:  # one log line per problem, however often it is retried
            advice = "the operator must act; retrying anyway" if isinstance(error, BusRefusedError) else "trying again"
            _log.warning("%s; %s", what, advice)
        self._connection_trouble = what
        self._refused = isinstance(error, BusRefusedError)
        self._next_try = self._sink.monotonic() + next(self._delays)
        if self._publisher is not None:
            self._take_last_outcomes(self._publisher)
            self._publisher.close()
            self._publisher = None
        # Everything without an outcome is sent again, in order, before what has not been sent yet.
        self._waiting.extendleft(reversed(self._on_way.values()))
        self._on_way.clear()

    def _take_last_outcomes(self, publisher: Publisher) -> None:
        """Process outcomes from before the connection broke: what was confirmed need not be sent again."""
        try:
            for outcome in publisher.outcomes(0.0):
                self._settle(outcome)
        except BusError:
            pass  # it has reported what it knew; the failure itself is already being handled

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None


class BusSink:
    """A `Sink` on a bus. `connect` opens a publisher for a stream's name (it may raise BusError)."""

    def __init__(
        self,
        connect: Callable[[str], Publisher],
        exchanges: Mapping[str, str],
        *,
        collector_id: str,
        batch: bool,
        must_arrive: frozenset[str] = frozenset({"file"}),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`exchanges`: stream → exchange, for messages to users. `must_arrive`: kinds that are kept until a queue is
        bound; records of other kinds are dropped and counted if no queue is bound."""
        self._connect = connect
        self._exchanges = exchanges
        self._collector_id = collector_id
        self._batch = batch
        self._must_arrive = must_arrive
        self.monotonic = monotonic
        self._lanes: dict[str, _Lane] = {}
        self._open: deque[_Open] = deque()
        self._safe = 0
        self._backlog = 0
        self._dropped: Counter[str] = Counter()
        self._limited = RateLimited(_log)

    @property
    def trouble(self) -> str:
        """That of the first lane that has any."""
        return next((lane.trouble for lane in self._lanes.values() if lane.trouble), "")

    @property
    def backlog(self) -> int:
        """Bytes of records that are not confirmed yet."""
        return self._backlog

    def send(self, chunk: Chunk) -> None:
        """Queue a chunk on the lane of its stream; `poll` does the sending."""
        lane = self._lanes.get(chunk.stream)
        if lane is None:
            stream = chunk.stream
            name = f"exchange {self._exchanges[stream]}"
            lane = self._lanes[stream] = _Lane(lambda: self._connect(stream), name, self)
        headers: dict[str, str | int] = {"collector": self._collector_id, "stream": chunk.stream}
        first = headers if chunk.at < 0 else headers | {"at": chunk.at}
        if self._batch:
            entry = _Open(chunk.number, len(chunk.body), 1)
            outgoing = Outgoing(chunk.body, f"{self._collector_id}:{chunk.number}", chunk.routing_key, first, BATCH)
            lane.add(_Message(outgoing, entry, len(chunk.ids)))
        else:
            entry = _Open(chunk.number, len(chunk.body), len(chunk.ids))
            for record_id, body in zip(chunk.ids, chunk.body.split(b"\n"), strict=True):
                lane.add(_Message(Outgoing(body, record_id, chunk.routing_key, first), entry, 1))
                first = headers
        self._open.append(entry)
        self._backlog += entry.size

    def poll(self, timeout: float) -> int:
        """See `Sink.poll`."""
        for lane in self._lanes.values():
            lane.work(0.0)
        if timeout > 0 and self._open and not self._advance():
            busy = [lane for lane in self._lanes.values() if not lane.idle]
            if all(lane.resting for lane in busy):
                time.sleep(min(timeout, 0.05))
            for lane in busy:
                lane.work(timeout / len(busy))
        self._advance()
        return self._safe

    def _advance(self) -> bool:
        """Advance over the chunks at the front that are safe; True if there was one."""
        moved = False
        while self._open and self._open[0].left == 0:
            self._safe = self._open.popleft().number
            moved = True
        return moved

    def safe(self, message: _Message) -> None:
        """A message of a chunk is safe with the bus."""
        message.chunk.left -= 1
        if message.chunk.left == 0:
            self._backlog -= message.chunk.size

    def drop(self, message: _Message, reason: str, why: str) -> None:
        """Count a message that need not arrive and cannot; `why` is the beginning of a sentence."""
        kind = kind_of(message.outgoing)
        self._dropped[reason] += message.count
        self._limited.warning(f"{reason} {kind}", "%s for %s records; dropping them", why, kind)
        self.safe(message)

    def must_arrive(self, outgoing: Outgoing) -> bool:
        """Whether such records are kept until a queue is bound."""
        return kind_of(outgoing) in self._must_arrive

    def dropped(self) -> dict[str, int]:
        """Reason → records."""
        return dict(self._dropped)

    def close(self) -> None:
        """Close every lane; what has no outcome stays in the outbox."""
        for lane in self._lanes.values():
            lane.close()
