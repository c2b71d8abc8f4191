"""Declaring and inspecting exchanges and queues over AMQP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoveler.bus.address import BusAddress
from shoveler.bus.amqp_link import Link
from shoveler.bus.messages import BusInUseError, BusMissingError, BusRefusedError, Declared
from shoveler.bus.options import BusOptions


class AmqpTopology:
    """A `Topology` on one connection of its own. AMQP does not show policies."""

    def __init__(self, address: BusAddress, *, options: BusOptions) -> None:
        self._link = Link(address, options, "tally topology")

    def declare_exchange(self, exchange: str) -> None:
        self._link.declare_exchange(exchange)

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
        arguments: dict[str, str | bool | int] = {"x-overflow": "reject-publish" if max_bytes is None else "drop-head"}
        if single_active:
            arguments["x-single-active-consumer"] = True
        if expires is not None:
            arguments["x-expires"] = round(expires * 1000)
        if max_bytes is not None:
            arguments["x-max-length-bytes"] = max_bytes
        made = self._declare(queue, arguments, limited=expires is not None or max_bytes is not None)
        self._request("queue_bind", queue=queue, exchange=exchange, routing_key=binding)
        return made

    def _declare(self, queue: str, arguments: dict[str, str | bool | int], *, limited: bool) -> Declared:
        try:
            self._passive(queue)
        except BusMissingError:
            self._request("queue_declare", queue=queue, durable=True, arguments=arguments)
            return "made"
        if not limited:
            return "there"
        try:
            self._request("queue_declare", queue=queue, durable=True, arguments=arguments)
        except BusRefusedError:  # it has other arguments
            try:
                self._request("queue_delete", queue=queue, if_empty=True, if_unused=True)
            except BusRefusedError:
                return "other"
            self._request("queue_declare", queue=queue, durable=True, arguments=arguments)
            return "made"
        return "there"

    def depth(self, queue: str, *, exchange: str) -> int:  # noqa: ARG002 - the local bus needs the exchange
        return int(self._passive(queue).method.message_count)

    def ends(self, *, exchange: str) -> Mapping[str, int] | None:  # noqa: ARG002 - nothing tells how far a queue is read
        return None

    def is_past(self, queue: str, *, exchange: str, ends: Mapping[str, int]) -> bool:  # noqa: ARG002 - see `ends`
        return False

    def delete_queue(self, queue: str, *, exchange: str, unused: bool = False) -> None:  # noqa: ARG002 - as above
        try:
            self._request("queue_delete", queue=queue, if_unused=unused)
        except BusRefusedError as error:
            if not unused or "in use" not in str(error):
                raise
            raise BusInUseError(f"a program reads from the queue {queue!r}; stop that one first") from None

    def delete_exchange(self, exchange: str) -> None:
        self._request("exchange_delete", exchange=exchange)

    def close(self) -> None:
        self._link.close()

    def _passive(self, queue: str) -> Any:
        return self._request("queue_declare", queue=queue, passive=True)

    def _request(self, method: str, **arguments: Any) -> Any:
        try:
            return self._link.request(getattr(self._link.channel, method), **arguments)
        except BusRefusedError:  # with which the broker closed the channel, and the connection is still good
            self._link.reopen_channel()
            raise
