"""Two runs value by value: each figure of each test in both, how it changed, and how likely chance alone did that; and
what the whole comparison says, in one sentence with the most likely reason.

*Verdict* figures say whether monitoring kept every record: losses count in the clusters in which they come, so `chance`
is at most 0.05 exactly where the interval of the difference excludes 0 (docs/results.md, section 8). *Speed* figures
say how fast the clients were: percentiles by a bootstrap over the requests, rates by Welch's t-test over the repeats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gui.reconcile import (
    Difference,
    Share,
    achieved_rate,
    chance,
    chance_of_means,
    chance_of_percentile,
    still_on,
    unit,
)
from gui.reconcile.interval import DATAGRAM
from gui.report import numbers
from gui.report.content import RunReport, TestReport
from gui.report.facts import STILL_ON, FactPair
from gui.report.words import printable
from gui.store import RunEntry

Kind = Literal["verdict", "speed", "limit"]
Tone = Literal["worse", "better", "slower", "faster", "same", "refused"]

NOISE = 0.05
"""A change with a larger `chance` is not told from noise."""
PERCENTILES = (50.0, 95.0, 99.9)
LEAST_SETTLE = 0.1
"""Share by which settling must take longer or shorter to be shown as different; it is looked at every second."""
_NAMED = 2
"""Tests that the sentence names."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one test in both runs. `test`: its place in the comparison, from 1; `ask`: what it asks for.
    `better`: whether b is better (None: neither better nor worse)."""

    test: int
    title: str
    ask: str
    name: str
    kind: Kind
    a: float | None
    b: float | None
    shown_a: str
    shown_b: str
    change: str
    chance: float | None
    better: bool | None
    differs: bool

    @property
    def real(self) -> bool:
        """Whether it differs by more than noise."""
        return self.differs and (self.kind == "limit" or (self.chance is not None and self.chance <= NOISE))

    @property
    def shown_chance(self) -> str:
        """The probability as people read it."""
        if self.chance is None:
            return numbers.UNKNOWN
        return "< 0.001" if self.chance < 0.001 else f"{self.chance:.3f}" if self.chance < 0.1 else f"{self.chance:.2f}"


def ask_of(test: TestReport) -> str:
    """What a test asks for: ``50 × 800, 100/s``."""
    spec = test.entry.spec
    return f"{spec.servers:,} × {spec.files_per_server:,}, {spec.per_round:,} at a time"


def changes_of(number: int, title: str, a: TestReport, b: TestReport, difference: Difference | None) -> list[Change]:
    """All figures of a test that both runs have; those that one of them could not have are left out."""
    rows = _Rows(number, title, ask_of(b))
    if difference is not None:
        _recorded(rows, a, b, difference)
    if a.now.total and b.now.total:
        one, other = a.now.client_failed, b.now.client_failed
        likely = _chance_of_count(one, a.now.total, other, b.now.total, 1.0)
        rows.add("Client failed", "speed", _counts(one, other), likely, better=other < one, differs=one != other)
    before, now = a.now.achieved, b.now.achieved
    if before and now:
        likely = chance_of_means(_rates_of(a), _rates_of(b))
        shown = _Shown(before, now, numbers.rate(before), numbers.rate(now), _relative(before, now))
        rows.add("Achieved", "speed", shown, likely, better=now > before, differs=_beyond(likely))
    _percentiles(rows, a, b)
    _settled(rows, a, b)
    return rows.made


class _Shown(NamedTuple):
    """The figure of both runs, as numbers and as text."""

    a: float
    b: float
    text_a: str
    text_b: str
    change: str


class _Rows:
    """The rows of one test."""

    def __init__(self, number: int, title: str, ask: str) -> None:
        self.made: list[Change] = []
        self._test = (number, title, ask)

    def add(
        self, name: str, kind: Kind, shown: _Shown, likely: float | None, *, better: bool | None, differs: bool
    ) -> None:
        a, b, text_a, text_b, change = shown
        self.made.append(Change(*self._test, name, kind, a, b, text_a, text_b, change, likely, better, differs))


def _recorded(rows: _Rows, a: TestReport, b: TestReport, difference: Difference) -> None:
    one, other = a.now, b.now
    shown = _Shown(
        100 * one.good / one.counted,
        100 * other.good / other.counted,
        numbers.success(one.good, one.counted),
        numbers.success(other.good, other.counted),
        f"{_signed(difference.change, 3)} points" if difference.change else "0",
    )
    likely = chance(one.share, other.share)
    rows.add("Success", "verdict", shown, likely, better=difference.change > 0, differs=difference.change != 0)
    together = unit([one.share, other.share], DATAGRAM)
    for name, before, now in (
        ("Missing", one.missing, other.missing),
        ("Wrong bytes", one.wrong_bytes, other.wrong_bytes),
        ("Duplicate", one.duplicate, other.duplicate),
        ("Late", one.late, other.late),
    ):
        of_count = _chance_of_count(before, one.counted, now, other.counted, together)
        better = None if name == "Late" else now < before
        rows.add(name, "verdict", _counts(before, now), of_count, better=better, differs=before != now)


def _counts(a: int, b: int) -> _Shown:
    return _Shown(a, b, numbers.count(a), numbers.count(b), _signed(b - a, 0))


def _rates_of(test: TestReport) -> list[float]:
    return [rate for one in test.repeats if one.newest and (rate := achieved_rate(one.newest)) is not None]


def _percentiles(rows: _Rows, a: TestReport, b: TestReport) -> None:
    for part in PERCENTILES if a.speed is not None and b.speed is not None else ():
        assert a.speed is not None
        assert b.speed is not None
        one, other = a.speed.percentile(part), b.speed.percentile(part)
        if one is not None and other is not None:
            likely = chance_of_percentile(a.speed, b.speed, part)
            shown = _Shown(one, other, numbers.latency(one), numbers.latency(other), _relative(one, other))
            rows.add(f"p{part:g}", "speed", shown, likely, better=other < one, differs=_beyond(likely))


def _settled(rows: _Rows, a: TestReport, b: TestReport) -> None:
    (one, whole_a), (other, whole_b) = _settling(a), _settling(b)
    if one is None or other is None:
        return
    limit = "at the limit" if whole_a and not whole_b else "before the limit" if whole_b and not whole_a else ""
    apart = bool(limit) or abs(other - one) > max(1.0, LEAST_SETTLE * max(one, other))
    shown = _Shown(one, other, numbers.duration(one), numbers.duration(other), limit or _relative(one, other))
    better = other < one if apart else None
    rows.add("Settled in", "limit" if limit else "speed", shown, None, better=better, differs=apart)


def _beyond(likely: float | None) -> bool:
    """A measured time or rate is never the same twice: it differs when it does by more than noise."""
    return likely is not None and likely <= NOISE


def _settling(test: TestReport) -> tuple[float | None, bool]:
    """The longest settling of its repeats, and whether all of them ended before the limit."""
    took = [
        (one.repeat.settled - one.repeat.ended, one.repeat.settle_complete is not False)
        for one in test.repeats
        if one.repeat.settled is not None and one.repeat.ended is not None
    ]
    return (max(seconds for seconds, _ in took), all(whole for _, whole in took)) if took else (None, True)


def _chance_of_count(a: int, total_a: int, b: int, total_b: int, together: float) -> float | None:
    if not total_a or not total_b:
        return None
    if a * total_b == b * total_a:
        return 1.0
    return chance(Share(total_a, min(a, total_a), 0.0, 1.0), Share(total_b, min(b, total_b), 0.0, 1.0), together)


def _signed(value: float, decimals: int) -> str:
    return f"{value:+,.{decimals}f}".replace("-", "−") if value else "0"


def _relative(a: float, b: float) -> str:
    share = 100 * (b / a - 1) if a else 0.0
    return f"{share:+,.1f} %".replace("-", "−") if abs(share) >= 0.05 else "0 %"


# ---------------------------------------------------------------- in one sentence


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison says: `head` in few words (with those about a fault that was still on), `text` with the
    figures, `reason` as a clause where one is likely."""

    tone: Tone
    head: str
    text: str = ""
    reason: str = ""

    @property
    def sentence(self) -> str:
        """All of it."""
        likely = f"Most likely {self.reason}." if self.reason else ""
        return " ".join(part for part in (self.head, self.text, likely) if part)


