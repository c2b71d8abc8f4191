"""Two runs side by side, and all runs of a plan in order: which tests differ, and whether chance can explain it.

`compare` and `trend` gather, plain values; `gui.report.compared` writes them. docs/results.md has the method.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gui.reconcile import Difference, difference
from gui.report.changes import Change, Finding, Pair, changes_of, finding, stages_of
from gui.report.content import RunReport, TestReport
from gui.report.facts import FactPair, pair_facts
from gui.report.words import printable
from gui.store import TestSpec

Meaning = Literal["better", "worse", "same", "baseline", "not comparable"]
MOST_SERVERS = 5
"""Servers that are named because they lose more or less than before."""
_NAMED = 3
"""Tests that a sentence names."""


@dataclass(frozen=True, slots=True)
class TestPair:
    """One test in both runs; None where a run has no such test. `difference`: b − a, None where nothing was counted."""

    name: str
    a: TestReport | None
    b: TestReport | None
    difference: Difference | None

    __test__ = False

    @property
    def meaning(self) -> Meaning:
        """``better`` and ``worse`` only where the 95 % interval of the difference excludes chance."""
        return _meaning(self.difference)


@dataclass(frozen=True, slots=True)
class ServerPair:
    """What a server lost, of how many that were counted, in either run."""

    name: str
    lost_a: int
    counted_a: int
    lost_b: int
    counted_b: int

    @property
    def change(self) -> float:
        """Of the share lost, b − a, in percentage points."""
        return 100 * (self.lost_b / self.counted_b - self.lost_a / self.counted_a)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. `changes`: every figure of the tests that both have. `facts`: what both were made with. `plan`: lines
    of a unified difference. `servers`: those whose losses changed most."""

    a: RunReport
    b: RunReport
    tests: tuple[TestPair, ...]
    servers: tuple[ServerPair, ...]
    changes: tuple[Change, ...]
    facts: tuple[FactPair, ...]
    plan: tuple[str, ...]

    @property
    def regression(self) -> bool:
        """Whether a test became worse by more than chance."""
        return any(pair.meaning == "worse" for pair in self.tests)

    @property
    def refusal(self) -> str:
        """Why nothing at all can be compared, in one sentence; empty when something can."""
        if any(pair.difference is not None for pair in self.tests):
            return ""
        a, b = self.a, self.b
        if any(pair.a is not None and pair.b is not None for pair in self.tests):
            empty = b if not any(test.now.counted for test in b.tests) else a
            return f"Run {empty.run.id} has counted nothing, so it cannot be compared with another one."
        return (
            f"Run {a.run.id} ({_what(a)}) and run {b.run.id} ({_what(b)}) asked for different things and cannot "
            "be compared; choose two runs of one plan."
        )

    @property
    def finding(self) -> Finding:
        """What it says, in one sentence with the most likely reason."""
        if self.refusal:
            return Finding("refused", f"Runs {self.a.run.id} and {self.b.run.id} cannot be compared.", self.refusal)
        pairs = [
            Pair(pair.name, pair.a, pair.b, pair.meaning)
            for pair in self.tests
            if pair.a and pair.b and pair.meaning in ("better", "worse", "same")
        ]
        return finding(self.a, self.b, pairs, self.changes, self.facts)

    @property
    def draws(self) -> str:
        """Whether both runs asked for the same files in the same order, in one sentence; empty where tests differ."""
        pairs = [(pair.a.entry.spec, pair.b.entry.spec) for pair in self.tests if pair.a and pair.b]
        if not pairs or len(pairs) < len(self.tests):
            return ""
        seeds = sorted({spec.seed for pair in pairs for spec in pair})
        if any(a.seed != b.seed for a, b in pairs):
            return "Other seeds: the runs asked for other files, in another order."
        shown = ", ".join(str(seed) for seed in seeds[:_NAMED])
        return f"Same seed {shown}: both runs drew their files in the same order."

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the figures alone do not say, a sentence each."""
        said = []
        for run, lacking in ((self.a, "b"), (self.b, "a")):
            names = [pair.name for pair in self.tests if getattr(pair, lacking) is None]
            if names:
                said.append(f"Only run {run.run.id} has {_listed(names)}, so nothing is said of that.")
        empty = [pair.name for pair in self.tests if pair.a and pair.b and pair.difference is None]
        if empty:
            said.append(f"Nothing was counted of {_listed(empty)} in one of the runs.")
        unsure = [pair.name for pair in self.tests if pair.b and pair.b.now.conclusion == "inconclusive"]
        if unsure:
            said.append(
                f"Run {self.b.run.id} is inconclusive in {_listed(unsure)}: too many requests failed at clients."
            )
        return tuple(said)


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One test in one run of a plan. `difference`: from the baseline; None for the baseline itself, and where one of
    the two has counted nothing."""

    name: str
    report: RunReport
    test: TestReport
    difference: Difference | None
    baseline: bool

    @property
    def meaning(self) -> Meaning:
        """As of a pair: this run, compared with the baseline."""
        return "baseline" if self.baseline else _meaning(self.difference)


