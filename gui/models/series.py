"""Samples prepared for drawing: arrays with a column for each second. No toolkit."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gui.runner.progress import SamplePoint

Array = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


class Curves:
    """The time axis of a run as arrays: a column for each second from the first point on, NaN for unknown values.

    `update` reads only the points that are new or have changed since the last call: an hour of fifty servers is too
    much to read at each beat."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all points, for another run."""
        self.first = 0.0
        """Start of the first column (Unix seconds)."""
        self.rates: Array = np.empty((0, 0))
        """(servers, seconds): bytes per second."""
        self.said: Array = np.empty((0, 0))
        """(servers, seconds): the same by what servers say of themselves."""
        self.missing: Marks = np.empty((0, 0), dtype=bool)
        """(servers, seconds): should have been measured but was not."""
        self.counts: Array = np.empty((3, 0))
        """Requested, read and recorded of the repeat at that time."""
        self._points: dict[float, SamplePoint] = {}

    def update(self, points: Sequence[SamplePoint], servers: int) -> None:
        """Add these points, in time order, for this number of servers."""
        if not points:
            self.clear()
            return
        seconds = round(points[-1].t - points[0].t) + 1
        if points[0].t != self.first or servers != len(self.rates) or seconds < self.rates.shape[1]:
            self._points.clear()
            self.first = points[0].t
            self._room(servers, 0)
        if seconds > self.rates.shape[1]:
            self._room(servers, seconds)
        for point in points:
            if self._points.get(point.t) is not point:
                self._points[point.t] = point
                self._put(point)

    def _room(self, servers: int, seconds: int) -> None:
        rates, said, missing, counts = self.rates, self.said, self.missing, self.counts
        self.rates = np.full((servers, seconds), np.nan)
        self.said = np.full((servers, seconds), np.nan)
        self.missing = np.zeros((servers, seconds), dtype=bool)
        self.counts = np.full((3, seconds), np.nan)
        if seconds:
            kept = rates.shape[1]
            self.rates[:, :kept], self.said[:, :kept] = rates, said
            self.missing[:, :kept], self.counts[:, :kept] = missing, counts

    def _put(self, point: SamplePoint) -> None:
        column = round(point.t - self.first)
        known = len(point.rates)
        self.rates[:known, column] = np.array(point.rates, dtype=float)  # None becomes NaN
        self.said[: len(point.said), column] = np.array(point.said, dtype=float)
        self.missing[:, column] = False
        self.missing[list(point.missing), column] = True
        self.counts[:, column] = np.array((point.requested, point.read, point.recorded), dtype=float)


@dataclass(frozen=True, slots=True)
class PlotTable:
    """The rates of a run, to be written to a file: seconds since the start, and (servers, seconds) in MiB/s."""

    names: tuple[str, ...]
    times: Array
    clients: Array
    records: Array

    def write(self, path: Path) -> None:
        """As CSV, a line for each second and server; what nobody measured is empty. Blocking. Raises OSError."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["second", "server", "mib_per_second_clients", "mib_per_second_records"])
            # A spreadsheet would take a name that begins like this for a formula.
            safe = [f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name for name in self.names]
            for place, second in enumerate(self.times):
                for name, measured, said in zip(safe, self.clients[:, place], self.records[:, place], strict=True):
                    writer.writerow(
                        [f"{second:g}", name, *("" if v != v else round(float(v), 3) for v in (measured, said))]
                    )


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{round(float(value), 3)}"


def round_top(peak: float, top: float = 1.0) -> float:
    """The end of the scale: 1, 2, 4, 8 …, never below `top`, so that it never shrinks during a run."""
    while top < peak:
        top *= 2
    return top
