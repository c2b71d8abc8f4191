"""Which sender of datagrams is which server, and what shovelers and collectors count for it. No toolkit.

Shovelers know senders by ``IP:PORT`` only. Records link them to servers: their ``serverID`` is ``stod#ip#port`` of the
sender, and they also contain the server's own port and names. So a sender is identified once a record is loaded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gui.models.fleet import KnownServer, SenderFigures
from shoveler.service import CollectorStatus, ShovelerStatus, StatusMessage
from shoveler.values.addresses import host_port, is_loopback

MINUTE_POINTS = 12
"""Status messages arrive every 5 s, so this is one minute."""


@dataclass(slots=True)
class _Sender:
    received: int = 0
    t: float = 0.0
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=MINUTE_POINTS))
    gaps: int | None = None
    oversize: int = 0
    shoveler: str = ""
    last_growth: float | None = None


def sender_servers(facts: Iterable[Mapping[str, Any]], known: Sequence[KnownServer]) -> dict[str, str]:
    """Map sender ``IP:PORT`` to the URL of the server, as far as records say. `facts`: one per server process."""
    found: dict[str, str] = {}
    for fact in facts:
        parts = str(fact.get("serverID", "")).split("#")
        if len(parts) != 3:
            continue
        for server in known:
            if _same_server(server.url, fact):
                found[host_port(parts[1], parts[2])] = server.url
    return found


def _same_server(url: str, fact: Mapping[str, Any]) -> bool:
    parts = urlsplit(url)
    if (parts.port or 1094) != fact.get("port"):
        return False
    names = {str(fact.get(name, "")).lower() for name in ("server_hostname", "server_ip")}
    return (parts.hostname or "") in names or (
        is_loopback(parts.hostname or "") and is_loopback(str(fact.get("server_ip", "")))
    )


class SenderBook:
    """Rates and counts per sender, from the newest status messages."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}
        self._seen: dict[str, float] = {}

    def update(self, messages: Iterable[StatusMessage]) -> None:
        """Apply the newest message of each shoveler and collector; one that was applied before changes nothing."""
        for message in messages:
            key = f"{type(message).__name__}.{message.id}"
            if self._seen.get(key) == message.t:
                continue
            self._seen[key] = message.t
            if isinstance(message, ShovelerStatus):
                self._shoveler(message)
            elif isinstance(message, CollectorStatus):
                self._collector(message)

    def _collector(self, message: CollectorStatus) -> None:
        missing = dict.fromkeys(message.senders, 0)
        for process in message.processes:
            missing[process.sender] = missing.get(process.sender, 0) + sum(gap.missing for gap in process.gaps)
        for name, count in missing.items():
            self._senders.setdefault(name, _Sender()).gaps = count

    def _shoveler(self, message: ShovelerStatus) -> None:
        for name, counts in message.senders.items():
            sender = self._senders.setdefault(name, _Sender())
            if sender.t and message.t > sender.t and counts.received >= sender.received:
                sender.rates.append((counts.received - sender.received) / (message.t - sender.t))
            if counts.received != sender.received:
                sender.last_growth = message.t
            sender.received, sender.t = counts.received, message.t
            sender.oversize, sender.shoveler = counts.oversize, message.id

    def by_server(self, servers: Mapping[str, str]) -> dict[str, SenderFigures]:
        """Figures by server URL; `servers` is from `sender_servers`. Of a restarted server the newest sender counts."""
        found: dict[str, SenderFigures] = {}
        for name, url in servers.items():
            sender = self._senders.get(name)
            if sender is None:
                continue
            figures = SenderFigures(
                rate=sender.rates[-1] if sender.rates else None,
                last_minute=tuple(sender.rates),
                gaps=sender.gaps,
                oversize=sender.oversize,
                shoveler=sender.shoveler,
                last_seen=sender.last_growth,
            )
            other = found.get(url)
            if other is None or (figures.last_seen or 0) >= (other.last_seen or 0):
                found[url] = figures
        return found
