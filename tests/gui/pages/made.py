"""Runs, tests, servers and requests as pages are given them."""

from __future__ import annotations

import dataclasses
from typing import Any

from gui.models.requests import RequestRow, TestDetail
from gui.models.runs import RunView, TestRow
from gui.reconcile import ServerFigures, TestFigures
from gui.store import RunEntry, TestEntry, TestSpec, VerdictKind

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


def request(number: int, verdict: VerdictKind | None = VerdictKind.MATCHED, **changes) -> RequestRow:
    fields: dict[str, Any] = {
        "id": number, "verdict": verdict, "tag": f"tag{number:05}", "path": f"/store/f{number:04}", "server": "s01",
        "client": "c1", "repeat": 1, "round": 1, "opened": 1_760_000_000.25, "asked": 100, "got": 100,
        "rec": None if verdict is VerdictKind.MISSING else 100, "accesses": 1, "behaviour": "", "lost": "", "cause": "",
        "lost_with": "",
    }  # fmt: skip
    return RequestRow(**(fields | changes))


def record(number: int, **changes) -> RequestRow:
    """A record that nobody requested."""
    fields = {"record": number, "round": None, "opened": None, "asked": None, "got": None, "rec": 70} | changes
    return request(-number, None, **fields)


def detail(servers, requests, total=None, number=1) -> TestDetail:
    rows = tuple(requests)
    records = sum(row.record != 0 for row in rows)
    return TestDetail(number, tuple(servers), rows, len(rows) - records if total is None else total, records, records)
