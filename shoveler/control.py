"""The messages between the two processes of a shoveler, over a socket pair that preserves message boundaries.

    main process                                              receiver process
    publishes, serves metrics, talks to systemd               reads sockets, is the only writer of the spool

                         Confirm, Returned, Options, Stop  →
                      ←  Opened, Committed, State, Finished, Failed

Neither ever waits for the other: a message that does not fit now is merged with the next one of its kind, since each
`Confirm`, `Committed` and `State` includes what the previous ones said. `Options`, `Stop` and `Finished` are sent again
until they fit; receiving one twice does no harm.
"""

from __future__ import annotations

import socket
from typing import TypeAlias

import msgspec


class Confirm(msgspec.Struct, tag=True):
    """The bus has every datagram up to this SEQ."""

    upto: int


class Returned(msgspec.Struct, tag=True):
    """Datagrams that the bus could not route, by sender, to be counted."""

    counts: dict[str, int]


class Options(msgspec.Struct, tag=True, kw_only=True):
    """Settings that may change while running."""

    verify: bool = True
    ip_map: dict[str, str] = {}
    path_mtu: int = 1500
    forward: list[tuple[str, int]] = []
    forward_envelopes: bool = False
    version: str = ""
    """Of the program, as envelopes have it."""
    max_bytes: int = 10 * 2**30
    log_format: str = "text"
    log_level: str = "info"


class Stop(msgspec.Struct, tag=True):
    """Read what is waiting, commit it, send `Finished`, and then only remove what is confirmed until the other end
    closes."""


class Opened(msgspec.Struct, tag=True):
    """The spool is open and the sockets are being read."""

    spool: str
    last: int
    warnings: list[str] = []


class Committed(msgspec.Struct, tag=True):
    """Datagrams up to this SEQ are in the spool."""

    last: int


class State(msgspec.Struct, tag=True, kw_only=True):
    """The state of the receiver, once a second."""

    held: int
    """Bytes in memory that could not be written to the spool yet."""
    buffer: float
    """The fullest receive buffer, 0…1."""
    forward_failed: int = 0
    problem: str = ""
    """Why the spool accepts no datagrams, for an operator."""


class Finished(msgspec.Struct, tag=True):
    """Nothing more will be taken: after `Stop`, or at the end of the input file. `last` is the newest SEQ."""

    last: int
    problem: str = ""
    """Why the input file could not be read to its end."""


class Failed(msgspec.Struct, tag=True):
    """The receiver cannot work and ends; trying again is useless before somebody has done what the text says."""

    text: str


ToReceiver: TypeAlias = Confirm | Returned | Options | Stop
FromReceiver: TypeAlias = Opened | Committed | State | Finished | Failed

_encode = msgspec.msgpack.Encoder().encode
_to_receiver = msgspec.msgpack.Decoder(ToReceiver)
_from_receiver = msgspec.msgpack.Decoder(FromReceiver)
_LARGEST = 128 * 1024


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """(main's end, receiver's end), both non-blocking."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
    return pair


def say(end: socket.socket, message: ToReceiver | FromReceiver) -> bool:
    """Send; False when it does not fit now. Raises OSError when the other end is gone."""
    try:
        end.send(_encode(message))
    except BlockingIOError:
        return False
    return True


def heard_by_receiver(end: socket.socket) -> list[ToReceiver] | None:
    """The messages from main since the last call; None when main is gone."""
    messages: list[ToReceiver] = []
    while (data := _receive(end)) is not None:
        if not data:
            return None
        messages.append(_to_receiver.decode(data))
    return messages


def heard_by_main(end: socket.socket) -> list[FromReceiver] | None:
    """The messages from the receiver since the last call; None when it is gone and left no more."""
    messages: list[FromReceiver] = []
    while (data := _receive(end)) is not None:
        if not data:
            return messages or None
        messages.append(_from_receiver.decode(data))
    return messages


def _receive(end: socket.socket) -> bytes | None:
    """One message; None when there is none now; empty when the other end is closed."""
    try:
        return end.recv(_LARGEST)
    except BlockingIOError:
        return None
    except ConnectionError:
        return b""
