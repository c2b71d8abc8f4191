"""Bus addresses: what a person writes after ``--bus``, ``--from`` or ``--to``, parsed once, shown without secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from shoveler.bus.messages import BusRefusedError
from shoveler.values.addresses import host_port, without_secret

Role = Literal["source", "sink", "bus"]
"""``source``: consumed from; ``sink``: published to; ``bus``: the bus as a whole, exchange and queue both optional."""

_PARAMETERS: dict[Role, tuple[str, ...]] = {
    "source": ("exchange", "queue"),
    "sink": ("exchange",),
    "bus": ("exchange", "queue"),
}
_PORTS = {"amqp": 5672, "amqps": 5671, "stomp": 61613, "stomps": 61614}
STOMP_DESTINATION = "/topic/xrootd.shoveler"
"""Where the OSG shoveler sends to, unless it is told otherwise."""


class AddressError(BusRefusedError, ValueError):
    """A bus address that cannot be read. The sentence never contains a password."""


@dataclass(frozen=True, slots=True)
class BusAddress:
    """A parsed bus address. `exchange` and `queue` are None when the text named none; callers then use their defaults.

    AMQP: `host`, `port`, `vhost`, `tls`, `user`, `password` are set (user ``guest`` where the text has none, as in
    every AMQP client). Local bus: `directory` is set, made absolute. STOMP (only for sending): as AMQP, without a user
    where the text has none, and `exchange` is the destination.
    """

    kind: Literal["amqp", "local", "stomp"]
    redacted: str
    """The address for messages and logs: a password is shown as ``***``."""
    exchange: str | None = None
    queue: str | None = None
    directory: Path | None = None
    host: str = ""
    port: int = 0
    vhost: str = "/"
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.redacted


def parse_bus_address(text: str, *, role: Role = "bus") -> BusAddress:
    """``amqp(s)://USER:PASSWORD@HOST:PORT/VHOST?exchange=E&queue=Q`` (percent-escapes in every part) or a directory.

    As usual with AMQP, no path or ``/`` alone means the virtual host ``/``. Raises AddressError with one sentence.
    """
    text = text.strip()
    if not text:
        raise AddressError("the bus address is empty; give amqp://USER:PASSWORD@HOST/VHOST or a directory")
    scheme, separator, _ = text.partition("://")
    if separator and scheme.lower() in ("stomp", "stomps"):
        return _parse_stomp(text, scheme.lower(), role)
    if separator:
        return _parse_amqp(text, scheme.lower(), role)
    if text.startswith(("amqp:", "amqps:", "file:", "udp:")):
        raise AddressError(f"the bus address {without_secret(text)!r} is neither amqp(s)://… nor a directory")
    return _parse_directory(text)


_HOST_PORT = re.compile(r"(?:[^/@]*@)?[\w.-]+:\d+(?:/.*)?|[^/@:]+:[^/@]*@.*")
"""A broker's address without its scheme. A directory with such a name can be written with ``./`` in front."""


def _parse_directory(text: str) -> BusAddress:
    if _HOST_PORT.fullmatch(text):
        shown = text.rpartition("@")[2]
        raise AddressError(f"the bus address of {shown!r} has no scheme; write amqp:// or amqps:// before it")
    if "?" in text or "\0" in text:
        raise AddressError(f"the local bus is a plain directory without parameters, not {text!r}")
    directory = Path(text).expanduser().absolute()
    if directory.exists() and not directory.is_dir():
        raise AddressError(f"the local bus needs a directory, and {directory} is a file")
    return BusAddress(kind="local", redacted=str(directory), directory=directory)


def _parse_amqp(text: str, scheme: str, role: Role) -> BusAddress:
    if scheme not in _PORTS:
        near = get_close_matches(scheme, _PORTS, n=1)
        hint = f"did you mean {near[0]}://?" if near else "use amqp://, amqps:// or a directory"
        raise AddressError(f"a bus address cannot begin with {scheme}://; {hint}")
    shown = without_secret(text)
    if "#" in text:
        raise AddressError(f"the bus address {shown!r} has a '#'; write %23 for one in a name or password")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise AddressError(f"the host or port in {shown!r} cannot be read") from None
    if not parts.hostname:
        raise AddressError(f"the bus address {shown!r} names no host")
    path = "/" if parts.path == "//" else parts.path  # a common way to spell the virtual host "/"
    if path.count("/") > 1:
        raise AddressError(f"the virtual host in {shown!r} has more than one '/'; write %2F for one in its name")
    exchange, queue = _parameters(parts.query, shown, role)
    user = unquote(parts.username) if parts.username is not None else "guest"
    password = unquote(parts.password) if parts.password is not None else ("guest" if parts.username is None else "")
    vhost = unquote(path[1:]) or "/"
    return BusAddress(
        kind="amqp",
        redacted=_redacted(scheme, user, parts.hostname, port, vhost, exchange, queue),
        exchange=exchange,
        queue=queue,
        host=parts.hostname,
        port=port,
        vhost=vhost,
        tls=scheme == "amqps",
        user=user,
        password=password,
    )


def _parse_stomp(text: str, scheme: str, role: Role) -> BusAddress:
    """``stomp(s)://USER:PASSWORD@HOST:PORT/topic/NAME``; a name alone is a topic."""
    shown = without_secret(text)
    if role == "source":
        raise AddressError(f"nothing can be read from {shown!r}: STOMP is for sending only; use amqp:// or a directory")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise AddressError(f"the host or port in {shown!r} cannot be read") from None
    if not parts.hostname:
        raise AddressError(f"the bus address {shown!r} names no host")
    if parts.query or parts.fragment:
        raise AddressError(f"{shown!r}: the destination follows the host, as in stomp://HOST/topic/NAME")
    destination = unquote(parts.path) if parts.path.strip("/") else STOMP_DESTINATION
    if not destination.startswith(("/topic/", "/queue/")):
        destination = "/topic/" + destination.lstrip("/")
    user = unquote(parts.username or "")
    where = f"{quote(user, safe='')}:***@" if user else ""
    return BusAddress(
        kind="stomp",
        redacted=f"{scheme}://{where}{host_port(parts.hostname, port)}{quote(destination)}",
        exchange=destination,
        host=parts.hostname,
        port=port,
        tls=scheme == "stomps",
        user=user,
        password=unquote(parts.password or ""),
    )


def _parameters(query: str, shown: str, role: Role) -> tuple[str | None, str | None]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _PARAMETERS[role]:
            allowed = " and ".join(_PARAMETERS[role])
            raise AddressError(f"the parameter {name!r} in {shown!r} is not known here; possible: {allowed}")
        if name in found or not value:
            raise AddressError(f"the parameter {name!r} in {shown!r} must be given once, with a value")
        if len(value.encode()) > 255:
            raise AddressError(f"the {name} name in {shown!r} is longer than the 255 bytes that AMQP allows")
        found[name] = value
    return found.get("exchange"), found.get("queue")


def _redacted(scheme: str, user: str, host: str, port: int, vhost: str, exchange: str | None, queue: str | None) -> str:
    where = (
        f"{scheme}://{quote(user, safe='')}:***@{host_port(host, port)}/{'' if vhost == '/' else quote(vhost, safe='')}"
    )
    parameters = [f"{k}={quote(v, safe='')}" for k, v in (("exchange", exchange), ("queue", queue)) if v is not None]
    return where + ("?" + "&".join(parameters) if parameters else "")
