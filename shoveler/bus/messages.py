"""The common interface of both buses: messages, outcomes, errors, and the roles publisher, consumer and topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

HeaderValue = str | int


class BusError(Exception):
    """Any error that keeps a message from being sent. The text is one sentence for an operator, without secrets."""


class BusUnavailableError(BusError):
    """The bus cannot be reached, or the connection broke: try again after a back-off."""


class BusRefusedError(BusError):
    """The bus refused (credentials, missing exchange, different declaration): an operator must act."""


class BusUserError(BusRefusedError):
    """The broker does not know the user, or not with this password or token."""


class BusVhostError(BusRefusedError):
    """There is no such virtual host, or not for this user."""


class BusMissingError(BusRefusedError):
    """The exchange or queue does not exist."""


class BusInUseError(BusRefusedError):
    """Another program has exclusive use of the queue or of the writer's file."""


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
        """How many sent messages have no outcome from `outcomes` yet."""

    @property
    def room(self) -> int:
        """How many messages `send` accepts without waiting; 0: the window is full, or the bus does not read."""

    @property
    def blocked(self) -> str | None:
        """Why the bus accepts no messages at the moment (for example a memory alarm of the broker), else None.

        Messages that were sent stay pending meanwhile; there is nothing to do except to show it.
        """

    def token_changed(self) -> bool:
        """Whether the token file holds a newer token than the one in use (never without a token file).

        If so: send no more, call `outcomes` until `pending` is 0, close, and open a new publisher. Cheap to call.
        """

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Send messages; returns when they are sent, not when they are confirmed.

        Up to `room` messages never wait, even if the other end has gone silent. With more it waits as long as it takes;
        a caller with other work sends fewer. What was sent and not yet read stays in memory: check `room` again every
        few hundred kilobytes.
        Raises BusUnavailableError when the connection is gone: then every message without an outcome must be sent again
        by a new publisher. Raises BusRefusedError when the exchange is missing or access is denied.
        """

    def outcomes(self, timeout: float) -> list[Outcome]:
        """The outcomes that have arrived, waiting at most `timeout` seconds for the first. Keeps heartbeats going.

        Raises like `send`, after the outcomes that arrived before the failure have been returned.
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
        """Everything up to and including `delivery` is safe here; the bus may forget it. Raises like `take`."""

    def keep_alive(self) -> None:
        """Answer heartbeats without taking anything. Needed when calls are further apart than the heartbeat interval.

        RabbitMQ drops a consumer that was silent for twice `BusOptions.heartbeat` (60 s unless set otherwise). Raises
        like `take`.
        """

    def token_changed(self) -> bool:
        """As for a publisher. If so: acknowledge what is safe, close, and open a new consumer."""

    def close(self) -> None:
        """Close; what is not acknowledged goes back to the bus. Never raises."""


Declared = Literal["made", "there", "other"]
"""What became of a declaration: the queue is new, was there, or was there with other limits and stays so."""


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
        max_bytes: int | None = None,
    ) -> Declared:
        """A durable queue with ``x-overflow=reject-publish``, bound to the exchange; an existing one is used as is.

        `expires`: seconds without a consumer after which the bus removes it. With `max_bytes` it is *lossy*: when it is
        full, the oldest messages are dropped, so that a reader that is away never stops the publishers (the local bus,
        which is capped as a whole, drops them when that is full). An existing queue with other limits is made anew if
        it is empty and nobody reads from it."""

    def depth(self, queue: str, *, exchange: str) -> int:
        """Messages ready in the queue (behind the cursor on the local bus)."""

    def ends(self, *, exchange: str) -> Mapping[str, int] | None:
        """The current end of an exchange's messages, for `is_past`; None where this takes a message of one's own in the
        queue (AMQP: the default exchange delivers it there)."""

    def is_past(self, queue: str, *, exchange: str, ends: Mapping[str, int]) -> bool:
        """Whether everything up to `ends` was acknowledged by the reader of this queue."""

    def delete_queue(self, queue: str, *, exchange: str, unused: bool = False) -> None:
        """Remove a queue and its messages; no error if it does not exist. `unused`: only if nobody reads from it, else
        raises BusInUseError."""

    def delete_exchange(self, exchange: str) -> None:
        """Remove an exchange; no error if it does not exist."""

    def close(self) -> None:
        """Close. Never raises."""
