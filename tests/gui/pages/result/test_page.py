"""Result: verdict counts, tabs, servers, requests with their filter, and what leads where."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from gui.models.environment import Fact
from gui.models.runs import TestRow
from gui.pages.result.columns import TEST_COLUMNS
from gui.pages.result.page import ResultPage
from gui.reconcile import ForeignFault
from gui.reconcile.foreign import KEY, kept
from gui.store import NoteRow, TestSpec, VerdictKind
from tests.gui.pages.made import detail, record, request, server, view


@pytest.fixture
def page(show) -> ResultPage:
    return show(ResultPage())


def fill(page, requests=60, missing=(7,), servers=50) -> None:
    page.show_run(view(36, matched=53, good=53, late=0, missing=len(missing), conclusion="fail"))
    rows = [request(n, VerdictKind.MISSING if n in missing else VerdictKind.MATCHED) for n in range(1, requests + 1)]
    page.show_test(detail([server(n) for n in range(1, servers + 1)], rows))


def test_verdict_counts_are_coloured_only_where_something_happened(page, texts) -> None:
    page.show_run(view(36, matched=50, good=53, late=3, missing=7, conclusion="fail"))
    assert page.title.text() == "Run 36"
    assert "FAIL" in texts(page.badge)
    assert [page.counts[name].figure.text() for name in page.counts] == ["50", "3", "7", "0", "0", "0", "0", "0"]
    assert page.counts["missing"]._icon == ("miss", "bad")
    assert page.counts["duplicate"]._icon == ("dup", "mute")


def test_servers_and_requests_of_the_chosen_test(page) -> None:
    asked: list[TestRow] = []
    page.test_wanted.connect(asked.append)
    fill(page)
    assert asked[-1].number == 1
    assert page.servers.model.rowCount() == 50
    assert page.tabs.tabText(1) == "Requests 60"
    page.show_test(detail([], [], number=2))  # of a test that is not shown any more
    assert page.servers.model.rowCount() == 50


def test_a_card_leads_to_its_requests_by_mouse_and_key(page, qtbot) -> None:
    fill(page)
    qtbot.mouseClick(page.counts["missing"], Qt.MouseButton.LeftButton)
    assert page.inner.currentWidget() is page.requests
    assert [r.id for r in page.requests.model.rows.visible] == [7]
    page.show_tab("servers")
    page.counts["matched"].setFocus()
    qtbot.keyClick(page.counts["matched"], Qt.Key.Key_Return)
    assert page.inner.currentWidget() is page.requests
    assert len(page.requests.model.rows.visible) == 59
    page.show_tab("servers")
    qtbot.mouseClick(page.counts["late"], Qt.MouseButton.LeftButton)  # 0: nothing to show
    assert page.inner.currentWidget() is page.servers


def test_the_card_of_the_unrequested_leads_to_their_records(page, qtbot) -> None:
    opened: list[tuple[str, int]] = []
    page.record_wanted.connect(lambda number: opened.append(("record", number)))
    page.evidence_wanted.connect(lambda number: opened.append(("request", number)))
    page.show_run(view(36, unrequested=2))
    page.show_test(detail([server(1)], [*(request(n) for n in range(1, 6)), record(40), record(41)]))
    assert page.requests.counts.text() == "5, and 2 records that nobody requested"
    assert page.tabs.tabText(1) == "Requests 5"
    qtbot.mouseClick(page.counts["unrequested"], Qt.MouseButton.LeftButton)
    assert page.inner.currentWidget() is page.requests
    assert [row.record for row in page.requests.model.rows.visible] == [40, 41]
    assert page.requests.counts.text() == "0 of 5, and 2 records that nobody requested"
    cells = {page.requests.model.index(0, n).data() for n in range(page.requests.model.columnCount())}
    assert {"unrequested", "–", "70"} <= cells, "nobody asked for anything: no 0"
    page.requests.view.setFocus()
    page.requests.select_key(-41)
    qtbot.keyClick(page.requests.view, Qt.Key.Key_Return)
    assert opened == [("record", 41)]
    assert page.visible_requests() == (), "one cannot step to them in Evidence"


def test_what_the_plan_injected_is_left_out_and_counted_again_with_both_figures(page, qtbot, texts) -> None:
    asked: list[tuple[int, bool]] = []
    page.leave_out_wanted.connect(lambda run, on: asked.append((run, on)))
    page.show_run(view(36, good=53, counted=60, missing=7, injected=6, conclusion="fail"))
    assert page.injected.text.text() == (
        "6 of the 7 missing were injected by the plan. Success 88.33 %; without them 98.15 %."
    )
    assert page.counts["missing"].remark.text() == "6 injected"
    qtbot.mouseClick(page.injected.buttons[0], Qt.MouseButton.LeftButton)
    left = view(36, good=53, counted=54, missing=1, injected=6, left_out=6, conclusion="fail")
    page.show_run(dataclasses.replace(left, without_injected=True))
    assert page.injected.text.text() == (
        "6 missing requests left out, which the plan injected: 98.15 %. With them: 88.33 %."
    )
    assert not page.injected.close_button.isVisible(), "figures without that word would not be true"
    page.show_test(
        detail(
            [server(1)],
            [
                request(1, VerdictKind.MISSING, cause="injected udp-loss: dropped by the kernel"),
                request(2, VerdictKind.MISSING, cause="lost between server and shoveler"),
            ],
        )
    )
    assert page.missing_button.text() == "Show the 1 missing"
    qtbot.mouseClick(page.counts["missing"], Qt.MouseButton.LeftButton)
    assert [row.id for row in page.requests.model.rows.visible] == [2]
    qtbot.mouseClick(page.injected.buttons[0], Qt.MouseButton.LeftButton)
    assert asked == [(36, True), (36, False)]
    page.show_run(view(37))
    assert not page.injected.isVisible()


def test_a_run_that_began_with_a_fault_of_another_says_so_as_long_as_it_is_shown(page, qtbot) -> None:
    asked: list[int] = []
    page.run_wanted.connect(asked.append)
    shown = view(5)
    foreign = kept([ForeignFault("udp-loss", 5.0, 65.0, run=4)])
    page.show_run(dataclasses.replace(shown, run=dataclasses.replace(shown.run, environment={KEY: foreign})))
    assert page.foreign.text.text() == (
        "A fault of run 4 was still on (udp-loss) when this run began: what it lost is not this run's own."
    )
    assert not page.foreign.close_button.isVisible()
    qtbot.mouseClick(page.foreign.buttons[0], Qt.MouseButton.LeftButton)
    assert asked == [4]
    page.show_run(view(6))
    assert not page.foreign.isVisible()


def test_while_a_test_is_read_the_tables_say_so_and_show_no_other(page, qtbot, texts) -> None:
    shown = view(36)
    second = dataclasses.replace(shown.tests[0], number=2)
    page.begin(36)
    qtbot.waitUntil(lambda: "The run is being read" in texts(page))
    page.show_run(dataclasses.replace(shown, tests=(*shown.tests, second)), 1)
    qtbot.waitUntil(lambda: {"Test 1 is being read", "60 requests of 2 servers."} <= set(texts(page.servers)))
    page.show_test(detail([server(1)], [request(1)]))
    assert page.servers.model.rowCount() == 1
    page.tests.select_key(2)
    assert (page.servers.model.rowCount(), page.requests.model.rowCount()) == (0, 0)
    page.show_tab("requests")
    qtbot.waitUntil(lambda: "Test 2 is being read" in texts(page.requests))
    page.show_test(detail([], [], number=2))
    qtbot.waitUntil(lambda: "Nothing was requested in this test." in texts(page.requests))
    page.show_run(dataclasses.replace(shown, tests=(*shown.tests, second)), 2)
    assert "Test 2 is being read" not in texts(page.requests), "read again, it stays as it is"


def test_the_missing_are_one_click_away(page, qtbot) -> None:
    fill(page)
    assert page.missing_button.text() == "Show the 1 missing"
    qtbot.mouseClick(page.missing_button, Qt.MouseButton.LeftButton)
    assert [r.id for r in page.requests.model.rows.visible] == [7]
    page.show_run(view(37))
    assert page.missing_button.isHidden()


def test_a_server_leads_to_its_requests_and_to_no_others(page, qtbot) -> None:
    page.show_run(view(36))
    names = ["s1", "s10", 'the "odd" one']
    page.show_test(
        detail(
            [server(n, name) for n, name in enumerate(names)],
            [request(n, server=name) for n, name in enumerate(names)],
        )
    )
    for number, name in enumerate(names):
        page.show_tab("servers")
        page.servers.select_key(number)
        qtbot.keyClick(page.servers.view, Qt.Key.Key_Return)
        assert page.inner.currentWidget() is page.requests
        assert [r.server for r in page.requests.model.rows.visible] == [name]


def test_a_request_leads_to_its_evidence(page, qtbot) -> None:
    asked: list[int] = []
    page.evidence_wanted.connect(asked.append)
    fill(page)
    page.show_tab("requests")
    page.requests.select_key(2)
    qtbot.keyClick(page.requests.view, Qt.Key.Key_Return)
    assert asked == [2]


def test_names_that_mean_harm_are_plain_text(page, hostile) -> None:
    page.show_run(view(1, hostile[0]))
    assert page.remark.textFormat() == Qt.TextFormat.PlainText
    servers = tuple(server(n, name, cause=name) for n, name in enumerate(hostile, start=1))
    requests = tuple(
        request(n, VerdictKind.CLIENT_FAILED, path=name, cause=name) for n, name in enumerate(hostile, start=1)
    )
    page.show_test(detail(servers, requests))
    for number in range(page.tabs.count()):
        page.tabs.setCurrentIndex(number)
        page.grab()


def test_back_to_the_list(page, qtbot) -> None:
    asked: list[bool] = []
    page.back_wanted.connect(lambda: asked.append(True))
    page.show_run(view(36))
    qtbot.mouseClick(page.crumbs.back_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page.crumbs.links[0], Qt.MouseButton.LeftButton)
    assert len(asked) == 2


@pytest.mark.parametrize("width", [1368, 1208, 1048])
def test_verdicts_and_paths_can_be_read_at_any_width(page, width: int) -> None:
    page.resize(width, 720)
    page.show_run(view(36))
    page.show_test(detail([server(1)], [request(1, VerdictKind.WRONG_BYTES)]))
    for tab, table, must in (
        (0, page.tests, ("success", "missing", "verdict")),
        (0, page.servers, ("server", "missing", "cause")),
        (1, page.requests, ("verdict", "path", "asked", "rec", "cause")),
    ):
        page.tabs.setCurrentIndex(tab)
        page.grab()
        columns = table.model.rows.columns
        shown = {columns[number].key: number for number in table._visible_columns()}
        assert set(must) <= set(shown)
        assert sum(table.view.columnWidth(number) for number in shown.values()) <= width
        stretch = next(number for number in shown.values() if columns[number].stretch)
        assert table.view.columnWidth(stretch) >= 96


def test_the_buttons_ask_for_what_they_say(page, qtbot) -> None:
    asked: list[object] = []
    for name in ("recheck", "compare", "report", "bundle"):
        getattr(page, f"{name}_wanted").connect(lambda run, name=name: asked.append((name, run)))
    page.baseline_wanted.connect(lambda run, on: asked.append(("baseline", run, on)))
    qtbot.mouseClick(page.report_button, Qt.MouseButton.LeftButton)  # no run is open
    page.show_run(view(36))
    for name in ("recheck", "compare", "baseline", "report", "bundle"):
        qtbot.mouseClick(getattr(page, f"{name}_button"), Qt.MouseButton.LeftButton)
    assert asked == [("recheck", 36), ("compare", 36), ("baseline", 36, True), ("report", 36), ("bundle", 36)]
    shown = view(36)
    page.show_run(dataclasses.replace(shown, run=dataclasses.replace(shown.run, baseline=True)))
    assert page.baseline_button.text() == "Remove baseline"
    qtbot.mouseClick(page.baseline_button, Qt.MouseButton.LeftButton)
    assert asked[-1] == ("baseline", 36, False)


def test_scoring_again_gives_a_sign(page, texts) -> None:
    page.show_run(view(36))
    page.set_busy("Scoring run 36 again: repeat 2 of 3")
    assert not page.recheck_button.isEnabled()
    assert {"Re-checking…", "Scoring run 36 again: repeat 2 of 3"} <= set(texts(page))
    page.show_run(view(36))
    assert not page.recheck_button.isEnabled()
    page.set_busy("")
    page.say("Scored again, 3 repeats: nothing changed.")
    assert page.recheck_button.isEnabled()
    assert page.message.text.text() == "Scored again, 3 repeats: nothing changed."


def test_a_stored_filter_never_hides_every_row_without_a_word(page, texts, qtbot) -> None:
    page.requests.filter_box.setText("verdict:duplicate")
    fill(page)
    page.show_tab("requests")
    assert page.requests.model.rowCount() == 0
    assert "Hidden by the filter: 60 rows" in texts(page)
    clear = next(b for b in page.requests.findChildren(QPushButton) if b.isVisible() and b.text().startswith("Clear"))
    qtbot.mouseClick(clear, Qt.MouseButton.LeftButton)
    assert page.requests.model.rowCount() == 60


def test_the_count_says_how_many_of_how_many(page) -> None:
    page.show_run(view(36))
    page.show_test(detail([server(1)], [request(n) for n in range(1, 31)], total=20_000))
    page.requests.filter_box.setText("path:f0007")
    assert page.requests.counts.text().startswith("1 of 20,000 (30 listed")
    page.show_test(detail([server(1)], [request(n) for n in range(1, 31)]))
    assert page.requests.counts.text() == "1 of 30"
    page.requests.filter_box.clear()
    assert page.requests.counts.text() == "30"


def test_an_aborted_run_opens_on_its_last_test_with_results(page) -> None:
    shown = view(36)
    full = shown.tests[0]
    empty = dataclasses.replace(
        full, number=2, figures=dataclasses.replace(full.figures, total=0, counted=0, matched=0, good=0)
    )
    page.show_run(dataclasses.replace(shown, tests=(full, empty)))
    assert page.test.number == 1
    page.show_run(dataclasses.replace(shown, tests=(full, empty)), 2)
    assert page.test.number == 2
    nothing = dataclasses.replace(shown.run, id=37)
    page.show_run(dataclasses.replace(shown, run=nothing, tests=(empty,)))
    assert page.test.number == 2


def test_notes_are_written_with_the_keyboard_and_shown_whole(page, qtbot, hostile) -> None:
    written: list[tuple[int, str]] = []
    page.note_wanted.connect(lambda run, text: written.append((run, text)))
    shown = view(36)
    page.show_run(shown)
    page.show_tab("notes")
    editor = page.notes.editor
    assert not page.notes.add_button.isEnabled()
    qtbot.keyClicks(editor, "the disk of s07 was full")
    qtbot.keyClick(editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert written == [(36, "the disk of s07 was full")]
    assert not page.notes.add_button.isEnabled(), "a second click must not add it twice"
    notes = (NoteRow(5.0, "ada", "the disk of s07 was full", 1), NoteRow(6.0, hostile[0], hostile[0], 2))
    page.show_run(dataclasses.replace(shown, notes=notes))
    assert editor.toPlainText() == ""
    assert page.tabs.tabText(4) == "Notes 2"
    page.notes.table.select_key(2)
    assert page.notes.whole.toPlainText() == hostile[0]
    qtbot.keyClicks(editor, "again")
    page.note_refused("It cannot be kept.")
    assert page.notes.error.text() == "It cannot be kept."
    assert editor.toPlainText() == "again"


def test_a_note_is_changed_and_deleted_by_keys_and_that_of_tally_stays(page, qtbot) -> None:
    asked: list[tuple[object, ...]] = []
    page.note_change_wanted.connect(lambda *what: asked.append(("change", *what)))
    page.note_delete_wanted.connect(lambda *what: asked.append(("delete", *what)))
    page.note_wanted.connect(lambda *what: asked.append(("add", *what)))
    notes = (NoteRow(5.0, "ada", "the disk was full", 1), NoteRow(6.0, "tally", "late records changed matched", 2))
    shown = dataclasses.replace(view(36), notes=notes)
    page.show_run(shown)
    page.show_tab("notes")
    tab = page.notes
    tab.table.select_key(2)
    assert not tab.edit_button.isEnabled()
    assert not tab.delete_button.isEnabled()
    assert tab.delete_button.toolTip() == "Tally itself remarked this; it stays as it is"
    qtbot.keyClick(tab.table.view, Qt.Key.Key_Delete)
    tab.table.select_key(1)
    qtbot.mouseClick(tab.edit_button, Qt.MouseButton.LeftButton)
    assert tab.editor.toPlainText() == "the disk was full"
    assert (tab.add_button.text(), tab.add_button.isEnabled()) == ("Save note", False)
    qtbot.keyClicks(tab.editor, "It was empty. ")
    qtbot.keyClick(tab.editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert asked == [("change", 36, 1, "It was empty. the disk was full")]
    changed = NoteRow(5.0, "ada", "It was empty. the disk was full", 1)
    page.show_run(dataclasses.replace(shown, notes=(changed, notes[1])))
    assert tab.whole.toPlainText() == "It was empty. the disk was full"
    assert (tab.editor.toPlainText(), tab.add_button.text()) == ("", "Add note")
    qtbot.mouseClick(tab.edit_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(tab.cancel_button, Qt.MouseButton.LeftButton)
    assert (tab.editor.toPlainText(), tab.cancel_button.isVisible()) == ("", False)
    qtbot.keyClicks(tab.editor, "half written")
    qtbot.mouseClick(tab.edit_button, Qt.MouseButton.LeftButton)
    assert tab.editor.toPlainText() == "half written"
    assert "before another one is changed" in tab.error.text()
    tab.table.view.setFocus()
    qtbot.keyClick(tab.table.view, Qt.Key.Key_Delete)
    assert asked[1:] == [("delete", 36, 1)]


def test_a_run_without_environment_says_so(page, texts) -> None:
    page.show_run(view(36))
    page.show_tab("environment")
    assert "Not recorded" in texts(page)


def test_the_environment_is_that_of_the_run_that_is_open(page) -> None:
    page.show_run(view(36))
    page.show_environment(36, (Fact("kernel of this machine", "", "net.core.rmem_max", "212992"),))
    page.show_environment(35, ())
    assert [fact.value for fact in page.environment.model.rows.visible] == ["212992"]
    page.clear()
    assert page.environment.model.rowCount() == 0
    assert page.badge.isHidden()


def test_a_few_long_names_do_not_take_all_the_room(page) -> None:
    page.show_run(view(36))
    servers = [server(n, "n" * 200 if n == 7 else "") for n in range(1, 51)]
    page.show_test(detail(servers, [request(1, VerdictKind.MISSING, cause="dropped by the kernel")]))
    columns = {column.key: number for number, column in enumerate(page.servers.model.rows.columns)}
    assert page.servers.view.columnWidth(columns["server"]) <= 144
    page.show_tab("requests")
    page.grab()
    columns = {column.key: number for number, column in enumerate(page.requests.model.rows.columns)}
    assert page.requests.view.columnWidth(columns["cause"]) > 2 * page.requests.view.columnWidth(columns["path"])
    assert page.requests.view.isColumnHidden(columns["behaviour"])


def test_the_table_of_tests_folds_beside_the_timeline(page, qtbot) -> None:
    one = view(36)
    second = dataclasses.replace(one.tests[0], number=2)
    page.show_run(dataclasses.replace(one, tests=(one.tests[0], second)), 2)
    page.show_tab("timeline")
    assert [test.number for test in page.tests.model.rows.visible] == [2]
    assert page.unfold_button.text() == "Show all 2 tests"
    qtbot.mouseClick(page.unfold_button, Qt.MouseButton.LeftButton)
    assert [test.number for test in page.tests.model.rows.visible] == [1, 2]
    assert page.tests.current().number == 2
    page.show_tab("servers")
    page.show_tab("timeline")
    page.show_tab("servers")
    assert [test.number for test in page.tests.model.rows.visible] == [1, 2]
    assert page.unfold_button.isHidden()


def test_when_no_run_is_open_no_figure_of_another_stays(page, texts, qtbot) -> None:
    fill(page)
    page.clear()
    said = texts(page)
    assert "No run is open" in said
    assert not {"53", "FAIL", "Show the 1 missing"} & set(said)
    asked: list[bool] = []
    page.back_wanted.connect(lambda: asked.append(True))
    click = next(b for b in page.findChildren(QPushButton) if b.isVisible() and b.text() == "All runs")
    qtbot.mouseClick(click, Qt.MouseButton.LeftButton)
    assert asked == [True]


def test_what_is_asked_of_each_server_is_told_from_what_all_of_them_reached() -> None:
    """“10/s” for each server stood beside “46.1/s” of all."""
    row = view(spec=TestSpec(8, 100, 10), achieved=46.1).tests[0]
    shown = {column.title: column.shows(row) for column in TEST_COLUMNS if column.key in ("rate", "achieved")}
    assert shown == {"Per round": "10/server", "Achieved": "46.1/s"}
