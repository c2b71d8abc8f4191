"""The connection to the hub: join in two steps, stay in session, reconnect after a cut.

    1. wss://HUB/register   Authorization: Bearer JWT; Register → Registered{client_id}; closed
    2. wss://HUB/agent?client_id=…   Welcome ←, then messages both ways

With a pin, the hub's certificate is fetched first, on a connection that sends nothing. Only when the SHA-256 of its
public key equals the pin does it become the sole trust anchor of the connections that carry a token. The name in the
certificate is then not checked: the key itself is what was agreed on. Without a pin the system's CAs decide, or those
of ``--ca-file``.

A `Role` decides what is sent and received; this module decides when. Connections are direct: the proxy settings of the
environment are not used, because the pin could not be checked through a proxy that terminates TLS.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, NegotiationError
from websockets.typing import Subprotocol

from agent.messages import (
    MAX_MESSAGE,
    SUBPROTOCOL,
    Ask,
    CredentialError,
    FromHub,
    Goodbye,
    Heartbeat,
    Message,
    Register,
    Registered,
    Welcome,
    certificate_pin,
    decode_from_hub,
    encode,
    normal_pin,
    why_untrusted,
)
from shoveler.service import delays, redact
from shoveler.service.tasks import start_task
from shoveler.values.addresses import host_port, is_loopback

_log = logging.getLogger(__name__)
# At debug level websockets logs whole requests, with tokens and client ids.
_websockets_log = logging.getLogger("agent.websockets")
_websockets_log.setLevel(logging.INFO)

DEFAULT_PORT: Final = 8765
"""The port on which a hub listens by default."""
OPEN_SECONDS: Final = 10.0
"""Time limit of each step of joining."""
PING_SECONDS: Final = 5.0
PONG_SECONDS: Final = 15.0
"""A hub that does not answer a ping for this long is gone."""
STEADY_SECONDS: Final = 10.0
"""After a session that lasted this long, the next reconnect starts with short waits again."""
FORBIDDEN_TRIES: Final = 6
FORBIDDEN_WAIT: Final = 10.0
"""A 403 may be caused by our own old session, which the hub considers alive for three heartbeats: try for that long."""
BUSY_WAIT: Final = 60.0
SKEW_WAIT: Final = 60.0
SKEW_LIMIT: Final = 10.0


class RefusedError(Exception):
    """The hub refuses this agent. `wait`: seconds after which to try again; None: never."""

    def __init__(self, sentence: str, wait: float | None = None, *, status: int = 0) -> None:
        super().__init__(sentence)
        self.wait = wait
        self.status = status


class AwayError(Exception):
    """The hub cannot be reached now; try again. The text is one sentence."""


# ---------------------------------------------------------------- where the hub is


class HubAddress(NamedTuple):
    """The address of the hub, and whether to use TLS."""

    secure: bool
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{host_port(self.host, self.port)}"


def parse_hub(text: str, *, insecure: bool) -> HubAddress:
    """The address in ``wss://HOST:PORT``, ``https://…`` or ``HOST:PORT``. Raises CredentialError with one sentence.

    `insecure` allows ``ws://``, only to this machine, and makes it the default for an address without a scheme."""
    text = text.strip()
    bare = "://" not in text
    try:
        parts = urlsplit(f"//{text}" if bare else text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise CredentialError(f"The hub's address {text!r} is not valid: {error}.") from error
    if not host or parts.scheme not in ("", "wss", "ws", "https", "http") or parts.path not in ("", "/"):
        raise CredentialError(f"The hub's address is wss://HOST:PORT, not {redact(text)!r}.")
    secure = parts.scheme in ("wss", "https")
    if bare:
        secure = not (insecure and is_loopback(host))
    address = HubAddress(secure, host, port or DEFAULT_PORT)
    if not secure and not insecure:
        raise CredentialError(
            f"{address.url} is not encrypted; use wss://, or --insecure if the hub runs on this machine."
        )
    if not secure and not is_loopback(host):
        raise CredentialError(
            f"{address.host} is another machine, and without TLS anybody on the network can read the token; "
            "--insecure is for a hub on this machine (127.0.0.1, ::1 or localhost)."
        )
    return address


class Trust:
    """How the hub's identity is verified: with a pin, a CA file, or the system's CAs."""

    def __init__(self, address: HubAddress, *, pin: str = "", ca_file: Path | None = None) -> None:
        """Raises CredentialError when the pin or the file cannot be used."""
        self._address = address
        self._pin = normal_pin(pin) if pin else ""
        self._context: ssl.SSLContext | None = None
        if address.secure and not self._pin:
            try:
                self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            except OSError as error:
                raise CredentialError(f"The CA file {ca_file} cannot be used: {error.strerror or error}.") from error

    async def context(self) -> ssl.SSLContext | None:
        """The TLS context to connect with; None for plain ws://. Raises RefusedError when the pin is not the hub's."""
        if not self._address.secure:
            return None
        if self._context is None:
            self._context = self._only(await self._fetch())
        return self._context

    def forget(self) -> None:
        """The certificate was not the known one: fetch and compare it again (the hub may have renewed it)."""
        if self._pin:
            self._context = None

    async def _fetch(self) -> bytes:
        """The hub's certificate, fetched over a connection on which we send nothing."""
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname = False
        anyone.verify_mode = ssl.CERT_NONE  # only to read it; nothing is sent on this connection
        _, writer = await asyncio.open_connection(self._address.host, self._address.port, ssl=anyone)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        seen = certificate_pin(der)
        if seen != self._pin:
            raise RefusedError(
                f"{self._address.url} shows another key ({seen}) than the pin says; nothing was sent to it. "
                "Make sure that this is your hub, then get a new pin or join string from it."
            )
        return bytes(der)

    @staticmethod
    def _only(der: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the key itself was agreed on; the name does not matter
        # The certificate itself is the anchor, even if a CA has signed it; Python 3.13's strict checks are for CAs.
        context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=der)
        return context


# ---------------------------------------------------------------- joining


class Session:
    """An open session. Any task may send."""

    def __init__(self, socket: ClientConnection, welcome: Welcome) -> None:
        self._socket = socket
        self.welcome = welcome

    async def send(self, message: Message) -> None:
        """Raises ConnectionClosed when the session has ended."""
        data = encode(message)
        _log.debug("> %s, %d bytes", type(message).__name__, len(data))
        await self._socket.send(data.decode())

    async def receive(self) -> FromHub:
        """The next message. Raises ConnectionClosed at the end, ValueError when it is not one that a hub sends."""
        data = await self._socket.recv()
        message = decode_from_hub(data)
        _log.debug("< %s, %d bytes", type(message).__name__, len(data))
        return message

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason[:100])


