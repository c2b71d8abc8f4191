"""Welcome by mouse and keys: the steps, the lab, recent workspaces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from gui.models.recent import Recent
from gui.models.setup import FIRST_STEPS
from gui.pages.welcome.page import WelcomePage


@pytest.fixture
def page(show) -> WelcomePage:
    made = WelcomePage()
    made.set_recent(())
    return show(made)


def test_each_step_leads_somewhere_and_the_next_one_is_marked(page, qtbot) -> None:
    wanted: list[str] = []
    page.step_wanted.connect(wanted.append)
    steps = (replace(FIRST_STEPS[0], text="records come from amqp://x", state="done"), *FIRST_STEPS[1:])
    page.show_steps(steps)
    assert page.setup_count.text() == "1 of 5 done"
    assert [row.button.property("kind") for row in page.steps.values()] == ["", "run", "", "", ""]
    assert page.steps["bus"].accessibleName() == "Step 1, Bus: done. records come from amqp://x"
    for row in page.steps.values():
        qtbot.mouseClick(row.button, Qt.MouseButton.LeftButton)
    assert wanted == ["bus", "hub", "agent", "servers", "plan"]
    page.steps["plan"].button.setFocus()
    qtbot.keyClick(page.steps["plan"].button, Qt.Key.Key_Space)
    assert wanted[-1] == "plan"


def test_what_is_in_trouble_has_its_own_icon_and_word(page) -> None:
    page.show_steps((replace(FIRST_STEPS[0], text="mq is away", state="trouble"), *FIRST_STEPS[1:]))
    assert not page.steps["bus"].mark.pixmap().isNull()
    assert page.steps["bus"].accessibleName() == "Step 1, Bus: in trouble. mq is away"
    assert page.setup_count.text() == ""


def test_a_lab_is_offered_by_a_button(page, qtbot, texts) -> None:
    asked: list[bool] = []
    page.lab_wanted.connect(lambda: asked.append(True))
    assert not page.lab.isVisible()
    page.show_lab("A lab with 4 servers runs here", "400 test files, /run/lab")
    assert {"A lab with 4 servers runs here", "Use it"} <= set(texts(page))
    qtbot.mouseClick(page.lab_button, Qt.MouseButton.LeftButton)
    assert asked == [True]
    page.show_lab("", "")
    assert not page.lab.isVisible()


def test_recent_workspaces_are_shown_when_there_are_some(page) -> None:
    assert not page.recent.isVisible()
    page.set_recent([Recent(f"w{number}", f"/w{number}.db", 1.0) for number in range(8)])
    assert page.recent.isVisible()
    high = page.recent.height()
    page.set_recent([Recent("w", "/w.db", 1.0)])
    assert page.recent.height() < high


def test_hostile_text_is_text(page, hostile) -> None:
    for words in hostile:
        page.show_steps(tuple(replace(step, text=words, action="Go") for step in FIRST_STEPS))
        page.show_lab(words, words)
        page.set_recent([Recent(words, words, 1.0)])
        assert page.minimumSizeHint().width() <= 1200
    assert all(w.textFormat() == Qt.TextFormat.PlainText for w in page.findChildren(QLabel) if w.text())
