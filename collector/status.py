"""Status messages of an engine: its counts for every sender, every five seconds, on request, and at the end.

They tell the loss ladder what reached us. They are worth sending but not worth keeping: when the bus is away, or no
queue is bound to the exchange, a message is lost, and the next one repeats everything, because the counters are
cumulative.

*Seen* in a message means completely processed: applied, committed, and all resulting records confirmed by the bus. So a
message is due at one moment and sent a little later, when everything in progress at that moment has been confirmed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from collector.config import program_version
from collector.cycle import Counts, Mark
from shoveler.bus import BusError, Outgoing, Publisher, Requests
from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    Progress,
    ServerProcess,
    delays,
    encode_status,
    routing_key,
)

_log = logging.getLogger(__name__)

INTERVAL = 5.0
_CONFIRMED_WITHIN = 1.0
"""Seconds that a message waits for what was in progress; after that it reports what was seen by an earlier moment."""
_BREATHE = 1.0
_FAREWELL = 1.0
"""Seconds that the last message may take."""


class Work(Protocol):
    """What the reporter needs from a cycle."""

    @property
    def counts(self) -> Counts: ...
    def mark(self) -> Mark: ...
    def is_behind(self, mark: Mark) -> bool: ...


class StatusReporter:
    """Sends status messages. Belongs to the engine's thread. `connect` None: none are sent."""

    def __init__(
        self,
        connect: Callable[[], Publisher] | None,
        collector_id: str,
        senders: Callable[[], Mapping[str, Mapping[str, Any]]],
        duplicates: Callable[[], Mapping[str, int]],
        processes: Callable[[], Sequence[Mapping[str, Any]]],
        *,
        host: str,
        work: Work | None = None,
        requests: Requests | None = None,
        set_aside: Callable[[], int] = lambda: 0,
        ttl: float | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`senders` and `processes` are the correlator's; `duplicates`: sender → datagrams dropped because their id was
        seen; `work`: the cycle; `requests`: requests for a message between two intervals; `set_aside`: the content of
        the quarantine; `ttl`: how long it remembers an open file."""
        self._connect = connect
        self._id = collector_id
        self._senders = senders
        self._duplicates = duplicates
        self._processes = processes
        self._host = host
        self._work = work
        self._requests = requests
        self._marked: tuple[Mark, int, float] | None = None
        self._positions: dict[str, Progress] = {}
        self._held = 0
        self._set_aside = set_aside
        self._ttl = ttl
        self._clock = clock
        self._monotonic = monotonic
        self._started = clock()
        self._version = program_version()
        self._publisher: Publisher | None = None
        self._due = 0.0
        self._next_try = 0.0
        self._delays = delays(limit=60.0)
        self._number = 0
        self._breathe = 0.0

    def tick(self) -> None:
        """Send a message if it is due, and keep the connection alive. Never raises for problems of the bus. Call it
        several times a second: requests are only answered here."""
        now = self._monotonic()
        if self._connect is None:
            return
        asked = self._requests is not None and self._requests.due(connected=self._publisher is not None)
        if self._marked is None and (asked or now >= self._due):
            self._due = now + INTERVAL
            self._begin(now)
        if self._marked is not None and self._is_settled(now):
            self._send(0.0)
        elif self._publisher is not None and now >= self._breathe:
            self._breathe = now + _BREATHE
            self._outcomes(self._publisher, 0.0)

    def finish(self) -> None:
        """Send the last message (drain) and give it a moment to arrive."""
        if self._connect is not None:
            self._begin(self._monotonic())
            self._is_settled(self._monotonic())
            self._send(_FAREWELL)

    def _begin(self, now: float) -> None:
        """A message is due: it reports what was seen by now, once all of it is completely processed."""
        held = sum(counted.get("held", 0) for counted in self._senders().values())
        self._marked = (self._work.mark() if self._work is not None else Mark(0, 0, {}), held, now)

    def _is_settled(self, now: float) -> bool:
        """Whether the message can be sent: everything up to the mark is completely processed, or took too long."""
        assert self._marked is not None
        mark, held, begun = self._marked
        if self._work is None or self._work.is_behind(mark):
            self._positions, self._held = mark.seen, held
            return True
        return now >= begun + _CONFIRMED_WITHIN

    def message(self) -> CollectorStatus:
        """The current status, with what was seen when that was last known to be completely processed."""
        senders = {remote: msgspec.convert(counted, CollectorSender) for remote, counted in self._senders().items()}
        for remote, count in self._duplicates().items():
            senders.setdefault(remote, CollectorSender()).duplicate += count
        return CollectorStatus(
            id=self._id,
            started=self._started,
            t=self._clock(),
            host=self._host,
            version=self._version,
            senders=senders,
            processes=[msgspec.convert(process, ServerProcess) for process in self._processes()],
            positions=self._positions,
            reused_ids=self._work.counts.reused if self._work is not None else 0,
            held=self._held,
            set_aside=self._set_aside(),
            ttl=self._ttl,
        )

    def _send(self, patience: float) -> None:
        self._marked = None
        publisher = self._opened()
        if publisher is None:
            return
        message = self.message()
        self._number += 1
        outgoing = Outgoing(encode_status(message), f"{self._id}:status:{self._number}", routing_key(message))
        try:
            if publisher.room > 0:
                publisher.send([outgoing])
            deadline = self._monotonic() + patience
            while self._outcomes(publisher, max(0.0, deadline - self._monotonic())):
                if not publisher.pending or self._monotonic() >= deadline:
                    break
        except BusError as error:
            self._lost(error)

    def _outcomes(self, publisher: Publisher, timeout: float) -> bool:
        """Process outcomes, whatever they are. False when the connection is lost."""
        try:
            publisher.outcomes(timeout)
            if publisher.token_changed() and not publisher.pending:
                self.close()
                return False
        except BusError as error:
            self._lost(error)
            return False
        return True

    def _opened(self) -> Publisher | None:
        if self._publisher is None and self._connect is not None and self._monotonic() >= self._next_try:
            try:
                self._publisher = self._connect()
                self._delays = delays(limit=60.0)
            except BusError as error:
                self._lost(error)
        return self._publisher

    def _lost(self, error: BusError) -> None:
        # The engine's source and sink already tell the operator about this bus; here it is a detail.
        _log.debug("! status messages: %s", error)
        self._next_try = self._monotonic() + next(self._delays)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._requests is not None:
            self._requests.close()
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None
