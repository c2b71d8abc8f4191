"""One AMQP connection with one channel, driven from the caller's thread; the base of publisher, consumer and topology.

pika's `SelectConnection` does the protocol. We run its loop ourselves (`serve`), because its blocking adapter costs
several times more per message. Nothing happens between calls of `serve`: it sends and answers heartbeats, so it must
run at least once per heartbeat interval (RabbitMQ gives up after two).

Every error becomes one `BusError` sentence in `failure`, and every later call raises it.
"""

from __future__ import annotations

import logging
import math
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import pika
from pika import exceptions as pika_errors
from pika import frame as pika_frame
from pika.adapters.select_connection import SelectConnection
from pika.adapters.utils import connection_workflow as pika_workflow

from shoveler.bus.address import BusAddress
from shoveler.bus.messages import (
    BusError,
    BusInUseError,
    BusMissingError,
    BusRefusedError,
    BusUnavailableError,
    BusUserError,
    BusVhostError,
)
from shoveler.bus.options import BusOptions
from shoveler.bus.token import TokenFile

_CLOSE_TIMEOUT = 0.5
_LONG_WAIT = 5.0  # pika's loop wakes up that often by itself
_READ_SIZE = 16 << 10
_FRAME_HEAD = 7  # type, channel, size
_SIZE = struct.Struct(">L")
_NOT_FOUND, _ACCESS_REFUSED, _NOT_ALLOWED = 404, 403, 530
_RESOURCE_LOCKED, _PRECONDITION_FAILED = 405, 406

# pika also logs each failure, as an error with a stack trace. We report failures as exceptions.
if logging.getLogger("pika").level == logging.NOTSET:
    logging.getLogger("pika").setLevel(logging.CRITICAL)


class _Connection(SelectConnection):  # type: ignore[misc]
    """pika's connection, reading large messages without copying them once per piece.

    An optimisation: pika reads 4 KiB at a time and appends each piece to one bytes object, from which it then cuts
    frame by frame. A 120 kB batch took 420 µs of CPU that way and takes 220 µs here; for single messages there is no
    difference. The plain version is `_on_data_available` of `pika.connection.Connection`, which does the handshake.
    """

    _frame_buffer: bytes

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in the pieces
        self._wanted = _FRAME_HEAD  # bytes until the next frame is whole
        super().__init__(*arguments, **keywords)

    def _on_data_available(self, data: bytes) -> None:
        if not self.is_open:
            super()._on_data_available(data)
            return
        if self._frame_buffer:  # what the handshake left
            data, self._frame_buffer = self._frame_buffer + data, b""
        self.bytes_received += len(data)  # shows pika's heartbeat checker that the broker is alive
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._wanted:
            return
        buffer = b"".join(self._pieces)
        start, end = 0, len(buffer)
        while True:
            self._wanted = _FRAME_HEAD
            if end - start < self._wanted:
                break
            self._wanted = _FRAME_HEAD + _SIZE.unpack_from(buffer, start + 3)[0] + 1  # the end octet
            if end - start < self._wanted:
                break
            self._process_frame(pika_frame.decode_frame(buffer[start : start + self._wanted])[1])
            start += self._wanted
        self._pieces = [buffer[start:]]
        self._held = end - start


