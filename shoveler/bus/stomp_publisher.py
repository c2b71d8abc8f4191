"""Publishing over STOMP (1.1 and 1.2; ActiveMQ, Artemis, RabbitMQ's plug-in): persistent, in order, receipts pipelined.

For the federation's brokers that the OSG shoveler reaches this way. There is only sending: what is consumed, declared
or asked for needs AMQP or the local bus. STOMP does not say whether anybody receives: a message is ``confirmed`` when
the broker has taken it, and never ``returned``.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from shoveler.bus.address import BusAddress
from shoveler.bus.messages import BusError, BusRefusedError, BusUnavailableError, BusUserError, Outcome, Outgoing
from shoveler.bus.options import BusOptions
from shoveler.bus.token import TokenFile
from shoveler.values.addresses import host_port

_UNSENT_LIMIT = 4 << 20
"""Bytes that may wait for the socket: enough to keep it busy, little to hold in memory."""
_PIECE = 256 << 10
_LARGEST_FRAME = 1 << 20
"""Of what a broker sends: receipts and errors."""
_DENIED = ("not authorized", "invalid", "denied", "credentials", "security", "authentication", "login")


class StompPublisher:
    """A `Publisher` on one connection of its own, to one destination."""

    def __init__(self, address: BusAddress, *, destination: str, options: BusOptions) -> None:
        self._address = address
        self._destination = _escaped(destination)
        self._window = options.window
        self._token = TokenFile(options.token_file) if options.token_file is not None else None
        self._pending: dict[int, str] = {}
        self._connected = False
        self._outcomes: list[Outcome] = []
        self._unsent = bytearray()
        self._incoming = bytearray()
        self._number = 0
        self._failure: BusError | None = None
        self._beat_out = self._beat_in = 0.0
        self._wrote = self._heard = time.monotonic()
        self._socket = _connected(address, options)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        try:
            self._log_in(options)
        except BaseException:
            self.close()
            raise

    @property
    def pending(self) -> int:
        return len(self._pending) + len(self._outcomes)

    @property
    def room(self) -> int:
        return 0 if len(self._unsent) > _UNSENT_LIMIT else max(0, self._window - len(self._pending))

    @property
    def blocked(self) -> str | None:
        return None  # a broker that takes nothing just does not answer

    def token_changed(self) -> bool:
        return self._token is not None and self._token.changed()

    def send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            while not self.room:
                self._serve(lambda: self.room > 0, 1.0)
            self._check()
            self._number += 1
            self._pending[self._number] = message.id
            self._write(
                "SEND",
                {
                    "destination": self._destination,
                    "receipt": str(self._number),
                    "persistent": "true",
                    "content-type": "text/plain"
                    if message.content_type == "application/json"
                    else message.content_type,
                    "content-length": str(len(message.body)),
                    "message_id": message.id,
                },
                message.body,
            )
        self._serve(lambda: True, 0.0)

    def outcomes(self, timeout: float) -> list[Outcome]:
        if not self._outcomes or self._failure is None:
            self._serve(lambda: bool(self._outcomes), timeout)
        arrived, self._outcomes = self._outcomes, []
        return arrived

    def close(self) -> None:
        self._selector.close()
        try:
            if self._failure is None and not self._unsent:
                self._socket.settimeout(1.0)
                self._socket.sendall(b"DISCONNECT\n\n\0")
        except OSError:
            pass  # it is closed now in any case
        self._socket.close()

    # -- the connection ------------------------------------------------------------------------------------------------

    def _log_in(self, options: BusOptions) -> None:
        password = self._address.password if self._token is None else self._token.read()
        if "\n" in self._address.user + password:
            raise BusUserError("a user or password for STOMP cannot have a line break")
        beat = int(options.heartbeat * 1000)
        headers = {"accept-version": "1.1,1.2", "host": self._address.host, "heart-beat": f"{beat},{beat}"}
        if self._address.user:
            headers |= {"login": self._address.user, "passcode": password}
        self._write("CONNECT", headers)
        until = time.monotonic() + options.connect_timeout
        while not self._connected:
            if time.monotonic() >= until:
                raise BusUnavailableError(f"{self._where} does not answer as a STOMP broker")
            self._serve(lambda: self._connected, 0.2)

    @property
    def _where(self) -> str:
        return host_port(self._address.host, self._address.port)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _serve(self, ready: Callable[[], bool], timeout: float) -> None:
        """Write, read and keep the heartbeats until `ready`, for `timeout` seconds at most. Raises BusError."""
        until = time.monotonic() + timeout
        while True:
            self._check()
            self._keep_alive()
            self._flush()
            left = until - time.monotonic()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            self._selector.modify(self._socket, wanted)
            waiting = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
            if waiting or self._selector.select(0.0 if ready() else min(max(left, 0.0), 1.0)):
                self._read()
            if ready() or left <= 0:
                self._check_after()
                return

    def _check_after(self) -> None:
        if self._failure is not None and not self._outcomes:
            raise self._failure

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if self._beat_out and now - self._wrote >= self._beat_out / 2 and not self._unsent:
            self._unsent += b"\n"
        if self._beat_in and now - self._heard >= 2 * self._beat_in:
            self._failure = BusUnavailableError(f"{self._where} has been silent for {now - self._heard:.0f} s")
            raise self._failure

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[:_PIECE])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self._lost(error)
                return
            del self._unsent[:sent]
            self._wrote = time.monotonic()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lost(error)
                return
            if not data:
                if self._failure is None:
                    self._failure = BusUnavailableError(f"{self._where} closed the connection")
                return
            self._heard = time.monotonic()
            self._incoming += data
            self._take_frames()

    def _lost(self, error: OSError) -> None:
        if self._failure is None:
            self._failure = BusUnavailableError(f"the connection to {self._where} broke: {error.strerror or error}")

    # -- frames --------------------------------------------------------------------------------------------------------

    def _write(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        lines = [command, *(f"{name}:{value}" for name, value in headers.items()), "", ""]
        self._unsent += "\n".join(lines).encode() + body + b"\0"

    def _take_frames(self) -> None:
        while True:
            while self._incoming.startswith((b"\n", b"\r")):
                del self._incoming[:1]
            end = self._incoming.find(b"\0")
            if end < 0:
                if len(self._incoming) > _LARGEST_FRAME:
                    self._failure = BusRefusedError(f"{self._where} does not speak STOMP")
                return
            frame = bytes(self._incoming[:end])
            del self._incoming[: end + 1]
            head, _, body = frame.partition(b"\n\n")
            command, *lines = head.decode("utf-8", "replace").replace("\r", "").split("\n")
            headers: dict[str, str] = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers.setdefault(name, value)
            self._take(command, headers, body)

    def _take(self, command: str, headers: dict[str, str], body: bytes) -> None:
        if command == "CONNECTED":
            self._connected = True
            theirs, _, ours = headers.get("heart-beat", "0,0").partition(",")
            self._beat_in = int(theirs) / 1000 if theirs.isdigit() else 0.0
            self._beat_out = int(ours) / 1000 if ours.isdigit() else 0.0
        elif command == "RECEIPT":
            number = headers.get("receipt-id", "")
            # Of this frame alone: those before it need not be processed yet (STOMP 1.2, RECEIPT).
            if number.isdigit() and (identifier := self._pending.pop(int(number), None)) is not None:
                self._outcomes.append(Outcome(identifier, "confirmed"))
        elif command == "ERROR":
            said = headers.get("message") or body.decode("utf-8", "replace")
            text = " ".join(said.split())[:200] or "no reason given"
            kind = BusUserError if any(word in text.lower() for word in _DENIED) else BusRefusedError
            self._failure = kind(f"{self._where} refuses {self._destination!r} for {self._address.user!r}: {text}")


def _connected(address: BusAddress, options: BusOptions) -> socket.socket:
    where = host_port(address.host, address.port)
    context = None
    if address.tls:
        from shoveler.bus.amqp_link import tls_context  # pika comes with it; only those who need TLS pay for that

        context = tls_context(options)
    try:
        plain = socket.create_connection((address.host, address.port), options.connect_timeout)
    except OSError as error:
        raise BusUnavailableError(f"{where} cannot be reached: {error.strerror or error}") from None
    if context is None:
        plain.setblocking(False)
        return plain
    try:
        secured = context.wrap_socket(plain, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        from shoveler.bus.amqp_link import untrusted

        raise untrusted(error, where) from None
    except OSError as error:
        plain.close()
        raise BusUnavailableError(f"TLS with {where} failed: {error.strerror or error}") from None
    secured.setblocking(False)
    return secured


def _escaped(text: str) -> str:
    """A header's value as STOMP wants it."""
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")
