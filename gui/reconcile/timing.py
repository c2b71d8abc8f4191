"""Latency and throughput over the time of a test: for all its servers and for each of them.

A latency is the whole time of a request at its client, from before its open to after its close; only requests without
error have one. It counts at the time of its close. Bytes are those that clients measured second by second, so they
count when they were transferred, however long their request took.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from sqlalchemy import select

from gui.reconcile.breakdown import step_for
from gui.store import RequestState, SampleRow, Store, schema

MAX_MOMENTS = 60
"""The most intervals that a test is divided into."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in seconds by nearest rank: each is the time of a real request. None when there was none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """`seconds` from `t` (Unix seconds) on: the requests that ended and the bytes that came in this time (None: not
    measured)."""

    t: float
    seconds: int
    requests: int
    failed: int
    bytes_read: int | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class ServerTiming:
    """One server within a test."""

    server_id: int
    name: str
    latency: Latency
    failed: int
    bytes_read: int | None
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """A test over all its repeats. Intervals in which nothing ended and nothing came are left out."""

    latency: Latency
    failed: int
    bytes_read: int | None
    moments: tuple[Moment, ...]
    servers: tuple[ServerTiming, ...]


Samples = Sequence[SampleRow]
_Place = tuple[int, int]
"""A server and an interval."""


def time_test(store: Store, repeat_ids: Sequence[int], samples: Iterable[Samples]) -> Timing | None:
    """The timing of a test over these repeats, whose samples are given; None when none of its requests has ended."""
    request, server = schema.request, schema.server
    ended = (
        select(request.c.server_id, request.c.t_open, request.c.t_close, request.c.state, request.c.ok)
        .where(request.c.repeat_id.in_(list(repeat_ids)), request.c.t_close > 0)
        .order_by(None)
    )
    took: dict[int, array[float]] = defaultdict(lambda: array("d"))
    closed: dict[int, array[float]] = defaultdict(lambda: array("d"))
    failures: dict[int, array[float]] = defaultdict(lambda: array("d"))
    with store.database.read() as connection:
        names = {row.id: row.name for row in connection.execute(select(server.c.id, server.c.name))}
        # Unpacked row by row: a million rows take seconds, whatever is done with each.
        for server_id, t_open, t_close, state, ok in connection.execution_options(stream_results=True).execute(ended):
            if ok and state == RequestState.DONE and t_open:
                took[server_id].append(max(0.0, t_close - t_open))
                closed[server_id].append(t_close)
            else:
                failures[server_id].append(t_close)
    times = [*closed.values(), *failures.values()]
    if not times:
        return None
    first, last = int(min(map(min, times))), int(max(map(max, times)))
    width = step_for(first, last, MAX_MOMENTS)
    bins: dict[_Place, array[float]] = defaultdict(lambda: array("d"))
    failed: Counter[_Place] = Counter()
    for server_id, ends in closed.items():
        for t, seconds in zip(ends, took[server_id], strict=True):
            bins[(server_id, int(t) // width)].append(seconds)
    for server_id, ends in failures.items():
        failed.update((server_id, int(t) // width) for t in ends)
    came = _bytes(samples, width)
    servers = sorted(closed.keys() | failures.keys())
    return Timing(
        latency=latency([seconds for server_id in servers for seconds in took.get(server_id, ())]),
        failed=failed.total(),
        bytes_read=sum(came.values()) if came else None,
        moments=_moments(servers, width, bins, failed, came),
        servers=tuple(
            ServerTiming(
                server_id,
                names.get(server_id, ""),
                latency(took.get(server_id, ())),
                len(failures.get(server_id, ())),
                sum(count for (owner, _), count in came.items() if owner == server_id) if came else None,
                _moments([server_id], width, bins, failed, came),
            )
            for server_id in servers
        ),
    )


def latency(seconds: Iterable[float]) -> Latency:
    """The percentiles of these times."""
    ordered = sorted(seconds)
    return Latency(len(ordered), *_percentiles(ordered))


def _percentiles(ordered: Sequence[float]) -> tuple[float | None, float | None, float | None, float | None]:
    if not ordered:
        return None, None, None, None
    p50, p95, p99 = (ordered[ceil(part * len(ordered) / 100) - 1] for part in (50, 95, 99))
    return p50, p95, p99, ordered[-1]


def _moments(
    servers: Sequence[int],
    width: int,
    bins: dict[_Place, array[float]],
    failed: Counter[_Place],
    came: dict[_Place, int],
) -> tuple[Moment, ...]:
    mine = set(servers)
    places = sorted({place for owner, place in (*bins, *failed, *came) if owner in mine})
    moments = []
    for place in places:
        ordered = sorted(seconds for owner in servers for seconds in bins.get((owner, place), ()))
        bytes_read = [came[(owner, place)] for owner in servers if (owner, place) in came]
        moments.append(
            Moment(
                float(place * width),
                width,
                len(ordered),
                sum(failed[(owner, place)] for owner in servers),
                sum(bytes_read) if bytes_read else None,
                *_percentiles(ordered),
            )
        )
    return tuple(moments)


def _bytes(repeats: Iterable[Samples], width: int) -> dict[_Place, int]:
    """Bytes by server and interval, from cumulative samples of each repeat."""
    came: dict[_Place, int] = {}
    for samples in repeats:
        last: dict[int, int] = {}
        for sample in samples:
            if sample.bytes_read is None:
                continue
            place = (sample.server_id, sample.t // width)
            came[place] = came.get(place, 0) + sample.bytes_read - last.get(sample.server_id, 0)
            last[sample.server_id] = sample.bytes_read
    return came
