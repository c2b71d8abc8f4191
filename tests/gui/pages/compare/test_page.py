"""Compare by mouse and keys: the two boxes, the tables, the plots, trend; empty and refused; hostile text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication

from gui.models.compare import read_comparison
from gui.models.runs import RunView, read_runs
from gui.pages.compare.charts import log_labels, share_scale
from gui.pages.compare.page import ComparePage
from gui.report import Comparison, Trend, read_trend
from gui.store import Store, TestSpec
from tests.gui.campaign_store import Campaign
from tests.gui.parts import wear

SPECS = (TestSpec(2, 20, 10, repeats=1, seed=42, name="2×20"), TestSpec(4, 50, 10, repeats=2, seed=42, name="4×50"))


@dataclasses.dataclass
class Read:
    """What the owner of the page has read."""

    runs: list[RunView]
    worse: Comparison
    same: Comparison
    refused: Comparison
    trend: Trend


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Four runs of a plan, the third the worse one; and one of another plan."""
    with Store(tmp_path_factory.mktemp("compare") / "w.db") as store:
        campaign = Campaign(store, SPECS)
        for number in range(4):
            worse = number == 2
            campaign.run(lost={(2, 1): 50, (2, 2): 50} if worse else {}, drops=9 if worse else 0,
                         settle=90 if worse else 60)  # fmt: skip
        store.set_baseline(2)
        campaign.tests, campaign.name = (TestSpec(3, 10, 10, name="3×10"),), "another"
        campaign.run()
        trend = read_trend(store, "osdf-2021")
        assert trend is not None
        bad, same, refused = (read_comparison(store, *pair) for pair in ((2, 3), (1, 2), (2, 5)))
        yield Read(read_runs(store), bad, same, refused, trend)


@pytest.fixture
def page(show: Callable[[Any], Any]) -> ComparePage:
    made: ComparePage = show(ComparePage())
    return made


@pytest.fixture
def fill(page: ComparePage, read: Read) -> Callable[[Comparison], None]:
    def filled(comparison: Comparison) -> None:
        page.show_runs(read.runs)
        by_number = {one.run.id: one for one in read.runs}
        page.show_pair(by_number[comparison.a.run.id], by_number[comparison.b.run.id])
        page.show_comparison(comparison)
        page.show_trend(read.trend)

    return filled


def heard(signal: Any) -> list[Any]:
    found: list[Any] = []
    signal.connect(lambda *said: found.append(said[0] if len(said) == 1 else said))
    return found


def test_the_strip_says_what_is_worse_and_why(page, fill, read, qtbot) -> None:
    fill(read.worse)
    assert page.strip.words.text() == (
        "Run 3 is worse. 4×50 lost 100 of 400 records, run 2 none. Most likely the kernel dropped datagrams at "
        "Shoveler sh-a (100 of the 100)."
    )
    asked = heard(page.evidence_wanted)
    qtbot.mouseClick(page.strip.evidence_button, Qt.MouseButton.LeftButton)
    assert asked == [2]


