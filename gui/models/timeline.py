"""What happened when in a test: lanes on one time axis, events, and what was lost, read from the store. No toolkit.

`read_timeline` reads a repeat, or all of them, in a thread; the result is immutable. Times are seconds since the repeat
began. Everything is drawn from what the run has stored: samples of each second, markers, the first and last status of
shovelers and collectors and what the ones between added, and the requests. What nobody stored has a `reason` instead of
a curve.

- What was counted in a second is drawn at its end, what happened during it in its middle.
- *Clients* is the mean number of requests that were open in each second, exactly, from their times.
- *Broker* is what shovelers had confirmed by the broker and no collector had seen, *collectors* how long ago the oldest
  of that was received; both follow from the positions in their status messages.
- *Database* is what clients had read and no record was loaded for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import Double, cast, func, select

from gui.models.events import Event, events
from gui.report import numbers
from gui.report.content import summed
from gui.report.table import LOST_AT
from gui.runner.progress import Marker
from gui.store import MarkerRow, RepeatEntry, RequestEntry, SampleRow, Store, VerdictKind, schema
from shoveler.service import CollectorStatus, ShovelerStatus, StatusError, StatusMessage, decode_status

Array = npt.NDArray[np.float64]
LaneKey = Literal[
    "rounds", "throughput", "files", "clients", "servers", "shovelers", "broker", "collectors", "database", "misses"
]
LANES: tuple[LaneKey, ...] = (
    "rounds", "throughput", "files", "clients", "servers", "shovelers", "broker", "collectors", "database", "misses",
)  # fmt: skip
LOST = (VerdictKind.MISSING, VerdictKind.WRONG_BYTES, VerdictKind.DUPLICATE)
"""Verdicts that count against monitoring: each such request has a mark."""
MOST_MISSES = 100_000
PART = 5_000
"""Lost requests that are read at once."""
TOGETHER = 5.0
"""Misses of one server and cause that are further apart than this (seconds) are two groups."""
AROUND = 12.0
"""Status messages from this much before and after a repeat belong to its lanes: they come every five seconds."""
SLOW = 0.5
"""A server is named as slow below this part of the median."""
_HELD = re.compile(r"^(?P<what>.*?) did not .*?for (?P<seconds>\d+) s")
_NO_SAMPLES = "no samples were stored with this run"
_NO_STATUS = "no status of shovelers was stored with this run"
_NO_COLLECTOR = "no status of collectors was stored with this run"


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: seconds, values; `dashed` for what is compared with another one in the same lane."""

    name: str
    t: Array
    values: Array
    dashed: bool = False

    def at(self, seconds: float) -> float | None:
        """The last value until then."""
        place = int(np.searchsorted(self.t, seconds, "right")) - 1
        return None if place < 0 or not len(self.t) else float(self.values[place])


@dataclass(frozen=True, slots=True)
class Block:
    """Something that lasts, inside a lane. `colour` and `symbol` are names of the theme and of an icon."""

    begin: float
    end: float
    text: str
    colour: str
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row. Without anything in it, `reason` says why; `remark` is said inside, where it is quiet."""

    key: LaneKey
    title: str
    unit: str
    colour: str = "text2"
    series: tuple[Series, ...] = ()
    blocks: tuple[Block, ...] = ()
    top: float = 0.0
    top_text: str = ""
    reason: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that was lost, at its close."""

    at: float
    request: RequestEntry