async def join(address: HubAddress, trust: Trust, token: str, details: Register) -> Session:
    """Register and open a session. Raises RefusedError or AwayError."""
    try:
        registered = await _register(address, trust, token, details)
        socket = await _open(address, trust, f"/agent?client_id={quote(registered.client_id, safe='')}", {})
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                welcome = decode_from_hub(await socket.recv())
        except BaseException:
            await socket.close()
            raise
    except RefusedError:
        raise
    except TimeoutError as error:
        raise AwayError(f"The hub at {address.url} did not answer within {OPEN_SECONDS:.0f} s.") from error
    except ConnectionClosed as error:
        raise AwayError(f"The hub closed the connection while we joined: {_close_reason(error)}.") from error
    except ValueError as error:
        raise AwayError(f"{address.url} does not answer as a hub does ({error}).") from error
    except OSError as error:
        raise AwayError(f"The hub at {address.url} cannot be reached: {error.strerror or error}.") from error
    if isinstance(welcome, Goodbye):
        await socket.close()
        raise RefusedError(f"The hub ended the session: {welcome.reason}", BUSY_WAIT if welcome.again else None)
    if not isinstance(welcome, Welcome):
        await socket.close()
        raise AwayError(f"{address.url} began the session with {type(welcome).__name__} instead of a welcome.")
    return Session(socket, welcome)


