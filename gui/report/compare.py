"""Two runs side by side: which tests differ, whether the difference can be chance, and what else was different."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import msgspec

from gui.reconcile import wilson
from gui.report import numbers
from gui.report.content import RunReport, TestReport
from gui.report.table import aligned, printable

Meaning = Literal["better", "worse", "same", "not comparable"]
MEASURED = ("clock_offset", "rtt")
"""Facts of a client that differ from one moment to the next."""


@dataclass(frozen=True, slots=True)
class TestPair:
    """One test in both runs; None where a run has no such test. `change` in percentage points, b − a."""

    name: str
    a: TestReport | None
    b: TestReport | None
    change: float | None
    meaning: Meaning
    """``better`` and ``worse`` only where the 95 % interval of the difference excludes chance."""

    __test__ = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. `environment`: (what, in a, in b) where they differ. `plan`: lines of a unified difference."""

    a: RunReport
    b: RunReport
    tests: tuple[TestPair, ...]
    environment: tuple[tuple[str, str, str], ...]
    plan: tuple[str, ...]


def compare(a: RunReport, b: RunReport) -> Comparison:
    """Compare run `b` with run `a` (the baseline), pairing tests by what they ask for, then by order."""
    left, right = _keyed(a), _keyed(b)
    pairs = [_pair(left.get(key), right.get(key)) for key in dict.fromkeys([*left, *right])]
    return Comparison(
        a,
        b,
        tuple(pairs),
        tuple(_differences({**a.run.versions, **a.run.environment}, {**b.run.versions, **b.run.environment})),
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


def compare_text(comparison: Comparison, *, only_different: bool = False) -> str:
    """The comparison for a terminal. `only_different` leaves out tests whose figures are the same."""
    a, b = comparison.a.run, comparison.b.run
    lines = [f"Run {a.id} ({a.name}) and run {b.id} ({b.name})", ""]
    rows = [
        [
            pair.name,
            _success(pair.a),
            _success(pair.b),
            numbers.UNKNOWN if pair.change is None else f"{pair.change:+.3f}".replace("-", "−"),
            pair.meaning,
            _rate(pair.a),
            _rate(pair.b),
            _losses(pair.a),
            _losses(pair.b),
        ]
        for pair in comparison.tests
        if not (only_different and pair.meaning == "same" and pair.change == 0)
    ]
    titles = [["Test"], [f"Run {a.id}"], [f"Run {b.id}"], ["Change"], ["Meaning"], ["Achieved"], ["Achieved"],
              ["Miss/wrong/dup"], ["Miss/wrong/dup"]]  # fmt: skip
    lines += aligned(titles, rows, left=1)
    if comparison.environment:
        lines += ["", "Different environment:"]
        lines += [f"  {name}: {one}  →  {other}" for name, one, other in comparison.environment]
    if comparison.plan:
        lines += ["", "Different plan:", *(f"  {line}" for line in comparison.plan)]
    return "\n".join(printable(line) for line in lines) + "\n"


def compare_json(comparison: Comparison) -> bytes:
    """The comparison for programs, ending with a newline."""
    content = {
        "schema": 1,
        "a": comparison.a.run.id,
        "b": comparison.b.run.id,
        "tests": [
            {
                "name": pair.name,
                "a": pair.a.now if pair.a else None,
                "b": pair.b.now if pair.b else None,
                "change": pair.change,
                "meaning": pair.meaning,
            }
            for pair in comparison.tests
        ],
        "environment": [{"name": name, "a": one, "b": other} for name, one, other in comparison.environment],
        "plan": comparison.plan,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def difference(good_a: int, n_a: int, good_b: int, n_b: int) -> tuple[float, bool]:
    """b − a in percentage points, and whether it is more than chance would give in 19 of 20 cases.

    Newcombe's interval for a difference of proportions, from both Wilson intervals: good near 100 % too."""
    share_a, share_b = good_a / n_a, good_b / n_b
    low_a, high_a = _bounds(good_a, n_a)
    low_b, high_b = _bounds(good_b, n_b)
    change = share_b - share_a
    lower = change - sqrt((share_b - low_b) ** 2 + (high_a - share_a) ** 2)
    upper = change + sqrt((high_b - share_b) ** 2 + (share_a - low_a) ** 2)
    return 100 * change, lower > 0 or upper < 0


def _bounds(good: int, total: int) -> tuple[float, float]:
    bounds = wilson(good, total)
    assert bounds is not None
    return bounds[0] / 100, bounds[1] / 100


def _pair(a: TestReport | None, b: TestReport | None) -> TestPair:
    present = a or b
    assert present is not None
    spec = present.entry.spec
    name = spec.name or f"{spec.servers}×{spec.files_per_server} at {spec.per_round}/s"
    if a is None or b is None or not a.now.counted or not b.now.counted:
        return TestPair(name, a, b, None, "not comparable")
    change, real = difference(a.now.good, a.now.counted, b.now.good, b.now.counted)
    meaning: Meaning = "same" if not real else "better" if change > 0 else "worse"
    return TestPair(name, a, b, change, meaning)


def _keyed(report: RunReport) -> dict[tuple[Any, ...], TestReport]:
    """Tests by what they ask for; the n-th of several that ask for the same is paired with the other run's n-th."""
    keyed: dict[tuple[Any, ...], TestReport] = {}
    for test in report.tests:
        spec = test.entry.spec
        ask = (spec.name, spec.servers, spec.files_per_server, spec.per_round, spec.workload)
        keyed[(*ask, sum(1 for known in keyed if known[:-1] == ask))] = test
    return keyed


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    pairs = [(name, _lasting(a.get(name)), _lasting(b.get(name))) for name in dict.fromkeys([*a, *b])]
    return [(name, _shown(one), _shown(other)) for name, one, other in pairs if one != other]


def _lasting(value: Any) -> Any:
    """Without what was measured at the start of a run: it never is the same twice, and says nothing of a change."""
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if name not in MEASURED}
    return value


def _shown(value: Any) -> str:
    if value is None:
        return numbers.UNKNOWN
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _success(test: TestReport | None) -> str:
    return numbers.UNKNOWN if test is None else numbers.success(test.now.good, test.now.counted)


def _rate(test: TestReport | None) -> str:
    return numbers.UNKNOWN if test is None else numbers.rate(test.now.achieved)


def _losses(test: TestReport | None) -> str:
    if test is None:
        return numbers.UNKNOWN
    return f"{test.now.missing:,}/{test.now.wrong_bytes:,}/{test.now.duplicate:,}"
