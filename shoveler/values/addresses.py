"""Hosts, ports and URLs: one way to write them, to shorten them and to hide their secrets."""

from __future__ import annotations

import ipaddress


def host_port(host: str, port: int | str) -> str:
    """``HOST:PORT``, IPv6 as ``[ADDRESS]:PORT``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain_ip(ip: str) -> str:
    """An IP address as a socket reports it, without its zone; IPv4 from an IPv6 socket (``::ffff:…``) as IPv4."""
    ip = ip.partition("%")[0]
    return ip[7:] if ip.startswith("::ffff:") and "." in ip else ip


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host` (a name or an IP address)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secret(url: str) -> str:
    """A URL with everything before its last ``@`` hidden: it may contain a password, however it is written."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, _, rest = url.partition(":")
    _, at, tail = rest.rpartition("@")
    return f"{scheme}://***@{tail}" if at else url
