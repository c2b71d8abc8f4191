"""The hub's listening sockets: how many connections may wait before they have signed in, in all and from one address.

Whoever connects costs memory (TLS above all) before it has said who it is. A connection counts from its first packet
until its session opens or it ends. Above `each` from one address a new one is closed at once. Above `in_all` the oldest
one of the address that has the most must go, if it has waited for `PATIENCE`: an honest join takes a fraction of that,
so that idle connections never keep it out. IPv6 addresses count by their /64, which one host has for itself.

This counts where asyncio calls `accept`, which is before anything is allocated for a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Literal

PATIENCE = 1.0
"""Seconds after which a connection that has not signed in may be closed in favour of another."""
AT_ONCE = 256
"""Connections that are turned away before the event loop gets its next turn."""
Crowd = Literal["too_many_from_address", "too_many"]
"""Why a connection is closed, as in `tokens.Reason`."""


class Entrance:
    """See the module. A limit of 0 is none. `refused` is called with the address of each connection that was closed.
    All methods belong to the event loop."""

    def __init__(
        self, in_all: int, each: int, *, monotonic: Callable[[], float], refused: Callable[[str, Crowd], None]
    ) -> None:
        self._in_all = in_all
        self._each = each
        self._monotonic = monotonic
        self._refused = refused
        self._open: dict[int, Counted] = {}
        """By file number."""
        self._waiting: dict[str, OrderedDict[Counted, float]] = {}
        self._sizes: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Connections that have not signed in."""
        return self._sizes.total()

    @property
    def open(self) -> int:
        """All connections."""
        return len(self._open)

    async def listen(self, host: str, port: int, backlog: int) -> list[socket.socket]:
        """Sockets that listen on all addresses of `host` (empty: every address of this machine), on the same port.
        Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        sockets: list[_Listening] = []
        try:
            for family, kind, proto, _, address in dict.fromkeys(found):
                one = _Listening(self, family, kind, proto)
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.setblocking(False)
                one.bind((address[0], port, *address[2:]))
                one.listen(backlog)
                port = one.getsockname()[1]
        except OSError:
            for one in sockets:
                one.close()
            raise
        return list(sockets)

    def signed_in(self, number: int) -> None:
        """The connection with this file number has opened its session, and no longer counts."""
        one = self._open.get(number)
        if one is not None:
            self._leave(one)

    def cut(self) -> None:
        """End all connections now."""
        for one in tuple(self._open.values()):
            one.end()

    # ---- called by the sockets

    def enter(self, one: Counted) -> bool:
        """Whether a new connection may stay."""
        address, now = one.address, self._monotonic()
        if self._each and self._sizes[address] >= self._each:
            self._refused(address, "too_many_from_address")
            return False
        if self._in_all and self.waiting >= self._in_all and not self._make_room(now):
            self._refused(address, "too_many")
            return False
        self._open[one.fileno()] = one
        self._waiting.setdefault(address, OrderedDict())[one] = now
        self._sizes[address] += 1
        return True

    def left(self, one: Counted) -> None:
        """A connection has ended."""
        if self._open.get(one.fileno()) is one:
            del self._open[one.fileno()]
        self._leave(one)

    def _make_room(self, now: float) -> bool:
        address, _ = self._sizes.most_common(1)[0]
        oldest, since = next(iter(self._waiting[address].items()))
        if now - since < PATIENCE:
            return False
        self._refused(address, "too_many")
        self._leave(oldest)
        oldest.end()
        return True

    def _leave(self, one: Counted) -> None:
        there = self._waiting.get(one.address)
        if there is None or there.pop(one, None) is None:
            return
        self._sizes[one.address] -= 1
        if not there:
            del self._waiting[one.address], self._sizes[one.address]


class Counted(socket.socket):
    """An accepted connection, which counts until it is closed."""

    def __init__(self, entrance: Entrance, accepted: socket.socket, address: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.address = address
        self._entrance = entrance

    def end(self) -> None:
        """End the connection: whoever reads from it or writes to it finds it broken."""
        with contextlib.suppress(OSError):  # the other side was faster
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; it no longer counts."""
        self._entrance.left(self)
        super().close()


class _Listening(socket.socket):
    """A listening socket whose connections are counted."""

    def __init__(self, entrance: Entrance, family: int, kind: int, proto: int) -> None:
        super().__init__(family, kind, proto)
        self._entrance = entrance

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that may stay. Raises what `socket.accept` does: BlockingIOError if there is none."""
        for _ in range(AT_ONCE):
            accepted, address = super().accept()
            one = Counted(self._entrance, accepted, counted_address(str(address[0])))
            if self._entrance.enter(one):
                return one, address
            one.close()
        raise BlockingIOError


def counted_address(text: str) -> str:
    """The address that a connection counts for: itself, or its /64 (IPv6)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