@dataclass(frozen=True, slots=True)
class Group:
    """Misses of one datagram, or of one server and cause at a time. `label` and `detail` stand beside their marks;
    `facts` say what is known."""

    begin: float
    end: float
    misses: tuple[Miss, ...]
    label: str
    detail: str
    sure: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A repeat. `span`: seconds that its axis has; `busy`: of these, until its last request, loss and event; `began`:
    Unix seconds; `took`: from the first open to the last close; `limit`: of settling."""

    number: int
    began: float
    span: float
    busy: float
    requests: int
    took: float | None
    settled: float | None
    limit: float | None
    state: str
    lanes: tuple[Lane, ...]
    events: tuple[Event, ...]
    groups: tuple[Group, ...]
    misses: tuple[Miss, ...]
    times: Array
    """The seconds of the misses, in their order."""
    group_of: Mapping[int, int]
    """The number of the group of each lost request, by its id."""

    def between(self, begin: float, end: float) -> tuple[Miss, ...]:
        """The misses of a time range, both ends included."""
        low, high = (
            np.searchsorted(self.times, [begin, end], "left"),
            np.searchsorted(self.times, [begin, end], "right"),
        )
        return self.misses[int(low[0]) : int(high[1])]

    def lane(self, key: LaneKey) -> Lane:
        """The lane of that name."""
        return next(lane for lane in self.lanes if lane.key == key)


@dataclass(frozen=True, slots=True)
class Timeline:
    """One repeat of a test, or all. `repeats`: the numbers of those that have begun; `shown`: 0 is all of them."""

    run: int
    test: int
    repeats: tuple[int, ...]
    shown: int
    parts: tuple[Part, ...]


def read_timeline(store: Store, run: int, test: int, repeat: int = 0, first: bool = False) -> Timeline:
    """Read a repeat of a test, or all (0). `first`: where 0 stands for the repeat that says most. Blocking. Raises
    StoreError."""
    entries = [entry for entry in store.repeats(run) if entry.test_number == test and entry.started is not None]
    known = tuple(entry.number for entry in entries)
    if first and entries:
        repeat = _telling(store, entries)
    wanted = [entry for entry in entries if repeat in (0, entry.number)]
    markers = store.markers(run)
    history = _Statuses.of(store, run) if wanted else _Statuses((), ())
    limit = store.run(run).settle
    return Timeline(run, test, known, repeat, tuple(_part(store, entry, markers, history, limit) for entry in wanted))


def _telling(store: Store, entries: Sequence[RepeatEntry]) -> int:
    """The number of the repeat that lost most, else of the first."""
    lost = {}
    for entry in entries:
        scorings = store.scorings(entry.id)
        lost[entry.number] = scorings[-1].counted - scorings[-1].good if scorings else 0
    return max(lost, key=lambda number: (lost[number], -number))


# ---------------------------------------------------------------- one repeat


@dataclass(frozen=True, slots=True)
class _Times:
    """The requests of a repeat in numbers: rounds, and how many were opened and closed in each second."""

    rounds: tuple[tuple[int, float, float], ...]
    opened: tuple[tuple[int, int, float], ...]
    closed: tuple[tuple[int, int, float], ...]
    total: int


def _part(store: Store, entry: RepeatEntry, markers: Sequence[MarkerRow], history: _Statuses, limit: float) -> Part:
    times = _times(store, entry.id)
    firsts = [begin for _, begin, _ in times.rounds]
    began = min([*firsts, entry.started or float("inf")])
    lasts = [end for _, _, end in times.rounds]
    ended = entry.ended if entry.ended is not None else max(lasts, default=began)
    settled = entry.settled
    until = max([ended, *lasts, *([settled] if settled is not None else [])])
    span = max(1.0, until - began)
    samples = store.samples(entry.id)
    sums = summed(samples)
    names = {server.id: server.name for server in store.servers()}
    misses = _misses(store, entry.id, began)
    shovelers, collectors = history.around(began, until)
    drops = _drop_events(shovelers, began)
    # Starts of repeats need no flag: each has an axis of its own.
    shown = [Marker(m.t, m.kind, m.text) for m in markers if m.kind != "phase"]  # type: ignore[arg-type]
    happened = _within(events(shown, began), span)
    flags = tuple(sorted([*happened, *(e for e in drops if 0 <= e.at <= span)], key=lambda event: event.at))
    recorded = next((s.recorded for s in reversed(sums) if s.recorded is not None), None)
    lanes = (
        _rounds(times, entry, began, until),
        _throughput(sums, began),
        _files(times, sums, began, recorded, len(misses)),
        _clients(times, began),
        _servers(samples, names, markers, history, began, span),
        _shovelers(shovelers, began),
        _broker(shovelers, collectors, began, happened),
        _collectors(shovelers, collectors, began),
        _database(sums, began),
        Lane("misses", "Misses", _of(len(misses)), "bad", reason="" if misses else "nothing missing"),
    )
    took = max(lasts) - min(firsts) if firsts else None
    groups = groups_of(misses, began)
    busy = max(
        [*(last - began for last in lasts), *(miss.at for miss in misses), *(flag.at for flag in flags)], default=span
    )
    return Part(
        entry.number, began, span, busy, times.total, took, settled, limit, entry.state, lanes, flags, groups, misses,
        np.array([miss.at for miss in misses]),
        {miss.request.id: number for number, group in enumerate(groups) for miss in group.misses},
    )  # fmt: skip


def _of(count: int) -> str:
    return f"{count:,} in this repeat" if count else "none in this repeat"


def _times(store: Store, repeat_id: int) -> _Times:
    """Counted in the database: a repeat has up to a million requests. Seconds are those since the Unix epoch."""
    request = schema.request
    mine = request.c.repeat_id == repeat_id

    def by_second(column: Any) -> Any:
        second = cast(column, schema.Big) if store.database.is_sqlite else func.floor(column)
        rest = func.sum(cast(column, Double) - second)
        return select(second, func.count(), rest).where(mine, column > 0).group_by(second).order_by(second)

    with store.database.read() as connection:
        rounds = connection.execute(
            select(request.c.round, func.min(request.c.t_open), func.max(request.c.t_close))
            .where(mine, request.c.t_open > 0, request.c.t_close > 0)
            .group_by(request.c.round)
            .order_by(request.c.round)
        ).all()
        total = connection.scalar(select(func.count()).where(mine)) or 0
        both = mine & (request.c.t_close > 0)
        opened = connection.execute(by_second(request.c.t_open).where(both)).all()
        closed = connection.execute(by_second(request.c.t_close).where(both)).all()
    return _Times(
        tuple((int(n), float(a), float(b)) for n, a, b in rounds),
        tuple((int(second), int(count), float(rest)) for second, count, rest in opened),
        tuple((int(second), int(count), float(rest)) for second, count, rest in closed),
        int(total),
    )


def _misses(store: Store, repeat_id: int, began: float) -> tuple[Miss, ...]:
    """In parts, so that the window's thread can run in between."""
    found: list[Miss] = []
    after = 0
    while len(found) < MOST_MISSES:
        part = store.requests(repeat_id, verdict=LOST, after=after, limit=PART)
        found += [
            Miss((request.t_close or request.t_open or request.t_started or began) - began, request) for request in part
        ]
        if len(part) < PART:
            break
        after = part[-1].id
    return tuple(sorted(found, key=lambda miss: miss.at))


