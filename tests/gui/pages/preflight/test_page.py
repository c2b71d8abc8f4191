"""Preflight: lines come live, each can be explained and measured again; what helps is a button; Run at the side."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from gui.campaign.plan import Plan, Test
from gui.models.checklist import Line, PlanTotals
from gui.pages.preflight.page import PreflightPage
from gui.runner.checklist import ITEMS, Check, Fix, Item, items_of

PLAN = Plan("night", (Test(2, 40, 10),))
LEFT = Qt.MouseButton.LeftButton
LINE = "xrootd.monitor all flush 30s fstat 60s lfn ops xfr 5 dest fstat user info 127.0.0.1:9993"


def check(name: str, state, text: str = "Fine.", **more) -> Check:
    title = next(item.title for item in ITEMS if item.name == name)
    return Check(name, title, state, text, **more)


def lines(*found: Check, checking: str = "") -> list[Line]:
    """The checklist with what was found so far."""
    by_name = {one.name: one for one in found}
    made = []
    for item in items_of(PLAN):
        one = by_name.get(item.name)
        state = "checking" if item.name == checking else one.state if one else "waiting"
        made.append(Line(item, state, one))
    return made


CONFIG = check(
    "config", "failed", "s07: fstat without xfr.", remedy="Change the line.", line=LINE, figure="49 of 50",
    fixes=(
        Fix("copy", "Copy fixed line", LINE),
        Fix("go", "Show in Fleet", "fleet"),
        Fix("plan", "Leave s07 out", plan=PLAN),
    ),
)  # fmt: skip


@pytest.fixture
def page(show) -> PreflightPage:
    page = show(PreflightPage())
    page.show_plan("night", "", PlanTotals(1, 1, 80, 2**20, 95.0))
    page.show_lines(lines())
    page.set_busy(busy=True)
    page.set_run("night", can=False, why="The checks are not over yet.")
    return page


def done(page: PreflightPage, *found: Check) -> None:
    rest = [check(item.name, "ok") for item in items_of(PLAN) if item.name not in {one.name for one in found}]
    page.show_lines(lines(*found, *rest))
    page.set_busy(busy=False)
    page.set_run("night", can=True, why="")


def heard(signal) -> list:
    found: list = []
    signal.connect(lambda *values: found.append(values[0] if len(values) == 1 else values))
    return found


def test_lines_come_one_by_one_with_icon_word_and_figure(page: PreflightPage) -> None:
    assert page.badge._word.text() == "0 of 14"
    page.show_lines(lines(check("bus", "ok", figure="bound"), checking="queue"))
    assert (page.rows["bus"].word.text(), page.rows["bus"].figure.text()) == ("ok", "bound")
    assert page.rows["queue"].word.text() == "checking"
    assert page.rows["room"].word.text() == "waiting"
    assert page.badge._word.text() == "1 of 14"
    assert page.side.counted() == {
        "ok": "1",
        "warning": "0",
        "failed": "0",
        "skipped": "0",
        "checking": "1",
        "waiting": "12",
    }
    assert not page.side.run_button.isEnabled()
    assert page.side.verdict.text() == "The checks are not over yet."


def test_what_was_not_measured_is_not_checked_and_never_ok(page: PreflightPage) -> None:
    done(page, check("ttl", "skipped", "No collector has reported."))
    row = page.rows["ttl"]
    assert (row.word.text(), row.figure.text(), row.detail.text()) == ("not checked", "–", "No collector has reported.")
    assert page.badge._word.text() == "1 not checked"
    assert page.side.verdict.text().startswith("13 of 14 ok, 1 not checked.")


def test_the_worst_line_is_shown_with_what_to_do(page: PreflightPage, texts) -> None:
    done(page, CONFIG, check("load", "warning", "Busy."))
    assert page.current() == "config"
    assert page.box.isVisible()
    assert page.box.text.text() == "s07: fstat without xfr."
    assert page.box.config.text() == LINE
    assert [made.text() for made in page.box.buttons] == ["Copy fixed line", "Show in Fleet", "Leave s07 out"]
    assert page.side.run_button.text() == "Run anyway"
    assert page.badge._word.text() == "1 failed"
    done(page)
    assert not page.box.isVisible(), "nothing is to be done when all is well"
    assert page.side.run_button.text() == "Run night"
    assert page.badge._word.text() == "all ok"


def test_fixes_are_done_from_the_line_and_from_the_box(page: PreflightPage) -> None:
    done(page, CONFIG, check("clocks", "warning", "c2: +3 s", fixes=(Fix("again", "Measure again"),)))
    fixes, again = heard(page.fix_wanted), heard(page.again_wanted)
    QTest.mouseClick(page.rows["config"].fix_button, LEFT)
    QTest.mouseClick(page.box.buttons[2], LEFT)
    assert [fix.text for fix in fixes] == ["Copy fixed line", "Leave s07 out"]
    QTest.mouseClick(page.rows["clocks"], LEFT)
    assert page.current() == "clocks"
    assert page.rows["clocks"].fix_button.isHidden(), "to measure again has its own button in each line"
    QTest.mouseClick(page.box.buttons[0], LEFT)
    QTest.mouseClick(page.rows["bus"].again, LEFT)
    assert again == ["clocks", "bus"]


def test_each_line_can_be_explained_also_one_that_is_well(page: PreflightPage) -> None:
    done(page)
    QTest.mouseClick(page.rows["queue"], LEFT)
    assert not page.box.isVisible()
    QTest.mouseClick(page.rows["queue"].explain, LEFT)
    assert page.box.isVisible()
    assert page.box.explanation.text() == next(item.explain for item in ITEMS if item.name == "queue")


def test_keys_choose_explain_and_measure_again(page: PreflightPage) -> None:
    done(page, CONFIG)
    again, back = heard(page.again_wanted), []
    page.plans_wanted.connect(lambda: back.append(True))
    QTest.keyClick(page.rows["bus"], Qt.Key.Key_Down)
    assert page.current() == "queue"
    QTest.keyClick(page.rows["queue"], Qt.Key.Key_Return)
    assert page.box.explanation.isVisible()
    QTest.keyClick(page.rows["queue"], Qt.Key.Key_R)
    assert again == ["queue"]
    QTest.keyClick(page.rows["room"], Qt.Key.Key_Down)
    assert page.current() == "room"
    page.crumbs.back_button.click()
    assert back == [True]


def test_while_lines_are_looked_at_the_button_stops_and_nothing_is_measured_twice(page: PreflightPage) -> None:
    stops, again = [], heard(page.again_wanted)
    page.stop_wanted.connect(lambda: stops.append(True))
    assert page.again_button.text() == "Stop"
    page.show_lines(lines(CONFIG, checking="files"))
    page.choose("config")
    assert [made.isEnabled() for made in page.box.buttons] == [True, True, False], "the plan is not changed meanwhile"
    QTest.mouseClick(page.rows["bus"].again, LEFT)
    QTest.keyClick(page.rows["bus"], Qt.Key.Key_R)
    assert again == []
    QTest.mouseClick(page.again_button, LEFT)
    assert stops == [True]


def test_a_line_that_was_chosen_stays_chosen(page: PreflightPage) -> None:
    page.choose("bus")
    done(page, CONFIG)
    assert page.current() == "bus"


def test_run_names_the_plan_and_shows_its_figures(page: PreflightPage) -> None:
    done(page)
    asked: list[bool] = []
    page.run_wanted.connect(lambda: asked.append(True))
    QTest.mouseClick(page.side.run_button, LEFT)
    assert asked == [True]
    assert page.side.run_button.accessibleName() == "Run night"
    assert page.side.totals() == ["1, 1", "80", "1.0 MiB", "1 min 35 s"]
    page.show_plan("night", "changed for this run", PlanTotals(1, 1))
    assert page.remark.text() == "changed for this run"
    assert page.side.totals() == ["1, 1", "–", "–", "–"]


@pytest.mark.parametrize("action", ["plans", "welcome"])
def test_empty_it_says_why_and_leads_on(page: PreflightPage, action: str) -> None:
    page.show_nothing("No workspace is open.", action)
    went: list[str] = []
    page.plans_wanted.connect(lambda: went.append("plans"))
    page.welcome_wanted.connect(lambda: went.append("welcome"))
    QTest.mouseClick(page.way_out, LEFT)
    assert went == [action]
    assert page.badge.isHidden()


@pytest.mark.parametrize(("width", "height"), [(1368, 796), (1208, 616), (1048, 596)])
def test_hostile_and_long_text_is_shown_as_text_and_run_stays_in_sight(
    page: PreflightPage, hostile, width: int, height: int
) -> None:
    item = Item("bus", "T", "E.")
    for text in hostile:
        bad = Check(
            "bus", "T", "failed", text, text, (text,) * 300, figure=text, line=text,
            fixes=(Fix("copy", text, text), Fix("plan", text, plan=PLAN)),
        )  # fmt: skip
        page.resize(width, height)
        page.show_lines([Line(item, "failed", bad)])
        page.set_busy(busy=False)
        page.set_run(text, can=True, why="")
        page.choose("bus", explain=True)
        page.grab()
        assert page.rows["bus"].detail.textFormat() == Qt.TextFormat.PlainText
        assert page.box.text.text() == text
        bottom = page.side.run_button.mapTo(page, page.side.run_button.rect().bottomLeft()).y()
        assert bottom <= height
        assert page.scroll_area.horizontalScrollBar().maximum() == 0
