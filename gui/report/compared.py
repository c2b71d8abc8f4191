"""A comparison, or a trend, as text for a terminal, CSV, JSON and HTML: the columns are here once, so all say the
same."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Generic, NamedTuple, TypeVar

from gui.reconcile import Difference, Latency, still_on
from gui.report import numbers
from gui.report.changes import Change, but_still_on
from gui.report.compare import Comparison, Meaning, TestPair, Trend, TrendPoint
from gui.report.content import TestReport
from gui.report.html import page, table
from gui.report.sections import Cell, Grid, Head
from gui.report.table import aligned, csv_cell
from gui.report.words import bounded, printable, to_json

COMPARED_FORMATS = ("table", "json", "csv", "html")
SCHEMA = 3
"""The number in the JSON; grows when a field changes its meaning."""
_WORDS: dict[Meaning, tuple[str, str]] = {
    "better": ("ok", "✓ better"),
    "worse": ("bad", "✗ WORSE"),
    "same": ("text2", "no more than chance"),
    "baseline": ("text2", "the baseline"),
    "not comparable": ("mute", "– not comparable"),
}
FAULT_ON = ", fault on"
"""Beside what is said of a run that began with a fault of another one still on."""
Row = TypeVar("Row")


class _Column(NamedTuple, Generic[Row]):
    """Title for people, names for programs (several where one cell has several numbers), as shown and as values."""

    title: str
    names: tuple[str, ...]
    shown: Callable[[Row], str]
    values: Callable[[Row], tuple[float | int | str | None, ...]]
    left: bool = False


def render_compared(what: Comparison | Trend, wanted: str) -> bytes:
    """A comparison or trend in one of `COMPARED_FORMATS`. Raises ValueError for another one."""
    match wanted:
        case "table":
            return (compare_text(what) if isinstance(what, Comparison) else trend_text(what)).encode()
        case "json":
            return compare_json(what) if isinstance(what, Comparison) else trend_json(what)
        case "csv":
            return (
                _csv(_pairs(what), what.tests) if isinstance(what, Comparison) else _csv(_POINTS, what.points)
            ).encode()
        case "html":
            return (_compare_page(what) if isinstance(what, Comparison) else _trend_page(what)).encode()
    raise ValueError(f"There is no format {wanted!r} for it; formats are: {', '.join(COMPARED_FORMATS)}.")


def compare_text(comparison: Comparison, *, only_different: bool = False) -> str:
    """The comparison for a terminal. `only_different` leaves out tests whose figures are the same."""
    tests = [
        pair
        for pair in comparison.tests
        if not (only_different and pair.meaning == "same" and pair.difference and not pair.difference.change)
    ]
    said = [] if comparison.refusal else [comparison.finding.sentence]
    lines = [_heading(comparison), verdict(comparison), *said, ""]
    lines += [*_aligned(_pairs(comparison), tests), *_below(comparison)]
    return "\n".join(printable(line) for line in lines) + "\n"


def trend_text(trend: Trend) -> str:
    """The trend for a terminal."""
    lines = [f"Plan {trend.plan}: {_of_what(trend)}", verdict(trend), "", *_aligned(_POINTS, trend.points)]
    return "\n".join(printable(line) for line in lines) + "\n"


def verdict(what: Comparison | Trend) -> str:
    """One sentence: whether there is a regression."""
    if isinstance(what, Comparison):
        names = [pair.name for pair in what.tests if pair.meaning == "worse"]
        run, base = what.b.run.id, what.a.run.id
        but = but_still_on(what.a.run, what.b.run)
    else:
        run, base = what.runs[-1], what.baseline
        names = [p.name for p in what.points if p.report.run.id == run and p.meaning == "worse"]
        if run == base:
            which = f"Run {run} is the only one" if len(what.runs) == 1 else f"The newest run, {run}, is the baseline"
            return f"{which}, so there is nothing to compare it with."
        entries = {p.report.run.id: p.report.run for p in what.points if p.report.run.id in (run, base)}
        but = but_still_on(entries[base], entries[run]) if len(entries) == 2 else ""
    if not names:
        return f"No regression: nothing in run {run} is worse than in run {base} by more than chance{but}."
    tests = f"{len(names)} test{'s' * (len(names) > 1)}"
    return f"REGRESSION: {tests} of run {run} worse than in run {base} by more than chance ({', '.join(names)}){but}."


def compare_json(comparison: Comparison) -> bytes:
    """The comparison for programs, ending with a newline."""
    found = comparison.finding
    return _json(
        {
            "a": comparison.a.run.id,
            "b": comparison.b.run.id,
            "regression": comparison.regression,
            "tests": [
                {
                    "name": pair.name,
                    "a": pair.a.now if pair.a else None,
                    "b": pair.b.now if pair.b else None,
                    **_difference(pair.difference),
                    "meaning": pair.meaning,
                }
                for pair in comparison.tests
            ],
            "servers": comparison.servers,
            "remarks": comparison.remarks,
            "finding": {"tone": found.tone, "sentence": found.sentence, "reason": found.reason},
            "changes": [_change(change) for change in comparison.changes],
            "facts": [
                {"where": f.where, "what": f.what, "a": f.a, "b": f.b, "bearing": f.bearing}
                for f in comparison.facts
                if f.differs
            ],
            "plan": comparison.plan,
        }
    )


def _change(change: Change) -> dict[str, Any]:
    return {
        "test": change.title,
        "name": change.name,
        "kind": change.kind,
        "a": change.a,
        "b": change.b,
        "chance": change.chance,
        "better": change.better,
        "differs": change.differs,
        "real": change.real,
    }


def trend_json(trend: Trend) -> bytes:
    """The trend for programs, ending with a newline."""
    return _json(
        {
            "plan": trend.plan,
            "baseline": trend.baseline,
            "baseline_chosen": trend.chosen,
            "runs": trend.runs,
            "regression": trend.regression,
            "points": [
                {
                    "test": point.name,
                    "run": point.report.run.id,
                    "started": point.report.run.started,
                    "figures": point.test.now,
                    "latency": point.test.latency,
                    **_difference(point.difference),
                    "meaning": point.meaning,
                }
                for point in trend.points
            ],
        }
    )


# ---------------------------------------------------------------- columns


def _pairs(comparison: Comparison) -> Sequence[_Column[TestPair]]:
    a, b = comparison.a.run.id, comparison.b.run.id
    first: list[_Column[TestPair]] = [
        _Column("Test", ("test",), lambda p: p.name, lambda p: (p.name,), left=True),
        _Column(f"Run {a}", ("success_a",), lambda p: _success(p.a), lambda p: (_share(p.a),)),
        _Column(f"Run {b}", ("success_b",), lambda p: _success(p.b), lambda p: (_share(p.b),)),
    ]
    disturbed = any(still_on(run.run.environment) for run in (comparison.a, comparison.b))
    changes: list[_Column[TestPair]] = _changes(lambda p: p.difference, lambda p: p.meaning, lambda _: disturbed)
    last: list[_Column[TestPair]] = [
        _Column(f"Lost, {a}", ("counted_a", "lost_a"), lambda p: _lost(p.a), lambda p: _losses(p.a)),
        _Column(f"Lost, {b}", ("counted_b", "lost_b"), lambda p: _lost(p.b), lambda p: _losses(p.b)),
        _Column(f"Achieved, {a}", ("rate_a",), lambda p: _rate(p.a), lambda p: (_achieved(p.a),)),
        _Column(f"Achieved, {b}", ("rate_b",), lambda p: _rate(p.b), lambda p: (_achieved(p.b),)),
    ]
    return first + changes + last


def _changes(
    of: Callable[[Row], Difference | None], meaning: Callable[[Row], Meaning], disturbed: Callable[[Row], bool]
) -> list[_Column[Row]]:
    def values(row: Row) -> tuple[float | None, ...]:
        found = of(row)
        return (None, None) if found is None else (round(found.low, 6), round(found.high, 6))

    def change(row: Row) -> tuple[float | None]:
        found = of(row)
        return (None if found is None else round(found.change, 6),)

    return [
        _Column("Change", ("change",), lambda row: _points(of(row)), change),
        _Column("95 % interval", ("change_low", "change_high"), lambda row: _between(of(row)), values),
        _Column(
            "Meaning",
            ("meaning",),
            lambda row: _WORDS[meaning(row)][1] + (FAULT_ON if disturbed(row) else ""),
            lambda row: (meaning(row),),
            left=True,
        ),
    ]


def _of_trend() -> Sequence[_Column[TrendPoint]]:
    def started(point: TrendPoint) -> str | None:
        return numbers.moment(point.report.run.started) if point.report.run.started else None

    def bounds(point: TrendPoint) -> tuple[float | None, ...]:
        found = point.test.now.interval
        return (None, None) if found is None else (round(found[0], 6), round(found[1], 6))

    first: list[_Column[TrendPoint]] = [
        _Column("Test", ("test",), lambda p: p.name, lambda p: (p.name,), left=True),
        _Column("Run", ("run",), lambda p: str(p.report.run.id), lambda p: (p.report.run.id,)),
        _Column("Started", ("started",), lambda p: started(p) or numbers.UNKNOWN, lambda p: (started(p),), left=True),
        _Column("Requests", ("counted",), lambda p: numbers.count(p.test.now.counted), lambda p: (p.test.now.counted,)),
        _Column("Success", ("success",), lambda p: _success(p.test), lambda p: (_share(p.test),)),
        _Column("95 % interval", ("low", "high"), lambda p: numbers.interval(p.test.now.interval), bounds),
    ]
    changes: list[_Column[TrendPoint]] = _changes(
        lambda p: p.difference, lambda p: p.meaning, lambda p: bool(still_on(p.report.run.environment))
    )
    last: list[_Column[TrendPoint]] = [
        _Column("Achieved", ("rate",), lambda p: _rate(p.test), lambda p: (_achieved(p.test),)),
        _percentile("p50", "p50", lambda latency: latency.p50),
        _percentile("p95", "p95", lambda latency: latency.p95),
        _percentile("p99", "p99", lambda latency: latency.p99),
    ]
    return first + changes + last


def _percentile(title: str, name: str, of: Callable[[Latency], float | None]) -> _Column[TrendPoint]:
    """Seconds that requests took, from before the open to after the close."""

    def value(point: TrendPoint) -> float | None:
        latency = point.test.latency
        return None if latency is None else of(latency)

    return _Column(title, (name,), lambda point: numbers.latency(value(point)), lambda point: (value(point),))


_POINTS = _of_trend()
_CHANGES: Sequence[_Column[Change]] = (
    _Column("Test", ("test",), lambda c: c.title, lambda c: (c.title,), left=True),
    _Column("Figure", ("name",), lambda c: c.name, lambda c: (c.name,), left=True),
    _Column("Before", ("a",), lambda c: c.shown_a, lambda c: (c.a,)),
    _Column("Now", ("b",), lambda c: c.shown_b, lambda c: (c.b,)),
    _Column("Change", ("change",), lambda c: c.change, lambda c: (c.change,)),
    _Column("Chance", ("chance",), lambda c: c.shown_chance, lambda c: (c.chance,)),
)


def _success(test: TestReport | None) -> str:
    return numbers.UNKNOWN if test is None else numbers.success(test.now.good, test.now.counted)


def _share(test: TestReport | None) -> float | None:
    return None if test is None else numbers.success_value(test.now.good, test.now.counted)


def _losses(test: TestReport | None) -> tuple[int | None, int | None]:
    return (None, None) if test is None else (test.now.counted, test.now.counted - test.now.good)


def _lost(test: TestReport | None) -> str:
    counted, lost = _losses(test)
    return numbers.UNKNOWN if counted is None else f"{lost:,} of {counted:,}"


def _rate(test: TestReport | None) -> str:
    return numbers.rate(_achieved(test))


def _achieved(test: TestReport | None) -> float | None:
    return None if test is None else test.now.achieved


def _points(found: Difference | None) -> str:
    return numbers.UNKNOWN if found is None else _signed(found.change)


def _between(found: Difference | None) -> str:
    return numbers.UNKNOWN if found is None else f"{_signed(found.low)} … {_signed(found.high)}"


def _signed(points: float) -> str:
    return f"{points:+.3f}".replace("-", "−")


def _difference(found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {"change": None, "interval": None}
    return {"change": found.change, "interval": (found.low, found.high)}


# ---------------------------------------------------------------- around the table


def _heading(comparison: Comparison) -> str:
    a, b = comparison.a.run, comparison.b.run
    return f"Run {b.id} ({b.name}) compared with run {a.id} ({a.name}), in percentage points"


def _of_what(trend: Trend) -> str:
    how = "the baseline" if trend.chosen else "the first, since none was made the baseline"
    return f"{len(trend.runs):,} run{'s' * (len(trend.runs) > 1)}, compared with run {trend.baseline} ({how})"


def _below(comparison: Comparison) -> list[str]:
    lines = [""] if comparison.remarks else []
    lines += comparison.remarks
    if comparison.servers:
        lines += ["", "Servers that changed most:", *(f"  {line}" for line in _server_lines(comparison))]
    changes = [change for change in comparison.changes if change.differs]
    if changes:
        lines += ["", "Figures that differ (chance: how likely it alone does that):"]
        lines += [f"  {line}" for line in _aligned(_CHANGES, changes)]
    facts = _fact_lines(comparison)
    if facts:
        lines += ["", "Different plan and environment:", *(f"  {line}" for line in facts)]
    if comparison.plan:
        lines += ["", "Different plan:", *(f"  {line}" for line in comparison.plan)]
    return lines


def _fact_lines(comparison: Comparison) -> list[str]:
    return [
        f"{f.where}, {f.what}: {f.a}  →  {f.b}{f'  ({f.bearing})' if f.bearing else ''}"
        for f in comparison.facts
        if f.differs
    ]


def _server_lines(comparison: Comparison) -> list[str]:
    return [
        f"{s.name}: {s.lost_a:,} of {s.counted_a:,} lost  →  {s.lost_b:,} of {s.counted_b:,}"
        for s in comparison.servers
    ]


def _aligned(columns: Sequence[_Column[Row]], rows: Iterable[Row]) -> list[str]:
    cells = [[printable(column.shown(row)) for column in columns] for row in rows]
    return aligned([[column.title] for column in columns], cells, left=1)


def _csv(columns: Sequence[_Column[Row]], rows: Iterable[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for column in columns for name in column.names])
    for row in rows:
        writer.writerow([csv_cell(value) for column in columns for value in column.values(row)])
    return file.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return to_json({"schema": SCHEMA, **content})


# ---------------------------------------------------------------- HTML


def _compare_page(comparison: Comparison) -> str:
    parts = [table(_grid(_pairs(comparison), comparison.tests, lambda pair: pair.meaning))]
    parts += [f'<p class="sub">{escape(printable(remark))}</p>' for remark in comparison.remarks]
    changes = [change for change in comparison.changes if change.differs]
    if changes:
        grid = Grid(
            tuple(Head(column.title, column.left) for column in _CHANGES),
            tuple(tuple(Cell(bounded(column.shown(change))) for column in _CHANGES) for change in changes),
        )
        parts.append(f"<section><h2>Figures that differ</h2>{table(grid)}</section>")
    for title, lines in (
        ("Servers that changed most", _server_lines(comparison)),
        ("Different plan and environment", _fact_lines(comparison)),
        ("Different plan", list(comparison.plan)),
    ):
        if lines:
            text = "\n".join(escape(printable(line)) for line in lines)
            parts.append(f"<section><h2>{title}</h2><pre>{text}</pre></section>")
    said = verdict(comparison) if comparison.refusal else f"{verdict(comparison)} {comparison.finding.sentence}"
    return _page(_heading(comparison), said, comparison.regression, parts)


def _trend_page(trend: Trend) -> str:
    parts = [table(_grid(_POINTS, trend.points, lambda point: point.meaning))]
    return _page(f"Plan {trend.plan}: {_of_what(trend)}", verdict(trend), trend.regression, parts)


def _page(title: str, said: str, regression: bool, parts: Sequence[str]) -> str:
    head = f"<header><h1><bdi>{escape(printable(title))}</bdi></h1>"
    told = f'<p class="c-{"bad" if regression else "ok"}"><b>{escape(printable(said))}</b></p></header>'
    return page(printable(title), f"{head}{told}<section>{''.join(parts)}</section>")


def _grid(columns: Sequence[_Column[Row]], rows: Iterable[Row], meaning: Callable[[Row], Meaning]) -> Grid:
    return Grid(
        tuple(Head(column.title, column.left) for column in columns),
        tuple(
            tuple(
                Cell(bounded(column.shown(row)), _WORDS[meaning(row)][0] if column.names == ("meaning",) else "")
                for column in columns
            )
            for row in rows
        ),
    )
