"""Sockets that the supervisor holds: UDP ones for the shovelers, and TCP ports kept free for the servers."""

from __future__ import annotations

import ctypes
import socket
import struct

from agent.lab.errors import WishError

RECEIVE_BUFFER = 32 * 1024 * 1024
"""Bytes asked for; without privileges the kernel gives at most net.core.rmem_max."""

_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27

_LOAD_WORD = 0x20
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h


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
    """Take a TCP port (0: any free one) for a program that is to listen on it with SO_REUSEADDR, as XRootD does.

    While this socket is bound and does not listen, that program can, and no other is given the port by chance.
    Raises WishError when the port is taken.
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
    """From now on the kernel drops this share of the datagrams that reach the socket, and counts them as its drops.

    The filter belongs to the socket, so it works whichever process reads from it.
    """
    threshold = min(0xFFFFFFFF, round(percent / 100 * 2**32))
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, _RANDOM),
            (_JUMP_IF_AT_LEAST, 1, 0, threshold),
            (_RETURN, 0, 0, 0),
            (_RETURN, 0, 0, 0xFFFFFFFF),
        )
    )
    code = ctypes.create_string_buffer(program)
    s.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 4, ctypes.addressof(code)))


def lose_nothing(s: socket.socket) -> None:
    """The opposite of `lose`; no error when nothing is being lost."""
    try:
        s.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, struct.pack("i", 0))
    except FileNotFoundError:
        pass  # no filter is attached


def address(s: socket.socket) -> str:
    host, port = s.getsockname()[:2]
    return f"{host}:{port}"