async def _register(address: HubAddress, trust: Trust, token: str, details: Register) -> Registered:
    socket = await _open(address, trust, "/register", {"Authorization": f"Bearer {token}"})
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await socket.send(encode(details).decode())
            answer = decode_from_hub(await socket.recv())
    finally:
        await socket.close()
    if isinstance(answer, Goodbye):
        raise RefusedError(
            f"The hub does not register this agent: {answer.reason}", BUSY_WAIT if answer.again else None
        )
    if not isinstance(answer, Registered):
        raise AwayError(f"{address.url} answered the registration with {type(answer).__name__}.")
    return answer


async def _open(address: HubAddress, trust: Trust, target: str, headers: dict[str, str]) -> ClientConnection:
    async with asyncio.timeout(OPEN_SECONDS):
        context = await trust.context()
    try:
        return await connect(
            address.url + target,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=headers,
            ssl=context,
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=2.0,
            logger=_websockets_log,
        )
    except InvalidStatus as error:
        raise _refusal(error, address, time.time()) from error
    except NegotiationError as error:
        raise RefusedError(_OTHER_VERSION, status=426) from error
    except InvalidHandshake as error:
        raise AwayError(f"{address.url} does not answer as a hub does ({error}).") from error
    except ssl.SSLCertVerificationError as error:
        trust.forget()
        if context is not None and context.check_hostname:
            raise RefusedError(
                f"The certificate of {address.url} is not trusted ({why_untrusted(error)}); "
                "give the hub's pin with --pin, or the CA that signed it with --ca-file."
            ) from error
        raise AwayError(f"The hub at {address.url} has changed its certificate.") from error


_OTHER_VERSION = "This hub uses another version of the protocol; install the same release of agent and hub."


def _refusal(error: InvalidStatus, address: HubAddress, now: float) -> Exception:
    """What an HTTP status instead of a session means, in one sentence, and whether to try again."""
    response = error.response
    status = response.status_code
    body = "".join(c if c.isprintable() else " " for c in (response.body or b"").decode("utf-8", "replace"))
    said = redact(" ".join(body.split())[:300])
    said = f" It says: {said}" if said else ""
    if status == 401:
        skew = _skew(response.headers.get("Date", ""), now)
        if abs(skew) > SKEW_LIMIT:
            return RefusedError(
                f"The hub refused the token, and this machine's clock is {abs(skew):.0f} s "
                f"{'ahead of' if skew > 0 else 'behind'} the hub's: set the clock (NTP).{said}",
                SKEW_WAIT,
                status=status,
            )
        return RefusedError(
            f"The hub refused the token; give this agent the hub's current key or a new join string.{said}",
            status=status,
        )
    if status == 403:
        held = response.headers.get("Retry-After", "")
        if held.isascii() and held.isdigit():  # kept out for a time: no status, since this is no reason to give up
            return RefusedError(f"The hub does not let this agent in for now.{said}", min(float(held), BUSY_WAIT))
        why = said or " Its key is revoked or not meant for this role, or its name is in use."
        return RefusedError(
            f"The hub does not let this agent in.{why}",
            FORBIDDEN_WAIT,
            status=status,
        )
    if status == 429:
        return RefusedError(
            f"The hub has refused this address too often and makes it wait; trying again in {BUSY_WAIT:.0f} s.{said}",
            BUSY_WAIT,
            status=status,
        )
    if status == 426:
        return RefusedError(_OTHER_VERSION + said, status=status)
    return AwayError(f"{address.url} answered with HTTP status {status} instead of a session.{said}")


def _skew(date: str, now: float) -> float:
    """Seconds by which our clock is ahead of an HTTP Date header; 0 without a valid header."""
    try:
        return now - email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0


