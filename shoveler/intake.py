"""The header check and the bookkeeping for datagrams that were just read: no I/O, no clock.

This is all that a shoveler knows about XRootD monitoring: a datagram is a summary report (``<`` or ``{``), a text
g-stream (``{`` or ``code=``), or has the binary header, whose bytes 2–3 are its own length. Everything else is left to
the collector.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from shoveler.spool.values import Books, Draft
from shoveler.values.addresses import host_port, plain_ip

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""What ``recvfrom`` returns: (IP, port), and flow and scope for IPv6."""

_CODES = [chr(byte) if 33 <= byte < 127 else "other" for byte in range(256)]
_TEXT = frozenset(b"<{")
_FILES = ord("f")
_MAX_KNOWN = 20_000
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

_IP_UDP = {4: 28, 6: 48}
"""Bytes of IP and UDP header before a datagram."""


def fault(datagram: bytes) -> str | None:
    """Why this is not a monitoring datagram: ``empty``, ``short`` or ``length``; None when it may be one."""
    size = len(datagram)
    # Binary first, as nearly all are. (Format reference, section 2: plen is the whole length, unsigned.)
    if size >= 8 and (datagram[2] << 8 | datagram[3]) == size:
        return None
    if not size:
        return "empty"
    if datagram[0] in _TEXT or datagram.startswith(b"code="):
        return None
    if datagram[0] == _FILES and size > 8 and _is_padded(datagram, size):
        return None
    return "short" if size < 8 else "length"


def _is_padded(datagram: bytes, size: int) -> bool:
    """Whether zeros after the header's length pad it to a power of two: dCache's plug-in sends its f-stream like
    this."""
    length = datagram[2] << 8 | datagram[3]
    return 8 <= length < size and not size & (size - 1) and not any(datagram[length:])


def check_map(table: Mapping[str, str]) -> None:
    """Raises ValueError with one sentence when the IP map cannot be used."""
    for source, target in table.items():
        if source != "all":
            try:
                ipaddress.ip_address(source)
            except ValueError:
                raise ValueError(f'{source!r} is neither an IP address nor "all"') from None
        try:
            ipaddress.ip_address(target)
        except ValueError:
            if _HOST.fullmatch(target) is None:
                raise ValueError(f"{source} is mapped to {target!r}, which is not an IP address or host name") from None


class Intake:
    """Checks datagrams, names their senders, and puts them into a draft or counts them as rejected."""

    def __init__(self, *, verify: bool = True, ip_map: Mapping[str, str] | None = None, path_mtu: int = 1500) -> None:
        self._verify = verify
        self._map = dict(ip_map or {})
        self._mtu = path_mtu
        self._known: dict[SocketAddress, tuple[str, int]] = {}

    def add(self, burst: Iterable[tuple[bytes, SocketAddress]], draft: Draft, books: Books) -> None:
        """Datagrams with the addresses they came from, in order of arrival."""
        known, verify, add = self._known, self._verify, draft.add
        for datagram, address in burst:
            sender = known.get(address)
            if sender is None:
                sender = self._name(address)
            remote, largest = sender
            if verify and (reason := fault(datagram)) is not None:
                books.reject(remote, reason)
                continue
            add(remote, datagram, _CODES[datagram[0]] if datagram else "other", len(datagram) > largest)

    def reject(self, burst: Sequence[tuple[bytes, SocketAddress]], books: Books, reason: str) -> None:
        """Count datagrams for which there is no room."""
        for datagram, address in burst:
            wrong = fault(datagram) if self._verify else None
            books.reject(self.remote(address), wrong or reason)

    def remote(self, address: SocketAddress) -> str:
        """``IP:PORT`` of a sender, after the IP map, IPv6 in brackets."""
        return (self._known.get(address) or self._name(address))[0]

    def _name(self, address: SocketAddress) -> tuple[str, int]:
        """(remote, largest datagram that is not fragmented on the way), cached."""
        ip = plain_ip(address[0])
        version = 6 if ":" in ip else 4
        remote = host_port(self._map.get(ip) or self._map.get("all") or ip, address[1])
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()  # forged addresses; the few real ones return at once
        found = self._known[address] = (remote, self._mtu - _IP_UDP[version])
        return found
