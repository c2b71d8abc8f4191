"""What both buses take and give: messages, outcomes, errors, and the three roles (publisher, consumer, topology)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

HeaderValue = str | int


class BusError(Exception):
    """Anything that keeps a message from travelling. The text is one sentence for an operator, without secrets."""


class BusUnavailableError(BusError):
    """The bus cannot be reached, or the connection broke: worth trying again after a back-off."""


class BusRefusedError(BusError):
    """The bus answered and said no (credentials, missing exchange, other declaration): an operator must act."""


class BusMissingError(BusRefusedError):
    """The exchange or queue does not exist."""


class BusInUseError(BusRefusedError):
    """Another program has the queue, or the writer's file, for itself."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `id` becomes the AMQP ``message_id``; messages are always persistent and mandatory."""

    body: bytes
    id: str
    routing_key: str = ""
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message taken from the bus. `delivery` grows with each one; acknowledging n covers all up to n."""

    body: bytes
    delivery: int
    id: str | None = None
    routing_key: str = ""
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one published message."""

    id: str
    status: Literal["confirmed", "returned", "refused"]
    reason: str = ""


class Publisher(Protocol):
    """Publishes with pipelined confirms, in the order given. Belongs to one thread."""

    @property
    def pending(self) -> int:
        """Messages sent whose outcome was not returned by `outcomes` yet."""

    @property
    def room(self) -> int:
        """How many messages `send` takes at once without waiting; 0: the window is full, or the bus does not read."""

    @property
    def blocked(self) -> str | None:
        """Why the bus takes no messages for the moment (for example a memory alarm of the broker), else None.

        Messages that were sent stay pending meanwhile; nothing needs to be done but to tell people.
        """

    def token_changed(self) -> bool:
        """Whether the token file holds a newer token than the one in use (never without a token file).

        Then: send no more, call `outcomes` until `pending` is 0, close, and open a new publisher. Cheap to call.
        """

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Hand messages to the bus; returns when they are on their way, not when they are confirmed.

        At most `room` of them never wait, even where the other end has gone silent. For more it waits as long as that
        takes; a caller with other duties sends less. All that was sent and not read stays in memory: look at `room`
        again after every few hundred kilobytes.
        Raises BusUnavailableError when the connection is gone: then every message without an outcome must be sent again
        by a new publisher. Raises BusRefusedError when the exchange is missing or access is denied.
        """

    def outcomes(self, timeout: float) -> list[Outcome]:
        """Outcomes that arrived, waiting at most `timeout` seconds for the first. Keeps heartbeats going.

        Raises like `send`, once the outcomes that arrived before the failure have been handed over.
        """

    def close(self) -> None:
        """Close without waiting for outcomes. Never raises."""


class Consumer(Protocol):
    """Takes messages and acknowledges them cumulatively. Belongs to one thread."""

    def take(self, limit: int, timeout: float) -> list[Incoming]:
        """Up to `limit` messages in order, waiting at most `timeout` seconds for the first; [] when there is none.

        Keeps heartbeats going; call it often. Raises BusUnavailableError or BusRefusedError; after either,
        unacknowledged messages come again on a new consumer.
        """

    def acknowledge(self, delivery: int) -> None:
        """Everything up to and including `delivery` is safe with us; the bus may forget it. Raises like `take`."""

    def keep_alive(self) -> None:
        """Answer heartbeats without taking anything. Needed when calls are further apart than the heartbeat interval.

        RabbitMQ drops a consumer that was silent for twice `BusOptions.heartbeat` (60 s unless set otherwise). Raises
        like `take`.
        """

    def token_changed(self) -> bool:
        """As for a publisher. Then: acknowledge what is safe, close, and open a new consumer."""

    def close(self) -> None:
        """Close; what is not acknowledged goes back to the bus. Never raises."""


class Topology(Protocol):
    """Declares and inspects exchanges and queues (directories and cursors on the local bus)."""

    def declare_exchange(self, exchange: str) -> None:
        """A durable topic exchange; one that exists, of any type, is left as it is."""

    def declare_queue(
        self,
        queue: str,
        *,
        exchange: str,
        binding: str = "#",
        single_active: bool = False,
        expires: float | None = None,
    ) -> None:
        """A durable queue with ``x-overflow=reject-publish``, bound to the exchange; an existing one is used as is.

        `expires`: seconds without a consumer after which the broker removes it (the local bus keeps it)."""

    def depth(self, queue: str, *, exchange: str) -> int:
        """Messages ready in the queue (behind the cursor on the local bus)."""

    def ends(self, *, exchange: str) -> Mapping[str, int] | None:
        """Where the messages of an exchange end now, for `is_past`; None where only a message of one's own in the queue
        can tell (AMQP: the default exchange takes it there)."""

    def is_past(self, queue: str, *, exchange: str, ends: Mapping[str, int]) -> bool:
        """Whether everything up to `ends` was acknowledged by the reader of this queue."""

    def delete_queue(self, queue: str, *, exchange: str) -> None:
        """Remove a queue and what is in it; no error if it is not there."""

    def delete_exchange(self, exchange: str) -> None:
        """Remove an exchange; no error if it is not there."""

    def close(self) -> None:
        """Close. Never raises."""
