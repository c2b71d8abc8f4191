"""Sets of numbers as sorted ranges (first, last), both included: what was sent, was seen, or is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers in the fewest ranges, in order. Empty ranges (last below first) are left out."""
    found: list[Range] = []
    for first, last in sorted(pair for pair in ranges if pair[0] <= pair[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def without(ranges: Sequence[Range], taken: Sequence[Range]) -> list[Range]:
    """The numbers of `ranges` that are not in `taken`; both are `merged`, and so is the result."""
    left: list[Range] = []
    place = 0
    for start, last in ranges:
        first = start
        while place < len(taken) and taken[place][1] < first:
            place += 1
        at = place
        while at < len(taken) and taken[at][0] <= last:
            if first < taken[at][0]:
                left.append((first, taken[at][0] - 1))
            first = taken[at][1] + 1
            at += 1
        if first <= last:
            left.append((first, last))
    return left


def size(ranges: Iterable[Range]) -> int:
    """The count of numbers."""
    return sum(last - first + 1 for first, last in ranges)


def seen_ranges(upto: int, holes: Iterable[Range]) -> list[Range]:
    """What a reader has seen that has read up to `upto`, except for `holes`."""
    return without([(0, upto)], merged(holes))
