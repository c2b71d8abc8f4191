"""Waits on a peer have a limit: after it the connection is aborted, which ends whatever waits for that peer.

websockets limits most waits itself, but not those for room in the write buffer: a peer that keeps its connection open
and reads nothing would hold up a message, a ping and even the closing handshake for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from websockets.asyncio.server import ServerConnection

log = logging.getLogger("tally.hub")

SEND_SECONDS = 60.0
"""How long a message may take until the peer has read enough; 4 MiB over a slow line take most of it."""
GOODBYE_SECONDS = 2.0
"""How long a peer has to take leave, from the Goodbye to the end of the connection."""
SHOWN_OUT_SECONDS = 0.5
"""The same for one that must not stay: its key was revoked."""


@contextlib.contextmanager
def limited(websocket: ServerConnection, seconds: float) -> Iterator[None]:
    """Abort the connection if the block takes longer; what waits inside then ends with ConnectionClosed."""
    watch = asyncio.get_running_loop().call_later(seconds, abort, websocket, f"took more than {seconds:g} s")
    try:
        yield
    finally:
        watch.cancel()


def abort_in(websocket: ServerConnection, seconds: float) -> None:
    """Abort the connection after some seconds, unless it has ended by then."""
    asyncio.get_running_loop().call_later(seconds, websocket.transport.abort)


def abort(websocket: ServerConnection, why: str) -> None:
    """End the connection without asking the peer."""
    log.warning("! %s %s; its connection is aborted", websocket.remote_address, why)
    websocket.transport.abort()
