"""Does a server answer at all? Asked without the XRootD client, which may be what hangs.

It sends the handshake that begins every XRootD connection and does not log in, so monitoring does not see it."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

HANDSHAKE: Final = bytes(15) + b"\x04" + (2012).to_bytes(4)
"""ClientInitHandShake of the XRootD protocol: three zeros, 4, 2012."""
ANSWER: Final = 8
"""Length of the header of every answer."""
PORT: Final = 1094


def answers(server: str, seconds: float) -> bool:
    """Whether the server at this URL answers within `seconds`."""
    parts = urlsplit(server if "://" in server else f"root://{server}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or PORT), seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(HANDSHAKE)
            return len(connection.recv(ANSWER)) > 0
    except OSError:
        return False
