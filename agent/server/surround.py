"""What the machine shows about the XRootD server on it.

Everything here asks the operating system or the server itself, can take long, and is called in a thread or awaited with
a limit. What cannot be found out is left empty: a server agent must be useful without being root.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import psutil

from agent.host import xrootd_client_version
from agent.messages import Finding, UdpSocket
from agent.server.configfile import whole
from agent.server.lint import ETHERNET_MTU
from agent.server.monitor import Destination, is_address, unknown
from agent.workloads.inquiry import COUNTERS, MAX_COUNTERS, Heard, inquire
from shoveler.service.tasks import finish, start_task

ANSWER_SECONDS: Final = 10.0
TOGETHER: Final = 16
"""How many servers are asked at the same time without the XRootD client for Python."""
IP_MTU: Final = 14  # <linux/in.h>; the socket module does not name it
IPV6_MTU: Final = 24
_EXAMPLES: Final = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
"""Addresses for documentation, which nobody has."""


IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Running(NamedTuple):
    """An xrootd process: its id, the configuration file it was started with, its instance name."""

    pid: int
    config: Path | None
    instance: str


def running_servers() -> list[Running]:
    """The xrootd processes of this machine, oldest first."""
    found: list[tuple[float, Running]] = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                if process.name() != "xrootd":
                    continue
                command, started = process.cmdline(), process.create_time()
            config = _argument(command, "-c")
            path = _absolute(config, process) if config else None
            found.append((started, Running(process.pid, path, _argument(command, "-n"))))
        except psutil.Error:
            continue  # it has ended meanwhile
    return [running for _, running in sorted(found, key=lambda pair: pair[0])]


def listeners() -> Mapping[int, set[int]]:
    """For each TCP port of this machine the ids of the processes that accept connections there, as far as we may see
    them."""
    found: dict[int, set[int]] = defaultdict(set)
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return found
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.pid is not None:
            found[connection.laddr.port].add(connection.pid)
    return found


def environment(pid: int) -> dict[str, str] | None:
    """The environment of a process, None if we may not inspect it."""
    try:
        found: dict[str, str] = psutil.Process(pid).environ()
    except psutil.Error:
        return None
    return found


def _argument(command: Sequence[str], option: str) -> str:
    for at, word in enumerate(command):
        if word == option and at + 1 < len(command):
            return command[at + 1]
        if word.startswith(option) and len(word) > len(option) and not word.startswith("--"):
            return word[len(option) :]
    return ""


def _absolute(config: str, process: psutil.Process) -> Path | None:
    """xrootd changes its directory after the start: a relative name is searched from there upwards."""
    path = Path(config)
    if path.is_absolute():
        return path
    try:
        directory = Path(process.cwd())
    except psutil.Error:
        return None
    return next((base / path for base in (directory, *directory.parents) if (base / path).exists()), None)


# ---------------------------------------------------------------- does it answer


async def ask(servers: Sequence[str], timeout: float = ANSWER_SECONDS) -> AsyncGenerator[Heard, None]:
    """Ask servers (root:// URLs) for version and counters: with the XRootD client for Python, with xrdfs, or by
    connecting. One answer for each, as they come; close it if you leave early."""
    if xrootd_client_version():
        async with aclosing(inquire(servers, timeout)) as answers:
            async for heard in answers:
                yield heard
        return
    how = _xrdfs if shutil.which("xrdfs") else _connect
    at_once = asyncio.Semaphore(TOGETHER)

    async def one(server: str) -> Heard:
        async with at_once:
            return await how(server, timeout)

    tasks = [start_task(one(server), f"ask {server}") for server in servers]
    try:
        for answer in asyncio.as_completed(tasks):
            yield await answer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _xrdfs(server: str, timeout: float) -> Heard:
    code, version, errors = await _query(server, timeout, "config", "version")
    if code is None:
        return Heard(server, False, problem=f"{server} did not answer within {timeout:.0f} s.")
    if code:
        return Heard(server, False, problem=f"{server} does not answer: {' '.join(errors.split())[:500]}")
    code, counters, _ = await _query(server, timeout, "stats", COUNTERS)
    return Heard(server, True, version.strip()[:256], "" if code else counters[:MAX_COUNTERS])


async def _query(server: str, timeout: float, *what: str) -> tuple[int | None, str, str]:
    """Exit code (None: it took too long), output and errors of ``xrdfs HOST query``."""
    host = urlsplit(server).netloc.rpartition("@")[2]
    seconds = str(max(1, round(timeout)))
    patience = {"XRD_CONNECTIONWINDOW": seconds, "XRD_CONNECTIONRETRY": "1", "XRD_REQUESTTIMEOUT": seconds}
    process = await asyncio.create_subprocess_exec(
        "xrdfs",
        host,
        "query",
        *what,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **patience},
    )
    try:
        async with asyncio.timeout(timeout + 2):
            output, errors = await process.communicate()
    except TimeoutError:
        return None, "", ""
    finally:
        if process.returncode is None:
            process.kill()
            await finish(process.wait(), "end of xrdfs")
    return process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


async def _connect(server: str, timeout: float) -> Heard:
    parts = urlsplit(server)
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 1094)
    except (OSError, TimeoutError) as error:
        return Heard(server, False, problem=f"{server} cannot be reached: {error or 'no answer in time'}.")
    writer.transport.abort()
    unknown = "Neither the XRootD client for Python nor xrdfs is installed: its version is not known."
    return Heard(server, True, problem=unknown)


# ---------------------------------------------------------------- the path of the datagrams


def path_mtu(host: str) -> int:
    """MTU towards a host, as known to this machine's kernel; Ethernet's if unknown."""
    if not host or unknown(host):
        return ETHERNET_MTU
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if any(ip in network for network in _EXAMPLES):
            return ETHERNET_MTU  # the route to an address that nobody has says nothing about the path
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.connect(address)  # sends nothing
            if family == socket.AF_INET6:
                return s.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
            return s.getsockopt(socket.IPPROTO_IP, IP_MTU)
    except (OSError, ValueError):  # an invalid name is also a ValueError
        return ETHERNET_MTU


def unsent_datagrams(proc: Path = Path("/proc")) -> int:
    """UDP datagrams that this machine's kernel could not send since it started, of all programs; 0 if unknown."""
    total = 0
    try:
        rows = [line.split() for line in (proc / "net" / "snmp").read_text().splitlines() if line.startswith("Udp:")]
        if len(rows) == 2:
            total += int(dict(zip(rows[0], rows[1], strict=False)).get("SndbufErrors", 0))
        for line in (proc / "net" / "snmp6").read_text().splitlines():
            if line.startswith("Udp6SndbufErrors"):
                total += int(line.split()[1])
    except (OSError, ValueError):
        pass  # another kernel, or a container without /proc/net
    return total


def udp_sockets(proc: Path = Path("/proc")) -> list[tuple[IpAddress, int, UdpSocket]]:
    """The UDP sockets of this machine (of our network namespace) that receive: address, port, and what the kernel
    counts for them."""
    found: list[tuple[IpAddress, int, UdpSocket]] = []
    for name in ("udp", "udp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue  # another kernel, or a container without /proc/net
        for line in lines:
            words = line.split()
            try:
                address, port = _hexadecimal(words[1])
                waiting = int(words[4].partition(":")[2], 16)
                drops = int(words[-1])
            except (IndexError, ValueError):
                continue
            if words[3] == _UNCONNECTED:
                shown = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
                found.append((address, port, UdpSocket(shown, drops, waiting)))
    return found


_UNCONNECTED: Final = "07"
"""State of a socket that takes datagrams from anybody."""


def _hexadecimal(text: str) -> tuple[IpAddress, int]:
    """``0100007F:23A1`` as the kernel prints an address: words of four bytes, each in this machine's order."""
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return ipaddress.ip_address(b"".join(words)), int(port, 16)


def sockets_at(
    destinations: Iterable[Destination], sockets: Sequence[tuple[IpAddress, int, UdpSocket]]
) -> list[UdpSocket]:
    """Those of the sockets at which datagrams for these destinations arrive; none if they are on other machines."""
    found: dict[UdpSocket, None] = {}
    for destination in destinations:
        port = whole(destination.port)
        if not port or not is_address(destination.address) or unknown(destination.address):
            continue
        if not any(number == port for _, number, _ in sockets):
            continue
        try:
            infos = socket.getaddrinfo(destination.host, port, type=socket.SOCK_DGRAM)
            addresses = {ipaddress.ip_address(str(info[4][0])) for info in infos} & _own_addresses()
        except (OSError, ValueError):
            continue
        found |= dict.fromkeys(
            seen
            for address, number, seen in sockets
            if number == port and any(address in (own, _any_of(own)) for own in addresses)
        )
    return list(found)


def unheard(destinations: Iterable[tuple[Destination, int, str]]) -> list[Finding]:
    """A finding for each destination (with line and file) on this machine on which no program listens: its datagrams
    are lost."""
    found = []
    for destination, line, file in destinations:
        port = whole(destination.port)
        if not port or not is_address(destination.address) or unknown(destination.address):
            continue
        try:
            addresses = {
                ipaddress.ip_address(info[4][0])
                for info in socket.getaddrinfo(destination.host, port, type=socket.SOCK_DGRAM)
            }
        except (OSError, ValueError):
            found.append(
                Finding(
                    "error",
                    f"The host of dest {destination.address} cannot be resolved here; xrootd does not start.",
                    "The server resolves the name when it starts.",
                    line,
                    file=file,
                )
            )
            continue
        if addresses & _own_addresses() and not addresses_with_listener(port) & (addresses | _ANY):
            found.append(
                Finding(
                    "warning",
                    f"Nothing listens on {destination.address} on this machine: the datagrams are lost.",
                    "Start the shoveler, or correct the address.",
                    line,
                    file=file,
                )
            )
    return list(dict.fromkeys(found))


def _any_of(address: IpAddress) -> IpAddress:
    """The address that stands for all of this kind."""
    return ipaddress.ip_address("0.0.0.0" if address.version == 4 else "::")  # noqa: S104 - compared with


_ANY: Final[set[IpAddress]] = {ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("::")}  # noqa: S104 - compared with


def addresses_with_listener(port: int) -> set[IpAddress]:
    """The addresses on which a program of this machine receives UDP datagrams for a port."""
    try:
        sockets = psutil.net_connections("udp")
    except psutil.Error:
        return set(_ANY)  # we may not look: assume that a program listens
    return {ipaddress.ip_address(s.laddr.ip.partition("%")[0]) for s in sockets if s.laddr and s.laddr.port == port}


def _own_addresses() -> set[IpAddress]:
    own: set[IpAddress] = set()
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                own.add(ipaddress.ip_address(one.address.partition("%")[0]))
    return own
