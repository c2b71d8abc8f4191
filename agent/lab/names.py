"""Names of exchanges and queues, and removing them from a broker that the lab did not start.

A private broker and the local bus disappear with the lab, so they use the usual names. On a given broker all names have
the lab's prefix: a production exchange is never touched.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import pika
import pika.exceptions

from agent.lab.errors import LabError, WishError
from shoveler.service import redact

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Names:
    """Every name that a lab uses, including the prefix."""

    prefix: str

    @property
    def packets_exchange(self) -> str:
        return f"{self.prefix}shoveled-xrd"

    @property
    def records_exchange(self) -> str:
        return f"{self.prefix}xrd-records"

    @property
    def status_exchange(self) -> str:
        return f"{self.prefix}tally-status"

    @property
    def other_exchanges(self) -> dict[str, str]:
        """Other exchanges that a collector may publish to: its name for the stream → exchange."""
        streams = ("cache", "tcp", "tpc", "wlcg", "wlcg_cache", "wlcg_tpc")
        return {stream: f"{self.prefix}xrd-{stream.replace('_', '-')}-events" for stream in streams}

    @property
    def exchanges(self) -> list[str]:
        """All of them."""
        return [self.packets_exchange, self.records_exchange, self.status_exchange, *self.other_exchanges.values()]

    @property
    def packets_queue(self) -> str:
        return f"{self.prefix}xrd-packets"


def with_queue(url: str, queue: str) -> str:
    """The broker's URL with ``queue=`` added to its query."""
    parts = urlsplit(url)
    return parts._replace(query=urlencode([*parse_qsl(parts.query), ("queue", queue)])).geturl()


def check_broker(url: str) -> None:
    """Raises WishError if no connection can be made."""
    try:
        _connect(url).close()
    except LabError as error:
        raise WishError(str(error)) from None


def delete(url: str, names: Names) -> None:
    """Remove every exchange and queue of the lab; missing ones are not an error. Raises LabError."""
    if not names.prefix:
        raise AssertionError("without a prefix the names may belong to another program")
    connection = _connect(url)
    try:
        channel = connection.channel()
        channel.queue_delete(names.packets_queue)
        for exchange in names.exchanges:
            channel.exchange_delete(exchange)
    except pika.exceptions.AMQPError as error:
        raise LabError(
            f"the exchanges and queues {names.prefix}* could not be removed from {redact(url)} ({_why(error)})"
        ) from None
    finally:
        if connection.is_open:
            connection.close()


def _connect(url: str) -> pika.BlockingConnection:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # the error is in the exception, and reported once
    try:
        parameters = pika.URLParameters(url)
        parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = _TIMEOUT
        parameters.connection_attempts = 1
        return pika.BlockingConnection(parameters)
    except (pika.exceptions.AMQPError, OSError, ValueError) as error:
        raise LabError(f"the broker {redact(url)} cannot be used ({_why(error)}); check --bus") from None


def _why(error: BaseException) -> str:
    """pika wraps the reason in several layers, and the outer ones say nothing."""
    inner = getattr(error, "exception", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    if inner is not None:
        return _why(inner)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[-1]) if error.args else type(error).__name__
