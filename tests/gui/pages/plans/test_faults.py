"""Faults on their lanes, by mouse and keys: what is done there is in the plan, in one step of undo each."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui.campaign.around import Around
from gui.campaign.plan import Fault, File, Plan, Test
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Client, Server
from gui.models.faults import LANES, sentence_of
from gui.models.plans import FaultPlace, PlanLibrary
from gui.pages.plans.page import PlansPage
from gui.widgets.shortcuts import key_of, name_of, page_actions

NAMES = tuple(f"s{number:02}" for number in range(1, 9))
LAB = FaultPlace(refused={"wire-loss": "no relay"}, servers=NAMES)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(show, tmp_path: Path) -> PlansPage:
    page = show(PlansPage(PlanLibrary(tmp_path / "plans")))
    around = Around(
        tuple(Server(name, f"root://{name}") for name in NAMES), (Client("c1", "c1"),), (File("/a", 2**20),)
    )
    page.set_around(around, LAB)
    return page


def open_with(page: PlansPage, *faults: Fault, pass_at: float = 100.0) -> PlansPage:
    page._store(format_plan(Plan("p", (Test(8, 400, 10, faults=faults, pass_at=pass_at),))), "p")
    return page


def faults(page: PlansPage) -> tuple[Fault, ...]:
    assert page.editor.plan is not None
    return page.editor.plan.tests[0].faults


def drag(page: PlansPage, begin: QPointF, seconds: float, *, held=Qt.KeyboardModifier.NoModifier) -> None:
    """Press, move by so many seconds in steps, and release."""
    lanes = page.faults.lanes
    scale = lanes.x_of(1) - lanes.x_of(0)
    QTest.mousePress(lanes, LEFT, held, begin.toPoint())
    for part in (0.25, 0.5, 0.75, 1.0):
        QTest.mouseMove(lanes, QPoint(round(begin.x() + part * seconds * scale), round(begin.y())))
    place = QPoint(round(begin.x() + seconds * scale), round(begin.y()))
    QTest.mouseRelease(lanes, LEFT, held, place)


def test_without_a_fault_it_says_so_and_one_is_added_by_menu(page: PlansPage) -> None:
    open_with(page)
    assert page.faults.hint.text() == "No fault. The pipeline is tested as it is."
    assert page.faults.lanes.isHidden()
    action = next(a for a in page.faults._menu.actions() if a.text() == "broker-down")
    action.trigger()
    (fault,) = faults(page)
    assert (fault.do, fault.lasts) == ("broker-down", 20.0)
    assert page.faults.lanes.isVisible()
    assert page.faults.row.isVisible()
    assert page.faults.kind.text() == "broker-down"


def test_a_double_click_on_a_lane_adds_there(page: PlansPage) -> None:
    open_with(page, Fault(5, "broker-down", 5))
    lanes = page.faults.lanes
    row = [title for title, _ in LANES].index("Collector") + 1
    QTest.mouseDClick(lanes, LEFT, pos=QPoint(round(lanes.x_of(20)), row * 24 + 12))
    assert faults(page)[1].do == "kill-collector"
    assert faults(page)[1].at == pytest.approx(20, abs=1)


def test_a_bar_is_dragged_by_whole_seconds_and_that_is_one_step(page: PlansPage, qtbot) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    begin = page.faults.lanes.box_of(0).center()
    drag(page, begin, 7.3)
    assert faults(page) == (Fault(17, "broker-down", 20),)
    page.undo()
    assert faults(page) == (Fault(10, "broker-down", 20),)
    assert not page.editor.can_undo


def test_its_ends_stretch_it(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    box = page.faults.lanes.box_of(0)
    drag(page, QPointF(box.right() - 1, box.center().y()), 10)
    assert faults(page) == (Fault(10, "broker-down", 30),)
    box = page.faults.lanes.box_of(0)
    drag(page, QPointF(box.left() + 1, box.center().y()), -6)
    assert faults(page) == (Fault(4, "broker-down", 36),)


def test_with_alt_a_drag_is_free(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    lanes = page.faults.lanes
    begin = lanes.box_of(0).center()
    there = QPointF(begin.x() + 7.3 * (lanes.x_of(1) - lanes.x_of(0)), begin.y())
    alt = Qt.KeyboardModifier.AltModifier
    QTest.mousePress(lanes, LEFT, alt, begin.toPoint())
    QApplication.sendEvent(lanes, QMouseEvent(QEvent.Type.MouseMove, there, there, LEFT, LEFT, alt))
    QTest.mouseRelease(lanes, LEFT, alt, there.toPoint())
    assert faults(page)[0].at == pytest.approx(17.3, abs=0.15)
    assert faults(page)[0].at % 1 != 0


def test_escape_gives_a_drag_up(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    lanes = page.faults.lanes
    middle = lanes.box_of(0).center().toPoint()
    QTest.mousePress(lanes, LEFT, pos=middle)
    QTest.mouseMove(lanes, middle + QPoint(80, 0))
    QTest.keyClick(lanes, Qt.Key.Key_Escape)
    QTest.mouseRelease(lanes, LEFT, pos=middle + QPoint(80, 0))
    assert faults(page) == (Fault(10, "broker-down", 20),)


def test_a_point_fault_is_a_square_that_moves_and_does_not_stretch(page: PlansPage) -> None:
    open_with(page, Fault(10, "cut-transfer"))
    box = page.faults.lanes.box_of(0)
    assert box.width() == pytest.approx(box.height(), abs=1)
    drag(page, QPointF(box.left() + 1, box.center().y()), 5)
    assert faults(page) == (Fault(15, "cut-transfer"),)
    QTest.keyClick(page.faults.lanes, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert faults(page) == (Fault(15, "cut-transfer"),)
    assert page.faults.lasts.isHidden()


def test_keys_choose_move_stretch_and_remove(page: PlansPage) -> None:
    open_with(page, Fault(30, "broker-down", 20), Fault(10, "kill-collector"))
    lanes = page.faults.lanes
    QTest.keyClick(lanes, Qt.Key.Key_Down)
    assert page.faults.kind.text() == "kill-collector", "the first in time"
    assert lanes.accessibleDescription() == f"2 faults on the time of a repeat; chosen: {sentence_of(faults(page)[1])}"
    QTest.keyClick(lanes, Qt.Key.Key_Down)
    for key, held in (
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier),
    ):
        QTest.keyClick(lanes, key, held)
    assert faults(page)[0].at == 31.9
    assert faults(page)[0].at + faults(page)[0].lasts == 53, "the end snaps"
    QTest.keyClick(lanes, Qt.Key.Key_Delete)
    assert faults(page) == (Fault(10, "kill-collector"),)
    assert page.editor.can_undo
    page.undo()
    assert len(faults(page)) == 2


def test_the_chosen_one_is_edited_below(page: PlansPage) -> None:
    open_with(page, Fault(10, "udp-loss", 20, 2.0))
    QTest.mouseClick(page.faults.lanes, LEFT, pos=page.faults.lanes.box_of(0).center().toPoint())
    pane = page.faults
    assert pane.effect.text().startswith("about ")
    for field, text in ((pane.percent, "3.5"), (pane.at, "01:05"), (pane.lasts, "7.5")):
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, text)
    pane.server.setCurrentText("s03")
    assert faults(page) == (Fault(65, "udp-loss", 7.5, 3.5, "s03"),)
    QTest.mouseClick(pane.remove_button, LEFT)
    assert faults(page) == ()


def test_what_no_plan_would_hold_is_said_and_changes_nothing(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    page.faults.choose(0)
    page.faults.lasts.setFocus()
    page.faults.lasts.selectAll()
    QTest.keyClicks(page.faults.lasts, "0")
    assert page.faults.error.text().startswith("The fault 'broker-down' needs for")
    assert faults(page) == (Fault(10, "broker-down", 20),)
    QTest.keyClick(page.faults.lasts, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert page.faults.lasts.value() == 20
    assert page.faults.error.text() == ""


def test_a_fault_to_the_last_digit_stays_when_another_field_is_changed(page: PlansPage) -> None:
    open_with(page, Fault(10.12345, "udp-loss", 20.00001, 2.1234567))
    page.faults.choose(0)
    page.faults.server.setCurrentText("s05")
    assert faults(page) == (Fault(10.12345, "udp-loss", 20.00001, 2.1234567, "s05"),)


def test_without_a_lab_the_lanes_are_disabled_with_the_reason_and_faults_can_be_removed(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 20))
    page.set_around(Around(), FaultPlace(reason="Faults need a lab, and this workspace has none."))
    page.faults.choose(0)
    assert page.faults.hint.text() == "1 in the plan. Faults need a lab, and this workspace has none."
    assert not page.faults.add_button.isEnabled()
    drag(page, page.faults.lanes.box_of(0).center(), 9)
    QTest.keyClick(page.faults.lanes, Qt.Key.Key_Right)
    QTest.mouseDClick(page.faults.lanes, LEFT, pos=QPoint(400, 100))
    assert faults(page) == (Fault(10, "broker-down", 20),)
    assert not page.faults.at.isEnabled()
    QTest.keyClick(page.faults.lanes, Qt.Key.Key_Delete)
    assert faults(page) == ()


def test_a_kind_that_this_lab_cannot_do_is_in_the_menu_with_the_reason(page: PlansPage) -> None:
    open_with(page, Fault(10, "wire-loss", 20))
    page.faults.choose(0)
    action = next(a for a in page.faults._menu.actions() if a.data() == "wire-loss")
    assert (action.isEnabled(), action.text()) == (False, "wire-loss (no relay)")
    assert page.faults.effect.text() == "not possible here: no relay"
    assert page.faults.effect.property("kind") == "error"
    assert page.faults.lanes._refused == {0}


def test_the_preview_says_what_a_fault_does_to_the_threshold(page: PlansPage) -> None:
    open_with(page, Fault(0, "udp-loss", 3600, 2.0))
    assert page.preview.notes()[0] == ("With 2 % udp-loss, success ≥ 100 % cannot be expected: about 98.00 % at most.")
    page.form.pass_at.setValue(97.0)
    assert not any("cannot be expected" in note for note in page.preview.notes())


def test_twelve_faults_share_lanes_without_hiding_each_other(page: PlansPage) -> None:
    open_with(page, *(Fault(10.0 + n, "udp-loss", 30) for n in range(12)))
    boxes = [page.faults.lanes.box_of(n) for n in range(12)]
    for n, box in enumerate(boxes):
        assert not any(box.intersects(other) for m, other in enumerate(boxes) if m != n)
        found = page.faults.lanes.fault_at(box.center())
        assert found is not None
        assert found[0] == n


def test_names_in_a_fault_are_plain_text_everywhere(page: PlansPage, hostile, texts) -> None:
    bad = "".join(hostile[0].split())[:200]
    open_with(page, Fault(10, "kill-server", server=bad))
    page.faults.choose(0)
    page.grab()
    assert page.faults.server.currentText() == bad
    assert page.faults.effect.text() == f"the lab has no server {bad}"
    assert page.faults.effect.textFormat() == Qt.TextFormat.PlainText


def test_the_menu_of_the_page_does_to_the_chosen_fault_what_its_keys_do(page: PlansPage) -> None:
    open_with(page, Fault(10, "broker-down", 5))
    does = {name_of(action): action for action in page_actions(page)}
    assert {key_of(action) for action in does.values()} >= {"Left", "Right", "Shift+Left", "Shift+Right", "Del"}
    does["Remove the fault"].trigger()
    assert len(faults(page)) == 1, "none is chosen"
    page.faults.choose(0)
    does["Fault later"].trigger()
    does["Fault longer"].trigger()
    assert faults(page) == (Fault(11, "broker-down", 6),)
    does["Remove the fault"].trigger()
    assert faults(page) == ()
