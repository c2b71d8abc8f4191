"""Which files a round asks of each server, and with which offsets: random, and the same for the same seed always.

Each (seed, test, repeat, server, round) has a generator of its own, so a round is drawn alike whatever happened before
it and whoever will ask for it. Only ``Random.random()`` is used: its sequence is promised not to change between
versions of Python, unlike that of ``sample`` or ``shuffle``.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from gui.campaign.plan import File

SEEDS = 2**53


class Draw(NamedTuple):
    """A file to ask for. `seed` fixes the offsets of a range or vector read in it."""

    file: File
    seed: int


def draw_round(
    files: Sequence[File], count: int, *, seed: int, test: int, repeat: int, server: int, number: int
) -> list[Draw]:
    """`count` random files for round `number` of server `server` (its place in the list of chosen servers).

    No file twice within a round as long as there are enough; beyond that, all files come equally often. Between
    rounds, files are drawn anew (with replacement). ValueError when there are no files."""
    if not files:
        raise ValueError("There are no files to choose from.")
    key = blake2b(f"{seed}/{test}/{repeat}/{server}/{number}".encode(), digest_size=16).digest()
    random = Random(int.from_bytes(key)).random
    chosen: list[Draw] = []
    while len(chosen) < count:
        # A partial Fisher-Yates shuffle that remembers only the places it has touched: one step per file drawn,
        # however long the catalogue is.
        moved: dict[int, int] = {}
        for place in range(min(count - len(chosen), len(files))):
            other = place + int(random() * (len(files) - place))
            pick = moved.get(other, other)
            moved[other] = moved.get(place, place)
            chosen.append(Draw(files[pick], int(random() * SEEDS)))
    return chosen
