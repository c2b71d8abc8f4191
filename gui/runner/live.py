"""Puts what the clients measure during a repeat on one time axis with what the database counts. Pure.

Counts (requested, read, recorded, the gap) come from `gui.reconcile.LiveCounts`. Rates come from the clients' samples:
each says how many bytes were read between two moments of the client's clock. These are converted to the hub's time, and
the bytes are counted in the seconds in which they were read, however late the sample arrives. Nothing is estimated: a
second of a server has a rate when every client that took part has reported all of it; otherwise it has none, and is
*missing* once the report is overdue. So the sum over all seconds is what the clients read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Any

from agent.messages import Sample
from gui.reconcile import LiveServer, LiveTotals
from gui.runner.progress import RING_SECONDS, ClientRow, SamplePoint, ServerRow

RECORDED_WINDOW = 10.0
OPEN_SECONDS = 400
"""How long samples of a second may still arrive: longer than an agent keeps them while the hub is unreachable."""
FRESH_SECONDS = 3.0
"""How long after its end a second waits for the samples of its clients. Later ones are counted anyway."""
ROUNDING = 0.005
"""Part of a second that a client may leave out of a fully reported one: rounding of clocks and floats at its edges."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A second of one server, to be stored: the bytes that clients had read by its end (None if not all of that second
    is known), and the database's counts if it was read in that second."""

    second: int
    url: str
    bytes_read: int | None
    counts: LiveServer | None


