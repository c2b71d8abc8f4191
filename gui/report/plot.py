"""Plots as lists of strokes and labels, in px from the top left; `svg` and `pdf` draw them. Pure.

Colours are named by *role* (``recorded``, ``grid``, …); whoever draws decides what they look like in light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log, log10
from typing import Literal, TypeVar

from gui.reconcile import Moment
from gui.report import numbers
from gui.report.content import RepeatReport, RunReport
from gui.report.words import bounded
from gui.store import MarkerRow

Sample = TypeVar("Sample")
Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]

MAX_POINTS = 400
"""Of a line; more cannot be seen at this width. Samples in between are left out, the last one never."""
WIDTH, HEIGHT = 720.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 28.0, 40.0, 26.0
MAX_FLAGS = 12


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through `points`."""

    points: tuple[Point, ...]
    role: str
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon, at a fifth of its colour."""

    points: tuple[Point, ...]
    role: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    role: str


@dataclass(frozen=True, slots=True)
class Label:
    """Text whose `anchor` is at (x, y), on the base line."""

    x: float
    y: float
    text: str
    role: str = "axis"
    anchor: Anchor = "start"


Item = Stroke | Area | Dot | Label


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot. `text` says in words what it shows, for who cannot see it."""

    width: float
    height: float
    title: str
    text: str
    items: tuple[Item, ...]


def converging(title: str, repeat: RepeatReport, markers: Sequence[MarkerRow]) -> Picture | None:
    """Requests made, read and recorded over the time of a repeat; None when there are no samples to draw."""
    counted = [
        (sample.t, {"requested": sample.requested, "read": sample.read, "recorded": sample.recorded})
        for sample in repeat.samples
        if sample.requested is not None and sample.read is not None and sample.recorded is not None
    ]
    samples = thin(counted)
    if len(samples) < 2:
        return None
    begin, end = samples[0][0], samples[-1][0]
    top = max(1, max(counts["requested"] for _, counts in samples))
    ticks = axis(top)
    highest = max(top, ticks[-1])

    def x(t: float) -> float:
        return _LEFT + (t - begin) / (end - begin) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - value / highest * (HEIGHT - _TOP - _BOTTOM)

    def line(name: str) -> tuple[Point, ...]:
        return tuple((x(t), y(counts[name])) for t, counts in samples)

    items: list[Item] = []
    for tick in ticks:
        items.append(Stroke(((_LEFT, y(tick)), (WIDTH - _RIGHT, y(tick))), "grid"))
        items.append(Label(_LEFT - 8, y(tick) + 4, f"{tick:,.0f}", anchor="end"))
    items += _time_axis(begin, end, x)
    read, recorded = line("read"), line("recorded")
    items.append(Area((*read, *reversed(recorded)), "recorded"))
    items.append(Stroke(line("requested"), "requested", 1.25, (4, 3)))
    items.append(Stroke(read, "read", 1.75))
    items.append(Stroke(recorded, "recorded", 2.25))
    items += _flags([m for m in markers if m.kind != "round" and begin <= m.t <= end], x)
    items += _legend([("requested", "requested"), ("read", "read"), ("recorded", "recorded")])
    last = samples[-1][1]
    words = (
        f"{title}: after {numbers.duration(end - begin)} {last['requested']:,} requested, "
        f"{last['read']:,} read, {last['recorded']:,} recorded."
    )
    return Picture(WIDTH, HEIGHT, title, words, tuple(items))


def latencies(title: str, moments: Sequence[Moment], markers: Sequence[MarkerRow]) -> Picture | None:
    """Percentiles of the time of requests over the time of a test; None when too little is known to draw."""
    curves = [
        ("median", "read", [(one, one.p50) for one in moments]),
        ("95 %", "recorded", [(one, one.p95) for one in moments]),
        ("99 %", "requested", [(one, one.p99) for one in moments]),
    ]
    worst = max((one.p99 for one in moments if one.p99 is not None), default=0.0)
    words = f"the largest 99th percentile is {numbers.latency(worst)}"
    return _stepped(title, words, curves, markers, numbers.latency)


