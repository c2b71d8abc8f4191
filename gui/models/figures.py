"""Numbers as people read them: thousands with commas, binary bytes, true minus, a space before each unit."""

from __future__ import annotations

MINUS = "−"
UNKNOWN = "–"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def count(value: float | None) -> str:
    """A whole number with thousands; an en dash when it is not known."""
    if value is None:
        return UNKNOWN
    return f"{round(value):,}".replace("-", MINUS)


def size(value: float | None) -> str:
    """Bytes with one decimal and a binary unit: ``12.5 GiB``; below 1024 exact: ``912 B``."""
    if value is None:
        return UNKNOWN
    amount, unit = float(value), 0
    while abs(amount) >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:,.0f} B" if unit == 0 else f"{amount:,.1f} {_UNITS[unit]}"


def exact_size(value: int) -> str:
    """Bytes to the last one: ``1,048,576 B``."""
    return f"{value:,} B"


def mib(value: float | None) -> str:
    """Bytes as a number of MiB with one decimal, for columns whose header says the unit."""
    return UNKNOWN if value is None else f"{value / 2**20:,.1f}"


def rate(value: float | None) -> str:
    """Per second: one decimal below 100, none above."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``41 s``, ``2 min 11 s``, ``2 h 14 min``, ``6 d 3 h``."""
    if seconds is None:
        return UNKNOWN
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def age(seconds: float | None) -> str:
    """How long ago."""
    return UNKNOWN if seconds is None else f"{duration(seconds)} ago"


def milliseconds(seconds: float | None, *, signed: bool = False) -> str:
    """Latency or clock offset in whole milliseconds; a sign where the direction matters."""
    if seconds is None:
        return UNKNOWN
    value = round(seconds * 1000)
    sign = ("+" if value > 0 else MINUS if value < 0 else "") if signed else (MINUS if value < 0 else "")
    return f"{sign}{abs(value):,} ms"


def per_cent(value: float | None) -> str:
    """A whole percentage, as for CPU."""
    return UNKNOWN if value is None else f"{value:.0f} %"
