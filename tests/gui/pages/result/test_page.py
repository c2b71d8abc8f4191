"""Result: verdict counts, tabs, servers, requests with their filter, and what leads where."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from gui.models.runs import TestRow
from gui.pages.result.page import ResultPage
from gui.store import VerdictKind
from tests.gui.pages.made import detail, request, server, view


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
