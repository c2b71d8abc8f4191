"""An HTTP server with faults dialled in: what a real one does only when it is broken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, str, dict[str, str]], None]
"""Gets the connection, the first line of the request, and its headers (names in lower case)."""


@dataclass
class WebServer:
    """`url` is where it listens; `heard` are the first lines of all requests, with the User-Agent and authorization."""

    url: str
    heard: list[tuple[str, str, str]] = field(default_factory=list)
    connections: int = 0

    def lines(self) -> list[str]:
        return [line for line, _, _ in self.heard]


def reply(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; ``content_length`` and other headers with underscores for dashes."""
    given = {"content_length": str(len(body))} | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@contextmanager
def serving(answer: Answer) -> Iterator[WebServer]:
    """A server that answers every request with `answer`, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = WebServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    open_ones: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while first := lines.readline().decode().strip():
                headers: dict[str, str] = {}
                while line := lines.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                server.heard.append((first, headers.get("user-agent", ""), headers.get("authorization", "")))
                lines.read(int(headers.get("content-length", "0")))
                try:
                    answer(connection, first, headers)
                except OSError:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            open_ones.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.close()
        for connection in open_ones:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
