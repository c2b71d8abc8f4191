"""On a real lab, by clicks and keys: a drill drops datagrams; a run that would begin with it asks, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QDoubleSpinBox, QMessageBox

from gui.app import make_window
from gui.app.window import Window
from gui.runner.demo import DemoOptions
from gui.runner.lab import read_lab
from tests.gui.app.person import Person
from tests.gui.parts import page

pytestmark = pytest.mark.xrootd


def on(window: Window) -> list[str]:
    """The faults that the lab itself says are on."""
    assert window.workspace is not None
    assert window.workspace.lab is not None
    return [fault.do for fault in read_lab(Path(window.workspace.lab.directory)).active]


def over(window: Window, count: int) -> bool:
    """Whether so many runs are over, and the last one's result is shown."""
    views = page(window, "runs").runs.model.rows.all
    return len(views) == count and not window.running.under_way and window.frame.current_page() == "result"


def test_a_drill_that_is_still_on_is_asked_about_and_marks_the_run(
    qapp, drive, until, own_places, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("gui.runner.drills.LOSS_SECONDS", 900.0)  # longer than all of this takes on a busy machine
    options = DemoOptions(
        database=tmp_path / "data" / "demo.db", servers=2, files=20, rate=10, bus=str(tmp_path / "bus")
    )

    async def story() -> None:
        window = make_window(tmp_path / "data", options)
        window.frame.show()
        window.frame.activateWindow()
        person = Person(window.frame)
        runs = page(window, "runs").runs.model.rows
        await person.press("Ctrl+T")
        await until(lambda: over(window, 1), 240)

        # Drop UDP, from the page Pipeline.
        await person.press("Ctrl+5")
        await person.write("Drop UDP: per cent", "100", QDoubleSpinBox)
        await person.click("Start: Drop UDP")
        await person.sees("100 % of all datagrams of every server of the lab are dropped for 900 s")
        await person.click("Drop UDP")
        await person.sees("under way,", "left")
        assert on(window) == ["udp-loss"]

        # A run asks; it is begun with the fault all the same, and says so.
        await person.press("Ctrl+T")
        await person.sees("udp-loss that no run here began is still on, until ")
        await person.click("Run with it")
        window.frame.activateWindow()  # as a window manager does when a dialog closes; here is none
        await until(lambda: over(window, 2), 240)
        await person.sees("A fault that no run here began was still on (udp-loss) when this run began")
        assert on(window) == ["udp-loss"], "it outlives the run"
        assert runs.all[0].success != "100.00 %"

        # The next one asks again, and ends it first.
        await person.press("Ctrl+T")
        await person.sees("udp-loss that no run here began is still on, until ")
        await person.click("End it and run")
        window.frame.activateWindow()
        await until(lambda: on(window) == [])
        await until(lambda: over(window, 3), 240)
        assert runs.all[0].still_on == ""
        assert runs.all[0].success == "100.00 %"
        await person.press("Ctrl+5")
        await until(lambda: page(window, "pipeline").side.drills["drop-udp"].start.isVisible(), 60)
        assert not window.frame.findChildren(QMessageBox)
        window.frame.close()
        await window.done.wait()

    drive(story())
