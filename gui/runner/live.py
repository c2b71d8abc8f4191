"""What the clients measure while a repeat runs, put on one time axis with what the database counts. Pure.

Counts (requested, read, recorded, the gap) come from `gui.reconcile.LiveCounts`; here are the rates, from the clients'
samples and from how the counts grow, and the ring of points that plots are drawn from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.messages import Sample
from gui.reconcile import LiveServer, LiveTotals
from gui.runner.progress import ClientRow, SamplePoint, ServerRow

RING_SECONDS = 600
RECORDED_WINDOW = 10.0
FRESH_SECONDS = 3.0


@dataclass(slots=True)
class _Client:
    name: str
    requested: int = 0
    reported: int = 0
    sample: Sample | None = None
    rates: dict[str, float] = field(default_factory=dict)
    """Bytes per second by server URL, between the last two samples."""


class Live:
    """One repeat. `servers` are (name, URL) in the order of the test. Times are Unix seconds."""

    def __init__(self, servers: Sequence[tuple[str, str]]) -> None:
        self._servers = list(servers)
        self._clients: dict[str, _Client] = {}
        self._points: deque[SamplePoint] = deque(maxlen=RING_SECONDS)
        self._grown: deque[tuple[float, dict[str, int]]] = deque()
        """(time, bytes recorded by server URL) of the last ten seconds."""
        self.totals: LiveTotals | None = None

    # ---- what happened

    def client(self, client: str, name: str) -> None:
        """A client takes part."""
        self._clients.setdefault(client, _Client(name))

    def handed(self, client: str, count: int) -> None:
        """So many requests were handed to a client."""
        self._clients[client].requested += count

    def reported(self, client: str, count: int) -> None:
        """So many of a client's requests have their done line in the database."""
        if client in self._clients:
            self._clients[client].reported += count

    def unreported(self, client: str) -> int:
        """Requests that were handed to a client and have no done line."""
        own = self._clients[client]
        return own.requested - own.reported

    def sample(self, client: str, sample: Sample) -> None:
        """What a client measured, once a second, cumulative since the repeat began."""
        owner = self._clients.get(client)
        if owner is None:
            return
        before, owner.sample = owner.sample, sample
        owner.rates = {}
        if before is None or sample.t <= before.t:
            return
        for url, figures in sample.servers.items():
            earlier = before.servers.get(url)
            grown = figures.bytes - (earlier.bytes if earlier else 0)
            owner.rates[url] = max(0, grown) / (sample.t - before.t)

    def counted(self, totals: LiveTotals) -> None:
        """New counts from the database."""
        self.totals = totals
        self._grown.append((totals.t, {server.url: server.bytes_recorded for server in totals.servers}))
        while len(self._grown) > 1 and self._grown[0][0] < totals.t - RECORDED_WINDOW:
            self._grown.popleft()

    def tick(self, now: float) -> SamplePoint:
        """Once a second: a new point on the time axis."""
        rates, recorded_rates = self._rates(now), self._recorded_rates()
        totals = self.totals
        point = SamplePoint(
            t=now,
            rates=tuple(rates.get(url, 0.0) for _, url in self._servers),
            recorded_rates=tuple(recorded_rates.get(url, 0.0) for _, url in self._servers),
            requested=totals.requested if totals else 0,
            read=totals.read if totals else 0,
            recorded=totals.recorded if totals else 0,
        )
        self._points.append(point)
        return point

    # ---- what stands

    @property
    def clients(self) -> tuple[str, ...]:
        """Who takes part."""
        return tuple(self._clients)

    @property
    def samples(self) -> tuple[SamplePoint, ...]:
        """The last ten minutes, a point a second."""
        return tuple(self._points)

    def server_rows(self, now: float) -> tuple[ServerRow, ...]:
        """The servers, in the order of the test."""
        counts: Mapping[str, LiveServer] = {server.url: server for server in self.totals.servers} if self.totals else {}
        rates, recorded_rates = self._rates(now), self._recorded_rates()
        return tuple(
            self._row(name, url, counts.get(url), rates.get(url, 0.0), recorded_rates.get(url, 0.0))
            for name, url in self._servers
        )

    @staticmethod
    def _row(name: str, url: str, count: LiveServer | None, rate: float, recorded_rate: float) -> ServerRow:
        if count is None:
            return ServerRow(name, url, rate=rate)
        return ServerRow(
            name=name,
            url=url,
            requested=count.requested,
            read=count.read,
            recorded=count.recorded,
            gap=count.gap,
            failed=count.failed,
            wrong=count.wrong,
            duplicate=count.duplicate,
            bytes_read=count.bytes_read,
            bytes_recorded=count.bytes_recorded,
            rate=rate,
            recorded_rate=recorded_rate,
            last_record=count.last_record,
        )

    def client_row(self, client: str, *, state: str, cpu: float) -> ClientRow:
        """One client; `state` and `cpu` come from the roster."""
        own = self._clients[client]
        figures = own.sample.servers.values() if own.sample else ()
        return ClientRow(
            name=own.name,
            public_id=client,
            state=state,
            requested=own.requested,
            done=sum(server.done for server in figures),
            failed=sum(server.failed for server in figures),
            cpu=cpu,
            rate=sum(own.rates.values()),
        )

    def _rates(self, now: float) -> dict[str, float]:
        """Bytes per second by server URL, of all clients whose last sample is fresh."""
        sums: dict[str, float] = {}
        for client in self._clients.values():
            if client.sample is not None and now - client.sample.t < FRESH_SECONDS:
                for url, rate in client.rates.items():
                    sums[url] = sums.get(url, 0.0) + rate
        return sums

    def _recorded_rates(self) -> dict[str, float]:
        """The same as the records have it, over the last ten seconds."""
        if len(self._grown) < 2:
            return {}
        (began, before), (ended, after) = self._grown[0], self._grown[-1]
        if ended <= began:
            return {}
        return {url: (count - before.get(url, 0)) / (ended - began) for url, count in after.items()}
