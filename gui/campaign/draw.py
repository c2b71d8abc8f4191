"""Draws the files that a round requests from each server, and the offsets: random, but always equal for equal seeds.

Each (seed, test, repeat, server, round) has its own generator, so the draw of a round depends neither on what happened
before nor on who requests it. Only ``Random.random()`` is used: its sequence is guaranteed not to change between
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
    """A file to request. `seed` determines the offsets of a range or vector read in it; `share` is the place of the
    workload in the test's mix; `own`: the request is recognised by its path, which will have its tag in it."""

    file: File
    seed: int
    share: int = 0
    own: bool = False


def draw_round(
    files: Sequence[File], count: int, *, seed: int, test: int, repeat: int, server: int, number: int
) -> list[Draw]:
    """`count` random files for round `number` of server `server` (its index in the list of chosen servers).

    No file occurs twice within a round if there are enough; otherwise all files occur equally often. Between rounds,
    files are drawn again (with replacement). Raises ValueError if there are no files."""
    if not files:
        raise ValueError("There are no files to choose from.")
    key = blake2b(f"{seed}/{test}/{repeat}/{server}/{number}".encode(), digest_size=16).digest()
    random = Random(int.from_bytes(key)).random
    chosen: list[Draw] = []
    while len(chosen) < count:
        # A partial Fisher-Yates shuffle that stores only the places it has touched: one step per file drawn, however
        # long the catalogue is.
        moved: dict[int, int] = {}
        for place in range(min(count - len(chosen), len(files))):
            other = place + int(random() * (len(files) - place))
            pick = moved.get(other, other)
            moved[other] = moved.get(place, place)
            chosen.append(Draw(files[pick], int(random() * SEEDS)))
    return chosen
