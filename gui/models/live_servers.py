"""What is new about each server of a run, in words: silent, slow, wrong records; and in which order servers are shown.
No toolkit.

A server is *slow* when it has delivered less than half of the median of all servers for ten seconds or more, as the
clients have measured it; *silent* when requests wait for it and it does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gui.campaign.selection import name_order
from gui.models import figures
from gui.models.series import Array
from gui.runner.progress import ServerRow

SLOW_SHARE, SLOW_SECONDS, SMOOTH_SECONDS = 0.5, 10, 5
LEAST_SERVERS = 3
"""With fewer servers there is no median that a slow one would not move."""

Order = Literal["name", "rate", "gap", "slowest"]
ORDERS: tuple[tuple[Order, str], ...] = (
    ("name", "by name"),
    ("rate", "by rate"),
    ("gap", "by gap"),
    ("slowest", "slowest first"),
)


@dataclass(frozen=True, slots=True)
class News:
    """The state of a server: icon, word and colour (names of the theme). `rank`: 0 for nothing new, larger is worse."""

    icon: str
    word: str
    colour: str
    rank: int


UP, WAITING = News("dot", "up", "ok", 0), News("ring", "not asked yet", "mute", 0)


def slow_seconds(rates: Array) -> list[int]:
    """For how many seconds each server has been slow until now, 0 if it is not. `rates` (servers, seconds): NaN where
    nothing was measured, which ends a slowness."""
    servers, seconds = rates.shape
    if servers < LEAST_SERVERS or not seconds:
        return [0] * servers
    known = ~np.isnan(rates)
    sums = np.cumsum(np.where(known, rates, 0.0), axis=1)
    counts = np.cumsum(known, axis=1)
    sums[:, SMOOTH_SECONDS:] -= sums[:, :-SMOOTH_SECONDS].copy()
    counts[:, SMOOTH_SECONDS:] -= counts[:, :-SMOOTH_SECONDS].copy()
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    measured = ~np.isnan(mean).all(axis=0)
    middle = np.zeros(seconds)
    if measured.any():
        middle[measured] = medians(mean[:, measured])
    with np.errstate(invalid="ignore"):
        slow = (mean < SLOW_SHARE * middle) & (middle > 0)
    result = []
    for row in slow:
        quick = np.flatnonzero(~row)
        length = seconds - 1 - int(quick[-1]) if quick.size else seconds
        result.append(length if length >= SLOW_SECONDS else 0)
    return result


def medians(values: Array) -> Array:
    """The median of each column; each has a value that is not NaN.

    OPTIMISATION: numpy's `nanmedian` imports `numpy.ma` when it is first called, in the middle of a run: 20 ms."""
    ordered_values = np.sort(values, axis=0)  # NaN comes last
    known = np.count_nonzero(~np.isnan(values), axis=0)
    columns = np.arange(values.shape[1])
    return np.asarray((ordered_values[(known - 1) // 2, columns] + ordered_values[known // 2, columns]) / 2)


def news(row: ServerRow, slow: int, now: float) -> News:
    """What is to be said of this server; the worst only."""
    if row.silent_since is not None:
        return News("bad", f"silent for {rough(max(0.0, now - row.silent_since))}", "bad", 4)
    if row.wrong:
        return News("warn", f"{figures.count(row.wrong)} wrong", "bad", 3)
    if row.failed:
        return News("cfail", f"{figures.count(row.failed)} failed", "mute", 2)
    if slow and row.requested > row.read + row.failed:  # one that has done its part of a round delivers nothing, either
        return News("warn", f"slow for {rough(float(slow))}", "warn", 1)
    if not row.read and not row.recorded:
        return WAITING
    return UP


def rough(seconds: float) -> str:
    """A duration in one unit, for a narrow column: ``80 s``, ``12 min``, ``3 h``."""
    for unit, length in (("s", 1), ("min", 60)):
        if seconds < 100 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 3600:.0f} h"


def ordered(order: Order, names: Sequence[str], rows: dict[str, ServerRow], rates: Array) -> list[int]:
    """The places of these servers in this order, the first to be shown first; equal ones by name."""
    by_name = sorted(range(len(names)), key=lambda place: name_order(names[place]))
    if order == "name":
        return by_name
    if order == "gap":
        return sorted(by_name, key=lambda place: -(rows[names[place]].gap if names[place] in rows else -1))
    recent = rates[:, -30:]
    mean = [float(np.nanmean(row)) if (~np.isnan(row)).any() else None for row in recent]
    sign = -1 if order == "rate" else 1
    known = [place for place in by_name if mean[place] is not None]
    return sorted(known, key=lambda place: sign * (mean[place] or 0.0)) + [p for p in by_name if mean[p] is None]


def summary(found: Sequence[News]) -> str:
    """``2 slow, 1 silent``: what there is to look at; empty if all is well."""
    counts = dict.fromkeys(("silent", "wrong", "failed", "slow"), 0)
    ranks = {4: "silent", 3: "wrong", 2: "failed", 1: "slow"}
    for one in found:
        if one.rank:
            counts[ranks[one.rank]] += 1
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
