"""Samples as they are drawn: arrays of a fixed beat. No toolkit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def by_second(times: Array, values: Array, *, hold: int = 3) -> Array:
    """`values` (servers, n) at `times` (n,) seconds, as (servers, seconds): one column a second from 0.

    A second without a sample takes the last one before it, for at most `hold` seconds; then it is NaN: not measured."""
    if not times.size:
        return np.empty((values.shape[0], 0))
    columns = np.maximum(times.astype(np.intp), 0)
    grid = np.full((values.shape[0], int(columns.max()) + 1), np.nan)
    grid[:, columns] = values
    sampled = np.zeros(grid.shape[1], dtype=bool)
    sampled[columns] = True
    last = np.maximum.accumulate(np.where(sampled, np.arange(grid.shape[1]), -hold - 1))
    held = ~sampled & (np.arange(grid.shape[1]) - last <= hold)
    grid[:, held] = grid[:, last[held]]
    return grid


def round_top(peak: float, top: float = 1.0) -> float:
    """The end of the scale: 1, 2, 4, 8 …, never below `top`, so that it is only ever raised during a run."""
    while top < peak:
        top *= 2
    return top
