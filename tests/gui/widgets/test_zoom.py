"""The zoom: its steps, what is kept, and the whole window at another one; that needs a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from gui.widgets.zoom import SETTING, USUAL, kept_zoom, next_step


@pytest.mark.parametrize(
    ("zoom", "direction", "then"),
    [(100, 1, 110), (110, 1, 125), (200, 1, 200), (100, -1, 90), (75, -1, 75), (175, 0, 100), (130, 1, 150)],
)
def test_a_step_larger_or_smaller_or_back(zoom: int, direction: int, then: int) -> None:
    assert next_step(zoom, direction) == then


@pytest.mark.parametrize("stored", ["", "x", "0", "1000", "-5", "99999999999999999999"])
def test_what_is_no_zoom_is_the_usual_one(qapp, stored: str) -> None:
    QSettings().setValue(SETTING, stored)
    assert kept_zoom() == USUAL


STORY = """
import json
from PySide6.QtCore import QSettings
from PySide6.QtTest import QTest
from gui.app import make_application, make_window
application = make_application()
import asyncio, qasync, os, pathlib, sys
loop = qasync.QEventLoop(application)
asyncio.set_event_loop(loop)
said = []

async def story():
    window = make_window(pathlib.Path(sys.argv[1]))
    frame = window.frame
    frame.show()
    frame.resize(1200, 800)
    await asyncio.sleep(0.3)

    def note():
        said.append([frame.devicePixelRatioF(), frame.width(), frame.height(), QSettings().value("appearance/zoom"),
                     frame.isVisible(), os.environ.get("QT_SCALE_FACTOR")])

    note()
    for name in ("zoom-in", "zoom-in", "zoom-in", "zoom-out", "zoom-reset", "zoom-out"):
        frame.actions_by_name[name].trigger()
        await asyncio.sleep(0.2)
        note()
    frame.actions_by_name["zoom-in"].trigger()
    frame.actions_by_name["zoom-in"].trigger()
    frame.close()
    await window.done.wait()

with loop:
    loop.run_until_complete(story())
print(json.dumps(said))
"""


def run(code: str, display: str, tmp_path: Path) -> tuple[list[list[object]], str]:
    places = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_whole_window_grows_and_shrinks_at_once_and_the_next_start_remembers(x_display, tmp_path) -> None:
    said, errors = run(STORY, x_display, tmp_path)
    scales = [row[0] for row in said]
    assert scales == [1.0, 1.1, 1.25, 1.5, 1.25, 1.0, 0.9]
    for scale, width, height, *_ in said:  # on the screen it is as large as before
        assert abs(float(str(width)) * float(str(scale)) - 1200) < 8
        assert abs(float(str(height)) * float(str(scale)) - 800) < 8
    assert all(row[4] for row in said)
    assert {row[5] for row in said} == {None}  # what we start does not inherit it
    assert errors == ""
    again, errors = run(STORY, x_display, tmp_path)
    assert again[0][0] == 1.1
    assert errors == ""