def test_only_what_differs_is_listed_until_all_is_wanted(page, fill, read, qtbot) -> None:
    fill(read.worse)
    names = [(change.test, change.name) for change in page.results.model.rows.visible]
    assert (2, "Success") in names
    assert (1, "Success") not in names
    assert page.results.all_button.text() == "All 22"
    qtbot.mouseClick(page.results.all_button, Qt.MouseButton.LeftButton)
    assert len(page.results.model.rows.visible) == 22
    shown = [(fact.what, fact.bearing) for fact in page.facts.model.rows.visible]
    assert shown[:2] == [("settle", "waits longer, loses nothing"), ("kernel drops in the run",
                         "likely cause of 100 of the 100")]  # fmt: skip
    qtbot.mouseClick(page.facts.all_button, Qt.MouseButton.LeftButton)
    assert len(page.facts.model.rows.visible) > 20
    qtbot.mouseClick(page.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().startswith("Where\tWhat\tRun 2, baseline\tRun 3\tBears on the result\n")


def test_red_is_a_verdict_and_noise_is_grey(page, fill, read) -> None:
    fill(read.worse)
    column = next(c for c in page.results.model.rows.columns if c.key == "change")
    rows = {change.name: change for change in page.results.model.rows.visible if change.test == 2}
    assert column.colour(rows["Success"]) == "bad"
    assert column.shows(rows["Missing"]) == "▲ +100"
    assert column.colour(dataclasses.replace(rows["Success"], kind="speed")) == "warn"
    assert column.colour(dataclasses.replace(rows["Success"], better=True)) == "ok"
    assert column.colour(dataclasses.replace(rows["Success"], chance=0.25)) == "text3"


def test_the_box_opens_the_list_and_enter_takes_a_run(page, fill, read, qtbot) -> None:
    fill(read.worse)
    asked = heard(page.run_chosen)
    qtbot.mouseClick(page.box_b, Qt.MouseButton.LeftButton)
    picker = page.box_b.picker
    qtbot.waitUntil(picker.isVisible)
    assert [one.run.id for one in picker.table.model.rows.visible] == [5, 4, 3, 2, 1]
    assert picker.table.current().run.id == 3
    qtbot.keyClick(picker.table.view, Qt.Key.Key_Up)
    qtbot.keyClick(picker.table.view, Qt.Key.Key_Return)
    assert (asked, picker.isVisible()) == ([("b", 4)], False)
    page.box_a.setFocus()
    qtbot.keyClick(page.box_a, Qt.Key.Key_Space)
    qtbot.waitUntil(page.box_a.picker.isVisible)
    table = page.box_a.picker.table
    place = table.view.visualRect(table.model.index_of(1)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert asked == [("b", 4), ("a", 1)]


def test_swap_baseline_and_report_ask_the_owner(page, fill, read, qtbot) -> None:
    fill(read.worse)
    swapped, based, saved = heard(page.swap_wanted), heard(page.baseline_wanted), heard(page.report_wanted)
    for button in (page.swap_button, page.baseline_button, page.report_button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (len(swapped), based, len(saved)) == (1, [3], 1)
    assert page.baseline_button.text() == "Set run 3 as baseline"
    fill(read.same)
    assert not page.baseline_button.isEnabled(), "run 2 is it already"


def test_a_click_on_a_point_takes_that_run(page, fill, read, qtbot) -> None:
    fill(read.worse)
    asked = heard(page.run_chosen)
    place = page.course.place_of(4).toPoint()
    qtbot.mouseClick(page.course, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseClick(page.course, Qt.MouseButton.LeftButton, pos=place + QPoint(0, 40))
    assert asked == [("b", 4)]
    assert page.course.tip_at(page.course.place_of(3)).splitlines()[1].startswith("75.00 % (95 %: ")


def test_arrows_and_enter_take_a_run_too(page, fill, read, qtbot) -> None:
    fill(read.worse)
    asked = heard(page.run_chosen)
    page.course.setFocus()
    qtbot.keyClick(page.course, Qt.Key.Key_Left)
    qtbot.keyClick(page.course, Qt.Key.Key_Left)
    qtbot.keyClick(page.course, Qt.Key.Key_Left)
    qtbot.keyClick(page.course, Qt.Key.Key_Return)
    assert asked == [("b", 1)]


def test_the_plots_show_the_test_that_is_chosen(page, fill, read, qtbot) -> None:
    fill(read.worse)
    assert page.course_chart.title.text() == "Test 2 over time"
    area = page.success.area()
    qtbot.mouseClick(page.success, Qt.MouseButton.LeftButton, pos=QPoint(int(area.left()) + 40, int(area.center().y())))
    assert page.course_chart.title.text() == "Test 1 over time"
    page.success.setFocus()
    qtbot.keyClick(page.success, Qt.Key.Key_Right)
    assert page.curves_chart.unit.text() == "by percentile, test 2"
    qtbot.mouseClick(page.results.all_button, Qt.MouseButton.LeftButton)
    page.results.select_key((1, "p50"))
    assert page.curves_chart.unit.text() == "by percentile, test 1"


def test_trend_lists_all_runs_with_three_plots(page, fill, read, qtbot) -> None:
    fill(read.worse)
    asked = heard(page.run_chosen)
    qtbot.mouseClick(page.trend_button, Qt.MouseButton.LeftButton)
    assert page.history.isVisible()
    assert not page.results.isVisible()
    assert [(p.report.run.id, p.meaning) for p in page.history.model.rows.visible] == [
        (4, "same"), (3, "worse"), (2, "baseline"), (1, "same"),
    ]  # fmt: skip
    assert [chart.title.text() for chart in page._over_charts.values()] == ["Success", "Requests", "P95"]
    page.latency_box.setFocus()
    qtbot.keyClick(page.latency_box, Qt.Key.Key_Down)
    assert page._over_charts["p95"].title.text() == "P99"
    page.history.select_key(1)
    qtbot.keyClick(page.history.view, Qt.Key.Key_Return)
    assert asked == [("b", 1)]
    qtbot.mouseClick(page.trend_button, Qt.MouseButton.LeftButton)
    assert page.results.isVisible()


def test_the_metric_over_time_is_chosen_by_keys(page, fill, read, qtbot) -> None:
    fill(read.worse)
    page.metric_box.setFocus()
    qtbot.keyClick(page.metric_box, Qt.Key.Key_Down)
    assert page.course_chart.unit.text() == "requests, per second, runs 1 to 4 of this plan"


def test_runs_without_a_common_test_are_refused_in_a_sentence(page, fill, read, texts) -> None:
    fill(read.refused)
    assert page.strip.words.text().startswith("Runs 2 and 5 cannot be compared. Run 2 (osdf-2021: 2×20, 4×50)")
    assert "Nothing to compare" in texts(page)
    assert not page.strip.evidence_button.isVisible()


def test_nothing_differs(page, fill, read, texts) -> None:
    fill(read.same)
    assert page.strip.words.text().startswith("No difference beyond noise.")
    assert page.drawn.text() == "Same seed 42: both runs drew their files in the same order."


def test_without_two_runs_it_offers_the_next_step(page, texts, qtbot) -> None:
    page.show_nothing("Nothing to compare with yet", "Run the plan again, or set a baseline.")
    assert {"Nothing to compare with yet", "Run the plan again, or set a baseline.", "Open the plans"} <= set(
        texts(page)
    )
    asked = heard(page.plans_wanted)
    (button,) = [
        b for b in page.findChildren(type(page.report_button)) if b.text() == "Open the plans" and b.isVisible()
    ]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(asked) == 1
    assert not page.report_button.isEnabled()


def test_hostile_names_are_text_in_every_place(page, fill, read, hostile, qtbot) -> None:
    for text in hostile:
        run = dataclasses.replace(read.worse.b.run, name=text)
        facts = tuple(
            dataclasses.replace(f, where=text, what=f"{text}{n}", a=text, b=f"{text}!", bearing=text)
            for n, f in enumerate(read.worse.facts[:3])
        )
        tests = tuple(dataclasses.replace(pair, name=text) for pair in read.worse.tests)
        changes = tuple(dataclasses.replace(c, title=text, ask=text) for c in read.worse.changes)
        bad = dataclasses.replace(
            read.worse, b=dataclasses.replace(read.worse.b, run=run), facts=facts, tests=tests, changes=changes
        )
        fill(bad)
        page.box_b.show_run(dataclasses.replace(read.runs[0], run=dataclasses.replace(read.runs[0].run, name=text)))
        assert "<b>" not in page.box_b.toolTip()
        page.strip.words.setToolTip("")
        for mode in ("light", "dark"):
            wear(mode, page)
            page.grab()
        page.trend_button.click()
        page.grab()
        page.trend_button.click()


@pytest.mark.parametrize("least", [99.999, 99.97, 99.0, 63.0, 12.0, 0.0])
def test_the_axis_of_success_ends_at_a_hundred(least: float) -> None:
    low, found = share_scale(least, 160)
    assert 0 <= low <= least
    assert found[0] == 100
    assert 2 <= len(found) <= 7
    assert low <= min(found) < low + (found[0] - found[1])


def test_the_axis_of_times_has_round_values(page) -> None:
    from PySide6.QtCore import QRectF

    assert log_labels(-2.2, 0.4, QRectF(0, 0, 100, 400)) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    assert log_labels(-2.2, 1.4, QRectF(0, 0, 100, 60)) == pytest.approx([0.01, 0.1, 1, 10][::2])
    assert log_labels(-3.65, -3.5, QRectF(0, 0, 100, 400)) == pytest.approx([0.00027]), "all requests took 0.25 ms"


def test_every_control_has_a_name(page, fill, read, controls, qtbot) -> None:
    fill(read.worse)
    for _ in range(2):
        assert [control for control, name in controls(page) if not name] == []
        assert page.course in [control for control, _ in controls(page)] or page.trend_button.isChecked()
        page.trend_button.toggle()
