"""The end of a run is told: on the desktop when the window is not in front, and in a bar with the way to the result."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, QProcess, QRect, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from gui.app import make_frame
from gui.app import notices as module
from gui.app.notices import Notices
from gui.runner.progress import RunProgress
from gui.widgets.dress import FEW
from tests.gui.parts import wear


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    found: list[list[str]] = []

    def start(_program: str, arguments: list[str]) -> tuple[bool, int]:
        found.append(arguments)
        return True, 1

    monkeypatch.setattr(module, "MOMENT_MS", 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(QProcess, "startDetached", start)
    return found


class Stage:
    """A frame that is in front, or not, with its notices."""

    def __init__(self, frame: Any, told: list[list[str]]) -> None:
        self.frame, self.told = frame, told
        self.gone: list[tuple[str, dict[str, object]]] = []
        self.front = True
        frame.isActiveWindow = lambda: self.front
        self.notices = Notices(frame, lambda page, **place: self.gone.append((page, place)))


@pytest.fixture
def stage(qtbot: Any, told: list[list[str]]) -> Stage:
    frame, _ = make_frame()
    qtbot.addWidget(frame)
    frame.show()
    qtbot.waitExposed(frame)
    return Stage(frame, told)


def end(stage: Stage, outcome: Any = "passed", message: str = "200 of 200 requests matched.") -> None:
    stage.notices.progressed(RunProgress(t=1.0, run=7, phase="round"))
    stage.notices.progressed(RunProgress(t=2.0, run=7, phase="done", outcome=outcome, message=message))


def test_in_front_a_bar_leads_to_the_result(stage: Stage, qtbot: Any) -> None:
    stage.frame.go("plans")
    end(stage)
    qtbot.waitUntil(stage.notices.bar.isVisible)
    assert stage.told == []
    assert stage.notices.bar.text.text() == "Run 7: pass. 200 of 200 requests matched."
    QTest.mouseClick(stage.notices.bar.buttons[0], Qt.MouseButton.LeftButton)
    assert stage.gone == [("result", {"run": 7})]
    assert not stage.notices.bar.isVisible()


def test_behind_other_windows_the_desktop_is_told_in_plain_text(stage: Stage, qtbot: Any) -> None:
    stage.front = False
    end(stage, "failed", "<b>3</b> & more are missing.")
    assert stage.told == [["--app-name=Tally", "--", "Run 7: FAIL", "&lt;b&gt;3&lt;/b&gt; &amp; more are missing."]]
    qtbot.waitUntil(stage.notices.bar.isVisible)
    assert stage.notices.bar.text.text() == "Run 7: FAIL. <b>3</b> & more are missing."


def test_who_looks_at_the_result_is_told_nothing_more(stage: Stage, qtbot: Any) -> None:
    stage.frame.go("result")
    end(stage)
    qtbot.wait(50)
    assert not stage.notices.bar.isVisible()


def test_the_end_of_a_run_is_told_once_and_that_of_an_old_one_never(stage: Stage, qtbot: Any) -> None:
    done = RunProgress(t=2.0, run=7, phase="done", outcome="passed")
    stage.notices.progressed(done)  # as it stands when a workspace is opened
    qtbot.wait(20)
    assert not stage.notices.bar.isVisible()
    end(stage)
    qtbot.waitUntil(stage.notices.bar.isVisible)
    QTest.mouseClick(stage.notices.bar.close_button, Qt.MouseButton.LeftButton)
    stage.notices.progressed(done)
    qtbot.wait(20)
    assert not stage.notices.bar.isVisible()


def test_the_bar_covers_nothing_of_the_page(stage: Stage, qtbot: Any) -> None:
    stage.frame.go("plans")
    end(stage)
    bar, area = stage.notices.bar, stage.frame.page_area
    qtbot.waitUntil(bar.isVisible)
    for width in (1100, 1400):
        stage.frame.resize(width, 800)
        qtbot.waitUntil(lambda width=width: stage.frame.width() == width)

    def below() -> bool:
        return bar.mapToGlobal(QPoint()).y() == area.mapToGlobal(QPoint(0, area.height())).y()

    qtbot.waitUntil(below)
    stage.frame.go("result")
    assert not bar.isVisible()


def luminance(colour: QColor) -> float:
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("outcome", ["passed", "failed", "aborted"])
def test_the_bar_can_be_read_in_both_themes_also_after_a_switch(stage: Stage, qtbot: Any, outcome: Any) -> None:
    stage.frame.go("plans")
    end(stage, outcome)
    bar = stage.notices.bar
    qtbot.waitUntil(bar.isVisible)
    extra = [QWidget(stage.frame) for _ in range(300)]  # as many as the window has: its parts are dressed one by one
    assert len(extra) > FEW
    for mode in ("light", "dark", "light"):
        wear(mode)
        for part in (bar.text, bar.buttons[0]):
            place = QRect(part.mapTo(bar, QPoint()), part.size())
            picture: QImage = bar.grab(place).toImage()
            shades = [
                luminance(picture.pixelColor(x, y)) for x in range(picture.width()) for y in range(picture.height())
            ]
            assert (max(shades) + 0.05) / (min(shades) + 0.05) >= 4.5, f"{mode}: {part}"
