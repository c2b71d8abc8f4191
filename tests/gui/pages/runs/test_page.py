"""Runs: the list."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt

from gui.pages.runs.page import RunsPage
from tests.gui.drags import drop
from tests.gui.pages.made import view


@pytest.fixture
def page(show) -> RunsPage:
    return show(RunsPage((("Try it on this machine", "play", lambda: None),)))


def test_an_empty_history_offers_what_to_do(page, texts) -> None:
    assert "No runs in this workspace yet" in texts(page)
    assert "Try it on this machine" in texts(page)


def test_a_run_is_asked_for_when_it_is_opened(page) -> None:
    asked: list[int] = []
    page.run_wanted.connect(asked.append)
    page.set_runs([view(3), view(2, matched=59, good=59, missing=1, conclusion="fail")])
    assert [r.outcome for r in page.runs.model.rows.all] == ["passed", "failed"]
    page.runs.filter_box.setText("verdict:FAIL")
    page.runs.select_key(2)
    page.runs.activated.emit(page.runs.current())
    assert asked == [2]


def test_success_is_a_hundred_only_when_all_were_matched(page) -> None:
    page.set_runs([view(1, counted=1_000_000, good=999_999)])
    column = next(c for c in page.runs.model.rows.columns if c.key == "success")
    assert column.shows(page.runs.model.rows.all[0]) == "99.99 %"


def test_names_that_mean_harm_are_plain_text(page, hostile) -> None:
    page.set_runs([view(n, name) for n, name in enumerate(hostile, start=1)])
    page.grab()
    assert [row.run.name for row in page.runs.model.rows.visible] == hostile


def test_a_bundle_is_opened_by_the_button_or_dropped(page, qtbot) -> None:
    asked: list[object] = []
    page.open_wanted.connect(lambda: asked.append("dialog"))
    page.dropped.connect(asked.append)
    qtbot.mouseClick(page.open_button, Qt.MouseButton.LeftButton)
    assert drop(page, [Path("/tmp/run-7.tally.zip"), "https://example.org/x.tally.zip"], QPoint(50, 200))
    assert asked == ["dialog", Path("/tmp/run-7.tally.zip")]


def test_what_became_of_a_bundle_is_said_and_leads_to_its_run(page, texts, qtbot) -> None:
    opened: list[int] = []
    page.run_wanted.connect(opened.append)
    page.busy("Checking <b>x</b>…")
    assert not page.open_button.isEnabled()
    assert "Checking <b>x</b>…" in texts(page)
    page.say("Run 9 was taken in.", "ok", 9)
    qtbot.mouseClick(page.message.buttons[0], Qt.MouseButton.LeftButton)
    assert opened == [9]
    page.say("Refused.", "bad")
    assert page.message.buttons == []
    qtbot.mouseClick(page.message.close_button, Qt.MouseButton.LeftButton)
    assert page.message.isHidden()
