"""How certain a success percentage is, and whether two differ by more than chance. Pure; docs/results.md explains why.

Losses come in clusters: a lost datagram takes the closes of some ten requests, a burst takes several datagrams, an
outage takes a server. An interval that treats lost requests as independent (such as Wilson's) is three times too
narrow. So this module measures how many requests are lost *together*, and counts everything in that unit:

- `spread` is the variance of the number lost, as the clusters give it: of the same server from repeat to repeat, or
  from one piece of a repeat to another, whichever is larger; and what servers lose at the same time beyond that.
- The **unit** is `spread` ÷ (lost × share that was not lost): 1 when requests are lost independently, 10 when datagrams
  of ten are. Where little was lost the clusters say little, so one more loss of an assumed size is always included.
- Total and lost, divided by the unit, are an effective sample (Korn and Graubard, 1998); its bounds are the exact ones
  of Clopper and Pearson, which also hold where nothing was lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, lgamma, log, log1p, nextafter, sqrt

PIECES = 5
"""The most pieces, of whole rounds, that a repeat is cut into, to tell a steady loss from a burst."""
_LEAST = 20
"""The fewest requests of a server in a piece: about two datagrams, or most datagrams would span two pieces."""
DATAGRAM = 11
"""Requests lost with one datagram (9 to 11 in the lab). A comparison assumes one such loss more: it only makes
statements about losses that one of the two runs had."""
BURST = 50
"""Requests lost with a burst of five datagrams. The interval of a single run assumes one such loss more, since it also
covers losses that the run did not have."""
LEAST_CHANCE = 1e-4
"""Smaller probabilities are not told apart: nobody decides by them, and no assumption above holds so far."""
_HALVINGS = 24
_TAIL = 0.025
_TINY = 1e-300

Place = tuple[int, int]
"""A server, and the round of the repeat, from 0."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One repeat: requests counted, number of servers, requests of a server in each round, where losses were."""

    counted: int
    servers: int
    rounds: Sequence[int]
    lost: Mapping[Place, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """`lost` of `total` requests, with the variance of the number lost. `each`: requests of a server in a repeat."""

    total: int
    lost: int
    spread: float
    each: float


@dataclass(frozen=True, slots=True)
class Difference:
    """b − a of two success shares in percentage points, with the bounds of its 95 % interval."""

    change: float
    low: float
    high: float

    @property
    def real(self) -> bool:
        """Larger than chance explains in 19 of 20 cases."""
        return self.low > 0 or self.high < 0


def share_of(patterns: Sequence[Pattern]) -> Share:
    """The repeats of a test combined."""
    total = sum(pattern.counted for pattern in patterns)
    cells = sum(pattern.servers for pattern in patterns)
    lost = sum(sum(pattern.lost.values()) for pattern in patterns)
    return Share(total, lost, _spread(patterns, total, lost) if lost else 0.0, total / cells if cells else 0.0)


def interval(share: Share) -> tuple[float, float] | None:
    """Lower and upper bound of the true success in per cent; None when nothing was counted."""
    if share.total <= 0:
        return None
    low, high = _bounds(share, unit([share], BURST))
    # Not 100 where something was lost, however small a part of a unit it is.
    return 100 * (1 - high), min(100 * (1 - low), nextafter(100, 0)) if share.lost else 100.0


def difference(a: Share, b: Share) -> Difference:
    """How much higher the success of `b` is than that of `a`. Both must have counted something.

    The unit is that of all losses of both. The interval is Newcombe's, computed from the bounds of the two shares: when
    one has lost nothing it excludes 0 once the other has lost six units, as the exact test does."""
    return _difference(a, b, unit([a, b], DATAGRAM), _TAIL)


def chance(a: Share, b: Share, together: float | None = None) -> float:
    """How likely chance alone makes two shares differ as much as these do: the smallest error at which the interval of
    their difference excludes 0. So it is at most 0.05 exactly where `difference` is real. Never below `LEAST_CHANCE`.

    `together`: how many are lost together, where it is not that of these losses (`unit`)."""
    together = unit([a, b], DATAGRAM) if together is None else together
    low, high = log(LEAST_CHANCE / 2), log(0.5)
    if not _difference(a, b, together, exp(high) * (1 - 1e-9)).real:
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _difference(a, b, together, exp(middle)).real:
            high = middle
        else:
            low = middle
    return min(1.0, 2 * exp(high))


def chance_of_means(a: Sequence[float], b: Sequence[float]) -> float | None:
    """How likely chance alone makes the means of two samples differ as much as these do (Welch's t-test); None where
    one has a single value, which says nothing of how much they vary."""
    if min(len(a), len(b)) < 2:
        return None
    means = [sum(sample) / len(sample) for sample in (a, b)]
    errors = [
        sum((value - mean) ** 2 for value in sample) / (len(sample) - 1) / len(sample)
        for sample, mean in zip((a, b), means, strict=True)
    ]
    if not sum(errors):
        return 1.0 if means[0] == means[1] else LEAST_CHANCE
    t = (means[1] - means[0]) / sqrt(sum(errors))
    freedom = sum(errors) ** 2 / sum(e * e / (len(s) - 1) for e, s in zip(errors, (a, b), strict=True))
    x = freedom / (freedom + t * t)
    if x >= 1:
        return 1.0
    halves = freedom / 2, 0.5
    return max(LEAST_CHANCE, _beta(*halves, x, lgamma(sum(halves)) - lgamma(halves[0]) - lgamma(halves[1])))


def _difference(a: Share, b: Share, together: float, tail: float) -> Difference:
    (low_a, high_a), (low_b, high_b) = _bounds(a, together, tail), _bounds(b, together, tail)
    share_a, share_b = a.lost / a.total, b.lost / b.total
    change = share_a - share_b
    low = change - sqrt((share_a - low_a) ** 2 + (high_b - share_b) ** 2)
    high = change + sqrt((high_a - share_a) ** 2 + (share_b - low_b) ** 2)
    return Difference(100 * change, 100 * low, 100 * high)


def unit(shares: Sequence[Share], assumed: float) -> float:
    """How many requests are lost together, including one loss of the size `assumed`, which is limited to half of the
    requests of a server in a repeat."""
    one = max(1.0, min(assumed, max(share.each for share in shares) / 2))
    alone = sum(share.lost * (1 - share.lost / share.total) for share in shares)
    return max(1.0, (one * one + sum(share.spread for share in shares)) / (one + alone))


def _bounds(share: Share, together: float, tail: float = _TAIL) -> tuple[float, float]:
    """The exact bounds (95 % ones, by default) of the share lost, counted in units."""
    lost, kept = share.lost / together, (share.total - share.lost) / together
    low = _quantile(tail, lost, kept + 1) if lost else 0.0
    high = _quantile(1 - tail, lost + 1, kept) if kept else 1.0
    return low, high


# ---------------------------------------------------------------- the variance of the number lost


@dataclass(frozen=True, slots=True)
class _Repeat:
    """A repeat cut into pieces. `weights`: the share of requests that each piece has; `lost` by server and piece."""

    counted: int
    servers: int
    weights: Sequence[float]
    lost: Mapping[Place, int]

    def whole(self) -> _Repeat:
        """As one piece."""
        sums: dict[Place, int] = defaultdict(int)
        for (server, _), lost in self.lost.items():
            sums[server, 0] += lost
        return _Repeat(self.counted, self.servers, (1.0,), sums)


def _cut(pattern: Pattern) -> _Repeat:
    asked = sum(pattern.rounds)
    pieces = max(1, min(PIECES, len(pattern.rounds), asked // _LEAST))
    weights = [0.0] * pieces
    for number, count in enumerate(pattern.rounds):
        weights[number * pieces // len(pattern.rounds)] += count / asked
    lost: dict[Place, int] = defaultdict(int)
    for (server, number), count in pattern.lost.items():
        lost[server, min(number * pieces // len(pattern.rounds), pieces - 1)] += count
    return _Repeat(pattern.counted, max(1, pattern.servers), weights, lost)


def _spread(patterns: Sequence[Pattern], total: int, lost: int) -> float:
    share = lost / total
    cut = [_cut(pattern) for pattern in patterns]
    whole = [repeat.whole() for repeat in cut]
    own = max(_between_repeats(whole, share), sum(_within(one, all_) for one, all_ in zip(cut, whole, strict=True)))
    together = max(0.0, *(sum(_together(one, share) for one in repeats) for repeats in (whole, cut)))
    # The variance is largest when a server loses all of a repeat or nothing, and all servers together. This limit keeps
    # the result right where nearly all was lost and rounds were not requested as evenly as planned.
    alone = lost * (1 - share) * (len(patterns) / (len(patterns) - 1) if len(patterns) > 1 else 1.0)
    own = min(own, alone * max(repeat.counted / repeat.servers for repeat in cut))
    return min(own + together, alone * max(repeat.counted for repeat in cut))


def _between_repeats(repeats: Sequence[_Repeat], share: float) -> float:
    """The variance around each server's own share: what it loses in every repeat is a property of the server, not
    chance. With a single repeat this is not known, and all servers are treated as equal."""
    by_server: dict[int, list[float]] = defaultdict(lambda: [0.0] * len(repeats))
    for number, repeat in enumerate(repeats):
        for (server, _), lost in repeat.lost.items():
            by_server[server][number] += lost
    asked = [repeat.counted / repeat.servers for repeat in repeats]
    if len(repeats) == 1:
        quiet = repeats[0].servers - len(by_server)
        expected = share * asked[0]
        return sum((counts[0] - expected) ** 2 for counts in by_server.values()) + quiet * expected**2
    squares = 0.0
    for counts in by_server.values():
        own = sum(counts) / sum(asked)
        squares += sum((lost - own * count) ** 2 for lost, count in zip(counts, asked, strict=True))
    return squares * len(repeats) / (len(repeats) - 1)


def _within(cut: _Repeat, whole: _Repeat) -> float:
    """The variance between the pieces of a repeat, for each server. With only one piece, losses are taken as whole
    datagrams, or as the average loss of a server when that is less."""
    if len(cut.weights) == 1:
        asked = cut.counted / cut.servers
        sums = list(whole.lost.values())
        one = min(DATAGRAM, sum(sums) / len(sums)) if sums else 0.0
        return sum(one * lost * max(0.0, 1 - lost / asked) for lost in sums)
    squares = 0.0
    for (server, _), lost in whole.lost.items():
        squares += sum(
            (cut.lost.get((server, piece), 0) - weight * lost) ** 2 for piece, weight in enumerate(cut.weights)
        )
    return squares / (1 - sum(weight * weight for weight in cut.weights))


def _together(repeat: _Repeat, share: float) -> float:
    """Products of what different servers lost in the same piece, relative to the average."""
    sums, squares = [0.0] * len(repeat.weights), [0.0] * len(repeat.weights)
    for (_, piece), lost in repeat.lost.items():
        sums[piece] += lost
        squares[piece] += lost * lost
    products = 0.0
    for weight, one, two in zip(repeat.weights, sums, squares, strict=True):
        expected = share * repeat.counted * weight / repeat.servers
        products += (one - repeat.servers * expected) ** 2
        products -= two - 2 * expected * one + repeat.servers * expected**2
    return products


# ---------------------------------------------------------------- the beta distribution (the app has no SciPy)


@lru_cache(4096)
def _quantile(probability: float, a: float, b: float) -> float:
    """Where the beta distribution reaches this probability: Newton's steps, halving where they leave the bracket."""
    low, high = 0.0, 1.0
    x = a / (a + b)
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    for _ in range(100):
        excess = _beta(a, b, x, scale) - probability
        low, high = (low, x) if excess > 0 else (x, high)
        density = exp(scale + (a - 1) * log(x) + (b - 1) * log1p(-x))
        step = x - excess / density if density > _TINY else -1.0
        x, before = (step if low < step < high else (low + high) / 2), x
        if abs(x - before) <= 1e-9 * min(x, 1 - x):
            break
        if not 0 < x < 1:  # closer to an end than numbers can be
            break
    return x


def _beta(a: float, b: float, x: float, scale: float) -> float:
    """The regularized incomplete beta function."""
    front = exp(scale + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction, by Lentz's method (Numerical Recipes, 6.4)."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    step, rest = 1, 1.0
    while abs(rest - 1) > 1e-12 or step == 1:
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            rest = c * d
            value *= rest
        step += 1
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
