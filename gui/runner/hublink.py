"""A connection to a remote hub, which may be trusted only as far as its certificate goes: a pin, or an authority.

With a pin, the certificate is fetched on a connection that sends nothing, compared, and then trusted alone; so no token
ever reaches a wrong hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from agent.messages import MAX_MESSAGE, SUBPROTOCOL, CredentialError, certificate_pin, normal_pin, why_untrusted
from shoveler.values.addresses import host_port, is_loopback

OPEN_SECONDS = 10.0


class RemoteError(Exception):
    """The hub cannot be reached, refuses us, or did not carry out a command; one sentence says why."""


class HubLink:
    """How one hub is reached. Raises CredentialError for an address or a pin that is none."""

    def __init__(self, url: str, *, pin: str = "", ca_file: Path | None = None, insecure: bool = False) -> None:
        self.url = hub_url(url, insecure=insecure)
        self.pin = normal_pin(pin) if pin else ""
        self.ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Say in one sentence what fails in this block: RemoteError."""
        try:
            yield
        except InvalidStatus as error:
            said = (error.response.body or b"").decode(errors="replace").strip()
            raise RemoteError(f"The hub does not let us in: {said[:500]}") from error
        except ssl.SSLCertVerificationError as error:
            raise RemoteError(
                f"The certificate of {self.url} is not trusted ({why_untrusted(error)}); give the hub's pin with --pin."
            ) from error
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError, msgspec.DecodeError) as error:
            raise RemoteError(f"The hub at {self.url} cannot be reached: {str(error) or 'no answer'}.") from error

    @contextlib.asynccontextmanager
    async def opened(self, target: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
        """An open websocket, closed at the end. Raises RemoteError."""
        with self.told():
            socket = await self.open(target, headers)
        async with socket:
            yield socket

    async def open(self, target: str, headers: dict[str, str]) -> ClientConnection:
        """A websocket; what is raised is for `told`."""
        return await connect(
            self.url + target,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ssl=await self._context(),
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE,
            open_timeout=OPEN_SECONDS,
            close_timeout=2.0,
        )

    async def _context(self) -> ssl.SSLContext | None:
        """The TLS context: with a pin, it trusts only the certificate with that key."""
        if self.url.startswith("ws://"):
            return None
        if self._tls is None and not self.pin:
            ca_file = str(self.ca_file) if self.ca_file else None
            self._tls = ssl.create_default_context(cafile=ca_file)
        if self._tls is None:
            der = await self._certificate()
            seen = certificate_pin(der)
            if seen != self.pin:
                raise RemoteError(f"{self.url} shows another key ({seen}) than the pin says; nothing was sent to it.")
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.check_hostname = False  # the key itself was agreed on
            self._tls.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
            self._tls.load_verify_locations(cadata=der)
        return self._tls

    async def _certificate(self) -> bytes:
        """The hub's certificate, over a connection on which nothing is sent."""
        parts = urlsplit(self.url)
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname = False
        anyone.verify_mode = ssl.CERT_NONE
        _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=anyone)
        der = bytes(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.transport.abort()
        return der


def hub_url(url: str, *, insecure: bool) -> str:
    """``wss://HOST:PORT``, or ``ws://`` on loopback when that is allowed. Raises CredentialError."""
    text = url if "://" in url else f"wss://{url}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise CredentialError(f"The hub's address is wss://HOST:PORT, not {url!r}.") from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.path not in ("", "/"):
        raise CredentialError(f"The hub's address is wss://HOST:PORT, not {url!r}.")
    if parts.scheme == "ws" and not (insecure and is_loopback(parts.hostname)):
        raise CredentialError("Without TLS a hub is spoken to on this machine only, with --insecure; use wss://.")
    return f"{parts.scheme}://{host_port(parts.hostname, port or (443 if parts.scheme == 'wss' else 80))}"
