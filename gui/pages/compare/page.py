"""Compare: two runs, what differs between them and most likely why; and their plan over time.

The page asks its owner (`run_chosen`, `swap_wanted` and others) and receives immutable values; it never accesses the
database, so nothing here can block.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from gui.models.compare import METRICS, Metric, course_of, curves_of, names_of, opens_on, shown_changes, successes
from gui.models.runs import RunView
from gui.pages.compare.boxes import RunBox, Strip
from gui.pages.compare.charts import (
    METRIC_TITLES,
    Chart,
    CourseDrawing,
    CurveDrawing,
    Legend,
    SuccessDrawing,
)
from gui.pages.compare.columns import CHANGE_COLUMNS, FACT_COLUMNS, TREND_COLUMNS
from gui.report import Comparison, FactPair, Trend
from gui.widgets.crumbs import Crumbs
from gui.widgets.fields import ChoiceField
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, Page, Splitter, button, line, segments, short_caption
from gui.widgets.table import Empty, Table, empty_widget
from gui.widgets.theme import theme

SAID_MS = 6000
"""How long a message such as "Written: …" is shown."""
Actions = tuple[tuple[str, str, Callable[[], object]], ...]


class Differing(Table):
    """A table with a switch between what differs and everything."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.only_button = button("Only what differs", kind="segment")
        self.all_button = button("All", kind="segment")
        self.switch = segments(self.only_button, self.all_button)
        self.only_button.setChecked(True)
        self.bar.insertWidget(self.bar.indexOf(self.filter_box), self.switch)
        for choice in (self.only_button, self.all_button):
            choice.ensurePolished()
        self.only_button.setMinimumWidth(self.only_button.sizeHint().width())
        self.filter_box.setFixedWidth(112)
        self.saved_button.hide()

    @property
    def everything(self) -> bool:
        """Whether what is the same is shown too."""
        return self.all_button.isChecked()


