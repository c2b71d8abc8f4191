"""The options of a lab. The supervisor gets them as JSON on its standard input, because a bus URL is secret."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from agent.lab.errors import WishError

MAX_SERVERS = 500
MAX_SHOVELERS = 32
MAX_CACHES = 32
MAX_FILES = 100_000


class LabOptions(Struct, frozen=True):
    """The requested lab. Paths are absolute; sizes are bytes."""

    directory: str
    servers: int = 4
    shovelers: int = 1
    bus: str = ""
    """``amqp(s)://…`` of an existing broker, or a directory for the local bus; empty: a private RabbitMQ node if it is
    installed, else the local bus."""
    files: int = 200
    file_bytes: int = 256 * 1024
    """Sizes run from 1 to this, evenly on a logarithmic scale."""
    large_files: int = 4
    large_bytes: int = 4 * 1024 * 1024
    """This number of files have from half of this size to this size."""
    seed: int = 1
    port: int = 0
    """The first server's port, the others follow; 0 takes free ones."""
    framing: str = "batch"
    relay: bool = False
    """Put a relay between servers and shovelers, which can drop datagrams on purpose and logs which."""
    ledger: bool = False
    """Make it also log what it passes on."""
    fbuff: int = 1400
    """The largest f-stream datagram; above 1472 the servers' datagrams are fragmented on an Ethernet path."""
    caches: int = 0
    """XRootD caches (libXrdPfc), each in front of one server, or all in front of the redirector."""
    redirector: bool = False
    """A redirector (cmsd) in front of all servers."""
    xrootd: str = ""
    """Where another XRootD is installed (``PREFIX/bin/xrootd``); empty: that of the PATH."""
    cache_async: bool = False
    """Leave ``xrootd.async`` of the caches at its default, with which they do not count large reads."""
    tokens: bool = False
    """Servers let in only who shows a token of the lab's issuer."""
    programs: dict[str, list[str]] = {}
    """Other commands to start in place of our daemons, by program name."""

    def check(self) -> None:
        """Raises WishError for the first invalid option."""
        for value, least, most, what in (
            (self.servers, 1, MAX_SERVERS, "--servers"),
            (self.shovelers, 1, MAX_SHOVELERS, "--shovelers"),
            (self.files, 1, MAX_FILES, "--files"),
            (self.file_bytes, 1, 2**40, "--file-size"),
            (self.large_files, 0, self.files, "--large-files"),
            (self.large_bytes, 1, 2**40, "--large-size"),
            (self.port, 0, 65535 - self.servers - self.caches - self.redirector, "--port"),
            (self.fbuff, 1024, 65472, "--fbuff"),
            (self.caches, 0, MAX_CACHES, "--caches"),
        ):
            if not least <= value <= most:
                raise WishError(f"{what} is {value}; it must be from {least} to {most}")
        if 0 < self.port < 1024:
            raise WishError(f"--port is {self.port}; XRootD runs without privileges here and needs a port above 1023")
        if self.framing not in ("single", "batch"):
            raise WishError(f"--framing is {self.framing!r}; it must be single or batch")
        if self.ledger and not self.relay:
            raise WishError("--ledger logs what the relay passes on; add --relay")
        if self.cache_async and not self.caches:
            raise WishError("--cache-async applies to caches; add --caches 1")
        if self.tokens and self.caches:
            raise WishError("--tokens and --caches exclude each other: a cache has no token for its origin")
        if self.tokens and self.redirector:
            raise WishError("--tokens and --redirector exclude each other: a redirector asks for no token")
        if is_amqp(self.bus):
            if not urlsplit(self.bus).hostname:
                raise WishError("--bus has no host; write amqp://USER:PASSWORD@HOST:PORT/VHOST")
            if {"exchange", "queue"} & parse_qs(urlsplit(self.bus).query).keys():
                raise WishError("--bus names an exchange or a queue; leave them out, because a lab makes its own names")
        elif "://" in self.bus:
            raise WishError(
                f"--bus {self.bus.split('://')[0]}://… is not a bus; give amqp://…, amqps://… or a directory"
            )


def is_amqp(bus: str) -> bool:
    return bus.startswith(("amqp://", "amqps://"))
