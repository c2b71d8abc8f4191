"""Tracks servers that do not answer, who waits for them, and what people are told of it. Pure.

Clients report once a second which servers are *silent*: they do not answer although requests wait for them. A long
silence is shown to the user, and so is its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SAY_AFTER: Final = 3.0
"""Seconds of silence after which it is shown. Nothing waits for that."""
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
    waits: bool = False
    """The others wait for it meanwhile, as the plan asks (`barrier`)."""


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


class HoldUps:
    """The servers of one repeat, as reported by clients."""

    def __init__(self, servers: Collection[str], *, wait: bool = False) -> None:
        """`wait`: the others wait for a silent server."""
        self._names = frozenset(servers)
        self._wait = wait
        self._servers: dict[str, _Server] = {}
        self._said: Counter[str] = Counter()
        self.heard = float("-inf")
        """When a client last reported that a silent server answers again."""

    @property
    def silent(self) -> tuple[str, ...]:
        """Servers whose silence is shown."""
        return tuple(sorted(name for name, server in self._servers.items() if server.said))

    @property
    def silences(self) -> dict[str, float]:
        """When each of these servers last answered."""
        return {name: server.since for name, server in self._servers.items() if server.said}

    def concerns(self, client: str) -> bool:
        """Whether this client reports a silent server, as far as is known."""
        return any(client in server.silent for server in self._servers.values())

    def quiet(self) -> dict[str, tuple[frozenset[str], float]]:
        """The silent servers: the clients that say so, and since when."""
        return {name: (frozenset(server.silent), server.since) for name, server in self._servers.items()}

    def told(self, client: str, servers: Mapping[str, Waiting], now: float) -> list[HeldUp | Relieved]:
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
            if client in self._servers[name].silent:
                self.heard = now
            commands += self._answers(name, client, now)
        return commands + self._say(now)

    def gone(self, client: str, now: float) -> list[HeldUp | Relieved]:
        """The client is no longer waited for."""
        return [command for name in list(self._servers) for command in self._answers(name, client, now)]

    def over(self, now: float) -> list[HeldUp | Relieved]:
        """Nothing is waited for any more."""
        commands = [command for name in self._servers for command in self._end(name, now)]
        self._servers.clear()
        return commands

    def _answers(self, name: str, client: str, now: float) -> list[HeldUp | Relieved]:
        server = self._servers[name]
        if server.silent.pop(client, None) is None or server.silent:
            return []
        commands = self._end(name, now)
        del self._servers[name]
        return commands

    def _end(self, name: str, now: float) -> list[HeldUp | Relieved]:
        server = self._servers[name]
        return [Relieved(name, server.most, now - server.since, server.reached)] if server.said else []

    def _say(self, now: float) -> list[HeldUp | Relieved]:
        commands: list[HeldUp | Relieved] = []
        others = len(self._names) - len(self._servers)
        for name, server in sorted(self._servers.items()):
            quiet = now - server.since
            if server.said or quiet < SAY_AFTER or self._said[name] >= SAY_TIMES:
                continue
            server.said = True
            self._said[name] += 1
            client, last = next(iter(server.silent)), self._said[name] == SAY_TIMES
            commands.append(
                HeldUp(name, client, sum(server.silent.values()), quiet, others, last, server.reached, self._wait)
            )
        return commands
