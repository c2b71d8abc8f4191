"""The end of a run is told: on the desktop when the window is not in front, and in a bar with the way to the result."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QProcess, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from gui.app import make_frame
from gui.app import notices as module
from gui.app.notices import Notices
from gui.runner.progress import RunProgress
from gui.widgets import notice as widget


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
    assert stage.notices.bar.words.text() == "Run 7: pass. 200 of 200 requests matched."
    QTest.mouseClick(stage.notices.bar.open_button, Qt.MouseButton.LeftButton)
    assert stage.gone == [("result", {"run": 7})]
    assert not stage.notices.bar.isVisible()


def test_behind_other_windows_the_desktop_is_told_in_plain_text(stage: Stage, qtbot: Any) -> None:
    stage.front = False
    end(stage, "failed", "<b>3</b> & more are missing.")
    assert stage.told == [["--app-name=Tally", "--", "Run 7: FAIL", "&lt;b&gt;3&lt;/b&gt; &amp; more are missing."]]
    qtbot.waitUntil(stage.notices.bar.isVisible)
    assert stage.notices.bar.words.text() == "Run 7: FAIL. <b>3</b> & more are missing."


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


def test_the_bar_stays_at_the_foot_of_the_page(stage: Stage, qtbot: Any) -> None:
    stage.frame.go("plans")
    end(stage)
    qtbot.waitUntil(stage.notices.bar.isVisible)
    area: QWidget = stage.frame.page_area
    for width in (1100, 1400):
        stage.frame.resize(width, 800)
        qtbot.waitUntil(lambda: stage.notices.bar.geometry().bottom() == area.height() - widget.EDGE - 1)
        assert area.rect().contains(stage.notices.bar.geometry())
