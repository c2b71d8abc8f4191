"""The figures of a test over its repeats: the columns of the published table, and whether it passed. Pure.

``Success %`` = matched ÷ (O − client failed − not waited for), pooled over the repeats, where *matched* includes late
records once a later scoring has seen them. A test in which more than 1 % of the requests failed at the client is
inconclusive: too little of what it planned was requested. A test that was cut short cannot pass: it has no conclusion,
unless a complete repeat has already failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gui.campaign.preview import offered_rate
from gui.reconcile.interval import Pattern, Place, Share, interval, share_of
from gui.store import ScoringEntry, TestSpec

Conclusion = Literal["pass", "fail", "inconclusive", "none"]
NOTHING = share_of([])
INCONCLUSIVE_ABOVE = 0.01
"""Share of client-failed requests above which a test is inconclusive."""


@dataclass(frozen=True, slots=True)
class TestFigures:
    """One row of the result table. Percentages are 0…100, or None when nothing was counted. Counts are over all repeats
    unless they say otherwise."""

    spec: TestSpec
    repeats: int
    total: int
    counted: int
    good: int
    matched: int
    late: int
    missing: int
    wrong_bytes: int
    duplicate: int
    client_failed: int
    not_waited: int
    unreported: int
    unrequested: int
    recovered: int
    recorded_avg: float | None
    """Files recorded, on average over the repeats; min and max are the extreme repeats."""
    recorded_min: int | None
    recorded_max: int | None
    success: float | None
    worst: float | None
    """Success of the worst repeat, which decides the conclusion."""
    interval: tuple[float, float] | None
    offered: float | None
    """Offered rate in requests per second, on average over the repeats; None when there is no limit."""
    achieved: float | None
    """Achieved rate in requests per second, from the first start to the last end, on average over the repeats."""
    bytes_asked: int
    bytes_got: int
    bytes_recorded: int
    conclusion: Conclusion
    share: Share = NOTHING
    """What `interval` is computed from, and what a comparison needs."""
    injected: int = 0
    """Missing requests that the plan injected itself; they count unless they are left out."""
    left_out: int = 0
    """As many of them are left out: `missing`, `counted` and what is computed from them are without them."""

    __test__ = False  # not something for pytest to collect


def figures(
    spec: TestSpec,
    scorings: Sequence[ScoringEntry],
    places: Mapping[int, Mapping[Place, int]] | None = None,
    *,
    injected: Mapping[int, int] | None = None,
    without_injected: bool = False,
) -> TestFigures:
    """The figures of a test from one scoring of each of its repeats (the newest, or the one at settle).

    `injected`: by scoring, how many of its missing requests the plan injected (`injected_losses`); they do not count
    `without_injected`.

    `places`: by scoring, where its losses were (`clusters.places`). Where that is not known, all losses of a repeat
    count as one, which makes the interval too wide rather than too narrow."""
    planned = {s.id: (injected or {}).get(s.id, 0) for s in scorings}
    left_out = planned if without_injected else dict.fromkeys(planned, 0)
    total = sum(s.total for s in scorings)
    counts = [s.counted - left_out[s.id] for s in scorings]
    counted = sum(counts)
    good = sum(s.good for s in scorings)
    failed = sum(s.client_failed for s in scorings)
    recorded = [s.recorded for s in scorings]
    shares = [100 * s.good / count for s, count in zip(scorings, counts, strict=True) if count]
    rates = [rate for s in scorings if (rate := achieved_rate(s)) is not None]
    worst = min(shares) if shares else None
    share = share_of(
        [_pattern(spec, s, count, (places or {}).get(s.id)) for s, count in zip(scorings, counts, strict=True)]
    )
    return TestFigures(
        spec=spec,
        repeats=len(scorings),
        total=total,
        counted=counted,
        good=good,
        matched=sum(s.matched for s in scorings),
        late=sum(s.late for s in scorings),
        missing=sum(s.missing - left_out[s.id] for s in scorings),
        wrong_bytes=sum(s.wrong_bytes for s in scorings),
        duplicate=sum(s.duplicate for s in scorings),
        client_failed=failed,
        not_waited=sum(s.not_waited for s in scorings),
        unreported=sum(s.unreported for s in scorings),
        unrequested=sum(s.unrequested for s in scorings),
        recovered=sum(s.recovered for s in scorings),
        recorded_avg=sum(recorded) / len(recorded) if recorded else None,
        recorded_min=min(recorded, default=None),
        recorded_max=max(recorded, default=None),
        success=100 * good / counted if counted else None,
        worst=worst,
        interval=interval(share),
        offered=_offered(spec, scorings),
        achieved=sum(rates) / len(rates) if rates else None,
        bytes_asked=sum(s.bytes_asked for s in scorings),
        bytes_got=sum(s.bytes_got for s in scorings),
        bytes_recorded=sum(s.bytes_recorded for s in scorings),
        conclusion=_conclude(spec, scorings, counts),
        share=share,
        injected=sum(planned.values()),
        left_out=sum(left_out.values()),
    )


def _pattern(spec: TestSpec, scoring: ScoringEntry, counted: int, places: Mapping[Place, int] | None) -> Pattern:
    lost = counted - scoring.good
    rounds = [
        min(spec.per_round, spec.files_per_server - begun)
        for begun in range(0, spec.files_per_server, max(1, spec.per_round))
    ]
    return Pattern(counted, spec.servers, rounds, places if places is not None else {(0, 0): lost} if lost else {})


def _offered(spec: TestSpec, scorings: Sequence[ScoringEntry]) -> float | None:
    """The offered rate of what was actually requested, so that it can be compared with the achieved rate: a repeat that
    was cut short had fewer waits, too."""
    asked = [s.total for s in scorings] or [spec.total]
    rates = [offered_rate(total, spec.per_round * spec.servers, spec.wait) for total in asked]
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known and len(known) == len(rates) else None


def hundredths(share: float) -> float:
    """A percentage to be shown with two decimals: 100 only when it is exactly 100, and 0 only when it is exactly 0."""
    if share in (0, 100):
        return share
    return min(max(round(share, 2), 0.01), 99.99)


def achieved_rate(scoring: ScoringEntry) -> float | None:
    """Requests per second of one repeat, from the first start to the last end; None when that took no time."""
    if scoring.first_open is None or scoring.last_close is None or scoring.last_close <= scoring.first_open:
        return None
    return (scoring.total - scoring.unreported) / (scoring.last_close - scoring.first_open)


def conclusion_of_run(conclusions: Sequence[Conclusion]) -> Conclusion:
    """A run passes when all its tests pass; one failed test makes it failed, otherwise one inconclusive test makes it
    inconclusive."""
    if not conclusions or "none" in conclusions:
        return "none" if "fail" not in conclusions else "fail"
    if "fail" in conclusions:
        return "fail"
    return "inconclusive" if "inconclusive" in conclusions else "pass"


def _conclude(spec: TestSpec, scorings: Sequence[ScoringEntry], counts: Sequence[int]) -> Conclusion:
    """`counts`: how many requests of each scoring count."""
    total = sum(s.total for s in scorings)
    if not total:
        return "none"
    if sum(s.client_failed for s in scorings) > INCONCLUSIVE_ABOVE * total or not any(counts):
        return "inconclusive"
    whole = [(s, n) for s, n in zip(scorings, counts, strict=True) if s.total >= spec.total and not s.not_waited]
    # Quotients of integers times 100: exactly 100 when every counted request was good.
    if any(100 * s.good / count < spec.pass_at for s, count in whole if count):
        return "fail"
    return "pass" if len(whole) >= spec.repeats else "none"
