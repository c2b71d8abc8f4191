"""Runs whose true loss is known, drawn at random: datagrams of 9 to 11 closes of one server, of which some are lost.

A run asks each of M servers for K files in each of R repeats, as the plans do. What takes datagrams is one of `LOSSES`;
each has the same share lost in the long run, but not in the same clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log
from typing import Any

import numpy as np

from gui.reconcile import Pattern, Share, share_of

Lost = Any  # np.ndarray of bool: run, repeat, server, datagram
SMALLEST, LARGEST = 9, 11
BURST = 3.0
"""Datagrams that a burst takes, on average; one in sixty takes more than ten."""
MOMENT = 1.5
"""Datagrams of each server that are lost when all servers lose at once, on average."""


@dataclass(frozen=True)
class Size:
    """What a test asks for."""

    servers: int
    files: int
    repeats: int
    per_round: int = 20

    def __str__(self) -> str:
        return f"{self.servers}×{self.files}, {self.repeats} repeat{'s' * (self.repeats > 1)}"

    @property
    def rounds(self) -> list[int]:
        return [min(self.per_round, self.files - begun) for begun in range(0, self.files, self.per_round)]

    @property
    def requests(self) -> int:
        return self.servers * self.files * self.repeats

    def shape(self, runs: int) -> tuple[int, int, int, int]:
        return runs, self.repeats, self.servers, ceil(self.files / SMALLEST)


def _each(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Lost:
    return rng.random(shape) < rate


def _bursts(rng: np.random.Generator, shape: tuple[int, ...], rate: float, mean: float = BURST) -> Lost:
    """Bursts begin at random, also before the first datagram; their length is geometric."""
    before = ceil(8 * mean)
    long = (*shape[:-1], shape[-1] + before)
    begins = rng.random(long) < -log(1 - rate) / mean
    places = np.arange(long[-1])
    reach = np.maximum.accumulate(np.where(begins, places + rng.geometric(1 / mean, long), 0), axis=-1)
    return (reach > places)[..., before:]


def _one_server(rng: np.random.Generator, shape: tuple[int, ...], rate: float, *, always_the_same: bool) -> Lost:
    runs, repeats, servers, datagrams = shape
    lost = np.zeros(shape, bool)
    bad = np.zeros(runs, int) if always_the_same else rng.integers(0, servers, runs)
    lost[np.arange(runs), :, bad, :] = rng.random((runs, repeats, datagrams)) < rate * servers
    return lost


def _half_a_repeat(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Lost:
    bad = rng.random((*shape[:-1], 1)) < 2 * rate
    return bad & (rng.random(shape) < 0.5)


def _all_at_once(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Lost:
    runs, repeats, _, datagrams = shape
    return np.broadcast_to(_bursts(rng, (runs, repeats, 1, datagrams), rate, MOMENT), shape)


LOSSES: dict[str, Callable[[np.random.Generator, tuple[int, ...], float], Lost]] = {
    "each datagram by itself": _each,
    "bursts of one server": _bursts,
    "one bad server, the same in both runs": lambda rng, shape, rate: _one_server(
        rng, shape, rate, always_the_same=True
    ),
    "one bad server, another in each run": lambda rng, shape, rate: _one_server(
        rng, shape, rate, always_the_same=False
    ),
    "a server loses half of a repeat": _half_a_repeat,
    "all servers at once": _all_at_once,
}
BEYOND = ("all servers at once",)
"""Of these a run of a few seconds cannot know how often they come: the single run's interval is not held to them."""


def possible(loss: str, size: Size, rate: float) -> bool:
    """Whether one bad server can lose as much as that."""
    return not loss.startswith("one bad server") or rate * size.servers <= 1


def runs(rng: np.random.Generator, loss: str, size: Size, rate: float, count: int) -> Iterator[Share]:
    """`count` runs of that size and true loss, each as `gui.reconcile` sees it."""
    left = count
    while left:
        some = min(left, max(1, 2_000_000 // size.requests))
        left -= some
        yield from _some(rng, loss, size, rate, some)


def _some(rng: np.random.Generator, loss: str, size: Size, rate: float, count: int) -> Iterator[Share]:
    shape = size.shape(count)
    lost = LOSSES[loss](rng, shape, rate)
    ends = np.minimum(np.cumsum(rng.integers(SMALLEST, LARGEST + 1, shape), axis=-1), size.files)
    edges = [min(begun, size.files) for begun in range(0, size.files + size.per_round, size.per_round)]
    begins = np.concatenate([np.zeros((*shape[:-1], 1), int), ends[..., :-1]], axis=-1)
    by_round = np.stack(
        [
            (np.clip(np.minimum(ends, high) - np.maximum(begins, low), 0, None) * lost).sum(axis=-1)
            for low, high in pairwise(edges)
        ],
        axis=-1,
    )
    for run in by_round:
        yield share_of(
            [
                Pattern(
                    size.servers * size.files,
                    size.servers,
                    size.rounds,
                    {(int(s), int(r)): int(repeat[s, r]) for s, r in zip(*repeat.nonzero(), strict=True)},
                )
                for repeat in run
            ]
        )