def stages_of(report: RunReport) -> Counter[str]:
    """How many records a run lost at each stage."""
    found: Counter[str] = Counter()
    for test in report.tests:
        for stage in test.odd.stages:
            found[stage.lost_at] += stage.count
    return found


def likely_reason(a: RunReport, b: RunReport, facts: Sequence[FactPair]) -> str:
    """Why b lost more than a: what most of the additional losses have in common, as a clause; empty if nothing is
    known."""
    for pair in facts:
        if pair.what == STILL_ON and pair.weight == "cause" and pair.b != "none":
            return f"a fault that was still on: {pair.b}"
        if pair.weight == "cause" and pair.setting:
            return f"the faults of the plan: {pair.b}"
    lost, before = _causes(b), _causes(a)
    more = lost - before
    if not more:
        return ""
    ((cause, count),) = more.most_common(1)
    if not cause:
        return ""
    fact = next((p for p in facts if p.weight == "cause" and p.bearing.startswith(f"likely cause of {count:,} ")), None)
    where = f" at {fact.where}" if fact is not None and fact.where.startswith("Shoveler") else ""
    return f"{cause}{where} ({count:,} of the {more.total():,})"


def _causes(report: RunReport) -> Counter[str]:
    """Missing records by what took them, without what only concerns a single datagram."""
    found: Counter[str] = Counter()
    for test in report.tests:
        for loss in test.odd.causes:
            found[printable(loss.cause.partition(": ")[0]) if loss.lost_at != "unknown" else ""] += loss.count
    return found


