"""Shards over AMQP: one queue per share of the senders, so that several collectors can divide the work.

The packets exchange accepts any routing key, and the shard is in a header; so a headers exchange behind it sorts the
messages, with one binding for each of the `VALUES`::

    EXCHANGE ──#──► PREFIXs (headers) ──shard = v──► PREFIX0 … PREFIXn     (v modulo n + 1)
                       └── no such header ──► PREFIXs.rest (fanout) ──► PREFIX0

A message without the header (from an OSG shoveler) goes to the first queue instead of being lost.
"""

from __future__ import annotations

from typing import Any

from shoveler.bus.address import BusAddress
from shoveler.bus.amqp_link import Link
from shoveler.bus.messages import BusMissingError, BusRefusedError
from shoveler.bus.options import BusOptions

VALUES = 256
"""Values of the header ``shard``: 0 … 255."""


def declare_amqp_shards(address: BusAddress, *, exchange: str, prefix: str, count: int, options: BusOptions) -> None:
    """See `shoveler.bus.declare_shards`."""
    link = Link(address, options, "tally topology")
    try:
        _Declaring(link).shards(exchange, prefix, count)
    finally:
        link.close()


class _Declaring:
    def __init__(self, link: Link) -> None:
        self._link = link

    def shards(self, exchange: str, prefix: str, count: int) -> None:
        sorter, rest = f"{prefix}s", f"{prefix}s.rest"
        self._link.declare_exchange(exchange)
        self._exchange(rest, "fanout", {})
        self._exchange(sorter, "headers", {"alternate-exchange": rest})
        for number in range(count):
            self._queue(f"{prefix}{number}")
        self._ask("queue_bind", queue=f"{prefix}0", exchange=rest, routing_key="")
        for value in range(VALUES):
            where = {"x-match": "all", "shard": value}
            self._ask("queue_bind", queue=f"{prefix}{value % count}", exchange=sorter, arguments=where)
        # Last, so that no message flows before every queue exists.
        self._ask("exchange_bind", destination=sorter, source=exchange, routing_key="#")

    def _exchange(self, name: str, kind: str, arguments: dict[str, str]) -> None:
        self._ask("exchange_declare", exchange=name, exchange_type=kind, durable=True, arguments=arguments)

    def _queue(self, name: str) -> None:
        try:
            self._ask("queue_declare", queue=name, passive=True)
        except BusMissingError:
            arguments = {"x-overflow": "reject-publish", "x-single-active-consumer": True}
            self._ask("queue_declare", queue=name, durable=True, arguments=arguments)

    def _ask(self, method: str, **arguments: Any) -> None:
        try:
            self._link.request(getattr(self._link.channel, method), **arguments)
        except BusRefusedError:  # with which the broker closed the channel, and the connection is still good
            self._link.reopen_channel()
            raise
