"""Tracks servers that do not answer, who waits for them, and which are left out of new rounds. Pure.

Clients report once a second which servers are *silent*: they do not answer although requests wait for them. A server is
*held* when everything that a client has left of a round waits for silent servers: rounds then continue without it,
until what waits for it is done. A long silence is shown to the user, and so is its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SAY_AFTER: Final = 3.0
"""Seconds of silence after which it is shown. Rounds continue without the server before that."""
SAY_TIMES: Final = 10
"""How often a server with repeated silences is shown in a repeat."""


class Waiting(NamedTuple):
    """Requests that wait for a silent server, and for how many seconds it has been silent. `reached`: the server
    answers other requests, but the client's calls hang."""

    requests: int
    seconds: float
    reached: bool = False


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Show that a server does not answer `client`. `others`: servers with which the repeat continues."""

    server: str
    client: str
    requests: int
    seconds: float
    others: int
    last: bool
    """It has been shown so often that it is not shown again."""
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Relieved:
    """Show that nothing waits for a silent server any more, and how long it was silent."""

    server: str
    requests: int
    """The maximum number that waited at one time."""
    seconds: float
    reached: bool = False


@dataclass(slots=True)
class _Server:
    silent: dict[str, int] = field(default_factory=dict)
    """Requests that wait for it, by the client that reports it as silent."""
    since: float = 0.0
    most: int = 0
    reached: bool = False
    said: bool = False
    held: set[tuple[str, int]] = field(default_factory=set)
    """(client, round) whose requests to it are not done."""


class HoldUps:
    """The servers of one repeat, as reported by clients."""

    def __init__(self, servers: Collection[str]) -> None:
        self._names = frozenset(servers)
        self._servers: dict[str, _Server] = {}
        self._said: Counter[str] = Counter()
        self.heard = float("-inf")
        """When a client last reported that a server that is still held answers again."""

    @property
    def held(self) -> tuple[str, ...]:
        """Servers that rounds continue without."""
        return tuple(sorted(name for name, server in self._servers.items() if server.held))

    @property
    def silent(self) -> tuple[str, ...]:
        """Servers whose silence is shown."""
        return tuple(sorted(name for name, server in self._servers.items() if server.said))

    @property
    def silences(self) -> dict[str, float]:
        """When each of these servers last answered."""
        return {name: server.since for name, server in self._servers.items() if server.said}

    def concerns(self, client: str) -> bool:
        """Whether this client waits for a silent or a held server, as far as is known."""
        return any(
            client in server.silent or any(holder == client for holder, _ in server.held)
            for server in self._servers.values()
        )

    def told(
        self, client: str, number: int, servers: Mapping[str, Waiting], others: int, now: float
    ) -> list[HeldUp | Relieved]:
        """A client's report of the silent servers that it waits for, see `agent.messages.Silence`."""
        for name, waiting in servers.items():
            if name not in self._names:
                continue
            server = self._servers.setdefault(name, _Server())
            begun = now - waiting.seconds
            server.since = min(server.since, begun) if server.silent else begun
            server.reached = waiting.reached or (server.reached and bool(server.silent))
            server.silent[client] = waiting.requests
            server.most = max(server.most, sum(server.silent.values()))
        commands: list[HeldUp | Relieved] = []
        for name in set(self._servers).difference(servers):
            server = self._servers[name]
            commands += self._answers(name, client, now)
            if any(holder == client for holder, _ in server.held):
                self.heard = now
            if servers and not others:  # requests wait only for the named servers: it is done with this one
                server.held = {(who, which) for who, which in server.held if who != client or which > number}
        self._forget()
        return commands + self._say(now)

    def hold(self, servers: Collection[str], client: str, number: int) -> None:
        """Everything that the client has left of round `number` waits for these servers."""
        for name in servers:
            self._servers.setdefault(name, _Server()).held.add((client, number))

    def done(self, client: str, number: int) -> None:
        """The client is done with a round."""
        for server in self._servers.values():
            server.held.discard((client, number))
        self._forget()

    def gone(self, client: str, now: float) -> list[HeldUp | Relieved]:
        """The client is no longer waited for."""
        commands: list[HeldUp | Relieved] = []
        for name, server in self._servers.items():
            server.held = {(who, which) for who, which in server.held if who != client}
            commands += self._answers(name, client, now)
        self._forget()
        return commands

    def over(self, now: float) -> list[HeldUp | Relieved]:
        """Nothing is waited for any more."""
        commands = [command for name in self._servers for command in self._end(name, now)]
        self._servers.clear()
        return commands

    def _answers(self, name: str, client: str, now: float) -> list[HeldUp | Relieved]:
        server = self._servers[name]
        if server.silent.pop(client, None) is None or server.silent:
            return []
        return self._end(name, now)

    def _end(self, name: str, now: float) -> list[HeldUp | Relieved]:
        server = self._servers[name]
        said, most = server.said, server.most
        server.said, server.most = False, 0
        return [Relieved(name, most, now - server.since, server.reached)] if said else []

    def _forget(self) -> None:
        self._servers = {name: server for name, server in self._servers.items() if server.silent or server.held}

    def _say(self, now: float) -> list[HeldUp | Relieved]:
        commands: list[HeldUp | Relieved] = []
        others = len(self._names) - sum(1 for server in self._servers.values() if server.silent)
        for name, server in sorted(self._servers.items()):
            quiet = now - server.since
            if server.said or not server.silent or quiet < SAY_AFTER or self._said[name] >= SAY_TIMES:
                continue
            server.said = True
            self._said[name] += 1
            client, last = next(iter(server.silent)), self._said[name] == SAY_TIMES
            commands.append(HeldUp(name, client, sum(server.silent.values()), quiet, others, last, server.reached))
        return commands
