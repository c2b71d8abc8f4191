"""The messages between the agent and a worker process: MessagePack values, each after its length in four bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from agent.messages import Auth, Protocol, Request, ServerSample, Workload

HEAD: Final = 4
MAX_FRAME: Final = 64 * 1024 * 1024
"""Larger than any round; a greater length means that the pipe carries something other than frames."""


class Setup(Struct, frozen=True, tag="setup"):
    """First frame to a worker. `slots` are the numbers of the slots that this process serves."""

    job: str
    workloads: list[Workload]
    """In the order of `Request.share`."""
    timeout: float
    slots: list[int]
    segment: str
    """Path of the journal's segment."""
    protocols: list[Protocol] = []
    auth: Auth = Auth()
    patience: float = 10.0
    """Seconds by which a call may exceed twice `timeout` before it is given up."""
    request_timeout: float = 0.0
    """Maximum seconds for a whole request; 0: no limit."""


class Work(Struct, frozen=True, tag="work"):
    """Requests of a round for slots of this worker, in order."""

    round: int
    requests: list[Request]


class Renew(Struct, frozen=True, tag="renew"):
    """With what the worker identifies itself from now on."""

    auth: Auth


class Finish(Struct, frozen=True, tag="finish"):
    """Finish what is queued, then end."""


class Drain(Struct, frozen=True, tag="drain"):
    """Finish what is in progress, start nothing more, then end."""


class Stop(Struct, frozen=True, tag="stop"):
    """Stop at once: what is in progress becomes interrupted, what is queued is never started. Then end."""

    reason: str


class Ready(Struct, frozen=True, tag="ready"):
    """The worker is ready for work."""

    xrootd: str


class Unfit(Struct, frozen=True, tag="unfit"):
    """The worker cannot work, and ends: one sentence saying why and what to do."""

    sentence: str


class Figures(Struct, frozen=True, tag="figures"):
    """Once a second and at the end: cumulative figures by server URL, and the bytes of each second since the last time.

    Everything that came before the time `measured` (Unix seconds) is in this frame or in an earlier one."""

    servers: dict[str, ServerSample]
    seconds: dict[int, dict[str, int]] = {}
    """Bytes by second of Unix time, then by server URL."""
    measured: float = 0.0
    silent: dict[str, float] = {}
    """Servers that do not answer although a slot waits for them, and for how many seconds."""
    reached: list[str] = []
    """Those of them that answer a check without the XRootD client: its calls hang, the server does not."""


class Remark(Struct, frozen=True, tag="remark"):
    """A message for a person. `key` is the same for messages that need not be repeated."""

    severity: Literal["info", "warning", "error"]
    key: str
    text: str


ToWorker = Setup | Work | Renew | Finish | Drain | Stop
FromWorker = Ready | Unfit | Figures | Remark

_encode = msgspec.msgpack.Encoder().encode
decode_to_worker: Callable[[bytes], ToWorker] = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker: Callable[[bytes], FromWorker] = msgspec.msgpack.Decoder(FromWorker).decode


def framed(message: Struct) -> bytes:
    """The message as it is written to the pipe."""
    body = _encode(message)
    return len(body).to_bytes(HEAD, "big") + body


def length(head: bytes) -> int:
    """Length of the body that follows this header. ValueError when no frame can begin like this."""
    size = int.from_bytes(head, "big")
    if len(head) != HEAD or size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes is announced; the maximum is {MAX_FRAME}")
    return size
