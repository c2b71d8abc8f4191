"""Consuming over AMQP: one queue, acknowledged cumulatively."""

from __future__ import annotations

from collections import deque
from typing import Any

from shoveler.bus.address import BusAddress
from shoveler.bus.amqp_link import Link
from shoveler.bus.messages import BusInUseError, BusUnavailableError, Incoming
from shoveler.bus.options import BusOptions

_PREFETCH_MAX = 65535
OWN_QUEUE_MAX = 1000
"""Messages that wait in the queue of a subscription; beyond that the broker drops the oldest. Subscriptions are for
requests, of which the newest is as good as all."""
_ENOUGH = 4 << 20  # bytes in hand at which `take` stops looking for more


class AmqpConsumer:
    """A `Consumer` on one connection of its own.

    The time between two calls of `take`, `acknowledge` or `keep_alive` must stay below the heartbeat interval of the
    options; during longer work a caller calls `keep_alive` in between.
    """

    def __init__(
        self,
        address: BusAddress,
        *,
        queue: str,
        reader: str,
        exclusive: bool,
        options: BusOptions,
        subscribe: tuple[str, str, bool] | None = None,
    ) -> None:
        """`subscribe`, in place of a queue: (exchange, binding, complete) of a queue of its own, gone with this
        connection; unless `complete` it holds `OWN_QUEUE_MAX` messages."""
        self._queue = queue
        self._waiting: deque[Incoming] = deque()
        self._waiting_bytes = 0
        self._taken = 0
        self._acknowledged = 0
        self._link = Link(address, options, reader)
        try:
            if subscribe is not None:
                self._queue = queue = self._declare_own(*subscribe)
            channel = self._link.channel
            channel.add_on_cancel_callback(self._on_cancel)
            self._link.request(channel.basic_qos, prefetch_count=min(options.prefetch, _PREFETCH_MAX))
            self._link.request(
                channel.basic_consume, queue=queue, on_message_callback=self._on_message, exclusive=exclusive
            )
        except BusInUseError:
            self._link.close()
            raise BusInUseError(
                f"the queue {queue!r} is already consumed by another program; stop that one, "
                "or give this one a queue of its own"
            ) from None
        except BaseException:
            self._link.close()
            raise

    def take(self, limit: int, timeout: float) -> list[Incoming]:
        link, waiting = self._link, self._waiting
        link.serve(self._has_waiting, timeout)
        received = -1
        while len(waiting) < limit and self._waiting_bytes < _ENOUGH and received != link.bytes_received:
            received = link.bytes_received
            link.serve(_yes, 0.0)
        taken = [waiting.popleft() for _ in range(min(limit, len(waiting)))]
        if taken:
            self._waiting_bytes -= sum(len(message.body) for message in taken)
            self._taken = taken[-1].delivery
        return taken

    def acknowledge(self, delivery: int) -> None:
        if delivery > self._taken:
            raise ValueError(f"delivery {delivery} was not taken yet; the last one taken is {self._taken}")
        self._link.check()
        if delivery > self._acknowledged:
            self._link.channel.basic_ack(delivery, multiple=True)
            self._acknowledged = delivery
        self._link.serve(_yes, 0.0)

    def keep_alive(self) -> None:
        self._link.serve(_yes, 0.0)

    def token_changed(self) -> bool:
        return self._link.token_changed()

    def close(self) -> None:
        self._link.close()

    def _declare_own(self, exchange: str, binding: str, complete: bool) -> str:
        self._link.declare_exchange(exchange)
        channel = self._link.channel
        arguments = {} if complete else {"x-max-length": OWN_QUEUE_MAX}
        answer = self._link.request(
            channel.queue_declare, queue="", exclusive=True, auto_delete=True, arguments=arguments
        )
        queue = str(answer.method.queue)
        self._link.request(channel.queue_bind, queue=queue, exchange=exchange, routing_key=binding)
        return queue

    # -- how ---------------------------------------------------------------------------------------------------------

    def _has_waiting(self) -> bool:
        return bool(self._waiting)

    def _on_message(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        self._waiting.append(
            Incoming(
                body,
                method.delivery_tag,
                properties.message_id,
                method.routing_key,
                {name: value for name, value in headers.items() if isinstance(value, str | int)},
                properties.content_type or "application/json",
            )
        )
        self._waiting_bytes += len(body)

    def _on_cancel(self, _frame: object) -> None:
        self._link.fail(
            BusUnavailableError(f"the broker cancelled the consumer of {self._queue!r}: the queue was deleted or moved")
        )


def _yes() -> bool:
    return True
