"""Does a server answer at all? Asked without the client library, which may be what hangs.

Over root it sends the handshake that begins every XRootD connection and does not log in, over HTTP a request for the
server's options: monitoring sees neither."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from agent.workloads.address import Address, reach

HANDSHAKE: Final = bytes(15) + b"\x04" + (2012).to_bytes(4)
"""ClientInitHandShake of the XRootD protocol: three zeros, 4, 2012."""
ANSWER: Final = 8
"""Length of the header of every answer."""


def answers(server: str, seconds: float) -> bool:
    """Whether the server at this URL answers within `seconds`."""
    address = reach(server)
    try:
        with socket.create_connection((address.host, address.port), seconds) as connection:
            connection.settimeout(seconds)
            if address.scheme != "https":
                return _speaks(connection, address)
            with _any_server().wrap_socket(connection, server_hostname=address.host) as secure:
                return _speaks(secure, address)
    except OSError:
        return False


def _speaks(connection: socket.socket, address: Address) -> bool:
    options = f"OPTIONS / HTTP/1.0\r\nHost: {address.place}\r\n\r\n".encode()
    connection.sendall(options if address.over_http else HANDSHAKE)
    return len(connection.recv(ANSWER)) > 0


def _any_server() -> ssl.SSLContext:
    """Whoever it is: nothing is sent that others must not know, and the question is only whether it answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
