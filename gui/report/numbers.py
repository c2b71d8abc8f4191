"""Numbers as reports show them: thousands with commas, a space before each unit, ``–`` for what is not known."""

from __future__ import annotations

from datetime import UTC, datetime

from gui.reconcile import hundredths

UNKNOWN = "–"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_VOLUMES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def count(value: float | None) -> str:
    """A whole number."""
    return UNKNOWN if value is None else f"{round(value):,}".replace("-", "−")


def average(value: float | None) -> str:
    """An average of repeats: two decimals."""
    return UNKNOWN if value is None else f"{value:,.2f}"


def success(good: int, counted: int) -> str:
    """The share of `good` in per cent with two decimals; ``100.00`` only when all are, ``0.00`` only when none is."""
    value = success_value(good, counted)
    return UNKNOWN if value is None else f"{value:.2f} %"


def success_value(good: int, counted: int) -> float | None:
    """The number that `success` shows, None when nothing was counted."""
    if counted <= 0:
        return None
    hundredths = (20_000 * good + counted) // (2 * counted)  # rounded half up, in integers
    if good < counted:
        hundredths = min(hundredths, 9_999)
    if good > 0:
        hundredths = max(hundredths, 1)
    return hundredths / 100


def share(value: float | None) -> str:
    """A percentage of ours: two decimals, ``100.00`` only when it is that, ``0.00`` only when it is."""
    return UNKNOWN if value is None else f"{hundredths(value):.2f} %"


def per_cent(value: float | None) -> str:
    """A percentage that somebody else published: two decimals."""
    return UNKNOWN if value is None else f"{value:.2f} %"


def interval(bounds: tuple[float, float] | None) -> str:
    """A 95 % interval in per cent: ``79.41 – 100 %``, ``99.957 – 99.988 %`` where it is narrow. It never reaches 100 or
    0 by rounding alone, and has two decimals at least, as the success within it has."""
    if bounds is None:
        return UNKNOWN
    decimals = 2 if bounds[1] - bounds[0] >= 0.1 else 3
    return " – ".join(_bound(bound, decimals) for bound in bounds) + " %"


def _bound(value: float, decimals: int) -> str:
    if value in (0, 100):
        return f"{value:.0f}"
    least = 10**-decimals
    return f"{min(max(value, least), 100 - least):.{decimals}f}"


def rate(value: float | None) -> str:
    """Requests per second: one decimal below 100, none above."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}/s" if abs(value) < 99.95 else f"{value:,.0f}/s"


def size(value: float | None) -> str:
    """Bytes with a binary unit and one decimal, exact below 1 KiB."""
    if value is None:
        return UNKNOWN
    amount, unit = float(value), 0
    # As it will be rounded: 1,023.96 KiB are 1.0 MiB, never 1,024.0 KiB.
    while round(abs(amount), 1 if unit else 0) >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    text = f"{amount:,.0f} B" if unit == 0 else f"{amount:,.1f} {_UNITS[unit]}"
    return text.replace("-", "−")


def volume(value: float | None) -> str:
    """Bytes as federations speak of them: a decimal unit and one decimal, exact below 1 kB."""
    if value is None:
        return UNKNOWN
    amount, unit = float(value), 0
    while round(abs(amount), 1) >= 1000 and unit < len(_VOLUMES) - 1:
        amount, unit = amount / 1000, unit + 1
    text = f"{amount:,.0f} B" if unit == 0 else f"{amount:,.1f} {_VOLUMES[unit]}"
    return text.replace("-", "−")


def exact_size(value: int) -> str:
    """Bytes to the last one."""
    return f"{value:,} B".replace("-", "−")


def delta(value: int) -> str:
    """A signed difference in bytes: ``+400 B``, ``−1,048,576 B``, ``0 B``."""
    return ("+" if value > 0 else "") + exact_size(value)


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``41 s``, ``2 min 11 s``, ``2 h 14 min``, ``6 d 3 h``."""
    if seconds is None:
        return UNKNOWN
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def latency(seconds: float | None) -> str:
    """How long something took, to three digits: ``0.412 ms``, ``3.20 ms``, ``450 ms``, ``1.25 s``, ``2 min 11 s``."""
    if seconds is None:
        return UNKNOWN
    if seconds >= 59.95:
        return duration(seconds)
    if not seconds:
        return "0 s"
    amount, unit = (seconds, "s") if seconds >= 0.9995 else (1000 * seconds, "ms")
    decimals = 0 if amount >= 99.95 else 1 if amount >= 9.995 else 2 if amount >= 0.9995 else 3
    return f"{amount:,.{decimals}f} {unit}"


def moment(t: float | None) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    if t is None:
        return UNKNOWN
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(t: float | None) -> str:
    """The time of day in UTC with milliseconds, for evidence."""
    if t is None:
        return UNKNOWN
    return datetime.fromtimestamp(t, UTC).strftime("%H:%M:%S.%f")[:-3]
