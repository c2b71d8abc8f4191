"""From the list of runs to why a record is missing, and out into files: in the whole window, by mouse and keys."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from gui.app import make_window
from gui.hub import HubOptions
from gui.runner.options import WorkspaceOptions
from gui.store import Store
from tests.gui.drags import drop
from tests.gui.parts import page, part
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World

LEFT = Qt.MouseButton.LeftButton


def click(widget) -> None:
    assert widget.isVisible(), widget
    assert widget.isEnabled(), widget
    QTest.mouseClick(widget, LEFT)


def press(widget, key: Qt.Key, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(widget, key, keys)


def test_from_the_list_of_runs_to_the_reason_and_out_into_files(qapp, drive, until, tmp_path: Path) -> None:
    database = tmp_path / "scale.db"
    with Store(database) as store:
        run = run_with_losses(World(store), requests=40)

    async def story() -> None:
        window = make_window(tmp_path / "data")
        window.frame.show()
        hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
        assert await window.open(WorkspaceOptions(database=database, hub=hub, bus=str(tmp_path / "bus")))
        runs, result, evidence = (page(window, name) for name in ("runs", "result", "evidence"))

        # The run.
        window.frame.go("runs")
        await until(lambda: runs.runs.model.rowCount())
        runs.runs.select_key(run)
        press(runs.runs.view, Qt.Key.Key_Return)
        await until(lambda: result.requests.model.rowCount() == 80)
        assert window.frame.current_page() == "result"

        # Two clicks to the answer: the missing, then one of them.
        click(result.counts["missing"])
        assert result.requests.counts.text() == "3 of 80"
        result.requests.view.selectRow(0)
        press(result.requests.view, Qt.Key.Key_Return)
        await until(lambda: evidence.view is not None and evidence.isVisible())
        assert evidence.place.text() == "1 of 3"
        assert "lost here" in evidence.view.text
        first = evidence.title.text()
        click(evidence.after)
        await until(lambda: evidence.title.text() != first)
        assert evidence.place.text() == "2 of 3"

        # All that was lost with the same datagram, and a matched one.
        click(evidence.filter_button)
        await until(lambda: window.frame.current_page() == "result")
        assert result.requests.model.rowCount() == 3
        click(result.counts["matched"])
        result.requests.view.selectRow(0)
        press(result.requests.view, Qt.Key.Key_Return)
        await until(lambda: evidence.badge._word.text() == "matched" and evidence.isVisible())
        click(evidence.crumbs.back_button)
        await until(lambda: window.frame.current_page() == "result")

        # A note, the baseline, once more with all records.
        result.tabs.setCurrentIndex(4)
        QTest.keyClicks(result.notes.editor, "receive buffer was too small")
        click(result.notes.add_button)
        await until(lambda: result.notes.table.model.rowCount() == 1)
        click(result.baseline_button)
        await until(lambda: result.baseline_button.text() == "Remove baseline")
        click(result.recheck_button)
        await until(lambda: result.message.text.text() == "Scored again, 1 repeat: nothing changed.")

        # A report, from the menu; its ending is added.
        window.frame.go("runs")
        window.frame.actions_by_name["report"].trigger()
        assert window.frame.current_page() == "result"
        sheet = part(window, "result").sheet
        await until(lambda: sheet.views.currentWidget() is sheet.page)
        assert "What is not matched" in sheet.page.toPlainText()
        click(sheet.save_button)
        dialog = sheet.findChild(QFileDialog)
        dialog.fileSelected.emit(str(tmp_path / "answer"))
        dialog.close()
        await until(lambda: result.message.text.text() == f"Written: {tmp_path / 'answer.html'}")
        assert "receive buffer was too small" in (tmp_path / "answer.html").read_text()

        # A bundle: saved, dropped again; one that was cut is a sentence.
        click(result.bundle_button)
        dialog = window.frame.findChild(QFileDialog)
        dialog.fileSelected.emit(str(tmp_path / "run"))
        dialog.close()
        bundle = tmp_path / "run.tally.zip"
        await until(lambda: result.message.text.text() == f"Written: {bundle}")
        window.frame.go("runs")
        drop(runs, [bundle], QPoint(60, 300))
        await until(lambda: runs.message.text.text() == f"This run is already in the workspace, as run {run}.")

        # Another workspace takes it in; a bundle that was cut is a sentence.
        assert await window.open(WorkspaceOptions(database=tmp_path / "other.db", hub=hub, bus=str(tmp_path / "bus")))
        window.frame.go("runs")
        drop(runs, [bundle], QPoint(60, 300))
        await until(lambda: "was taken in from run.tally.zip" in runs.message.text.text())
        await until(lambda: runs.runs.model.rowCount() == 1)
        click(runs.message.buttons[0])
        await until(lambda: result.view is not None)
        assert "receive buffer was too small" in [note.text for note in result.view.notes]
        cut = tmp_path / "cut.tally.zip"
        cut.write_bytes(bundle.read_bytes()[:500])
        window.frame.go("runs")
        drop(runs, [cut], QPoint(60, 300))
        await until(lambda: "cut.tally.zip" in runs.message.text.text() and runs.open_button.isEnabled())
        assert runs.runs.model.rowCount() == 1

        window.frame.close()
        await window.done.wait()

    drive(story())
