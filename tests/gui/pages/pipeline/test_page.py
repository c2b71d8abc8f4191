"""Pipeline by mouse and keys: boxes, rows, lines, drills that ask by name, loading, names that mean harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui.models.lost import LostRequests
from gui.models.pipeline import Facts, PipelineWatch
from gui.pages.pipeline.page import PipelinePage
from gui.pages.pipeline.presenter import DrillState
from gui.pages.pipeline.side import Confirm
from gui.runner.consume import ConsumerState
from gui.runner.drills import DRILLS, NO_LAB
from tests.gui.pipelines import World

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(show) -> PipelinePage:
    called: list[str] = []
    made = PipelinePage(lambda: called.append("try"))
    made.called = called  # type: ignore[attr-defined]
    return show(made)


def play(page: PipelinePage, world: World, steps: int = 12, **changes) -> PipelineWatch:
    watch = PipelineWatch()
    for _ in world.go(steps):
        pipeline = watch.look(world.facts(**changes))
    page.show_pipeline(pipeline, watch)
    QApplication.processEvents()  # the parts that appear get their places
    return watch


def drills(page: PipelinePage, *, left: float | None = None, why: str = "") -> None:
    page.show_drills(tuple(DrillState(d, why, left if n == 0 else None, False, "") for n, d in enumerate(DRILLS)))


def test_nothing_is_open(page, texts) -> None:
    drills(page, why=NO_LAB)
    assert "No workspace is open: nothing is watched." in texts(page)
    assert not page.side.load_button.isEnabled()
    assert all(not line.start.isEnabled() for line in page.side.drills.values())
    assert NO_LAB in texts(page)
    QTest.mouseClick(page.side.try_button, LEFT)
    assert page.called == ["try"]


def test_boxes_say_their_state_in_words_and_a_click_shows_the_details(page) -> None:
    play(page, World(servers=8, shovelers=2, collectors=2))
    names = [box.accessibleName() for box in page.stages.boxes.values()]
    assert names[0] == "Servers: up, all up, datagrams leave each"
    assert page.remark.text() == "all stages up"
    for name, rows in (("servers", 8), ("shovelers", 2), ("broker", 2), ("collectors", 2), ("database", 8)):
        QTest.mouseClick(page.stages.boxes[name], LEFT)
        assert page.stages.boxes[name].isChecked()
        assert page.tables[name].isVisible()
        assert len(page.tables[name].model.rows.visible) == rows


def test_boxes_by_keys(page, qtbot) -> None:
    play(page, World(servers=2))
    page.stages.boxes["servers"].setFocus()
    QTest.keyClick(page.stages.boxes["servers"], Qt.Key.Key_Space)
    assert page.tables["servers"].isVisible()
    QTest.keyClick(page.stages.boxes["servers"], Qt.Key.Key_Right)
    assert page.window().focusWidget() is page.stages.boxes["shovelers"]
    assert page.tables["shovelers"].isVisible()


def test_a_row_shows_its_own_lines_and_its_remedy_can_be_copied(page) -> None:
    world = World(servers=4, shovelers=2)
    watch = PipelineWatch()
    for _ in world.go(6):
        watch.look(world.facts())
    world.lose(1, 2)
    for facts in world.go(1):
        page.show_pipeline(watch.look(facts), watch)
    QApplication.processEvents()
    assert page.remark.text() == "1 of 5 stages to check"
    table = page.tables["shovelers"]
    QTest.mouseClick(table.view.viewport(), LEFT, pos=QPoint(150, 36))
    assert page._whose.text() == world.hosts[1]
    assert page.news.text() == "2 dropped by the kernel."
    QTest.mouseClick(page.copy_button, LEFT)
    assert "rmem_max" in QGuiApplication.clipboard().text()
    QTest.mouseClick(table.view.viewport(), LEFT, pos=QPoint(150, 12))
    assert not page.copy_button.isVisible()


def test_the_span_of_the_lines(page) -> None:
    play(page, World(servers=2))
    QTest.mouseClick(page._spans[2], LEFT)
    assert page.trend._span == 86_400.0
    assert page._whose.text().endswith("highest of each minute")


def test_where_records_wait_stands_at_the_top(page, texts) -> None:
    world = World(servers=4)
    watch = PipelineWatch()
    for _ in world.go(20):
        watch.look(world.facts())
    world.slow = 0.2
    for facts in world.go(12):
        page.show_pipeline(watch.look(facts), watch)
    assert "wait in the broker's queue" in page.waiting.text()
    assert page.stages.boxes["collectors"].stage.state == "check"


def test_no_bus_leads_to_the_settings(page, qtbot) -> None:
    watch = PipelineWatch()
    page.show_pipeline(watch.look(Facts(t=1.0, database="/w.db")), watch)
    QApplication.processEvents()
    assert page.stages.boxes["broker"].stage.state == "not set"
    with qtbot.waitSignal(page.settings_wanted):
        QTest.mouseClick(page.side.set_up, LEFT)
    with qtbot.waitSignal(page.settings_wanted):
        QTest.mouseClick(page.setup_button, LEFT)


def test_each_stage_says_how_many_requests_the_latest_run_lost_there(page) -> None:
    play(page, World(servers=2))
    drills(page)
    assert not page.lost_button.isEnabled()
    assert "No run has been scored yet." in page.lost_button.toolTip()
    page.show_lost(LostRequests(4, {(1, "kernel"): 1200, (2, "spool"): 34, (1, "queue"): 1}))
    assert page.lost_button.text() == "Show 1,234 requests lost"
    assert "run 4, test 1; its other tests lost 34 more" in page.lost_button.toolTip()
    page.choose("broker")
    assert page.lost_button.text() == "Show the request lost"
    page.choose("database")
    assert not page.lost_button.isEnabled()
    assert "Run 4 lost no request here." in page.lost_button.toolTip()
    links = {name: line.lost for name, line in page.side.drills.items()}
    assert [link.text() for link in links.values()] == [
        "Show 35 requests lost", "Show 1,200 requests lost", "Show the request lost",
    ]  # fmt: skip
    assert all(link.isVisible() for link in links.values())
    page.show_lost(LostRequests(5, {(1, "wire"): 2}))
    assert not any(link.isVisible() for link in links.values())
    page.show_lost(None)
    assert not page.lost_button.isEnabled()


def test_refresh_by_its_button(page, qtbot) -> None:
    with qtbot.waitSignal(page.refresh_wanted):
        QTest.mouseClick(page.refresh, LEFT)


def confirm(page: PipelinePage) -> Confirm:
    found = page.side.confirm
    assert found is not None
    return found


def test_a_drill_asks_by_its_name_and_says_what_happens(page, qtbot, texts) -> None:
    drills(page)
    line = page.side.drills["cut-broker"]
    line.amount.setValue(30)
    QTest.mouseClick(line.start, LEFT)
    assert confirm(page).go.text() == "Cut the broker"
    assert any("stays down for 30 s" in text for text in texts(confirm(page)))
    QTest.keyClick(confirm(page), Qt.Key.Key_Escape)
    QTest.mouseClick(line.start, LEFT)
    with qtbot.waitSignal(page.drill_wanted) as asked:
        QTest.mouseClick(confirm(page).go, LEFT)
    assert asked.args == [DRILLS[0], 30.0]


def test_enter_in_the_question_does_not_start_a_drill(page, qtbot) -> None:
    drills(page)
    started: list[object] = []
    page.drill_wanted.connect(lambda *args: started.append(args))
    QTest.mouseClick(page.side.drills["drop-udp"].start, LEFT)
    qtbot.waitExposed(confirm(page))
    QTest.keyClick(confirm(page), Qt.Key.Key_Return)
    assert not confirm(page).isVisible()
    assert not started


def test_a_drill_under_way_can_be_stopped(page, qtbot, texts) -> None:
    drills(page, left=41.2)
    line = page.side.drills["cut-broker"]
    assert line.said.text() == "under way, 41 s left"
    assert not line.start.isVisible()
    with qtbot.waitSignal(page.drill_stop_wanted) as asked:
        QTest.mouseClick(line.stop, LEFT)
    assert asked.args == [DRILLS[0]]


def test_loading_shows_how_far_it_is_and_what_came(page, qtbot) -> None:
    play(page, World(servers=2))
    page.show_loading("<b>r</b>.jsonl", 500, 1000, 20_000)
    assert page.side.bar.value() == 500
    assert page.side.loading.text() == "20,000 records, 500 B of 1,000 B"
    assert not page.side.load_button.isEnabled()
    with qtbot.waitSignal(page.stop_loading_wanted):
        QTest.mouseClick(page.side.stop_button, LEFT)
    page.show_loaded(("3 records", "line 7: <img src=x>"), bad=True)
    assert page.side.loaded.text() == "3 records\nline 7: <img src=x>"
    assert page.side.loaded.textFormat() == Qt.TextFormat.PlainText
    assert page.side.load_button.isEnabled()


def test_a_file_is_chosen_without_blocking_the_loop(page, qtbot, tmp_path: Path) -> None:
    play(page, World(servers=2))
    QTest.mouseClick(page.side.load_button, LEFT)
    assert page.side.chooser.isVisible()
    with qtbot.waitSignal(page.load_wanted) as asked:
        page.side.chooser.fileSelected.emit(str(tmp_path / "r.jsonl"))
    assert asked.args == [tmp_path / "r.jsonl"]
    page.side.chooser.close()


def test_hostile_names_are_text_and_nothing_is_wider_than_the_window(page, hostile, texts) -> None:
    world = World(servers=50, shovelers=5, collectors=3, name=f"{hostile[0]}{'x' * 200}")
    world.hosts = [*hostile[:4], "h" * 200]
    watch = play(page, world, records=ConsumerState(trouble=f"{hostile[0]} {'y' * 300}", refused=True))
    assert page.width() == 1368
    assert page.stages.boxes["broker"].stage.state == "failed"
    for name in page.tables:
        page.choose(name)
        page.grab()
    assert "<b>" not in page.stages.boxes["broker"].toolTip()
    assert "&lt;b&gt;" in page.stages.boxes["broker"].toolTip()
    assert len(watch.series("shovelers").names) == 3
    page.resize(1208, 616)
    assert page.width() == 1208


def test_visits_open_a_stage(page) -> None:
    play(page, World(servers=2))
    page.choose("collectors")
    assert page.tables["collectors"].isVisible()
    page.choose("nonsense")
    assert page.tables["collectors"].isVisible()


def test_lines_flags_and_the_cross_hair_are_painted(page, qtbot) -> None:
    world = World(servers=4)
    watch = play(page, world, 30)
    world.lose(0, 3)
    for facts in world.go(3):
        page.show_pipeline(watch.look(facts), watch)
    before = page.trend.grab().toImage()
    QTest.mouseMove(page.trend, QPoint(300, 40))
    qtbot.waitUntil(lambda: page.trend._cross is not None)
    assert page.trend.grab().toImage() != before
    assert len(page.trend.colours()) == 3
