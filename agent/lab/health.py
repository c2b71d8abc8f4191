"""Health checks of servers and daemons. They return "" if all is well, else the problem."""

from __future__ import annotations

import asyncio
import json
import re

_LIMIT = 8 * 1024 * 1024


async def get(address: str, path: str, timeout: float = 2.0) -> tuple[int, str]:
    """Status and body of ``http://ADDRESS/PATH``; (0, reason) if there is no valid answer within `timeout` s."""
    status, head, body = await _ask(address, path, timeout)
    return status, body if status else head


async def _head(address: str, path: str, timeout: float = 5.0) -> tuple[int, str]:
    status, head, _ = await _ask(address, path, timeout)
    return status, head


async def _ask(address: str, path: str, timeout: float) -> tuple[int, str, str]:
    """Status, head and body; (0, reason, "") if there is no valid answer within `timeout` s."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, int(port), limit=_LIMIT)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                answer = await reader.read(_LIMIT)
                while more := await reader.read(_LIMIT):
                    answer += more
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return 0, str(error) or type(error).__name__, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        return 0, "no HTTP", ""
    return int(words[1]), head.decode(errors="replace"), body.decode(errors="replace")


async def redirects(port: int, path: str) -> set[int]:
    """The port to which a request for this path is sent over HTTP by the redirector on this loopback port; none when
    there is no such answer."""
    status, head = await _head(f"127.0.0.1:{port}", path)
    place = re.search(r"(?im)^location:\s*https?://[^/\s]*:(\d+)", head)
    return {int(place[1])} if 300 <= status < 400 and place else set()


def total(metrics: str, name: str) -> float:
    """Sum of all samples of one metric in the Prometheus text format; 0 if there are none."""
    value = 0.0
    for line in metrics.splitlines():
        metric, _, rest = line.partition(" ")
        if metric.partition("{")[0] == name and rest:
            value += float(line.rpartition(" ")[2])
    return value


async def accepts(port: int) -> str:
    """Whether something accepts TCP connections on this loopback port."""
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return f"nothing accepts connections on port {port}"
    writer.close()
    return ""


async def healthy(address: str) -> str:
    """Whether the daemon reports that it is healthy."""
    status, body = await get(address, "/healthz")
    if status == 200:
        return ""
    if status == 0:
        return f"http://{address}/healthz does not answer ({body})"
    try:
        problems = json.loads(body)["problems"]
        return "; ".join(str(sentence) for sentence in problems.values()) or f"http://{address}/healthz says {status}"
    except (ValueError, KeyError, AttributeError, TypeError):
        return f"http://{address}/healthz says {status}"


async def has_received(address: str, datagrams: int) -> str:
    """Whether the shoveler has taken at least this many datagrams."""
    status, body = await get(address, "/metrics")
    received = total(body, "shoveler_packets_received") if status == 200 else 0.0
    if received >= datagrams:
        return ""
    return f"{received:g} of {datagrams} servers' identifications have arrived"
