"""Clients at their limit: when the generator of the load, and not the servers, may be what a test measures. Pure.

A client is *at its limit* when it has used nearly all its cores, or one of its processes nearly all of a core, for
`STEADY` seconds without a break; and no longer when it has not for as long. Times are seconds of any clock.
"""

from __future__ import annotations

from dataclasses import dataclass

STEADY = 5.0
"""Two to three heartbeats: a single busy moment limits nothing."""


@dataclass(frozen=True, slots=True)
class AtLimit:
    """A client has come to its limit. Per cent of one core: `cpu` of all its processes, `busiest` of one of them."""

    client: str
    cpu: float
    busiest: float


@dataclass(frozen=True, slots=True)
class WasAtLimit:
    """It is no longer, or the repeat is over: for how long it was, and the most that was seen."""

    client: str
    seconds: float
    cpu: float
    busiest: float


@dataclass(slots=True)
class _Seen:
    since: float | None = None
    """When it began to be busy; None: it is not."""
    idle: float | None = None
    """When it ceased to be, while that was not told."""
    told: bool = False
    cpu: float = 0.0
    busiest: float = 0.0


class Generators:
    """The clients of one repeat."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def look(self, client: str, *, busy: bool, cpu: float, busiest: float, now: float) -> AtLimit | WasAtLimit | None:
        """What a client uses now; returns what is to be told of it."""
        seen = self._seen.setdefault(client, _Seen())
        if busy:
            seen.since, seen.idle = now if seen.since is None else seen.since, None
            seen.cpu, seen.busiest = max(seen.cpu, cpu), max(seen.busiest, busiest)
            if not seen.told and now - seen.since >= STEADY:
                seen.told = True
                return AtLimit(client, seen.cpu, seen.busiest)
            return None
        if seen.since is None:
            return None
        seen.idle = now if seen.idle is None else seen.idle
        if seen.told and now - seen.idle < STEADY:
            return None
        return self._end(client, seen.idle)

    def over(self, now: float) -> list[WasAtLimit]:
        """The repeat has no more requests."""
        found = [self._end(client, now if seen.idle is None else seen.idle) for client, seen in self._seen.items()]
        return [one for one in found if one is not None]

    def _end(self, client: str, now: float) -> WasAtLimit | None:
        seen, self._seen[client] = self._seen[client], _Seen()
        if not seen.told or seen.since is None:
            return None
        return WasAtLimit(client, now - seen.since, seen.cpu, seen.busiest)


def use_words(cpu: float, busiest: float, cores: int) -> str:
    """What a client uses: ``97 % of a core in one process, 185 % of 800 % in all``."""
    whole = f" of {100 * cores} %" if cores else ""
    return f"{busiest:.0f} % of a core in one process, {cpu:.0f} %{whole} in all"
