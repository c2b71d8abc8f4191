"""The UDP sockets of a shoveler: opened or inherited, with large buffers, and the kernel's figures about them."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from shoveler.service import Address

_log = logging.getLogger(__name__)

_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")  # SK_MEMINFO_RMEM_ALLOC, RCVBUF, …, DROPS, of linux/sock_diag.h
_HINTS = {
    errno.EADDRINUSE: "; another program listens there, perhaps another shoveler",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
    errno.EACCES: "; ports below 1024 need a privilege: let systemd open the socket, or use another port",
}


@dataclass(frozen=True, slots=True)
class Fill:
    """The state of a socket's receive buffer."""

    used: int
    """Bytes of kernel memory that hold waiting datagrams (more than the datagrams themselves)."""
    size: int
    drops: int
    """Datagrams that the kernel dropped since the socket was created, a 32-bit counter that wraps."""


def listeners(addresses: Sequence[Address], kept: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """A bound UDP socket for each address: one of `kept` if it is bound there, otherwise a new one. What is left of
    `kept` is closed. ``[::]`` takes IPv4, too, unless ``0.0.0.0`` has the same port. Raises OSError."""
    wanted = [(a, a.host == "::" and Address(_ANY, a.port) not in addresses) for a in addresses]
    found: dict[int, socket.socket] = {}
    for sock in kept:
        place = next(
            (n for n, (a, both) in enumerate(wanted) if n not in found and _is_bound(sock, a, both=both)), None
        )
        if place is None:
            sock.close()  # before others are opened: what listened on [::] may now be wanted on 0.0.0.0 alone
        else:
            found[place] = sock
    try:
        for number, (address, both) in enumerate(wanted):
            if number not in found:
                found[number] = open_listener(address, both=both)
    except OSError:
        for sock in found.values():
            sock.close()
        raise
    return [found[number] for number in range(len(wanted))]


_ANY = "0.0.0.0"  # noqa: S104 - compared with


def _is_bound(sock: socket.socket, address: Address, *, both: bool) -> bool:
    """Whether a socket is what `open_listener` would make."""
    try:
        family, _kind, _protocol, _name, wanted = _resolve(address)
    except OSError:
        return False
    if sock.family != family or sock.getsockname()[:2] != wanted[:2]:
        return False
    return family != socket.AF_INET6 or sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == (not both)


def _resolve(address: Address) -> tuple[int, int, int, str, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(f"cannot listen on {address}: {error.strerror}") from None
    return found[0]  # type: ignore[return-value]  # of UDP sockets, an address begins with host and port


def open_listener(address: Address, *, both: bool = False) -> socket.socket:
    """A bound UDP socket; `both`: of ``[::]``, which then takes IPv4, too (and is IPv4 alone where the kernel has no
    IPv6). Raises OSError with the address in its text; a name that cannot be resolved too."""
    if both and not _has_ipv6():
        address = Address(_ANY, address.port)
    family, kind, protocol, _name, sockaddr = _resolve(address)
    sock = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            # 0.0.0.0 and [::] can be listened on side by side.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        sock.bind(sockaddr)
    except OSError as error:
        sock.close()
        hint = _HINTS.get(error.errno or 0, "")
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}{hint}") from None
    return sock


def _has_ipv6() -> bool:
    """Whether this kernel lets a program listen on IPv6 addresses."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def check_inherited(sockets: Sequence[socket.socket]) -> None:
    """Raises OSError when an inherited socket is not UDP."""
    for sock in sockets:
        if sock.type != socket.SOCK_DGRAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"the socket {sock.fileno()} passed in LISTEN_FDS is not a UDP socket")


def enlarge(sock: socket.socket, wanted: int) -> str | None:
    """Give the socket a receive buffer of `wanted` bytes; returns a message for the operator if the kernel allows less.
    Never reduces a buffer that systemd or a supervisor with more privileges has set."""
    got = _buffer(sock)
    if got < wanted:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
        except PermissionError:
            if _allowed(wanted) > got:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        got = _buffer(sock)
    if got >= wanted:
        return None
    return (
        f"the receive buffer of {name_of(sock)} is only {got} bytes instead of {wanted}: bursts may be dropped by the "
        f"kernel; set `sysctl -w net.core.rmem_max={wanted}` (in /etc/sysctl.d to keep it)"
    )


def _buffer(sock: socket.socket) -> int:
    # The kernel doubles the requested size, for its own bookkeeping.
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _allowed(wanted: int) -> int:
    """How much the kernel gives to a program without privileges. (In a container, /proc does not always show it.)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        return _buffer(probe)


def name_of(sock: socket.socket) -> str:
    """``HOST:PORT`` a socket is bound to."""
    host, port = sock.getsockname()[:2]
    return str(Address(host, port))


def identity_of(sock: socket.socket) -> str:
    """A name that a socket keeps for its lifetime, in any process, and that is not reused after a reboot."""
    return f"{boot_id()}:{os.fstat(sock.fileno()).st_ino}"


def fill_of(sock: socket.socket) -> Fill:
    """Ask the kernel about the receive buffer; no parsing of /proc, and right in any network namespace."""
    info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    used, size, *_rest, drops = _MEMINFO.unpack(info)
    return Fill(used, size, drops)


def reassembly_failures() -> int:
    """Datagrams of this host whose fragments did not all arrive, since it was started, for any program."""
    count = 0
    try:
        names, values = [line.split() for line in _lines("/proc/net/snmp") if line.startswith("Ip:")]
        count += int(values[names.index("ReasmFails")])
        count += sum(int(line.split()[1]) for line in _lines("/proc/net/snmp6") if line.startswith("Ip6ReasmFails"))
    except (OSError, ValueError):
        pass  # a kernel without IPv6 or without this figure
    return count


def reassembly_wait() -> float:
    """Seconds that the kernel waits for a missing fragment."""
    try:
        return float(_lines("/proc/sys/net/ipv4/ipfrag_time")[0])
    except (OSError, ValueError, IndexError):
        return 30.0


def _lines(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - read every second
        return file.readlines()


def boot_id() -> str:
    """Different after each boot of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 - one line
            return file.read(8)
    except OSError:
        return "boot"
