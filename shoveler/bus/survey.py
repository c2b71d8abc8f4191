"""A look at a broker before it is used: how it is reached, and what a user may do there. Nothing stays behind.

`reach` opens a connection to the port and, for ``amqps``, does the TLS handshake. `Survey` logs in and tries each right
on an exclusive queue of its own, which the broker removes with the connection. AMQP tells neither
policies nor bindings.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

import pika

from shoveler.bus.address import BusAddress
from shoveler.bus.amqp_link import Link, tls_context, untrusted
from shoveler.bus.messages import BusMissingError, BusRefusedError, BusUnavailableError
from shoveler.bus.options import BusOptions

READ_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reached:
    """How the port was reached. `seconds`: for the connection; `tls`: its version, empty without TLS."""

    ip: str
    seconds: float
    tls: str = ""
    subject: str = ""
    issuer: str = ""
    until: float | None = None
    """When the broker's certificate ends, Unix seconds."""


def reach(address: BusAddress, options: BusOptions) -> Reached:
    """Connect to the port, without logging in. Raises BusUnavailableError or, for TLS, BusRefusedError."""
    where = f"{address.host}:{address.port}"
    began = time.monotonic()
    try:
        plain = socket.create_connection((address.host, address.port), timeout=options.connect_timeout)
    except socket.gaierror as error:
        raise BusUnavailableError(f"the host {address.host} is not known: {error.strerror}") from None
    except TimeoutError:
        raise BusUnavailableError(f"{where} did not answer within {options.connect_timeout:g} s") from None
    except OSError as error:
        raise BusUnavailableError(f"{where} cannot be reached: {error.strerror or error}") from None
    with plain:
        seconds = time.monotonic() - began
        ip = str(plain.getpeername()[0])
        if not address.tls:
            return Reached(ip, seconds)
        try:
            with tls_context(options).wrap_socket(plain, server_hostname=address.host) as secured:
                certificate: dict[str, Any] = dict(secured.getpeercert() or {})
                ends = certificate.get("notAfter")
                return Reached(
                    ip,
                    seconds,
                    secured.version() or "TLS",
                    _common_name(certificate.get("subject", ())),
                    _common_name(certificate.get("issuer", ())),
                    ssl.cert_time_to_seconds(str(ends)) if ends else None,
                )
        except ssl.SSLCertVerificationError as error:
            raise untrusted(error, where) from None
        except (ssl.SSLError, OSError) as error:
            why = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)
            raise BusRefusedError(f"no TLS with {where} ({why}); is this its amqps port?") from None


def _common_name(names: Any) -> str:
    found = {key: value for part in names for key, value in part}
    return str(found.get("commonName") or found.get("organizationName") or "")


class Survey:
    """An open connection that looks around. Raises BusUserError, BusVhostError or another BusError."""

    def __init__(self, address: BusAddress, options: BusOptions) -> None:
        self._link = Link(address, options, "tally test of the bus")

    @property
    def blocked(self) -> str | None:
        """Why the broker takes no messages now (an alarm of memory or disk), else None."""
        return self._link.blocked

    def has_exchange(self, exchange: str) -> bool:
        """Whether it is there. Raises BusRefusedError when this user may not see it."""
        try:
            self._request("exchange_declare", exchange=exchange, passive=True)
        except BusMissingError:
            return False
        return True

    def depth(self, queue: str) -> int | None:
        """Messages waiting in a queue; None if there is no such queue."""
        try:
            return int(self._request("queue_declare", queue=queue, passive=True).method.message_count)
        except BusMissingError:
            return None

    def declare(self, queue: str) -> None:
        """Make the queue on which rights are tried; it goes with this connection."""
        arguments = {"x-overflow": "reject-publish"}  # as our own queue
        self._request("queue_declare", queue=queue, exclusive=True, auto_delete=True, arguments=arguments)

    def bind(self, queue: str, exchange: str) -> None:
        """Bind it, with a key that no message has."""
        self._request("queue_bind", queue=queue, exchange=exchange, routing_key="tally.test.nothing-has-this-key")

    def publish(self, queue: str) -> bool:
        """Publish a message to it, as a mark is put behind records. Whether the broker confirmed that it has it."""
        answers: list[bool] = []
        channel = self._link.channel
        self._link.request(
            channel.confirm_delivery,
            ack_nack_callback=lambda frame: answers.append(isinstance(frame.method, pika.spec.Basic.Ack)),
        )
        channel.basic_publish("", queue, b"tally", pika.BasicProperties(delivery_mode=2), mandatory=True)
        try:
            self._link.serve(lambda: bool(answers), READ_SECONDS)
        except BusRefusedError:
            self._link.reopen_channel()
            raise
        return answers == [True]

    def read(self, queue: str) -> bool:
        """Read that message. False if it is gone: something has thrown it away."""
        messages: list[bytes] = []
        empty: list[object] = []
        channel = self._link.channel
        channel.add_callback(empty.append, [pika.spec.Basic.GetEmpty])
        channel.basic_get(queue, lambda _channel, _method, _properties, body: messages.append(body), auto_ack=True)
        try:
            self._link.serve(lambda: bool(messages or empty), READ_SECONDS)
        except BusRefusedError:
            self._link.reopen_channel()
            raise
        return bool(messages)

    def close(self) -> None:
        """End it, and with it the queue. Never raises."""
        self._link.close()

    def _request(self, method: str, **arguments: Any) -> Any:
        try:
            return self._link.request(getattr(self._link.channel, method), **arguments)
        except BusRefusedError:
            self._link.reopen_channel()
            raise
