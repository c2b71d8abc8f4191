"""Add servers: typed, pasted, imported, taken from elsewhere; wrong lines are named and stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget

from gui.campaign.selection import Server
from gui.campaign.serverlist import read_servers
from gui.runner.directory import Suggestion
from gui.widgets.add_servers import AddServersSheet


@pytest.fixture
def sheet(qtbot) -> Iterator[AddServersSheet]:
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(1000, 800)
    parent.show()
    made = AddServersSheet(parent)
    made.check_wanted.connect(lambda text: made.show_checked(read_servers(text)))
    made.open()
    with qtbot.waitActive(made):
        made.activateWindow()
    yield made
    parent.close()


def test_pasted_lines_are_checked_and_the_wrong_one_is_named(sheet, qtbot) -> None:
    QGuiApplication.clipboard().setText("s1 root://x1.example.org\nroot://ada@x2.example.org\nx3.example.org:2094\n")
    sheet.box.setFocus()
    QTest.keySequence(sheet.box, QKeySequence.StandardKey.Paste)
    assert not sheet.add_button.isEnabled(), "nothing is added that was not looked at"
    qtbot.waitUntil(lambda: sheet.add_button.isEnabled())
    assert sheet.wrong.text().startswith("Line 2: The URL of server root://x2.example.org:1094 names a user")
    assert sheet.state._word.text() == "2 servers to add, 1 line wrong"
    added: list[str] = []
    sheet.add_wanted.connect(added.append)
    qtbot.mouseClick(sheet.add_button, Qt.MouseButton.LeftButton)
    sheet.show_added(read_servers(added[0]))
    assert sheet.box.toPlainText() == "root://ada@x2.example.org\n", "what is wrong can be corrected"
    assert sheet.remark.text() == "2 servers were added."


def test_what_is_taken_off_the_list_goes_back_into_the_field(sheet, qtbot) -> None:
    servers = [Server("s1", "root://x1.example.org:1094", ("eu",)), Server("s2", "root://x2.example.org:1094")]
    sheet.show_listed(servers)
    assert not sheet.remove_button.isEnabled()
    removed: list[list[str]] = []
    sheet.remove_wanted.connect(removed.append)
    sheet.listed.select_key("root://x1.example.org:1094")
    qtbot.mouseClick(sheet.remove_button, Qt.MouseButton.LeftButton)
    assert removed == [["root://x1.example.org:1094"]]
    assert sheet.box.toPlainText() == "s1 root://x1.example.org:1094 eu\n"


def test_servers_of_agents_and_of_records_are_offered_with_their_number(sheet, qtbot) -> None:
    assert not sheet.agents_button.isEnabled()
    offered = [
        Suggestion(Server("a1", "root://a1.example.org:1094"), "agent"),
        Suggestion(Server("r1", "root://r1.example.org:1094"), "records"),
        Suggestion(Server("r2", "root://r2.example.org:1094"), "records"),
    ]
    sheet.show_suggestions(offered)
    assert [b.text() for b in (sheet.agents_button, sheet.records_button)] == [
        "From server agents (1)",
        "From records (2)",
    ]
    qtbot.mouseClick(sheet.records_button, Qt.MouseButton.LeftButton)
    assert sheet.box.toPlainText() == "r1 root://r1.example.org:1094\nr2 root://r2.example.org:1094\n"


def test_a_file_that_is_dropped_is_read(sheet, tmp_path: Path) -> None:
    files: list[Path] = []
    sheet.file_wanted.connect(files.append)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "list.txt"))])
    sheet.dropEvent(
        QDropEvent(
            QPointF(5, 5),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    assert files == [tmp_path / "list.txt"]
    sheet.box.setPlainText("x1.example.org")
    sheet.show_file("x2.example.org\n")
    assert sheet.box.toPlainText() == "x1.example.org\nx2.example.org\n"


def test_hostile_lines_are_text(sheet, qtbot) -> None:
    text = "<b>bold</b><img src=x>\n\u202eevil\u202c name\n" + "n" * 5000 + "\n" + "&amp; x y\n" * 20
    sheet.show_file(text)
    qtbot.waitUntil(lambda: "more" in sheet.wrong.text())
    assert sheet.wrong.text().startswith("Line 1: ")
    assert "<b>bold</b>" in sheet.wrong.text()
    assert len(sheet.wrong.text()) < 1500
    sheet.show_listed([Server("<i>x</i>", "root://x.example.org:1094", ("<u>",))])
    sheet.show_remark("<b>x</b>")
    assert all(w.textFormat() == Qt.TextFormat.PlainText for w in sheet.findChildren(QLabel) if w.text())