def _within(found: Sequence[Event], span: float) -> list[Event]:
    """The events that concern the axis from 0 to `span`; one that began before is cut."""
    kept = []
    for event in found:
        if -1 <= event.at <= span or (event.until is not None and event.at < 0 < event.until):
            until = None if event.until is None else min(event.until, span)
            kept.append(replace(event, at=max(0.0, event.at), until=until))
    return kept


# ---------------------------------------------------------------- lanes


def _rounds(times: _Times, entry: RepeatEntry, began: float, until: float) -> Lane:
    blocks = [Block(a - began, b - began, str(number), "accent") for number, a, b in times.rounds]
    # A round ends where the next one begins: a client that is late would otherwise cover it.
    for place, block in enumerate(blocks[:-1]):
        blocks[place] = replace(block, end=min(block.end, blocks[place + 1].begin))
    if entry.ended is not None and entry.settled is not None:
        text = "settle" if entry.settle_complete is not False else "settle, to the limit"
        blocks.append(Block(entry.ended - began, min(entry.settled, until) - began, text, "mute", "settle"))
    return Lane("rounds", "Rounds", "", "accent", blocks=tuple(blocks), reason="" if blocks else "no request has ended")


def _throughput(sums: Sequence[SampleRow], began: float) -> Lane:
    known = [(row.t + 1 - began, row.bytes_read) for row in sums if row.bytes_read is not None]
    if len(known) < 2:
        return Lane("throughput", "Throughput", "sum, MiB/s", reason=_NO_SAMPLES)
    t, total = _arrays(known)
    rates = np.maximum(0.0, np.diff(total)) / np.maximum(1.0, np.diff(t)) / 2**20
    return _curve("throughput", "Throughput", "sum, MiB/s", "sky", [Series("throughput", t[1:] - 0.5, rates)])


