"""Where a request goes: the scheme, host and port of its workload at its server. Pure."""

from __future__ import annotations

import functools
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from agent.messages import HTTP, PORTS, Workload
from shoveler.values.addresses import host_port


class Address(NamedTuple):
    """A server as one protocol reaches it; `place` is HOST:PORT."""

    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """HOST:PORT, with brackets around an IPv6 address."""
        return host_port(self.host, self.port)

    @property
    def over_http(self) -> bool:
        """Whether it is asked with HTTP requests."""
        return self.scheme in HTTP

    def url(self, path: str) -> str:
        """The URL of a file over HTTP."""
        return f"{self.scheme}://{self.place}{quote(absolute(path))}"


def absolute(path: str) -> str:
    """The path with a slash in front."""
    return path if path.startswith("/") else "/" + path


def address_of(server: str, workload: Workload) -> Address:
    """Where requests of `workload` to the server with this URL go."""
    return reach(server, workload.protocol, workload.port)


@functools.cache
def reach(server: str, protocol: str = "", port: int = 0) -> Address:
    """The server with this URL over `protocol` ("": its own) at `port` (0: its own). Without a scheme, it is root's."""
    parts = urlsplit(server if "://" in server else f"root://{server}")
    known = parts.port or PORTS.get(parts.scheme, PORTS["root"])
    return Address(protocol or parts.scheme, parts.hostname or "", port or known)