def _close_reason(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the connection broke"
    return f"{error.rcvd.reason or 'no reason given'} (code {error.rcvd.code})"


# ---------------------------------------------------------------- staying


class Role(Protocol):
    """What an agent does in its sessions. All of it runs in the event loop and must not block it."""

    def details(self) -> Register:
        """The current details to register with."""

    def heartbeat(self) -> Heartbeat:
        """The current heartbeat."""

    def welcomed(self, welcome: Welcome) -> None:
        """A session was opened."""

    async def attend(self, session: Session) -> None:
        """Send messages for as long as the session lasts; cancelled at its end."""

    async def obey(self, message: FromHub, session: Session) -> None:
        """Handle one message of the hub. It must be quick; longer work goes to a task of the role."""


@dataclass
class State:
    """The state of the link, for status lines and health; only `stay` changes it."""

    connected: bool = False
    sentence: str = "not connected yet"
    sessions: int = 0


async def stay(
    address: HubAddress,
    trust: Trust,
    token: Callable[[], str],
    role: Role,
    *,
    state: State | None = None,
    patient: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> str:
    """Keep `role` in session with the hub for as long as possible; returns the sentence that says why it ended.

    `patient`: whether a 403 may be temporary (a used-up invitation is not). Cancel it to leave; the session is then
    closed properly."""
    state = state or State()
    waits = delays(2.0, 15.0, jitter=0.9)  # wide jitter: a thousand agents reconnect after one hub restart
    forbidden = 0
    while True:
        began = time.monotonic()
        try:
            session = await join(address, trust, token(), role.details())
            forbidden = 0
            began = time.monotonic()
            state.connected, state.sentence = True, f"in session with {address.url}"
            state.sessions += 1
            _log.info("= %s as %s", state.sentence, session.welcome.public_id)
            goodbye = await _attend(session, role)
            if goodbye is not None and not goodbye.again:
                return f"The hub ended the session for good: {goodbye.reason}"
            sentence, wait = f"The session ended: {goodbye.reason if goodbye else 'the connection broke'}", None
        except RefusedError as error:
            forbidden += error.status == 403
            if error.wait is None or forbidden >= FORBIDDEN_TRIES or (forbidden and not patient()):
                return str(error)
            sentence, wait = str(error), error.wait
        except AwayError as error:
            sentence, wait = str(error), None
        if time.monotonic() - began > STEADY_SECONDS:
            waits = delays(2.0, 15.0, jitter=0.9)
        delay = next(waits) if wait is None else wait
        if state.connected or sentence != state.sentence:
            _log.warning("! %s Trying again.", sentence.rstrip(".") + ".")
        state.connected, state.sentence = False, sentence
        await sleep(delay)


async def _attend(session: Session, role: Role) -> Goodbye | None:
    """One session until it ends. Returns the hub's Goodbye if it sent one."""
    role.welcomed(session.welcome)
    tasks = {
        start_task(_listen(session, role), "session receive"),
        start_task(_beat(session, role), "session heartbeat"),
        start_task(role.attend(session), "session attend"),
    }
    goodbye: Goodbye | None = None
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            try:
                result = task.result()
            except ConnectionClosed as error:
                _log.debug("= %s", _close_reason(error))
            else:
                goodbye = result if isinstance(result, Goodbye) else goodbye
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await session.close(1001, "the agent ends this session")
    return goodbye


async def _listen(session: Session, role: Role) -> Goodbye | None:
    while True:
        try:
            message = await session.receive()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # One of the two sides is newer; a new session is cheap, guessing what was meant is not.
            _log.error("! the hub sent an invalid message (%s); starting a new session", error)
            await session.close(1008, f"not a message of {SUBPROTOCOL}: {error}")
            return None
        if isinstance(message, Goodbye):
            return message
        if isinstance(message, Ask) and message.what == "time":
            await session.send(role.heartbeat())
        else:
            await role.obey(message, session)


async def _beat(session: Session, role: Role) -> None:
    """In a task of its own, so that the hub knows that the agent is alive whatever the role does."""
    while True:
        await session.send(role.heartbeat())
        await asyncio.sleep(max(0.2, session.welcome.heartbeat))