def _files(times: _Times, sums: Sequence[SampleRow], began: float, recorded: int | None, missing: int) -> Lane:
    """What was asked follows from the requests, so that it is known without samples; what was recorded does not."""
    asked = np.cumsum([count for _, count, _ in times.opened]).astype(float)
    series = []
    if len(asked):
        at = np.array([second + 1 - began for second, _, _ in times.opened])
        series.append(Series("asked", np.concatenate(([0.0], at)), np.concatenate(([0.0], asked)), dashed=True))
    known = [(row.t + 1 - began, row.recorded) for row in sums if row.recorded is not None]
    if known:
        series.append(Series("recorded", *_arrays(known)))
    if not series:
        return Lane("files", "Files", "asked, recorded", reason="no request has ended")
    unit = "asked, recorded" if known else "asked; recorded: not stored"
    remark = f"{recorded:,} recorded" if recorded is not None else ""
    if missing and remark:
        remark += f", {missing:,} lost"
    return replace(_curve("files", "Files", unit, "accent_text", series), remark=remark)


def _clients(times: _Times, began: float) -> Lane:
    """The mean number of open requests in each second: the differences of the time that all have been open until its
    ends, which follows from counts and sums of the moments they were opened and closed at."""
    if not times.opened:
        return Lane("clients", "Clients", "open, mean", reason="no request has ended")
    first = times.opened[0][0]
    last = max(first, times.closed[-1][0]) if times.closed else first  # a client's clock may have gone back
    width = min(last - first + 2, 1_000_000)
    counts, moments = np.zeros((2, width)), np.zeros((2, width))
    for which, rows in enumerate((times.opened, times.closed)):
        for second, count, rest in rows:
            if 0 <= second - first < width:
                counts[which, second - first] = count
                moments[which, second - first] = count * (second - first) + rest
    ends = np.arange(1, width + 1, dtype=float)
    until = np.cumsum(counts, axis=1) * ends - np.cumsum(moments, axis=1)
    busy = np.diff(np.concatenate(([0.0], until[0] - until[1])))
    t = first + 0.5 - began + np.arange(width)
    series = Series("open", t.astype(float), np.maximum(0.0, busy))
    return _curve("clients", "Clients", "open, mean", "text2", [series])


def _servers(
    samples: Sequence[SampleRow], names: dict[int, str], markers: Sequence[MarkerRow], history: _Statuses, began: float,
    span: float,
) -> Lane:  # fmt: skip
    blocks = [
        Block(at, min(span, at + 1), f"{name} ended; another process took over", "warn", "refresh")
        for name, t in history.ended
        if 0 <= (at := t - began) <= span
    ]
    for marker in markers:
        at = marker.t - began
        held = _HELD.match(marker.text) if marker.kind == "held" else None
        if held is not None and 0 <= at <= span + 1:
            text = f"{held['what']} away {held['seconds']} s"
            blocks.append(Block(max(0.0, at - float(held["seconds"])), at, text, "warn", "warn"))
    slow = slowest(samples, names, began)
    if slow is not None:
        blocks.append(slow)
    known = len({sample.server_id for sample in samples})
    reason = "" if blocks else "no server restarted, was away or much slower than the others"
    if not samples and not history.collectors and not blocks:
        reason = "no samples and no status of collectors were stored with this run"
    return Lane("servers", "Servers", f"{known}" if known else "", "warn", blocks=tuple(blocks), reason=reason)


def slowest(samples: Sequence[SampleRow], names: dict[int, str], began: float) -> Block | None:
    """The server that delivered least, where it is much slower than most."""
    spans: dict[int, tuple[float, float, int, int]] = {}
    for sample in samples:
        if sample.bytes_read is None:
            continue
        begin, end, least, most = spans.get(sample.server_id, (sample.t, sample.t, sample.bytes_read, 0))
        if sample.bytes_read > most:
            end, most = sample.t, sample.bytes_read
        spans[sample.server_id] = (begin, end, least, most)
    rates = {
        server: (most - least) / max(1.0, end - begin) for server, (begin, end, least, most) in spans.items() if most
    }
    if len(rates) < 3:
        return None
    server = min(rates, key=lambda one: rates[one])
    if rates[server] >= SLOW * float(np.median(list(rates.values()))):
        return None
    begin, end, _, _ = spans[server]
    text = f"{names.get(server, str(server))} slowest of {len(rates)}, {rates[server] / 2**20:.1f} MiB/s"
    return Block(max(0.0, begin - began), end - began, text, "mute", "clock")


