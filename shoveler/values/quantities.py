"""Durations and sizes: one grammar for settings, options and plans, and how they are shown.

    duration   "90s"  "24h"  "1h30m"  "1.5m"  "250 ms"  "1w"   or a number of seconds
    size       "64MiB"  "10 GB"  "10G"  "1.5K"  "3 B"          or a whole number of bytes

Units are ms, s, m or min, h, d, w, and B, K…T or KiB…TiB (powers of 1024), KB…TB (powers of 1000), in either case.
"""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d|w)\s*", re.IGNORECASE)
_BYTES = {"": 1, "B": 1}
for _n, _letter in enumerate("KMGT", 1):
    _BYTES |= {f"{_letter}IB": 1024**_n, f"{_letter}B": 1000**_n, _letter: 1024**_n}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
LONGEST = 1e12
"""Seconds; a longer duration is a mistake."""


def parse_duration(value: object) -> float:
    """Seconds. ValueError says what was expected."""
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.strip()
        parts = _PART.findall(text)
        if _NUMBER.fullmatch(text):
            seconds = float(text)
        elif parts and not _PART.sub("", text):
            seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    if seconds is None or not 0 <= seconds < LONGEST:  # which also keeps out nan and inf
        raise ValueError(f'expected a duration such as "90s", "24h" or "1h30m", got {value!r}')
    return seconds


def parse_size(value: object) -> int:
    """Bytes. ValueError says what was expected."""
    size: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is not None and match[2].upper() in _BYTES:
            size = int(match[1]) * _BYTES[match[2].upper()] if match[1].isdigit() else _fraction(match)
    if size is None or size < 0 or size != int(size):
        raise ValueError(f'expected a size such as "64MiB" or "10GB", got {value!r}')
    return int(size)


def _fraction(match: re.Match[str]) -> float:
    return float(match[1]) * _BYTES[match[2].upper()]


def format_duration(seconds: float) -> str:
    """The shortest way to write it, exact to the nanosecond: ``"90s"``, ``"0.25s"``, ``"24h"``."""
    for unit, factor in (("h", 3600.0), ("m", 60.0)):
        # "90s" reads better than "1.5m" and "60s" than "1m", but "24h" better than "86400s".
        if seconds % factor == 0 and seconds >= (2 * factor if unit == "m" else factor):
            return f"{int(seconds / factor)}{unit}"
    exact = f"{seconds:.9f}".rstrip("0").rstrip(".")
    return f"{exact}s"


def format_size(size: int) -> str:
    """``"1 MiB"`` where that is exact, else the number of bytes with ``B``."""
    for unit, factor in _UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def about_size(size: float) -> str:
    """Rounded for reading: ``"781.2 MiB"``."""
    for unit, factor in _UNITS:
        # As it would be rounded in the unit below: never 1,024.0 KiB.
        if round(1024 * size / factor, 0 if factor == 1024 else 1) >= 1024:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,.0f} B"


def about_duration(seconds: float) -> str:
    """Rounded for reading: ``"12 s"``, ``"4 min"``, ``"2.5 h"``, ``"3 days"``."""
    if seconds < 90:
        return f"{seconds:,.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:,.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{round(seconds / 86400, 1):,g} days"


_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
