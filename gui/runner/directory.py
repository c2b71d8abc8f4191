"""The servers that a person has listed in a workspace, beside those of a lab and of server agents.

The list is kept in the database. What `suggest` offers is not listed yet: servers beside which an agent runs, and those
that records speak of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gui.campaign.selection import SelectionError, Server, name_order, normal_url
from gui.campaign.serverlist import Listed, read_servers
from gui.runner.host import Blocking
from gui.store import PERSON, ServerEntry, Store
from shoveler.values.addresses import host_port


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A server that could be listed, and where it is known from: ``agent`` or ``records``."""

    server: Server
    source: str


class Directory:
    """`listed` is what was read or changed last."""

    def __init__(self, store: Store, blocking: Blocking) -> None:
        self._store = store
        self._blocking = blocking
        self._turn = asyncio.Lock()
        self.listed: tuple[Server, ...] = ()

    async def load(self) -> None:
        """Read the list. Raises StoreError."""
        self.listed = await self._blocking(listed_servers, self._store)

    async def add(self, text: str, known: Iterable[Server] = ()) -> Listed:
        """List the servers of a text, and say what is wrong with its other lines; `known` are servers of other sources,
        whose names are taken. Raises StoreError."""
        async with self._turn:
            found = read_servers(text, (*self.listed, *known))
            await self._blocking(list_servers, self._store, found.servers)
            await self.load()
        return found

    async def remove(self, urls: Sequence[str]) -> None:
        """Take servers off the list. Raises StoreError."""
        async with self._turn:
            await self._blocking(self._store.unlist_servers, urls)
            await self.load()

    async def suggest(self, agents: Iterable[Server]) -> list[Suggestion]:
        """Servers that are not listed: those of `agents`, and those that the loaded records name. Raises StoreError."""
        have = {server.url for server in self.listed}
        found = {server.url: Suggestion(server, "agent") for server in agents}
        for server in await self._blocking(servers_of_records, self._store):
            found.setdefault(server.url, Suggestion(server, "records"))
        rest = [suggestion for url, suggestion in found.items() if url not in have]
        return sorted(rest, key=lambda suggestion: name_order(suggestion.server.name))


def listed_servers(store: Store) -> tuple[Server, ...]:
    """The servers that a person has listed, in the order of their names. Blocking."""
    rows = [Server(row.name, row.url, row.labels) for row in store.servers() if row.source == PERSON]
    return tuple(sorted(rows, key=lambda server: name_order(server.name)))


def list_servers(store: Store, servers: Sequence[Server]) -> None:
    """Put servers on the list. Blocking."""
    store.put_servers([ServerEntry(server.url, server.name, server.labels, PERSON) for server in servers])


def servers_of_records(store: Store) -> list[Server]:
    """The servers that the loaded records name by a host that can be asked. Blocking."""
    found: dict[str, Server] = {}
    for fact in store.origin_facts():
        host = str(fact.get("server_hostname") or fact.get("server_ip") or "")
        port = fact.get("port")
        if not host or not isinstance(port, int):
            continue
        try:
            url = normal_url(f"root://{host_port(host, port)}")
        except SelectionError:
            continue  # what a datagram says is no address
        name = host.lower() if port == 1094 else host_port(host.lower(), port)
        found.setdefault(url, Server(name, url))
    return list(found.values())