class ComparePage(Page):
    """The page."""

    run_chosen = Signal(str, int)
    swap_wanted = Signal()
    baseline_wanted = Signal(int)
    report_wanted = Signal()
    evidence_wanted = Signal(int)
    back_wanted = Signal()
    plans_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Compare")
        self._comparison: Comparison | None = None
        self._trend: Trend | None = None
        self._pair: tuple[RunView | None, RunView | None] = (None, None)
        self._test = 1
        self._make_head()
        self.strip = Strip()
        self.strip.evidence_wanted.connect(lambda: self.evidence_wanted.emit(self._test))
        self._make_tables()
        self._make_charts()
        left, right = QStackedWidget(), QStackedWidget()
        left.addWidget(self._left)
        left.addWidget(self.history)
        right.addWidget(self._charts)
        right.addWidget(self._courses)
        self._sides = (left, right)
        split = Splitter(Qt.Orientation.Horizontal)
        split.setObjectName("compare")
        split.addWidget(left)
        split.addWidget(right)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([826, 494])
        split.setChildrenCollapsible(False)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.strip)
        column.addWidget(line())
        column.addWidget(split, 1)
        self._empty = QWidget()
        self._empty_layout = QVBoxLayout(self._empty)
        self.inner = QStackedWidget()
        self.inner.addWidget(self._empty)
        self.inner.addWidget(whole)
        self.body.addWidget(self.inner)
        theme().follow(self._restyle)
        self.show_nothing("No run to compare yet", "A run is compared with another one of the same plan.")

    # ---- made once

    def _make_head(self) -> None:
        self.crumbs = Crumbs(self.back_wanted.emit, "Back to all runs")
        self.crumbs.set_path([("Runs", self.back_wanted.emit)])
        self.head.insertWidget(0, self.crumbs)
        self.box_a, self.box_b = RunBox("a"), RunBox("b")
        self.swap_button = button("", "swap", self.swap_wanted.emit, tip="Swap the two runs")
        for place, widget in enumerate((self.box_a, self.swap_button, self.box_b)):
            self.head.insertWidget(2 + place, widget)
        self.box_a.chosen.connect(lambda run: self.run_chosen.emit("a", run))
        self.box_b.chosen.connect(lambda run: self.run_chosen.emit("b", run))
        self.baseline_button = button("Set as baseline", "pin", self._set_baseline)
        self.trend_button = button("Trend", "live", tip="All runs of this plan over time")
        self.trend_button.setCheckable(True)
        self.trend_button.toggled.connect(self._show_side)
        self.report_button = button("Report…", "file", self.report_wanted.emit, tip="Save this comparison")
        for widget in (self.baseline_button, self.trend_button, self.report_button):
            self.add_action(widget)

    def _make_tables(self) -> None:
        self.results = Differing(
            "compare-results",
            "Results",
            CHANGE_COLUMNS,
            key=lambda change: (change.test, change.name),
            hint="test:8",
        )
        self.results.selected.connect(lambda change: self.show_test(change.test) if change is not None else None)
        self.facts = Differing(
            "compare-facts",
            "Plan and environment",
            FACT_COLUMNS,
            key=lambda fact: (fact.where, fact.what),
            hint="settle",
        )
        self.copy_button = button("", "copy", self.facts.copy_rows, tip="Copy these rows")
        self.facts.bar.insertWidget(self.facts.bar.indexOf(self.facts.filter_box), self.copy_button)
        for table in (self.results, self.facts):
            table.only_button.clicked.connect(self._fill_tables)
            table.all_button.clicked.connect(self._fill_tables)
        self._drawn_icon = QLabel()
        self.drawn = Elided("", "secondary", least=100)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 6, 16, 8)
        foot.setSpacing(8)
        foot.addWidget(self._drawn_icon)
        foot.addWidget(self.drawn, 1)
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.facts, 1)
        column.addLayout(foot)
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("compare-tables")
        split.addWidget(self.results)
        split.addWidget(below)
        split.setSizes([330, 350])
        split.setChildrenCollapsible(False)
        self._left = split
        self.history = Table(
            "compare-trend",
            "Runs of this plan",
            TREND_COLUMNS,
            key=lambda point: point.report.run.id,
            hint="meaning:worse",
            empty=Empty("runs", "No run of this plan has ended"),
        )
        self.history.activated.connect(lambda point: self.run_chosen.emit("b", point.report.run.id))

    def _make_charts(self) -> None:
        self.success = SuccessDrawing()
        self.success.chosen.connect(self.show_test)
        self.success_chart = Chart(self.success)
        self.curves = CurveDrawing()
        self.curves_chart = Chart(self.curves)
        self._legends = (Legend(), Legend(lines=True))
        self.success_chart.head.addWidget(self._legends[0])
        self.curves_chart.head.addWidget(self._legends[1])
        self.course = CourseDrawing()
        self.course_chart = Chart(self.course)
        self.metric_box = ChoiceField()
        self.metric_box.setAccessibleName("What is shown over time")
        for metric in METRICS:
            self.metric_box.addItem(METRIC_TITLES[metric][0], metric)
        self.metric_box.currentIndexChanged.connect(lambda _number: self._fill_courses())
        self.course_chart.head.addWidget(self.metric_box)
        self._charts = _stacked(self.success_chart, self.curves_chart, self.course_chart)
        self.over_time: dict[Metric, CourseDrawing] = {
            metric: CourseDrawing() for metric in ("success", "achieved", "p95")
        }
        self._over_charts = {metric: Chart(drawing) for metric, drawing in self.over_time.items()}
        self.test_box = ChoiceField()
        self.test_box.setAccessibleName("The test that is shown over time")
        self.test_box.activated.connect(self._test_picked)
        self.latency_box = ChoiceField()
        self.latency_box.setAccessibleName("Which percentile is shown over time")
        for metric in ("p50", "p95", "p99"):
            self.latency_box.addItem(metric, metric)
        self.latency_box.setCurrentIndex(1)
        self.latency_box.currentIndexChanged.connect(lambda _number: self._fill_courses())
        self._over_charts["success"].head.addWidget(self.test_box)
        self._over_charts["p95"].head.addWidget(self.latency_box)
        self._courses = _stacked(*self._over_charts.values())
        for drawing in (self.course, *self.over_time.values()):
            drawing.run_wanted.connect(lambda run: self.run_chosen.emit("b", run))

    # ---- called by the owner

    def show_runs(self, views: Sequence[RunView]) -> None:
        """The runs that can be chosen."""
        for box in (self.box_a, self.box_b):
            box.set_runs(views)

    def show_pair(self, a: RunView | None, b: RunView | None) -> None:
        """The two that are compared."""
        self._pair = (a, b)
        self.box_a.show_run(a)
        self.box_b.show_run(b)
        self.swap_button.setEnabled(a is not None and b is not None)
        self.baseline_button.setVisible(b is not None)
        if b is not None:
            self.baseline_button.setText(f"Set run {b.run.id} as baseline")
            self.baseline_button.setEnabled(not b.run.baseline)

    def show_comparison(self, comparison: Comparison) -> None:
        """What differs between the two."""
        before = self._comparison
        same = before is not None and [p.name for p in before.tests] == [p.name for p in comparison.tests]
        self._comparison = comparison
        self._test = min(self._test, len(comparison.tests)) if same else opens_on(comparison)
        self.remark.setText("")
        found = comparison.finding
        self.strip.show_finding(found, evidence=found.tone == "worse" and self._evidence_test() is not None)
        a, b = comparison.a.run, comparison.b.run
        for legend in self._legends:
            legend.set_runs(a.id, b.id)
        _retitle(self.results, f"Run {a.id}{', baseline' if a.baseline else ''}", f"Run {b.id}")
        _retitle(self.facts, f"Run {a.id}{', baseline' if a.baseline else ''}", f"Run {b.id}")
        self.drawn.setText(" ".join([*comparison.remarks, comparison.draws]).strip())
        self._restyle()
        self._fill_tables()
        self._fill_charts()
        self.report_button.setEnabled(True)
        self.inner.setCurrentIndex(1)

    def show_trend(self, trend: Trend | None) -> None:
        """All runs of the plan."""
        self._trend = trend
        self._fill_courses()

    def show_test(self, number: int) -> None:
        """The test that the plots show."""
        if number != self._test and self._comparison is not None:
            self._test = number
            self._fill_charts()

    def show_nothing(self, title: str, reason: str, *, done: bool = True) -> None:
        """Say why there is nothing to compare, and what to do; not `done`: that it is being read."""
        self._comparison = None
        self.report_button.setEnabled(False)
        while (item := self._empty_layout.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        actions: Actions = (
            ("Open the plans", "plans", self.plans_wanted.emit),
            ("All runs", "runs", self.back_wanted.emit),
        )
        shown = empty_widget(Empty("split", title, reason, actions if done else (), primary=False))
        self._empty_layout.addWidget(shown)
        shown.show()
        self.inner.setCurrentIndex(0)

    def say(self, text: str) -> None:
        """Say that something was done, beside the title, for a while."""
        self.remark.setText(text)
        QTimer.singleShot(
            SAID_MS, self.remark, lambda: self.remark.setText("" if self.remark.text() == text else self.remark.text())
        )

    # ---- inside

    def _evidence_test(self) -> int | None:
        """The test of run b whose missing records explain it: the chosen one, else the first that lost any."""
        if self._comparison is None:
            return None
        lossy = [n for n, pair in enumerate(self._comparison.tests, 1) if pair.b is not None and pair.b.now.missing]
        return self._test if self._test in lossy else lossy[0] if lossy else None

    def _fill_tables(self) -> None:
        comparison = self._comparison
        if comparison is None:
            return
        changes = shown_changes(comparison, everything=True)
        differing = shown_changes(comparison, everything=False)
        real = sum(change.real for change in differing)
        self.results.all_button.setText(f"All {len(changes)}")
        self.results.set_counts(f"{len(differing)} of {len(changes)} differ, {real} by more than noise")
        self.results.set_empty(_no_change(comparison))
        self.results.set_rows(changes if self.results.everything else differing)
        facts = comparison.facts
        apart = [fact for fact in facts if fact.differs]
        settings, others = _count(apart, facts, setting=True), _count(apart, facts, setting=False)
        self.facts.set_counts(f"{settings} settings, {others} facts")
        self.facts.all_button.setText(f"All {len(facts)}")
        self.facts.set_empty(
            Empty("check", "The same plan, the same environment" if facts else "Nothing is recorded of either run")
        )
        self.facts.set_rows(facts if self.facts.everything else apart)

    def _fill_charts(self) -> None:
        comparison = self._comparison
        if comparison is None or not comparison.tests:
            return
        self.success_chart.set_title("Success", "%, with 95 % interval, by test")
        self.success.show_tests(successes(comparison), self._test)
        self.curves_chart.set_title("Time per request", f"by percentile, test {self._test}")
        self.curves.show_curves(*curves_of(comparison, self._test))
        self._fill_courses()

    def _fill_courses(self) -> None:
        trend, comparison = self._trend, self._comparison
        if comparison is None or not comparison.tests:
            return
        name = comparison.tests[self._test - 1].name
        pair = (comparison.a.run.id, comparison.b.run.id)
        metric: Metric = self.metric_box.currentData()
        runs = trend.runs if trend is not None else ()
        which = f"runs {runs[0]} to {runs[-1]} of this plan" if runs else "reading…"
        words, unit = METRIC_TITLES[metric]
        self.course_chart.set_title(f"Test {self._test} over time", f"{words}, {unit}, {which}")
        self.course.show_course(course_of(trend, name, metric) if trend else None, *pair)
        latency: Metric = self.latency_box.currentData()
        for shown, drawing in self.over_time.items():
            wanted = latency if shown == "p95" else shown
            drawing.show_course(course_of(trend, name, wanted) if trend else None, *pair)
            words, unit = METRIC_TITLES[wanted]
            self._over_charts[shown].set_title(words[:1].upper() + words[1:], f"{unit}, {which}")
        names = names_of(trend) if trend is not None else (name,)
        if [self.test_box.itemData(n) for n in range(self.test_box.count())] != list(names):
            self.test_box.clear()
            for one in names:
                self.test_box.addItem(short_caption(one, 28), one)
        self.test_box.setCurrentIndex(max(0, self.test_box.findData(name)))
        points = [point for point in trend.points if point.name == name] if trend is not None else []
        self.history.set_rows(points[::-1])
        self.history.set_counts(f"{len(points):,}, {name}" if points else "")

    def _test_picked(self, number: int) -> None:
        comparison, name = self._comparison, self.test_box.itemData(number)
        if comparison is not None:
            found = next((n for n, pair in enumerate(comparison.tests, 1) if pair.name == name), None)
            if found is not None:
                self.show_test(found)

    def _show_side(self, trend: bool) -> None:
        for side in self._sides:
            side.setCurrentIndex(int(trend))
        self.trend_button.set_kind("primary" if trend else "")

    def _set_baseline(self) -> None:
        if self._pair[1] is not None:
            self.baseline_wanted.emit(self._pair[1].run.id)

    def _restyle(self) -> None:
        same = self._comparison is not None and self._comparison.draws.startswith("Same seed")
        good = same and self._comparison is not None and not self._comparison.remarks
        self._drawn_icon.setPixmap(pixmap("ok" if good else "info", "ok" if good else "text2", 14, 2.0))


def _count(apart: Sequence[FactPair], facts: Sequence[FactPair], *, setting: bool) -> str:
    of = sum(fact.setting is setting for fact in facts)
    return f"{sum(fact.setting is setting for fact in apart)} of {of:,}"


def _no_change(comparison: Comparison) -> Empty:
    if comparison.refusal:
        return Empty("split", "Nothing to compare", comparison.refusal)
    return Empty("check", "Nothing differs", "Every figure of both runs is the same, or within its noise.")


def _retitle(table: Table, a: str, b: str) -> None:
    """Name the columns of both runs by their runs."""
    rows = table.model.rows
    titles = {"a": a, "b": b}
    rows.columns = tuple(
        dataclasses.replace(column, title=titles[column.key]) if column.key in titles else column
        for column in rows.columns
    )
    table.view.horizontalHeader().viewport().update()


def _stacked(*charts: Chart) -> Splitter:
    split = Splitter(Qt.Orientation.Vertical)
    for chart in charts:
        split.addWidget(chart)
    split.setChildrenCollapsible(False)
    split.setSizes([244, 256, 220])
    return split
