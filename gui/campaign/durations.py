"""Durations and sizes as people write them in a plan: ``"90s"``, ``"1.5m"``, ``"64 KiB"``, or a bare number."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "": 1,
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def parse_duration(value: object) -> float:
    """Seconds from ``"1m"``, ``"500ms"``, or a number of seconds. ValueError says what was expected."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
        unit = match.group(2).lower() if match else ""
        if match is None or (unit not in _UNITS and unit):
            raise ValueError(f'expected a duration such as "90s", "1.5m" or "500ms", not {value!r}')
        seconds = float(match.group(1)) * _UNITS[unit or "s"]
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"expected a duration of 0 or more seconds, not {value!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest way to write it, exact to the nanosecond: ``"90s"``, ``"0.25s"``, ``"24h"``."""
    for unit, factor in (("h", 3600.0), ("m", 60.0)):
        # "90s" reads better than "1.5m" and "60s" than "1m", but "24h" better than "86400s".
        if seconds % factor == 0 and seconds >= (2 * factor if unit == "m" else factor):
            return f"{int(seconds / factor)}{unit}"
    exact = f"{seconds:.9f}".rstrip("0").rstrip(".")
    return f"{exact}s"


def parse_size(value: object) -> int:
    """Bytes from ``"1 MiB"``, ``"64KB"``, or a whole number of bytes. ValueError says what was expected."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None or match.group(2).lower() not in _SIZES:
            raise ValueError(f'expected a size such as 4096, "64 KiB" or "1 MiB", not {value!r}')
        exact = float(match.group(1)) * _SIZES[match.group(2).lower()]
        size = int(exact)
        if size != exact:
            raise ValueError(f"expected a whole number of bytes, not {value!r}")
    if size < 0:
        raise ValueError(f"expected a size of 0 or more bytes, not {value!r}")
    return size


def format_size(size: int) -> str:
    """``"1 MiB"`` where that is exact, else the number of bytes as text with ``B``."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def about_size(size: float) -> str:
    """Rounded for reading: ``"781.2 MiB"``."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,.0f} B"


def about_duration(seconds: float) -> str:
    """Rounded for reading: ``"12 s"``, ``"4 min"``, ``"2.5 h"``."""
    if seconds < 90:
        return f"{seconds:,.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds / 3600:,.1f} h"