def throughput(title: str, moments: Sequence[Moment], markers: Sequence[MarkerRow]) -> Picture | None:
    """Bytes per second over the time of a test, or requests per second where no bytes were measured; None when too
    little is known to draw."""
    if any(one.bytes_read for one in moments):
        per_second = [(one, None if one.bytes_read is None else one.bytes_read / one.seconds) for one in moments]
        most = max(value for _, value in per_second if value is not None)
        return _stepped(
            title,
            f"at most {numbers.size(most)}/s were read",
            [("bytes read per second", "read", per_second)],
            markers,
            lambda value: f"{numbers.size(value)}/s",
            scale=1024.0 ** max(0, floor(log(most, 1024))) if most >= 1 else 1.0,
        )
    ended = [(one, one.requests / one.seconds) for one in moments]
    words = f"at most {numbers.rate(max((value for _, value in ended), default=0.0))} ended"
    return _stepped(title, words, [("requests ended per second", "recorded", list(ended))], markers, numbers.rate)


Curve = Sequence[tuple[Moment, float | None]]


def _stepped(
    title: str,
    words: str,
    curves: Sequence[tuple[str, str, Curve]],
    markers: Sequence[MarkerRow],
    shown: Callable[[float], str],
    scale: float = 1.0,
) -> Picture | None:
    """Curves of values that hold for a stretch of time each: flat over it, with a gap where nothing is known. The axis
    is round in units of `scale`."""
    values = [value for _, _, curve in curves for _, value in curve if value is not None]
    moments = [one for _, _, curve in curves for one, value in curve if value is not None]
    if len({one.t for one in moments}) < 2 or max(values) <= 0:
        return None
    begin, end = min(one.t for one in moments), max(one.t + one.seconds for one in moments)
    ticks = [tick * scale for tick in axis(max(values) / scale)]

    def x(t: float) -> float:
        return _LEFT + (t - begin) / (end - begin) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - value / ticks[-1] * (HEIGHT - _TOP - _BOTTOM)

    items: list[Item] = []
    for tick in ticks:
        items.append(Stroke(((_LEFT, y(tick)), (WIDTH - _RIGHT, y(tick))), "grid"))
        items.append(Label(_LEFT - 6, y(tick) + 4, shown(tick), anchor="end"))
    items += _time_axis(begin, end, x)
    for _, role, curve in curves:
        items += [Stroke(tuple(points), role, 1.75) for points in _steps(curve, x, y)]
    items += _flags([m for m in markers if m.kind != "round" and begin <= m.t <= end], x)
    items += _legend([(name, role) for name, role, _ in curves], dashed=False)
    return Picture(WIDTH, HEIGHT, title, f"{title}: {words}.", tuple(items))


def _steps(curve: Curve, x: Callable[[float], float], y: Callable[[float], float]) -> Iterator[list[Point]]:
    points: list[Point] = []
    until = None
    for one, value in curve:
        if value is None or one.t != until:
            if points:
                yield points
            points = []
        if value is not None:
            points += [(x(one.t), y(value)), (x(one.t + one.seconds), y(value))]
            until = one.t + one.seconds
    if points:
        yield points