def _shovelers(shovelers: Sequence[ShovelerStatus], began: float) -> Lane:
    if not shovelers:
        return Lane("shovelers", "Shovelers", "spool, datagrams", reason=_NO_STATUS)
    series = _sum_of(
        {
            member: [(s.t - began, sum(p.received_upto - p.confirmed_upto for p in s.positions.values())) for s in own]
            for member, own in _by_member(shovelers).items()
        }
    )
    return _curve("shovelers", "Shovelers", "spool, datagrams", "orange", [replace(series, name="spool")])


def _broker(
    shovelers: Sequence[ShovelerStatus], collectors: Sequence[CollectorStatus], began: float, found: Sequence[Event]
) -> Lane:
    title, unit = "Broker", "datagrams in it"
    away = tuple(
        Block(event.at, event.until, "broker away", "bad")
        for event in found
        if event.until is not None and event.text.startswith("broker")
    )
    if not shovelers or not collectors:
        reason = _NO_STATUS if not shovelers else _NO_COLLECTOR
        return Lane("broker", title, unit, blocks=away, reason="" if away else reason)
    flows = _flows(shovelers, collectors, began)
    t = np.array(sorted({at for flow in flows for at in flow.seen_t}))
    waiting = np.zeros(len(t))
    for flow in flows:
        confirmed = _step(flow.taken_t, flow.confirmed, t)
        waiting += np.maximum(0.0, confirmed - _step(flow.seen_t, flow.seen, t))
    return replace(_curve("broker", title, unit, "green", [Series("waiting", t, waiting)]), blocks=away)


def _collectors(shovelers: Sequence[ShovelerStatus], collectors: Sequence[CollectorStatus], began: float) -> Lane:
    if not collectors:
        return Lane("collectors", "Collectors", "behind, s", reason=_NO_COLLECTOR)
    if not shovelers:
        return Lane("collectors", "Collectors", "behind, s", reason=_NO_STATUS)
    flows = _flows(shovelers, collectors, began)
    t = np.array(sorted({at for flow in flows for at in flow.seen_t}))
    behind = np.zeros(len(t))
    for flow in flows:
        seen = _step(flow.seen_t, flow.seen, t)
        received = np.interp(t, flow.taken_t, flow.received)
        reached = np.interp(seen, flow.received, flow.taken_t)  # when the shoveler had received as much
        behind = np.maximum(behind, np.where(received > seen, np.maximum(0.0, t - reached), 0.0))
    return _curve("collectors", "Collectors", "behind, s", "purple", [Series("behind", t, behind)])


def _database(sums: Sequence[SampleRow], began: float) -> Lane:
    known = [
        (row.t + 1 - began, max(0, row.read - row.recorded))
        for row in sums
        if row.read is not None and row.recorded is not None
    ]
    if not known:
        return Lane("database", "Database", "records awaited", reason=_NO_SAMPLES)
    return _curve("database", "Database", "records awaited", "yellow", [Series("awaited", *_arrays(known))])


def _curve(key: LaneKey, title: str, unit: str, colour: str, series: Sequence[Series]) -> Lane:
    top = max((float(np.max(one.values)) for one in series if len(one.values)), default=0.0)
    return Lane(key, title, unit, colour, tuple(series), top=top or 1.0, top_text=_short(top))


