"""User ids, ``prot/user.pid:sid@host``, and what their host part means."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from collector.wire.header import RejectedError


class UserId(NamedTuple):
    """A parsed user id. `host` is as sent, with its brackets; `text` is the whole text, the key by which ``i`` is
    joined.

    Without a `protocol` the sender does not name the server in it (`sid` is 0, *not known*): dCache's plug-in, which
    has a different number there for every client, or XRootD before 4, which had a file descriptor.
    """

    protocol: str
    user: str
    pid: int
    sid: int
    host: str
    text: str


def parse_userid(text: str) -> UserId:
    """Parse a user id from both ends (format reference, section 5.2); dots, colons and ``@`` may be in the user.

    Raises RejectedError: userid.
    """
    protocol, slash, rest = text.partition("/")
    if not slash:
        protocol, rest = "", text
    before, at, host = rest.rpartition("@")
    before, colon, sid = before.rpartition(":")
    user, dot, pid = before.rpartition(".")
    if not (at and colon and dot and _digits(sid if slash else sid.removeprefix("-")) and _digits(pid)):
        raise RejectedError("userid", f"{text[:80]!r} is not prot/user.pid:sid@host")
    if not slash:
        sid = "0"
    if len(sid) > 15 or len(pid) > 18 or int(sid) >= 1 << 48:  # 18 digits are less than 63 bits
        raise RejectedError("userid", f"sid or pid of {text[:80]!r} is too large")
    return UserId(protocol, user, int(pid), int(sid), host, text)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()  # other scripts have digits too


class Host(NamedTuple):
    """A host as written in records: a name, or an address in its canonical form. `version` is 4 or 6 for an address."""

    text: str
    version: int | None


@lru_cache(maxsize=4096)
def parse_host(text: str) -> Host:
    """Brackets stripped; IPv4-mapped and IPv4-compatible IPv6 addresses become IPv4. Anything else is a name."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return Host(bare, None)
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None and 0xFFFF < int(address) < 1 << 32:  # ::a.b.c.d, but neither :: nor ::1
            mapped = ipaddress.IPv4Address(int(address))
        if mapped is not None:
            address = mapped
    return Host(str(address), address.version)


def domain_of(host: Host) -> str | None:
    """The last two labels of a host *name*; None for an address or a name without a dot."""
    if host.version is not None:
        return None
    labels = host.text.rstrip(".").split(".")
    return ".".join(labels[-2:]) if len(labels) > 1 and all(labels[-2:]) else None


def split_remote(remote: str) -> tuple[str, str]:
    """A sender → (address in its canonical form, or a name; port text, "" if not given).

    Shovelers write ``IP:PORT`` and ``[IPv6]:PORT``; some write a name instead of the address (from their IP map), IPv6
    without brackets, or no port, with or without its colon. Text that is entirely an address has no port.
    """
    whole = parse_host(remote)
    if whole.version is not None:
        return whole.text, ""
    host, colon, port = remote.rpartition(":")
    if not colon or not host:
        return whole.text, ""
    given = _digits(port) or (not port and parse_host(host).version is not None)
    return (parse_host(host).text, port) if given else (whole.text, "")


_LONGEST_NAME = 253
_NAME = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)


@lru_cache(maxsize=16_384)
def is_remote(text: str) -> bool:
    """Whether this looks like a sender (see `split_remote`): an address, or a name that a host can have."""
    name, _ = split_remote(text)
    if parse_host(name).version is not None:
        return True
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None
