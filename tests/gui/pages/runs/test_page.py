"""Runs: history, verdict counts, servers, requests with their filter, and the evidence of one request."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from PySide6.QtCore import Qt

from gui.models.runs import RunView, TestDetail, TestRow
from gui.pages.runs.page import LEAST_REQUESTS, RunsPage
from gui.reconcile import Ladder, ServerFigures, TestFigures
from gui.reconcile.ladder import Rung
from gui.store import RequestEntry, RequestState, RunEntry, TestEntry, TestSpec, VerdictKind
from gui.widgets.theme import theme

EMPTY_RUN = RunEntry(1, "u", "plan", "", 90.0, "passed", 1.0, 1.0, 24.0, "", {}, {}, False, "")


def figures(**changes) -> TestFigures:
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(TestFigures)}
    fields |= {
        "spec": TestSpec(2, 10, 5, repeats=3), "repeats": 3, "total": 60, "counted": 60, "good": 60, "matched": 60,
        "recorded_avg": 20.0, "recorded_min": 20, "recorded_max": 20, "success": 100.0, "worst": 100.0,
        "interval": (94.0, 100.0), "offered": 10.0, "achieved": 9.5, "conclusion": "pass",
    }  # fmt: skip
    return TestFigures(**(fields | changes))


def view(run: int = 1, name: str = "osdf", **changes) -> RunView:
    f = figures(**changes)
    entry = TestEntry(run * 10, run, 1, f.spec)
    row = TestRow(1, entry, f, (), None)
    state = {"pass": "passed", "fail": "failed"}[f.conclusion]
    return RunView(dataclasses.replace(EMPTY_RUN, id=run, name=name, state=state), (row,), (), f.conclusion)


def server(number: int, name: str = "", **changes) -> ServerFigures:
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(ServerFigures)}
    fields |= {
        "server_id": number, "name": name or f"s{number:02}", "url": f"root://s{number}", "requested": 30, "read": 30,
        "recorded": 30, "matched": 30, "success": 100.0, "lost_at": "", "cause": "", "certain": True,
    }  # fmt: skip
    return ServerFigures(**(fields | changes))


def request(number: int, verdict: VerdictKind = VerdictKind.MATCHED, **changes) -> RequestEntry:
    fields: dict[str, Any] = {
        "id": number, "repeat_id": 1, "round": 1, "tag": f"tag{number:05}", "path": f"/store/f{number:04}",
        "server": "s01", "server_url": "root://s01", "agent": "shared/c1", "slot": 0, "size": 100,
        "state": RequestState.DONE, "ok": True, "t_started": 1.0, "t_open": 1.0, "t_close": 2.0, "read_asked": 100,
        "read_got": 100, "readv_asked": 0, "readv_got": 0, "written": 0, "read_ops": 1, "readv_ops": 0, "write_ops": 0,
        "reached": "", "status": 0, "error": "", "verdict": verdict,
    }  # fmt: skip
    return RequestEntry(**(fields | changes))


@pytest.fixture
def page(show) -> RunsPage:
    return show(RunsPage((("Try it on this machine", "play", lambda: None),)))


def test_an_empty_history_offers_what_to_do(page, texts) -> None:
    assert "No runs in this workspace yet" in texts(page)
    assert "Try it on this machine" in texts(page)
    assert page.badge.isHidden()


def test_a_run_is_asked_for_when_it_is_opened(page) -> None:
    asked: list[int] = []
    page.run_wanted.connect(asked.append)
    page.set_runs([view(3), view(2, matched=59, good=59, missing=1, conclusion="fail")])
    assert [r.outcome for r in page.runs.model.rows.all] == ["passed", "failed"]
    page.runs.filter_box.setText("verdict:FAIL")
    page.runs.select_key(2)
    page.runs.activated.emit(page.runs.current())
    assert asked == [2]


def test_success_is_a_hundred_only_when_all_were_matched(page) -> None:
    page.set_runs([view(1, counted=1_000_000, good=999_999)])
    column = next(c for c in page.runs.model.rows.columns if c.key == "success")
    assert column.shows(page.runs.model.rows.all[0]) == "99.99 %"


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
    page.show_run(view(36))
    assert asked[-1].number == 1
    requests = [request(n, VerdictKind.MISSING if n == 7 else VerdictKind.MATCHED) for n in range(1, 61)]
    page.show_test(TestDetail(1, tuple(server(n) for n in range(1, 51)), tuple(requests), 60))
    assert page.servers.model.rowCount() == 50
    assert page.tabs.tabText(1) == "Requests 60"
    page.tabs.setCurrentIndex(1)
    page.requests.filter_box.setText("verdict:missing")
    assert [r.id for r in page.requests.model.rows.visible] == [7]
    page.show_test(TestDetail(2, (), (), 0))  # of a test that is not shown any more
    assert page.servers.model.rowCount() == 50


def test_the_evidence_of_a_request_names_the_stage(page, texts) -> None:
    asked: list[int] = []
    page.evidence_wanted.connect(asked.append)
    page.show_run(view(36))
    page.show_test(TestDetail(1, (server(1),), (request(1), request(2, VerdictKind.MISSING)), 2))
    page.tabs.setCurrentIndex(1)
    page.requests.select_key(2)
    assert asked == [2]
    rungs = (Rung("client", "passed", "read <b>100</b> B"), Rung("shoveler", "lost", "sequence 42 never read"))
    page.show_evidence(2, Ladder("kernel", "kernel dropped 1 datagram", False, rungs))
    assert page.evidence.isVisible()
    assert "probably kernel dropped 1 datagram" in texts(page.evidence)
    assert {"missing", "read <b>100</b> B", "passed", "lost here"} <= set(texts(page.evidence))
    page.show_evidence(1, None)  # another one's answer comes late: it is not shown
    assert "probably kernel dropped 1 datagram" in texts(page.evidence)
    page.requests.select_key(1)
    page.show_evidence(1, None)
    assert "Nothing was lost." in texts(page.evidence)


def test_names_that_mean_harm_are_plain_text(page, hostile) -> None:
    page.set_runs([view(n, name) for n, name in enumerate(hostile, start=1)])
    page.show_run(view(1, hostile[0]))
    assert page.remark.textFormat() == Qt.TextFormat.PlainText
    servers = tuple(server(n, name, cause=name) for n, name in enumerate(hostile, start=1))
    requests = tuple(
        request(n, VerdictKind.CLIENT_FAILED, path=name, error=name) for n, name in enumerate(hostile, start=1)
    )
    page.show_test(TestDetail(1, servers, requests, len(requests)))
    page.tabs.setCurrentIndex(1)
    page.requests.select_key(1)
    page.show_evidence(1, None)
    assert page.evidence.answer.text() == hostile[0]
    assert page.evidence.answer.textFormat() == Qt.TextFormat.PlainText
    page.grab()


def test_back_to_the_list(page) -> None:
    page.show_run(view(36))
    page.back_button.click()
    assert page.title.text() == "Runs"
    assert page.stack.currentIndex() == 0


@pytest.mark.parametrize("width", [1368, 1208, 1048])
def test_verdicts_and_paths_can_be_read_at_any_width(page, width: int) -> None:
    page.resize(width, 720)
    page.show_run(view(36))
    page.show_test(TestDetail(1, (server(1),), (request(1, VerdictKind.WRONG_BYTES),), 1))
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


def test_evidence_leaves_the_requests_some_rows_and_follows_the_theme(page) -> None:
    page.resize(1208, 640)
    page.show_run(view(36))
    page.show_test(TestDetail(1, (server(1),), tuple(request(n, VerdictKind.MISSING) for n in range(1, 30)), 29))
    page.tabs.setCurrentIndex(1)
    page.requests.select_key(2)
    rungs = tuple(Rung(f"stage {n}", "passed", "seen " * 60) for n in range(9))
    page.show_evidence(2, Ladder("kernel", "kernel dropped 1 datagram", False, rungs))
    page.grab()
    assert page.requests.height() >= LEAST_REQUESTS
    assert page.evidence.height() >= 72
    picture, _stage, state, _evidence = page.evidence._rows[0]
    light = picture.pixmap().toImage()
    theme().set_mode("dark")
    assert picture.pixmap().toImage() != light
    assert theme().hex("ok") in state.styleSheet()
    page.requests.filter_box.setText("verdict:matched")
    assert page.evidence.isHidden()  # of a request that is not to be seen any more