class Pair(NamedTuple):
    """A test that both runs have counted something of."""

    title: str
    a: TestReport
    b: TestReport
    meaning: str

    @property
    def lost(self) -> tuple[int, int]:
        """What each run lost."""
        return self.a.now.counted - self.a.now.good, self.b.now.counted - self.b.now.good


def finding(
    a: RunReport, b: RunReport, pairs: Sequence[Pair], changes: Sequence[Change], facts: Sequence[FactPair]
) -> Finding:
    """The sentence of a comparison of which at least one test can be compared."""
    run, base = b.run.id, a.run.id
    but = but_still_on(a.run, b.run)
    worse, better = ([pair for pair in pairs if pair.meaning == what] for what in ("worse", "better"))
    speed, slower = _speed_of(changes)
    if worse:
        also = f"better: {_listed([pair.title for pair in better])}" if better else ""
        text = _said(_lost(worse, base), also, slower)
        return Finding("worse", f"Run {run} is worse{but}.", text, likely_reason(a, b, facts))
    if better:
        return Finding("better", f"Run {run} is better{but}.", _said(_lost(better, base), slower))
    other = [pair for pair in pairs if pair.lost[0] != pair.lost[1]]
    chances = f"{_lost(other, base)}, which chance explains" if other else ""
    more = any(pair.lost[1] > pair.lost[0] for pair in other)
    reason = likely_reason(a, b, facts) if more else ""
    if speed:
        recorded = chances or "no difference in what was recorded"
        return Finding(speed, f"Run {run} is {speed}{but}.", _said(recorded, slower), reason)
    return Finding("same", f"No difference beyond noise{but}.", _said(chances), reason)


def but_still_on(a: RunEntry, b: RunEntry) -> str:
    """What must be said with each word about two runs: ``, but a fault of run 4 was still on (udp-loss) in run 5``;
    empty: both began in peace."""
    told = [f"{words} in run {run.id}" for run in (a, b) if (words := still_on(run.environment))]
    return f", but {' and '.join(told)}" if told else ""


def _said(*clauses: str) -> str:
    text = "; ".join(clause for clause in clauses if clause)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _lost(pairs: Sequence[Pair], base: int) -> str:
    said = []
    for pair in pairs[:_NAMED]:
        before, now = pair.lost
        then = f"{before:,} of {pair.a.now.counted:,}" if before else "none"
        lost = f"{now:,} of {pair.b.now.counted:,} records" if now else "no record"
        said.append(f"{printable(pair.title)} lost {lost}, run {base} {then}")
    rest = len(pairs) - _NAMED
    return "; ".join([*said, *([f"{rest:,} more test{'s' * (rest > 1)}"] if rest > 0 else [])])


def _speed_of(changes: Sequence[Change]) -> tuple[Literal["", "slower", "faster"], str]:
    """Whether the clients were slower or faster by more than noise, and the largest change of p95 as a clause."""
    shares = [100 * (c.b / c.a - 1) for c in changes if c.name == "p95" and c.real and c.a and c.b]
    most = max(shares, key=abs, default=0.0)
    if abs(most) < 1:
        return "", ""
    alike = sum((share > 0) == (most > 0) for share in shares)
    many = f", {alike} tests" if alike > 1 else ""
    words = (
        f"requests took {'up to ' if many else ''}{abs(most):.0f} % {'longer' if most > 0 else 'less time'} (p95{many})"
    )
    return ("slower" if most > 0 else "faster"), words


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(printable(name) for name in names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