@dataclass(frozen=True, slots=True)
class Trend:
    """The runs of a plan, oldest first, by test. `chosen`: a person made the baseline one; else it is the first run."""

    plan: str
    baseline: int
    chosen: bool
    runs: tuple[int, ...]
    points: tuple[TrendPoint, ...]

    @property
    def regression(self) -> bool:
        """Whether the newest run is worse than the baseline by more than chance."""
        return any(point.meaning == "worse" for point in self.points if point.report.run.id == self.runs[-1])


def compare(a: RunReport, b: RunReport) -> Comparison:
    """Compare run `b` with run `a` (the baseline), pairing tests by what they ask for, then by order."""
    left, right = _keyed(a), _keyed(b)
    pairs = [_pair(left.get(key), right.get(key)) for key in dict.fromkeys([*left, *right])]
    return Comparison(
        a,
        b,
        tuple(pairs),
        tuple(_servers(a, b)),
        tuple(
            change
            for number, pair in enumerate(pairs, 1)
            if pair.a and pair.b
            for change in changes_of(number, pair.name, pair.a, pair.b, pair.difference)
        ),
        pair_facts(
            a.facts,
            b.facts,
            stages_of(b) - stages_of(a),
            recorded=(bool(a.run.environment), bool(b.run.environment)),
        ),
        tuple(
            difflib.unified_diff(
                a.run.plan_text.splitlines(),
                b.run.plan_text.splitlines(),
                f"run {a.run.id}",
                f"run {b.run.id}",
                lineterm="",
                n=1,
            )
        ),
    )


def trend(reports: Sequence[RunReport], baseline: int | None) -> Trend:
    """The trend over runs of one plan, in any order. `baseline`: the run that a person chose; it must be among them."""
    ordered = sorted(reports, key=lambda report: report.run.id)
    first = ordered[0].run.id if baseline is None else baseline
    keyed = [(report, _keyed(report)) for report in ordered]
    base = next(tests for report, tests in keyed if report.run.id == first)
    points = [
        TrendPoint(
            title_of(tests[key].entry.spec),
            report,
            tests[key],
            None if report.run.id == first else _difference(base.get(key), tests[key]),
            report.run.id == first,
        )
        for key in dict.fromkeys(key for _, tests in keyed for key in tests)
        for report, tests in keyed
        if key in tests
    ]
    return Trend(
        ordered[-1].run.name, first, baseline is not None, tuple(report.run.id for report in ordered), tuple(points)
    )


def title_of(spec: TestSpec) -> str:
    """How a test is called: by its name, else by what it asks for."""
    return spec.name or f"{spec.servers}×{spec.files_per_server} at {spec.per_round}/s"


def _meaning(found: Difference | None) -> Meaning:
    if found is None:
        return "not comparable"
    return "same" if not found.real else "better" if found.change > 0 else "worse"


def _pair(a: TestReport | None, b: TestReport | None) -> TestPair:
    present = a or b
    assert present is not None
    return TestPair(title_of(present.entry.spec), a, b, _difference(a, b))


def _difference(a: TestReport | None, b: TestReport | None) -> Difference | None:
    if a is None or b is None or not a.now.counted or not b.now.counted:
        return None
    return difference(a.now.share, b.now.share)


def _keyed(report: RunReport) -> dict[tuple[Any, ...], TestReport]:
    """Tests by what they ask for; the n-th of several that ask for the same is paired with the other run's n-th."""
    keyed: dict[tuple[Any, ...], TestReport] = {}
    for test in report.tests:
        spec = test.entry.spec
        ask = (spec.name, spec.servers, spec.files_per_server, spec.per_round, spec.workloads)
        keyed[(*ask, sum(1 for known in keyed if known[:-1] == ask))] = test
    return keyed


def _servers(a: RunReport, b: RunReport) -> Iterable[ServerPair]:
    """The servers of both runs whose share lost changed, those of the largest change first."""
    before = {server.url: server for server in a.servers if server.counted}
    pairs = [
        ServerPair(
            printable(server.name or server.url),
            one.counted - one.matched - one.late,
            one.counted,
            server.counted - server.matched - server.late,
            server.counted,
        )
        for server in b.servers
        if server.counted and (one := before.get(server.url)) is not None
    ]
    changed = [pair for pair in pairs if pair.change]
    return sorted(changed, key=lambda pair: (-abs(pair.change), pair.name))[:MOST_SERVERS]


def _what(report: RunReport) -> str:
    """What a run asked for, in a few words."""
    asked = [f"{test.entry.spec.servers}×{test.entry.spec.files_per_server}" for test in report.tests]
    return f"{printable(report.run.name)}: {_listed(asked) if asked else 'no test'}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(printable(name) for name in names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
