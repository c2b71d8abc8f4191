"""Datagram inspector by mouse and keys: list, fields, bytes, filter, following, dropping a file, hostile text."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui.models.datagrams import ServerNames
from gui.pages.inspector.page import InspectorPage
from gui.runner.datagrams import Decoded, DecodedField
from tests.gui.models.test_datagrams import row

LEFT = Qt.MouseButton.LeftButton
FIELDS = (
    DecodedField("Header", "f, sequence 41", 0, 8, "", (DecodedField("code", "f", 0, 1),)),
    DecodedField("Open", "/f", 8, 20, "", (DecodedField("fileID", "3", 12, 16),)),
    DecodedField("Record", "record_size: <b>bad</b>", 20, 40, "record_size"),
)
DATA = bytes(range(40))


@pytest.fixture
def page(show) -> InspectorPage:
    called: list[str] = []
    made = InspectorPage(ServerNames(), lambda: called.append("back"))
    made.called = called  # type: ignore[attr-defined]
    return show(made)


def fill(page: InspectorPage, count: int = 5, **changes) -> None:
    page.clear()
    page.show_source("c.jsonl", "read", f"{count} datagrams")
    page.add([row(number, files=(3, 4), **changes) for number in range(1, count + 1)])
    QApplication.processEvents()


def choose(page: InspectorPage, number: int) -> None:
    view = page.table.view
    QTest.mouseClick(view.viewport(), LEFT, pos=QPoint(200, view.rowViewportPosition(number) + 10))


def decode(page: InspectorPage) -> None:
    page.show_decoded(Decoded(row(1), DATA, FIELDS))
    QApplication.processEvents()


def test_empty_says_what_to_do(page, texts, qtbot) -> None:
    assert "No datagrams are open" in texts(page)
    assert not page.save_button.isEnabled()
    assert not page.pause_button.isEnabled()
    with qtbot.waitSignal(page.live_wanted):
        QTest.mouseClick(page.live_button, LEFT)
    QTest.mouseClick(page.crumbs.back_button, LEFT)
    assert page.called == ["back"]


def test_the_list_and_the_chosen_datagram(page, qtbot) -> None:
    fill(page)
    with qtbot.waitSignal(page.chosen) as chosen:
        choose(page, 1)
    assert chosen.args[0].number == 2
    QTest.keyClick(page.table.view, Qt.Key.Key_Down)
    assert page.table.current().number == 3
    assert page.table.counts.text() == "5"


def test_a_field_marks_its_bytes_and_a_byte_its_field(page, qtbot) -> None:
    fill(page)
    decode(page)
    page.tree.setCurrentItem(page.tree.topLevelItem(1))
    assert page.hex.marked == (8, 20)
    assert page.marked.text() == "Open, 8–19 marked"
    at = QPoint(page.hex._byte_x(13) + 3, 10)
    assert page.hex.byte_at(at) == 13
    QTest.mouseClick(page.hex.viewport(), LEFT, pos=at)
    assert page.tree.currentItem().text(0) == "fileID"
    assert page.hex.marked == (12, 16)
    QTest.keyClick(page.hex, Qt.Key.Key_Down)
    assert page.tree.currentItem().text(0) == "Record"
    QTest.mouseClick(page.copy_button, LEFT)
    assert QGuiApplication.clipboard().text().startswith("0000  14 15")


def test_a_broken_record_is_marked_and_text_stays_text(page) -> None:
    decode(page)
    item = page.tree.topLevelItem(2)
    assert not item.icon(0).isNull()
    assert item.text(1) == "record_size: <b>bad</b>"
    assert "&lt;b&gt;" in item.toolTip(1)


def test_more_fields_than_are_shown_are_found_by_a_byte(page) -> None:
    many = tuple(DecodedField("Open", str(n), 8 * n, 8 * n + 8) for n in range(100))
    page.show_decoded(Decoded(row(1), bytes(800), many))
    assert page.tree.topLevelItem(40).text(0) == "60 more"
    page.hex.chosen.emit(8 * 70 + 1)
    assert page.tree.currentItem().text(1) == "70"


def test_filters(page) -> None:
    fill(page, server="s17@h:1")
    page.add([row(6, stream="u", server="s18@h:1")])
    QTest.keyClicks(page.table.filter_box, "server:s17 stream:f")
    assert [one.number for one in page.table.model.rows.visible] == [1, 2, 3, 4, 5]
    assert page.table.counts.text() == "5 of 6"
    page.set_filter("")
    choose(page, 5)
    QTest.mouseClick(page.only_button, LEFT)
    assert [one.number for one in page.table.model.rows.visible] == [6]


def test_following_a_file_of_the_chosen_record_or_of_the_menu(page, qtbot) -> None:
    fill(page)
    choose(page, 0)
    QTest.mouseClick(page.follow_button, LEFT)
    assert [action.text() for action in page.menu.actions()] == ["File 3", "File 4"]
    with qtbot.waitSignal(page.follow_wanted) as asked:
        page.menu.actions()[1].trigger()
    assert asked.args[1] == 4
    page.menu.close()
    decode(page)
    page.tree.setCurrentItem(page.tree.topLevelItem(1))
    with qtbot.waitSignal(page.follow_wanted) as asked:
        QTest.mouseClick(page.follow_button, LEFT)
    assert asked.args[1] == 3
    page.show_only({1, 3}, "file 3 of s17")
    assert [one.number for one in page.table.model.rows.visible] == [1, 3]
    page.add([row(6)])
    assert page.table.counts.text() == "2 of 6"
    QTest.mouseClick(page.all_button, LEFT)
    assert page.table.counts.text() == "6"


def test_a_file_is_dropped(page, qtbot, tmp_path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "c.jsonl"))])
    event = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier)
    with qtbot.waitSignal(page.open_wanted) as asked:
        page.dropEvent(event)
    assert asked.args == [tmp_path / "c.jsonl"]


def test_files_are_chosen_without_blocking_the_loop(page, qtbot, tmp_path: Path) -> None:
    fill(page)
    QTest.mouseClick(page.open_button, LEFT)
    with qtbot.waitSignal(page.open_wanted):
        page.chooser.fileSelected.emit(str(tmp_path / "c"))
    page.chooser.close()
    QTest.mouseClick(page.save_button, LEFT)
    with qtbot.waitSignal(page.save_wanted) as asked:
        page.chooser.fileSelected.emit(str(tmp_path / "s"))
    assert len(asked.args[1]) == 5
    page.chooser.close()


def test_a_live_feed_is_paused_by_button_and_space(page, qtbot, texts) -> None:
    page.show_source("packets", "live", "3 datagrams")
    assert "packets · live · 3 datagrams" in texts(page)
    with qtbot.waitSignal(page.pause_wanted):
        QTest.mouseClick(page.pause_button, LEFT)


def test_hostile_text_is_text(page, hostile) -> None:
    page.add([row(n, what=text, server=f"{text}@h:1", remote=text) for n, text in enumerate(hostile, 1)])
    page.show_source(hostile[0], "failed", hostile[3])
    page.say(hostile[0], bad=True)
    assert page.message.textFormat() == Qt.TextFormat.PlainText
    page.grab()
    page.resize(1208, 616)
    assert page.width() == 1208


def test_100_000_datagrams_come_without_a_stall(page) -> None:
    worst = 0.0
    for begin in range(0, 100_000, 2_000):
        rows = [row(number) for number in range(begin + 1, begin + 2_001)]
        began = time.thread_time()
        page.add(rows)
        worst = max(worst, time.thread_time() - began)
    assert len(page.table.model.rows.visible) == 100_000
    assert worst < 0.05, f"{worst * 1000:.0f} ms of work in one turn"
