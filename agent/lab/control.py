"""Orders to a running supervisor, over a unix socket in the lab's directory: one JSON line each way.

Anyone who may enter the directory (mode 0700) may give orders.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from agent.lab.errors import LabError
from agent.lab.layout import Layout, command

FaultName = Literal[
    "broker-down",
    "broker-up",
    "broker-restart",
    "kill-shoveler",
    "kill-collector",
    "kill-server",
    "stop-server",
    "cut-transfer",
    "udp-loss",
    "wire-loss",
    "fragment-loss",
]
FAULTS: tuple[FaultName, ...] = get_args(FaultName)
LOSSES: tuple[FaultName, ...] = ("udp-loss", "wire-loss", "fragment-loss")
OF_A_SERVER: tuple[FaultName, ...] = (*LOSSES, "kill-server", "stop-server", "cut-transfer")
"""Faults for which a server can be named."""
LINE_LIMIT = 65536


class Status(Struct, frozen=True, tag="status"):
    """A check that it is there. The answer's text says what the lab is doing."""


class Stop(Struct, frozen=True, tag="stop"):
    """Take the lab down. With `flush` the servers first get time to send what they still buffer."""

    flush: bool = False


class Fault(Struct, frozen=True, tag="fault"):
    """Inject a fault. `seconds` > 0: end it after that time; 0: leave it (a killed daemon is restarted at once)."""

    do: FaultName
    seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    percent: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """For losses: the percentage of datagrams to drop; 0 ends it."""
    server: str = ""
    """The server affected; "": every server for a loss, else one that the lab picks at random."""
    codes: Annotated[str, Meta(max_length=16)] = ""
    """For losses: only datagrams with one of these first bytes, such as ``fu``; "": all."""


Order = Status | Stop | Fault


class Answer(Struct, frozen=True):
    """`text` is one sentence for the user: what was done, or why not. `t`: when a fault had begun, in Unix seconds."""

    ok: bool
    text: str
    t: float = 0.0


encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


@contextlib.contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """A path of the control socket that fits into a socket address, however long the directory's path."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{Layout(directory).control.name}"
    finally:
        os.close(descriptor)


def listen(directory: Path) -> socket.socket:
    """The supervisor's end, listening. Raises OSError."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(directory) as path:
        Path(path).unlink(missing_ok=True)
        s.bind(path)
    s.listen(8)
    s.setblocking(False)
    return s


def ask(directory: Path, order: Order, timeout: float) -> Answer:
    """Give an order and wait for the answer. Raises LabError when the supervisor is not there or does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s, short_path(directory) as path:
            s.settimeout(timeout)
            s.connect(path)
            s.sendall(encode(order) + b"\n")
            with s.makefile("rb") as stream:
                line = stream.readline(LINE_LIMIT)
        return _decode_answer(line)
    except TimeoutError:
        raise LabError(
            f"the lab's supervisor did not answer within {timeout:g} s; {command('down', directory)} ends it"
        ) from None
    except (OSError, msgspec.DecodeError):
        raise LabError(
            f"no supervisor answers in {directory}; {command('status', directory)} says what is left"
        ) from None