class Link:
    """An open connection. `name` is what the broker's operator sees. Raises BusUnavailableError or BusRefusedError."""

    def __init__(self, address: BusAddress, options: BusOptions, name: str) -> None:
        self.where = f"{address.host}:{address.port}"
        self.failure: BusError | None = None
        self.blocked: str | None = None
        """Why the broker accepts no messages at the moment (memory or disk alarm), else None."""
        self._address = address
        self._timeout = options.connect_timeout
        self._token = TokenFile(options.token_file) if options.token_file is not None else None
        self._closing = False
        self._opened = False
        # The workflow inside has the same limits of its own; ours is the longer one, so that its error arrives first.
        self._connection: Any = _Connection(
            self._parameters(options, name),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_close,
        )
        self._loop = self._connection.ioloop
        self._loop.activate_poller()
        try:
            if not self.serve(lambda: self._opened, self._timeout + 2.0):
                raise BusUnavailableError(f"{self.where} did not answer within {self._timeout:g} s")
            self._connection.add_on_connection_blocked_callback(self._on_blocked)
            self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
            self.channel = self._open_channel()
        except BaseException:
            self.close()
            raise

    # -- for publisher, consumer, topology ---------------------------------------------------------------------------

    def serve(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Read and write until `done()` or for `timeout` seconds (None: no limit); whether it is done.

        Reads and writes at least once, without waiting when it is done already. Raises the link's failure.
        """
        self.check()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            finished = done()
            left = 0.0 if finished else max(0.0, deadline - time.monotonic())
            self._turn(left)
            self.check()
            if finished or done():
                return True
            if left == 0.0:
                return False

    def request(self, method: Callable[..., object], **arguments: Any) -> Any:
        """Call a pika method that takes a `callback`, and wait for the broker's answer, which is returned."""
        self.check()
        answers: list[Any] = []
        method(callback=answers.append, **arguments)
        if not self.serve(lambda: bool(answers), self._timeout):
            raise BusUnavailableError(f"{self.where} did not answer within {self._timeout:g} s")
        return answers[0]

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._closing:
            raise BusUnavailableError(f"the connection to {self.where} was closed")

    def fail(self, failure: BusError) -> None:
        """The first failure is the one that counts; those that follow are its consequences."""
        if self.failure is None and not self._closing:
            self.failure = failure

    def reopen_channel(self) -> None:
        """After a BusMissingError: the broker closes a channel with every refusal, and the connection is still good."""
        self.failure = None
        self.channel = self._open_channel()

    def declare_exchange(self, exchange: str) -> None:
        """Declare a durable topic exchange if there is none; an existing one, of any type, is used as it is."""
        if not exchange:
            return  # the default exchange always exists
        try:
            self.request(self.channel.exchange_declare, exchange=exchange, passive=True)
        except BusMissingError:
            self.reopen_channel()
            self.request(self.channel.exchange_declare, exchange=exchange, exchange_type="topic", durable=True)

    def token_changed(self) -> bool:
        """Whether the token file holds a newer token than this connection was opened with."""
        return self._token is not None and self._token.changed()

    def write(self, frames: bytes) -> None:
        """Queue frames that are marshalled already. `serve` writes them."""
        # pika has no public way to send marshalled frames; this is the one that its own publishing goes through.
        self._connection._output_marshaled_frames((frames,))  # noqa: SLF001

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not accepted yet."""
        transport = self._connection._transport  # noqa: SLF001 - not public in pika either
        return 0 if transport is None else int(transport.get_write_buffer_size())

    @property
    def bytes_received(self) -> int:
        return int(self._connection.bytes_received)

    @property
    def frame_max(self) -> int:
        return int(self._connection.params.frame_max)

    def close(self) -> None:
        """Close properly within half a second, else cut the connection: a program has several connections to a broker
        that may be silent, and ten seconds to stop. Never raises."""
        if self._closing:
            return
        self._closing = True
        try:
            if self._connection.is_open:
                self._connection.close()
            self._turn_until_closed()
            if not self._connection.is_closed:
                self._connection._terminate_stream(pika_errors.ConnectionOpenAborted("closed"))  # noqa: SLF001
                self._turn_until_closed()
            self._loop.deactivate_poller()
            self._loop.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is done with this connection
            logging.getLogger(__name__).debug("! closing %s: %r", self.where, error)

    # -- how ---------------------------------------------------------------------------------------------------------

    def _parameters(self, options: BusOptions, name: str) -> pika.ConnectionParameters:
        address = self._address
        password = address.password if self._token is None else self._token.read()
        tls = pika.SSLOptions(tls_context(options), address.host) if address.tls else None
        return pika.ConnectionParameters(
            host=address.host,
            port=address.port,
            virtual_host=address.vhost,
            credentials=pika.PlainCredentials(address.user, password, erase_on_connect=True),
            ssl_options=tls,
            heartbeat=options.heartbeat,
            connection_attempts=1,
            socket_timeout=self._timeout,
            stack_timeout=self._timeout,
            client_properties={"connection_name": name, "product": "Tally"},
        )

    def _open_channel(self) -> Any:
        opened: list[Any] = []
        channel = self._connection.channel(on_open_callback=opened.append)
        channel.add_on_close_callback(self._on_channel_close)
        if not self.serve(lambda: bool(opened), self._timeout):
            raise BusUnavailableError(f"{self.where} opened no channel within {self._timeout:g} s")
        return channel

    def _turn(self, wait: float) -> None:
        """One turn of pika's loop: wait at most this many seconds for the socket, handle what is there, run timers."""
        alarm = self._loop.call_later(wait, _nothing) if wait < _LONG_WAIT else None
        self._loop.poll()
        self._loop.process_timeouts()
        if alarm is not None:
            self._loop.remove_timeout(alarm)

    def _turn_until_closed(self) -> None:
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        while not self._connection.is_closed and time.monotonic() < deadline:
            self._turn(max(0.0, deadline - time.monotonic()))

    def _on_open(self, _connection: object) -> None:
        self._opened = True
        self._connection._transport._MAX_RECV_BYTES = _READ_SIZE  # noqa: SLF001 - see _Connection

    def _on_open_error(self, _connection: object, error: BaseException) -> None:
        self.fail(_connect_failure(error, self._address))

    def _on_close(self, _connection: object, error: BaseException) -> None:
        self.fail(_loss(error, self.where))

    def _on_channel_close(self, _channel: object, error: BaseException) -> None:
        if isinstance(error, pika_errors.ChannelClosedByBroker):
            self.fail(_refusal(error.reply_code, error.reply_text, self.where))

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        self.blocked = str(frame.method.reason)

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        self.blocked = None


def _nothing() -> None:
    """The callback of a timer that only ends a wait."""


def tls_context(options: BusOptions) -> ssl.SSLContext:
    """The trusted CAs and our own certificate. Raises BusRefusedError when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise BusRefusedError(f"the CA file {options.ca_file} cannot be used: {_why(error)}") from None
    if options.cert_file is not None:
        try:
            # With a (wrong) password: a daemon must not prompt for a passphrase on its terminal and wait.
            context.load_cert_chain(options.cert_file, options.key_file, password="")
        except OSError as error:
            files = " with ".join(str(f) for f in (options.cert_file, options.key_file) if f is not None)
            hint = "; it must be PEM, with a key that has no passphrase" if isinstance(error, ssl.SSLError) else ""
            raise BusRefusedError(f"the client certificate {files} cannot be used: {_why(error)}{hint}") from None
    return context


def _connect_failure(error: BaseException, address: BusAddress) -> BusError:
    """The sentence for a connection that never opened. Of several IP addresses, a refusal outweighs a network error."""
    if type(error) is pika_errors.AMQPConnectionError and error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]  # how pika wraps a workflow that got no further than the socket
    attempts = error.exceptions if isinstance(error, pika_workflow.AMQPConnectionWorkflowFailed) else (error,)
    failures = [_attempt_failure(attempt, address) for attempt in attempts]
    refusals = [failure for failure in failures if isinstance(failure, BusRefusedError)]
    return (refusals or failures)[-1]


_STRICT_CHECKS = range(80, 95)
"""OpenSSL's X509_V_ERR_… codes that only VERIFY_X509_STRICT raises, which Python sets from 3.13 on."""
_NOT_YET, _EXPIRED = 9, 10
_OTHER_HOST = (62, 64)
"""X509_V_ERR_CERT_NOT_YET_VALID, …_CERT_HAS_EXPIRED, …_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH."""
_RFC_5280 = (
    "Python 3.13 and newer accept only certificates that follow RFC 5280: have the CA certificate reissued with "
    "basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign"
)


def untrusted(error: ssl.SSLCertVerificationError, where: str) -> BusRefusedError:
    """The sentence for a certificate of the broker that was not accepted: what is wrong, and whose turn it is."""
    code = error.verify_code
    if code == _EXPIRED:
        return BusRefusedError(
            f"the certificate of {where}, or of its CA, has expired: it must be renewed there (or this machine's clock "
            "is wrong)"
        )
    if code == _NOT_YET:
        return BusRefusedError(f"the certificate of {where} is not valid yet: one of the two clocks is wrong")
    if code in _OTHER_HOST:
        host = where.rpartition(":")[0]
        return BusRefusedError(
            f"the certificate of {where} is for another host: use the name that is in it, or have one made for {host}"
        )
    advice = _RFC_5280 if code in _STRICT_CHECKS else "check the CA file"
    return BusRefusedError(f"the certificate of {where} is not trusted: {error.verify_message}; {advice}")


def _attempt_failure(error: BaseException, address: BusAddress) -> BusError:
    where = f"{address.host}:{address.port}"
    if isinstance(error, pika_workflow.AMQPConnectorPhaseErrorBase):
        error = error.exception
    if isinstance(error, ssl.SSLCertVerificationError):
        return untrusted(error, where)
    if isinstance(error, ssl.SSLError):
        return BusRefusedError(f"no TLS with {where}: {_why(error)}; is this the amqps port?")
    # pika guesses from the phase in which a connection ended, and keeps the true reason as text only.
    text = str(error)
    if isinstance(error, pika_workflow.AMQPConnectorStackTimeout) or "Timeout while setting up" in text:
        return BusUnavailableError(f"{where} accepted the connection but did not answer in time")
    if "StreamLostError" not in text:
        if isinstance(error, pika_errors.ProbableAuthenticationError | pika_errors.AuthenticationError):
            return BusUserError(f"{where} refuses the user {address.user!r}: wrong user, password or token")
        if isinstance(error, pika_errors.ProbableAccessDeniedError):
            return BusVhostError(f"{where} gives {address.user!r} no access to {address.vhost!r}: {_reply(text)}")
    if "alert" in text:
        return BusRefusedError(f"{where} ended the TLS session: {_reply(text)}; it may require a client certificate")
    if isinstance(error, pika_errors.AMQPError) and address.tls:
        # TLS 1.3: our handshake is done before the broker has seen that there is no certificate, and what we write next
        # may meet the closed connection before we have read why (seen on a busy machine).
        return BusUnavailableError(
            f"{where} ended the TLS session before it was open; it may require a client certificate"
        )
    if isinstance(error, pika_errors.AMQPError):
        return BusUnavailableError(
            f"{where} ended the connection before it was open; is this its AMQP port (amqps for TLS)?"
        )
    return BusUnavailableError(f"{where} cannot be reached: {_why(error)}")


def _loss(error: BaseException, where: str) -> BusError:
    """The sentence for a connection that was open. It is always worth another try, which may be refused."""
    if isinstance(error, pika_errors.ConnectionClosedByBroker):
        return BusUnavailableError(f"{where} closed the connection: {error.reply_code} {error.reply_text}")
    if isinstance(error, pika_errors.AMQPHeartbeatTimeout):
        return BusUnavailableError(f"{where} sent no heartbeat; the connection is given up")
    return BusUnavailableError(f"the connection to {where} broke: {_why(error)}")


def _refusal(code: int, text: str, where: str) -> BusError:
    """The sentence for a channel that the broker closed, which is how it refuses."""
    if code == _NOT_FOUND:
        return BusMissingError(f"{where} says: {text}; create it, or check the name and the virtual host")
    if code == _ACCESS_REFUSED and "exclusive" in text:
        return BusInUseError(f"{where} says: {text}")
    if code in (_ACCESS_REFUSED, _NOT_ALLOWED):
        return BusRefusedError(f"{where} says: {text}; give this user the permission")
    if code == _RESOURCE_LOCKED:
        return BusInUseError(f"{where} says: {text}")
    if (
        code == _PRECONDITION_FAILED and "timed out" in text
    ):  # messages held for half an hour: they come again after a reconnect
        return BusUnavailableError(f"{where} took back what was not acknowledged for too long: {text}")
    if code == _PRECONDITION_FAILED:
        return BusRefusedError(f"{where} says: {text}")
    return BusUnavailableError(f"{where} closed the channel: {code} {text}")


def _why(error: BaseException) -> str:
    """The text of an exception for a person: the system's own message if there is one."""
    if isinstance(error, pika_errors.StreamLostError) and error.args:
        return _reply(str(error.args[0]))
    if isinstance(error, TimeoutError | socket.timeout):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _reply(text: str) -> str:
    """The readable part of a nested repr: the text between its innermost quotes."""
    for quote in ('"', "'"):
        parts = text.split(quote)
        if len(parts) >= 3:  # before, inside, after
            return parts[-2]
    return text
