"""A thread that takes messages from the bus, passes them to a function, and acknowledges what that has handled.

It connects by itself, retrying with growing pauses, and declares its exchange and queue first. If the function raises,
the messages are not acknowledged and are delivered again after a pause. Its owner learns of its state through
`changed`, which is called in this thread.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shoveler.bus import (
    BusAddress,
    BusError,
    BusOptions,
    BusRefusedError,
    Consumer,
    Declared,
    Incoming,
    Outgoing,
    Topology,
    open_consumer,
    open_publisher,
    open_topology,
)
from shoveler.service import delays

log = logging.getLogger("tally.runner")

TAKE = 256
WAIT_SECONDS = 0.25
DEPTH_SECONDS = 1.0
MARK = "application/x-tally-mark"
"""Content type of a message that we put into our own queue, to find it after everything that was there before."""
MARK_SECONDS = 2.0
"""How long to wait for a mark before putting another one: a broken connection may have lost it."""


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """The state of a consumer. `trouble` is a sentence, empty when all is well; `refused`: an operator must act."""

    connected: bool = False
    trouble: str = ""
    refused: bool = False
    depths: tuple[int | None, ...] = ()
    """Messages waiting in the watched queues, our own one first; None if unknown."""
    queue: Declared | None = None
    """Whether our own queue was there when we connected; None: not connected yet."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A queue whose depth is checked from time to time."""

    queue: str
    exchange: str


@dataclass(slots=True)
class Drain:
    """Everything that was in the queue when this was requested: `done` is set when it has been handled."""

    done: threading.Event = field(default_factory=threading.Event)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    ends: Mapping[str, int] | None = None
    put: float = float("-inf")


class BusThread:
    """Consumes one queue in its own thread."""

    def __init__(
        self,
        name: str,
        address: BusAddress,
        *,
        exchange: str,
        queue: str,
        handle: Callable[[Sequence[Incoming]], None],
        changed: Callable[[ConsumerState], None],
        options: BusOptions,
        watch: Sequence[Watched] = (),
        forget_queue: bool = False,
        keep_queue: float | None = None,
        max_bytes: int | None = None,
    ) -> None:
        """`keep_queue`: seconds without a consumer after which the broker removes the queue; None: it is kept.
        `max_bytes`: it drops its oldest messages when it is larger; None: it may grow."""
        self.name = name
        self._address = address
        self._exchange = exchange
        self._queue = queue
        self._handle = handle
        self._changed = changed
        self._options = options
        self._watched = (Watched(queue, exchange), *watch)
        self._forget_queue = forget_queue
        self._keep_seconds = keep_queue
        self._max_bytes = max_bytes
        self._declared: Declared | None = None
        self._stopping = threading.Event()
        self._state = ConsumerState()
        self._worked = False
        self._drains: deque[Drain] = deque()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start connecting."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> bool:
        """End the thread after the messages being handled; False if it did not end in time. Blocking."""
        self._stopping.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def leave_queue(self) -> None:
        """Another program goes on with the queue: do not remove it at the end."""
        self._forget_queue = False

    def drain(self) -> Drain:
        """Find out when everything that is in the queue now has been handled."""
        drain = Drain()
        self._drains.append(drain)
        return drain

    def _run(self) -> None:
        waits = delays(0.5, 15.0)
        while not self._stopping.is_set():
            try:
                with self._connected() as (topology, consumer):
                    self._consume(topology, consumer)
            except BusError as error:
                self._put(ConsumerState(trouble=str(error), refused=isinstance(error, BusRefusedError)))
            except Exception as error:  # the handler's: the store is full, locked or away
                log.exception("! %s: messages stay on the bus", self.name)
                self._put(ConsumerState(trouble=f"{error} Messages stay on the bus until this is resolved."))
            if self._worked:
                self._worked = False
                waits = delays(0.5, 15.0)
            self._stopping.wait(next(waits))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Topology, Consumer]]:
        with contextlib.closing(open_topology(self._address, self._options)) as topology:
            topology.declare_exchange(self._exchange)
            self._declared = topology.declare_queue(
                self._queue, exchange=self._exchange, expires=self._keep_seconds, max_bytes=self._max_bytes
            )
            consumer = open_consumer(
                self._address, exchange=self._exchange, queue=self._queue, reader=self.name, options=self._options
            )
            with contextlib.closing(consumer):
                yield topology, consumer

    def _consume(self, topology: Topology, consumer: Consumer) -> None:
        asked = 0.0
        depths: tuple[int | None, ...] = ()
        while True:
            now = time.monotonic()
            if now - asked >= DEPTH_SECONDS:
                depths = tuple(self._depth(topology, watched) for watched in self._watched)
                asked = now
            self._put(ConsumerState(connected=True, depths=depths, queue=self._declared))
            if self._stopping.is_set():
                if self._forget_queue:
                    topology.delete_queue(self._queue, exchange=self._exchange)
                return
            self._put_marks(topology)
            messages = consumer.take(TAKE, WAIT_SECONDS)
            if messages:
                own = [message for message in messages if message.content_type != MARK]
                if own:
                    self._handle(own)
                consumer.acknowledge(messages[-1].delivery)
                self._worked = True
            self._look_for_marks(topology, {message.id for message in messages if message.content_type == MARK})

    def _put_marks(self, topology: Topology) -> None:
        """Put a mark after what is in the queue, for each drain that has none (or whose mark may be lost)."""
        now = time.monotonic()
        wanting = [drain for drain in self._drains if drain.ends is None and now - drain.put >= MARK_SECONDS]
        for drain in wanting:
            drain.put, drain.ends = now, topology.ends(exchange=self._exchange)
        marks = [Outgoing(b"", drain.id, self._queue, content_type=MARK) for drain in wanting if drain.ends is None]
        if marks:
            publisher = open_publisher(self._address, exchange="", writer=self.name, options=self._options)
            with contextlib.closing(publisher):
                publisher.send(marks)
                publisher.outcomes(MARK_SECONDS)

    def _look_for_marks(self, topology: Topology, met: set[str | None]) -> None:
        for drain in tuple(self._drains):
            if drain.ends is not None:
                past = topology.is_past(self._queue, exchange=self._exchange, ends=drain.ends)
            else:
                past = drain.id in met
            if past:
                drain.done.set()
                self._drains.remove(drain)

    @staticmethod
    def _depth(topology: Topology, watched: Watched) -> int | None:
        try:
            return topology.depth(watched.queue, exchange=watched.exchange)
        except BusRefusedError:
            return None  # no such queue, or not ours to see

    def _put(self, state: ConsumerState) -> None:
        if state != self._state:
            self._state = state
            self._changed(state)
