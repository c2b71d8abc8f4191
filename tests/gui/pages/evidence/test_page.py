"""Evidence: every request has a page; steps, links, copies by mouse and keys; what comes from elsewhere is plain."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel

from gui.models.course import CourseView, view_of
from gui.pages.evidence.page import EvidencePage
from gui.pages.evidence.side import CLEAR, room_for
from gui.reconcile import Courses
from gui.store import VerdictKind
from tests.gui.parts import wear
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


@pytest.fixture
def page(show, qtbot) -> EvidencePage:
    made = show(EvidencePage())
    made.activateWindow()  # shortcuts are those of the active window
    qtbot.waitUntil(made.isActiveWindow)
    return made


@pytest.fixture
def course(world) -> Any:  # noqa: F811
    run = run_with_losses(world)
    courses = Courses(world.store, run)
    return lambda verdict: view_of(courses.of(world.store.requests(world.repeat, verdict=verdict)[0].id))


def shown(page: EvidencePage, view: CourseView, place=(3, 21), datagrams: str = "none are kept") -> None:
    page.show_course(view, place, "Requests, missing", datagrams)


def test_a_missing_request_says_where_it_was_lost_and_what_with(page, course, texts) -> None:
    shown(page, course(VerdictKind.MISSING))
    said = texts(page)
    assert {"lost here", "not reached", "3 of 21", "What to do on the host of sh-b.", "3 requests"} <= set(said)
    assert page.title.text() == "/store/test/f0001.root"
    assert page.strips.isVisible()
    assert "79 lost" in page.strips.accessibleName()
    assert page.when.isVisible()
    assert page.together.model.rowCount() == 3
    assert page.together.current()[0] == page.view.request
    assert page.grab().width()


def test_a_matched_request_has_all_its_stages(page, course, texts) -> None:
    shown(page, course(VerdictKind.MATCHED))
    assert texts(page).count("passed") == 7
    assert "Asked, read and recorded agree: 1,048,576 B." in texts(page)
    assert page.together.isHidden()
    assert page.strips.isHidden()
    assert page.injected.isHidden()


def test_what_the_plan_injected_can_be_left_out_found_in_the_plan_or_run_without(page, world, qtbot) -> None:  # noqa: F811
    asked: list[str] = []
    page.leave_out_wanted.connect(lambda: asked.append("leave out"))
    page.fault_wanted.connect(lambda: asked.append("fault"))
    page.without_wanted.connect(lambda: asked.append("without"))
    run = run_with_losses(world, fault="udp-loss for 6 s (2 % of all)")
    lost = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)[0]
    view = view_of(Courses(world.store, run).of(lost.id))
    assert [(met.test, met.do) for met in view.met] == [(1, "udp-loss")]
    shown(page, view)
    assert page.leave_out.text() == "Leave the 3 injected out"
    for button in (page.leave_out, page.open_fault, page.run_without):
        qtbot.waitUntil(button.isVisible)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert asked == ["leave out", "fault", "without"]
    matched = world.store.requests(world.repeat, verdict=VerdictKind.MATCHED)[0]
    shown(page, view_of(Courses(world.store, run).of(matched.id)))
    assert not page.leave_out.isVisible()


def test_steps_by_buttons_and_keys_end_at_the_ends_of_the_list(page, course, qtbot) -> None:
    steps: list[int] = []
    page.step_wanted.connect(steps.append)
    shown(page, course(VerdictKind.MISSING), (1, 2))
    assert not page.before.isEnabled()
    qtbot.mouseClick(page.after, Qt.MouseButton.LeftButton)
    page.stages.setFocus()
    page.after.setFocus()
    qtbot.keyClick(page.after, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    shown(page, course(VerdictKind.MISSING), (2, 2))
    assert not page.after.isEnabled()
    page.before.setFocus()
    qtbot.keyClick(page.before, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert steps == [1, 1, -1]
    shown(page, course(VerdictKind.MISSING), (0, 0))
    assert not page.before.isEnabled()
    assert page.place.text() == ""


def test_the_way_back(page, course, qtbot) -> None:
    went: list[str] = []
    page.runs_wanted.connect(lambda: went.append("runs"))
    page.run_wanted.connect(lambda: went.append("run"))
    page.list_wanted.connect(lambda: went.append("list"))
    shown(page, course(VerdictKind.MISSING))
    assert [link.text() for link in page.crumbs.links] == ["Runs", "Run 1", "Requests, missing"]
    for link in page.crumbs.links:
        qtbot.mouseClick(link, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page.crumbs.back_button, Qt.MouseButton.LeftButton)
    page.copy.setFocus()
    qtbot.keyClick(page.copy, Qt.Key.Key_Escape)
    assert went == ["runs", "run", "list", "list", "list"]


def test_requests_lost_with_the_same_datagram_are_links_and_a_filter(page, course, qtbot) -> None:
    asked: list[Any] = []
    page.request_wanted.connect(asked.append)
    page.together_wanted.connect(asked.append)
    view = course(VerdictKind.MISSING)
    shown(page, view)
    other = view.together[1][0]
    page.together.select_key(other)
    qtbot.keyClick(page.together.view, Qt.Key.Key_Return)
    qtbot.mouseClick(page.filter_button, Qt.MouseButton.LeftButton)
    assert asked == [other, view.group]
    assert view.group


def test_commands_and_the_whole_evidence_are_copied(page, course, qtbot) -> None:
    shown(page, course(VerdictKind.MISSING))
    qtbot.mouseClick(page.advice.commands[0][2], Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "sysctl -w net.core.rmem_max=67108864"
    qtbot.mouseClick(page.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == page.view.text
    assert "datagram 79" in page.view.text


def test_datagrams_can_be_opened_where_they_are_kept_and_say_why_not_elsewhere(page, course, qtbot) -> None:
    asked: list[bool] = []
    page.datagrams_wanted.connect(lambda: asked.append(True))
    shown(page, course(VerdictKind.MISSING), datagrams="<b>none</b> are kept")
    assert not page.datagrams.isEnabled()
    assert "&lt;b&gt;none" in page.datagrams.toolTip()
    shown(page, course(VerdictKind.MISSING), datagrams="")
    qtbot.mouseClick(page.datagrams, Qt.MouseButton.LeftButton)
    assert asked == [True]


def test_what_comes_from_elsewhere_is_plain_text_however_long(page, course, hostile) -> None:
    view = course(VerdictKind.MISSING)
    for name in (*hostile, "n" * 200):
        rows = tuple(dataclasses.replace(stage, text=name, who=name) for stage in view.stages)
        harm = dataclasses.replace(
            view,
            path=name,
            stages=rows,
            facts=tuple(dataclasses.replace(fact, value=name) for fact in view.facts),
            advice=dataclasses.replace(view.advice, bold=name, text=name, more=name),
            strips=tuple(dataclasses.replace(strip, server=name) for strip in view.strips),
            together=((view.request, name, "tag", 1, 1.0),),
        )
        shown(page, harm)
        page.grab()
        assert page.stages.width() <= page.width(), "a long word makes no label wider than the page"
    labels = [each for each in page.findChildren(QLabel) if each.text()]
    assert {each.textFormat() for each in labels} == {Qt.TextFormat.PlainText}
    assert page.minimumSizeHint().width() <= 1368


def test_it_follows_the_theme(page, course) -> None:
    shown(page, course(VerdictKind.MISSING))
    light = page.stages.grab().toImage()
    wear("dark", page)
    assert page.stages.grab().toImage() != light


def test_without_a_request_it_says_so(page, course, texts) -> None:
    assert "No request is open" in texts(page)
    assert page.badge.isHidden()
    shown(page, course(VerdictKind.MISSING))
    page.clear()
    assert "No request is open" in texts(page)
    assert "/store/test/f0001.root" not in texts(page)
    assert not page.copy.isEnabled()
    assert page.advice.isHidden()


@given(st.floats(104, 440), st.floats(0, 336), st.floats(104, 440), st.floats(10, 200))
def test_no_text_stands_on_the_line_of_the_close(left: float, length: float, mark: float, wide: float) -> None:
    bar = (left, min(440.0, left + max(10.0, length)))
    low, high = room_for(wide, bar, (108.0, 460.0), mark)
    assert not low - CLEAR + 0.01 < mark < high + CLEAR - 0.01
    low, high = room_for(wide, bar, (108.0, 460.0), None)
    assert high - low >= min(wide, 105) - 0.01, "without a line there is room in or beside the bar"


@pytest.mark.parametrize("width", [1368, 1048])
@pytest.mark.parametrize("fault", ["udp-loss for 6 s (2 % of all)", "", "wire-loss for 60 s (2 % of s01.example.org)"])
def test_what_is_written_beside_the_bars_can_be_read(page, world, qtbot, width: int, fault: str) -> None:  # noqa: F811
    run = run_with_losses(world, fault=fault)
    courses = Courses(world.store, run)
    page.resize(width, 796)
    for verdict in (VerdictKind.MISSING, VerdictKind.MATCHED, VerdictKind.CLIENT_FAILED):
        shown(page, view_of(courses.of(world.store.requests(world.repeat, verdict=verdict)[0].id)))
        page.when.grab()
        texts, mark = page.when.texts, page.when.mark
        assert texts
        assert mark is not None
        assert not [text for text in texts if text[1] - 2 < mark < text[2] + 2]
        assert all(text for text, _, _ in texts), "nothing is cut down to nothing"
