"""Sockets that the supervisor holds: UDP ones for the shovelers, and TCP ports kept free for the servers."""

from __future__ import annotations

import ctypes
import socket
import struct

from agent.lab.errors import WishError

RECEIVE_BUFFER = 32 * 1024 * 1024
"""Bytes requested; without privileges the kernel gives at most net.core.rmem_max."""

_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8

_LOAD_WORD = 0x20
_LOAD_BYTE = 0x30
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h
_TYPE_OF_SERVICE = 0xFFF00000 + 1  # SKF_NET_OFF + its place in the IPv4 header

_MARKED = 0x04  # the lowest bit of the type of service that is not used for congestion
MARK = struct.pack("i", _MARKED)
"""Value of IP_TOS that marks a datagram for `drop_marked`."""


def receive_socket() -> socket.socket:
    """A bound UDP socket on a free loopback port, with a large buffer. Nothing is lost while nobody reads it."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    s.bind(("127.0.0.1", 0))
    return s


def keep_port(port: int, whose: str, host: str = "127.0.0.1") -> socket.socket:
    """Reserve a TCP port (0: any free one) for a program that will listen on it with SO_REUSEADDR, as XRootD does.
    While this socket is bound and does not listen, that program can, and no other gets the port by chance. Raises
    WishError if the port is in use.
    """
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind((host, port))
    except OSError as error:
        s.close()
        raise WishError(
            f"port {port} for {whose} cannot be used ({error.strerror}); choose another --port, or leave it out"
        ) from None
    return s


def lose(s: socket.socket, percent: float) -> None:
    """From now on the kernel drops this share of the datagrams that reach the socket, and counts them as its drops. The
    filter belongs to the socket, so it works with any process that reads from it.
    """
    threshold = min(0xFFFFFFFF, round(percent / 100 * 2**32))
    _filter(
        s,
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_JUMP_IF_AT_LEAST, 1, 0, threshold),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0xFFFFFFFF),
    )


def drop_marked(s: socket.socket) -> None:
    """From now on the kernel drops the datagrams that come with `MARK`, and counts them as its drops."""
    _filter(
        s,
        (_LOAD_BYTE, 0, 0, _TYPE_OF_SERVICE),
        (_JUMP_IF_EQUAL, 0, 1, _MARKED),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0xFFFFFFFF),
    )


def drops(s: socket.socket) -> int:
    """The number of datagrams that the kernel has dropped at this socket, for any reason (32 bits, like the
    kernel's)."""
    meminfo: tuple[int, ...] = struct.unpack_from("=9I", s.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))
    return meminfo[_MEMINFO_DROPS]


def _filter(s: socket.socket, *program: tuple[int, int, int, int]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    attached = struct.pack("HL", len(program), ctypes.addressof(code))
    s.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)


def lose_nothing(s: socket.socket) -> None:
    """The opposite of `lose`; not an error if nothing is being dropped."""
    try:
        s.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, struct.pack("i", 0))
    except FileNotFoundError:
        pass  # no filter is attached


def address(s: socket.socket) -> str:
    host, port = s.getsockname()[:2]
    return f"{host}:{port}"