def intervals(report: RunReport) -> Picture | None:
    """Success of each test with its 95 % interval, on a scale that ends at 100 % and begins where all are within; None
    when there is nothing to draw."""
    tests = [test for test in report.tests if test.now.interval is not None and test.now.success is not None]
    if not tests:
        return None
    row, left = 24.0, 150.0
    height = _TOP + row * len(tests) + _BOTTOM
    lowest = min(test.now.interval[0] for test in tests if test.now.interval is not None)
    bottom = next(begin for begin in (99.0, 95.0, 90.0, 50.0, 0.0) if begin <= lowest)

    def x(per_cent: float) -> float:
        return left + (per_cent - bottom) / (100 - bottom) * (WIDTH - left - _RIGHT - 40)

    items: list[Item] = []
    for step in range(5):
        tick = bottom + (100 - bottom) * step / 4
        items.append(Stroke(((x(tick), _TOP - 8), (x(tick), height - _BOTTOM)), "grid"))
        items.append(Label(x(tick), height - 8, f"{tick:.2f} %", anchor="middle"))
    for place, test in enumerate(tests):
        assert test.now.interval is not None
        assert test.now.success is not None
        y = _TOP + row * place + row / 2
        role = "ok" if test.now.conclusion == "pass" else "bad"
        spec = test.entry.spec
        items.append(
            Label(left - 12, y + 4, _short(spec.name or f"{spec.servers} × {spec.files_per_server}", 22), "text", "end")
        )
        low, high = (x(bound) for bound in test.now.interval)
        items.append(Stroke(((low, y), (high, y)), role, 1.25))
        items += [Stroke(((bound, y - 4), (bound, y + 4)), role, 1.25) for bound in (low, high)]
        items.append(Dot(x(test.now.success), y, 3.5, role))
    items.append(Label(left, 16, f"Success with 95 % interval, {bottom:g} to 100 %", "text"))
    words = "; ".join(
        f"{t.entry.spec.name or t.entry.number}: {numbers.success(t.now.good, t.now.counted)}" for t in tests
    )
    return Picture(WIDTH, height, "Success", f"Success with 95 % interval. {words}.", tuple(items))


def thin(samples: Sequence[Sample]) -> list[Sample]:
    """At most `MAX_POINTS` samples, evenly, first and last included."""
    if len(samples) <= MAX_POINTS:
        return list(samples)
    step = (len(samples) - 1) / (MAX_POINTS - 1)
    return [samples[round(place * step)] for place in range(MAX_POINTS)]


def axis(top: float, wanted: int = 4) -> list[float]:
    """Round values from 0 to at least `top`, about `wanted` steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = max(top, 1e-9) / wanted
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999999)
    ticks = [0.0]
    while ticks[-1] < top * 0.999999:
        ticks.append(ticks[-1] + step)
    return ticks


def _time_axis(begin: float, end: float, x: Callable[[float], float]) -> list[Item]:
    items: list[Item] = []
    steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400]
    step = next((s for s in steps if (end - begin) / s <= 8), 7 * 86400)
    t = 0
    while begin + t <= end:
        place = x(begin + t)
        items.append(Stroke(((place, _TOP), (place, HEIGHT - _BOTTOM)), "grid"))
        items.append(Label(place, HEIGHT - 8, f"{t // 60:02}:{t % 60:02}", anchor="middle"))
        t += step
    return items


def _flags(markers: Sequence[MarkerRow], x: Callable[[float], float]) -> list[Item]:
    items: list[Item] = []
    for place, marker in enumerate(markers[:MAX_FLAGS]):
        at = x(marker.t)
        role = "bad" if marker.kind == "fault" else "text2"
        items.append(Stroke(((at, _TOP), (at, HEIGHT - _BOTTOM)), role, 1.0, (3, 3)))
        words = _short(marker.text, 28)
        right = at > WIDTH * 0.7
        items.append(Label(at - 4 if right else at + 4, _TOP + 12 + 14 * (place % 4), words, role,
                           "end" if right else "start"))  # fmt: skip
    if len(markers) > MAX_FLAGS:
        items.append(Label(WIDTH - _RIGHT, _TOP - 4, f"+{len(markers) - MAX_FLAGS} events", "text2", "end"))
    return items


def _short(words: str, limit: int) -> str:
    return bounded(words, limit)


def _legend(entries: Sequence[tuple[str, str]], *, dashed: bool = True) -> list[Item]:
    items: list[Item] = []
    at = _LEFT
    for word, role in entries:
        dash = (4.0, 3.0) if dashed and role == "requested" else ()
        items.append(Stroke(((at, 16), (at + 20, 16)), role, 2.0, dash))
        items.append(Label(at + 26, 20, word, "text"))
        at += 110
    return items
