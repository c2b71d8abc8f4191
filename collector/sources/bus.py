"""Datagrams from a bus: envelopes in either framing, AMQP or local, over any number of reconnects.

Tokens outlive a connection: after a reconnect the bus delivers every unacknowledged message again, and acknowledging an
old token does nothing. The seen-set drops what comes twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import count

from collector.sources import NOTHING, Datagram, Reject, Taken, split_id
from collector.wire.userid import is_remote
from shoveler import envelope
from shoveler.bus import BusError, BusInUseError, BusRefusedError, Consumer, Incoming
from shoveler.service import delays

_log = logging.getLogger(__name__)

_FIRST_LIMIT = 64
_MOST_MESSAGES = 4096
_FIRST_PREFETCH = 256
_LEAST_PREFETCH = 32
_LARGEST_PREFETCH = 8192
_PREFETCH_BYTES = 32 * 2**20
"""What the broker may send ahead: enough for two cycles or more, without filling the memory while the output is
away."""
_ENOUGH_TO_JUDGE = 32
_RAISE_EVERY = 600.0
"""Seconds between two times that the prefetch is raised: each costs a short pause."""
_CYCLE_BYTES = 8 * 2**20
"""Target number of message bytes per cycle: a transaction costs little in comparison, and it fits twice into memory."""


class BusSource:
    """A `Source` that opens its consumer itself, as often as necessary.

    `connect` gets the prefetch and makes a consumer; it may raise BusError, at the start as later: the source then
    waits and tries again. That another program has the queue, and had it from the start, is in `taken_by_another`, so
    that the program can end with that sentence.
    """

    captured = False
    live = True
    ended = False

    def __init__(
        self,
        connect: Callable[[int], Consumer],
        name: str,
        *,
        prefetch: int = 0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`prefetch` 0: chosen by the size of the messages."""
        self._connect = connect
        self._name = name
        self._prefetch = prefetch or _FIRST_PREFETCH
        self._find_prefetch = prefetch == 0
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._consumer: Consumer | None = None
        self._tokens = count(1)
        self._deliveries: dict[int, int] = {}  # token → delivery, of this connection only, not acknowledged
        self._limit = _FIRST_LIMIT
        self._next_try = 0.0
        self._delays: Iterator[float] = delays()
        self._renew = False
        self._next_raise = 0.0
        self._ever = False
        self.taken_by_another: BusInUseError | None = None
        self.trouble = ""

    def take(self, timeout: float) -> Taken:
        """Messages for about one cycle. While the bus is away, none, after at most `timeout` seconds."""
        consumer = self._connected(timeout)
        if consumer is None:
            return NOTHING
        try:
            if self._renew or consumer.token_changed():
                return self._renewed(consumer)
            messages = consumer.take(self._limit, timeout)
        except BusError as error:
            self._lost(error)
            return NOTHING
        if not messages:
            return NOTHING
        self._adapt(messages)
        return self._opened(messages)

    def _opened(self, messages: list[Incoming]) -> Taken:
        now = self._clock()
        datagrams: list[Datagram] = []
        rejects: list[Reject] = []
        for message in messages:
            shoveler = message.headers.get("shoveler") if message.headers else None
            spool_header = shoveler if isinstance(shoveler, str) else None
            if message.content_type.startswith(envelope.BATCH):
                lines, message_id = [line for line in message.body.split(b"\n") if line], None
            else:
                lines, message_id = [message.body], message.id
            for line in lines:
                try:
                    opened = envelope.decode_line(line, message_id)
                except envelope.EnvelopeError as error:
                    rejects.append(Reject(error.reason, str(error)))
                    continue
                if not is_remote(opened.remote):
                    rejects.append(
                        Reject(
                            "remote",
                            f"the sender of an envelope is {opened.remote[:60]!r}, neither an address nor a host name",
                        )
                    )
                    continue
                spool, seq = split_id(opened.id)
                datagrams.append(Datagram(opened.data, opened.remote, now, spool, seq, spool_header or spool))
        token = next(self._tokens)
        self._deliveries[token] = messages[-1].delivery
        return Taken(datagrams, rejects, token, more=len(messages) >= min(self._limit, self._prefetch // 2))

    def _adapt(self, messages: list[Incoming]) -> None:
        """A batch message has hundreds of datagrams, a single one has one: count bytes, not messages."""
        mean = max(1, sum(len(message.body) for message in messages) // len(messages))
        self._limit = max(1, min(_MOST_MESSAGES, _CYCLE_BYTES // mean))
        if self._find_prefetch:
            wanted = max(_LEAST_PREFETCH, min(_LARGEST_PREFETCH, _PREFETCH_BYTES // mean))
            now = self._monotonic()
            if self._prefetch > 4 * wanted:  # a backlog comes in large batches, and could fill the memory
                self._prefetch, self._renew = wanted, True
            elif wanted > 2 * self._prefetch and len(messages) >= _ENOUGH_TO_JUDGE and now >= self._next_raise:
                self._prefetch, self._renew = wanted, True
                self._next_raise = now + _RAISE_EVERY

    def _renewed(self, consumer: Consumer) -> Taken:
        """A newer token or a better prefetch needs a new consumer: first all that was taken is acknowledged."""
        if self._deliveries:
            consumer.keep_alive()
        else:
            consumer.close()
            self._consumer = None
            self._renew = False
        return NOTHING

    def _connected(self, timeout: float) -> Consumer | None:
        if self._consumer is None:
            wait = self._next_try - self._monotonic()
            if wait > 0:
                self._sleep(min(wait, timeout))
                return None
            try:
                self._consumer = self._connect(self._prefetch)
            except BusError as error:
                if not self._ever:
                    self.taken_by_another = error if isinstance(error, BusInUseError) else None
                self._lost(error)
                return None
            if self.trouble:
                _log.warning("%s: taking again", self._name)
                self.trouble = ""
            self._ever = True
            self.taken_by_another = None
            self._delays = delays()
        return self._consumer

    def _lost(self, error: BusError) -> None:
        wait = next(self._delays)
        what = f"{self._name}: {error}"
        if what != self.trouble:  # one log line per problem, however often it is retried
            advice = "the operator must act; retrying anyway" if isinstance(error, BusRefusedError) else "trying again"
            _log.warning("%s; %s", what, advice)
        self.trouble = what
        self._next_try = self._monotonic() + wait
        self._deliveries.clear()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def keep_alive(self) -> None:
        """Keep the connection alive without taking anything."""
        if self._consumer is not None:
            try:
                self._consumer.keep_alive()
            except BusError as error:
                self._lost(error)

    def acknowledge(self, token: int) -> None:
        """Acknowledge on the bus, unless the connection that gave `token` is gone."""
        delivery = self._deliveries.get(token)
        if delivery is None or self._consumer is None:
            return
        for older in [t for t in self._deliveries if t <= token]:
            del self._deliveries[older]
        try:
            self._consumer.acknowledge(delivery)
        except BusError as error:
            self._lost(error)

    def drops(self) -> int:
        """A bus loses nothing before we take it."""
        return 0

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
