"""The tab Timeline by mouse and keys: reading once, repeats, zooming, selecting, what the side says, lanes, export."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox

from gui.models.timeline import LANES, Miss, Part, Timeline, groups_of, read_timeline
from gui.pages.result.lanes import Lanes
from gui.pages.result.timeline import TimelineTab, filter_of
from gui.store import Store, TestSpec
from tests.gui.campaign_store import Campaign
from tests.gui.pages.made import view
from tests.gui.parts import wear

SPEC = TestSpec(4, 50, 10, repeats=2, seed=42, name="4×50")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("timeline") / "w.db") as store:
        campaign = Campaign(store, (SPEC,))
        campaign.run(lost={(1, 1): 5, (1, 2): 19}, drops=9, events=True)
        campaign.run(samples=False, daemons=False)
        yield store


@pytest.fixture
def tab(show: Callable[[Any], Any]) -> TimelineTab:
    made: TimelineTab = show(TimelineTab())
    return made


@pytest.fixture
def fill(tab: TimelineTab, store: Store, qtbot: Any) -> Callable[..., Lanes]:
    """Answers what the tab asks for, as its owner does; returns the first drawing."""
    tab.wanted.connect(lambda run, test, repeat: tab.show_timeline(read_timeline(store, run, test, max(0, repeat),
                                                                                 repeat < 0)))  # fmt: skip

    def filled(run: int = 1) -> Lanes:
        tab.show_test(view(run), view(run).tests[0])
        qtbot.waitUntil(lambda: tab.timeline is not None and tab.canvases[0].width() > 400)
        return tab.canvases[0]

    return filled


def heard(signal: Any) -> list[Any]:
    found: list[Any] = []
    signal.connect(lambda *said: found.append(said[0] if len(said) == 1 else said))
    return found


def mark_of(canvas: Lanes, number: int = 0) -> QPoint:
    """Where the first mark of a group is."""
    row = canvas.rows()["misses"]
    return QPointF(canvas.x_of(canvas.part.groups[number].begin), row.bottom() - 4).toPoint()


def test_it_asks_once_and_only_while_somebody_looks(qtbot, store) -> None:
    tab = TimelineTab()
    qtbot.addWidget(tab)
    asked = heard(tab.wanted)
    tab.show_test(view(1), view(1).tests[0])
    assert asked == [], "it is not shown"
    tab.show()
    qtbot.waitExposed(tab)
    assert asked == [(1, 1, -1)]
    tab.show_test(view(1), view(1).tests[0])
    tab.hide()
    tab.show()
    assert asked == [(1, 1, -1)]
    tab.show_timeline(read_timeline(store, 2, 1))
    assert tab.timeline is None, "of another run"


def test_it_opens_on_the_repeat_that_lost_most_and_all_puts_them_under_each_other(tab, fill, qtbot) -> None:
    canvas = fill()
    assert (tab.repeat_buttons[2].isChecked(), canvas.part.number) == (True, 2)
    assert tab.words.text().startswith("began ")
    assert ", 200 requests in " in tab.words.text()
    qtbot.mouseClick(tab.repeat_buttons[1], Qt.MouseButton.LeftButton)
    assert [one.part.number for one in tab.canvases] == [1]
    qtbot.mouseClick(tab.repeat_buttons[0], Qt.MouseButton.LeftButton)
    assert [one.part.number for one in tab.canvases] == [1, 2]
    assert tab.repeat_buttons[0].text() == "All"


def test_many_repeats_are_in_a_list(tab, fill, store, qtbot) -> None:
    fill()
    tab.show_timeline(dataclasses.replace(tab.timeline, repeats=tuple(range(1, 21))))
    (box,) = tab.findChildren(QComboBox)
    assert (box.count(), box.currentText()) == (21, "2 of 20")
    asked = heard(tab.wanted)
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert asked[0] == (1, 1, 1)


def test_the_switch_keeps_the_keyboard(tab, fill, qtbot) -> None:
    fill()
    before = tab.repeat_buttons[1]
    before.setFocus()
    qtbot.keyClick(before, Qt.Key.Key_Space)
    assert tab.repeat_buttons[1] is before
    assert before.isChecked()
    assert tab.canvases[0].part.number == 1


def test_a_click_on_a_mark_fills_the_side(tab, fill, qtbot, texts) -> None:
    canvas = fill()
    assert not tab.selected.isVisible()
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=mark_of(canvas))
    assert tab.selected.isVisible()
    said = {"19 requests lost with it", "number 43, between 42 and 44", "proven", "s02"}
    qtbot.waitUntil(lambda: said <= set(texts(tab.selected)))
    assert len(tab.selected.requests.model.rows.visible) == 19
    asked, filtered = heard(tab.evidence_wanted), heard(tab.requests_wanted)
    qtbot.keyClick(tab.selected.requests.view, Qt.Key.Key_Down)
    qtbot.keyClick(tab.selected.requests.view, Qt.Key.Key_Return)
    qtbot.mouseClick(tab.selected.filter_button, Qt.MouseButton.LeftButton)
    assert asked == [canvas.part.misses[1].request.id]
    assert filtered == [f'lost_with:"={canvas.part.misses[0].request.lost_with}"'] or filtered == [
        f"lost_with:={canvas.part.misses[0].request.lost_with}"
    ]
    qtbot.mouseClick(tab.selected.close_button, Qt.MouseButton.LeftButton)
    assert not tab.selected.isVisible()


def test_control_and_click_takes_one_request(tab, fill, qtbot) -> None:
    canvas = fill()
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, mark_of(canvas))
    assert len(tab.selected.requests.model.rows.visible) == 1


def test_everything_is_done_by_keys_too(tab, fill, qtbot) -> None:
    canvas = fill()
    asked, filtered = heard(tab.evidence_wanted), heard(tab.requests_wanted)
    canvas.setFocus()
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert tab.selected.lost.text() == "19 requests lost with it"
    qtbot.keyClick(canvas, Qt.Key.Key_Return)
    qtbot.keyClick(canvas, Qt.Key.Key_F)
    assert (asked, len(filtered)) == ([canvas.part.misses[0].request.id], 1)
    tab.view.fit()
    whole = tab.view.whole
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert tab.view.high - tab.view.low == pytest.approx(whole / 2)
    low = tab.view.low
    qtbot.keyClick(canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert tab.view.low > low
    qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    qtbot.keyClick(canvas, Qt.Key.Key_Home)
    assert (tab.view.low, tab.view.high) == (0.0, whole)
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert not tab.selected.isVisible()


def test_a_range_is_selected_by_dragging(tab, fill, qtbot, texts) -> None:
    canvas = fill()
    area = canvas.area().toRect()
    row = canvas.rows()["files"].center().toPoint().y()
    end = round(canvas.x_of(canvas.part.groups[0].end)) + 8
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(area.left() + 2, row))
    qtbot.mouseMove(canvas, QPoint(area.left() + 60, row))
    qtbot.mouseMove(canvas, QPoint(end, row))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(end, row))
    assert tab.selected.lost.text() == "19 requests lost"
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(area.right() - 60, row))
    qtbot.mouseMove(canvas, QPoint(area.right() - 20, row))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(area.right() - 20, row))
    assert "Nothing was lost in this time" in texts(tab.selected)
    assert not tab.selected.evidence_button.isEnabled()
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(area.right() - 20, row))
    assert not tab.selected.isVisible(), "a click beside everything selects nothing"


def test_a_click_on_a_flag_selects_its_time(tab, fill, qtbot) -> None:
    canvas = fill()
    canvas.grab()
    box, event = canvas._flags[0]
    assert event.text == "broker down"
    chosen = heard(canvas.range_chosen)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert chosen == [(event.at, event.until)]


def test_the_wheel_zooms_around_the_pointer(tab, fill, qtbot) -> None:
    canvas = fill()
    place = QPointF(canvas.area().center())
    before = canvas.t_of(place.x())
    event = QWheelEvent(place, canvas.mapToGlobal(place), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    span = tab.view.high - tab.view.low
    QApplication.sendEvent(canvas, event)
    assert tab.view.high - tab.view.low == pytest.approx(span * 0.64)
    assert canvas.t_of(place.x()) == pytest.approx(before)


def test_the_overview_moves_and_zooms(tab, fill, qtbot) -> None:
    fill()
    overview, view_ = tab.overview, tab.view
    view_.show_range(0, view_.whole / 2)
    middle = overview.area().center().toPoint().y()

    def drag(begin: float, end: float) -> None:
        qtbot.mousePress(overview, Qt.MouseButton.LeftButton, pos=QPoint(round(begin), middle))
        qtbot.mouseMove(overview, QPoint(round(end), middle))
        qtbot.mouseRelease(overview, Qt.MouseButton.LeftButton, pos=QPoint(round(end), middle))

    drag(overview.x_of(view_.whole / 4), overview.x_of(view_.whole / 2))
    assert view_.low == pytest.approx(view_.whole / 4, rel=0.05)
    assert view_.high - view_.low == pytest.approx(view_.whole / 2)
    drag(overview.x_of(view_.high), overview.x_of(view_.whole))
    assert view_.high == pytest.approx(view_.whole)
    low = view_.low
    drag(overview.x_of(low), overview.x_of(low) + 60)
    assert view_.low > low
    qtbot.mouseClick(tab.fit_button, Qt.MouseButton.LeftButton)
    assert (view_.low, view_.high) == (0, view_.whole)
    overview.setFocus()
    qtbot.keyClick(overview, Qt.Key.Key_Plus)
    for _ in range(3):
        qtbot.keyClick(overview, Qt.Key.Key_Left)
    assert view_.low == 0
    qtbot.keyClick(overview, Qt.Key.Key_Home)
    assert view_.high == view_.whole


def test_lanes_can_be_left_out_and_stay_so(tab, fill, qtbot) -> None:
    canvas = fill()
    tab.hide_lane("broker", hidden=True)
    assert "broker" not in canvas.rows()
    assert tab.lanes_button.text() == "9 of 10 lanes"
    other = TimelineTab()
    qtbot.addWidget(other)
    assert other._hidden == {"broker"}
    for key in LANES:
        tab.hide_lane(key, hidden=True)
    assert len(canvas.rows()) == 1, "one always stays"


def test_a_lane_that_nobody_stored_says_why(tab, fill) -> None:
    canvas = fill(2)
    assert canvas.tip_at(canvas.rows()["throughput"].center()) == "no samples were stored with this run"
    assert canvas.tip_at(canvas.rows()["misses"].center()) == "nothing missing"
    canvas.grab()


def test_the_tip_says_what_is_under_the_pointer(tab, fill) -> None:
    canvas = fill()
    canvas.grab()
    end = QPointF(canvas.area().right() - 2, canvas.rows()["files"].center().y())
    assert canvas.tip_at(end).split("  ")[1] == "Files: asked 200.0, recorded 181.0"
    assert (
        canvas.tip_at(canvas._flags[0][0].center()).splitlines()[0].endswith("broker down. the broker was taken down")
    )
    assert canvas.tip_at(QPointF(mark_of(canvas))) == "19 at s02: lost with datagram 43 (proven)"


def test_a_test_that_has_not_begun_says_so(tab, qtbot, texts) -> None:
    tab.show_test(view(1), view(1).tests[0])
    tab.show_timeline(Timeline(1, 1, (), 0, ()))
    assert "This test has not begun" in texts(tab)
    tab.clear()
    assert "No test is chosen" in texts(tab)


def test_what_is_shown_is_saved(tab, fill, tmp_path: Path) -> None:
    fill()
    tab.write(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().startswith("seconds,throughput")
    tab.write(tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert tab.words.text() == f"Written: {tmp_path / 't.png'}"
    tab.write(tmp_path / "no" / "t.csv")
    assert "was not written" in tab.words.text()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"lost_with": ""}, "verdict:missing server:=s02"),
        ({"lost_with": "1:2:F:42"}, "lost_with:=1:2:F:42"),
    ],
)
def test_the_filter_of_a_group(store: Store, changes: dict[str, Any], text: str) -> None:
    part = read_timeline(store, 1, 1, 2).parts[0]
    misses = [Miss(m.at, dataclasses.replace(m.request, **changes)) for m in part.misses]
    assert filter_of(groups_of(misses, 0.0)[0]).replace('"', "") == text


def hostile_part(part: Part, words: list[str], count: int) -> Part:
    """The same with so many requests lost, of servers and causes with these words."""
    first = part.misses[0].request
    misses = tuple(
        Miss(part.span * n / count, dataclasses.replace(
            first, id=n, server=words[n % len(words)], path=words[n % len(words)], cause=words[n % len(words)],
            lost_with="", datagram=None,
        ))
        for n in range(count)
    )  # fmt: skip
    groups = groups_of(misses, part.began)
    return dataclasses.replace(
        part, misses=misses, groups=groups, times=np.array([m.at for m in misses]),
        group_of={m.request.id: n for n, g in enumerate(groups) for m in g.misses},
    )  # fmt: skip


def test_hostile_text_is_text(tab, fill, hostile, qtbot) -> None:
    canvas = fill()
    part = hostile_part(canvas.part, hostile, 60)
    tab.show_timeline(dataclasses.replace(tab.timeline, parts=(part,)))
    for number in range(len(hostile)):
        tab.select_group(tab.canvases[0], number)
        for mode in ("light", "dark"):
            wear(mode, tab)
            tab.grab()


def test_a_hundred_thousand_lost_requests_do_not_stall(tab, fill, qtbot) -> None:
    canvas = fill()
    part = hostile_part(canvas.part, [f"s{n:02}" for n in range(50)], 100_000)
    tab.show_timeline(dataclasses.replace(tab.timeline, parts=(part,)))
    canvas = tab.canvases[0]
    tab.grab()
    took = []
    for _ in range(5):
        canvas.refresh()
        begun = time.process_time()
        canvas.grab()
        took.append(time.process_time() - begun)
    assert min(took) < 0.05
    begun = time.process_time()
    canvas.group_at(QPointF(mark_of(canvas)))
    assert time.process_time() - begun < 0.05


def test_every_control_has_a_name(tab, fill, controls) -> None:
    canvas = fill()
    tab.select_group(canvas, 0)
    found = controls(tab)
    assert [control for control, name in found if not name] == []
    assert {canvas, tab.overview, tab.selected.requests.view} <= {control for control, _ in found}
