"""How far each server of a repeat is, and what clients have left of it. Pure; times are arguments.

Each server goes through its own *parts*, 1 to `planned`: the requests to it in one round. A part is *open* from when it
is handed out until every client that is here has made its share of it. The server's next part is due `wait` seconds
later, whatever the other servers do. With a *barrier*, all servers take the next part together, `wait` seconds after
all of them were done; those that are left out catch up by themselves and then take part again.

What is given to clients at one time is a *handout*. A client makes its requests in the order of the handouts, except
for servers that hang; so the oldest one that it is not done with must advance, or the client is stuck.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Server:
    next: int = 1
    """Its next part."""
    open: bool = False
    undone: dict[str, int] = field(default_factory=dict)
    """Requests that were handed to a client, and are not made, by client."""
    awaited: set[str] = field(default_factory=set)
    """Those of these clients that are here."""


@dataclass(slots=True)
class _Client:
    here: bool = True
    handouts: dict[int, int] = field(default_factory=dict)
    """Requests that are not made, by handout, the oldest first."""
    since: float = 0.0
    """When the oldest of them last advanced."""


class Parts:
    """The servers and the clients of one repeat."""

    def __init__(self, servers: Iterable[str], *, planned: int, wait: float, barrier: bool) -> None:
        self.planned = planned
        self._wait = wait
        self._barrier = barrier
        self._servers = {name: _Server() for name in servers}
        self._clients: dict[str, _Client] = {}
        self._ready: dict[str, None] = dict.fromkeys(self._servers) if planned else {}
        """Servers whose next part may be handed out, in the order in which they became so."""
        self._later: list[tuple[float, str]] = []
        """A heap: when other servers will be."""
        self._open: dict[str, None] = {}
        self._left_out: set[str] = set()
        self._at = Counter(server.next - 1 for server in self._servers.values())
        """How many servers are in which part."""
        self._closed = float("-inf")
        """When the last part was over, for a barrier."""

    # ---- queries

    @property
    def open(self) -> int:
        """How many servers have a part that is not over."""
        return len(self._open)

    def is_open(self, server: str) -> bool:
        """Whether this server has a part that is not over."""
        return server in self._open

    @property
    def left_out(self) -> tuple[str, ...]:
        """Open servers that a barrier does not wait for."""
        return tuple(sorted(self._left_out))

    @property
    def unfinished(self) -> int:
        """How many servers have something to do, now or later."""
        return len(self._open) + len(self._ready) + len(self._later)

    @property
    def span(self) -> tuple[int, int]:
        """The least and the greatest number of the parts in which the servers are, or last were."""
        return max(1, min(self._at, default=0)), max(self._at, default=0)

    def to_come(self, server: str) -> int:
        """How many parts of a server were not handed out."""
        return self.planned + 1 - self._servers[server].next

    def awaited(self, server: str) -> set[str]:
        """The clients that are here and have something left of an open server."""
        return self._servers[server].awaited

    def waiting(self) -> tuple[str, ...]:
        """The clients that are here and have something left."""
        return tuple(sorted(name for name, client in self._clients.items() if client.here and client.handouts))

    def due(self, now: float) -> dict[str, int]:
        """The parts to hand out now, by server."""
        while self._later and self._later[0][0] <= now:
            self._ready[heapq.heappop(self._later)[1]] = None
        if self._barrier and (self._open.keys() - self._left_out or now < self._closed + self._wait):
            return {}
        return {name: self._servers[name].next for name in self._ready}

    def when(self) -> float | None:
        """When the next part is due, if none is now; None: not before something else happens."""
        if not self._barrier:
            return self._later[0][0] if self._later else None
        return self._closed + self._wait if self._ready and not self._open.keys() - self._left_out else None

    def stuck(self, now: float, limit: float) -> dict[str, int]:
        """The clients that are here and whose oldest handout has not advanced for `limit` seconds, with its number."""
        return {
            name: next(iter(client.handouts))
            for name, client in self._clients.items()
            if client.here and client.handouts and now - client.since >= limit
        }

    # ---- events

    def hand(self, number: int, parts: Mapping[str, int], shares: Mapping[str, Mapping[str, int]], now: float) -> None:
        """Handout `number` was sent: these parts of these servers, of which each client has so many requests."""
        for name, part in parts.items():
            server = self._servers[name]
            self._advance(server, part)
            server.open = True
            self._open[name] = None
            del self._ready[name]
        for name, share in shares.items():
            client = self._clients.setdefault(name, _Client())
            if not client.handouts:
                client.since = now
            client.handouts[number] = client.handouts.get(number, 0) + sum(share.values())
            for place, count in share.items():
                server = self._servers[place]
                server.undone[name] = server.undone.get(name, 0) + count
                if client.here:
                    server.awaited.add(name)
        for name in parts:
            self._look(name, now)

    def made(self, name: str, counts: Mapping[tuple[str, int], int], now: float) -> None:
        """A client has made so many requests to a server, of a handout: `counts` by (server, handout)."""
        client = self._clients[name]
        for (place, number), count in counts.items():
            oldest = next(iter(client.handouts))
            client.handouts[number] -= count
            if number == oldest:
                client.since = now
            if not client.handouts[number]:
                del client.handouts[number]
            server = self._servers[place]
            server.undone[name] -= count
            if not server.undone[name]:
                del server.undone[name]
                server.awaited.discard(name)
                self._look(place, now)

    def away(self, name: str, now: float) -> None:
        """A client is not waited for."""
        client = self._clients.setdefault(name, _Client())
        if client.here:
            client.here = False
            for place, server in self._servers.items():
                if name in server.awaited:
                    server.awaited.discard(name)
                    self._look(place, now)

    def here(self, name: str, now: float) -> None:
        """A client is waited for again: it goes on with what it had left."""
        client = self._clients.setdefault(name, _Client())
        if not client.here:
            client.here, client.since = True, now
            for server in self._servers.values():
                if name in server.undone:
                    server.awaited.add(name)

    def reports_wait(self, name: str, now: float) -> None:
        """A client has done something that is not known here yet."""
        if client := self._clients.get(name):
            client.since = now

    def leave_out(self, name: str, now: float) -> None:
        """A barrier no longer waits for this server, whose part is open."""
        self._left_out.add(name)
        self._closed = now

    def _look(self, name: str, now: float) -> None:
        """Whether the open part of a server is over."""
        server = self._servers[name]
        if not server.open or server.awaited:
            return
        server.open = False
        del self._open[name]
        if name in self._left_out:
            self._left_out.discard(name)
        else:
            self._closed = now
        if server.next > self.planned:
            return
        if self._barrier:
            self._ready[name] = None
        else:
            heapq.heappush(self._later, (now + self._wait, name))

    def _advance(self, server: _Server, part: int) -> None:
        self._at[server.next - 1] -= 1
        self._at[part] += 1
        self._at = +self._at
        server.next = part + 1

    # ---- a repeat that another program began

    def go_on(self, progress: Mapping[str, int], left: Mapping[str, Mapping[tuple[str, int], int]], now: float) -> None:
        """At the beginning: so many parts of each server were handed out, and this is left, by client, server and
        handout."""
        for name, handed in progress.items():
            server = self._servers[name]
            self._advance(server, handed)
            if handed >= self.planned:
                self._ready.pop(name, None)
        for who, counts in left.items():
            client = self._clients.setdefault(who, _Client())
            client.since = now
            for (place, number), count in sorted(counts.items(), key=lambda item: item[0][1]):
                client.handouts[number] = client.handouts.get(number, 0) + count
                server = self._servers[place]
                server.undone[who] = server.undone.get(who, 0) + count
                server.awaited.add(who)
                if not server.open:
                    server.open = True
                    self._open[place] = None
                    self._ready.pop(place, None)
