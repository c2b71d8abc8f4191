"""The columns of the tables of Compare, and the arrow and colour of a change."""

from __future__ import annotations

from functools import partial

from gui.models import figures
from gui.models.rows import Column
from gui.models.runs import RunView
from gui.models.states import outcome_state
from gui.reconcile import still_on
from gui.report import Change, FactPair, TrendPoint, numbers

MEANINGS = {
    "better": ("ok", "better", "ok"),
    "worse": ("bad", "worse", "bad"),
    "same": ("ring", "no more than chance", "text2"),
    "baseline": ("pin", "the baseline", "accent_text"),
    "not comparable": ("ring", "not comparable", "mute"),
}


def change_colour(change: Change) -> str:
    """Red for a verdict, amber for speed, green for what became better; grey where it may be noise."""
    if not change.real or change.better is None:
        return "text3" if not change.real else "text2"
    if change.better:
        return "ok"
    return "warn" if change.kind == "speed" else "bad"


def change_text(change: Change) -> str:
    """The change with an arrow in the direction of the figure."""
    if change.a == change.b or change.a is None or change.b is None:
        return change.change
    return f"{'▲' if change.b > change.a else '▼'} {change.change}" if change.real else change.change


def fault_on(point: TrendPoint) -> str:
    """What stands beside the word about a run that began with a fault of another one still on."""
    return ", fault on" if still_on(point.report.run.environment) else ""


def _latency(point: TrendPoint, *, name: str) -> float | None:
    value: float | None = getattr(point.test.latency, name, None)
    return value


def _points(point: TrendPoint) -> str:
    if point.difference is None:
        return numbers.UNKNOWN
    return f"{point.difference.change:+.3f}".replace("-", "−") if point.difference.change else "0"


def _latency_text(point: TrendPoint, *, name: str) -> str:
    return numbers.latency(_latency(point, name=name))


CHANGE_COLUMNS: list[Column[Change]] = [
    Column("test", "Test", lambda c: c.test, align="right", width=60, bold=lambda c: c.name == "Success"),
    Column("ask", "Servers × files, at a time", lambda c: c.ask, width=176, colour=lambda _c: "text2", fold=1,
           tip=lambda c: c.title),
    Column("name", "Value", lambda c: c.name, width=104, bold=lambda c: c.real and c.kind == "verdict", stretch=True),
    Column("a", "Before", lambda c: c.a, lambda c: c.shown_a, "right", 116, colour=lambda c: None if c.a else "text3"),
    Column("b", "Now", lambda c: c.b, lambda c: c.shown_b, "right", 104, bold=lambda c: c.real,
           colour=lambda c: None if c.b else "text3"),
    Column("change", "Change", lambda c: None if c.a is None or c.b is None else c.b - c.a, change_text, "right", 136,
           colour=change_colour),
    Column("chance", "Chance alone, p", lambda c: c.chance, lambda c: c.shown_chance, "right", 128,
           colour=lambda c: "text2" if c.real else "text3",
           tip="How likely chance alone makes it differ as much; above 0.05 it is not told from noise"),
]  # fmt: skip

FACT_COLUMNS: list[Column[FactPair]] = [
    Column("where", "Where", lambda f: f.where, width=116, colour=lambda _f: "text2"),
    Column("what", "What", lambda f: f.what, width=172, bold=lambda f: f.weight == "cause"),
    Column("a", "Before", lambda f: f.a, width=124, kind="fixed"),
    Column("b", "Now", lambda f: f.b, width=124, kind="fixed"),
    Column("bearing", "Bears on the result", lambda f: f.bearing, lambda f: f.bearing, width=160, kind="status",
           stretch=True, icon=lambda f: "warn" if f.weight == "cause" else None,
           colour=lambda f: "warn" if f.weight == "cause" else "text2"),
]  # fmt: skip

TREND_COLUMNS: list[Column[TrendPoint]] = [
    Column("run", "Run", lambda p: p.report.run.id, align="right", width=60, bold=True),
    Column("started", "Started", lambda p: p.report.run.started, lambda p: when(p.report.run.started), width=116),
    Column("requests", "Requests", lambda p: p.test.now.counted, lambda p: numbers.count(p.test.now.counted), "right",
           80, fold=2),
    Column("success", "Success", lambda p: p.test.now.success,
           lambda p: numbers.success(p.test.now.good, p.test.now.counted), "right", 84, bold=True),
    Column("interval", "95 % interval", lambda p: p.test.now.interval, lambda p: numbers.interval(p.test.now.interval),
           "right", 148, colour=lambda _p: "text2", fold=3),
    Column("change", "Change", lambda p: p.difference.change if p.difference else None,
           lambda p: _points(p), "right", 80,
           colour=lambda p: {"worse": "bad", "better": "ok"}.get(p.meaning, "text3"),
           tip="From the baseline, in percentage points"),
    Column("meaning", "Meaning", lambda p: MEANINGS[p.meaning][1] + fault_on(p), width=176, kind="status", stretch=True,
           tip=lambda p: still_on(p.report.run.environment),
           icon=lambda p: MEANINGS[p.meaning][0], colour=lambda p: MEANINGS[p.meaning][2]),
    Column("achieved", "Achieved", lambda p: p.test.now.achieved, lambda p: numbers.rate(p.test.now.achieved), "right",
           80),
    *(
        Column(name, name, partial(_latency, name=name), partial(_latency_text, name=name), "right", 72, fold=fold)
        for name, fold in (("p50", 1), ("p95", 0), ("p99", 0))
    ),
]  # fmt: skip

PICKER_COLUMNS: list[Column[RunView]] = [
    Column("run", "Run", lambda v: v.run.id, align="right", width=64, bold=True),
    Column("name", "Plan", lambda v: v.run.name, width=180, stretch=True),
    Column("verdict", "Verdict", lambda v: outcome_state(v.outcome)[1], width=112, kind="status",
           icon=lambda v: outcome_state(v.outcome)[0], colour=lambda v: outcome_state(v.outcome)[2]),
    Column("success", "Success", lambda v: v.success, lambda v: v.success, "right", 84),
    Column("baseline", "Baseline", lambda v: "baseline" if v.run.baseline else "", lambda v: "baseline" if
           v.run.baseline else "", width=80, colour=lambda _v: "accent_text"),
    Column("started", "Started", lambda v: v.run.started or v.run.created, lambda v: when(v.run.started), width=124),
]  # fmt: skip


def when(moment: float | None) -> str:
    """Day and time of a run."""
    return figures.day_and_time(moment)
