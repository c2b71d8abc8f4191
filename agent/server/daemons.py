"""The shoveler and the collector beside a server: their own health and counts, from the address of their metrics."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Final, Literal

from agent.messages import Daemon
from shoveler.service import Address

SECONDS: Final = 3.0
MAX_ANSWER: Final = 4 * 1024 * 1024
_SAMPLE = re.compile(rb"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^\n]*\})? ([0-9.eE+-]{1,40})(?: [0-9]+)?$", re.MULTILINE)

COUNTS: Final[dict[Literal["shoveler", "collector"], dict[bytes, str]]] = {
    "shoveler": {
        b"shoveler_packets_received": "received",
        b"shoveler_confirmed_total": "confirmed",
        b"shoveler_queue_size": "waiting",
        b"shoveler_packets_rejected_total": "rejected",
        b"shoveler_kernel_drops_total": "dropped by the kernel",
        b"shoveler_oversize_total": "above the path MTU",
        b"shoveler_spool_bytes": "bytes in the spool",
    },
    "collector": {
        b"collector_datagrams_total": "datagrams",
        b"collector_records_total": "records",
        b"collector_parse_errors": "parse errors",
        b"collector_gaps_total": "gaps",
        b"collector_incomplete_total": "incomplete",
        b"collector_outbox_size": "not sent yet",
        b"collector_lag_seconds": "seconds behind",
    },
}
"""Which metrics are reported, and under which name; the OSG shoveler has some of these too."""


async def ask_daemons(addresses: Sequence[Address]) -> list[Daemon]:
    """How each of them is; in the order of the addresses."""
    return list(await asyncio.gather(*(_ask(address) for address in addresses)))


async def _ask(address: Address) -> Daemon:
    try:
        async with asyncio.timeout(SECONDS):
            status, body = await _get(address, "/healthz")
            _, metrics = await _get(address, "/metrics")
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
        why = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
        return Daemon(str(address)[:256], problem=f"It cannot be asked: {why}."[:500])
    kind, counts = counted(metrics)
    healthy = status == 200 or (status == 404 and bool(kind))  # the OSG shoveler has metrics only
    problem = "" if healthy else problem_in(body) or f"It answers with status {status}."
    return Daemon(str(address)[:256], kind, healthy, problem[:500], counts)


async def _get(address: Address, path: str) -> tuple[int, bytes]:
    """Status and body. Raises ValueError when the answer is not one of HTTP, or too long."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=64 * 1024)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        words = head[0].split(b" ")
        if not words[0].startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise ValueError("something else than HTTP answers there")
        body = bytearray()
        while part := await reader.read(64 * 1024):
            body += part
            if len(body) > MAX_ANSWER:
                raise ValueError("its answer is too long")
        return int(words[1]), bytes(body)
    except asyncio.LimitOverrunError:
        raise ValueError("something else than HTTP answers there") from None
    finally:
        writer.transport.abort()


def counted(metrics: bytes) -> tuple[Literal["", "shoveler", "collector"], dict[str, float]]:
    """What kind of program has these metrics, and its counts: for each the sum over all labels."""
    found: dict[bytes, float] = {}
    for name, value in _SAMPLE.findall(metrics):
        try:
            found[name] = found.get(name, 0.0) + float(value)
        except ValueError:
            continue
    for kind, names in COUNTS.items():
        counts = {names[name]: value for name, value in found.items() if name in names and 0 <= value <= 1e18}
        if counts:
            return kind, counts
    return "", {}


def problem_in(body: bytes) -> str:
    """What a daemon says is wrong with it: the sentences of its ``/healthz``."""
    try:
        problems = json.loads(body)["problems"]
        return "; ".join(f"{part}: {text}" for part, text in problems.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