@dataclass(slots=True)
class _Client:
    name: str
    requested: int = 0
    reported: int = 0
    latest: Sample | None = None
    told: set[float] = field(default_factory=set)
    """`Sample.t` of all samples that were counted: the same one may arrive again."""
    mark: tuple[float, float] = (0.0, 0.0)
    """End of the newest sample, in the client's time and in ours: the next one begins at the same moment."""
    began: float | None = None
    """When it began to measure; None: not reported yet."""
    ended: float | None = None
    """When its workers were gone."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """Times at which it was known to be missing (infinity: it still is): what others measured then counts."""
    bytes: dict[int, float] = field(default_factory=dict)
    """By second."""
    covered: dict[int, float] = field(default_factory=dict)
    """How much of a second it has reported."""
    grown: deque[tuple[float, int]] = field(default_factory=deque)
    """(our time, requests done) of the last ten seconds."""

    def part(self, second: int) -> tuple[float, float]:
        """From when to when it takes part in this second; empty (end before begin) if it does not."""
        began = float("inf") if self.began is None else self.began
        return max(float(second), began), second + 1.0 if self.ended is None else min(second + 1.0, self.ended)

    def owes(self, second: int) -> bool:
        """Whether it has not reported all of its part of this second."""
        begin, end = self.part(second)
        away = sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self.away)
        return self.covered.get(second, 0.0) < end - begin - away - ROUNDING


class Live:
    """One repeat. `servers` are (name, URL) in the order of the test; `places` (URLs) is the order of
    `SamplePoint.rates`, for a repeat of a run that has had other servers before. Times are Unix seconds of the hub."""

    def __init__(self, servers: Sequence[tuple[str, str]], places: Sequence[str] = ()) -> None:
        self._servers = list(servers)
        own = [url for _, url in servers]
        self._places = {url: place for place, url in enumerate(places or own)}
        self._own = frozenset(own)
        self._clients: dict[str, _Client] = {}
        self._bytes: dict[int, dict[str, float]] = {}
        """Bytes read in each second, by server URL."""
        self._counts: dict[int, LiveTotals] = {}
        """The database's counts as last read in each second."""
        self._said: dict[int, dict[str, float]] = {}
        """Bytes per second of each server by its records, as known in each second."""
        self._points: dict[int, SamplePoint] = {}
        self._sums: dict[int, dict[str, float]] = {}
        """Bytes of each server up to the end of each second that has a point."""
        self._next: int | None = None
        """The first second that has no point yet."""
        self._closed = 0
        """Seconds before this one no longer change."""
        self._stale: set[int] = set()
        """Seconds for which more has arrived since they got their point."""
        self._samples: tuple[SamplePoint, ...] = ()
        self._grown: deque[tuple[float, dict[str, int]]] = deque()
        """(time, bytes recorded by server URL) of the last ten seconds."""
        self._asked: float | None = None
        """When the first request was handed out; None: none yet."""
        self.totals: LiveTotals | None = None

    # ---- what happened

    def client(self, client: str, name: str) -> None:
        """A client takes part."""
        self._clients.setdefault(client, _Client(name))

    def ready(self, client: str, now: float) -> None:
        """A client's workers are ready: it measures from about now on. Its first sample gives the exact time."""
        own = self._clients.get(client)
        if own is not None and own.began is None:
            own.began = now

    def handed(self, client: str, count: int, now: float) -> None:
        """`count` requests were handed to a client. Nothing is measured before the first one: a server of which nobody
        has asked anything has no throughput, not one of 0."""
        self._clients[client].requested += count
        self._asked = now if self._asked is None else self._asked

    def reported(self, client: str, count: int) -> None:
        """`count` requests of a client have their done line in the database."""
        if client in self._clients:
            self._clients[client].reported += count

    def unreported(self, client: str) -> int:
        """Requests that were handed to a client and have no done line."""
        own = self._clients[client]
        return own.requested - own.reported

    def missing(self, client: str, now: float) -> None:
        """A client is no longer heard from: until it is back, seconds are complete without it."""
        own = self._clients.get(client)
        if own is not None and (not own.away or own.away[-1][1] <= now):
            own.away.append((now, float("inf")))

    def back(self, client: str, now: float) -> None:
        """A missing client is heard from again."""
        own = self._clients.get(client)
        if own is not None and own.away and own.away[-1][1] > now:
            own.away[-1] = (own.away[-1][0], now)

    def ended(self, client: str, now: float) -> None:
        """A client's workers are gone; it has measured up to its last sample."""
        own = self._clients.get(client)
        if own is not None and own.ended is None:
            own.ended = own.mark[1] or now
            # Seconds that waited for its samples no longer wait.
            self._stale |= {second for second in self._points if second >= floor(own.ended)}

    def over(self, now: float) -> None:
        """No client has anything left to do, even if it could not report everything."""
        for own in self._clients.values():
            own.ended = now if own.ended is None else own.ended

    def sample(self, client: str, sample: Sample, now: float, ahead: float | None = None) -> None:
        """What a client measured; it arrived `now`. `ahead`: seconds by which its clock is ahead of ours, if known.
        Nothing can have been measured after its arrival."""
        own = self._clients.get(client)
        if own is None or sample.t in own.told:
            return
        own.told.add(sample.t)
        first = own.latest is None
        if own.latest is None or sample.t > own.latest.t:
            own.latest = sample
        # What an agent says is untrusted data: no timestamp, however odd, may cost time or memory here.
        self._closed = max(self._closed, floor(now) - OPEN_SECONDS)
        if len(own.told) > 2 * OPEN_SECONDS:
            own.told = set(sorted(own.told)[-OPEN_SECONDS:])
        if not 0 < sample.since < sample.t <= sample.since + OPEN_SECONDS:
            return
        ours = sample.t - now if ahead is None else max(ahead, sample.t - now)
        begin = own.mark[1] if abs(sample.since - own.mark[0]) < ROUNDING else sample.since - ours
        end = max(begin, sample.t - ours)
        if sample.t > own.mark[0]:
            own.mark = (sample.t, end)
            own.grown.append((end, sum(server.done + server.failed for server in sample.servers.values())))
            while len(own.grown) > 1 and own.grown[0][0] < end - RECORDED_WINDOW:
                own.grown.popleft()
        own.began = begin if first or own.began is None else min(own.began, begin)
        self._file(own, begin, end, {url: part.within for url, part in sample.servers.items() if url in self._own})

    def _file(self, own: _Client, begin: float, end: float, sizes: Mapping[str, int]) -> None:
        """Distribute the bytes from `begin` to `end` over the seconds, in proportion to time."""
        for second in range(floor(begin), max(floor(begin) + 1, ceil(end))):
            if second < self._closed:
                continue
            part = max(0.0, min(end, second + 1.0) - max(begin, second))
            share = part / (end - begin) if end > begin else 1.0
            own.covered[second] = own.covered.get(second, 0.0) + part
            own.bytes[second] = own.bytes.get(second, 0.0) + share * sum(sizes.values())
            filed = self._bytes.setdefault(second, {})
            for url, size in sizes.items():
                filed[url] = filed.get(url, 0.0) + share * size
            self._stale.add(second)

    def counted(self, totals: LiveTotals) -> None:
        """New counts from the database."""
        self.totals = totals
        self._counts[floor(totals.t)] = totals
        self._stale.add(floor(totals.t))
        self._grown.append((totals.t, {server.url: server.bytes_recorded for server in totals.servers}))
        while len(self._grown) > 1 and self._grown[0][0] < totals.t - RECORDED_WINDOW:
            self._grown.popleft()
        if totals.last_record is not None:  # before the first one, nothing is said
            self._said[floor(totals.t)] = self._recorded_rates(totals.t)

    def finish(self, now: float) -> tuple[Measured, ...]:
        """The repeat is scored: points of all seconds up to the current one, even if samples are outstanding."""
        return self.tick(floor(now) + 1.0, wait=0.0)

    def tick(self, now: float, *, wait: float = FRESH_SECONDS) -> tuple[Measured, ...]:
        """Once a second: new points of the seconds that are over and fully reported, or overdue after `wait` seconds,
        and of those for which more has arrived. Returns what is to be stored."""
        first = self._next if self._next is not None else min((*self._bytes, *self._counts, floor(now)))
        after = first
        while after + 1 <= now and (after + 1 + wait <= now or not self._owed(after)):
            after += 1
        self._next = after
        begin = min((second for second in (first, *self._stale) if second < after), default=after)
        changed = sorted({*range(first, after), *(second for second in self._stale if second < after)})
        self._stale = {second for second in self._stale if second >= after}
        for second in changed:
            self._points[second] = self._point(second)
        if changed:
            self._points = {second: self._points[second] for second in sorted(self._points)[-RING_SECONDS:]}
            self._samples = tuple(self._points.values())
        rows = self._measured(begin) if changed else ()
        self._forget(after)
        return rows

    def _forget(self, now: int) -> None:
        self._closed = max(self._closed, now - OPEN_SECONDS)
        kept: list[dict[int, Any]] = [self._bytes, self._sums, self._said]
        for client in self._clients.values():
            kept += [client.covered, client.bytes]
        for by_second in kept:
            while by_second and (oldest := min(by_second)) < self._closed:
                del by_second[oldest]
        # The database's counts are stored with their second, once; those of fifty servers are too much to keep.
        self._counts = {second: totals for second, totals in self._counts.items() if second >= now}

    def _owed(self, second: int) -> bool:
        return any(client.owes(second) for client in self._clients.values())

    def _known(self, second: int) -> bool:
        """Whether all clients that took part (at least one) have reported this second."""
        return any(second in client.covered for client in self._clients.values()) and not self._owed(second)

    def _point(self, second: int) -> SamplePoint:
        counts = self._counts.get(second) or self._points.get(second)
        filed = self._bytes.get(second, {})
        rates: list[float | None] = [None] * len(self._places)
        missing: tuple[int, ...] = ()
        places = {url: self._places[url] for _, url in self._servers}
        asked = self._asked is not None and second + 1 > self._asked
        if self._known(second):
            # Bytes before the first request was handed out are those of a client whose clock is wrong.
            for url, place in places.items():
                rates[place] = filed.get(url, 0.0) if asked or any(filed.values()) else None
        elif asked and any(begin < end for begin, end in (client.part(second) for client in self._clients.values())):
            missing = tuple(sorted(places.values()))
        said: list[float | None] = [None] * len(self._places)
        for url, rate in self._said.get(second, {}).items():
            if url in places:
                said[places[url]] = rate
        return SamplePoint(
            t=float(second),
            rates=tuple(rates),
            missing=missing,
            said=tuple(said) if second in self._said else (),
            requested=counts.requested if counts else None,
            read=counts.read if counts else None,
            recorded=counts.recorded if counts else None,
        )

    def _measured(self, begin: int) -> tuple[Measured, ...]:
        """All seconds from `begin` on that have a point; a late sample changes the sums of all seconds after it."""
        rows: list[Measured] = []
        sums = dict(self._sums.get(begin - 1, {}))
        for second in (second for second in self._points if second >= begin):
            for url, size in self._bytes.get(second, {}).items():
                sums[url] = sums.get(url, 0.0) + size
            self._sums[second] = dict(sums)
            known, counts = self._known(second), self._counts.get(second)
            by_url = {server.url: server for server in counts.servers} if counts else {}
            for _, url in self._servers:
                read = round(sums.get(url, 0.0)) if known else None
                if read is not None or url in by_url:
                    rows.append(Measured(second, url, read, by_url.get(url)))
        return tuple(rows)

    # ---- the current figures

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that take part."""
        return tuple(self._clients)

    @property
    def requested(self) -> int:
        """Requests that were handed out."""
        return sum(client.requested for client in self._clients.values())

    @property
    def samples(self) -> tuple[SamplePoint, ...]:
        """The last hour, one point per second."""
        return self._samples

    def server_rows(self, now: float, silent: Mapping[str, float] | None = None) -> tuple[ServerRow, ...]:
        """The servers, in the order of the test. `silent`: since when servers do not answer, by URL."""
        since = silent or {}
        counts: Mapping[str, LiveServer] = {server.url: server for server in self.totals.servers} if self.totals else {}
        recorded_rates = self._recorded_rates(now)
        newest = self._samples[-1].rates if self._samples else (None,) * len(self._places)
        return tuple(
            replace(
                self._row(name, url, counts.get(url), newest[self._places[url]], recorded_rates.get(url)),
                silent_since=since.get(url),
            )
            for name, url in self._servers
        )

    @staticmethod
    def _row(
        name: str, url: str, count: LiveServer | None, rate: float | None, recorded_rate: float | None
    ) -> ServerRow:
        if count is None:
            return ServerRow(name, url, rate=rate)
        return ServerRow(
            name=name,
            url=url,
            requested=count.requested,
            read=count.read,
            recorded=count.recorded,
            gap=count.gap,
            gap_oldest=count.gap_oldest,
            failed=count.failed,
            wrong=count.wrong,
            duplicate=count.duplicate,
            bytes_read=count.bytes_read,
            bytes_recorded=count.bytes_recorded,
            rate=rate,
            recorded_rate=recorded_rate,
            last_record=count.last_record,
        )

    def made(self, client: str) -> float | None:
        """Requests per second that a client has made over the last ten seconds that it told of; None: not known."""
        grown = self._clients[client].grown
        if len(grown) < 2 or grown[-1][0] <= grown[0][0] or grown[-1][1] < grown[0][1]:
            return None
        return (grown[-1][1] - grown[0][1]) / (grown[-1][0] - grown[0][0])

    def share(self, client: str) -> float | None:
        """The share of all requests so far that were handed to this client; None before the first."""
        return self._clients[client].requested / self.requested if self.requested else None

    def client_row(self, client: str, *, state: str, cpu: float, busy: bool = False) -> ClientRow:
        """One client; `state`, `cpu` and `busy` come from the roster."""
        own = self._clients[client]
        figures = own.latest.servers.values() if own.latest else ()
        newest = None if self._next is None else self._next - 1
        return ClientRow(
            name=own.name,
            public_id=client,
            state=state,
            requested=own.requested,
            done=sum(server.done for server in figures),
            failed=sum(server.failed for server in figures),
            cpu=cpu,
            busy=busy,
            achieved=None if own.ended is not None else self.made(client),
            rate=None if newest is None or newest not in own.covered or own.owes(newest) else own.bytes[newest],
        )

    def _recorded_rates(self, now: float) -> dict[str, float]:
        """Bytes per second by server URL according to the records, over the last ten seconds; empty if unknown."""
        if len(self._grown) < 2:
            return {}
        (began, before), (ended, after) = self._grown[0], self._grown[-1]
        if ended <= began or now - ended > FRESH_SECONDS:
            return {}
        return {url: (count - before.get(url, 0)) / (ended - began) for url, count in after.items()}
