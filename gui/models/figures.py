"""Numbers as the window shows them: those of reports, and a few that only tables and read-outs need."""

from __future__ import annotations

import time

from gui.report.numbers import UNKNOWN, average, count, duration, exact_size, interval, size, success

__all__ = [
    "UNKNOWN",
    "age",
    "average",
    "clock",
    "count",
    "day_and_time",
    "duration",
    "exact_size",
    "interval",
    "mib",
    "milliseconds",
    "per_cent",
    "rate",
    "size",
    "success",
]

MINUS = "−"


def mib(value: float | None) -> str:
    """Bytes as a number of MiB with one decimal, for columns whose header has the unit."""
    return UNKNOWN if value is None else f"{value / 2**20:,.1f}"


def rate(value: float | None) -> str:
    """A rate, for columns and axes that name the unit: one decimal below 100, none above."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}" if abs(value) < 99.95 else f"{value:,.0f}"


def age(seconds: float | None) -> str:
    """How long ago."""
    return UNKNOWN if seconds is None else f"{duration(seconds)} ago"


def clock(moment: float | None, *, parts: bool = True) -> str:
    """The time of day here, with milliseconds (`parts`) or in whole seconds."""
    if moment is None:
        return UNKNOWN
    whole = time.strftime("%H:%M:%S", time.localtime(moment))
    return f"{whole}.{int(moment * 1000) % 1000:03d}" if parts else whole


def day_and_time(moment: float | None) -> str:
    """The day and the time of day here, in whole seconds."""
    return UNKNOWN if moment is None else time.strftime("%d %b %Y %H:%M:%S", time.localtime(moment))


def milliseconds(seconds: float | None, *, signed: bool = False) -> str:
    """Latency or clock offset in whole milliseconds, with a sign if the direction matters."""
    if seconds is None:
        return UNKNOWN
    value = round(seconds * 1000)
    sign = ("+" if value > 0 else MINUS if value < 0 else "") if signed else (MINUS if value < 0 else "")
    return f"{sign}{abs(value):,} ms"


def per_cent(value: float | None) -> str:
    """A whole percentage, for example of CPU."""
    return UNKNOWN if value is None else f"{value:.0f} %"