def _short(value: float) -> str:
    """The end of a scale: ``500``, ``3.6 k``, ``1.2 M``."""
    for limit, unit in ((1e6, " M"), (1e4, " k")):
        if value >= limit:
            part = value / (1e6 if limit == 1e6 else 1e3)
            return f"{part:.1f}{unit}" if part < 100 else f"{part:,.0f}{unit}"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def _arrays(points: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    both = np.array(points, dtype=float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


# ---------------------------------------------------------------- status messages


@dataclass(frozen=True, slots=True)
class _Statuses:
    """All status messages of a run, each in the order of time."""

    shovelers: tuple[ShovelerStatus, ...]
    collectors: tuple[CollectorStatus, ...]

    @classmethod
    def of(cls, store: Store, run: int) -> _Statuses:
        """Those that were kept; what cannot be read is left out."""
        bodies = [(pair.program, body) for pair in store.statuses(run) for body in (pair.first, pair.last)]
        bodies += [(step.program, step.body) for step in store.status_steps(run)]
        found: list[StatusMessage] = []
        for program, body in bodies:
            try:
                found.append(decode_status(f"{program}.", body))
            except StatusError:
                continue
        found.sort(key=lambda status: status.t)
        return cls(
            tuple(one for one in found if isinstance(one, ShovelerStatus)),
            tuple(one for one in found if isinstance(one, CollectorStatus)),
        )

    def around(self, begin: float, end: float) -> tuple[list[ShovelerStatus], list[CollectorStatus]]:
        """Those of a time, and a little before and after."""
        low, high = begin - AROUND, end + AROUND
        return (
            [one for one in self.shovelers if low <= one.t <= high],
            [one for one in self.collectors if low <= one.t <= high],
        )

    @property
    def ended(self) -> list[tuple[str, float]]:
        """Server processes that a newer one followed: name, when that was seen."""
        known = {
            (process.sid, process.stod): (process.instance or process.host or process.sender, process.ended)
            for status in self.collectors
            for process in status.processes
            if process.ended
        }
        return sorted(known.values(), key=lambda pair: pair[1])


def _by_member(statuses: Sequence[Any]) -> dict[str, list[Any]]:
    members: dict[str, list[Any]] = {}
    for status in statuses:
        members.setdefault(status.id, []).append(status)
    return members


def _sum_of(members: dict[str, list[tuple[float, float]]]) -> Series:
    """The sum of what several report at different times: each counts as in its last report."""
    t = np.array(sorted({at for points in members.values() for at, _ in points}))
    total = np.zeros(len(t))
    for points in members.values():
        total += _step(*_arrays(points), t)
    return Series("", t, total)


@dataclass(frozen=True, slots=True)
class _Flow:
    """One generation of a spool: what its shoveler received and had confirmed, what collectors have seen."""

    taken_t: Array
    received: Array
    confirmed: Array
    seen_t: Array
    seen: Array


def _flows(shovelers: Sequence[ShovelerStatus], collectors: Sequence[CollectorStatus], began: float) -> list[_Flow]:
    flows = []
    for generation in {name for status in shovelers for name in status.positions}:
        taken = [
            (s.t - began, s.positions[generation].received_upto, s.positions[generation].confirmed_upto)
            for s in shovelers
            if generation in s.positions
        ]
        seen: list[tuple[float, float]] = []
        most = -1
        for status in collectors:
            if generation in status.positions:
                most = max(most, status.positions[generation].seen_upto)
                seen.append((status.t - began, most))
        if taken and seen:
            both = np.array(taken, dtype=float)
            flows.append(_Flow(both[:, 0], both[:, 1], both[:, 2], *_arrays(seen)))
    return flows


def _step(t: Array, values: Array, at: Array) -> Array:
    """The last value known at each of these times; before the first one, that."""
    if not len(t):
        return np.zeros(len(at))
    places = np.clip(np.searchsorted(t, at, "right") - 1, 0, len(t) - 1)
    found: Array = values[places]
    return found


def _drop_events(shovelers: Sequence[ShovelerStatus], began: float) -> list[Event]:
    """Flags for what kernels dropped; each drop is reported once, but may be in several messages."""
    known = {(s.id, drop.listen, drop.t_from, drop.t_to, drop.count) for s in shovelers for drop in s.drops}
    return [
        Event(
            max(begin, end - 5.0) - began if begin else end - began,
            f"kernel drops +{count:,}, {member}",
            "miss",
            "bad",
            detail=f"socket {listen or 'of the host'}, between {numbers.clock(begin or None)} and {numbers.clock(end)}",
        )
        for member, listen, begin, end, count in sorted(known, key=lambda drop: drop[3])
    ]


# ---------------------------------------------------------------- what was lost


def sure_of(request: RequestEntry) -> str:
    """How sure a cause is: ``proven`` by the numbers of its datagram, ``certain`` where the one that lost it said so,
    ``probably`` where only the rule fits, ``unknown``."""
    if request.verdict is not VerdictKind.MISSING:
        return "certain"
    if not request.lost_at or request.lost_at == "unknown":
        return "unknown"
    if not request.certain:
        return "probably"
    return "proven" if request.datagram is not None else "certain"


def groups_of(misses: Sequence[Miss], began: float) -> tuple[Group, ...]:
    """Misses by datagram, else by server and cause, each as long as it goes on."""
    open_groups: dict[tuple[Any, ...], list[Miss]] = {}
    done: list[list[Miss]] = []
    for miss in misses:
        request = miss.request
        cause = (request.lost_at, short_cause(request.cause))
        key = (request.verdict, request.lost_with or (request.server, *cause))
        group = open_groups.get(key)
        if group is not None and (request.lost_with or miss.at - group[-1].at <= TOGETHER):
            group.append(miss)
        else:
            open_groups[key] = group = [miss]
            done.append(group)
    return tuple(group_of(group, began) for group in sorted(done, key=lambda some: some[0].at))


def group_of(misses: Sequence[Miss], began: float) -> Group:
    """What is known of these misses together; `began` makes their times into those of a day."""
    requests = [miss.request for miss in misses]
    servers = list(dict.fromkeys(request.server for request in requests))
    where = servers[0] if len(servers) == 1 else f"{len(servers)} servers"
    datagrams = {request.lost_with: request.datagram for request in requests if request.datagram is not None}
    causes = list(dict.fromkeys(short_cause(request.cause) for request in requests if request.cause))
    stages = list(dict.fromkeys(request.lost_at for request in requests if request.lost_at))
    sure = {sure_of(request) for request in requests}
    facts = [("Server" if len(servers) == 1 else "Servers", ", ".join(servers[:5]) + (" …" if servers[5:] else ""))]
    detail = causes[0] if causes else _kinds(requests)
    if len(datagrams) == 1:
        (datagram,) = datagrams.values()
        first, last = datagram.after + 1, datagram.after + datagram.missing
        number = f"number {first}" if first == last else f"numbers {first} to {last}"
        detail = f"lost with datagram {first}" if first == last else f"lost with datagrams {first} to {last}"
        facts += [
            ("Stream", {"F": "f", "M": "login or name", "FM": "f, login or name"}.get(datagram.cls, datagram.cls)),
            ("Datagram", f"{number}, between {datagram.after} and {last + 1}"),
            ("Its window", f"{numbers.clock(datagram.begin)[:-4]} – {numbers.clock(datagram.end)[:-4]}"),
            ("It had", f"the {datagram.held}"),
        ]
    elif datagrams:
        facts.append(("Datagrams", f"{len(datagrams):,}"))
    if stages:
        facts.append(("Lost at", ", ".join(LOST_AT.get(stage, stage) for stage in stages[:3])))
    if causes:
        facts.append(("Cause", causes[0] + (f" and {len(causes) - 1} more" if len(causes) > 1 else "")))
    begin, end = misses[0].at, misses[-1].at
    facts.append(("Closed", f"{numbers.clock(began + begin)} – {numbers.clock(began + end)}"))
    certainty = next(word for word in ("unknown", "probably", "certain", "proven") if word in sure)
    return Group(begin, end, tuple(misses), f"{len(misses):,} at {where}", detail, certainty, tuple(facts))


def short_cause(cause: str) -> str:
    """A cause without what only concerns a single datagram."""
    return cause.partition(": ")[0]


def _kinds(requests: Sequence[RequestEntry]) -> str:
    words = dict.fromkeys(r.verdict.word.replace("_", " ") for r in requests if r.verdict is not None)
    return ", ".join(words) or "cause unknown"


# ---------------------------------------------------------------- for other programs


def csv_of(part: Part) -> str:
    """All curves of a repeat as CSV: a row for each second that any of them has a value in; empty: none then."""
    series = [(f"{lane.key} {one.name}", one) for lane in part.lanes for one in lane.series]
    columns = [dict(zip(one.t.tolist(), one.values.tolist(), strict=True)) for _, one in series]
    moments = sorted({t for column in columns for t in column})
    lines = [",".join(["seconds", *(name for name, _ in series)])]
    for t in moments:
        cells = ("" if (value := column.get(t)) is None else f"{value:g}" for column in columns)
        lines.append(",".join([f"{t:.3f}", *cells]))
    return "\n".join(lines) + "\n"
