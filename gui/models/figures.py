"""Numbers and times as the window shows them: those of reports in the writing of `gui.models.writing`, and a few that
only tables and read-outs need."""

from __future__ import annotations

from gui.models.writing import writing
from gui.report import numbers

UNKNOWN = numbers.UNKNOWN
MINUS = "−"
_END_OF_TIME = 2.5e11
"""In the year 9892; calendars go to 9999."""


def count(value: float | None) -> str:
    """A whole number."""
    return writing().number(numbers.count(value))


def average(value: float | None) -> str:
    """An average of repeats: two decimals."""
    return writing().number(numbers.average(value))


def success(good: int, counted: int) -> str:
    """The share of `good`, see `gui.report.numbers`."""
    return writing().number(numbers.success(good, counted))


def interval(bounds: tuple[float, float] | None) -> str:
    """A 95 % interval in per cent."""
    return writing().number(numbers.interval(bounds))


def size(value: float | None) -> str:
    """Bytes with a binary unit and one decimal."""
    return writing().number(numbers.size(value))


def exact_size(value: int) -> str:
    """Bytes to the last one."""
    return writing().number(numbers.exact_size(value))


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``41 s``, ``2 min 11 s``, ``2 h 14 min``, ``6 d 3 h``."""
    return writing().number(numbers.duration(seconds))


def mib(value: float | None) -> str:
    """Bytes as a number of MiB with one decimal, for columns whose header has the unit."""
    return UNKNOWN if value is None else writing().number(f"{value / 2**20:,.1f}")


def rate(value: float | None) -> str:
    """A rate, for columns and axes that name the unit: one decimal below 100, none above."""
    if value is None:
        return UNKNOWN
    return writing().number(f"{value:,.1f}" if abs(value) < 99.95 else f"{value:,.0f}")


def age(seconds: float | None) -> str:
    """How long ago."""
    return UNKNOWN if seconds is None else f"{duration(seconds)} ago"


def clock(moment: float | None, *, parts: bool = True) -> str:
    """The time of day here, with milliseconds (`parts`) or in whole seconds."""
    if moment is None or not _can_be(moment):
        return UNKNOWN
    whole = writing().clock(moment)
    return f"{whole}{writing().point}{int(moment * 1000) % 1000:03d}" if parts else whole


def day(moment: float | None) -> str:
    """The day here."""
    return UNKNOWN if moment is None or not _can_be(moment) else writing().date(moment)


def day_and_time(moment: float | None) -> str:
    """The day and the time of day here, in whole seconds."""
    return UNKNOWN if moment is None or not _can_be(moment) else writing().date_and_time(moment)


def _can_be(moment: float) -> bool:
    """Whether a time, which a server may have made up, is in a year of four digits."""
    return abs(moment) < _END_OF_TIME


def milliseconds(seconds: float | None, *, signed: bool = False) -> str:
    """Latency or clock offset in whole milliseconds, with a sign if the direction matters."""
    if seconds is None:
        return UNKNOWN
    value = round(seconds * 1000)
    sign = ("+" if value > 0 else MINUS if value < 0 else "") if signed else (MINUS if value < 0 else "")
    return writing().number(f"{sign}{abs(value):,} ms")


def per_cent(value: float | None) -> str:
    """A whole percentage, for example of CPU."""
    return UNKNOWN if value is None else f"{value:.0f} %"
